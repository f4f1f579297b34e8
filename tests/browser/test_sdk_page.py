"""The SDK alone: a bare page of a few lines joins, is seen, and sees."""

import pytest
from playwright.async_api import expect

from tests.support.meetings import book, built, no_complaints
from tests.support.person import ANA, JANE, Person
from tests.support.wait import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_bare_page_joins_without_the_app(server, browser):
    """The example at /sdk/ meets somebody in the app, both ways, under the page's strict policy."""
    links = await book(server)
    host = await Person.arrive(browser, ANA)
    await host.join(links.host)
    await host.in_the_room()
    guest = await Person.arrive(browser, JANE)
    page = guest.page
    await page.goto(f"{server.url}/sdk/")
    await page.get_by_label("Link").fill(links.guest)
    await page.get_by_label("Your name").fill(JANE.name)
    await guest.press("Join")
    await expect(page.get_by_role("status")).to_have_text("waiting", timeout=15_000)
    await host.press(f"Admit {JANE.name}")
    await expect(page.get_by_role("status")).to_have_text("live", timeout=15_000)
    await host.sees(JANE)
    await host.hears(JANE)
    await expect(page.locator("figcaption", has_text=ANA.name).first).to_be_visible(timeout=15_000)

    async def plays() -> bool:
        return await page.evaluate(
            "() => [...document.querySelectorAll('video')].some((v) => v.videoWidth > 0)"
        )

    await until(plays, timeout=15, every=0.1)
    no_complaints(host, guest)
    await host.close()
    await guest.close()


async def test_the_example_is_forty_lines():
    """What has to be written to join is one short page."""
    sdk = built() / "sdk"
    lines = [
        line
        for name in ("index.html", "example.js")
        for line in (sdk / name).read_text().splitlines()
        if line.strip() and not line.strip().startswith("//")
    ]
    assert len([line for line in lines if not line.strip().startswith("<")]) <= 40
