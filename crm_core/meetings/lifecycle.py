"""What the start and the end of a sitting mean to the rest of the CRM.

Start: the appointment is in progress. End: open attendance is closed, the appointment is completed
or a no-show, and one communications row of channel ``meeting`` tells the story on the timelines of
all concerned. An appointment may still be ahead, and then nothing is settled and the room waits for
another sitting: before its door opens the host looked in alone, or met some of those who share the room,
or all just left, or it was moved while people met. If all met early and the host ended it, they have met.
Who was there is for ``attendance``.
Everything is found by key before it is written, in the transaction of the event itself, so ending
twice or being killed in between leaves exactly one row.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import load_only

from storage.database import Unit

from ..appointments.models import Appointment, AppointmentAttendee, Booking
from ..appointments.states import CLOSED_STATES, OPEN_STATES, apply
from ..appointments.video import MAX_SHARING
from ..changes.service import announce
from ..communications.models import Communication, CommunicationParticipant
from ..communications.service import MEETING, ROOM_KEY
from .attendance import Turnout, attendee, close_attendance
from .models import VideoRoom, VideoRoomSession
from .projection import Projection
from .rooms import reopen_room
from .states import STAFF_ROLES

DOOR_OPENS_BEFORE = timedelta(minutes=15)
"""As ``rooms.policy`` lets people in before the start; a test compares the two."""
_READ = (
    Appointment.title,
    Appointment.status,
    Appointment.outcome,
    Appointment.outcome_evidence,
    Appointment.confirmed_at,
    Appointment.person_id,
    Appointment.organization_id,
    Appointment.lead_id,
    Appointment.project_id,
    Appointment.version,
    Appointment.updated_at,
)
"""All that is read of appointments: each may have most of a megabyte of the CRM's own beside it."""


def message_id(room_id: UUID, session_no: int) -> str:
    """The key by which a sitting finds its communications row again."""
    return f"{ROOM_KEY}{room_id}:{session_no}"


async def sitting_started(projection: Projection) -> None:
    """Put the room's open appointments in progress."""
    for appointment in await _appointments(projection.unit, projection.room.id, OPEN_STATES):
        appointment.status = apply(appointment.status, "start")
    await projection.unit.session.flush()


async def sitting_ended(projection: Projection, ended_at: datetime) -> None:
    """Close the sitting's books; harmless when they are closed already."""
    unit, room, sitting = projection.unit, projection.room, projection.sitting
    if sitting.ended_at is not None:
        return
    turnout = await close_attendance(unit, room, sitting, ended_at)
    room.ended_at = sitting.ended_at = ended_at
    sitting.peak_participants = turnout.peak
    room.peak_participants = max(room.peak_participants, turnout.peak)
    still_open = await _appointments(unit, room.id, OPEN_STATES)
    about = still_open
    ahead = (
        bool(still_open)
        and _before_the_door(room, ended_at)
        and not _was_the_meeting(sitting, still_open, turnout)
    )
    if ahead:
        _put_back(still_open)
        about = still_open if turnout.held else ()
    elif still_open:
        await _close_appointments(unit, room, sitting, still_open, turnout)
    else:  # a later sitting is about what an earlier one settled; a cancelled meeting may have begun
        about = await _appointments(unit, room.id, CLOSED_STATES)
    if sitting.status != "expired":
        await _log_meeting(projection, turnout, about)
    announce(
        unit,
        "meeting.ended",
        "video_room",
        room.id,
        payload={"session_no": sitting.session_no, "reason": sitting.end_reason},
    )
    await unit.session.flush()
    if ahead:
        await reopen_room(unit, room.id)


def _before_the_door(room: VideoRoom, ended_at: datetime) -> bool:
    """Whether it was over before anybody comes to the appointment at the time that it is for now."""
    return room.starts_at is not None and ended_at < room.starts_at - DOOR_OPENS_BEFORE


def _was_the_meeting(
    sitting: VideoRoomSession, appointments: Sequence[Appointment], turnout: Turnout
) -> bool:
    """Whether all met early whom the appointments are with, and a host ended it.

    One that was moved since is in progress no more. Of a training, others come at the time for which they
    were asked.
    """
    shared = len(appointments) > 1
    return sitting.end_reason == "host" and all(
        each.status == "in_progress" and _met(each, turnout, shared=shared) for each in appointments
    )


def _met(appointment: Appointment, turnout: Turnout, *, shared: bool) -> bool:
    """Whether its customer came; where many share a room, that others came says nothing about it."""
    if shared and appointment.person_id is not None:
        return appointment.person_id in turnout.persons
    return turnout.held


def _put_back(appointments: Sequence[Appointment]) -> None:
    for appointment in appointments:
        if appointment.status != "in_progress":
            continue
        appointment.status = apply(appointment.status, "rehearse")
        if appointment.confirmed_at is not None:
            appointment.status = apply(appointment.status, "confirm")


async def _appointments(
    unit: Unit, room_id: UUID, states: Collection[str]
) -> Sequence[Appointment]:
    found = await unit.session.scalars(
        sa.select(Appointment)
        .options(load_only(*_READ, raiseload=True))
        .where(
            Appointment.video_room_id == room_id,
            Appointment.status.in_(sorted(states)),
            Appointment.deleted_at.is_(None),
        )
        .order_by(Appointment.id.desc())
        .limit(MAX_SHARING)  # as many as can be open; any number may have been closed before
    )
    return found.all()


async def _close_appointments(
    unit: Unit,
    room: VideoRoom,
    sitting: VideoRoomSession,
    appointments: Sequence[Appointment],
    turnout: Turnout,
) -> None:
    """Settle each of the room's open appointments by who came."""
    settled = [appointment.id for appointment in appointments]
    await unit.session.execute(
        sa.update(Booking)
        .where(Booking.appointment_id.in_(settled))
        .values(is_blocking=False)  # what is left of the time can be booked again
        .execution_options(synchronize_session=False)
    )
    await unit.session.execute(
        sa.update(AppointmentAttendee)
        .where(
            AppointmentAttendee.appointment_id.in_(settled),
            AppointmentAttendee.person_id.is_not(None),
            AppointmentAttendee.person_id.not_in(turnout.persons),
        )
        .values(is_no_show=True)
        .execution_options(synchronize_session=False)
    )
    for appointment in appointments:
        met = _met(appointment, turnout, shared=len(appointments) > 1)
        appointment.status = apply(appointment.status, "complete" if met else "miss")
        appointment.outcome = "held" if met else "no_show"
        appointment.outcome_evidence = message_id(room.id, sitting.session_no)
        announce(
            unit,
            f"appointment.{appointment.status}",
            "appointment",
            appointment.id,
            payload={"video_room_id": str(room.id), "session_no": sitting.session_no},
        )


def _shared(appointments: Sequence[Appointment], name: str) -> Any:
    """What all the appointments say of `name`; None when they differ.

    A training that many share is about no single person; each of them finds it by having taken
    part, each of their leads by the appointment that it settled.
    """
    values = {getattr(appointment, name) for appointment in appointments}
    return values.pop() if len(values) == 1 else None


async def _log_meeting(
    projection: Projection,
    turnout: Turnout,
    about: Sequence[Appointment],
) -> None:
    """Write the sitting's one communications row, unless it is there."""
    unit, room, sitting = projection.unit, projection.room, projection.sitting
    key = message_id(room.id, sitting.session_no)
    there = await unit.session.scalar(
        sa.select(Communication.id).where(
            Communication.channel == MEETING, Communication.message_id == key
        )
    )
    if there is not None:
        return
    outcomes = {each.status for each in about}
    status = "completed"
    if outcomes and not turnout.held:
        status = "no_show" if "no_show" in outcomes else "cancelled"
    started_at = sitting.started_at or sitting.ended_at or unit.now
    ended_at = max(started_at, turnout.over_at or sitting.ended_at or unit.now)
    row = Communication(
        id=unit.ids(),
        channel=MEETING,
        direction="outbound" if about else "internal",
        status=status,
        occurred_at=started_at,
        completed_at=ended_at,
        scheduled_at=room.starts_at,
        duration_seconds=round((ended_at - started_at).total_seconds()),
        subject=_shared(about, "title") or room.name,
        staff_id=room.host_id,
        person_id=_shared(about, "person_id"),
        organization_id=_shared(about, "organization_id"),
        lead_id=_shared(about, "lead_id"),
        project_id=_shared(about, "project_id"),
        appointment_id=_shared(about, "id"),
        video_room_id=room.id,
        message_id=key,
        attendees=[
            attendee(each, turnout.stands_for.get(each.id), turnout.intervals.get(each.id, []))
            for each in turnout.listed
        ],
        meta={
            "session_no": sitting.session_no,
            "end_reason": sitting.end_reason,
            "waited": turnout.waited,
        },
    )
    await unit.add(row)
    unit.session.add_all(
        CommunicationParticipant(
            id=unit.ids(),
            communication_id=row.id,
            role="host" if person.role in STAFF_ROLES else "attendee",
            name=person.display_name,
            person_id=turnout.stands_for.get(person.id),
            staff_id=person.staff_id,
            joined_at=person.joined_at,
            left_at=person.left_at,
        )
        for person in turnout.came
        if person.kind == "person"
    )
    announce(unit, "communication.created", "communication", row.id, payload={"channel": MEETING})
