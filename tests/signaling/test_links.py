"""What opening a link does when the database is slow, gone, or asked by many."""

import asyncio
import uuid

import pytest
from sqlalchemy.exc import OperationalError

from crm_core.errors import NotFound
from crm_core.meetings.links import LinkGrant, RoomLinks, hash_secret
from crm_core.meetings.service import FoundRoom
from signaling.clock import SystemClock
from signaling.errors import RequestError
from signaling.links import CrmLinks

CODE, SECRET = "code", "secret"
TENANT, ROOM = uuid.uuid4(), uuid.uuid4()


class Meetings:
    """The CRM with one room of one link, or with a database that raises."""

    def __init__(self, record=None, raises=None):
        self.record = record
        self.raises = raises
        self.asked = 0

    async def find_room(self, code):
        self.asked += 1
        await asyncio.sleep(0)
        if self.raises is not None:
            raise self.raises
        if code != CODE:
            return None
        grant = LinkGrant(TENANT, ROOM, uuid.uuid4(), "host", None, None, "", lobby=False)
        links = RoomLinks(TENANT, ROOM, "scheduled", ((hash_secret(SECRET), grant),))
        return FoundRoom(links, self.record)


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
