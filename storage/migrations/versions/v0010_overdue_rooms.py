"""Finding rooms whose time is past and that no process has, whoever's they are.

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

from storage import rls

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_OPEN = "status IN ('scheduled', 'lobby_open', 'live', 'ending')"


def upgrade() -> None:
    """Make the look-up and the index of rooms that are not over."""
    op.create_index(
        op.f("ix_video_rooms_open"),
        "video_rooms",
        ["ends_at"],
        postgresql_where=sa.text(_OPEN),
        sqlite_where=sa.text(_OPEN),
    )
    rls.create_lookup(
        "find_overdue_rooms",
        "ended_before timestamptz, silent_since timestamptz, at_most integer",
        "tenant_id uuid, room_id uuid",
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


def downgrade() -> None:
    """Drop them again."""
    rls.drop_lookup("find_overdue_rooms")
    op.drop_index(op.f("ix_video_rooms_open"), "video_rooms")
