"""The server dies and comes back after a while: the pages are in the meeting again, and settle."""

import asyncio

import pytest

from tests.support.meetings import book, built, meet
from tests.support.person import ANA, JANE, Person
from tests.support.server import Server, running
from tests.support.wait import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

AWAY = 11
"""Seconds: longer than a page waits before it repairs its media, and repairs them again."""
STEADY = 6
"""Seconds over which frames must go on and no connection may be replaced."""


async def connections(*people: Person) -> list[int]:
    """How many peer connections each page has made."""
    return [await person.peer_connections() for person in people]


async def test_media_settles_after_a_long_outage(tmp_path, nest, browser):
    """Eleven seconds without a server cost a page one new connection or two, and frames flow on."""
    built()
    async with running(Server(tmp_path / "data", spawn=nest.spawn)) as server:
        links = await book(server)
        host, guest = await meet(browser, links, ANA, JANE)
        await host.sees(JANE)
        await guest.sees(ANA)
        before = await connections(host, guest)
        await server.kill()
        await asyncio.sleep(AWAY)
        await server.start()
        during = await connections(host, guest)

        async def anew() -> bool:
            return all(
                now > then for now, then in zip(await connections(host, guest), during, strict=True)
            )

        await until(anew, timeout=20, every=0.1)
        await host.sees(JANE)
        await guest.sees(ANA)
        settled = await connections(host, guest)
        for _ in range(STEADY // 2):
            frames = await host.tile(JANE.name), await guest.tile(ANA.name)
            await asyncio.sleep(2)
            later = await host.tile(JANE.name), await guest.tile(ANA.name)
            came = [b["frames"] - a["frames"] for a, b in zip(frames, later, strict=True)]
            assert min(came) > 4, came  # of ten
        assert await connections(host, guest) == settled
        assert all(b - a <= 2 for a, b in zip(before, settled, strict=True)), (before, settled)
        await host.close()
        await guest.close()
