"""Rooms, links, sittings, participants and the room journal.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

from storage import rls, types

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, their policies and the app role's rights."""
    op.create_table(
        "video_rooms",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("host_id", sa.Uuid()),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("reserved_seats", sa.Integer(), nullable=False),
        sa.Column("passcode_hash", sa.LargeBinary()),
        sa.Column("features", types.json_type(), nullable=False),
        sa.Column("policy", types.json_type(), nullable=False),
        sa.Column("settings_rev", sa.Integer(), nullable=False),
        sa.Column("is_locked", sa.Boolean(), nullable=False),
        sa.Column("starts_at", types.UtcTimestamp()),
        sa.Column("ends_at", types.UtcTimestamp()),
        sa.Column("started_at", types.UtcTimestamp()),
        sa.Column("ended_at", types.UtcTimestamp()),
        sa.Column("end_reason", sa.Text()),
        sa.Column("session_no", sa.Integer(), nullable=False),
        sa.Column("peak_participants", sa.Integer(), nullable=False),
        sa.Column("external_id", sa.Text()),
        sa.Column("custom_fields", types.json_type(), nullable=False),
        sa.Column("created_at", types.UtcTimestamp(), nullable=False),
        sa.Column("updated_at", types.UtcTimestamp(), nullable=False),
        sa.Column("created_by", sa.Uuid()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_video_rooms")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_video_rooms_tenant_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "host_id"],
            ["staff.tenant_id", "staff.id"],
            name=op.f("fk_video_rooms_tenant_id_host_id"),
            ondelete="SET NULL (host_id)",
        ),
        sa.UniqueConstraint("code", name=op.f("uq_video_rooms_code")),
        sa.UniqueConstraint(
            "tenant_id", "external_id", name=op.f("uq_video_rooms_tenant_id_external_id")
        ),
        sa.CheckConstraint(
            "status IN ('draft', 'scheduled', 'lobby_open', 'live', 'ending', 'ended', 'archived', 'cancelled', 'expired')",
            name=op.f("ck_video_rooms_status"),
        ),
        sa.CheckConstraint(
            "type IN ('consultation', 'training', 'webinar', 'instant')",
            name=op.f("ck_video_rooms_type"),
        ),
    )
    op.create_index(
        op.f("ix_video_rooms_tenant_id_host_id"),
        "video_rooms",
        ["tenant_id", "host_id"],
        postgresql_where=sa.text("host_id IS NOT NULL"),
        sqlite_where=sa.text("host_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_video_rooms_tenant_id_status_starts_at"),
        "video_rooms",
        ["tenant_id", "status", "starts_at"],
    )
    op.create_table(
        "room_links",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("room_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("staff_id", sa.Uuid()),
        sa.Column("person_id", sa.Uuid()),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("lobby", sa.Boolean(), nullable=False),
        sa.Column("created_at", types.UtcTimestamp(), nullable=False),
        sa.Column("revoked_at", types.UtcTimestamp()),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_room_links")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_room_links_tenant_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "person_id"],
            ["people.tenant_id", "people.id"],
            name=op.f("fk_room_links_tenant_id_person_id"),
            ondelete="SET NULL (person_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "room_id"],
            ["video_rooms.tenant_id", "video_rooms.id"],
            name=op.f("fk_room_links_tenant_id_room_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "staff_id"],
            ["staff.tenant_id", "staff.id"],
            name=op.f("fk_room_links_tenant_id_staff_id"),
            ondelete="SET NULL (staff_id)",
        ),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_room_links_secret_hash")),
        sa.CheckConstraint("role IN ('host', 'participant')", name=op.f("ck_room_links_role")),
    )
    op.create_index(
        op.f("ix_room_links_tenant_id_person_id"),
        "room_links",
        ["tenant_id", "person_id"],
        postgresql_where=sa.text("person_id IS NOT NULL"),
        sqlite_where=sa.text("person_id IS NOT NULL"),
    )
    op.create_index(op.f("ix_room_links_tenant_id_room_id"), "room_links", ["tenant_id", "room_id"])
    op.create_index(
        op.f("ix_room_links_tenant_id_staff_id"),
        "room_links",
        ["tenant_id", "staff_id"],
        postgresql_where=sa.text("staff_id IS NOT NULL"),
        sqlite_where=sa.text("staff_id IS NOT NULL"),
    )
    op.create_table(
        "video_room_sessions",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("room_id", sa.Uuid(), nullable=False),
        sa.Column("session_no", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_at", types.UtcTimestamp(), nullable=False),
        sa.Column("started_at", types.UtcTimestamp()),
        sa.Column("ended_at", types.UtcTimestamp()),
        sa.Column("end_reason", sa.Text()),
        sa.Column("ended_by_id", sa.Uuid()),
        sa.Column("peak_participants", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant_id", "room_id", "session_no", name=op.f("pk_video_room_sessions")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("fk_video_room_sessions_tenant_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "room_id"],
            ["video_rooms.tenant_id", "video_rooms.id"],
            name=op.f("fk_video_room_sessions_tenant_id_room_id"),
            ondelete="CASCADE",
        ),
        sa.CheckConstraint(
            "status IN ('draft', 'scheduled', 'lobby_open', 'live', 'ending', 'ended', 'archived', 'cancelled', 'expired')",
            name=op.f("ck_video_room_sessions_status"),
        ),
    )
    op.create_index(
        op.f("ix_video_room_sessions_tenant_id_started_at"),
        "video_room_sessions",
        ["tenant_id", "started_at"],
        postgresql_where=sa.text("started_at IS NOT NULL"),
        sqlite_where=sa.text("started_at IS NOT NULL"),
    )
    op.create_table(
        "video_room_participants",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("room_id", sa.Uuid(), nullable=False),
        sa.Column("session_no", sa.Integer(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("is_hidden", sa.Boolean(), nullable=False),
        sa.Column("staff_id", sa.Uuid()),
        sa.Column("person_id", sa.Uuid()),
        sa.Column("link_id", sa.Uuid()),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("waiting_at", types.UtcTimestamp()),
        sa.Column("admitted_at", types.UtcTimestamp()),
        sa.Column("admitted_by_id", sa.Uuid()),
        sa.Column("joined_at", types.UtcTimestamp()),
        sa.Column("left_at", types.UtcTimestamp()),
        sa.Column("leave_reason", sa.Text()),
        sa.Column("conn_epoch", sa.Integer(), nullable=False),
        sa.Column("audio_on", sa.Boolean(), nullable=False),
        sa.Column("video_on", sa.Boolean(), nullable=False),
        sa.Column("screen_on", sa.Boolean(), nullable=False),
        sa.Column("hand_seq", sa.Integer()),
        sa.Column("hand_raised_at", types.UtcTimestamp()),
        sa.Column("spotlight_pos", sa.Integer()),
        sa.Column("consent", sa.Text()),
        sa.Column("talk_ms", sa.BigInteger(), nullable=False),
        sa.Column("attributes", types.json_type(), nullable=False),
        sa.Column("device", types.json_type(), nullable=False),
        sa.Column("rev", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_video_room_participants")),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("fk_video_room_participants_tenant_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "link_id"],
            ["room_links.tenant_id", "room_links.id"],
            name=op.f("fk_video_room_participants_tenant_id_link_id"),
            ondelete="SET NULL (link_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "person_id"],
            ["people.tenant_id", "people.id"],
            name=op.f("fk_video_room_participants_tenant_id_person_id"),
            ondelete="SET NULL (person_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "room_id"],
            ["video_rooms.tenant_id", "video_rooms.id"],
            name=op.f("fk_video_room_participants_tenant_id_room_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "staff_id"],
            ["staff.tenant_id", "staff.id"],
            name=op.f("fk_video_room_participants_tenant_id_staff_id"),
            ondelete="SET NULL (staff_id)",
        ),
        sa.UniqueConstraint(
            "tenant_id",
            "room_id",
            "session_no",
            "identity",
            name=op.f("uq_video_room_participants_identity"),
        ),
        sa.CheckConstraint(
            "NOT is_hidden OR kind <> 'person'",
            name=op.f("ck_video_room_participants_hidden_is_service"),
        ),
        sa.CheckConstraint(
            "kind IN ('person', 'service', 'recorder', 'bot')",
            name=op.f("ck_video_room_participants_kind"),
        ),
        sa.CheckConstraint(
            "role IN ('host', 'cohost', 'presenter', 'participant', 'observer')",
            name=op.f("ck_video_room_participants_role"),
        ),
        sa.CheckConstraint(
            "status IN ('invited', 'waiting', 'admitted', 'joining', 'active', 'reconnecting', 'left', 'denied', 'removed', 'banned', 'timed_out')",
            name=op.f("ck_video_room_participants_status"),
        ),
    )
    op.create_index(
        op.f("ix_video_room_participants_tenant_id_link_id"),
        "video_room_participants",
        ["tenant_id", "link_id"],
        postgresql_where=sa.text("link_id IS NOT NULL"),
        sqlite_where=sa.text("link_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_video_room_participants_tenant_id_person_id"),
        "video_room_participants",
        ["tenant_id", "person_id"],
        postgresql_where=sa.text("person_id IS NOT NULL"),
        sqlite_where=sa.text("person_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_video_room_participants_tenant_id_room_id_session_no_status"),
        "video_room_participants",
        ["tenant_id", "room_id", "session_no", "status"],
    )
    op.create_index(
        op.f("ix_video_room_participants_tenant_id_staff_id"),
        "video_room_participants",
        ["tenant_id", "staff_id"],
        postgresql_where=sa.text("staff_id IS NOT NULL"),
        sqlite_where=sa.text("staff_id IS NOT NULL"),
    )
    op.create_table(
        "video_room_intervals",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("participant_id", sa.Uuid(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("joined_at", types.UtcTimestamp(), nullable=False),
        sa.Column("left_at", types.UtcTimestamp()),
        sa.Column("leave_reason", sa.Text()),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_video_room_intervals")),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("fk_video_room_intervals_tenant_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "participant_id"],
            ["video_room_participants.tenant_id", "video_room_participants.id"],
            name=op.f("fk_video_room_intervals_tenant_id_participant_id"),
            ondelete="CASCADE",
        ),
        sa.CheckConstraint(
            "left_at IS NULL OR left_at >= joined_at",
            name=op.f("ck_video_room_intervals_left_after_joined"),
        ),
    )
    op.create_index(
        op.f("ix_video_room_intervals_tenant_id_participant_id_joined_at"),
        "video_room_intervals",
        ["tenant_id", "participant_id", "joined_at"],
    )
    op.create_index(
        op.f("uq_video_room_intervals_open"),
        "video_room_intervals",
        ["tenant_id", "participant_id"],
        unique=True,
        postgresql_where=sa.text("left_at IS NULL"),
        sqlite_where=sa.text("left_at IS NULL"),
    )
    op.create_table(
        "room_owners",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("room_id", sa.Uuid(), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("lease_until", types.UtcTimestamp(), nullable=False),
        sa.Column("session_no", sa.Integer(), nullable=False),
        sa.Column("last_seq", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "room_id", name=op.f("pk_room_owners")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_room_owners_tenant_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "room_id"],
            ["video_rooms.tenant_id", "video_rooms.id"],
            name=op.f("fk_room_owners_tenant_id_room_id"),
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        "room_events",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("room_id", sa.Uuid(), nullable=False),
        sa.Column("session_no", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("audience", sa.Text(), nullable=False),
        sa.Column("body", types.json_type(), nullable=False),
        sa.Column("at", types.UtcTimestamp(), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant_id", "room_id", "session_no", "seq", name=op.f("pk_room_events")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_room_events_tenant_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "room_id"],
            ["video_rooms.tenant_id", "video_rooms.id"],
            name=op.f("fk_room_events_tenant_id_room_id"),
            ondelete="CASCADE",
        ),
    )
    rls.protect("video_rooms")
    rls.protect("room_links")
    rls.protect("video_room_sessions")
    rls.protect("video_room_participants")
    rls.protect("video_room_intervals")
    rls.protect("room_owners")
    rls.protect("room_events", grants="SELECT, INSERT")
    rls.create_lookup(
        "find_room_links",
        "wanted text",
        "tenant_id uuid, room_id uuid, id uuid, secret_hash bytea, role text,"
        " staff_id uuid, person_id uuid, display_name text, lobby boolean, room_status text",
        """SELECT r.tenant_id, r.id, l.id, l.secret_hash, l.role,
                l.staff_id, l.person_id, l.display_name, l.lobby, r.status
            FROM video_rooms r
            JOIN room_links l ON l.tenant_id = r.tenant_id AND l.room_id = r.id
            JOIN tenants t ON t.id = r.tenant_id
            WHERE r.code = wanted AND l.revoked_at IS NULL AND t.is_active""",
        "video_rooms",
        "room_links",
        "tenants",
    )


def downgrade() -> None:
    """Drop them again."""
    rls.drop_lookup("find_room_links")
    op.drop_table("room_events")
    op.drop_table("room_owners")
    op.drop_table("video_room_intervals")
    op.drop_table("video_room_participants")
    op.drop_table("video_room_sessions")
    op.drop_table("room_links")
    op.drop_table("video_rooms")
