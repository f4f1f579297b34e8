"""Who writes one room at the same moment, on PostgreSQL: each waits for the other, none for both."""

import asyncio
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.orm.exc import StaleDataError

from crm_core.appointments.models import Appointment
from crm_core.appointments.service import book, cancel, change_person
from crm_core.errors import Contradiction
from crm_core.meetings import journal
from crm_core.meetings.rooms import get_room
from crm_core.people.models import Person
from tests.crm_core.meetings.support import START, Meeting
from tests.support.databases import LINKS
from tests.support.wait import until

AFTER = {True: ("cancelled", ["cancelled"]), False: ("live", ["in_progress"])}
"""Of room and appointment, by whether the cancellation came through."""


@pytest.fixture
def database_url(shared_app_url):
    """SQLite has one writer: nobody is there at the same moment."""
    return shared_app_url


class Rooms:
    """Appointments with a room, a day after each other."""

    def __init__(self, database, tenant):
        self.database = database
        self.tenant = tenant
        self.days = 0

    def unit(self, **options):
        return self.database.unit_of_work(self.tenant.tenant.id, **options)

    def times(self):
        return {"starts_at": START + timedelta(days=self.days), "staff_id": self.tenant.staff.id}

    async def book(self):
        self.days += 1
        async with self.unit() as unit:
            return (await book(unit, self.times(), LINKS)).appointment

    async def share(self, unit, appointment):
        values = {**self.times(), "video_room_id": appointment.video_room_id}
        return (await book(unit, values, LINKS)).appointment

    async def cancel(self, appointment, unit=None):
        if unit is None:
            async with self.unit() as unit:
                return await self.cancel(appointment, unit)
        row = await unit.session.get(Appointment, (self.tenant.tenant.id, appointment.id))
        return await cancel(unit, row)

    async def status(self, appointment):
        """Of the room, and of the appointments in it."""
        async with self.unit(read_only=True) as unit:
            room = await get_room(unit, appointment.video_room_id)
            found = await unit.session.scalars(
                sa.select(Appointment.status).where(Appointment.video_room_id == room.id)
            )
            return room.status, sorted(found)

    async def meeting(self, appointment):
        """Its meeting, whose start waits to be committed, and the epoch to commit it in."""
        made = Meeting(
            self.database, self.tenant.tenant.id, appointment.video_room_id, appointment.id,
            None, None, self.tenant.staff.id,
        )  # fmt: skip
        epoch = await made.claim()
        made.event("room.state", 0, state="live")
        return made, epoch

    async def until_waits(self, task):
        """The task's transaction waits for another one, or has ended without."""

        async def there():
            async with self.database.without_tenant() as connection:
                return task.done() or await connection.scalar(
                    sa.text(
                        "SELECT count(*) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
                    )
                )

        await until(there)


@pytest.fixture
def rooms(database, tenant):
    return Rooms(database, tenant)


async def test_a_locked_room_is_read_anew(rooms):
    """What another committed after this unit of work had read the room is seen, not written over."""
    appointment = await rooms.book()
    async with rooms.unit() as unit:
        before = await get_room(unit, appointment.video_room_id)
        assert before.status == "scheduled"
        async with rooms.unit() as other:
            row = await get_room(other, appointment.video_room_id)
            row.status = "cancelled"
        assert (await get_room(unit, appointment.video_room_id, lock=True)).status == "cancelled"


async def test_a_room_that_is_about_to_be_shared_is_not_called_off(rooms):
    """The cancellation of the only other appointment waits for the booking, and sees it."""
    jane = await rooms.book()
    async with rooms.unit() as unit:
        await rooms.share(unit, jane)
        cancelling = asyncio.create_task(rooms.cancel(jane))
        await rooms.until_waits(cancelling)
    await cancelling
    assert await rooms.status(jane) == ("scheduled", ["cancelled", "scheduled"])


async def test_a_room_that_is_about_to_be_called_off_is_not_shared(rooms):
    """The booking waits for the cancellation, and is refused."""
    jane = await rooms.book()

    async def share():
        async with rooms.unit() as unit:
            await rooms.share(unit, jane)

    async with rooms.unit() as unit:
        await rooms.cancel(jane, unit)
        sharing = asyncio.create_task(share())
        await rooms.until_waits(sharing)
    with pytest.raises(Contradiction, match="cancelled"):
        await sharing
    assert await rooms.status(jane) == ("cancelled", ["cancelled"])


async def test_a_cancellation_in_the_middle_of_a_start_waits_for_it(rooms, monkeypatch):
    """Both write the room first and the appointment then: neither waits for one that waits."""
    jane = await rooms.book()
    meeting, epoch = await rooms.meeting(jane)
    started = journal.sitting_started
    cancelling = []

    async def start(projection):
        cancelling.append(asyncio.create_task(rooms.cancel(jane)))
        await rooms.until_waits(cancelling[0])
        await started(projection)

    monkeypatch.setattr(journal, "sitting_started", start)
    await meeting.commit(epoch)
    (refusal,) = await asyncio.gather(*cancelling, return_exceptions=True)
    assert refusal is None or isinstance(refusal, StaleDataError), "told to look again, at the most"
    assert await rooms.status(jane) == AFTER[refusal is None]


async def test_an_appointment_becomes_nobody_elses_while_its_door_opens(rooms):
    """The change waits for the first guest's arrival to be written, and is refused then."""
    jane = await rooms.book()

    async def change():
        async with rooms.unit() as unit:
            person = Person(id=unit.ids(), first_name="Kim")
            await unit.add(person)
            row = await unit.session.get(Appointment, (rooms.tenant.tenant.id, jane.id))
            await change_person(unit, row, person.id)

    async with rooms.unit() as unit:
        (await get_room(unit, jane.video_room_id)).status = "lobby_open"
        await unit.session.flush()
        changing = asyncio.create_task(change())
        await rooms.until_waits(changing)
    with pytest.raises(Contradiction, match="somebody has come"):
        await changing


async def test_cancelling_at_the_moment_of_the_start_is_no_deadlock(rooms):
    """Whoever is first; who is too late is told that the row has changed."""
    for _ in range(10):
        jane = await rooms.book()
        meeting, epoch = await rooms.meeting(jane)
        _, cancelled = outcomes = await asyncio.gather(
            meeting.commit(epoch), rooms.cancel(jane), return_exceptions=True
        )
        refusals = [each for each in outcomes if isinstance(each, BaseException)]
        assert all(isinstance(each, StaleDataError) for each in refusals), refusals
        assert await rooms.status(jane) == AFTER[not isinstance(cancelled, BaseException)]
