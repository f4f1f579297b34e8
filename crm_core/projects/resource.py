"""Projects and their contacts as resources."""

from typing import Any

from storage.database import Unit

from ..resources.declaration import Caller, Include, Outcome, Resource, Verb
from ..resources.fields import LONG, UUID_KIND, Field
from . import service
from .models import PROJECT_STATES, Project, ProjectContact


async def _create(unit: Unit, values: dict[str, Any], _caller: Caller) -> Outcome:
    return Outcome(await service.create_project(unit, values))


async def _changed(
    _unit: Unit, row: Any, values: dict[str, Any], _caller: Caller
) -> dict[str, Any]:
    await service.change_project(row, values)
    return {}


async def _move(unit: Unit, row: Any, values: dict[str, Any], _caller: Caller) -> dict[str, Any]:
    await service.move_project(unit, row, values["stage_id"], values.get("note"))
    return {}


_MOVE = "changed by POST /v1/projects/{id}:move"

PROJECTS = Resource(
    Project,
    "project",
    "Work at one address for one organization",
    fixed=frozenset({"lead_id", "pipeline_id", "stage_id"}),
    owned={"stage_entered_at": _MOVE, "completed_at": _MOVE},
    long_texts=frozenset({"description"}),
    choices={"status": PROJECT_STATES},
    children=(Include("contacts", "project_contacts", "id", "project_id"),),
    create=_create,
    changed=_changed,
    verbs=(
        Verb(
            "move",
            "Put the project into another stage of its pipeline",
            _move,
            body=(
                Field("stage_id", UUID_KIND, required=True),
                Field("note", LONG, nullable=True),
            ),
        ),
    ),
    has_timeline=True,
)
CONTACTS = Resource(
    ProjectContact,
    "project_contact",
    "Who is concerned with a project, and as what",
    fixed=frozenset({"project_id", "person_id"}),
)
