"""Tables of tenancy and identity.

`Tenant` and `User` are global. A user signs in; a staff member works for one tenant and is what
everything assigned, owned or hosted points at.
"""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storage.base import (
    Base,
    Extensible,
    JsonArray,
    JsonObject,
    SoftDeleted,
    Stamped,
    TenantRow,
    TenantScoped,
    ix,
    one_of,
    ref,
    unique,
)
from storage.tenancy import scope_global

TENANT_KINDS = ("tenant", "agency", "client")
USER_STATES = ("invited", "active", "suspended", "deleted")


class Tenant(Stamped, Base):
    """A company that uses Sunup; every other row belongs to one (seed: tenants)."""

    __tablename__ = "tenants"

    id: Mapped[UUID] = mapped_column(primary_key=True, sort_order=-29)
    name: Mapped[str]
    slug: Mapped[str | None]
    domain: Mapped[str | None]
    parent_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("tenants.id", ondelete="SET NULL"))
    kind: Mapped[str] = mapped_column(default="tenant")
    billing_email: Mapped[str | None]
    billing_address: Mapped[JsonObject | None]
    stripe_customer_id: Mapped[str | None]
    subscription_tier: Mapped[str | None]
    subscription_status: Mapped[str | None]
    subscription_expires_at: Mapped[datetime | None]
    max_users: Mapped[int | None]
    max_leads_per_month: Mapped[int | None]
    max_ai_calls_per_month: Mapped[int | None]
    settings: Mapped[JsonObject] = mapped_column(default=dict)
    features: Mapped[JsonObject] = mapped_column(default=dict)
    timezone: Mapped[str] = mapped_column(default="UTC")
    currency: Mapped[str] = mapped_column(default="USD")
    is_active: Mapped[bool] = mapped_column(default=True)

    __table_args__ = (
        sa.UniqueConstraint("slug"),
        sa.UniqueConstraint("stripe_customer_id"),
        sa.Index(None, "parent_id"),
        one_of("kind", TENANT_KINDS),
    )


class User(Stamped, SoftDeleted, Base):
    """Someone who signs in; may work for several tenants (seed: users)."""

    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(primary_key=True, sort_order=-29)
    email: Mapped[str]
    email_norm: Mapped[str] = mapped_column(sa.Computed("lower(email)", persisted=True))
    email_verified_at: Mapped[datetime | None]
    password_hash: Mapped[str | None]
    first_name: Mapped[str | None]
    last_name: Mapped[str | None]
    full_name: Mapped[str | None]
    avatar_url: Mapped[str | None]
    phone: Mapped[str | None]
    status: Mapped[str] = mapped_column(default="active")
    is_super_admin: Mapped[bool] = mapped_column(default=False)
    preferences: Mapped[JsonObject] = mapped_column(default=dict)
    notification_settings: Mapped[JsonObject] = mapped_column(default=dict)
    timezone: Mapped[str | None]
    locale: Mapped[str | None]
    two_factor_enabled: Mapped[bool] = mapped_column(default=False)
    two_factor_secret: Mapped[bytes | None]
    last_login_at: Mapped[datetime | None]
    last_login_ip: Mapped[str | None]
    failed_login_attempts: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime | None]

    __table_args__ = (sa.UniqueConstraint("email_norm"), one_of("status", USER_STATES))


class Staff(TenantRow, Stamped, SoftDeleted, Extensible, Base):
    """A member of the tenant's staff, with or without a login (seed: users as employees)."""

    __tablename__ = "staff"

    user_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("users.id", ondelete="SET NULL"))
    name: Mapped[str]
    email: Mapped[str | None]
    email_norm: Mapped[str | None] = mapped_column(sa.Computed("lower(email)", persisted=True))
    phone: Mapped[str | None]
    avatar_url: Mapped[str | None]
    department: Mapped[str | None]
    job_title: Mapped[str | None]
    manager_id: Mapped[UUID | None] = ref("staff")
    timezone: Mapped[str | None]
    settings: Mapped[JsonObject] = mapped_column(default=dict)
    skills: Mapped[JsonArray] = mapped_column(default=list)
    is_bookable: Mapped[bool] = mapped_column(default=True)
    is_active: Mapped[bool] = mapped_column(default=True)
    last_active_at: Mapped[datetime | None]

    __table_args__ = (
        unique("user_id"),
        unique("external_id"),
        ix("email_norm"),
        ix("is_active", "name"),
        sa.Index(None, "user_id"),
    )


class Role(TenantRow, Stamped, Base):
    """A named set of rights; what each grants comes with the permission catalogue."""

    __tablename__ = "roles"

    name: Mapped[str]
    description: Mapped[str | None]
    is_system: Mapped[bool] = mapped_column(default=False)

    __table_args__ = (unique("name"),)


class StaffRole(TenantScoped, Base):
    """A role held by a staff member; one may hold several (seed: userRoles)."""

    __tablename__ = "staff_roles"

    staff_id: Mapped[UUID] = ref("staff", on_delete="cascade", index_with=None, primary_key=True)
    role_id: Mapped[UUID] = ref("roles", on_delete="cascade", primary_key=True)
    granted_by_id: Mapped[UUID | None] = ref("staff", index_with=None)
    granted_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]


class ApiKey(TenantRow, Stamped, Base):
    """A secret of the CRM backend; only its SHA-256 is kept."""

    __tablename__ = "api_keys"

    name: Mapped[str]
    prefix: Mapped[str]
    key_hash: Mapped[bytes]
    staff_id: Mapped[UUID | None] = ref("staff", index_with=None)
    scopes: Mapped[JsonArray] = mapped_column(default=list)
    last_used_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    __table_args__ = (sa.UniqueConstraint("key_hash"),)


scope_global(Tenant, lambda tenant_id: Tenant.id == tenant_id)
scope_global(
    User,
    lambda tenant_id: User.id.in_(
        sa.select(Staff.user_id).where(Staff.tenant_id == tenant_id, Staff.user_id.is_not(None))
    ),
)
