"""What opening a link does when the database is slow, gone, or asked by many."""

import asyncio
import uuid
from datetime import UTC, datetime

import pytest
from sqlalchemy.exc import OperationalError

from crm_core.errors import NotFound
from crm_core.meetings.links import LinkGrant, RoomLinks, hash_secret
from crm_core.meetings.service import FoundRoom
from signaling.clock import SystemClock, stamp
from signaling.errors import RequestError
from signaling.links import CrmLinks
from signaling.roomconfig import config_of
from signaling.tokens import JoinGrant
from tests.signaling.fakes import ManualClock, room_record

CODE, SECRET = "code", "secret"
TENANT, ROOM = uuid.uuid4(), uuid.uuid4()


class Meetings:
    """The CRM with one room of one link, or with a database that raises."""

    def __init__(self, record=None, raises=None, role="host", status="scheduled"):
        self.record = record
        self.status = status
        self.raises = raises
        self.role = role
        self.asked = 0

    async def find_room(self, code):
        self.asked += 1
        await asyncio.sleep(0)
        if self.raises is not None:
            raise self.raises
        if code != CODE:
            return None
        grant = LinkGrant(TENANT, ROOM, uuid.uuid4(), self.role, None, None, "", lobby=False)
        links = RoomLinks(TENANT, ROOM, self.status, ((hash_secret(SECRET), grant),))
        return FoundRoom(links, self.record)

    async def ask_link(self, _tenant, _link):
        if self.raises is not None:
            raise self.raises
        return "gone"


def links(**given):
    meetings = Meetings(**given)
    return CrmLinks(meetings, SystemClock()), meetings


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (OperationalError("select", {}, OSError()), "unavailable"),
        (ConnectionRefusedError(), "unavailable"),
        (NotFound("video room"), "not_found"),
    ],
)
async def test_a_database_that_fails_is_told_as_it_is(raised, code):
    """503 for one that is away, never "no such meeting" and never a defect of ours."""
    door, _ = links(raises=raised)
    with pytest.raises(RequestError) as refused:
        await door.open(CODE, SECRET)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("raised", "code"),
    [(ConnectionRefusedError(), "unavailable"), (None, "not_found")],
)
async def test_a_kept_token_is_checked_against_the_same_database(raised, code):
    """One that is away lets nobody in unchecked."""
    door, _ = links(raises=raised)
    grant = JoinGrant(str(TENANT), str(ROOM), str(uuid.uuid4()), "host", "staff", "", "", False)
    with pytest.raises(RequestError) as refused:
        await door.check(grant)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("status", "reason", "code"),
    [
        ("cancelled", None, "cancelled"),
        ("ended", "cancelled", "cancelled"),
        ("ended", "host", "ended"),
    ],
)
async def test_a_meeting_that_is_over_says_how_it_ended(status, reason, code):
    """One that was cancelled while people met is a cancelled appointment on the next look, too."""
    door, _ = links(record=room_record(status=status, end_reason=reason), status=status)
    with pytest.raises(RequestError) as refused:
        await door.open(CODE, SECRET)
    assert refused.value.code == code


async def test_many_who_open_links_at_once_cost_one_read():
    door, meetings = links()
    answers = await asyncio.gather(
        *(door.open(CODE, "wrong") for _ in range(100)), return_exceptions=True
    )
    assert {answer.code for answer in answers} == {"not_found"}
    assert meetings.asked == 1


async def test_an_unknown_room_and_a_wrong_secret_look_the_same():
    door, _ = links()
    refused = []
    for code, secret in (("other", SECRET), (CODE, "wrong")):
        with pytest.raises(RequestError) as error:
            await door.open(code, secret)
        refused.append((error.value.code, error.value.detail, error.value.extras))
    assert refused[0] == refused[1]


class Future:
    """A room's record of a meeting that begins in an hour, and a clock that was set by hand."""

    def __init__(self, role, **record):
        self.clock = ManualClock()
        starts_at = datetime.fromtimestamp(self.clock.time + 3600, UTC)
        self.record = room_record(starts_at=starts_at, **record)
        self.opens_before = config_of(self.record, 1).opens_before_s
        self.opens_at = starts_at.timestamp() - self.opens_before
        self.links = CrmLinks(Meetings(record=self.record, role=role), self.clock)

    async def refused(self):
        with pytest.raises(RequestError) as error:
            await self.links.open(CODE, SECRET)
        return error.value.code, error.value.detail, error.value.extras


async def test_a_guest_before_the_door_opens_is_told_when():
    """At the join already, before a token is made, and what for; from that moment on the link opens."""
    future = Future("participant")
    early = {
        "opens_at": stamp(future.opens_at),
        "retry_ms": int((3600 - future.opens_before) * 1000) + 1,
        "room": {
            "title": future.record.title,
            "type": future.record.type,
            "state": "scheduled",
            "starts_at": stamp(future.record.starts_at.timestamp()),
            "ends_at": future.record.ends_at and stamp(future.record.ends_at.timestamp()),
            "host_name": future.record.host_name,
        },
    }
    sentence = f"the door opens at {stamp(future.opens_at)}"
    assert await future.refused() == ("early", sentence, early)
    future.clock.time = future.opens_at - 0.5
    assert await future.refused() == ("early", sentence, {**early, "retry_ms": 501})
    future.clock.time = future.opens_at
    assert (await future.links.open(CODE, SECRET)).grant.role == "participant"


@pytest.mark.parametrize(
    ("role", "record"),
    [("host", {}), ("participant", {"status": "live"}), ("participant", {"status": "open"})],
)
async def test_a_host_is_never_early_nor_is_anybody_in_a_room_that_is_open(role, record):
    """The host opens the room, and who opened it early lets the others in."""
    assert (await Future(role, **record).links.open(CODE, SECRET)).grant.role == role
