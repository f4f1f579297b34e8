"""Rooms whose time is past and that no process has: nobody would close their books.

A room's timers run in the process that has it open. When that was killed and nobody came back, or
nobody ever came, the meeting server finds the room here and opens it, so that the timers run. Like
a link's, this look-up comes before any tenant is known; it answers ids and nothing else.
"""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from storage.database import Database

from .journal_models import RoomOwner
from .models import TO_END, VideoRoom
from .states import ROOM_OPEN


async def find_overdue(
    database: Database,
    *,
    ended_before: datetime,
    silent_since: datetime,
    free_since: datetime,
    at_most: int,
) -> list[tuple[UUID, UUID]]:
    """Tenant and room of sittings that are not over and should be, longest without owner first.

    Args:
        database: where.
        ended_before: appointments that were to end before this are past. A meeting without an
            end is past as soon as it has no owner.
        silent_since: rooms whose lease ended before this have no owner.
        free_since: likewise for meetings that were in their last seconds or were cancelled, which
            nobody will come back to.
        at_most: how many.
    """
    async with database.without_tenant() as connection:
        rows = await connection.execute(
            _overdue(database.dialect),
            {
                "ended_before": ended_before,
                "silent_since": silent_since,
                "free_since": free_since,
                "at_most": at_most,
            },
        )
        return [(row.tenant_id, row.room_id) for row in rows]


def _overdue(dialect: str) -> sa.Select[tuple[UUID, UUID]]:
    at_most = sa.bindparam("at_most", type_=sa.Integer())
    room, owner = VideoRoom.__table__, RoomOwner.__table__
    moment = room.c.ends_at.type
    ended_before = sa.bindparam("ended_before", type_=moment)
    silent_since = sa.bindparam("silent_since", type_=moment)
    free_since = sa.bindparam("free_since", type_=moment)
    if dialect == "postgresql":
        found = sa.func.find_rooms_to_end(
            ended_before, silent_since, free_since, at_most
        ).table_valued(sa.column("tenant_id", sa.Uuid()), sa.column("room_id", sa.Uuid()))
        return sa.select(found.c.tenant_id, found.c.room_id)
    return (
        sa.select(room.c.tenant_id, room.c.id.label("room_id"))
        .join_from(
            room,
            owner,
            sa.and_(owner.c.tenant_id == room.c.tenant_id, owner.c.room_id == room.c.id),
        )
        .where(
            TO_END,
            sa.or_(
                sa.and_(
                    room.c.status.in_([state for state in ROOM_OPEN if state != "ending"]),
                    owner.c.lease_until <= silent_since,
                    sa.or_(
                        room.c.ends_at <= ended_before,
                        sa.and_(room.c.ends_at.is_(None), room.c.status == "live"),
                    ),
                ),
                sa.and_(
                    sa.or_(
                        room.c.status == "ending",
                        sa.and_(room.c.status == "cancelled", room.c.ended_at.is_(None)),
                    ),
                    owner.c.lease_until <= free_since,
                ),
            ),
        )
        .order_by(owner.c.lease_until)
        .limit(at_most)
    )
