"""Communications, their participants, the outbox and idempotency keys.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

from storage import rls, types

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, their policies and the app role's rights."""
    op.create_table(
        "communications",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("occurred_at", types.UtcTimestamp(), nullable=False),
        sa.Column("subject", sa.Text()),
        sa.Column("body", sa.Text()),
        sa.Column("summary", sa.Text()),
        sa.Column("notes", sa.Text()),
        sa.Column("staff_id", sa.Uuid()),
        sa.Column("from_address", sa.Text()),
        sa.Column("to_address", sa.Text()),
        sa.Column("message_id", sa.Text()),
        sa.Column("thread_id", sa.Text()),
        sa.Column("reply_to_id", sa.Uuid()),
        sa.Column("campaign_id", sa.Uuid()),
        sa.Column("campaign_ref", sa.Text()),
        sa.Column("template_ref", sa.Text()),
        sa.Column("batch_id", sa.Uuid()),
        sa.Column("scheduled_at", types.UtcTimestamp()),
        sa.Column("sent_at", types.UtcTimestamp()),
        sa.Column("delivered_at", types.UtcTimestamp()),
        sa.Column("read_at", types.UtcTimestamp()),
        sa.Column("completed_at", types.UtcTimestamp()),
        sa.Column("duration_seconds", sa.Integer()),
        sa.Column("location", sa.Text()),
        sa.Column("is_opened", sa.Boolean()),
        sa.Column("is_clicked", sa.Boolean()),
        sa.Column("is_replied", sa.Boolean()),
        sa.Column("replied_at", types.UtcTimestamp()),
        sa.Column("reply_text", sa.Text()),
        sa.Column("reply_minutes", sa.Integer()),
        sa.Column("action_needed", sa.Boolean(), nullable=False),
        sa.Column("sentiment", sa.Text()),
        sa.Column("ai_score", types.Money()),
        sa.Column("appointment_id", sa.Uuid()),
        sa.Column("video_room_id", sa.Uuid()),
        sa.Column("recording_url", sa.Text()),
        sa.Column("transcript", sa.Text()),
        sa.Column("personalization", types.json_type(), nullable=False),
        sa.Column("metadata", types.json_type(), nullable=False),
        sa.Column("attendees", types.json_type(), nullable=False),
        sa.Column("person_id", sa.Uuid()),
        sa.Column("organization_id", sa.Uuid()),
        sa.Column("lead_id", sa.Uuid()),
        sa.Column("project_id", sa.Uuid()),
        sa.Column("external_id", sa.Text()),
        sa.Column("custom_fields", types.json_type(), nullable=False),
        sa.Column("created_at", types.UtcTimestamp(), nullable=False),
        sa.Column("updated_at", types.UtcTimestamp(), nullable=False),
        sa.Column("created_by", sa.Uuid()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_communications")),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("fk_communications_tenant_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "appointment_id"],
            ["appointments.tenant_id", "appointments.id"],
            name=op.f("fk_communications_tenant_id_appointment_id"),
            ondelete="SET NULL (appointment_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "campaign_id"],
            ["campaigns.tenant_id", "campaigns.id"],
            name=op.f("fk_communications_tenant_id_campaign_id"),
            ondelete="SET NULL (campaign_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "lead_id"],
            ["leads.tenant_id", "leads.id"],
            name=op.f("fk_communications_tenant_id_lead_id"),
            ondelete="SET NULL (lead_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "organization_id"],
            ["organizations.tenant_id", "organizations.id"],
            name=op.f("fk_communications_tenant_id_organization_id"),
            ondelete="SET NULL (organization_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "person_id"],
            ["people.tenant_id", "people.id"],
            name=op.f("fk_communications_tenant_id_person_id"),
            ondelete="SET NULL (person_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "project_id"],
            ["projects.tenant_id", "projects.id"],
            name=op.f("fk_communications_tenant_id_project_id"),
            ondelete="SET NULL (project_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "reply_to_id"],
            ["communications.tenant_id", "communications.id"],
            name=op.f("fk_communications_tenant_id_reply_to_id"),
            ondelete="SET NULL (reply_to_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "staff_id"],
            ["staff.tenant_id", "staff.id"],
            name=op.f("fk_communications_tenant_id_staff_id"),
            ondelete="SET NULL (staff_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "video_room_id"],
            ["video_rooms.tenant_id", "video_rooms.id"],
            name=op.f("fk_communications_tenant_id_video_room_id"),
            ondelete="SET NULL (video_room_id)",
        ),
        sa.UniqueConstraint(
            "tenant_id",
            "channel",
            "message_id",
            name=op.f("uq_communications_tenant_id_channel_message_id"),
        ),
        sa.UniqueConstraint(
            "tenant_id", "external_id", name=op.f("uq_communications_tenant_id_external_id")
        ),
        sa.CheckConstraint(
            "direction IN ('inbound', 'outbound', 'internal')",
            name=op.f("ck_communications_direction"),
        ),
    )
    op.create_index(
        op.f("ix_communications_tenant_id_appointment_id"),
        "communications",
        ["tenant_id", "appointment_id"],
        postgresql_where=sa.text("appointment_id IS NOT NULL"),
        sqlite_where=sa.text("appointment_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_communications_tenant_id_batch_id"),
        "communications",
        ["tenant_id", "batch_id"],
        postgresql_where=sa.text("batch_id IS NOT NULL"),
        sqlite_where=sa.text("batch_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_communications_tenant_id_campaign_id"),
        "communications",
        ["tenant_id", "campaign_id"],
        postgresql_where=sa.text("campaign_id IS NOT NULL"),
        sqlite_where=sa.text("campaign_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_communications_tenant_id_channel_occurred_at"),
        "communications",
        ["tenant_id", "channel", "occurred_at"],
    )
    op.create_index(
        op.f("ix_communications_tenant_id_lead_id_occurred_at"),
        "communications",
        ["tenant_id", "lead_id", "occurred_at"],
        postgresql_where=sa.text("lead_id IS NOT NULL"),
        sqlite_where=sa.text("lead_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_communications_tenant_id_occurred_at"),
        "communications",
        ["tenant_id", "occurred_at"],
    )
    op.create_index(
        op.f("ix_communications_tenant_id_organization_id_occurred_at"),
        "communications",
        ["tenant_id", "organization_id", "occurred_at"],
        postgresql_where=sa.text("organization_id IS NOT NULL"),
        sqlite_where=sa.text("organization_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_communications_tenant_id_person_id_occurred_at"),
        "communications",
        ["tenant_id", "person_id", "occurred_at"],
        postgresql_where=sa.text("person_id IS NOT NULL"),
        sqlite_where=sa.text("person_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_communications_tenant_id_project_id_occurred_at"),
        "communications",
        ["tenant_id", "project_id", "occurred_at"],
        postgresql_where=sa.text("project_id IS NOT NULL"),
        sqlite_where=sa.text("project_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_communications_tenant_id_reply_to_id"),
        "communications",
        ["tenant_id", "reply_to_id"],
        postgresql_where=sa.text("reply_to_id IS NOT NULL"),
        sqlite_where=sa.text("reply_to_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_communications_tenant_id_scheduled_at"),
        "communications",
        ["tenant_id", "scheduled_at"],
        postgresql_where=sa.text("status = 'scheduled'"),
        sqlite_where=sa.text("status = 'scheduled'"),
    )
    op.create_index(
        op.f("ix_communications_tenant_id_staff_id_occurred_at"),
        "communications",
        ["tenant_id", "staff_id", "occurred_at"],
        postgresql_where=sa.text("staff_id IS NOT NULL"),
        sqlite_where=sa.text("staff_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_communications_tenant_id_thread_id"),
        "communications",
        ["tenant_id", "thread_id"],
        postgresql_where=sa.text("thread_id IS NOT NULL"),
        sqlite_where=sa.text("thread_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_communications_tenant_id_video_room_id"),
        "communications",
        ["tenant_id", "video_room_id"],
        postgresql_where=sa.text("video_room_id IS NOT NULL"),
        sqlite_where=sa.text("video_room_id IS NOT NULL"),
    )
    op.create_table(
        "communication_participants",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("communication_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("address", sa.Text()),
        sa.Column("name", sa.Text()),
        sa.Column("person_id", sa.Uuid()),
        sa.Column("staff_id", sa.Uuid()),
        sa.Column("organization_id", sa.Uuid()),
        sa.Column("joined_at", types.UtcTimestamp()),
        sa.Column("left_at", types.UtcTimestamp()),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_communication_participants")),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("fk_communication_participants_tenant_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "communication_id"],
            ["communications.tenant_id", "communications.id"],
            name=op.f("fk_communication_participants_tenant_id_communication_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "organization_id"],
            ["organizations.tenant_id", "organizations.id"],
            name=op.f("fk_communication_participants_tenant_id_organization_id"),
            ondelete="SET NULL (organization_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "person_id"],
            ["people.tenant_id", "people.id"],
            name=op.f("fk_communication_participants_tenant_id_person_id"),
            ondelete="SET NULL (person_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "staff_id"],
            ["staff.tenant_id", "staff.id"],
            name=op.f("fk_communication_participants_tenant_id_staff_id"),
            ondelete="SET NULL (staff_id)",
        ),
        sa.CheckConstraint(
            "role IN ('from', 'to', 'cc', 'bcc', 'host', 'attendee')",
            name=op.f("ck_communication_participants_role"),
        ),
    )
    op.create_index(
        op.f("ix_communication_participants_tenant_id_communication_id"),
        "communication_participants",
        ["tenant_id", "communication_id"],
    )
    op.create_index(
        op.f("ix_communication_participants_tenant_id_organization_id"),
        "communication_participants",
        ["tenant_id", "organization_id"],
        postgresql_where=sa.text("organization_id IS NOT NULL"),
        sqlite_where=sa.text("organization_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_communication_participants_tenant_id_person_id"),
        "communication_participants",
        ["tenant_id", "person_id"],
        postgresql_where=sa.text("person_id IS NOT NULL"),
        sqlite_where=sa.text("person_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_communication_participants_tenant_id_staff_id"),
        "communication_participants",
        ["tenant_id", "staff_id"],
        postgresql_where=sa.text("staff_id IS NOT NULL"),
        sqlite_where=sa.text("staff_id IS NOT NULL"),
    )
    op.create_table(
        "outbox_events",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", types.UtcTimestamp(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer()),
        sa.Column("payload", types.json_type(), nullable=False),
        sa.Column("actor_id", sa.Uuid()),
        sa.Column("published_at", types.UtcTimestamp()),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_outbox_events")),
    )
    op.create_index(
        op.f("ix_outbox_events_tenant_id_entity_entity_id_id"),
        "outbox_events",
        ["tenant_id", "entity", "entity_id", "id"],
    )
    op.create_index(
        op.f("ix_outbox_events_unpublished"),
        "outbox_events",
        ["id"],
        postgresql_where=sa.text("published_at IS NULL"),
        sqlite_where=sa.text("published_at IS NULL"),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("response", types.json_type()),
        sa.Column("created_at", types.UtcTimestamp(), nullable=False),
        sa.Column("expires_at", types.UtcTimestamp(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "key", name=op.f("pk_idempotency_keys")),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("fk_idempotency_keys_tenant_id"),
            ondelete="CASCADE",
        ),
    )
    op.create_index(op.f("ix_idempotency_keys_expires_at"), "idempotency_keys", ["expires_at"])
    rls.protect("communications")
    rls.protect("communication_participants")
    rls.protect("outbox_events")
    rls.protect("idempotency_keys")


def downgrade() -> None:
    """Drop them again."""
    op.drop_table("idempotency_keys")
    op.drop_table("outbox_events")
    op.drop_table("communication_participants")
    op.drop_table("communications")
