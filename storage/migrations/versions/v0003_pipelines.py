"""Campaigns, pipelines, leads, projects and the ledger of their history.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

from storage import rls, types

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, their policies and the app role's rights."""
    op.create_table(
        "campaigns",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("assignment_type", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("author_id", sa.Uuid()),
        sa.Column("starts_on", sa.Date()),
        sa.Column("ends_on", sa.Date()),
        sa.Column("settings", types.json_type(), nullable=False),
        sa.Column("budget", types.Money()),
        sa.Column("assign_cursor", sa.BigInteger(), nullable=False),
        sa.Column("external_id", sa.Text()),
        sa.Column("custom_fields", types.json_type(), nullable=False),
        sa.Column("created_at", types.UtcTimestamp(), nullable=False),
        sa.Column("updated_at", types.UtcTimestamp(), nullable=False),
        sa.Column("created_by", sa.Uuid()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("deleted_at", types.UtcTimestamp()),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_campaigns")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_campaigns_tenant_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "author_id"],
            ["staff.tenant_id", "staff.id"],
            name=op.f("fk_campaigns_tenant_id_author_id"),
            ondelete="SET NULL (author_id)",
        ),
        sa.UniqueConstraint(
            "tenant_id", "external_id", name=op.f("uq_campaigns_tenant_id_external_id")
        ),
        sa.CheckConstraint(
            "assignment_type IN ('manual', 'round_robin', 'effort_based')",
            name=op.f("ck_campaigns_assignment_type"),
        ),
        sa.CheckConstraint(
            "kind IN ('calling', 'ai_call', 'email', 'sms', 'event', 'ads', 'referral')",
            name=op.f("ck_campaigns_kind"),
        ),
        sa.CheckConstraint(
            "status IN ('draft', 'active', 'paused', 'completed')", name=op.f("ck_campaigns_status")
        ),
    )
    op.create_index(
        op.f("ix_campaigns_tenant_id_author_id"),
        "campaigns",
        ["tenant_id", "author_id"],
        postgresql_where=sa.text("author_id IS NOT NULL"),
        sqlite_where=sa.text("author_id IS NOT NULL"),
    )
    op.create_index(op.f("ix_campaigns_tenant_id_status"), "campaigns", ["tenant_id", "status"])
    op.create_table(
        "pipelines",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("external_id", sa.Text()),
        sa.Column("custom_fields", types.json_type(), nullable=False),
        sa.Column("created_at", types.UtcTimestamp(), nullable=False),
        sa.Column("updated_at", types.UtcTimestamp(), nullable=False),
        sa.Column("created_by", sa.Uuid()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_pipelines")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_pipelines_tenant_id"), ondelete="CASCADE"
        ),
        sa.UniqueConstraint(
            "tenant_id", "entity", "name", name=op.f("uq_pipelines_tenant_id_entity_name")
        ),
        sa.UniqueConstraint(
            "tenant_id", "external_id", name=op.f("uq_pipelines_tenant_id_external_id")
        ),
        sa.CheckConstraint(
            "entity IN ('lead', 'deal', 'project', 'referral')", name=op.f("ck_pipelines_entity")
        ),
    )
    op.create_index(
        op.f("uq_pipelines_default"),
        "pipelines",
        ["tenant_id", "entity"],
        unique=True,
        postgresql_where=sa.text("is_default"),
        sqlite_where=sa.text("is_default"),
    )
    op.create_table(
        "pipeline_stages",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("pipeline_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("probability", types.Money()),
        sa.Column("max_days", sa.Integer()),
        sa.Column("color", sa.Text()),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("external_id", sa.Text()),
        sa.Column("custom_fields", types.json_type(), nullable=False),
        sa.Column("created_at", types.UtcTimestamp(), nullable=False),
        sa.Column("updated_at", types.UtcTimestamp(), nullable=False),
        sa.Column("created_by", sa.Uuid()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_pipeline_stages")),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("fk_pipeline_stages_tenant_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "pipeline_id"],
            ["pipelines.tenant_id", "pipelines.id"],
            name=op.f("fk_pipeline_stages_tenant_id_pipeline_id"),
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint(
            "tenant_id", "external_id", name=op.f("uq_pipeline_stages_tenant_id_external_id")
        ),
        sa.UniqueConstraint(
            "tenant_id",
            "pipeline_id",
            "id",
            name=op.f("uq_pipeline_stages_tenant_id_pipeline_id_id"),
        ),
        sa.UniqueConstraint(
            "tenant_id",
            "pipeline_id",
            "name",
            name=op.f("uq_pipeline_stages_tenant_id_pipeline_id_name"),
        ),
        sa.CheckConstraint("kind IN ('open', 'won', 'lost')", name=op.f("ck_pipeline_stages_kind")),
    )
    op.create_table(
        "leads",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid()),
        sa.Column("organization_id", sa.Uuid()),
        sa.Column("campaign_id", sa.Uuid()),
        sa.Column("is_primary", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("status_kind", sa.Text(), nullable=False),
        sa.Column("stage_id", sa.Uuid()),
        sa.Column("stage_entered_at", types.UtcTimestamp()),
        sa.Column("source", sa.Text()),
        sa.Column("source_details", types.json_type(), nullable=False),
        sa.Column("score", sa.Integer()),
        sa.Column("score_breakdown", types.json_type(), nullable=False),
        sa.Column("temperature", sa.Text()),
        sa.Column("qualified_at", types.UtcTimestamp()),
        sa.Column("qualified_by", sa.Text()),
        sa.Column("assigned_to_id", sa.Uuid()),
        sa.Column("assigned_at", types.UtcTimestamp()),
        sa.Column("assignment_method", sa.Text()),
        sa.Column("converted_at", types.UtcTimestamp()),
        sa.Column("conversion_value", types.Money()),
        sa.Column("conversion_probability", sa.Integer()),
        sa.Column("estimated_value", types.Money()),
        sa.Column("lost_reason", sa.Text()),
        sa.Column("preferred_contact_method", sa.Text()),
        sa.Column("best_call_time", sa.Text()),
        sa.Column("timezone", sa.Text()),
        sa.Column("first_contact_at", types.UtcTimestamp()),
        sa.Column("last_contact_at", types.UtcTimestamp()),
        sa.Column("contact_attempts", sa.Integer(), nullable=False),
        sa.Column("next_action_at", types.UtcTimestamp()),
        sa.Column("external_id", sa.Text()),
        sa.Column("custom_fields", types.json_type(), nullable=False),
        sa.Column("created_at", types.UtcTimestamp(), nullable=False),
        sa.Column("updated_at", types.UtcTimestamp(), nullable=False),
        sa.Column("created_by", sa.Uuid()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("deleted_at", types.UtcTimestamp()),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_leads")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_leads_tenant_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "assigned_to_id"],
            ["staff.tenant_id", "staff.id"],
            name=op.f("fk_leads_tenant_id_assigned_to_id"),
            ondelete="SET NULL (assigned_to_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "campaign_id"],
            ["campaigns.tenant_id", "campaigns.id"],
            name=op.f("fk_leads_tenant_id_campaign_id"),
            ondelete="SET NULL (campaign_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "organization_id"],
            ["organizations.tenant_id", "organizations.id"],
            name=op.f("fk_leads_tenant_id_organization_id"),
            ondelete="SET NULL (organization_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "person_id"],
            ["people.tenant_id", "people.id"],
            name=op.f("fk_leads_tenant_id_person_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "stage_id"],
            ["pipeline_stages.tenant_id", "pipeline_stages.id"],
            name=op.f("fk_leads_tenant_id_stage_id"),
            ondelete="SET NULL (stage_id)",
        ),
        sa.UniqueConstraint(
            "tenant_id", "external_id", name=op.f("uq_leads_tenant_id_external_id")
        ),
        sa.CheckConstraint(
            "person_id IS NOT NULL OR organization_id IS NOT NULL",
            name=op.f("ck_leads_has_subject"),
        ),
        sa.CheckConstraint(
            "status_kind IN ('open', 'won', 'lost')", name=op.f("ck_leads_status_kind")
        ),
    )
    op.create_index(
        op.f("ix_leads_tenant_id_assigned_to_id_status_kind_next_action_at"),
        "leads",
        ["tenant_id", "assigned_to_id", "status_kind", "next_action_at"],
        postgresql_where=sa.text("assigned_to_id IS NOT NULL"),
        sqlite_where=sa.text("assigned_to_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_leads_tenant_id_campaign_id_status"),
        "leads",
        ["tenant_id", "campaign_id", "status"],
        postgresql_where=sa.text("campaign_id IS NOT NULL"),
        sqlite_where=sa.text("campaign_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_leads_tenant_id_organization_id"),
        "leads",
        ["tenant_id", "organization_id"],
        postgresql_where=sa.text("organization_id IS NOT NULL"),
        sqlite_where=sa.text("organization_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_leads_tenant_id_person_id"),
        "leads",
        ["tenant_id", "person_id"],
        postgresql_where=sa.text("person_id IS NOT NULL"),
        sqlite_where=sa.text("person_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_leads_tenant_id_stage_id"),
        "leads",
        ["tenant_id", "stage_id"],
        postgresql_where=sa.text("stage_id IS NOT NULL"),
        sqlite_where=sa.text("stage_id IS NOT NULL"),
    )
    op.create_index(op.f("ix_leads_tenant_id_status_id"), "leads", ["tenant_id", "status", "id"])
    op.create_index(op.f("ix_leads_tenant_id_updated_at"), "leads", ["tenant_id", "updated_at"])
    op.create_index(
        op.f("uq_leads_primary_of_organization"),
        "leads",
        ["tenant_id", "organization_id"],
        unique=True,
        postgresql_where=sa.text("is_primary AND person_id IS NULL AND deleted_at IS NULL"),
        sqlite_where=sa.text("is_primary AND person_id IS NULL AND deleted_at IS NULL"),
    )
    op.create_index(
        op.f("uq_leads_primary_of_person"),
        "leads",
        ["tenant_id", "person_id"],
        unique=True,
        postgresql_where=sa.text("is_primary AND deleted_at IS NULL"),
        sqlite_where=sa.text("is_primary AND deleted_at IS NULL"),
    )
    op.create_table(
        "pipeline_events",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", types.UtcTimestamp(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("pipeline_id", sa.Uuid()),
        sa.Column("from_stage_id", sa.Uuid()),
        sa.Column("to_stage_id", sa.Uuid()),
        sa.Column("from_stage", sa.Text()),
        sa.Column("to_stage", sa.Text()),
        sa.Column("from_status", sa.Text()),
        sa.Column("to_status", sa.Text()),
        sa.Column("seconds_in_previous", sa.BigInteger()),
        sa.Column("triggered_by_id", sa.Uuid()),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("note", sa.Text()),
        sa.Column("data", types.json_type(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_pipeline_events")),
        sa.CheckConstraint(
            "kind IN ('created', 'stage', 'status', 'assigned', 'converted', 'note')",
            name=op.f("ck_pipeline_events_kind"),
        ),
        sa.CheckConstraint(
            "source IN ('user', 'automation', 'ai', 'import', 'api')",
            name=op.f("ck_pipeline_events_source"),
        ),
    )
    op.create_index(
        op.f("ix_pipeline_events_tenant_id_entity_entity_id_at"),
        "pipeline_events",
        ["tenant_id", "entity", "entity_id", "at"],
    )
    op.create_index(
        op.f("ix_pipeline_events_tenant_id_kind_at"), "pipeline_events", ["tenant_id", "kind", "at"]
    )
    op.create_index(
        op.f("ix_pipeline_events_tenant_id_triggered_by_id"),
        "pipeline_events",
        ["tenant_id", "triggered_by_id"],
        postgresql_where=sa.text("triggered_by_id IS NOT NULL"),
        sqlite_where=sa.text("triggered_by_id IS NOT NULL"),
    )
    op.create_table(
        "projects",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("number", sa.Text()),
        sa.Column("type", sa.Text()),
        sa.Column("description", sa.Text()),
        sa.Column("site_street", sa.Text()),
        sa.Column("site_street2", sa.Text()),
        sa.Column("site_city", sa.Text()),
        sa.Column("site_region", sa.Text()),
        sa.Column("site_postal_code", sa.Text()),
        sa.Column("site_country", sa.Text()),
        sa.Column("site_latitude", sa.Double()),
        sa.Column("site_longitude", sa.Double()),
        sa.Column("organization_id", sa.Uuid()),
        sa.Column("primary_contact_id", sa.Uuid()),
        sa.Column("lead_id", sa.Uuid()),
        sa.Column("pipeline_id", sa.Uuid()),
        sa.Column("stage_id", sa.Uuid()),
        sa.Column("stage_entered_at", types.UtcTimestamp()),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("consultant_id", sa.Uuid()),
        sa.Column("manager_id", sa.Uuid()),
        sa.Column("value", types.Money()),
        sa.Column("start_on", sa.Date()),
        sa.Column("end_on", sa.Date()),
        sa.Column("completed_at", types.UtcTimestamp()),
        sa.Column("external_id", sa.Text()),
        sa.Column("custom_fields", types.json_type(), nullable=False),
        sa.Column("created_at", types.UtcTimestamp(), nullable=False),
        sa.Column("updated_at", types.UtcTimestamp(), nullable=False),
        sa.Column("created_by", sa.Uuid()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("deleted_at", types.UtcTimestamp()),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_projects")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_projects_tenant_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "consultant_id"],
            ["staff.tenant_id", "staff.id"],
            name=op.f("fk_projects_tenant_id_consultant_id"),
            ondelete="SET NULL (consultant_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "lead_id"],
            ["leads.tenant_id", "leads.id"],
            name=op.f("fk_projects_tenant_id_lead_id"),
            ondelete="SET NULL (lead_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "manager_id"],
            ["staff.tenant_id", "staff.id"],
            name=op.f("fk_projects_tenant_id_manager_id"),
            ondelete="SET NULL (manager_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "organization_id"],
            ["organizations.tenant_id", "organizations.id"],
            name=op.f("fk_projects_tenant_id_organization_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "pipeline_id"],
            ["pipelines.tenant_id", "pipelines.id"],
            name=op.f("fk_projects_tenant_id_pipeline_id"),
            ondelete="SET NULL (pipeline_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "pipeline_id", "stage_id"],
            ["pipeline_stages.tenant_id", "pipeline_stages.pipeline_id", "pipeline_stages.id"],
            name=op.f("fk_projects_tenant_id_pipeline_id_stage_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "primary_contact_id"],
            ["people.tenant_id", "people.id"],
            name=op.f("fk_projects_tenant_id_primary_contact_id"),
            ondelete="SET NULL (primary_contact_id)",
        ),
        sa.UniqueConstraint(
            "tenant_id", "external_id", name=op.f("uq_projects_tenant_id_external_id")
        ),
        sa.UniqueConstraint("tenant_id", "lead_id", name=op.f("uq_projects_tenant_id_lead_id")),
        sa.UniqueConstraint("tenant_id", "number", name=op.f("uq_projects_tenant_id_number")),
        sa.CheckConstraint(
            "stage_id IS NULL OR pipeline_id IS NOT NULL",
            name=op.f("ck_projects_stage_has_pipeline"),
        ),
        sa.CheckConstraint(
            "status IN ('active', 'paused', 'completed', 'cancelled')",
            name=op.f("ck_projects_status"),
        ),
    )
    op.create_index(
        op.f("ix_projects_tenant_id_consultant_id_status"),
        "projects",
        ["tenant_id", "consultant_id", "status"],
        postgresql_where=sa.text("consultant_id IS NOT NULL"),
        sqlite_where=sa.text("consultant_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_projects_tenant_id_manager_id_status"),
        "projects",
        ["tenant_id", "manager_id", "status"],
        postgresql_where=sa.text("manager_id IS NOT NULL"),
        sqlite_where=sa.text("manager_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_projects_tenant_id_organization_id"),
        "projects",
        ["tenant_id", "organization_id"],
        postgresql_where=sa.text("organization_id IS NOT NULL"),
        sqlite_where=sa.text("organization_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_projects_tenant_id_pipeline_id_stage_id"),
        "projects",
        ["tenant_id", "pipeline_id", "stage_id"],
        postgresql_where=sa.text("pipeline_id IS NOT NULL"),
        sqlite_where=sa.text("pipeline_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_projects_tenant_id_primary_contact_id"),
        "projects",
        ["tenant_id", "primary_contact_id"],
        postgresql_where=sa.text("primary_contact_id IS NOT NULL"),
        sqlite_where=sa.text("primary_contact_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_projects_tenant_id_updated_at"), "projects", ["tenant_id", "updated_at"]
    )
    op.create_table(
        "project_contacts",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("is_primary", sa.Boolean(), nullable=False),
        sa.Column("created_at", types.UtcTimestamp(), nullable=False),
        sa.Column("updated_at", types.UtcTimestamp(), nullable=False),
        sa.Column("created_by", sa.Uuid()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_project_contacts")),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("fk_project_contacts_tenant_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "person_id"],
            ["people.tenant_id", "people.id"],
            name=op.f("fk_project_contacts_tenant_id_person_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "project_id"],
            ["projects.tenant_id", "projects.id"],
            name=op.f("fk_project_contacts_tenant_id_project_id"),
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint(
            "tenant_id",
            "project_id",
            "person_id",
            "role",
            name=op.f("uq_project_contacts_tenant_id_project_id_person_id_role"),
        ),
    )
    op.create_index(
        op.f("ix_project_contacts_tenant_id_person_id"),
        "project_contacts",
        ["tenant_id", "person_id"],
    )
    op.create_index(
        op.f("uq_project_contacts_primary"),
        "project_contacts",
        ["tenant_id", "project_id"],
        unique=True,
        postgresql_where=sa.text("is_primary"),
        sqlite_where=sa.text("is_primary"),
    )
    rls.protect("campaigns")
    rls.protect("pipelines")
    rls.protect("pipeline_stages")
    rls.protect("leads")
    rls.protect("pipeline_events", grants="SELECT, INSERT")
    rls.protect("projects")
    rls.protect("project_contacts")


def downgrade() -> None:
    """Drop them again."""
    op.drop_table("project_contacts")
    op.drop_table("projects")
    op.drop_table("pipeline_events")
    op.drop_table("leads")
    op.drop_table("pipeline_stages")
    op.drop_table("pipelines")
    op.drop_table("campaigns")
