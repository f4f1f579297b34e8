"""Logging conversations and telling the story of a person, a lead or a project.

The timeline is a query, not a table: index scans over communications, appointments and the history
ledger, merged newest first. Its cursor is the (time, id) of the last entry shown, so pages stay
stable while new entries arrive on top.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa

from storage.database import Unit

from ..appointments.models import Appointment
from ..errors import Contradiction
from ..leads.models import Lead, PipelineEvent
from ..projects.models import Project
from ..references import require_references
from ..resources.bounded import Allowance
from .models import Communication, CommunicationParticipant

MEETING = "meeting"
"""The channel of meetings held here, and of those that an import brings."""
ROOM_KEY = "room:"
"""How the ``message_id`` of a meeting held here begins."""

Subject = Literal["person", "lead", "project"]


async def log_communication(unit: Unit, values: dict[str, Any]) -> Communication:
    """Write down a conversation; when it happened is settled once, here.

    Raises:
        NoSuchReference: a key points at nothing.
        Contradiction: it would stand where a meeting of ours keeps its own row.
    """
    values = dict(values)
    await require_references(unit, Communication, values)
    message_id = values.get("message_id") or ""
    if values["channel"] == MEETING and message_id.startswith(ROOM_KEY):
        raise Contradiction(
            "the row of a sitting is written by the meeting itself", field="message_id"
        )
    if values.get("occurred_at") is None:
        values["occurred_at"] = next(
            (
                values[name]
                for name in ("completed_at", "sent_at", "scheduled_at")
                if values.get(name) is not None
            ),
            unit.now,
        )
    row = Communication(id=unit.ids(), **values)
    await unit.add(row)
    return row


@dataclass(frozen=True)
class TimelineEntry:
    """One thing on a timeline."""

    kind: Literal["communication", "appointment", "pipeline_event"]
    at: datetime
    row: Any
    """`Communication`, `Appointment` or `PipelineEvent`."""


async def timeline(
    unit: Unit,
    subject: Subject,
    subject_id: UUID,
    *,
    limit: int,
    before: tuple[datetime, UUID] | None = None,
) -> tuple[list[TimelineEntry], bool]:
    """What happened with somebody or something, newest first, and whether more follows.

    Args:
        unit: the caller's.
        subject: whose timeline.
        subject_id: its id; the caller has checked that it exists.
        limit: entries at the most; fewer when they are large.
        before: the last entry of the page before.
    """
    entries: list[TimelineEntry] = []
    sources: Sequence[tuple[Any, Any, Any, Sequence[Any]]] = (
        (
            "communication",
            Communication,
            Communication.occurred_at,
            _of_communications(subject, subject_id),
        ),
        (
            "appointment",
            Appointment,
            Appointment.starts_at,
            [
                sa.and_(
                    getattr(Appointment, f"{subject}_id") == subject_id,
                    Appointment.deleted_at.is_(None),
                )
            ],
        ),
        (
            "pipeline_event",
            PipelineEvent,
            PipelineEvent.at,
            _of_events(subject, subject_id),
        ),
    )
    ends: list[tuple[datetime, UUID]] = []
    allowance = Allowance()
    for kind, model, at, conditions in sources:
        rows, cut = await allowance.take(unit, _newest(model, at, conditions, limit + 1, before))
        found = [TimelineEntry(kind, getattr(row, at.key), row) for row in rows]
        entries += found
        if cut:
            ends.append(_place(found[-1]))
    # What lies behind the end of a source that was cut comes after what that source has left.
    shown = [entry for entry in entries if all(_place(entry) >= end for end in ends)]
    shown.sort(key=_place, reverse=True)
    return shown[:limit], bool(ends) or len(shown) > limit


def _place(entry: TimelineEntry) -> tuple[datetime, UUID]:
    return entry.at, entry.row.id


def _newest(
    model: Any,
    at: Any,
    conditions: Sequence[Any],
    limit: int,
    before: tuple[datetime, UUID] | None,
) -> sa.Select[Any]:
    """The newest rows for which one of the conditions holds.

    Each condition is asked for by itself, so that each is answered from an index of its own. Joined
    by OR they would be tried on every row of the tenant, newest first.
    """
    newest_first = (at.desc(), model.id.desc())

    def page(statement: Any) -> Any:
        if before is not None:
            moment, row_id = before
            statement = statement.where(at <= moment, sa.or_(at < moment, model.id < row_id))
        return statement.order_by(*newest_first).limit(limit)

    if len(conditions) == 1:
        return page(sa.select(model).where(*conditions))  # type: ignore[no-any-return]
    each = [page(sa.select(model.id).where(condition)).subquery() for condition in conditions]
    ids = sa.union(*(sa.select(one.c.id) for one in each))
    return sa.select(model).where(model.id.in_(ids)).order_by(*newest_first).limit(limit)


def _of_communications(subject: Subject, subject_id: UUID) -> Sequence[Any]:
    """Those about the subject, and the meetings about it: a person's also by taking part."""
    about = getattr(Communication, f"{subject}_id") == subject_id
    # A meeting that many appointments share is about no single one of them, and not about who stayed
    # away: their appointment says so itself.
    settled_by = sa.select(Appointment.outcome_evidence).where(
        getattr(Appointment, f"{subject}_id") == subject_id,
        Appointment.outcome == "held",
    )
    met = sa.and_(Communication.channel == MEETING, Communication.message_id.in_(settled_by))
    if subject != "person":
        return (about, met)
    took_part = sa.select(CommunicationParticipant.communication_id).where(
        CommunicationParticipant.person_id == subject_id
    )
    return (about, met, Communication.id.in_(took_part))


def _of_events(subject: Subject, subject_id: UUID) -> Sequence[Any]:
    """The subject's own history; a person's is that of their leads and projects."""
    if subject != "person":
        return [sa.and_(PipelineEvent.entity == subject, PipelineEvent.entity_id == subject_id)]
    leads = sa.select(Lead.id).where(Lead.person_id == subject_id)
    projects = sa.select(Project.id).where(Project.primary_contact_id == subject_id)
    return (
        sa.and_(PipelineEvent.entity == "lead", PipelineEvent.entity_id.in_(leads)),
        sa.and_(PipelineEvent.entity == "project", PipelineEvent.entity_id.in_(projects)),
    )
