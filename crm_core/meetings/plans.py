"""What the calendar has decided about rooms and their links, for whoever meets in them.

A link is *open*, *closed* (made for somebody who is not expected any more: deleted, let go, their
appointment cancelled) or *void* (new ones took its place, or its tenant was switched off). The
statements are built once: every renewal of leases asks them, and everybody who joins.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

import sqlalchemy as sa

from storage.database import Unit

from ..appointments.models import Appointment
from ..people.models import Person
from ..tenants.models import Staff, Tenant
from .models import RoomLink, VideoRoom, VideoRoomParticipant
from .states import ROOM_OVER

LinkSays = Literal["come", "gone", "ended", "cancelled"]
"""To who has it: come in, it opens nothing, or that its meeting is over or was cancelled."""


@dataclass(frozen=True)
class RoomPlan:
    """What the calendar has decided about a room; it may decide anew while people are in it."""

    status: str
    starts_at: datetime | None
    ends_at: datetime | None
    closed_links: tuple[UUID, ...] = ()
    """Whoever is in by them is not expected any more."""
    void_links: tuple[UUID, ...] = ()
    """The others that open nothing any more."""


_OTHER = sa.orm.aliased(RoomLink)
_IS_CLOSED = sa.func.coalesce(
    sa.or_(
        Staff.deleted_at.is_not(None),
        Staff.is_active.is_(False),
        Person.deleted_at.is_not(None),
        sa.and_(
            Appointment.status == "cancelled",
            ~sa.exists().where(  # a host is expected as long as one link of theirs is open
                _OTHER.room_id == RoomLink.room_id,
                _OTHER.staff_id == RoomLink.staff_id,
                _OTHER.revoked_at.is_(None),
            ),
        ),
    ),
    sa.false(),
)
_IS_VOID = sa.or_(RoomLink.revoked_at.is_not(None), Tenant.is_active.is_(False))
_LINKS = (
    sa.select(
        RoomLink.id,
        RoomLink.room_id,
        _IS_CLOSED.label("is_closed"),
        _IS_VOID.label("is_void"),
        VideoRoom.status.label("room_status"),
        VideoRoom.end_reason,
    )
    .join(VideoRoom, VideoRoom.id == RoomLink.room_id)
    .join(Tenant, Tenant.id == RoomLink.tenant_id)
    .outerjoin(Staff, Staff.id == RoomLink.staff_id)
    .outerjoin(Person, Person.id == RoomLink.person_id)
    .outerjoin(Appointment, Appointment.id == RoomLink.appointment_id)
)
_ROOMS: sa.BindParameter[UUID] = sa.bindparam("room_ids", expanding=True)
_LINK = _LINKS.where(RoomLink.id == sa.bindparam("link_id"))
# Of a room's links any number may be void; those by which nobody came are nothing to it.
_LINKS_SHUT = _LINKS.where(
    RoomLink.id.in_(
        sa.select(VideoRoomParticipant.link_id).where(
            VideoRoomParticipant.room_id.in_(_ROOMS), VideoRoomParticipant.link_id.is_not(None)
        )
    ),
    sa.or_(_IS_CLOSED, _IS_VOID),
).order_by(RoomLink.id)
_PLANS = sa.select(VideoRoom.id, VideoRoom.status, VideoRoom.starts_at, VideoRoom.ends_at).where(
    VideoRoom.id.in_(_ROOMS)
)


async def load_plans(unit: Unit, room_ids: Collection[UUID]) -> dict[UUID, RoomPlan]:
    """What the calendar says of rooms now, in two statements; one not in this tenant is left out.

    Of closed and void links those are told by which somebody came, or asked to.
    """
    asked = {"room_ids": list(room_ids)}
    rows = (await unit.session.execute(_PLANS, asked)).all()
    closed: dict[UUID, list[UUID]] = {row.id: [] for row in rows}
    void: dict[UUID, list[UUID]] = {row.id: [] for row in rows}
    for link in await unit.session.execute(_LINKS_SHUT, asked):
        (closed if link.is_closed else void)[link.room_id].append(link.id)
    return {
        row.id: RoomPlan(
            row.status,
            row.starts_at,
            row.ends_at,
            closed_links=tuple(closed[row.id]),
            void_links=tuple(void[row.id]),
        )
        for row in rows
    }


async def ask_link(unit: Unit, link_id: UUID) -> LinkSays:
    """What the link says to who has it; ``gone``, if it is not in this tenant."""
    link = (await unit.session.execute(_LINK, {"link_id": link_id})).first()
    if link is None or link.is_void:
        return "gone"
    if link.room_status in ROOM_OVER:
        return "cancelled" if "cancelled" in (link.room_status, link.end_reason) else "ended"
    return "gone" if link.is_closed else "come"
