"""Breakouts, recordings and consent.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

from storage import rls, types

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, their policies and the app role's rights."""
    op.create_table(
        "breakout_rooms",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("room_id", sa.Uuid(), nullable=False),
        sa.Column("session_no", sa.Integer(), nullable=False),
        sa.Column("client_id", sa.Text()),
        sa.Column("set_no", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("capacity", sa.Integer()),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("opens_at", types.UtcTimestamp()),
        sa.Column("opened_at", types.UtcTimestamp()),
        sa.Column("ends_at", types.UtcTimestamp()),
        sa.Column("closed_at", types.UtcTimestamp()),
        sa.Column("grace_seconds", sa.Integer(), nullable=False),
        sa.Column("self_select", sa.Boolean(), nullable=False),
        sa.Column("may_return", sa.Boolean(), nullable=False),
        sa.Column("help_requested_at", types.UtcTimestamp()),
        sa.Column("rev", sa.Integer(), nullable=False),
        sa.Column("created_at", types.UtcTimestamp(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_breakout_rooms")),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("fk_breakout_rooms_tenant_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "room_id"],
            ["video_rooms.tenant_id", "video_rooms.id"],
            name=op.f("fk_breakout_rooms_tenant_id_room_id"),
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint(
            "tenant_id",
            "room_id",
            "session_no",
            "set_no",
            "name",
            name=op.f("uq_breakout_rooms_tenant_id_room_id_session_no_set_no_name"),
        ),
        sa.CheckConstraint(
            "status IN ('planned', 'opening', 'open', 'closing', 'closed')",
            name=op.f("ck_breakout_rooms_status"),
        ),
    )
    op.create_table(
        "breakout_room_assignments",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("breakout_room_id", sa.Uuid(), nullable=False),
        sa.Column("participant_id", sa.Uuid(), nullable=False),
        sa.Column("set_no", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("assigned_by_id", sa.Uuid()),
        sa.Column("assigned_at", types.UtcTimestamp(), nullable=False),
        sa.Column("joined_at", types.UtcTimestamp()),
        sa.Column("left_at", types.UtcTimestamp()),
        sa.Column("released_at", types.UtcTimestamp()),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_breakout_room_assignments")),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("fk_breakout_room_assignments_tenant_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "assigned_by_id"],
            ["video_room_participants.tenant_id", "video_room_participants.id"],
            name=op.f("fk_breakout_room_assignments_tenant_id_assigned_by_id"),
            ondelete="SET NULL (assigned_by_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "breakout_room_id"],
            ["breakout_rooms.tenant_id", "breakout_rooms.id"],
            name=op.f("fk_breakout_room_assignments_tenant_id_breakout_room_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "participant_id"],
            ["video_room_participants.tenant_id", "video_room_participants.id"],
            name=op.f("fk_breakout_room_assignments_tenant_id_participant_id"),
            ondelete="CASCADE",
        ),
        sa.CheckConstraint(
            "method IN ('auto', 'manual', 'self')", name=op.f("ck_breakout_room_assignments_method")
        ),
        sa.CheckConstraint(
            "status IN ('assigned', 'invited', 'joined', 'away', 'returned', 'moved', 'released')",
            name=op.f("ck_breakout_room_assignments_status"),
        ),
    )
    op.create_index(
        op.f("ix_breakout_room_assignments_tenant_id_assigned_by_id"),
        "breakout_room_assignments",
        ["tenant_id", "assigned_by_id"],
        postgresql_where=sa.text("assigned_by_id IS NOT NULL"),
        sqlite_where=sa.text("assigned_by_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_breakout_room_assignments_tenant_id_breakout_room_id"),
        "breakout_room_assignments",
        ["tenant_id", "breakout_room_id"],
    )
    op.create_index(
        op.f("ix_breakout_room_assignments_tenant_id_participant_id"),
        "breakout_room_assignments",
        ["tenant_id", "participant_id"],
    )
    op.create_index(
        op.f("uq_breakout_room_assignments_current"),
        "breakout_room_assignments",
        ["tenant_id", "participant_id", "set_no"],
        unique=True,
        postgresql_where=sa.text("released_at IS NULL"),
        sqlite_where=sa.text("released_at IS NULL"),
    )
    op.create_table(
        "video_room_recordings",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("room_id", sa.Uuid(), nullable=False),
        sa.Column("session_no", sa.Integer(), nullable=False),
        sa.Column("client_id", sa.Text()),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("layout", sa.Text()),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("started_by_id", sa.Uuid()),
        sa.Column("started_at", types.UtcTimestamp()),
        sa.Column("ended_at", types.UtcTimestamp()),
        sa.Column("duration_seconds", sa.Integer()),
        sa.Column("size_bytes", sa.BigInteger()),
        sa.Column("consent_policy", sa.Text()),
        sa.Column("notice_version", sa.Text()),
        sa.Column("files", types.json_type(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("retain_until", sa.Date()),
        sa.Column("is_on_hold", sa.Boolean(), nullable=False),
        sa.Column("communication_id", sa.Uuid()),
        sa.Column("rev", sa.Integer(), nullable=False),
        sa.Column("created_at", types.UtcTimestamp(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_video_room_recordings")),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("fk_video_room_recordings_tenant_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "communication_id"],
            ["communications.tenant_id", "communications.id"],
            name=op.f("fk_video_room_recordings_tenant_id_communication_id"),
            ondelete="SET NULL (communication_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "room_id"],
            ["video_rooms.tenant_id", "video_rooms.id"],
            name=op.f("fk_video_room_recordings_tenant_id_room_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "started_by_id"],
            ["video_room_participants.tenant_id", "video_room_participants.id"],
            name=op.f("fk_video_room_recordings_tenant_id_started_by_id"),
            ondelete="SET NULL (started_by_id)",
        ),
        sa.CheckConstraint(
            "purpose IN ('meeting', 'training', 'compliance')",
            name=op.f("ck_video_room_recordings_purpose"),
        ),
        sa.CheckConstraint(
            "status IN ('requested', 'consent_wait', 'starting', 'active', 'paused', 'stopping', 'processing', 'ready', 'failed', 'aborted', 'limit_reached', 'purged')",
            name=op.f("ck_video_room_recordings_status"),
        ),
    )
    op.create_index(
        op.f("ix_video_room_recordings_tenant_id_communication_id"),
        "video_room_recordings",
        ["tenant_id", "communication_id"],
        postgresql_where=sa.text("communication_id IS NOT NULL"),
        sqlite_where=sa.text("communication_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_video_room_recordings_tenant_id_purpose_started_at"),
        "video_room_recordings",
        ["tenant_id", "purpose", "started_at"],
    )
    op.create_index(
        op.f("ix_video_room_recordings_tenant_id_room_id_session_no"),
        "video_room_recordings",
        ["tenant_id", "room_id", "session_no"],
    )
    op.create_index(
        op.f("ix_video_room_recordings_tenant_id_started_by_id"),
        "video_room_recordings",
        ["tenant_id", "started_by_id"],
        postgresql_where=sa.text("started_by_id IS NOT NULL"),
        sqlite_where=sa.text("started_by_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_video_room_recordings_tenant_id_status"),
        "video_room_recordings",
        ["tenant_id", "status"],
    )
    op.create_table(
        "recording_segments",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recording_id", sa.Uuid(), nullable=False),
        sa.Column("started_at", types.UtcTimestamp(), nullable=False),
        sa.Column("ended_at", types.UtcTimestamp()),
        sa.Column("started_by_id", sa.Uuid()),
        sa.Column("manifest", types.json_type(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_recording_segments")),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("fk_recording_segments_tenant_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "recording_id"],
            ["video_room_recordings.tenant_id", "video_room_recordings.id"],
            name=op.f("fk_recording_segments_tenant_id_recording_id"),
            ondelete="CASCADE",
        ),
    )
    op.create_index(
        op.f("ix_recording_segments_tenant_id_recording_id"),
        "recording_segments",
        ["tenant_id", "recording_id"],
    )
    op.create_table(
        "recording_consents",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recording_id", sa.Uuid(), nullable=False),
        sa.Column("participant_id", sa.Uuid()),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.Column("notice_version", sa.Text(), nullable=False),
        sa.Column("at", types.UtcTimestamp(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_recording_consents")),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("fk_recording_consents_tenant_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "participant_id"],
            ["video_room_participants.tenant_id", "video_room_participants.id"],
            name=op.f("fk_recording_consents_tenant_id_participant_id"),
            ondelete="SET NULL (participant_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "recording_id"],
            ["video_room_recordings.tenant_id", "video_room_recordings.id"],
            name=op.f("fk_recording_consents_tenant_id_recording_id"),
            ondelete="CASCADE",
        ),
    )
    op.create_index(
        op.f("ix_recording_consents_tenant_id_participant_id"),
        "recording_consents",
        ["tenant_id", "participant_id"],
        postgresql_where=sa.text("participant_id IS NOT NULL"),
        sqlite_where=sa.text("participant_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_recording_consents_tenant_id_recording_id"),
        "recording_consents",
        ["tenant_id", "recording_id"],
    )
    rls.protect("breakout_rooms")
    rls.protect("breakout_room_assignments")
    rls.protect("video_room_recordings")
    rls.protect("recording_segments")
    rls.protect("recording_consents")


def downgrade() -> None:
    """Drop them again."""
    op.drop_table("recording_consents")
    op.drop_table("recording_segments")
    op.drop_table("video_room_recordings")
    op.drop_table("breakout_room_assignments")
    op.drop_table("breakout_rooms")
