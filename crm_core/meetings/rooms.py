"""Making, reading and closing room records; the appointment service is the usual caller."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from storage.database import Unit

from ..appointments.models import Appointment
from ..errors import NotFound
from ..people.models import Person
from ..tenants.models import Staff
from .journal_models import RoomOwner
from .links import CODE_BYTES, RandomBytes, random_text
from .models import VideoRoom, VideoRoomSession
from .plans import RoomPlan

# (seats, of them reserved for hosts), as in the presets of ``rooms.policy``.
SEATS = {"consultation": (4, 1), "training": (205, 5), "webinar": (205, 5), "instant": (4, 1)}
LOBBY = {
    "consultation": "guests",
    "training": "walk_ins",
    "webinar": "walk_ins",
    "instant": "guests",
}


@dataclass(frozen=True)
class RoomRecord:
    """What the meeting server needs to open a room."""

    id: UUID
    tenant_id: UUID
    code: str
    title: str
    type: str
    status: str
    session_no: int
    starts_at: datetime | None
    ends_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    end_reason: str | None
    capacity: int
    reserved_seats: int
    policy: dict[str, Any]
    """Fields that differ from the type's preset."""
    features: dict[str, Any]
    """Likewise."""
    is_locked: bool
    settings_rev: int
    host_id: UUID | None
    host_name: str | None
    appointment_id: UUID | None
    person_name: str | None

    @property
    def plan(self) -> RoomPlan:
        """What the calendar has decided about it."""
        return RoomPlan(self.status, self.starts_at, self.ends_at)


_ROOM_AND_WHO = (  # built once, as everybody who joins asks it
    sa.select(VideoRoom, Staff.name, Appointment.id, Person.full_name)
    .outerjoin(Staff, Staff.id == VideoRoom.host_id)
    .outerjoin(Appointment, Appointment.video_room_id == VideoRoom.id)
    .outerjoin(Person, Person.id == Appointment.person_id)
    .where(VideoRoom.id == sa.bindparam("room_id"))
    .order_by(Appointment.starts_at.desc())
    .limit(1)
)


async def create_room(
    unit: Unit,
    *,
    name: str,
    room_type: str,
    random_bytes: RandomBytes,
    host_id: UUID | None = None,
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
) -> VideoRoom:
    """A room with its first sitting, owned by no node yet."""
    capacity, reserved = SEATS[room_type]
    room = VideoRoom(
        id=unit.ids(),
        name=name,
        code=random_text(random_bytes, CODE_BYTES),
        type=room_type,
        status="scheduled",
        host_id=host_id,
        capacity=capacity,
        reserved_seats=reserved,
        policy={"lobby": LOBBY[room_type]},
        starts_at=starts_at,
        ends_at=ends_at,
    )
    await unit.add(room)
    await _create_sitting(unit, room.id, 1)
    await unit.add(
        RoomOwner(room_id=room.id, node="", epoch=0, lease_until=unit.now, session_no=1, last_seq=0)
    )
    return room


async def reopen_room(unit: Unit, room_id: UUID) -> int:
    """Start another sitting of a room whose last one is over; returns its number.

    Whoever still has the last one open keeps the lease, and is fenced when it writes to it.
    """
    room = await get_room(unit, room_id)
    room.session_no += 1
    room.status = "scheduled"
    room.started_at = room.ended_at = room.end_reason = None
    await unit.session.flush()
    await _create_sitting(unit, room_id, room.session_no)
    await unit.session.execute(
        sa.update(RoomOwner)
        .where(RoomOwner.room_id == room_id)
        .values(session_no=room.session_no, last_seq=0)
        .execution_options(synchronize_session=False)
    )
    return room.session_no


async def cancel_room(unit: Unit, room_id: UUID, *, reason: str) -> None:
    """Close a room that will not be used; its links open nothing any more.

    A meeting that has begun is ended by the meeting server, which sees that its room is cancelled.
    """
    room = await get_room(unit, room_id)
    room.status = "cancelled"
    room.end_reason = reason
    if room.started_at is not None:
        await unit.session.flush()
        return
    room.ended_at = unit.now
    sitting = await unit.session.scalar(
        sa.select(VideoRoomSession).where(
            VideoRoomSession.room_id == room_id, VideoRoomSession.session_no == room.session_no
        )
    )
    if sitting is not None:
        sitting.status = "cancelled"
        sitting.ended_at = unit.now
        sitting.end_reason = reason
    await unit.session.flush()


async def get_room(unit: Unit, room_id: UUID, *, lock: bool = False) -> VideoRoom:
    """The room's row, kept from other writers until the commit when asked.

    Raises:
        NotFound: not in this tenant.
    """
    statement = sa.select(VideoRoom).where(VideoRoom.id == room_id)
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    room = await unit.session.scalar(statement)
    if room is None:
        raise NotFound("video room", room_id)
    return room


async def load_room(unit: Unit, room_id: UUID) -> RoomRecord:
    """The room with its host and appointment.

    Raises:
        NotFound: not in this tenant.
    """
    row = (await unit.session.execute(_ROOM_AND_WHO, {"room_id": room_id})).first()
    if row is None:
        raise NotFound("video room", room_id)
    room, host_name, appointment_id, person_name = row
    return RoomRecord(
        id=room.id,
        tenant_id=room.tenant_id,
        code=room.code,
        title=room.name,
        type=room.type,
        status=room.status,
        session_no=room.session_no,
        starts_at=room.starts_at,
        ends_at=room.ends_at,
        started_at=room.started_at,
        ended_at=room.ended_at,
        end_reason=room.end_reason,
        capacity=room.capacity,
        reserved_seats=room.reserved_seats,
        policy=dict(room.policy),
        features=dict(room.features),
        is_locked=room.is_locked,
        settings_rev=room.settings_rev,
        host_id=room.host_id,
        host_name=host_name,
        appointment_id=appointment_id,
        person_name=person_name,
    )


async def _create_sitting(unit: Unit, room_id: UUID, session_no: int) -> None:
    await unit.add(VideoRoomSession(room_id=room_id, session_no=session_no, created_at=unit.now))
