"""Tenants, users, staff, roles and API keys.

Revision ID: 0001
Revises: None
"""

import sqlalchemy as sa
from alembic import op

from storage import rls, types

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, their policies and the app role's rights."""
    rls.create_roles()
    op.create_table(
        "tenants",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text()),
        sa.Column("domain", sa.Text()),
        sa.Column("parent_id", sa.Uuid()),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("billing_email", sa.Text()),
        sa.Column("billing_address", types.json_type()),
        sa.Column("stripe_customer_id", sa.Text()),
        sa.Column("subscription_tier", sa.Text()),
        sa.Column("subscription_status", sa.Text()),
        sa.Column("subscription_expires_at", types.UtcTimestamp()),
        sa.Column("max_users", sa.Integer()),
        sa.Column("max_leads_per_month", sa.Integer()),
        sa.Column("max_ai_calls_per_month", sa.Integer()),
        sa.Column("settings", types.json_type(), nullable=False),
        sa.Column("features", types.json_type(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", types.UtcTimestamp(), nullable=False),
        sa.Column("updated_at", types.UtcTimestamp(), nullable=False),
        sa.Column("created_by", sa.Uuid()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenants")),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["tenants.id"], name=op.f("fk_tenants_parent_id"), ondelete="SET NULL"
        ),
        sa.UniqueConstraint("slug", name=op.f("uq_tenants_slug")),
        sa.UniqueConstraint("stripe_customer_id", name=op.f("uq_tenants_stripe_customer_id")),
        sa.CheckConstraint("kind IN ('tenant', 'agency', 'client')", name=op.f("ck_tenants_kind")),
    )
    op.create_index(op.f("ix_tenants_parent_id"), "tenants", ["parent_id"])
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column(
            "email_norm", sa.Text(), sa.Computed("lower(email)", persisted=True), nullable=False
        ),
        sa.Column("email_verified_at", types.UtcTimestamp()),
        sa.Column("password_hash", sa.Text()),
        sa.Column("first_name", sa.Text()),
        sa.Column("last_name", sa.Text()),
        sa.Column("full_name", sa.Text()),
        sa.Column("avatar_url", sa.Text()),
        sa.Column("phone", sa.Text()),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("is_super_admin", sa.Boolean(), nullable=False),
        sa.Column("preferences", types.json_type(), nullable=False),
        sa.Column("notification_settings", types.json_type(), nullable=False),
        sa.Column("timezone", sa.Text()),
        sa.Column("locale", sa.Text()),
        sa.Column("two_factor_enabled", sa.Boolean(), nullable=False),
        sa.Column("two_factor_secret", sa.LargeBinary()),
        sa.Column("last_login_at", types.UtcTimestamp()),
        sa.Column("last_login_ip", sa.Text()),
        sa.Column("failed_login_attempts", sa.Integer(), nullable=False),
        sa.Column("locked_until", types.UtcTimestamp()),
        sa.Column("created_at", types.UtcTimestamp(), nullable=False),
        sa.Column("updated_at", types.UtcTimestamp(), nullable=False),
        sa.Column("created_by", sa.Uuid()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("deleted_at", types.UtcTimestamp()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email_norm", name=op.f("uq_users_email_norm")),
        sa.CheckConstraint(
            "status IN ('invited', 'active', 'suspended', 'deleted')", name=op.f("ck_users_status")
        ),
    )
    op.create_table(
        "staff",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid()),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text()),
        sa.Column("email_norm", sa.Text(), sa.Computed("lower(email)", persisted=True)),
        sa.Column("phone", sa.Text()),
        sa.Column("avatar_url", sa.Text()),
        sa.Column("department", sa.Text()),
        sa.Column("job_title", sa.Text()),
        sa.Column("manager_id", sa.Uuid()),
        sa.Column("timezone", sa.Text()),
        sa.Column("settings", types.json_type(), nullable=False),
        sa.Column("skills", types.json_type(), nullable=False),
        sa.Column("is_bookable", sa.Boolean(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("last_active_at", types.UtcTimestamp()),
        sa.Column("external_id", sa.Text()),
        sa.Column("custom_fields", types.json_type(), nullable=False),
        sa.Column("created_at", types.UtcTimestamp(), nullable=False),
        sa.Column("updated_at", types.UtcTimestamp(), nullable=False),
        sa.Column("created_by", sa.Uuid()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("deleted_at", types.UtcTimestamp()),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_staff")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_staff_tenant_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "manager_id"],
            ["staff.tenant_id", "staff.id"],
            name=op.f("fk_staff_tenant_id_manager_id"),
            ondelete="SET NULL (manager_id)",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_staff_user_id"), ondelete="SET NULL"
        ),
        sa.UniqueConstraint(
            "tenant_id", "external_id", name=op.f("uq_staff_tenant_id_external_id")
        ),
        sa.UniqueConstraint("tenant_id", "user_id", name=op.f("uq_staff_tenant_id_user_id")),
    )
    op.create_index(op.f("ix_staff_tenant_id_email_norm"), "staff", ["tenant_id", "email_norm"])
    op.create_index(
        op.f("ix_staff_tenant_id_is_active_name"), "staff", ["tenant_id", "is_active", "name"]
    )
    op.create_index(
        op.f("ix_staff_tenant_id_manager_id"),
        "staff",
        ["tenant_id", "manager_id"],
        postgresql_where=sa.text("manager_id IS NOT NULL"),
        sqlite_where=sa.text("manager_id IS NOT NULL"),
    )
    op.create_index(op.f("ix_staff_user_id"), "staff", ["user_id"])
    op.create_table(
        "roles",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("is_system", sa.Boolean(), nullable=False),
        sa.Column("created_at", types.UtcTimestamp(), nullable=False),
        sa.Column("updated_at", types.UtcTimestamp(), nullable=False),
        sa.Column("created_by", sa.Uuid()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_roles")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_roles_tenant_id"), ondelete="CASCADE"
        ),
        sa.UniqueConstraint("tenant_id", "name", name=op.f("uq_roles_tenant_id_name")),
    )
    op.create_table(
        "staff_roles",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("role_id", sa.Uuid(), nullable=False),
        sa.Column("granted_by_id", sa.Uuid()),
        sa.Column("granted_at", types.UtcTimestamp(), nullable=False),
        sa.Column("expires_at", types.UtcTimestamp()),
        sa.PrimaryKeyConstraint("tenant_id", "staff_id", "role_id", name=op.f("pk_staff_roles")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_staff_roles_tenant_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "granted_by_id"],
            ["staff.tenant_id", "staff.id"],
            name=op.f("fk_staff_roles_tenant_id_granted_by_id"),
            ondelete="SET NULL (granted_by_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "role_id"],
            ["roles.tenant_id", "roles.id"],
            name=op.f("fk_staff_roles_tenant_id_role_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "staff_id"],
            ["staff.tenant_id", "staff.id"],
            name=op.f("fk_staff_roles_tenant_id_staff_id"),
            ondelete="CASCADE",
        ),
    )
    op.create_index(
        op.f("ix_staff_roles_tenant_id_role_id"), "staff_roles", ["tenant_id", "role_id"]
    )
    op.create_table(
        "api_keys",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("staff_id", sa.Uuid()),
        sa.Column("scopes", types.json_type(), nullable=False),
        sa.Column("last_used_at", types.UtcTimestamp()),
        sa.Column("expires_at", types.UtcTimestamp()),
        sa.Column("revoked_at", types.UtcTimestamp()),
        sa.Column("created_at", types.UtcTimestamp(), nullable=False),
        sa.Column("updated_at", types.UtcTimestamp(), nullable=False),
        sa.Column("created_by", sa.Uuid()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_api_keys")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_api_keys_tenant_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "staff_id"],
            ["staff.tenant_id", "staff.id"],
            name=op.f("fk_api_keys_tenant_id_staff_id"),
            ondelete="SET NULL (staff_id)",
        ),
        sa.UniqueConstraint("key_hash", name=op.f("uq_api_keys_key_hash")),
    )
    rls.protect("tenants", column="id")
    rls.protect_users()
    rls.protect("staff")
    rls.protect("roles")
    rls.protect("staff_roles")
    rls.protect("api_keys")
    rls.create_lookup(
        "find_api_key",
        "wanted bytea",
        "tenant_id uuid, id uuid, staff_id uuid, expires_at timestamptz",
        """SELECT k.tenant_id, k.id, k.staff_id, k.expires_at
            FROM api_keys k JOIN tenants t ON t.id = k.tenant_id
            WHERE k.key_hash = wanted AND k.revoked_at IS NULL AND t.is_active""",
        "api_keys",
        "tenants",
    )


def downgrade() -> None:
    """Drop them again."""
    rls.drop_lookup("find_api_key")
    rls.unprotect_users()
    op.drop_table("api_keys")
    op.drop_table("staff_roles")
    op.drop_table("roles")
    op.drop_table("staff")
    op.drop_table("users")
    op.drop_table("tenants")
    rls.drop_roles_grants()
