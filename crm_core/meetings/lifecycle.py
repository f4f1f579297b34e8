"""What the start and the end of a sitting mean to the rest of the CRM.

Start: the appointment is in progress. End: open attendance is closed, the appointment is completed
or a no-show, and one communications row of channel ``meeting`` tells the story on the timelines of
all concerned. Everything is found by key before it is written, in the transaction of the event
itself, so ending twice or being killed in between leaves exactly one row.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from storage.database import Unit
from storage.types import iso_utc

from ..appointments.models import Appointment, AppointmentAttendee
from ..appointments.states import OPEN_STATES, apply
from ..changes.service import announce
from ..communications.models import Communication, CommunicationParticipant
from .models import VideoRoom, VideoRoomInterval, VideoRoomParticipant, VideoRoomSession
from .projection import Projection
from .states import PARTICIPANT_GONE, STAFF_ROLES


def message_id(room_id: UUID, session_no: int) -> str:
    """The key by which a sitting finds its communications row again."""
    return f"room:{room_id}:{session_no}"


async def sitting_started(projection: Projection) -> None:
    """Put the room's open appointments in progress."""
    for appointment in await _open_appointments(projection.unit, projection.room.id):
        appointment.status = apply(appointment.status, "start")
    await projection.unit.session.flush()


async def sitting_ended(projection: Projection, ended_at: datetime) -> None:
    """Close the sitting's books; harmless when they are closed already."""
    unit, room, sitting = projection.unit, projection.room, projection.sitting
    if sitting.ended_at is not None:
        return
    people = await _participants(unit, room.id, sitting.session_no)
    intervals = await _close_intervals(unit, people, ended_at)
    for person in people:
        if person.status not in PARTICIPANT_GONE:
            person.status = "left"
            person.left_at = ended_at
            person.leave_reason = "ended"
        person.audio_on = person.video_on = person.screen_on = False
    room.ended_at = sitting.ended_at = ended_at
    sitting.peak_participants = _peak(intervals)
    room.peak_participants = max(room.peak_participants, sitting.peak_participants)
    met = any(_is_customer(person) and person.admitted_at is not None for person in people)
    await _close_appointments(unit, room, sitting, people, met=met)
    if sitting.status != "expired":
        await _log_meeting(unit, room, sitting, people, intervals, met=met)
    announce(
        unit,
        "meeting.ended",
        "video_room",
        room.id,
        payload={"session_no": sitting.session_no, "reason": sitting.end_reason},
    )
    await unit.session.flush()


def _is_customer(participant: VideoRoomParticipant) -> bool:
    return (
        participant.kind == "person"
        and participant.staff_id is None
        and participant.role not in STAFF_ROLES
    )


async def _participants(
    unit: Unit, room_id: UUID, session_no: int
) -> Sequence[VideoRoomParticipant]:
    found = await unit.session.scalars(
        sa.select(VideoRoomParticipant)
        .where(
            VideoRoomParticipant.room_id == room_id,
            VideoRoomParticipant.session_no == session_no,
        )
        .order_by(VideoRoomParticipant.id)
    )
    return found.all()


async def _close_intervals(
    unit: Unit, people: Sequence[VideoRoomParticipant], ended_at: datetime
) -> dict[UUID, list[VideoRoomInterval]]:
    """All intervals by participant, the open ones closed at the end of the sitting."""
    found = await unit.session.scalars(
        sa.select(VideoRoomInterval)
        .where(VideoRoomInterval.participant_id.in_([person.id for person in people]))
        .order_by(VideoRoomInterval.joined_at)
    )
    by_participant: dict[UUID, list[VideoRoomInterval]] = defaultdict(list)
    for interval in found:
        if interval.left_at is None:
            interval.left_at = max(ended_at, interval.joined_at)
            interval.leave_reason = "ended"
        by_participant[interval.participant_id].append(interval)
    return by_participant


def _peak(intervals: dict[UUID, list[VideoRoomInterval]]) -> int:
    """The largest number of people present at once."""
    steps: list[tuple[datetime, int]] = []
    for stretches in intervals.values():
        for stretch in stretches:
            steps.append((stretch.joined_at, 1))
            steps.append((stretch.left_at or stretch.joined_at, -1))
    present = peak = 0
    for _, step in sorted(steps):
        present += step
        peak = max(peak, present)
    return peak


async def _open_appointments(unit: Unit, room_id: UUID) -> Sequence[Appointment]:
    found = await unit.session.scalars(
        sa.select(Appointment)
        .where(
            Appointment.video_room_id == room_id,
            Appointment.status.in_(sorted(OPEN_STATES)),
            Appointment.deleted_at.is_(None),
        )
        .order_by(Appointment.id)
    )
    return found.all()


async def _close_appointments(
    unit: Unit,
    room: VideoRoom,
    sitting: VideoRoomSession,
    people: Sequence[VideoRoomParticipant],
    *,
    met: bool,
) -> None:
    came = {person.person_id for person in people if person.admitted_at and person.person_id}
    for appointment in await _open_appointments(unit, room.id):
        appointment.status = apply(appointment.status, "complete" if met else "miss")
        appointment.outcome = "held" if met else "no_show"
        appointment.outcome_evidence = message_id(room.id, sitting.session_no)
        await unit.session.execute(
            sa.update(AppointmentAttendee)
            .where(
                AppointmentAttendee.appointment_id == appointment.id,
                AppointmentAttendee.person_id.is_not(None),
                AppointmentAttendee.person_id.not_in(came),
            )
            .values(is_no_show=True)
            .execution_options(synchronize_session=False)
        )
        announce(
            unit,
            f"appointment.{appointment.status}",
            "appointment",
            appointment.id,
            payload={"video_room_id": str(room.id), "session_no": sitting.session_no},
        )


async def _subject(unit: Unit, room_id: UUID) -> Appointment | None:
    """The one appointment the meeting was for; a training that many share belongs to none."""
    found = await unit.session.scalars(
        sa.select(Appointment)
        .where(
            Appointment.video_room_id == room_id,
            Appointment.status != "cancelled",
            Appointment.deleted_at.is_(None),
        )
        .limit(2)
    )
    appointments = found.all()
    return appointments[0] if len(appointments) == 1 else None


async def _log_meeting(
    unit: Unit,
    room: VideoRoom,
    sitting: VideoRoomSession,
    people: Sequence[VideoRoomParticipant],
    intervals: dict[UUID, list[VideoRoomInterval]],
    *,
    met: bool,
) -> None:
    """Write the sitting's one communications row, unless it is there."""
    key = message_id(room.id, sitting.session_no)
    there = await unit.session.scalar(
        sa.select(Communication.id).where(
            Communication.channel == "meeting", Communication.message_id == key
        )
    )
    if there is not None:
        return
    subject = await _subject(unit, room.id)
    started_at = sitting.started_at or sitting.ended_at or unit.now
    ended_at = sitting.ended_at or unit.now
    row = Communication(
        id=unit.ids(),
        channel="meeting",
        direction="internal" if subject is None else "outbound",
        status="completed" if met or subject is None else "no_show",
        occurred_at=started_at,
        completed_at=ended_at,
        scheduled_at=room.starts_at,
        duration_seconds=round((ended_at - started_at).total_seconds()),
        subject=(subject.title if subject is not None else None) or room.name,
        staff_id=room.host_id,
        person_id=subject.person_id if subject is not None else None,
        organization_id=subject.organization_id if subject is not None else None,
        lead_id=subject.lead_id if subject is not None else None,
        project_id=subject.project_id if subject is not None else None,
        appointment_id=subject.id if subject is not None else None,
        video_room_id=room.id,
        message_id=key,
        attendees=[_attendee(person, intervals.get(person.id, [])) for person in people],
        meta={"session_no": sitting.session_no, "end_reason": sitting.end_reason},
    )
    await unit.add(row)
    unit.session.add_all(
        CommunicationParticipant(
            id=unit.ids(),
            communication_id=row.id,
            role="host" if person.role in STAFF_ROLES else "attendee",
            name=person.display_name,
            person_id=person.person_id,
            staff_id=person.staff_id,
            joined_at=person.joined_at,
            left_at=person.left_at,
        )
        for person in people
        if person.kind == "person" and person.admitted_at is not None
    )
    announce(unit, "communication.created", "communication", row.id, payload={"channel": "meeting"})


def _attendee(
    person: VideoRoomParticipant, intervals: Sequence[VideoRoomInterval]
) -> dict[str, Any]:
    """One element of ``communications.attendees``."""
    stretches = [
        {
            "scope": stretch.scope,
            "joined_at": iso_utc(stretch.joined_at),
            "left_at": None if stretch.left_at is None else iso_utc(stretch.left_at),
            "reason": stretch.leave_reason,
        }
        for stretch in intervals
    ]
    seconds = sum(
        (stretch.left_at - stretch.joined_at).total_seconds()
        for stretch in intervals
        if stretch.left_at is not None
    )
    return {
        "participant_id": str(person.id),
        "identity": person.identity,
        "name": person.display_name,
        "role": person.role,
        "staff_id": None if person.staff_id is None else str(person.staff_id),
        "person_id": None if person.person_id is None else str(person.person_id),
        "admitted": person.admitted_at is not None,
        "seconds": round(seconds, 3),
        "intervals": stretches,
    }
