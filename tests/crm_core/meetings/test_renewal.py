"""Leases of many rooms kept in one transaction: few statements, and each room's own answer."""

import asyncio
import contextlib
import uuid
from datetime import timedelta

import pytest
import sqlalchemy as sa

from crm_core.appointments.models import Appointment
from crm_core.appointments.service import book, cancel, fresh_links
from crm_core.errors import RoomOwned
from crm_core.meetings.journal_models import RoomOwner
from crm_core.meetings.plans import load_plans
from crm_core.meetings.service import MeetingService
from tests.crm_core.meetings.support import START, knock_by_every_link
from tests.support.databases import LINKS


class Rooms:
    """Booked rooms of one tenant that a node has open."""

    def __init__(self, database, tenant):
        self.database, self.tenant = database, tenant
        self.tenant_id = tenant.tenant.id
        self.service = MeetingService(database)
        self.appointments = []
        self.epochs = {}

    async def open(self, count):
        """So many more, claimed for no time at all; their ids."""
        made = []
        for _ in range(count):
            async with self.database.unit_of_work(self.tenant_id) as unit:
                values = {
                    "staff_id": self.tenant.staff.id,
                    "starts_at": START + timedelta(hours=2 * len(self.appointments)),
                    "location_kind": "video",
                }
                booked = (await book(unit, values, LINKS)).appointment
            self.appointments.append(booked)
            made.append(booked.video_room_id)
            claim = await self.service.claim_room(self.tenant_id, made[-1], "node-1", 0)
            self.epochs[made[-1]] = claim.epoch
        return made

    async def knock(self, room_id):
        async with self.database.unit_of_work(self.tenant_id) as unit:
            await knock_by_every_link(unit, room_id)

    async def renew(self, seconds=60, **others):
        return await self.service.renew_rooms(self.tenant_id, self.epochs | others, seconds)

    async def free(self, room_id):
        """Whether another node could take the room; it does then."""
        try:
            await self.service.claim_room(self.tenant_id, room_id, "node-2", 60)
        except RoomOwned:
            return False
        return True

    async def decide(self, number, use_case, *arguments):
        async with self.database.unit_of_work(self.tenant_id) as unit:
            key = (self.tenant_id, self.appointments[number].id)
            return await use_case(unit, await unit.session.get(Appointment, key), *arguments)


@pytest.fixture
def rooms(database, tenant):
    return Rooms(database, tenant)


async def test_leases_of_many_rooms_are_kept(rooms):
    """All of them, and each with what the calendar says of it, as when it asks alone."""
    ids = await rooms.open(3)
    for room_id in ids:
        await rooms.knock(room_id)
    for _ in range(3):  # by those in between nobody came
        await rooms.decide(0, fresh_links, LINKS)
    await rooms.decide(1, cancel)
    plans = await rooms.renew()
    assert [len(plans[each].void_links) for each in ids] == [2, 0, 0]
    assert [len(plans[each].closed_links) for each in ids] == [0, 1, 0]
    assert [plans[each].status for each in ids] == ["scheduled", "cancelled", "scheduled"]
    async with rooms.database.unit_of_work(rooms.tenant_id, read_only=True) as unit:
        assert plans == {each: (await load_plans(unit, [each]))[each] for each in ids}
    assert [await rooms.free(each) for each in ids] == [False] * 3


async def test_one_that_was_taken_harms_none_of_the_others(rooms):
    """Another's epoch, owner, or no such room: not in the answer, and not touched."""
    here, taken, stale = await rooms.open(3)
    await rooms.service.claim_room(rooms.tenant_id, taken, "node-2", 0)
    rooms.epochs[stale] -= 1
    rooms.epochs[uuid.uuid4()] = 1
    assert set(await rooms.renew()) == {here}
    assert not await rooms.free(here)
    assert await rooms.free(taken)
    assert await rooms.free(stale)


async def test_an_epoch_keeps_its_own_room_alone(rooms):
    """Epochs are compared room by room: each of two has the number of the other."""
    one, other = await rooms.open(2)
    claim = await rooms.service.claim_room(rooms.tenant_id, other, "node-1", 0)
    rooms.epochs = {one: claim.epoch, other: rooms.epochs[other]}
    assert await rooms.renew() == {}


async def test_rooms_of_another_tenant_are_not_kept(rooms, database, other_tenant):
    """A batch is one tenant's, whatever ids are in it."""
    rival = Rooms(database, other_tenant)
    (theirs,) = await rival.open(1)
    (ours,) = await rooms.open(1)
    both = rooms.epochs | rival.epochs
    assert set(await rooms.service.renew_rooms(rooms.tenant_id, both, 60)) == {ours}
    assert await rival.free(theirs)


async def test_the_number_of_statements_does_not_grow_with_the_rooms(rooms, statements):
    """Twelve rooms cost as many as one; on SQLite each is found by its key."""
    counts = []
    for more in (1, 11):
        await rooms.open(more)
        statements.clear()
        assert len(await rooms.renew()) == len(rooms.epochs)
        counts.append(len([each for each in statements if "set_config" not in each]))
    assert counts[0] == counts[1]
    assert len([each for each in statements if each.lstrip().startswith("UPDATE")]) == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_sqlite_finds_rooms_by_their_keys(rooms, statements, database):
    """No statement of a renewal reads every owner there is."""
    await rooms.open(2)
    statements.clear()
    await rooms.renew()
    update = next(each for each in statements if each.startswith("UPDATE"))
    async with database.readers.connect() as connection:
        plan = await connection.exec_driver_sql(
            f"EXPLAIN QUERY PLAN {update}", (None,) * update.count("?")
        )
        steps = [row[-1] for row in plan]
    assert any("room_id=?" in step for step in steps), steps


async def test_a_room_that_is_being_written_holds_up_no_other(rooms, database):
    """On PostgreSQL its row is locked; SQLite has one writer, and nothing to skip."""
    ids = await rooms.open(3)
    async with contextlib.AsyncExitStack() as stack:
        if database.dialect == "postgresql":
            unit = await stack.enter_async_context(database.unit_of_work(rooms.tenant_id))
            written = sa.select(RoomOwner).where(RoomOwner.room_id == ids[1]).with_for_update()
            await unit.session.execute(written)
        assert set(await asyncio.wait_for(rooms.renew(), 10)) == set(ids), "its owner has it still"
    kept = [not await rooms.free(each) for each in ids]
    assert kept == [True, database.dialect == "sqlite", True]


async def test_a_broken_renewal_keeps_nothing(rooms, monkeypatch):
    """It is one transaction: what was kept before it broke is free again."""
    ids = await rooms.open(2)

    async def broken(_unit, _rooms):
        raise ConnectionResetError

    monkeypatch.setattr("crm_core.meetings.plans.load_plans", broken)
    with pytest.raises(ConnectionResetError):
        await rooms.renew()
    assert await asyncio.gather(*(rooms.free(each) for each in ids)) == [True, True]
