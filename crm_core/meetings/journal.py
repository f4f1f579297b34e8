"""Who may write a room, and the one way to write it.

Ownership is a row with a fencing epoch: a claim is one conditional update that raises it, and every
append moves ``last_seq`` of that row under the writer's epoch. A node that lost the room, or
numbers that leave a gap, match no row; a batch that was committed before (the answer to COMMIT was
lost) is recognised and not written again.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from storage.database import Unit

from ..errors import Fenced, NotFound, OutOfSequence, RoomOwned
from .journal_models import RoomEvent, RoomOwner
from .lifecycle import sitting_ended, sitting_started
from .projection import JournalRecord, project

AT_ONCE = 500
"""Rows that are made into events in one go."""


@dataclass(frozen=True)
class Claim:
    """A room this node may write until it loses the lease."""

    epoch: int
    session_no: int
    last_seq: int
    """The last committed event of the sitting; the next append starts behind it."""
    last_alive: datetime | None
    """The last sign of life of the owner before; None when there was none."""


async def claim_room(unit: Unit, room_id: UUID, node: str, lease_seconds: float) -> Claim:
    """Take the room: free, expired, or this node's own from before a restart.

    Raises:
        NotFound: not in this tenant.
        RoomOwned: another node's lease still runs.
    """
    now = _database_now(unit)
    last_alive = (await _owner(unit, room_id)).alive_at
    row = (
        await unit.session.execute(
            sa.update(RoomOwner)
            .where(
                RoomOwner.room_id == room_id,
                sa.or_(RoomOwner.lease_until <= now, RoomOwner.node == node),
            )
            .values(
                node=node,
                epoch=RoomOwner.epoch + 1,
                lease_until=_later(unit, lease_seconds),
            )
            .returning(RoomOwner.epoch, RoomOwner.session_no, RoomOwner.last_seq)
            .execution_options(synchronize_session=False)
        )
    ).first()
    if row is not None:
        return Claim(row.epoch, row.session_no, row.last_seq, last_alive)
    owner = await _owner(unit, room_id)
    raise RoomOwned(owner.node, owner.lease_until)


async def renew_rooms(unit: Unit, epochs: Mapping[UUID, int], lease_seconds: float) -> set[UUID]:
    """Keep the leases of rooms under their epochs; returns those that still have them.

    One with another owner or epoch by now is left as it is. So is one that is being written at this
    moment, which is its owner's: to wait for it would hold up all the others. Its lease lasts for some
    more renewals.
    """
    owned = sa.and_(
        RoomOwner.room_id.in_(epochs),  # SQLite finds no row by an index for pairs alone
        sa.tuple_(RoomOwner.room_id, RoomOwner.epoch).in_(list(epochs.items())),
    )
    free = sa.select(RoomOwner.room_id).where(owned).with_for_update(skip_locked=True)
    await unit.session.execute(
        sa.update(RoomOwner)
        .where(owned, RoomOwner.room_id.in_(free))
        .values(lease_until=_later(unit, lease_seconds), alive_at=_database_now(unit))
        .execution_options(synchronize_session=False)
    )
    return set(await unit.session.scalars(sa.select(RoomOwner.room_id).where(owned)))


async def release_room(unit: Unit, room_id: UUID, epoch: int) -> None:
    """End the lease now, so that another node need not wait; harmless when it is lost already."""
    now = _database_now(unit)
    await unit.session.execute(
        sa.update(RoomOwner)
        .where(RoomOwner.room_id == room_id, RoomOwner.epoch == epoch)
        .values(lease_until=now, alive_at=now)
        .execution_options(synchronize_session=False)
    )


async def events_since(
    unit: Unit, room_id: UUID, session_no: int, after_seq: int, limit: int | None = None
) -> list[JournalRecord]:
    """The committed events of a sitting behind `after_seq`, in order; the first `limit`, or all.

    A long sitting has thousands, so they are read as plain rows and some at a time: others of this
    process get their turns.
    """
    rows = await unit.session.execute(
        sa.select(
            RoomEvent.seq,
            RoomEvent.kind,
            RoomEvent.audience,
            RoomEvent.body,
            RoomEvent.at,
            RoomEvent.session_no,
        )
        .where(
            RoomEvent.room_id == room_id,
            RoomEvent.session_no == session_no,
            RoomEvent.seq > after_seq,
        )
        .order_by(RoomEvent.seq)
        .limit(limit)
    )
    events: list[JournalRecord] = []
    for some in rows.partitions(AT_ONCE):
        events.extend(JournalRecord(*row) for row in some)
        await asyncio.sleep(0)
    return events


async def append(unit: Unit, room_id: UUID, epoch: int, batch: Sequence[JournalRecord]) -> None:
    """Commit a batch: fence, events, typed rows, outbox and the CRM's consequences.

    Raises:
        Fenced: another epoch owns the room; nothing was written.
        OutOfSequence: the numbers are not those that follow; nothing was written.
    """
    if not batch:
        return
    session_no = batch[0].session_no
    first, last = batch[0].seq, batch[-1].seq
    expected = range(first, first + len(batch))
    if any(
        record.seq != seq or record.session_no != session_no
        for record, seq in zip(batch, expected, strict=True)
    ):
        raise OutOfSequence(f"a batch of room {room_id} is not contiguous")
    moved = await unit.session.execute(
        sa.update(RoomOwner)
        .where(
            RoomOwner.room_id == room_id,
            RoomOwner.epoch == epoch,
            RoomOwner.session_no == session_no,
            RoomOwner.last_seq == first - 1,
        )
        .values(last_seq=last)
        .returning(RoomOwner.epoch)
        .execution_options(synchronize_session=False)
    )
    if moved.first() is None:
        await _explain_refusal(unit, room_id, epoch, batch)
        return
    await unit.session.execute(
        sa.insert(RoomEvent),
        [_event_row(unit, room_id, epoch, record) for record in batch],
    )
    projection = await project(unit, room_id, session_no, batch)
    if projection.started is not None:
        await sitting_started(projection)
    if projection.ended_at is not None:
        await sitting_ended(projection, projection.ended_at)


async def _explain_refusal(
    unit: Unit, room_id: UUID, epoch: int, batch: Sequence[JournalRecord]
) -> None:
    """Return when the batch is committed already; raise what is wrong otherwise."""
    owner = await _owner(unit, room_id)
    session_no, last = batch[0].session_no, batch[-1].seq
    if owner.epoch != epoch or owner.session_no != session_no:
        raise Fenced(f"epoch {epoch} no longer owns sitting {session_no} of room {room_id}")
    stored = await events_since(unit, room_id, session_no, batch[0].seq - 1)
    if owner.last_seq >= last and stored[: len(batch)] == list(batch):
        return
    raise OutOfSequence(
        f"room {room_id}: seq {batch[0].seq}..{last} does not follow {owner.last_seq}"
    )


def _event_row(unit: Unit, room_id: UUID, epoch: int, record: JournalRecord) -> dict[str, Any]:
    return {
        "tenant_id": unit.tenant_id,
        "room_id": room_id,
        "session_no": record.session_no,
        "seq": record.seq,
        "epoch": epoch,
        "kind": record.kind,
        "audience": record.audience,
        "body": record.body,
        "at": record.at,
    }


async def _owner(unit: Unit, room_id: UUID) -> RoomOwner:
    owner = await unit.session.scalar(
        sa.select(RoomOwner)
        .where(RoomOwner.room_id == room_id)
        .execution_options(populate_existing=True)
    )
    if owner is None:
        raise NotFound("video room", room_id)
    return owner


def _database_now(unit: Unit) -> Any:
    """Leases run by the database's clock where nodes share one; SQLite has a single process."""
    return sa.func.clock_timestamp() if unit.dialect == "postgresql" else unit.now


def _later(unit: Unit, seconds: float) -> Any:
    return _database_now(unit) + timedelta(seconds=seconds)
