"""Booking, confirming, moving and cancelling appointments.

Each function works in the caller's unit of work and leaves the commit to it. Bookings of one staff
member are made one after another (a row lock on the staff row), so the refusal can name what is in
the way; the database's own rule against overlaps stands behind that.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from storage.database import Unit

from ..changes.service import announce
from ..errors import Contradiction, NoSuchReference, SlotTaken
from ..leads.history import record_event
from ..meetings import rooms
from ..meetings.links import LinkUrls, RandomBytes, issue_link, revoke_links
from ..meetings.models import VideoRoom
from ..people.models import Person
from ..references import require_references
from ..tenants.models import Staff
from .models import Appointment, AppointmentAttendee, Booking, Service
from .states import OPEN_STATES, apply

DEFAULT_MINUTES = 30


@dataclass(frozen=True)
class LinkMaker:
    """What it takes to make links: where the product is served, and randomness."""

    base_url: str
    random_bytes: RandomBytes


@dataclass(frozen=True)
class Booked:
    """A new appointment; its links, if it is a video meeting, are shown this once."""

    appointment: Appointment
    links: LinkUrls | None


async def book(
    unit: Unit, values: dict[str, Any], links: LinkMaker, *, default_staff_id: UUID | None = None
) -> Booked:
    """Make an appointment, take the staff member's time, and open a room for a video meeting.

    Args:
        unit: the caller's.
        values: columns of `Appointment` by name; ``starts_at`` is required.
        links: for the room's two links.
        default_staff_id: whose appointment it is when `values` do not say.

    Raises:
        Contradiction: a time, a reference or the staff member is missing or wrong.
        SlotTaken: the staff member is booked then.
    """
    values = dict(values)
    await require_references(unit, Appointment, values)
    service = await _service(unit, values.get("service_id"))
    if values.get("ends_at") is None:
        minutes = DEFAULT_MINUTES if service is None else service.duration_minutes
        values["ends_at"] = _shift(values["starts_at"], minutes)
    _require_order(values["starts_at"], values["ends_at"])
    staff = await _staff(unit, values.get("staff_id") or default_staff_id)
    values["staff_id"] = staff.id
    if service is not None and "location_kind" not in values:
        values["location_kind"] = service.location_kind
    appointment = Appointment(
        id=unit.ids(),
        status="tentative"
        if service is not None and service.requires_confirmation
        else "scheduled",
        **{"kind": "consultation", "location_kind": "video", **values},
    )
    booking = _booking(unit, appointment, staff.id, service)
    await _require_free(unit, booking)
    urls = None
    if appointment.location_kind == "video":
        urls = await _open_room(unit, appointment, staff, links)
    await unit.add(appointment, booking, *_attendees(unit, appointment))
    await record_event(unit, "appointment", appointment.id, "created", to_status=appointment.status)
    _announce(unit, appointment, "appointment.created")
    return Booked(appointment, urls)


async def confirm(unit: Unit, appointment: Appointment) -> None:
    """The customer or the consultant said yes."""
    await _step(unit, appointment, "confirm")
    appointment.confirmed_at = unit.now
    _announce(unit, appointment, "appointment.confirmed")


async def reschedule(
    unit: Unit, appointment: Appointment, starts_at: datetime, ends_at: datetime | None = None
) -> None:
    """Move it; without `ends_at` it keeps its length. A confirmation was for the old time.

    Raises:
        SlotTaken: the staff member is booked then.
        IllegalTransition: it is over or cancelled.
    """
    ends_at = ends_at or _shift(starts_at, (appointment.ends_at - appointment.starts_at))
    _require_order(starts_at, ends_at)
    was = (appointment.starts_at, appointment.ends_at)
    await _step(unit, appointment, "reschedule")
    appointment.starts_at, appointment.ends_at = starts_at, ends_at
    appointment.confirmed_at = None
    appointment.calendar_sequence += 1
    service = await _service(unit, appointment.service_id)
    for booking in await _bookings(unit, appointment.id):
        moved = _booking(unit, appointment, booking.staff_id, service)
        booking.starts_at, booking.ends_at = moved.starts_at, moved.ends_at
        await _require_free(unit, booking)
    if appointment.video_room_id is not None:
        room = await rooms.get_room(unit, appointment.video_room_id)
        if (room.starts_at, room.ends_at) == was:
            room.starts_at, room.ends_at = starts_at, ends_at
    await unit.session.flush()
    _announce(unit, appointment, "appointment.rescheduled")


async def cancel(unit: Unit, appointment: Appointment, reason: str | None = None) -> None:
    """Call it off: the time is free again and the room's links open nothing."""
    await _step(unit, appointment, "cancel")
    appointment.cancelled_at = unit.now
    appointment.cancel_reason = reason
    appointment.outcome = "cancelled"
    for booking in await _bookings(unit, appointment.id):
        booking.is_blocking = False
    await unit.session.flush()
    if appointment.video_room_id is not None and not await _room_is_shared(unit, appointment):
        await rooms.cancel_room(
            unit, appointment.video_room_id, reason=reason or "appointment cancelled"
        )
    _announce(unit, appointment, "appointment.cancelled")


async def fresh_links(unit: Unit, appointment: Appointment, links: LinkMaker) -> LinkUrls:
    """New links for the room; all earlier ones are void.

    Raises:
        Contradiction: it has no room.
        IllegalTransition: it is over or cancelled.
    """
    if appointment.video_room_id is None:
        raise Contradiction("this appointment has no video room", field="video_room_id")
    if appointment.status not in OPEN_STATES:
        apply(appointment.status, "reschedule")
    room = await rooms.get_room(unit, appointment.video_room_id)
    await revoke_links(unit, room.id)
    staff = await _staff(unit, appointment.staff_id)
    return await _issue_links(unit, room, appointment, staff, links)


async def _open_room(
    unit: Unit, appointment: Appointment, staff: Staff, links: LinkMaker
) -> LinkUrls | None:
    if appointment.video_room_id is not None:
        # An existing room, for instance of a training that many appointments share.
        return None
    room = await rooms.create_room(
        unit,
        name=appointment.title or f"Meeting with {staff.name}",
        room_type="training" if appointment.kind == "training" else "consultation",
        random_bytes=links.random_bytes,
        host_id=staff.id,
        starts_at=appointment.starts_at,
        ends_at=appointment.ends_at,
    )
    appointment.video_room_id = room.id
    return await _issue_links(unit, room, appointment, staff, links)


async def _issue_links(
    unit: Unit, room: VideoRoom, appointment: Appointment, staff: Staff, links: LinkMaker
) -> LinkUrls:
    guest_name = None
    if appointment.person_id is not None:
        guest_name = await unit.session.scalar(
            sa.select(Person.full_name).where(Person.id == appointment.person_id)
        )
    host_url = await issue_link(
        unit,
        room,
        role="host",
        display_name=staff.name,
        lobby=False,
        base_url=links.base_url,
        random_bytes=links.random_bytes,
        staff_id=staff.id,
    )
    guest_url = await issue_link(
        unit,
        room,
        role="participant",
        display_name=guest_name or "",
        lobby=True,
        base_url=links.base_url,
        random_bytes=links.random_bytes,
        person_id=appointment.person_id,
    )
    return LinkUrls(host_url, guest_url)


async def _step(unit: Unit, appointment: Appointment, action: str) -> None:
    was = appointment.status
    appointment.status = apply(was, action)
    await record_event(
        unit,
        "appointment",
        appointment.id,
        "status",
        from_status=was,
        to_status=appointment.status,
        note=action,
    )


async def _service(unit: Unit, service_id: UUID | None) -> Service | None:
    if service_id is None:
        return None
    return await unit.session.scalar(sa.select(Service).where(Service.id == service_id))


async def _staff(unit: Unit, staff_id: UUID | None) -> Staff:
    """The appointment's staff member; without a name, the only one who can be booked."""
    statement = sa.select(Staff).where(Staff.deleted_at.is_(None))
    if staff_id is not None:
        found = await unit.session.scalar(statement.where(Staff.id == staff_id))
        if found is None:
            raise NoSuchReference(f"no such staff: {staff_id}", field="staff_id")
        return found
    bookable = (
        await unit.session.scalars(statement.where(Staff.is_bookable, Staff.is_active).limit(2))
    ).all()
    if len(bookable) != 1:
        raise Contradiction("say whose appointment it is", field="staff_id")
    return bookable[0]


async def _require_free(unit: Unit, booking: Booking) -> None:
    """Lock the staff member's calendar and look for what is in the way.

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
        await unit.session.execute(
            sa.select(Booking.starts_at, Booking.ends_at, Booking.appointment_id)
            .where(
                Booking.staff_id == booking.staff_id,
                Booking.is_blocking,
                Booking.id != booking.id,
                Booking.starts_at < booking.ends_at,
                Booking.ends_at > booking.starts_at,
            )
            .order_by(Booking.starts_at)
            .limit(1)
        )
    ).first()
    if in_the_way is not None:
        raise SlotTaken(*in_the_way)


def _booking(
    unit: Unit, appointment: Appointment, staff_id: UUID, service: Service | None
) -> Booking:
    before = 0 if service is None else service.buffer_before_minutes
    after = 0 if service is None else service.buffer_after_minutes
    return Booking(
        id=unit.ids(),
        kind="appointment",
        staff_id=staff_id,
        appointment_id=appointment.id,
        starts_at=_shift(appointment.starts_at, -before),
        ends_at=_shift(appointment.ends_at, after),
        is_blocking=True,
        created_at=unit.now,
    )


async def _bookings(unit: Unit, appointment_id: UUID) -> list[Booking]:
    found = await unit.session.scalars(
        sa.select(Booking).where(Booking.appointment_id == appointment_id)
    )
    return list(found)


def _attendees(unit: Unit, appointment: Appointment) -> list[AppointmentAttendee]:
    rows = [
        AppointmentAttendee(
            id=unit.ids(),
            appointment_id=appointment.id,
            staff_id=appointment.staff_id,
            role="host",
            response="accepted",
        )
    ]
    if appointment.person_id is not None:
        rows.append(
            AppointmentAttendee(
                id=unit.ids(),
                appointment_id=appointment.id,
                person_id=appointment.person_id,
                role="guest",
            )
        )
    return rows


async def _room_is_shared(unit: Unit, appointment: Appointment) -> bool:
    other = await unit.session.scalar(
        sa.select(Appointment.id)
        .where(
            Appointment.video_room_id == appointment.video_room_id,
            Appointment.id != appointment.id,
            Appointment.status.in_(sorted(OPEN_STATES)),
            Appointment.deleted_at.is_(None),
        )
        .limit(1)
    )
    return other is not None


def _require_order(starts_at: datetime, ends_at: datetime) -> None:
    if ends_at <= starts_at:
        raise Contradiction("an appointment ends after it starts", field="ends_at")


def _shift(moment: datetime, by: float | timedelta) -> datetime:
    """`moment` moved by minutes or a timedelta.

    Raises:
        Contradiction: the calendar ends there.
    """
    delta = by if isinstance(by, timedelta) else timedelta(minutes=by)
    try:
        return moment + delta
    except OverflowError:
        raise Contradiction("that time is outside the calendar", field="starts_at") from None


def _announce(unit: Unit, appointment: Appointment, topic: str) -> None:
    announce(
        unit,
        topic,
        "appointment",
        appointment.id,
        version=appointment.version,
        payload={"status": appointment.status, "calendar_sequence": appointment.calendar_sequence},
    )
