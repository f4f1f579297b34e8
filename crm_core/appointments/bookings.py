"""Whose time an appointment takes: bookings, made one after another for each staff member.

A row lock on the staff row lets the refusal name what is in the way; the database's own rule
against overlaps stands behind that. Appointments of one staff member that share a room are one
meeting, which takes the time once.
"""

from datetime import timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from storage.database import Unit

from ..errors import SlotTaken
from ..tenants.models import Staff
from .models import Appointment, Booking, Service
from .states import OPEN_STATES
from .times import LONGEST, shift

BUFFERS: Final = timedelta(days=2)
"""What services may have around an appointment, and be found here."""


def booking_of(unit: Unit, appointment: Appointment, service: Service | None) -> Booking:
    """The time of its staff member that an appointment takes, with the service's buffers."""
    before = 0 if service is None else service.buffer_before_minutes
    after = 0 if service is None else service.buffer_after_minutes
    return Booking(
        id=unit.ids(),
        kind="appointment",
        staff_id=appointment.staff_id,
        appointment_id=appointment.id,
        starts_at=shift(appointment.starts_at, -before),
        ends_at=shift(appointment.ends_at, after),
        is_blocking=True,
        created_at=unit.now,
    )


async def take_time(unit: Unit, appointment: Appointment, booking: Booking) -> None:
    """Lock the staff member's calendar and see that the booking's time is free.

    It does not block when an appointment that shares the room has taken that time.

    Raises:
        SlotTaken: names the interval and, where there is one, the appointment.
    """
    await unit.session.execute(
        sa.select(Staff.id).where(Staff.id == booking.staff_id).with_for_update(key_share=True)
    )
    await unit.session.execute(
        sa.delete(Booking)
        .where(
            Booking.staff_id == booking.staff_id,
            Booking.kind == "hold",
            Booking.expires_at < unit.now,
        )
        .execution_options(synchronize_session=False)
    )
    in_the_way = (
        sa.select(Booking.starts_at, Booking.ends_at, Booking.appointment_id)
        .where(
            Booking.staff_id == booking.staff_id,
            Booking.is_blocking,
            Booking.id != booking.id,
            Booking.starts_at < booking.ends_at,
            Booking.ends_at > booking.starts_at,
            # So that years of bookings are not looked through; the database's rule knows longer ones.
            Booking.starts_at > shift(booking.starts_at, -(LONGEST + BUFFERS)),
        )
        .order_by(Booking.starts_at)
        .limit(1)
    )
    by_others = sa.or_(
        Booking.appointment_id.is_(None), Booking.appointment_id.not_in(_sharers(appointment))
    )
    other = (await unit.session.execute(in_the_way.where(by_others))).first()
    if other is not None:
        raise SlotTaken(*other)
    booking.is_blocking = (await unit.session.execute(in_the_way)).first() is None


async def free_time(unit: Unit, appointment: Appointment) -> None:
    """Give its time back, or over to an appointment that shares the room."""
    for booking in await bookings_of(unit, appointment.id):
        if not booking.is_blocking:
            continue
        booking.is_blocking = False
        await unit.session.flush()
        heir = await unit.session.scalar(
            sa.select(Booking)
            .where(
                Booking.staff_id == booking.staff_id,
                Booking.appointment_id.in_(_sharers(appointment)),
            )
            .order_by(Booking.id)
            .limit(1)
        )
        if heir is not None:
            # Exactly what was free a moment ago, whatever its own buffers are.
            heir.starts_at, heir.ends_at = booking.starts_at, booking.ends_at
            heir.is_blocking = True
    await unit.session.flush()


async def bookings_of(unit: Unit, appointment_id: UUID) -> list[Booking]:
    """The bookings of an appointment."""
    found = await unit.session.scalars(
        sa.select(Booking).where(Booking.appointment_id == appointment_id)
    )
    return list(found)


def open_in(room_id: UUID | None) -> sa.Select[UUID]:
    """Ids of the open appointments in a room, and so at its time; a deleted one is cancelled."""
    if room_id is None:
        return sa.select(Appointment.id).where(sa.false())
    return sa.select(Appointment.id).where(
        Appointment.video_room_id == room_id, Appointment.status.in_(sorted(OPEN_STATES))
    )


async def is_shared(unit: Unit, appointment: Appointment) -> bool:
    """Whether other open appointments are in its room."""
    return await unit.session.scalar(_sharers(appointment).limit(1)) is not None


def _sharers(appointment: Appointment) -> sa.Select[UUID]:
    return open_in(appointment.video_room_id).where(Appointment.id != appointment.id)
