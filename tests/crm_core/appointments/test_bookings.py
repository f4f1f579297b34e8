"""Whose time an appointment takes when it is moved, handed on, or shared while it is cancelled."""

import asyncio
from datetime import timedelta

import pytest
import sqlalchemy as sa

from crm_core.appointments.models import Appointment, AppointmentAttendee, Booking, Service
from crm_core.appointments.service import book, cancel, reschedule
from crm_core.appointments.times import LONGEST
from crm_core.errors import Contradiction, SlotTaken
from crm_core.meetings.models import VideoRoom
from crm_core.people.models import Person
from tests.crm_core.meetings.support import START, book_meeting
from tests.support.databases import LINKS


def _at(minutes):
    return START + timedelta(minutes=minutes)


class Calendar:
    """Appointments of one staff member."""

    def __init__(self, database, tenant):
        self.database = database
        self.tenant = tenant

    def unit(self, **options):
        return self.database.unit_of_work(self.tenant.tenant.id, **options)

    async def book(self, minute=0, length=30, **values):
        async with self.unit() as unit:
            times = {"starts_at": _at(minute), "ends_at": _at(minute + length)}
            staff = {"staff_id": self.tenant.staff.id}
            return (await book(unit, {**times, **staff, **values}, LINKS)).appointment

    async def run(self, use_case, appointment, *arguments):
        async with self.unit() as unit:
            row = await unit.session.get(Appointment, (self.tenant.tenant.id, appointment.id))
            return await use_case(unit, row, *arguments)

    async def service(self, before, after):
        """A service with these buffers in minutes."""
        async with self.unit() as unit:
            made = Service(
                id=unit.ids(),
                name="Consulting",
                duration_minutes=30,
                buffer_before_minutes=before,
                buffer_after_minutes=after,
            )
            await unit.add(made)
        return made.id

    async def all(self, model):
        async with self.unit(read_only=True) as unit:
            return list(await unit.session.scalars(sa.select(model).order_by(model.id)))

    async def taken(self):
        """Who takes which minutes."""
        return {
            row.appointment_id: tuple(
                (moment - START).total_seconds() / 60 for moment in (row.starts_at, row.ends_at)
            )
            for row in await self.all(Booking)
            if row.is_blocking
        }


@pytest.fixture
def calendar(database, tenant):
    return Calendar(database, tenant)


async def test_an_appointment_moved_by_less_than_its_length_is_not_in_its_own_way(calendar):
    """Later or earlier, over its own time: it moves, and what it left is free again."""
    appointment = await calendar.book(0, 60)
    for minute in (20, -10):
        await calendar.run(reschedule, appointment, _at(minute))
        assert await calendar.taken() == {appointment.id: (minute, minute + 60)}
    await calendar.book(50, 10)


async def test_an_heir_has_exactly_the_time_that_was_freed(calendar):
    """Its own buffers are others: more could overlap a neighbour, less would free what is not."""
    wide, narrow = await calendar.service(20, 15), await calendar.service(0, 5)
    jane = await calendar.book(service_id=wide)
    kim = await calendar.book(service_id=narrow, video_room_id=jane.video_room_id)
    lee = await calendar.book(-50, 30)  # ends where Jane's buffer begins
    assert await calendar.taken() == {jane.id: (-20, 45), lee.id: (-50, -20)}
    await calendar.run(cancel, jane)
    assert await calendar.taken() == {kim.id: (-20, 45), lee.id: (-50, -20)}
    with pytest.raises(SlotTaken):
        await calendar.book(40, 5)
    await calendar.run(cancel, kim)
    assert await calendar.taken() == {lee.id: (-50, -20)}


async def test_an_heir_with_wider_buffers_overlaps_no_neighbour(calendar):
    """The other way round: it inherits what was taken, not what it would have asked for."""
    wide, narrow = await calendar.service(20, 15), await calendar.service(0, 5)
    jane = await calendar.book(service_id=narrow)
    kim = await calendar.book(service_id=wide, video_room_id=jane.video_room_id)
    await calendar.book(-30, 30)  # ends where Jane begins
    await calendar.run(cancel, jane)
    assert (await calendar.taken())[kim.id] == (0, 35)


async def test_the_longest_with_its_buffers_is_found_in_the_way_and_no_years_are_looked_through(
    calendar, statements
):
    """31 days of which the last minutes are asked for, and a day of buffer on either side."""
    wide = await calendar.service(1440, 1440)
    minutes = int(LONGEST.total_seconds()) // 60
    first = await calendar.book(length=minutes, service_id=wide)
    statements.clear()
    with pytest.raises(SlotTaken) as refused:
        await calendar.book(minutes + 1439)
    assert refused.value.extra["conflict"]["appointment_id"] == str(first.id)
    (look,) = [each for each in statements if "FROM bookings" in each and "LIMIT" in each]
    assert "bookings.starts_at >" in look
    await calendar.book(minutes + 1440)


@pytest.mark.parametrize("status", ["ending", "ended", "archived", "cancelled", "expired"])
async def test_a_room_whose_meeting_is_over_is_not_shared(calendar, status):
    """The refusal says what became of the meeting, and nothing is booked."""
    jane = await calendar.book()
    async with calendar.unit() as unit:
        await unit.session.execute(
            sa.update(VideoRoom).values(status=status).execution_options(synchronize_session=False)
        )
    with pytest.raises(Contradiction) as refused:
        await calendar.book(video_room_id=jane.video_room_id)
    assert refused.value.extra["room_status"] == status
    assert [row.id for row in await calendar.all(Appointment)] == [jane.id]


async def test_a_room_is_not_called_off_while_somebody_comes_to_share_it(calendar):
    """Booked and cancelled at once: never an open appointment in a cancelled room."""
    for _ in range(10):
        jane = await calendar.book()

        async def share(room_id=jane.video_room_id):
            return await calendar.book(video_room_id=room_id)

        shared, cancelled = await asyncio.gather(
            share(), calendar.run(cancel, jane), return_exceptions=True
        )
        assert cancelled is None
        async with calendar.unit(read_only=True) as unit:
            status = await unit.session.scalar(
                sa.select(VideoRoom.status).where(VideoRoom.id == jane.video_room_id)
            )
        if isinstance(shared, Contradiction):
            assert status == "cancelled"
        else:
            assert status == "scheduled"
            assert list(await calendar.taken()) == [shared.id]
            await calendar.run(cancel, shared)


async def test_a_no_show_marks_only_those_of_its_own_appointment(database, tenant):
    """Somebody who is expected elsewhere has missed nothing."""
    meeting = await book_meeting(database, tenant)
    calendar = Calendar(database, tenant)
    async with calendar.unit() as unit:
        other = Person(id=unit.ids(), first_name="Kim")
        await unit.add(other)
    await calendar.book(24 * 60, person_id=other.id)
    epoch = await meeting.claim()
    meeting.event("room.state", 3600, state="expired", reason="nobody")
    await meeting.commit(epoch)
    marked = {
        row.person_id: row.is_no_show
        for row in await calendar.all(AppointmentAttendee)
        if row.person_id is not None
    }
    assert marked == {meeting.person_id: True, other.id: False}
