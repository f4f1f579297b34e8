"""Tables of leads, campaigns, pipelines and the ledger of everything that moved through them."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storage.base import (
    Base,
    Extensible,
    JsonObject,
    SoftDeleted,
    Stamped,
    TenantLedgerRow,
    TenantRow,
    check,
    ix,
    one_of,
    ref,
    unique,
)

CAMPAIGN_KINDS = ("calling", "ai_call", "email", "sms", "event", "ads", "referral")
ASSIGNMENT_TYPES = ("manual", "round_robin", "effort_based")
CAMPAIGN_STATES = ("draft", "active", "paused", "completed")
STATUS_KINDS = ("open", "won", "lost")
PIPELINE_ENTITIES = ("lead", "deal", "project", "referral")
EVENT_KINDS = ("created", "stage", "status", "assigned", "converted", "note")
EVENT_SOURCES = ("user", "automation", "ai", "import", "api")


class Campaign(TenantRow, Stamped, SoftDeleted, Extensible, Base):
    """Where leads come from and how they are shared out (seed: campaigns)."""

    __tablename__ = "campaigns"

    name: Mapped[str]
    kind: Mapped[str] = mapped_column(default="calling")
    assignment_type: Mapped[str] = mapped_column(default="manual")
    status: Mapped[str] = mapped_column(default="draft")
    author_id: Mapped[UUID | None] = ref("staff")
    starts_on: Mapped[date | None]
    ends_on: Mapped[date | None]
    settings: Mapped[JsonObject] = mapped_column(default=dict)
    budget: Mapped[Decimal | None]
    assign_cursor: Mapped[int] = mapped_column(sa.BigInteger(), default=0)

    __table_args__ = (
        unique("external_id"),
        ix("status"),
        one_of("kind", CAMPAIGN_KINDS),
        one_of("assignment_type", ASSIGNMENT_TYPES),
        one_of("status", CAMPAIGN_STATES),
    )


class Pipeline(TenantRow, Stamped, Extensible, Base):
    """An ordered set of stages for one kind of record."""

    __tablename__ = "pipelines"

    name: Mapped[str]
    entity: Mapped[str] = mapped_column(default="deal")
    is_default: Mapped[bool] = mapped_column(default=False)
    position: Mapped[int] = mapped_column(default=0)
    is_active: Mapped[bool] = mapped_column(default=True)

    __table_args__ = (
        unique("entity", "name"),
        unique("external_id"),
        unique("entity", where="is_default", name="uq_pipelines_default"),
        one_of("entity", PIPELINE_ENTITIES),
    )


class PipelineStage(TenantRow, Stamped, Extensible, Base):
    """One step of a pipeline."""

    __tablename__ = "pipeline_stages"

    pipeline_id: Mapped[UUID] = ref("pipelines", on_delete="cascade", index_with=None)
    name: Mapped[str]
    position: Mapped[int]
    kind: Mapped[str] = mapped_column(default="open")
    probability: Mapped[Decimal | None]
    max_days: Mapped[int | None]
    color: Mapped[str | None]
    is_active: Mapped[bool] = mapped_column(default=True)

    __table_args__ = (
        # What (pipeline, stage) keys of other tables point at.
        unique("pipeline_id", "id"),
        unique("pipeline_id", "name"),
        unique("external_id"),
        one_of("kind", STATUS_KINDS),
    )


class Lead(TenantRow, Stamped, SoftDeleted, Extensible, Base):
    """A person's or an organization's interest, from first contact to sale (seed: leads)."""

    __tablename__ = "leads"

    person_id: Mapped[UUID | None] = ref("people", on_delete="cascade")
    organization_id: Mapped[UUID | None] = ref("organizations")
    campaign_id: Mapped[UUID | None] = ref("campaigns", index_with=("status",))
    is_primary: Mapped[bool] = mapped_column(default=True)
    status: Mapped[str] = mapped_column(default="new")
    status_kind: Mapped[str] = mapped_column(default="open")
    stage_id: Mapped[UUID | None] = ref("pipeline_stages")
    stage_entered_at: Mapped[datetime | None]
    source: Mapped[str | None]
    source_details: Mapped[JsonObject] = mapped_column(default=dict)
    score: Mapped[int | None]
    score_breakdown: Mapped[JsonObject] = mapped_column(default=dict)
    temperature: Mapped[str | None]
    qualified_at: Mapped[datetime | None]
    qualified_by: Mapped[str | None]
    assigned_to_id: Mapped[UUID | None] = ref("staff", index_with=("status_kind", "next_action_at"))
    assigned_at: Mapped[datetime | None]
    assignment_method: Mapped[str | None]
    converted_at: Mapped[datetime | None]
    conversion_value: Mapped[Decimal | None]
    conversion_probability: Mapped[int | None]
    estimated_value: Mapped[Decimal | None]
    lost_reason: Mapped[str | None]
    preferred_contact_method: Mapped[str | None]
    best_call_time: Mapped[str | None]
    timezone: Mapped[str | None]
    first_contact_at: Mapped[datetime | None]
    last_contact_at: Mapped[datetime | None]
    contact_attempts: Mapped[int] = mapped_column(default=0)
    next_action_at: Mapped[datetime | None]

    __table_args__ = (
        check("has_subject", "person_id IS NOT NULL OR organization_id IS NOT NULL"),
        one_of("status_kind", STATUS_KINDS),
        unique("external_id"),
        unique(
            "person_id",
            where="is_primary AND deleted_at IS NULL",
            name="uq_leads_primary_of_person",
        ),
        unique(
            "organization_id",
            where="is_primary AND person_id IS NULL AND deleted_at IS NULL",
            name="uq_leads_primary_of_organization",
        ),
        ix("status", "id"),
        ix("updated_at"),
    )


class PipelineEvent(TenantLedgerRow, Base):
    """One thing that happened to a lead, a project or an appointment (seed: pipelineEvents)."""

    __tablename__ = "pipeline_events"

    at: Mapped[datetime]
    entity: Mapped[str]
    entity_id: Mapped[UUID]
    kind: Mapped[str]
    pipeline_id: Mapped[UUID | None]
    from_stage_id: Mapped[UUID | None]
    to_stage_id: Mapped[UUID | None]
    from_stage: Mapped[str | None]
    to_stage: Mapped[str | None]
    from_status: Mapped[str | None]
    to_status: Mapped[str | None]
    seconds_in_previous: Mapped[int | None] = mapped_column(sa.BigInteger())
    triggered_by_id: Mapped[UUID | None]
    source: Mapped[str] = mapped_column(default="user")
    note: Mapped[str | None]
    data: Mapped[JsonObject] = mapped_column(default=dict)

    __table_args__ = (
        ix("entity", "entity_id", "at"),
        ix("kind", "at"),
        ix("triggered_by_id", where="triggered_by_id IS NOT NULL"),
        one_of("kind", EVENT_KINDS),
        one_of("source", EVENT_SOURCES),
    )
