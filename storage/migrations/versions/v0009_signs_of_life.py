"""When the owner of a room was last known to live, beside how long its lease runs.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

from storage import types

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; of owners before it nothing is known."""
    op.add_column("room_owners", sa.Column("alive_at", types.UtcTimestamp()))


def downgrade() -> None:
    """Drop it again."""
    op.drop_column("room_owners", "alive_at")
