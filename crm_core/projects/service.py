"""Use cases of projects: starting one and moving it through its pipeline."""

from typing import Any
from uuid import UUID

from storage.database import Unit

from ..errors import Contradiction
from ..leads.history import record_event
from ..leads.models import PipelineStage
from ..leads.pipelines import first_stage, move, stage_for
from ..references import require_references
from .models import Project

# What a stage's kind means for the project's own status.
STATUS_OF_KIND = {"open": "active", "won": "completed", "lost": "cancelled"}


async def create_project(unit: Unit, values: dict[str, Any]) -> Project:
    """Start a project at the first stage of its pipeline, unless it names another.

    Raises:
        NoSuchReference: a key points at nothing.
        Contradiction: the stage belongs to another pipeline, or the dates are in the wrong order.
    """
    values = dict(values)
    _require_order(values.get("start_on"), values.get("end_on"))
    await require_references(unit, Project, values)
    stage: PipelineStage | None
    if values.get("stage_id") is not None:
        stage = await stage_for(unit, "project", values["stage_id"])
        if values.get("pipeline_id") not in (None, stage.pipeline_id):
            raise Contradiction(f"{stage.name} is in another pipeline", field="stage_id")
    else:
        stage = await first_stage(unit, "project", values.get("pipeline_id"))
    if stage is not None:
        values.update(pipeline_id=stage.pipeline_id, stage_id=stage.id, stage_entered_at=unit.now)
    project = Project(id=unit.ids(), **values)
    await unit.add(project)
    await record_event(
        unit,
        "project",
        project.id,
        "created",
        pipeline_id=project.pipeline_id,
        to_stage_id=project.stage_id,
        to_stage=None if stage is None else stage.name,
        to_status=project.status,
    )
    return project


async def move_project(
    unit: Unit, project: Project, stage_id: UUID, note: str | None = None
) -> None:
    """Put the project into another stage of its pipeline.

    Raises:
        NoSuchReference: no such stage.
        Contradiction: the stage belongs to another pipeline.
    """
    stage = await stage_for(unit, "project", stage_id)
    if project.pipeline_id not in (None, stage.pipeline_id):
        raise Contradiction(f"{stage.name} is in another pipeline", field="stage_id")
    project.pipeline_id = stage.pipeline_id
    await move(unit, "project", project, stage, note=note)
    project.status = STATUS_OF_KIND[stage.kind]
    project.completed_at = unit.now if stage.kind == "won" else None


async def change_project(project: Project, values: dict[str, Any]) -> None:
    """Check a patch against the record.

    Raises:
        Contradiction: the dates would be in the wrong order.
    """
    _require_order(values.get("start_on", project.start_on), values.get("end_on", project.end_on))


def _require_order(start_on: Any, end_on: Any) -> None:
    if start_on is not None and end_on is not None and end_on < start_on:
        raise Contradiction("a project ends on or after the day it starts", field="end_on")
