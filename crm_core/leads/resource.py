"""Leads, campaigns, pipelines, stages and history as resources."""

from typing import Any

from storage.database import Unit

from ..resources.declaration import READ_ONLY, Caller, Include, Outcome, Resource, Verb
from ..resources.fields import LONG, MONEY, SHORT, SHORT_FILLED, UUID_KIND, Field
from . import service
from .models import (
    ASSIGNMENT_TYPES,
    CAMPAIGN_KINDS,
    CAMPAIGN_STATES,
    EVENT_KINDS,
    EVENT_SOURCES,
    PIPELINE_ENTITIES,
    STATUS_KINDS,
    Campaign,
    Lead,
    Pipeline,
    PipelineEvent,
    PipelineStage,
)


async def _create(unit: Unit, values: dict[str, Any], _caller: Caller) -> Outcome:
    return Outcome(await service.create_lead(unit, values))


async def _assign(unit: Unit, row: Any, values: dict[str, Any], _caller: Caller) -> dict[str, Any]:
    await service.assign(unit, row, values["staff_id"])
    return {}


async def _move(unit: Unit, row: Any, values: dict[str, Any], _caller: Caller) -> dict[str, Any]:
    await service.move_lead(unit, row, values["stage_id"], values.get("note"))
    return {}


async def _convert(unit: Unit, row: Any, values: dict[str, Any], _caller: Caller) -> dict[str, Any]:
    project = await service.convert(unit, row, values)
    return {"created_project_id": str(project.id)}


_ASSIGN = "changed by POST /v1/leads/{id}:assign"
_MOVE = "changed by POST /v1/leads/{id}:move"
_CONVERT = "set by POST /v1/leads/{id}:convert"

CAMPAIGNS = Resource(
    Campaign,
    "campaign",
    "Where leads come from and how they are shared out",
    owned={"assign_cursor": "kept by assignment"},
    choices={
        "kind": CAMPAIGN_KINDS,
        "assignment_type": ASSIGNMENT_TYPES,
        "status": CAMPAIGN_STATES,
    },
)
LEADS = Resource(
    Lead,
    "lead",
    "Interest of a person or an organization, before a sale",
    fixed=frozenset({"person_id", "assigned_to_id", "stage_id"}),
    owned={
        "assigned_at": _ASSIGN,
        "assignment_method": _ASSIGN,
        "stage_entered_at": _MOVE,
        "status_kind": _MOVE,
        "converted_at": _CONVERT,
        "conversion_value": _CONVERT,
    },
    choices={"status_kind": STATUS_KINDS},
    children=(Include("appointments", "appointments", "id", "lead_id"),),
    create=_create,
    verbs=(
        Verb(
            "assign",
            "Give the lead to a staff member",
            _assign,
            body=(Field("staff_id", UUID_KIND, required=True),),
        ),
        Verb(
            "move",
            "Put the lead into another stage",
            _move,
            body=(
                Field("stage_id", UUID_KIND, required=True),
                Field("note", LONG, nullable=True),
            ),
        ),
        Verb(
            "convert",
            "Make a project of the lead; again: the same project",
            _convert,
            body=(
                Field("name", SHORT_FILLED),
                Field("type", SHORT, nullable=True),
                Field("description", SHORT, nullable=True),
                Field("value", MONEY, nullable=True),
            ),
            extra=(Field("created_project_id", UUID_KIND, required=True),),
        ),
    ),
    has_timeline=True,
)
PIPELINES = Resource(
    Pipeline,
    "pipeline",
    "Ordered stages for one kind of record",
    choices={"entity": PIPELINE_ENTITIES},
    fixed=frozenset({"entity"}),
    children=(Include("stages", "pipeline_stages", "id", "pipeline_id"),),
)
PIPELINE_STAGES = Resource(
    PipelineStage,
    "pipeline_stage",
    "Steps of a pipeline",
    choices={"kind": STATUS_KINDS},
    fixed=frozenset({"pipeline_id"}),
)
PIPELINE_EVENTS = Resource(
    PipelineEvent,
    "pipeline_event",
    "The history of leads, projects and appointments; nothing is ever changed in it",
    operations=READ_ONLY,
    cheap=frozenset({"entity_id"}),
    long_texts=frozenset({"note"}),
    choices={"kind": EVENT_KINDS, "source": EVENT_SOURCES},
)
