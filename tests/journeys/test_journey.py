"""The main job end to end: book an appointment, meet in real browsers, see it in the CRM.

The script knows what a stranger knows: the REST resources, the links, and the accessible names of
the pages. Three people with synthetic media (a colour and a tone each) meet; what each sees and
hears is judged by pixels and spectrum.
"""

import asyncio
import datetime as dt

import aiohttp
from playwright.async_api import expect

from tests.support.capture import PortCapture
from tests.support.person import ANA, JANE, KIM, Person
from tests.support.rows import Books
from tests.support.wait import until

UTC = dt.UTC


class Crm:
    """The CRM backend: REST with the API key of dev.json."""

    def __init__(self, server) -> None:
        self.url = server.url
        self.headers = {"Authorization": f"Bearer {server.dev['api_key']}"}

    async def call(self, method, path, body=None, *, expected=None):
        """One call; answers the JSON body after checking the status."""
        async with (
            aiohttp.ClientSession(headers=self.headers) as session,
            session.request(method, self.url + path, json=body) as answer,
        ):
            content = await answer.json()
            wanted = expected or (201 if method == "POST" else 200)
            assert answer.status == wanted, (method, path, answer.status, content)
            return content

    async def book(self):
        """Create a person, a lead and a video appointment; answers all three."""
        person = await self.call(
            "POST",
            "/v1/people",
            {"first_name": "Jane", "last_name": "Doe", "email": "jane@example.com"},
        )
        lead = await self.call("POST", "/v1/leads", {"person_id": person["id"], "source": "web"})
        start = dt.datetime.now(UTC) + dt.timedelta(minutes=1)
        appointment = await self.call(
            "POST",
            "/v1/appointments",
            {
                "title": "Roof review",
                "person_id": person["id"],
                "lead_id": lead["id"],
                "starts_at": start.isoformat(),
                "ends_at": (start + dt.timedelta(minutes=45)).isoformat(),
                "location_kind": "video",
            },
        )
        return person, lead, appointment


async def everybody_sees_and_hears_everybody(*people: Person) -> None:
    """Every client finds every other's colour under the right name and hears the tone."""
    for me in people:
        for other in people:
            if me is not other:
                await me.sees(other.look)
                await me.hears(other.look)


async def test_book_meet_and_find_it_in_the_crm(server, browser, database_url, postgres_url):
    """The journey of the product, from REST to the timeline."""
    crm = Crm(server)
    person, lead, appointment = await crm.book()
    assert appointment["video_room_id"]
    host_url, guest_url = appointment["host_url"], appointment["guest_url"]

    ana = await Person.arrive(browser, ANA)
    jane = await Person.arrive(browser, JANE)
    kim = await Person.arrive(browser, KIM)

    # The customer waits with nothing but a WebSocket.
    with PortCapture(server.media_port) as capture:
        await jane.join(guest_url)
        waiting_since = dt.datetime.now(UTC)
        await expect(jane.page.get_by_role("region", name="Waiting room")).to_be_visible()
        await asyncio.sleep(1)  # room for a wrong packet to appear; nothing is awaited
        assert capture.payload_bytes == 0
        assert await jane.peer_connections() == 0

    await ana.join(host_url)
    await ana.in_the_room()
    await ana.press(f"Admit {JANE.name}")
    admitted_at = dt.datetime.now(UTC)
    await jane.in_the_room()
    await ana.sees(JANE)
    await jane.sees(ANA)

    # A third person joins.
    await kim.join(guest_url)
    await ana.press(f"Admit {KIM.name}")
    kim_came_at = dt.datetime.now(UTC)
    await kim.in_the_room()
    await everybody_sees_and_hears_everybody(ana, jane, kim)
    for member in (ana, jane, kim):
        assert await member.remote_port() == server.media_port

    # Mute is heard by nobody within half a second.
    for listener in (ana, kim):
        await listener.listen(JANE)
    await jane.press("Mute")
    muted_at = await jane.clicked_at()
    for listener in (ana, kim):
        assert await listener.silent_since(JANE) - muted_at <= 0.5
    await jane.press("Unmute")
    await asyncio.gather(ana.hears(JANE), kim.hears(JANE))

    # Camera off and on.
    await jane.press("Turn camera off")
    await until(lambda: state_is(ana, JANE, "off"), timeout=5)
    await jane.press("Turn camera on")
    await ana.sees(JANE)

    # Screen share.
    await kim.press("Share screen")
    await ana.page.get_by_text(f"{KIM.name} is sharing").first.wait_for(timeout=10_000)
    await kim.press("Stop sharing")
    await ana.sees(KIM)

    # Reload: the same participant comes back without asking.
    before = (await ana.tile(JANE.name))["participant"]
    await jane.page.reload()
    await jane.enter()
    await jane.in_the_room()
    await ana.sees(JANE)
    assert (await ana.tile(JANE.name))["participant"] == before

    # A second tab supersedes the first, which does not fight back.
    second = await jane.tab()
    await second.join(guest_url)
    await second.in_the_room()
    await expect(jane.page.locator("html")).to_have_attribute("data-room-state", "superseded")
    await ana.sees(JANE)
    assert (await ana.tile(JANE.name))["participant"] == before
    jane = second

    # Leave and rejoin.
    left_at = dt.datetime.now(UTC)
    await kim.leave()
    await until(lambda: gone(ana, KIM), timeout=10)
    back_from = dt.datetime.now(UTC)
    await kim.rejoin()
    back_until = dt.datetime.now(UTC)
    await ana.sees(KIM)

    # The host ends the meeting for everybody.
    await ana.leave("End meeting for all")
    await ana.page.get_by_role("dialog").get_by_role("button", name="End for all").click()
    ended_at = dt.datetime.now(UTC)
    for member in (jane, kim):
        await expect(member.page.locator("html")).to_have_attribute(
            "data-room-state", "ended", timeout=20_000
        )

    # Back in the CRM, once the end cannot be undone any more.
    done = await until(lambda: completed(crm, appointment["id"]), timeout=15)
    assert done["status"] == "completed"
    timeline = await crm.call("GET", f"/v1/people/{person['id']}/timeline")
    meetings = [
        item
        for item in timeline["items"]
        if item["kind"] == "communication" and item["record"]["channel"] == "meeting"
    ]
    assert len(meetings) == 1
    meeting = await crm.call("GET", f"/v1/communications/{meetings[0]['id']}")
    assert meeting["person_id"] == person["id"]
    assert meeting["lead_id"] == lead["id"]
    customer = next(a for a in meeting["attendees"] if a["person_id"] == person["id"])
    first = dt.datetime.fromisoformat(customer["intervals"][0]["joined_at"])
    last = dt.datetime.fromisoformat(customer["intervals"][-1]["left_at"])
    near(first, admitted_at)
    near(last, ended_at)

    # And in the rows themselves, as psql and sqlite3 show them.
    books = Books(database_url, postgres_url, appointment["video_room_id"])
    assert books.appointment() == [("completed", "held")]
    ((status, started, ended, reason),) = books.sitting()
    assert (status, reason) == ("ended", "host")
    near(ended, ended_at)
    assert books.meetings() == [(started, ended)]
    ((waiting, admitted, joined, left),) = books.stamps(JANE.name)
    for stamp, driven in (
        (waiting, waiting_since),
        (admitted, admitted_at),
        (joined, admitted_at),
        (left, ended_at),
    ):
        near(stamp, driven)
    (come, gone_out), (come_back, end) = books.intervals(KIM.name)
    for stamp, driven in ((come, kim_came_at), (gone_out, left_at), (end, ended_at)):
        near(stamp, driven)
    assert back_from <= come_back <= back_until + dt.timedelta(seconds=1)
    for member in (ana, jane, kim):
        await member.close()


def near(stamp: dt.datetime, driven: dt.datetime) -> None:
    """A row tells the driven moment to the second; the clock is the same machine's."""
    assert abs((stamp - driven).total_seconds()) <= 1, (stamp, driven)


async def state_is(viewer: Person, other, state: str) -> bool:
    """Whether the viewer's tile of the other says `state`."""
    tile = await viewer.tile(other.name)
    return bool(tile) and tile["state"] == state


async def gone(viewer: Person, other) -> bool:
    """Whether the viewer has no tile of the other any more."""
    return await viewer.tile(other.name) is None


async def completed(crm: Crm, appointment_id: str):
    """The appointment once it is completed; None before."""
    found = await crm.call("GET", f"/v1/appointments/{appointment_id}")
    return found if found["status"] == "completed" else None
