"""From room facts to rows and back: the only bridge between ``rooms`` and ``crm_core``.

`Journal` is the port that an actor writes through; `CrmJournal` is it for one room over
`crm_core.meetings`. An append either returns, and then everything in it is durable, or raises: the
room was taken over (`FencedError`), or nobody can say whether it was written (`JournalDownError`):
then the room is opened anew, under a new epoch, and the database says what is true.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple, Protocol
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from crm_core.errors import CrmError, Fenced, NotFound, OutOfSequence, RoomOwned
from crm_core.meetings.service import JournalRecord, MeetingService, RoomPlan, RoomRecord
from rooms.events import Event, from_record, to_record
from rooms.timers import AFTER_END_S, EMPTY_S, RECONNECT_S

from .clock import stamp
from .leases import Leases

COMMIT_TIMEOUT: Final = 10.0
"""Seconds after which a commit counts as failed; who asked is told earlier (`committer`)."""
OPEN_TIMEOUT: Final = 5.0
"""Seconds that one step of opening a room may take: claiming it, or reading a page of its facts."""
PAGE: Final = 5000
"""Facts of one such page: however long a sitting is, it can be opened."""
AT_ONCE: Final = 500
"""Facts that are read from their rows or folded in one go: a few milliseconds."""
LEASE: Final = 15.0
"""Seconds that a node may be silent before another may take its rooms."""
SILENCE: Final = RECONNECT_S + EMPTY_S
"""Seconds without owner after which a room's people are not expected back in it."""
INSIST_EVERY: Final = 5.0
"""Seconds after which a unit of work that does not end is told so again; more than it may take to end."""


class JournalError(Exception):
    """Base of what a journal raises."""


class JournalDownError(JournalError):
    """The database did not answer in time, or broke off: whether it was written is unknown."""


class FencedError(JournalError):
    """Another writer owns the room; nothing was written."""


class RoomUnknownError(JournalError):
    """No such room."""


class Opened(NamedTuple):
    """A room that this node may write."""

    record: RoomRecord
    epoch: int
    session_no: int
    facts: list[Event]
    """What is committed of this sitting, in order; the next fact has number ``len(facts) + 1``."""
    last_alive: float | None
    """Room time of the last sign of life of the node that had it before; None when unknown."""


class Journal(Protocol):
    """Where the facts of one room go."""

    async def open(self) -> Opened:
        """Become the room's one writer and read what was written.

        Raises:
            FencedError: another node has it now.
            RoomUnknownError: there is no such room.
            JournalDownError: the database does not answer.
        """

    async def append(self, epoch: int, session_no: int, first_seq: int, facts: list[Event]) -> None:
        """Make facts durable, contiguous from `first_seq`, in one transaction.

        Raises:
            FencedError: the room has another owner.
            JournalDownError: unknown whether written.
        """

    async def renew(self, epoch: int) -> RoomPlan:
        """Keep the lease, and hear what the calendar says of the room; raises as `append`."""

    async def release(self, epoch: int) -> None:
        """Let the room go; raises as `append`."""


class Guard:
    """Turn what the database layer raises into this module's errors, within a time limit.

    Who does not end when the time is over is told again and again: PostgreSQL's driver forgets that it was
    told once, in the middle of a large batch.

    Raises:
        FencedError: the room has another owner.
        RoomUnknownError: there is no such room.
        JournalDownError: the database did not answer in time, or broke off.
    """

    def __init__(self, seconds: float) -> None:
        self._timeout = asyncio.timeout(seconds)
        self._seconds = seconds
        self._again = 0

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a guard outside of a task")
        self._task = task
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._seconds + INSIST_EVERY, self._insist)

    def _insist(self) -> None:
        self._again += 1
        self._task.cancel()
        self._timer = asyncio.get_running_loop().call_later(INSIST_EVERY, self._insist)

    async def __aexit__(self, *error_info: object) -> None:
        self._timer.cancel()
        for _ in range(self._again):
            self._task.uncancel()
        try:
            await self._timeout.__aexit__(*error_info)  # type: ignore[arg-type]  # passed on as is
        except TimeoutError as late:
            raise JournalDownError("the database did not answer in time") from late
        cause = error_info[1]
        if isinstance(cause, (Fenced, RoomOwned)):
            raise FencedError(str(cause)) from cause
        if isinstance(cause, NotFound):
            raise RoomUnknownError(str(cause)) from cause
        if isinstance(cause, (SQLAlchemyError, OSError, OutOfSequence)):
            # A number out of sequence follows a commit whose answer was lost: open anew. The
            # error's text stays out of the log: it may hold the statement's values.
            raise JournalDownError(type(cause).__name__) from cause
        if isinstance(cause, CrmError):
            raise JournalError(str(cause)) from cause


class CrmJournal:
    """The journal of one room in the database.

    Args:
        service: the CRM.
        leases: the node's, as its rooms renew theirs together.
        tenant_id: whose room.
        room_id: which.
        node: who writes.
    """

    def __init__(
        self, service: MeetingService, leases: Leases, tenant_id: UUID, room_id: UUID, node: str
    ) -> None:
        self._service = service
        self._leases = leases
        self._tenant_id = tenant_id
        self._room_id = room_id
        self._node = node

    async def open(self) -> Opened:
        """See `Journal.open`."""
        async with Guard(OPEN_TIMEOUT):
            claim = await self._service.claim_room(
                self._tenant_id, self._room_id, self._node, LEASE
            )
            record = await self._service.load_room(self._tenant_id, self._room_id)
        facts = await _facts(await self._read(claim.session_no))
        async with Guard(OPEN_TIMEOUT):  # a sign of life now that it is there, and the whole lease
            ours = {self._room_id: claim.epoch}
            if self._room_id not in await self._service.renew_rooms(self._tenant_id, ours, LEASE):
                raise FencedError("another node took the room while it was read")
        return Opened(
            record,
            claim.epoch,
            claim.session_no,
            facts,
            None if claim.last_alive is None else claim.last_alive.timestamp(),
        )

    async def _read(self, session_no: int) -> list[JournalRecord]:
        rows: list[JournalRecord] = []
        while True:
            async with Guard(OPEN_TIMEOUT):
                page = await self._service.room_events_since(
                    self._tenant_id, self._room_id, session_no, len(rows), PAGE
                )
            rows += page
            if len(page) < PAGE:
                return rows

    async def append(self, epoch: int, session_no: int, first_seq: int, facts: list[Event]) -> None:
        """See `Journal.append`."""
        batch = records(facts, session_no, first_seq)
        async with Guard(COMMIT_TIMEOUT):
            await self._service.append(self._tenant_id, self._room_id, epoch, batch)

    async def renew(self, epoch: int) -> RoomPlan:
        """See `Journal.renew`."""
        async with Guard(COMMIT_TIMEOUT):
            return await self._leases.renew(self._tenant_id, self._room_id, epoch)

    async def release(self, epoch: int) -> None:
        """See `Journal.release`."""
        async with Guard(COMMIT_TIMEOUT):
            await self._leases.settled(self._tenant_id, self._room_id)
            await self._service.release_room(self._tenant_id, self._room_id, epoch)


def open_leases(service: MeetingService) -> Leases:
    """What the journals of a node share; the caller closes it when the last of them is gone."""
    return Leases(service.renew_rooms, lease=LEASE, timeout=COMMIT_TIMEOUT)


async def find_overdue(
    service: MeetingService, wall: float, at_most: int
) -> list[tuple[UUID, UUID]]:
    """Tenant and room of sittings that should be over and that no node has.

    Args:
        service: the CRM.
        wall: Unix time.
        at_most: how many.

    Raises:
        JournalDownError: the database does not answer.
    """
    async with Guard(OPEN_TIMEOUT):
        return await service.overdue_rooms(
            ended_before=datetime.fromtimestamp(wall - AFTER_END_S, UTC),
            silent_since=datetime.fromtimestamp(wall - SILENCE, UTC),
            free_since=datetime.fromtimestamp(wall, UTC),
            at_most=at_most,
        )


def records(facts: Sequence[Event], session_no: int, first_seq: int) -> list[JournalRecord]:
    """The journal's form of facts, numbered from `first_seq`."""
    return [
        JournalRecord(
            seq=first_seq + index,
            kind=fact.kind,
            audience=fact.stream,
            body=to_record(fact),
            at=datetime.fromisoformat(fact.at),
            session_no=session_no,
        )
        for index, fact in enumerate(facts)
    ]


async def _facts(rows: Sequence[JournalRecord]) -> list[Event]:
    """The facts of rows, in turns with the other rooms of this node."""
    facts: list[Event] = []
    for row in rows:
        facts.append(_fact(row))
        if len(facts) % AT_ONCE == 0:
            await asyncio.sleep(0)
    return facts


def _fact(row: JournalRecord) -> Event:
    return from_record(row.kind, row.audience, stamp(row.at.timestamp()), dict(row.body))
