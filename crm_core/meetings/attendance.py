"""Who was at a sitting, and for how long: its rows of people are closed and read here.

What that means to the appointments is for ``lifecycle``.
"""

import functools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from storage.database import Unit
from storage.types import iso_utc

from .models import RoomLink, VideoRoom, VideoRoomInterval, VideoRoomParticipant, VideoRoomSession
from .states import PARTICIPANT_GONE


@dataclass(frozen=True)
class Turnout:
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

    @functools.cached_property
    def peak(self) -> int:
        """The largest number of people present at once."""
        steps: list[tuple[datetime, int]] = []
        for stretches in self.intervals.values():
            for stretch in stretches:
                steps.append((stretch.joined_at, 1))
                steps.append((stretch.left_at or stretch.joined_at, -1))
        present = peak = 0
        for _, step in sorted(steps):
            present += step
            peak = max(peak, present)
        return peak

    @functools.cached_property
    def held(self) -> bool:
        """Whether a customer was let in: whoever is no staff, also when a host made them one."""
        return any(each.kind == "person" and each.staff_id is None for each in self.came)

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


async def close_attendance(
    unit: Unit, room: VideoRoom, sitting: VideoRoomSession, ended_at: datetime
) -> Turnout:
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
    return Turnout(people, intervals, await _stands_for(unit, people))


def attendee(
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
