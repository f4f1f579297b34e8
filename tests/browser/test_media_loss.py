"""The network path dies under a client: it notices by itself and media is back."""

import re

import pytest
from playwright.async_api import expect

from tests.support.meetings import ROOM_STATE, book, meet, no_complaints, shows
from tests.support.person import ANA, JANE, PATIENCE, Person
from tests.support.relay import relay
from tests.support.rows import Books
from tests.support.wait import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def frames(viewer: Person, other: str) -> int:
    """Frames shown on the other's tile; -1 without one."""
    tile = await viewer.tile(other)
    return tile["frames"] if tile else -1


NOTE_STATES = """(attribute) => {
  const html = document.documentElement;
  const note = () => window.__states.push(html.getAttribute(attribute));
  window.__states = [];
  new MutationObserver(note).observe(html, { attributeFilter: [attribute] });
}"""


async def note_states(person: Person) -> None:
    """Keep each state of the page from now on: a repair may be shorter than a look at it."""
    await person.page.evaluate(NOTE_STATES, ROOM_STATE)


async def noticed(person: Person) -> None:
    """Wait until the page has said that it reconnects, even if it is over already."""

    async def said() -> bool:
        return "reconnecting" in await person.page.evaluate("() => window.__states")

    await until(said, timeout=PATIENCE, every=0.05)


async def test_a_dropped_path_heals_without_the_server_saying_so(server, browser):
    """After every present 5-tuple is dropped for good, frames rise again both ways."""
    links = await book(server)
    async with relay(server.media_port) as path:
        host = await Person.arrive(browser, ANA)
        await host.join(links.host)
        await host.in_the_room()
        guest = await Person.arrive(browser, JANE, relay_port=path.port)
        await guest.join(links.guest)
        await host.press(f"Admit {JANE.name}")
        await guest.in_the_room()
        await guest.sees(ANA)
        await host.sees(JANE)
        before = await host.tile(JANE.name)
        assert path.clients
        await note_states(guest)
        path.block()
        await noticed(guest)
        at_loss = await frames(guest, ANA.name), await frames(host, JANE.name)

        async def flows() -> bool:
            now = await frames(guest, ANA.name), await frames(host, JANE.name)
            return now[0] > at_loss[0] + 5 and now[1] > at_loss[1] + 5

        await until(flows, timeout=PATIENCE, every=0.05)
        await shows(guest, "live")
        after = await host.tile(JANE.name)
        assert after["participant"] == before["participant"]
        books = Books(f"sqlite:///{server.data}/sunup.sqlite3", "", links.room)
        ((_, left),) = books.intervals(JANE.name)  # one stretch of attendance, and it goes on
        assert left is None
        no_complaints(host, guest)
        await host.close()
        await guest.close()


async def test_a_receiver_that_sends_nothing_notices_too(server, browser):
    """Without microphone and camera, unanswered checks tell that the path is dead."""
    links = await book(server)
    async with relay(server.media_port) as path:
        host = await Person.arrive(browser, ANA)
        await host.join(links.host)
        await host.in_the_room()
        guest = await Person.arrive(browser, JANE, relay_port=path.port)
        await guest.open(links.guest)
        await guest.press("Ask to join")
        await host.press(f"Admit {JANE.name}")
        await guest.in_the_room()
        await guest.sees(ANA)
        await note_states(guest)
        path.block()
        await noticed(guest)
        seen = await frames(guest, ANA.name)

        async def flows() -> bool:
            return await frames(guest, ANA.name) > seen + 5

        await until(flows, timeout=PATIENCE, every=0.05)
        await host.close()
        await guest.close()


async def test_who_has_lost_the_connection_is_shown_so_to_the_others(server, browser):
    """From the roster's word on, tile and row say that the other reconnects."""
    links = await book(server)
    host, guest = await meet(browser, links, ANA, JANE)
    await host.sees(JANE)
    await host.press("People, 2")
    tile = host.page.get_by_role("group", name=JANE.name, exact=True)
    row = host.page.get_by_role("region", name="Participants").get_by_role("listitem")
    await expect(row.filter(has_text=JANE.name)).not_to_contain_text("reconnecting")
    await guest.close()
    await expect(tile).to_have_attribute("data-state", "frozen")
    await expect(tile).to_have_accessible_description(re.compile("reconnecting"))
    await expect(tile.get_by_text("Reconnecting", exact=True)).to_be_visible()
    await expect(row.filter(has_text=JANE.name)).to_contain_text("reconnecting")
    no_complaints(host)
    await host.close()
