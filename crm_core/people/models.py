"""The table of people.

Wide on purpose: a lead, a referral and a member are relations to a person, never second copies of
a name. Lists ask for the columns they show.
"""

from datetime import date, datetime
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
    ref,
    unique,
)

from ..address import Addressed

# Both databases have these functions and call them immutable.
FULL_NAME = "trim(coalesce(first_name, '') || ' ' || coalesce(last_name, ''))"


class Person(TenantRow, Stamped, SoftDeleted, Extensible, Addressed, Base):
    """A human the tenant deals with (seed: people)."""

    __tablename__ = "people"

    first_name: Mapped[str]
    last_name: Mapped[str | None]
    full_name: Mapped[str] = mapped_column(sa.Computed(FULL_NAME, persisted=True))
    email: Mapped[str | None]
    email_norm: Mapped[str | None] = mapped_column(sa.Computed("lower(email)", persisted=True))
    phone: Mapped[str | None]
    secondary_phone: Mapped[str | None]
    job_title: Mapped[str | None]
    date_of_birth: Mapped[date | None]
    gender: Mapped[str | None]
    user_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("users.id", ondelete="SET NULL"))
    preferred_contact_method: Mapped[str | None]
    preferred_contact_times: Mapped[JsonObject] = mapped_column(default=dict)
    contact_frequency_preference: Mapped[str | None]
    do_not_contact_until: Mapped[datetime | None]
    email_opt_in: Mapped[bool] = mapped_column(default=False)
    sms_opt_in: Mapped[bool] = mapped_column(default=False)
    social_profiles: Mapped[JsonObject] = mapped_column(default=dict)
    timezone: Mapped[str | None]
    is_lead: Mapped[bool] = mapped_column(default=False)
    is_referral: Mapped[bool] = mapped_column(default=False)
    is_member: Mapped[bool] = mapped_column(default=False)
    is_active: Mapped[bool] = mapped_column(default=True)
    acquisition_source: Mapped[str | None]
    acquisition_campaign: Mapped[str | None]
    acquired_at: Mapped[datetime | None]
    utm: Mapped[JsonObject] = mapped_column(default=dict)
    referral_source: Mapped[str | None]
    interest_level: Mapped[str | None]
    goals: Mapped[str | None]
    preferred_membership: Mapped[str | None]
    interested_services: Mapped[JsonArray] = mapped_column(default=list)
    preferred_schedule: Mapped[JsonObject] = mapped_column(default=dict)
    special_requirements: Mapped[str | None]
    budget_range: Mapped[str | None]
    payment_preferences: Mapped[str | None]
    price_sensitivity: Mapped[str | None]
    profile_completeness: Mapped[int | None]
    assigned_to_id: Mapped[UUID | None] = ref("staff", index_with=("next_contact_at",))
    last_contacted_at: Mapped[datetime | None]
    next_contact_at: Mapped[datetime | None]
    notes: Mapped[str | None]

    __table_args__ = (
        unique("external_id"),
        ix("email_norm"),
        ix("phone"),
        ix("full_name"),
        sa.Index(None, "user_id"),
        ix("id", where="is_lead", name="ix_people_is_lead"),
        ix("id", where="is_referral", name="ix_people_is_referral"),
        ix("id", where="is_member", name="ix_people_is_member"),
        ix("updated_at"),
    )
