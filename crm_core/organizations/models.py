"""Tables of organizations and their members."""

from datetime import date, datetime
from decimal import Decimal
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
    ix,
    one_of,
    ref,
    unique,
)

from ..address import Addressed

SENTIMENTS = ("happy", "neutral", "unhappy")


class Organization(TenantRow, Stamped, SoftDeleted, Extensible, Addressed, Base):
    """A customer that is not one single human (seed: organizations)."""

    __tablename__ = "organizations"

    name: Mapped[str]
    dba_name: Mapped[str | None]
    type: Mapped[str | None]
    business_type: Mapped[str | None]
    email: Mapped[str | None]
    email_norm: Mapped[str | None] = mapped_column(sa.Computed("lower(email)", persisted=True))
    phone: Mapped[str | None]
    domain: Mapped[str | None]
    website: Mapped[str | None]
    billing_address: Mapped[JsonObject | None]
    license_number: Mapped[str | None]
    license_state: Mapped[str | None]
    license_expires_on: Mapped[date | None]
    years_in_business: Mapped[int | None]
    employee_count: Mapped[int | None]
    annual_revenue: Mapped[Decimal | None]
    google_business_id: Mapped[str | None]
    google_rating: Mapped[Decimal | None]
    google_reviews_count: Mapped[int | None]
    social_profiles: Mapped[JsonObject] = mapped_column(default=dict)
    last_enriched_at: Mapped[datetime | None]
    primary_contact_id: Mapped[UUID | None] = ref("people")
    owner_id: Mapped[UUID | None] = ref("staff")
    is_customer: Mapped[bool] = mapped_column(default=False)
    overall_sentiment: Mapped[str] = mapped_column(default="neutral")
    is_flagged: Mapped[bool] = mapped_column(default=False)
    waiting_on: Mapped[JsonArray] = mapped_column(default=list)
    current_work: Mapped[JsonArray] = mapped_column(default=list)
    last_email_at: Mapped[datetime | None]
    last_contacted_at: Mapped[datetime | None]
    notes: Mapped[str | None]
    is_active: Mapped[bool] = mapped_column(default=True)

    __table_args__ = (
        unique("email_norm"),
        unique("phone"),
        unique("google_business_id"),
        unique("external_id"),
        ix("name"),
        ix("domain"),
        ix("overall_sentiment"),
        ix("updated_at"),
        one_of("overall_sentiment", SENTIMENTS),
    )


class OrganizationMember(TenantRow, Stamped, Base):
    """A person's role in an organization; one may hold several (seed: organizationMembers)."""

    __tablename__ = "organization_members"

    organization_id: Mapped[UUID] = ref("organizations", on_delete="cascade", index_with=None)
    person_id: Mapped[UUID] = ref("people", on_delete="cascade")
    role: Mapped[str] = mapped_column(default="member")
    is_billing_contact: Mapped[bool] = mapped_column(default=False)
    is_primary: Mapped[bool] = mapped_column(default=False)
    started_on: Mapped[date | None]
    ended_on: Mapped[date | None]

    __table_args__ = (
        unique("organization_id", "person_id", "role", name="uq_organization_members_role"),
    )
