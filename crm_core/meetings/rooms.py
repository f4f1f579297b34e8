"""Making, reading and closing room records; the appointment service is the usual caller."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from storage.database import Unit

from ..appointments.models import Appointment
from ..errors import NotFound
from ..people.models import Person
from ..tenants.models import Staff, Tenant
from .journal_models import RoomOwner
from .links import CODE_BYTES, RandomBytes, random_text
from .models import RoomLink, VideoRoom, VideoRoomParticipant, VideoRoomSession

# (seats, of them reserved for hosts), as in the presets of ``rooms.policy``.
SEATS = {"consultation": (4, 1), "training": (205, 5), "webinar": (205, 5), "instant": (4, 1)}
LOBBY = {
    "consultation": "guests",
    "training": "walk_ins",
    "webinar": "walk_ins",
    "instant": "guests",
}


@dataclass(frozen=True)
class RoomPlan:
    """What the calendar has decided about a room; it may decide anew while people are in it."""

    status: str
    starts_at: datetime | None
    ends_at: datetime | None
    closed_links: tuple[UUID, ...] = ()
    """Those made for who is not expected any more, whoever is in by them; see `load_plans`."""
    voided_links: tuple[UUID, ...] = ()
    """The others that open nothing any more: new ones were made, or the tenant was switched off."""


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


_OPEN = sa.orm.aliased(RoomLink)
_IS_CLOSED = sa.or_(
    Staff.deleted_at.is_not(None),
    Staff.is_active.is_(False),
    Person.deleted_at.is_not(None),
    sa.and_(
        Appointment.status == "cancelled",
        ~sa.exists().where(
            _OPEN.room_id == RoomLink.room_id,
            _OPEN.staff_id == RoomLink.staff_id,
            _OPEN.revoked_at.is_(None),
        ),
    ),
)
_PLANS = (  # these two likewise, as every renewal of leases asks them
    sa.select(VideoRoom.id, VideoRoom.status, VideoRoom.starts_at, VideoRoom.ends_at).where(
        VideoRoom.id.in_(sa.bindparam("room_ids", expanding=True))
    )
)
_IS_SHUT = sa.or_(RoomLink.revoked_at.is_not(None), _IS_CLOSED, Tenant.is_active.is_(False))
_LINKS = (
    sa.select(
        RoomLink.id,
        RoomLink.room_id,
        sa.func.coalesce(_IS_CLOSED, sa.false()).label("is_closed"),
    )
    .outerjoin(Staff, Staff.id == RoomLink.staff_id)
    .outerjoin(Person, Person.id == RoomLink.person_id)
    .outerjoin(Appointment, Appointment.id == RoomLink.appointment_id)
    .join(Tenant, Tenant.id == RoomLink.tenant_id)
)
_CAME_BY = sa.select(VideoRoomParticipant.link_id).where(
    VideoRoomParticipant.room_id.in_(sa.bindparam("room_ids", expanding=True)),
    VideoRoomParticipant.link_id.is_not(None),
)
# Of a room's links any number may be void; those by which nobody came are nothing to it.
_LINKS_SHUT = _LINKS.where(RoomLink.id.in_(_CAME_BY), _IS_SHUT).order_by(RoomLink.id)
_OPEN_LINK = _LINKS.where(
    RoomLink.id == sa.bindparam("link_id"), sa.not_(sa.func.coalesce(_IS_SHUT, sa.false()))
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


async def is_open_link(unit: Unit, link_id: UUID) -> bool:
    """Whether the link opens its room for whom it was made for, as far as the calendar says."""
    return (await unit.session.execute(_OPEN_LINK, {"link_id": link_id})).first() is not None


async def load_plans(unit: Unit, room_ids: Collection[UUID]) -> dict[UUID, RoomPlan]:
    """What the calendar says of rooms now, in two statements; one not in this tenant is left out.

    Closed links are those of people who were deleted, of staff who left, and of appointments that
    were cancelled while others have the room. A host is expected as long as one link of theirs is open.
    Of closed and void links those are told by which somebody came, or asked to.
    """
    asked = {"room_ids": list(room_ids)}
    rows = (await unit.session.execute(_PLANS, asked)).all()
    closed: dict[UUID, list[UUID]] = {row.id: [] for row in rows}
    voided: dict[UUID, list[UUID]] = {row.id: [] for row in rows}
    for link in await unit.session.execute(_LINKS_SHUT, asked):
        (closed if link.is_closed else voided)[link.room_id].append(link.id)
    return {
        row.id: RoomPlan(
            row.status,
            row.starts_at,
            row.ends_at,
            closed_links=tuple(closed[row.id]),
            voided_links=tuple(voided[row.id]),
        )
        for row in rows
    }


async def _create_sitting(unit: Unit, room_id: UUID, session_no: int) -> None:
    await unit.add(VideoRoomSession(room_id=room_id, session_no=session_no, created_at=unit.now))
