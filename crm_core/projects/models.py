"""Tables of projects and their contacts."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storage.base import (
    Base,
    Extensible,
    SoftDeleted,
    Stamped,
    TenantRow,
    check,
    ix,
    one_of,
    ref,
    unique,
)

PROJECT_STATES = ("active", "paused", "completed", "cancelled")


class Project(TenantRow, Stamped, SoftDeleted, Extensible, Base):
    """Work at one address for one organization (seed: projects)."""

    __tablename__ = "projects"

    name: Mapped[str]
    number: Mapped[str | None]
    type: Mapped[str | None]
    description: Mapped[str | None]
    site_street: Mapped[str | None]
    site_street2: Mapped[str | None]
    site_city: Mapped[str | None]
    site_region: Mapped[str | None]
    site_postal_code: Mapped[str | None]
    site_country: Mapped[str | None]
    site_latitude: Mapped[float | None]
    site_longitude: Mapped[float | None]
    organization_id: Mapped[UUID | None] = ref("organizations", on_delete="cascade")
    primary_contact_id: Mapped[UUID | None] = ref("people")
    lead_id: Mapped[UUID | None] = ref("leads", index_with=None)
    pipeline_id: Mapped[UUID | None] = ref("pipelines", index_with=("stage_id",))
    stage_id: Mapped[UUID | None]
    stage_entered_at: Mapped[datetime | None]
    status: Mapped[str] = mapped_column(default="active")
    consultant_id: Mapped[UUID | None] = ref("staff", index_with=("status",))
    manager_id: Mapped[UUID | None] = ref("staff", index_with=("status",))
    value: Mapped[Decimal | None]
    start_on: Mapped[date | None]
    end_on: Mapped[date | None]
    completed_at: Mapped[datetime | None]

    __table_args__ = (
        # A stage of another pipeline is impossible, not merely unlikely.
        sa.ForeignKeyConstraint(
            ["tenant_id", "pipeline_id", "stage_id"],
            [
                "pipeline_stages.tenant_id",
                "pipeline_stages.pipeline_id",
                "pipeline_stages.id",
            ],
        ),
        check("stage_has_pipeline", "stage_id IS NULL OR pipeline_id IS NOT NULL"),
        one_of("status", PROJECT_STATES),
        unique("number"),
        unique("external_id"),
        # Converting a lead twice finds the first project.
        unique("lead_id"),
        ix("updated_at"),
    )


class ProjectContact(TenantRow, Stamped, Base):
    """A person's role in a project; one may hold several (seed: projectContacts)."""

    __tablename__ = "project_contacts"

    project_id: Mapped[UUID] = ref("projects", on_delete="cascade", index_with=None)
    person_id: Mapped[UUID] = ref("people", on_delete="cascade")
    role: Mapped[str] = mapped_column(default="contact")
    is_primary: Mapped[bool] = mapped_column(default=False)

    __table_args__ = (
        unique("project_id", "person_id", "role"),
        unique("project_id", where="is_primary", name="uq_project_contacts_primary"),
    )
