"""Writing the ledger of what happened to a record; nothing ever changes or removes an entry."""

from typing import Any
from uuid import UUID

from storage.database import Unit

from .models import PipelineEvent


async def record_event(
    unit: Unit, entity: str, entity_id: UUID, kind: str, **values: Any
) -> PipelineEvent:
    """Add one entry at the unit's moment, by the unit's actor.

    Args:
        unit: the caller's.
        entity: ``lead``, ``project`` or ``appointment``.
        entity_id: its id.
        kind: one of ``models.EVENT_KINDS``.
        values: further columns of `PipelineEvent`.
    """
    event = PipelineEvent(
        id=unit.ids(),
        at=unit.now,
        entity=entity,
        entity_id=entity_id,
        kind=kind,
        triggered_by_id=unit.actor_id,
        **{"source": "api", **values},
    )
    await unit.add(event)
    return event
