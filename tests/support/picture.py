"""Makes ``docs/images/meeting.png``: a live meeting of three, as one of them sees it.

``python -m tests.support.picture`` starts the product, lets three people meet whose cameras are
``synthetic_media.js``, and photographs the page; build the pages first (`make run` does). Another
path can be given.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from .chromium import chromium
from .meetings import book, meet
from .person import Look
from .server import ROOT, Server, running

PICTURE = ROOT / "docs/images/meeting.png"
WIDTH, HEIGHT = 1280, 800
ANA = Look("Ana Diaz", "#b5651d", "#604000", 700)
JANE = Look("Jane Doe", "#2f7d6d", "#406000", 1300)
KIM = Look("Kim Park", "#3f5fa8", "#004060", 2100)


async def photograph(path: Path) -> None:
    """Write the picture of a meeting in which one speaks and one is muted."""
    with tempfile.TemporaryDirectory() as folder:
        async with running(Server(Path(folder) / "data")) as server, chromium() as browser:
            people = await meet(browser, await book(server), ANA, JANE, KIM)
            host, jane, kim = people
            await host.page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
            await kim.press("Mute")
            await jane.sees(KIM)
            await host.sees(JANE)
            await host.sees(KIM)
            await host.hears_not(KIM)
            await host.page.mouse.move(WIDTH / 2, 4)  # over nothing that would light up
            path.parent.mkdir(parents=True, exist_ok=True)
            await host.page.screenshot(path=path)
            for person in people:
                await person.close()


if __name__ == "__main__":
    asyncio.run(photograph(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE))
