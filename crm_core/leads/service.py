"""Use cases of leads: taking one in, assigning, moving and converting it."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from storage.database import Unit

from ..appointments.models import Appointment
from ..appointments.states import OPEN_STATES
from ..changes.service import announce
from ..errors import Contradiction
from ..organizations.models import Organization, OrganizationMember
from ..people.models import Person
from ..projects.models import Project, ProjectContact
from ..projects.service import create_project
from ..references import require_references
from .history import record_event
from .models import Lead, PipelineStage
from .pipelines import first_stage, move, stage_for


async def create_lead(unit: Unit, values: dict[str, Any]) -> Lead:
    """Take a lead in; the first open one of a person (or organization) is the primary one.

    Raises:
        Contradiction: neither a person nor an organization, or a stage of another pipeline.
        NoSuchReference: a key points at nothing.
    """
    values = dict(values)
    if values.get("person_id") is None and values.get("organization_id") is None:
        raise Contradiction("a lead is about a person or an organization", field="person_id")
    await require_references(unit, Lead, values)
    if "is_primary" not in values:
        values["is_primary"] = not await _has_primary(unit, values)
    stage = await _stage(unit, values)
    if stage is not None:
        values["stage_id"] = stage.id
        values["stage_entered_at"] = unit.now
    if values.get("assigned_to_id") is not None:
        values["assigned_at"] = unit.now
        values["assignment_method"] = "manual"
    lead = Lead(id=unit.ids(), **values)
    await unit.add(lead)
    if lead.person_id is not None:
        person = await unit.session.scalar(sa.select(Person).where(Person.id == lead.person_id))
        if person is not None:
            person.is_lead = True
    await record_event(
        unit,
        "lead",
        lead.id,
        "created",
        to_stage_id=None if stage is None else stage.id,
        to_stage=None if stage is None else stage.name,
        to_status=lead.status,
    )
    return lead


async def assign(unit: Unit, lead: Lead, staff_id: UUID) -> None:
    """Give the lead to a staff member.

    Raises:
        NoSuchReference: no such staff member.
    """
    await require_references(unit, Lead, {"assigned_to_id": staff_id})
    was = lead.assigned_to_id
    lead.assigned_to_id = staff_id
    lead.assigned_at = unit.now
    lead.assignment_method = "manual"
    await unit.session.flush()
    data = {"from": None if was is None else str(was), "to": str(staff_id)}
    await record_event(unit, "lead", lead.id, "assigned", data=data)
    announce(unit, "lead.assigned", "lead", lead.id, version=lead.version, payload=data)


async def move_lead(unit: Unit, lead: Lead, stage_id: UUID, note: str | None = None) -> None:
    """Put the lead into another stage; a stage that wins or loses decides its outcome.

    Raises:
        NoSuchReference: no such stage.
        Contradiction: the stage is not for leads.
    """
    stage = await stage_for(unit, "lead", stage_id)
    await move(unit, "lead", lead, stage, note=note)
    lead.status_kind = stage.kind


async def convert(unit: Unit, lead: Lead, values: dict[str, Any]) -> Project:
    """Make a project of the lead, once: a second call returns the first project.

    Args:
        unit: the caller's.
        lead: stays, as won.
        values: columns of `Project` that the caller wants set, for instance its name.

    Raises:
        Contradiction: the lead is lost.
    """
    await unit.session.refresh(lead, with_for_update=True)
    made = await unit.session.scalar(sa.select(Project).where(Project.lead_id == lead.id))
    if made is not None:
        return made
    if lead.status_kind == "lost":
        raise Contradiction("a lost lead cannot be converted", field="status_kind")
    person = None
    if lead.person_id is not None:
        person = await unit.session.scalar(sa.select(Person).where(Person.id == lead.person_id))
    organization_id = lead.organization_id
    if organization_id is None and person is not None:
        organization_id = await _household(unit, person)
    name = values.pop("name", None) or (person.full_name if person is not None else "Project")
    project = await create_project(
        unit,
        {
            **values,
            "name": name,
            "organization_id": organization_id,
            "primary_contact_id": lead.person_id,
            "lead_id": lead.id,
            "consultant_id": lead.assigned_to_id,
            "value": values.get("value", lead.estimated_value),
        },
    )
    if person is not None:
        await unit.add(
            ProjectContact(
                id=unit.ids(),
                project_id=project.id,
                person_id=person.id,
                role="primary",
                is_primary=True,
            )
        )
    was = lead.status
    lead.organization_id = organization_id
    lead.status, lead.status_kind, lead.converted_at = "converted", "won", unit.now
    lead.conversion_value = project.value
    await _carry_appointments(unit, lead, project)
    await unit.session.flush()
    await record_event(
        unit,
        "lead",
        lead.id,
        "converted",
        from_status=was,
        to_status=lead.status,
        data={"project_id": str(project.id)},
    )
    announce(
        unit,
        "lead.converted",
        "lead",
        lead.id,
        version=lead.version,
        payload={"project_id": str(project.id)},
    )
    return project


async def _has_primary(unit: Unit, values: dict[str, Any]) -> bool:
    if values.get("person_id") is not None:
        subject = Lead.person_id == values["person_id"]
    else:
        subject = sa.and_(
            Lead.organization_id == values["organization_id"], Lead.person_id.is_(None)
        )
    found = await unit.session.scalar(
        sa.select(Lead.id).where(subject, Lead.is_primary, Lead.deleted_at.is_(None)).limit(1)
    )
    return found is not None


async def _stage(unit: Unit, values: dict[str, Any]) -> PipelineStage | None:
    if values.get("stage_id") is not None:
        return await stage_for(unit, "lead", values["stage_id"])
    return await first_stage(unit, "lead", None)


async def _household(unit: Unit, person: Person) -> UUID:
    """The organization the person belongs to, or a household made for them."""
    belongs = await unit.session.scalar(
        sa.select(OrganizationMember.organization_id)
        .where(OrganizationMember.person_id == person.id)
        .order_by(OrganizationMember.is_primary.desc(), OrganizationMember.id)
        .limit(1)
    )
    if belongs is not None:
        return belongs
    household = Organization(
        id=unit.ids(),
        name=f"{person.last_name or person.first_name} household",
        type="Residential",
        primary_contact_id=person.id,
        is_customer=True,
        address_street=person.address_street,
        address_street2=person.address_street2,
        address_city=person.address_city,
        address_region=person.address_region,
        address_postal_code=person.address_postal_code,
        address_country=person.address_country,
    )
    member = OrganizationMember(
        id=unit.ids(),
        organization_id=household.id,
        person_id=person.id,
        role="owner",
        is_primary=True,
        is_billing_contact=True,
    )
    await unit.add(household, member)
    return household.id


async def _carry_appointments(unit: Unit, lead: Lead, project: Project) -> None:
    """Meetings still to come are about the project now, too; none is read, as each may be large."""
    await unit.session.execute(
        sa.update(Appointment)
        .where(
            Appointment.lead_id == lead.id,
            Appointment.project_id.is_(None),
            Appointment.status.in_(sorted(OPEN_STATES)),
            Appointment.deleted_at.is_(None),
        )
        .values(project_id=project.id, version=Appointment.version + 1, updated_at=unit.now)
        .execution_options(synchronize_session=False)
    )
