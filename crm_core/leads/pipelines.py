"""Moving records through stages: the one place that changes a stage.

The current stage is always the last event's ``to_stage``; events form a chain, and the seconds
spent in each stage add up to the record's age.
"""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from storage.database import Unit

from ..changes.service import announce
from ..errors import Contradiction, NoSuchReference
from .history import record_event
from .models import Pipeline, PipelineStage


async def first_stage(unit: Unit, entity: str, pipeline_id: UUID | None) -> PipelineStage | None:
    """Where a new record starts: the first active stage of its pipeline, or of the default one."""
    statement = (
        sa.select(PipelineStage)
        .join(
            Pipeline,
            sa.and_(
                Pipeline.tenant_id == PipelineStage.tenant_id,
                Pipeline.id == PipelineStage.pipeline_id,
            ),
        )
        .where(PipelineStage.is_active, Pipeline.entity == entity)
        .order_by(PipelineStage.position, PipelineStage.id)
        .limit(1)
    )
    if pipeline_id is not None:
        return await unit.session.scalar(statement.where(Pipeline.id == pipeline_id))
    return await unit.session.scalar(statement.where(Pipeline.is_default))


async def stage_for(unit: Unit, entity: str, stage_id: UUID) -> PipelineStage:
    """The stage, if records of this kind may be in it.

    Raises:
        NoSuchReference: no such stage.
        Contradiction: it belongs to a pipeline of another kind of record.
    """
    found = (
        await unit.session.execute(
            sa.select(PipelineStage, Pipeline.entity)
            .join(
                Pipeline,
                sa.and_(
                    Pipeline.tenant_id == PipelineStage.tenant_id,
                    Pipeline.id == PipelineStage.pipeline_id,
                ),
            )
            .where(PipelineStage.id == stage_id)
        )
    ).first()
    if found is None:
        raise NoSuchReference(f"no such stage: {stage_id}", field="stage_id")
    stage, stage_entity = found
    if stage_entity != entity:
        raise Contradiction(f"{stage.name} is a stage for a {stage_entity}", field="stage_id")
    return stage


async def move(
    unit: Unit, entity: str, row: Any, stage: PipelineStage, *, note: str | None = None
) -> None:
    """Put a lead or project into a stage and write down what it left, and after how long.

    Args:
        unit: the caller's.
        entity: ``lead`` or ``project``.
        row: has ``stage_id`` and ``stage_entered_at``.
        stage: where it goes.
        note: for the history.
    """
    came_from = None
    if row.stage_id is not None:
        came_from = await unit.session.scalar(
            sa.select(PipelineStage).where(PipelineStage.id == row.stage_id)
        )
    seconds = None
    if row.stage_entered_at is not None:
        seconds = int((unit.now - row.stage_entered_at).total_seconds())
    row.stage_id = stage.id
    row.stage_entered_at = unit.now
    await unit.session.flush()
    await record_event(
        unit,
        entity,
        row.id,
        "stage",
        pipeline_id=stage.pipeline_id,
        from_stage_id=None if came_from is None else came_from.id,
        from_stage=None if came_from is None else came_from.name,
        to_stage_id=stage.id,
        to_stage=stage.name,
        seconds_in_previous=seconds,
        note=note,
    )
    announce(
        unit,
        f"{entity}.stage_changed",
        entity,
        row.id,
        version=row.version,
        payload={
            "from_stage": None if came_from is None else came_from.name,
            "to_stage": stage.name,
        },
    )
