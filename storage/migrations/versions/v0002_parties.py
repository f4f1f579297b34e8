"""People, organizations and who belongs to them.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

from storage import rls, types

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, their policies and the app role's rights."""
    op.create_table(
        "people",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("first_name", sa.Text(), nullable=False),
        sa.Column("last_name", sa.Text()),
        sa.Column(
            "full_name",
            sa.Text(),
            sa.Computed(
                "trim(coalesce(first_name, '') || ' ' || coalesce(last_name, ''))", persisted=True
            ),
            nullable=False,
        ),
        sa.Column("email", sa.Text()),
        sa.Column("email_norm", sa.Text(), sa.Computed("lower(email)", persisted=True)),
        sa.Column("phone", sa.Text()),
        sa.Column("secondary_phone", sa.Text()),
        sa.Column("job_title", sa.Text()),
        sa.Column("date_of_birth", sa.Date()),
        sa.Column("gender", sa.Text()),
        sa.Column("user_id", sa.Uuid()),
        sa.Column("address_street", sa.Text()),
        sa.Column("address_street2", sa.Text()),
        sa.Column("address_city", sa.Text()),
        sa.Column("address_region", sa.Text()),
        sa.Column("address_postal_code", sa.Text()),
        sa.Column("address_country", sa.Text()),
        sa.Column("address_latitude", sa.Double()),
        sa.Column("address_longitude", sa.Double()),
        sa.Column("preferred_contact_method", sa.Text()),
        sa.Column("preferred_contact_times", types.json_type(), nullable=False),
        sa.Column("contact_frequency_preference", sa.Text()),
        sa.Column("do_not_contact_until", types.UtcTimestamp()),
        sa.Column("email_opt_in", sa.Boolean(), nullable=False),
        sa.Column("sms_opt_in", sa.Boolean(), nullable=False),
        sa.Column("social_profiles", types.json_type(), nullable=False),
        sa.Column("timezone", sa.Text()),
        sa.Column("is_lead", sa.Boolean(), nullable=False),
        sa.Column("is_referral", sa.Boolean(), nullable=False),
        sa.Column("is_member", sa.Boolean(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("acquisition_source", sa.Text()),
        sa.Column("acquisition_campaign", sa.Text()),
        sa.Column("acquired_at", types.UtcTimestamp()),
        sa.Column("utm", types.json_type(), nullable=False),
        sa.Column("referral_source", sa.Text()),
        sa.Column("interest_level", sa.Text()),
        sa.Column("goals", sa.Text()),
        sa.Column("preferred_membership", sa.Text()),
        sa.Column("interested_services", types.json_type(), nullable=False),
        sa.Column("preferred_schedule", types.json_type(), nullable=False),
        sa.Column("special_requirements", sa.Text()),
        sa.Column("budget_range", sa.Text()),
        sa.Column("payment_preferences", sa.Text()),
        sa.Column("price_sensitivity", sa.Text()),
        sa.Column("profile_completeness", sa.Integer()),
        sa.Column("assigned_to_id", sa.Uuid()),
        sa.Column("last_contacted_at", types.UtcTimestamp()),
        sa.Column("next_contact_at", types.UtcTimestamp()),
        sa.Column("notes", sa.Text()),
        sa.Column("external_id", sa.Text()),
        sa.Column("custom_fields", types.json_type(), nullable=False),
        sa.Column("created_at", types.UtcTimestamp(), nullable=False),
        sa.Column("updated_at", types.UtcTimestamp(), nullable=False),
        sa.Column("created_by", sa.Uuid()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("deleted_at", types.UtcTimestamp()),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_people")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_people_tenant_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "assigned_to_id"],
            ["staff.tenant_id", "staff.id"],
            name=op.f("fk_people_tenant_id_assigned_to_id"),
            ondelete="SET NULL (assigned_to_id)",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_people_user_id"), ondelete="SET NULL"
        ),
        sa.UniqueConstraint(
            "tenant_id", "external_id", name=op.f("uq_people_tenant_id_external_id")
        ),
    )
    op.create_index(
        op.f("ix_people_is_lead"),
        "people",
        ["tenant_id", "id"],
        postgresql_where=sa.text("is_lead"),
        sqlite_where=sa.text("is_lead"),
    )
    op.create_index(
        op.f("ix_people_is_member"),
        "people",
        ["tenant_id", "id"],
        postgresql_where=sa.text("is_member"),
        sqlite_where=sa.text("is_member"),
    )
    op.create_index(
        op.f("ix_people_is_referral"),
        "people",
        ["tenant_id", "id"],
        postgresql_where=sa.text("is_referral"),
        sqlite_where=sa.text("is_referral"),
    )
    op.create_index(
        op.f("ix_people_tenant_id_assigned_to_id_next_contact_at"),
        "people",
        ["tenant_id", "assigned_to_id", "next_contact_at"],
        postgresql_where=sa.text("assigned_to_id IS NOT NULL"),
        sqlite_where=sa.text("assigned_to_id IS NOT NULL"),
    )
    op.create_index(op.f("ix_people_tenant_id_email_norm"), "people", ["tenant_id", "email_norm"])
    op.create_index(op.f("ix_people_tenant_id_full_name"), "people", ["tenant_id", "full_name"])
    op.create_index(op.f("ix_people_tenant_id_phone"), "people", ["tenant_id", "phone"])
    op.create_index(op.f("ix_people_tenant_id_updated_at"), "people", ["tenant_id", "updated_at"])
    op.create_index(op.f("ix_people_user_id"), "people", ["user_id"])
    op.create_table(
        "organizations",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("dba_name", sa.Text()),
        sa.Column("type", sa.Text()),
        sa.Column("business_type", sa.Text()),
        sa.Column("email", sa.Text()),
        sa.Column("email_norm", sa.Text(), sa.Computed("lower(email)", persisted=True)),
        sa.Column("phone", sa.Text()),
        sa.Column("domain", sa.Text()),
        sa.Column("website", sa.Text()),
        sa.Column("address_street", sa.Text()),
        sa.Column("address_street2", sa.Text()),
        sa.Column("address_city", sa.Text()),
        sa.Column("address_region", sa.Text()),
        sa.Column("address_postal_code", sa.Text()),
        sa.Column("address_country", sa.Text()),
        sa.Column("address_latitude", sa.Double()),
        sa.Column("address_longitude", sa.Double()),
        sa.Column("billing_address", types.json_type()),
        sa.Column("license_number", sa.Text()),
        sa.Column("license_state", sa.Text()),
        sa.Column("license_expires_on", sa.Date()),
        sa.Column("years_in_business", sa.Integer()),
        sa.Column("employee_count", sa.Integer()),
        sa.Column("annual_revenue", types.Money()),
        sa.Column("google_business_id", sa.Text()),
        sa.Column("google_rating", types.Money()),
        sa.Column("google_reviews_count", sa.Integer()),
        sa.Column("social_profiles", types.json_type(), nullable=False),
        sa.Column("last_enriched_at", types.UtcTimestamp()),
        sa.Column("primary_contact_id", sa.Uuid()),
        sa.Column("owner_id", sa.Uuid()),
        sa.Column("is_customer", sa.Boolean(), nullable=False),
        sa.Column("overall_sentiment", sa.Text(), nullable=False),
        sa.Column("is_flagged", sa.Boolean(), nullable=False),
        sa.Column("waiting_on", types.json_type(), nullable=False),
        sa.Column("current_work", types.json_type(), nullable=False),
        sa.Column("last_email_at", types.UtcTimestamp()),
        sa.Column("last_contacted_at", types.UtcTimestamp()),
        sa.Column("notes", sa.Text()),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("external_id", sa.Text()),
        sa.Column("custom_fields", types.json_type(), nullable=False),
        sa.Column("created_at", types.UtcTimestamp(), nullable=False),
        sa.Column("updated_at", types.UtcTimestamp(), nullable=False),
        sa.Column("created_by", sa.Uuid()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("deleted_at", types.UtcTimestamp()),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_organizations")),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("fk_organizations_tenant_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "owner_id"],
            ["staff.tenant_id", "staff.id"],
            name=op.f("fk_organizations_tenant_id_owner_id"),
            ondelete="SET NULL (owner_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "primary_contact_id"],
            ["people.tenant_id", "people.id"],
            name=op.f("fk_organizations_tenant_id_primary_contact_id"),
            ondelete="SET NULL (primary_contact_id)",
        ),
        sa.UniqueConstraint(
            "tenant_id", "email_norm", name=op.f("uq_organizations_tenant_id_email_norm")
        ),
        sa.UniqueConstraint(
            "tenant_id", "external_id", name=op.f("uq_organizations_tenant_id_external_id")
        ),
        sa.UniqueConstraint(
            "tenant_id",
            "google_business_id",
            name=op.f("uq_organizations_tenant_id_google_business_id"),
        ),
        sa.UniqueConstraint("tenant_id", "phone", name=op.f("uq_organizations_tenant_id_phone")),
        sa.CheckConstraint(
            "overall_sentiment IN ('happy', 'neutral', 'unhappy')",
            name=op.f("ck_organizations_overall_sentiment"),
        ),
    )
    op.create_index(
        op.f("ix_organizations_tenant_id_domain"), "organizations", ["tenant_id", "domain"]
    )
    op.create_index(op.f("ix_organizations_tenant_id_name"), "organizations", ["tenant_id", "name"])
    op.create_index(
        op.f("ix_organizations_tenant_id_overall_sentiment"),
        "organizations",
        ["tenant_id", "overall_sentiment"],
    )
    op.create_index(
        op.f("ix_organizations_tenant_id_owner_id"),
        "organizations",
        ["tenant_id", "owner_id"],
        postgresql_where=sa.text("owner_id IS NOT NULL"),
        sqlite_where=sa.text("owner_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_organizations_tenant_id_primary_contact_id"),
        "organizations",
        ["tenant_id", "primary_contact_id"],
        postgresql_where=sa.text("primary_contact_id IS NOT NULL"),
        sqlite_where=sa.text("primary_contact_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_organizations_tenant_id_updated_at"), "organizations", ["tenant_id", "updated_at"]
    )
    op.create_table(
        "organization_members",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("is_billing_contact", sa.Boolean(), nullable=False),
        sa.Column("is_primary", sa.Boolean(), nullable=False),
        sa.Column("started_on", sa.Date()),
        sa.Column("ended_on", sa.Date()),
        sa.Column("created_at", types.UtcTimestamp(), nullable=False),
        sa.Column("updated_at", types.UtcTimestamp(), nullable=False),
        sa.Column("created_by", sa.Uuid()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_organization_members")),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("fk_organization_members_tenant_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "organization_id"],
            ["organizations.tenant_id", "organizations.id"],
            name=op.f("fk_organization_members_tenant_id_organization_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "person_id"],
            ["people.tenant_id", "people.id"],
            name=op.f("fk_organization_members_tenant_id_person_id"),
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint(
            "tenant_id",
            "organization_id",
            "person_id",
            "role",
            name=op.f("uq_organization_members_role"),
        ),
    )
    op.create_index(
        op.f("ix_organization_members_tenant_id_person_id"),
        "organization_members",
        ["tenant_id", "person_id"],
    )
    rls.protect("people")
    rls.protect("organizations")
    rls.protect("organization_members")


def downgrade() -> None:
    """Drop them again."""
    op.drop_table("organization_members")
    op.drop_table("organizations")
    op.drop_table("people")
