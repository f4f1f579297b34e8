"""What the calendar decides reaches who waits: another time, and that nothing will come of it."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import expect

from tests.support.api import Api
from tests.support.meetings import no_complaints, shows
from tests.support.person import JANE, Person

pytestmark = pytest.mark.asyncio(loop_scope="module")


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
    await expect(place).to_have_text(re.compile(r"hasn't joined yet.* The meeting starts at \d"))
    before = await place.inner_text()
    later = {"starts_at": (soon + timedelta(minutes=3)).isoformat()}
    status, _ = await api.call("POST", f"/v1/appointments/{made['id']}:reschedule", later)
    assert status == 200
    await expect(place).not_to_have_text(before, timeout=15_000)
    await expect(place).to_have_text(re.compile(r"The meeting starts at \d"))
    status, _ = await api.call("POST", f"/v1/appointments/{made['id']}:cancel", {"reason": "ill"})
    assert status == 200
    await shows(jane, "cancelled")
    await expect(jane.page.get_by_role("heading")).to_contain_text("was cancelled")
    no_complaints(jane)
