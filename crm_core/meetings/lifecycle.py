"""What the start and the end of a sitting mean to the rest of the CRM.

Start: the appointment is in progress. End: open attendance is closed, the appointment is completed
or a no-show, and one communications row of channel ``meeting`` tells the story on the timelines of
all concerned. An appointment may still be ahead, and then nothing is settled and the room waits for
another sitting: before its door opens the host looked in alone, or all just left, or it was moved while
people met. Who met early and whose host ended the meeting have met.
Everything is found by key before it is written, in the transaction of the event itself, so ending
twice or being killed in between leaves exactly one row.
"""

import functools
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import load_only

from storage.database import Unit
from storage.types import iso_utc

from ..appointments.models import Appointment, AppointmentAttendee, Booking
from ..appointments.states import CLOSED_STATES, OPEN_STATES, apply
from ..changes.service import announce
from ..communications.models import Communication, CommunicationParticipant
from ..communications.service import MEETING, ROOM_KEY
from .models import (
    RoomLink,
    VideoRoom,
    VideoRoomInterval,
    VideoRoomParticipant,
    VideoRoomSession,
)
from .projection import Projection
from .rooms import reopen_room
from .states import PARTICIPANT_GONE, STAFF_ROLES

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
"""What is asked and said of appointments here."""


@dataclass(frozen=True)
class _Turnout:
    """Who was at a sitting, in person or at the door."""

    people: Sequence[VideoRoomParticipant]
    intervals: dict[UUID, list[VideoRoomInterval]]
    """By participant."""
    stands_for: dict[UUID, UUID]
    """By participant, the person whose attendance this is; see `_stands_for`."""

    @functools.cached_property
    def came(self) -> Sequence[VideoRoomParticipant]:
        """Those who were let in."""
        return [each for each in self.people if each.admitted_at is not None]

    @property
    def listed(self) -> Sequence[VideoRoomParticipant]:
        """Those who came, and whoever is known by name and waited in vain."""
        persons = self.persons
        return [
            each
            for each in self.people
            if each.admitted_at is not None
            or each.staff_id is not None
            or (each.person_id is not None and each.person_id not in persons)
        ]

    @property
    def over_at(self) -> datetime | None:
        """When the last who came was gone: the room may stay open for long after that."""
        left = [each.left_at for stretches in self.intervals.values() for each in stretches]
        return max((when for when in left if when is not None), default=None)

    @property
    def waited(self) -> int:
        """How many others waited in vain: as many as somebody likes, under names of their choice."""
        return sum(
            each.admitted_at is None and each.staff_id is None and each.person_id is None
            for each in self.people
        )

    @functools.cached_property
    def persons(self) -> set[UUID]:
        """The persons who came, on whatever device."""
        return {self.stands_for[each.id] for each in self.came if each.id in self.stands_for}


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
    turnout = await _close_attendance(unit, room, sitting, ended_at)
    room.ended_at = sitting.ended_at = ended_at
    sitting.peak_participants = _peak(turnout.intervals)
    room.peak_participants = max(room.peak_participants, sitting.peak_participants)
    held = any(_is_customer(each) for each in turnout.came)
    still_open = await _appointments(unit, room.id, OPEN_STATES)
    early = bool(still_open) and _before_the_door(room, ended_at)
    ahead = early and not (held and _is_settled_early(sitting, still_open))
    if ahead:
        _put_back(still_open)
        about = still_open if held else ()
    else:
        await _close_appointments(unit, room, sitting, still_open, turnout.persons, held=held)
        # A later sitting is about what an earlier one settled; a cancelled meeting may have begun.
        about = still_open or await _appointments(unit, room.id, CLOSED_STATES)
    if sitting.status != "expired":
        await _log_meeting(projection, turnout, about, held=held)
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


async def _close_attendance(
    unit: Unit, room: VideoRoom, sitting: VideoRoomSession, ended_at: datetime
) -> _Turnout:
    """End everybody's part in the sitting; who was there."""
    people = await _participants(unit, room.id, sitting.session_no)
    intervals = await _close_intervals(unit, people, ended_at)
    for person in people:
        if person.joined_at is not None and person.joined_at > ended_at:
            person.joined_at = ended_at  # as with intervals
        if person.left_at is not None:
            person.left_at = min(person.left_at, ended_at)
        if person.status not in PARTICIPANT_GONE:
            person.status = "left"
            person.left_at = ended_at
            person.leave_reason = "ended"
        person.audio_on = person.video_on = person.screen_on = False
    return _Turnout(people, intervals, await _stands_for(unit, people))


def _before_the_door(room: VideoRoom, ended_at: datetime) -> bool:
    """Whether it was over before anybody comes to the appointment at the time that it is for now."""
    return room.starts_at is not None and ended_at < room.starts_at - DOOR_OPENS_BEFORE


def _is_settled_early(sitting: VideoRoomSession, appointments: Sequence[Appointment]) -> bool:
    """Whether a host said that this was the meeting; one that was moved since is in progress no more."""
    return sitting.end_reason == "host" and all(
        each.status == "in_progress" for each in appointments
    )


def _put_back(appointments: Sequence[Appointment]) -> None:
    for appointment in appointments:
        if appointment.status != "in_progress":
            continue
        appointment.status = apply(appointment.status, "rehearse")
        if appointment.confirmed_at is not None:
            appointment.status = apply(appointment.status, "confirm")


def _is_customer(participant: VideoRoomParticipant) -> bool:
    """Whoever is no staff, also when a host made them one."""
    return participant.kind == "person" and participant.staff_id is None


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


async def _stands_for(unit: Unit, people: Sequence[VideoRoomParticipant]) -> dict[UUID, UUID]:
    """The person whose attendance a participant's is, by participant.

    A second device on a person's link is a guest with a row of its own, and was let in for the
    person all the same.
    """
    links = {each.link_id for each in people if each.link_id is not None}
    found = await unit.session.execute(
        sa.select(RoomLink.id, RoomLink.person_id).where(
            RoomLink.id.in_(links), RoomLink.person_id.is_not(None)
        )
    )
    by_link = {row.id: row.person_id for row in found}
    whose = {each.id: each.person_id or by_link.get(each.link_id) for each in people}
    return {participant: person for participant, person in whose.items() if person is not None}


async def _close_intervals(
    unit: Unit, people: Sequence[VideoRoomParticipant], ended_at: datetime
) -> dict[UUID, list[VideoRoomInterval]]:
    """All intervals by participant, none of them beyond the end of the sitting.

    The end is dated back to the moment it was asked for: who came back in the grace after it was
    not in the meeting again.
    """
    found = await unit.session.scalars(
        sa.select(VideoRoomInterval)
        .where(VideoRoomInterval.participant_id.in_([person.id for person in people]))
        .order_by(VideoRoomInterval.joined_at)
    )
    by_participant: dict[UUID, list[VideoRoomInterval]] = defaultdict(list)
    for interval in found:
        if interval.joined_at >= ended_at:
            await unit.session.delete(interval)
            continue
        if interval.left_at is None:
            interval.left_at, interval.leave_reason = ended_at, "ended"
        interval.left_at = min(interval.left_at, ended_at)
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


async def _appointments(
    unit: Unit, room_id: UUID, states: Collection[str]
) -> Sequence[Appointment]:
    found = await unit.session.scalars(
        sa.select(Appointment)
        .options(load_only(*_READ, raiseload=True))  # each may have a megabyte of the CRM's own
        .where(
            Appointment.video_room_id == room_id,
            Appointment.status.in_(sorted(states)),
            Appointment.deleted_at.is_(None),
        )
        .order_by(Appointment.id)
    )
    return found.all()


async def _close_appointments(
    unit: Unit,
    room: VideoRoom,
    sitting: VideoRoomSession,
    appointments: Sequence[Appointment],
    persons: Collection[UUID],
    *,
    held: bool,
) -> None:
    """Settle each of the room's open appointments by which persons came."""
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
            AppointmentAttendee.person_id.not_in(persons),
        )
        .values(is_no_show=True)
        .execution_options(synchronize_session=False)
    )
    for appointment in appointments:
        met = held
        if len(appointments) > 1 and appointment.person_id is not None:
            # Where many share a room, that others came says nothing about this one.
            met = appointment.person_id in persons
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
    turnout: _Turnout,
    about: Sequence[Appointment],
    *,
    held: bool,
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
    if outcomes and not held:
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
            _attendee(each, turnout.stands_for.get(each.id), turnout.intervals.get(each.id, []))
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


def _attendee(
    person: VideoRoomParticipant, person_id: UUID | None, intervals: Sequence[VideoRoomInterval]
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
        "person_id": None if person_id is None else str(person_id),
        "admitted": person.admitted_at is not None,
        "seconds": round(seconds, 3),
        "intervals": stretches,
    }
