"""Announcing facts: one outbox row each, in the transaction of the fact.

Topics are ``noun.verb`` in the past tense (``appointment.created``, ``meeting.ended``). Payloads
are small and JSON-ready; who needs more reads the record.
"""

from typing import Any
from uuid import UUID

from storage.database import Unit

from .models import OutboxEvent


def announce(
    unit: Unit,
    topic: str,
    entity: str,
    entity_id: UUID,
    *,
    version: int | None = None,
    payload: dict[str, Any] | None = None,
) -> None:
    """Add an event to the outbox; it leaves with the unit's commit, or not at all."""
    unit.session.add(
        OutboxEvent(
            id=unit.ids(),
            at=unit.now,
            topic=topic,
            entity=entity,
            entity_id=entity_id,
            record_version=version,
            payload=payload or {},
            actor_id=unit.actor_id,
        )
    )
