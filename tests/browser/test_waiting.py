"""Between the door and the room: what the calendar decides, what is written, what a full room says."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import expect

from tests.support.api import Api
from tests.support.meetings import book, no_complaints, shows
from tests.support.person import ANA, JANE, Person

pytestmark = pytest.mark.asyncio(loop_scope="module")


def _says(words, moment):
    """The page's sentence as a pattern: the minute it names, with the day when that is tomorrow."""
    minute = f"{moment.astimezone():%M}"
    return rf"{words} (\w+, \w+ \d+, )?\d+:{minute}\s[AP]M\."


async def test_who_waits_hears_what_the_calendar_decides(server, emptied):
    """The page says when the meeting starts, says so anew when it moves, and when it is cancelled."""
    api = Api(server.url, server.dev["api_key"])
    soon = datetime.now(UTC) + timedelta(minutes=10)
    times = {"starts_at": soon.isoformat(), "ends_at": (soon + timedelta(minutes=30)).isoformat()}
    made = await api.book(**times)
    jane = await Person.arrive(emptied, JANE)
    await jane.open(made["guest_url"])
    await jane.devices_on()
    await jane.press("Ask to join")
    await shows(jane, "waiting")
    place = jane.page.get_by_role("status", name="Your place")
    await expect(place).to_have_text(
        re.compile(_says("hasn't joined yet.* The meeting starts at", soon))
    )
    later = soon + timedelta(minutes=3)
    body = {"starts_at": later.isoformat()}
    status, _ = await api.call("POST", f"/v1/appointments/{made['id']}:reschedule", body)
    assert status == 200
    await expect(place).to_have_text(re.compile(_says("This appointment moved to", later)))
    status, _ = await api.call("POST", f"/v1/appointments/{made['id']}:cancel", {"reason": "ill"})
    assert status == 200
    await shows(jane, "cancelled")
    await expect(jane.page.get_by_role("heading")).to_contain_text("was cancelled")
    no_complaints(jane)


async def test_a_line_written_before_the_host_came_is_found_beside_its_writer(server, emptied):
    """The host who comes later reads it where the writer waits; the writer does not hear it back."""
    links = await book(server)
    jane, ana = await Person.arrive(emptied, JANE), await Person.arrive(emptied, ANA)
    await jane.open(links.guest)
    await jane.press("Ask to join")
    await shows(jane, "waiting")
    spoken = "new MutationObserver(() => window.said += polite.textContent)"
    await jane.page.evaluate(
        f"() => {{ window.said = ''; {spoken}.observe(polite, {{ childList: true }}); }}"
    )
    for text in ("I'm early", "Bell is broken"):
        await jane.page.get_by_role("textbox", name="Write to the host").fill(text)
        await jane.press("Send")
        await expect(jane.page.get_by_text("Sent to the host.")).to_be_visible()
    await ana.join(links.host)
    waiting = ana.page.get_by_role("region", name="Waiting")
    await expect(waiting).to_contain_text("Jane Doe: Bell is broken")
    await ana.press("People, 1")
    for text in ("I'm early", "Bell is broken"):
        await expect(waiting).to_contain_text(text)
    await ana.press(f"Admit {JANE.name}")
    await jane.in_the_room()
    await expect(ana.page.get_by_text("Bell is broken")).to_have_count(0)
    assert "Bell" not in await jane.page.evaluate("() => window.said")
    no_complaints(ana, jane)


async def test_a_locked_room_says_so_and_can_be_tried_again(server, emptied):
    """A newcomer at a locked room reads that it is locked; once it is not, one press asks again."""
    links = await book(server)
    ana, jane = await Person.arrive(emptied, ANA), await Person.arrive(emptied, JANE)
    await ana.join(links.host)
    await ana.press("People, 1")
    await ana.press("Lock room")
    await expect(ana.button("Unlock room")).to_be_visible()
    await jane.open(links.guest)
    await jane.press("Ask to join")
    await shows(jane, "denied")
    await expect(jane.page.get_by_role("heading")).to_have_text(re.compile("^The room is locked."))
    await ana.press("Unlock room")
    await expect(ana.button("Lock room")).to_be_visible()
    await jane.press("Try again")
    await shows(jane, "waiting")
    no_complaints(ana, jane)
