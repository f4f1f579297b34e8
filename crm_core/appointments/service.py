"""Booking, confirming, moving and cancelling appointments.

Each function works in the caller's unit of work and leaves the commit to it. Whose time an
appointment takes is in ``bookings.py``, its room and links in ``video.py``.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from storage.database import Unit

from ..changes.service import announce
from ..errors import Contradiction, IllegalTransition, NoSuchReference
from ..leads.history import record_event
from ..leads.models import Lead
from ..meetings.links import LinkUrls
from ..meetings.models import VideoRoom
from ..references import require_references
from ..tenants.models import Staff
from . import video
from .bookings import booking_of, bookings_of, free_time, take_time
from .models import Appointment, AppointmentAttendee, Service
from .states import OPEN_STATES, apply
from .times import require_order, shift
from .video import LinkMaker

DEFAULT_MINUTES = 30


@dataclass(frozen=True)
class Booked:
    """A new appointment; its links, if it is a video meeting, are shown this once."""

    appointment: Appointment
    links: LinkUrls | None


async def book(
    unit: Unit, values: dict[str, Any], links: LinkMaker, *, default_staff_id: UUID | None = None
) -> Booked:
    """Make an appointment and take the staff member's time; a video meeting gets a room and links.

    Args:
        unit: the caller's.
        values: columns of `Appointment` by name; ``starts_at`` is required. With
            ``video_room_id`` it shares the room of another appointment at the same time.
        links: for the two links.
        default_staff_id: whose appointment it is when `values` do not say.

    Raises:
        Contradiction: a time, a reference, the room or the staff member is missing or wrong.
        SlotTaken: the staff member is booked then.
    """
    values = dict(values)
    await require_references(unit, Appointment, values)
    service = await _service(unit, values.get("service_id"))
    if service is not None and "location_kind" not in values:
        values["location_kind"] = service.location_kind
    shared = await video.find_shared(unit, values)
    if values.get("ends_at") is None:
        values["ends_at"] = _end(values["starts_at"], service, shared)
    if shared is not None:
        video.require_same_time(shared, values["starts_at"], values["ends_at"])
    require_order(values["starts_at"], values["ends_at"])
    staff = await _staff(unit, values.get("staff_id") or default_staff_id)
    values["staff_id"] = staff.id
    if values.get("person_id") is None and values.get("lead_id") is not None:
        values["person_id"] = await unit.session.scalar(
            sa.select(Lead.person_id).where(Lead.id == values["lead_id"])
        )
    appointment = Appointment(
        id=unit.ids(),
        status="tentative"
        if service is not None and service.requires_confirmation
        else "scheduled",
        **{"kind": "consultation", "location_kind": "video", **values},
    )
    booking = booking_of(unit, appointment, service)
    await take_time(unit, appointment, booking)
    room = shared
    if room is None and appointment.location_kind == "video":
        room = await video.open_room(unit, appointment, staff, links.random_bytes)
    await unit.add(appointment, booking, *_attendees(unit, appointment))
    urls = None
    if room is not None:
        urls = await video.issue_links(unit, room, appointment, staff, links)
    await record_event(unit, "appointment", appointment.id, "created", to_status=appointment.status)
    _announce(unit, appointment, "appointment.created")
    return Booked(appointment, urls)


async def confirm(unit: Unit, appointment: Appointment) -> None:
    """The customer or the consultant said yes."""
    await _step(unit, appointment, "confirm", confirmed_at=unit.now)
    _announce(unit, appointment, "appointment.confirmed")


async def reschedule(
    unit: Unit, appointment: Appointment, starts_at: datetime, ends_at: datetime | None = None
) -> None:
    """Move it; without `ends_at` it keeps its length. A confirmation was for the old time.

    Raises:
        Contradiction: others share its room, or the times are wrong.
        SlotTaken: the staff member is booked then.
        IllegalTransition: it is over or cancelled.
    """
    ends_at = ends_at or shift(starts_at, (appointment.ends_at - appointment.starts_at))
    require_order(starts_at, ends_at)
    room = await video.locked_room(unit, appointment)
    await _step(
        unit,
        appointment,
        "reschedule",
        starts_at=starts_at,
        ends_at=ends_at,
        confirmed_at=None,
        calendar_sequence=appointment.calendar_sequence + 1,
    )
    if room is not None:
        await video.move_room(unit, room, appointment, starts_at, ends_at)
    service = await _service(unit, appointment.service_id)
    for booking in await bookings_of(unit, appointment.id):
        moved = booking_of(unit, appointment, service)
        booking.starts_at, booking.ends_at = moved.starts_at, moved.ends_at
        await take_time(unit, appointment, booking)
    await unit.session.flush()
    _announce(unit, appointment, "appointment.rescheduled")


async def cancel(unit: Unit, appointment: Appointment, reason: str | None = None) -> None:
    """Call it off: the time is free again and its links open nothing."""
    room = await video.locked_room(unit, appointment)
    await _step(
        unit,
        appointment,
        "cancel",
        cancelled_at=unit.now,
        cancel_reason=reason,
        outcome="cancelled",
    )
    await free_time(unit, appointment)
    if room is not None:
        await video.leave_room(unit, room, appointment, reason or "appointment cancelled")
    _announce(unit, appointment, "appointment.cancelled")


async def change_person(unit: Unit, appointment: Appointment, person_id: UUID | None) -> None:
    """The appointment is with somebody else: they are expected, and its guest link is void.

    Raises:
        Contradiction: somebody has come to its room, who would be taken for somebody else.
    """
    if person_id == appointment.person_id:
        return
    if appointment.status in OPEN_STATES:
        await video.require_nobody_came(unit, appointment)
    await unit.session.execute(
        sa.delete(AppointmentAttendee)
        .where(
            AppointmentAttendee.appointment_id == appointment.id,
            AppointmentAttendee.person_id == appointment.person_id,
            AppointmentAttendee.role == "guest",
        )
        .execution_options(synchronize_session=False)
    )
    appointment.person_id = person_id
    await unit.add(*_guests(unit, appointment))
    await video.revoke_guest_link(unit, appointment)


async def fresh_links(unit: Unit, appointment: Appointment, links: LinkMaker) -> LinkUrls:
    """New links of the appointment; its earlier ones are void.

    Raises:
        Contradiction: it has no room, or somebody it is for is gone.
        IllegalTransition: it is over or cancelled.
    """
    room = await video.locked_room(unit, appointment)
    if room is None:
        raise Contradiction("this appointment has no video room", field="video_room_id")
    await unit.session.refresh(appointment)  # it may have been cancelled while we waited
    if appointment.status not in OPEN_STATES:
        raise IllegalTransition("appointment", appointment.status, "have new links")
    staff = await _staff(unit, appointment.staff_id)
    return await video.issue_links(unit, room, appointment, staff, links)


async def _step(unit: Unit, appointment: Appointment, action: str, **changes: Any) -> None:
    """Take the step, with what changes by it: one new version of the row."""
    was = appointment.status
    appointment.status = apply(was, action)
    for name, value in changes.items():
        setattr(appointment, name, value)
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
        if not found.is_active:
            raise Contradiction(f"{found.name} does not work here any more", field="staff_id")
        return found
    bookable = (
        await unit.session.scalars(statement.where(Staff.is_bookable, Staff.is_active).limit(2))
    ).all()
    if len(bookable) != 1:
        raise Contradiction("say whose appointment it is", field="staff_id")
    return bookable[0]


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
    return [*rows, *_guests(unit, appointment)]


def _guests(unit: Unit, appointment: Appointment) -> list[AppointmentAttendee]:
    if appointment.person_id is None:
        return []
    return [
        AppointmentAttendee(
            id=unit.ids(),
            appointment_id=appointment.id,
            person_id=appointment.person_id,
            role="guest",
        )
    ]


def _end(starts_at: datetime, service: Service | None, shared: VideoRoom | None) -> datetime:
    """When it ends if nobody says so: with the room it shares, or as its service lasts."""
    if shared is not None and shared.ends_at is not None:
        return shared.ends_at
    return shift(starts_at, DEFAULT_MINUTES if service is None else service.duration_minutes)


def _announce(unit: Unit, appointment: Appointment, topic: str) -> None:
    announce(
        unit,
        topic,
        "appointment",
        appointment.id,
        version=appointment.version,
        payload={"status": appointment.status, "calendar_sequence": appointment.calendar_sequence},
    )
