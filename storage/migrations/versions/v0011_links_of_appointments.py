"""Links that belong to one appointment, and rooms that are ending found as soon as they are free.

SQLite cannot add a composite key to a table that others point at, short of rebuilding it with keys
switched off; there the column stands without one. Appointments are never deleted for good alone.

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op

from storage import rls

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_KEY = "fk_room_links_tenant_id_appointment_id"
_INDEX = "ix_room_links_tenant_id_appointment_id"
# Until now a room's links were made by the appointment that opened it.
_BACKFILL = """UPDATE room_links SET appointment_id = (
        SELECT a.id FROM appointments a
        WHERE a.tenant_id = room_links.tenant_id AND a.video_room_id = room_links.room_id
        ORDER BY a.created_at, a.id LIMIT 1)"""
_ANSWER = "tenant_id uuid, room_id uuid"
_OPEN = "status IN ('scheduled', 'lobby_open', 'live', 'ending')"
_TO_END = f"{_OPEN} OR (status = 'cancelled' AND ended_at IS NULL)"


def upgrade() -> None:
    """Add the column, fill it, and let the look-up know how long an ending room may be silent."""
    op.add_column("room_links", sa.Column("appointment_id", sa.Uuid()))
    if rls.on_postgresql():
        op.create_foreign_key(
            op.f(_KEY),
            "room_links",
            "appointments",
            ["tenant_id", "appointment_id"],
            ["tenant_id", "id"],
            ondelete="CASCADE",
        )
    with rls.suspended("room_links", "appointments"):
        op.execute(_BACKFILL)
    op.create_index(
        op.f(_INDEX),
        "room_links",
        ["tenant_id", "appointment_id"],
        postgresql_where=sa.text("appointment_id IS NOT NULL"),
        sqlite_where=sa.text("appointment_id IS NOT NULL"),
    )
    _replace_index("ix_video_rooms_open", "ix_video_rooms_to_end", _TO_END)
    # `find_overdue_rooms` stays for servers of the version before, which still ask it.
    rls.create_lookup(
        "find_rooms_to_end",
        "ended_before timestamptz, silent_since timestamptz, free_since timestamptz,"
        " at_most integer",
        _ANSWER,
        """SELECT r.tenant_id, r.id
            FROM video_rooms r
            JOIN room_owners o ON o.tenant_id = r.tenant_id AND o.room_id = r.id
            WHERE (r.status IN ('scheduled', 'lobby_open', 'live')
                   AND o.lease_until <= silent_since
                   AND (r.ends_at <= ended_before OR (r.ends_at IS NULL AND r.status = 'live')))
               OR ((r.status = 'ending' OR (r.status = 'cancelled' AND r.ended_at IS NULL))
                   AND o.lease_until <= free_since)
            ORDER BY o.lease_until LIMIT at_most""",
        "video_rooms",
        "room_owners",
    )


def downgrade() -> None:
    """Take both back."""
    rls.drop_lookup("find_rooms_to_end")
    _replace_index("ix_video_rooms_to_end", "ix_video_rooms_open", _OPEN)
    op.drop_index(op.f(_INDEX), "room_links")
    if rls.on_postgresql():
        op.drop_constraint(op.f(_KEY), "room_links", type_="foreignkey")
    op.drop_column("room_links", "appointment_id")


def _replace_index(before: str, after: str, rooms: str) -> None:
    """Index by their end the `rooms` that the look-up asks for, as long as they are few."""
    op.drop_index(op.f(before), "video_rooms")
    op.create_index(
        op.f(after),
        "video_rooms",
        ["ends_at"],
        postgresql_where=sa.text(rooms),
        sqlite_where=sa.text(rooms),
    )
