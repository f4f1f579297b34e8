"""Links that belong to one appointment, and rooms that are ending found as soon as they are free.

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


def upgrade() -> None:
    """Add the column, fill it, and let the look-up know how long an ending room may be silent."""
    with op.batch_alter_table("room_links") as links:
        links.add_column(sa.Column("appointment_id", sa.Uuid()))
        links.create_foreign_key(
            op.f(_KEY),
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
    rls.drop_lookup("find_overdue_rooms")
    rls.create_lookup(
        "find_overdue_rooms",
        "ended_before timestamptz, silent_since timestamptz, free_since timestamptz,"
        " at_most integer",
        _ANSWER,
        """SELECT r.tenant_id, r.id
            FROM video_rooms r
            JOIN room_owners o ON o.tenant_id = r.tenant_id AND o.room_id = r.id
            WHERE (r.status IN ('scheduled', 'lobby_open', 'live')
                   AND o.lease_until <= silent_since
                   AND (r.ends_at <= ended_before OR (r.ends_at IS NULL AND r.status = 'live')))
               OR (r.status = 'ending' AND o.lease_until <= free_since)
            ORDER BY o.lease_until LIMIT at_most""",
        "video_rooms",
        "room_owners",
    )


def downgrade() -> None:
    """Take both back."""
    rls.drop_lookup("find_overdue_rooms")
    rls.create_lookup(
        "find_overdue_rooms",
        "ended_before timestamptz, silent_since timestamptz, at_most integer",
        _ANSWER,
        """SELECT r.tenant_id, r.id
            FROM video_rooms r
            JOIN room_owners o ON o.tenant_id = r.tenant_id AND o.room_id = r.id
            WHERE r.status IN ('scheduled', 'lobby_open', 'live', 'ending')
              AND o.lease_until <= silent_since
              AND (r.ends_at <= ended_before OR r.status = 'ending'
                   OR (r.ends_at IS NULL AND r.status = 'live'))
            ORDER BY o.lease_until LIMIT at_most""",
        "video_rooms",
        "room_owners",
    )
    op.drop_index(op.f(_INDEX), "room_links")
    with op.batch_alter_table("room_links") as links:
        links.drop_constraint(op.f(_KEY), type_="foreignkey")
        links.drop_column("appointment_id")
