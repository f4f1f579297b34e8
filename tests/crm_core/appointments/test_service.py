"""Booking below HTTP: what the database itself refuses, holds, buffers of time."""

import asyncio
import itertools
import random
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from crm_core.appointments import service
from crm_core.appointments.models import Appointment, Booking
from crm_core.appointments.service import book
from crm_core.changes.models import OutboxEvent
from crm_core.errors import SlotTaken
from crm_core.resources.integrity import explain
from tests.crm_core.meetings.support import START
from tests.support.databases import LINKS


async def _book(database, tenant, minute, length=30):
    async with database.unit_of_work(tenant.tenant.id) as unit:
        return await book(
            unit,
            {
                "starts_at": START + timedelta(minutes=minute),
                "ends_at": START + timedelta(minutes=minute + length),
                "staff_id": tenant.staff.id,
            },
            LINKS,
        )


async def _blocking(database, tenant):
    async with database.unit_of_work(tenant.tenant.id, read_only=True) as unit:
        found = await unit.session.scalars(sa.select(Booking).where(Booking.is_blocking))
        return sorted((row.starts_at, row.ends_at) for row in found)


async def test_the_database_refuses_an_overlap_that_no_service_saw(database, tenant, monkeypatch):
    """With the service's own look switched off, the rule in the database still lets one in."""

    async def look_away(_unit, _appointment, _booking):
        return

    monkeypatch.setattr(service, "take_time", look_away)
    outcomes = await asyncio.gather(
        *(_book(database, tenant, minute) for minute in range(0, 20, 2)), return_exceptions=True
    )
    refused = [each for each in outcomes if isinstance(each, DBAPIError)]
    assert len(outcomes) - len(refused) == 1
    for each in refused:
        # PostgreSQL lets writers of one range wait for each other, and may call that a deadlock:
        # what the service's lock is for.
        deadlock = getattr(each.orig, "sqlstate", None) == "40P01"
        assert deadlock or isinstance(explain(each), SlotTaken)
    assert len(await _blocking(database, tenant)) == 1


async def test_moving_a_booking_onto_another_is_refused_by_the_database(database, tenant):
    """An UPDATE is held to the same rule as an INSERT."""
    await _book(database, tenant, 0)
    second = await _book(database, tenant, 60)
    with pytest.raises(IntegrityError) as refused:
        async with database.unit_of_work(tenant.tenant.id) as unit:
            row = await unit.session.scalar(
                sa.select(Booking).where(Booking.appointment_id == second.appointment.id)
            )
            row.starts_at = START + timedelta(minutes=15)
    assert isinstance(explain(refused.value), SlotTaken)


async def test_random_attempts_never_overlap(database, tenant):
    """Whatever is accepted of many racing attempts, no two accepted intervals overlap."""
    seed = 11
    print("seed", seed)
    chance = random.Random(seed)
    attempts = [(chance.randrange(0, 240), chance.randrange(5, 60)) for _ in range(60)]
    outcomes = await asyncio.gather(
        *(_book(database, tenant, *attempt) for attempt in attempts), return_exceptions=True
    )
    assert all(not isinstance(each, Exception) or isinstance(each, SlotTaken) for each in outcomes)
    taken = await _blocking(database, tenant)
    assert len(taken) == sum(not isinstance(each, Exception) for each in outcomes)
    for (_, ends_at), (starts_at, _) in itertools.pairwise(taken):
        assert ends_at <= starts_at


async def test_an_expired_hold_is_in_nobodys_way(database, tenant):
    """A hold blocks until it expires; the next booking clears it away."""
    async with database.unit_of_work(tenant.tenant.id) as unit:
        for minute, expires_in in ((0, 60), (60, -60)):
            await unit.add(
                Booking(
                    id=unit.ids(),
                    kind="hold",
                    staff_id=tenant.staff.id,
                    starts_at=START + timedelta(minutes=minute),
                    ends_at=START + timedelta(minutes=minute + 30),
                    expires_at=unit.now + timedelta(seconds=expires_in),
                    created_at=unit.now,
                )
            )
    with pytest.raises(SlotTaken) as refused:
        await _book(database, tenant, 0)
    assert refused.value.extra["conflict"]["appointment_id"] is None
    await _book(database, tenant, 60)


async def test_a_failed_booking_leaves_no_room_and_no_link(database, tenant):
    """Everything an appointment makes is made in one transaction with it."""
    await _book(database, tenant, 0)
    with pytest.raises(SlotTaken):
        await _book(database, tenant, 10)
    async with database.unit_of_work(tenant.tenant.id, read_only=True) as unit:
        assert await unit.session.scalar(sa.select(sa.func.count(Appointment.id))) == 1


async def test_each_use_case_is_one_version(database, tenant):
    """Confirmed, moved, called off: the row is written once, and the outbox has that version."""
    booked = await _book(database, tenant, 0)
    versions = [booked.appointment.version]
    for use_case, *arguments in (
        (service.confirm,),
        (service.reschedule, START + timedelta(days=1)),
        (service.cancel, "ill"),
    ):
        async with database.unit_of_work(tenant.tenant.id) as unit:
            row = await unit.session.get(Appointment, (tenant.tenant.id, booked.appointment.id))
            await use_case(unit, row, *arguments)
        versions.append(row.version)
    assert versions == [1, 2, 3, 4]
    async with database.unit_of_work(tenant.tenant.id, read_only=True) as unit:
        told = await unit.session.scalars(
            sa.select(OutboxEvent.record_version)
            .where(OutboxEvent.entity_id == booked.appointment.id)
            .order_by(OutboxEvent.record_version)
        )
        assert told.all() == versions


async def test_a_confirmation_was_for_the_old_time(database, tenant):
    """Moved, an appointment waits to be confirmed anew."""
    booked = await _book(database, tenant, 0)
    async with database.unit_of_work(tenant.tenant.id) as unit:
        row = await unit.session.get(Appointment, (tenant.tenant.id, booked.appointment.id))
        await service.confirm(unit, row)
        assert (row.status, row.confirmed_at) == ("confirmed", unit.now)
        await service.reschedule(unit, row, START + timedelta(days=1))
    assert (row.status, row.confirmed_at) == ("scheduled", None)


async def test_another_tenants_calendar_is_its_own(database, tenant, other_tenant):
    """The same hour of two tenants' staff does not collide."""
    await _book(database, tenant, 0)
    await _book(database, other_tenant, 0)
