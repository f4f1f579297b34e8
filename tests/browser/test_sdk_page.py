"""The SDK alone: a bare page of a few lines joins, is seen, and sees."""

from contextlib import asynccontextmanager
from urllib.parse import quote

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import expect

from tests.support.meetings import book, built, no_complaints
from tests.support.person import ANA, JANE, Person
from tests.support.server import Server, running
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
    await expect(page.get_by_role("status")).to_have_text("waiting")
    await host.press(f"Admit {JANE.name}")
    await expect(page.get_by_role("status")).to_have_text("live")
    await host.sees(JANE)
    await host.hears(JANE)
    await expect(page.locator("figcaption", has_text=ANA.name).first).to_be_visible(timeout=15_000)

    async def plays() -> bool:
        return await page.evaluate(
            "() => [...document.querySelectorAll('video')].some((v) => v.videoWidth > 0)"
        )

    await until(plays, timeout=30, every=0.1)
    no_complaints(host, guest)
    await host.close()
    await guest.close()


ELSEWHERE = """<!doctype html><title>Elsewhere</title><output></output><script type="module">
import {{ Meeting, parseInvitation }} from "{server}/sdk/sunup.js";
const meeting = new Meeting(parseInvitation(decodeURIComponent(location.hash.slice(1))));
const show = () => {{ document.querySelector("output").textContent = meeting.state.get(); }};
meeting.state.subscribe(show);
await meeting.join("Jane Doe");
</script>"""


@asynccontextmanager
async def another_site(text):
    """A page of another origin; yields its address."""
    application = web.Application()

    async def answer(_request):
        return web.Response(text=text(), content_type="text/html")

    application.router.add_get("/", answer)
    async with TestServer(application) as site:
        yield str(site.make_url("")).rstrip("/")


@pytest.mark.parametrize("allowed", [True, False])
async def test_a_page_of_another_origin_joins_where_it_is_allowed(emptied, tmp_path, nest, allowed):
    """Module, join and WebSocket across origins; who is not in the list gets no token."""
    product = []
    async with another_site(lambda: ELSEWHERE.format(server=product[0].url)) as site:
        settings = {"SUNUP_ALLOWED_ORIGINS": site if allowed else "https://crm.example"}
        async with running(Server(tmp_path / "data", settings)) as server:
            product.append(server)
            links = await book(server)
            page = await emptied.new_page()
            await page.goto(f"{site}/#{quote(links.guest, safe='')}")
            expected = "waiting" if allowed else "offline"
            await expect(page.get_by_role("status")).to_have_text(expected)


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
