"""What the meeting server calls: links, rooms, ownership and the journal.

Each method is one transaction. The rules of a live meeting are in ``rooms``; here facts become
durable. Errors are those of ``crm_core.errors``.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from storage.database import Database

from ..errors import LinkRefused
from . import journal, links, overdue, plans, rooms
from .journal import Claim
from .links import LinkGrant, RoomLinks
from .plans import LinkSays, RoomPlan
from .projection import JournalRecord
from .rooms import RoomRecord

__all__ = [
    "Claim",
    "FoundRoom",
    "JournalRecord",
    "LinkGrant",
    "LinkSays",
    "MeetingService",
    "RoomPlan",
    "RoomRecord",
]


class FoundRoom(NamedTuple):
    """What is asked for at a room's door."""

    links: RoomLinks
    record: RoomRecord


class MeetingService:
    """The CRM as the meeting server sees it.

    Args:
        database: the server's pool.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def resolve_link(self, code: str, secret: str) -> LinkGrant:
        """Whom and what a link stands for, before any tenant is known.

        Raises:
            LinkRefused: no such room, wrong secret or revoked link; nobody can tell which.
            RoomOver: the secret is right and the meeting is over or cancelled.
        """
        found = await links.find_links(self._database, code)
        if found is None:
            raise LinkRefused
        return found.open(secret)

    async def find_room(self, code: str) -> FoundRoom | None:
        """The room of a link, before any tenant is known; None when no link of it is open."""
        found = await links.find_links(self._database, code)
        if found is None:
            return None
        return FoundRoom(found, await self.load_room(found.tenant_id, found.room_id))

    async def overdue_rooms(
        self,
        *,
        ended_before: datetime,
        silent_since: datetime,
        free_since: datetime,
        at_most: int,
    ) -> list[tuple[UUID, UUID]]:
        """Tenant and room of sittings that should be over and have no owner; see `overdue`."""
        return await overdue.find_overdue(
            self._database,
            ended_before=ended_before,
            silent_since=silent_since,
            free_since=free_since,
            at_most=at_most,
        )

    async def load_room(self, tenant_id: UUID, room_id: UUID) -> RoomRecord:
        """The room with its host and appointment.

        Raises:
            NotFound: not in this tenant.
        """
        async with self._database.unit_of_work(tenant_id, read_only=True) as unit:
            return await rooms.load_room(unit, room_id)

    async def ask_link(self, tenant_id: UUID, link_id: UUID) -> LinkSays:
        """What the link says to who has it; ``gone``, if it is not in this tenant."""
        async with self._database.unit_of_work(tenant_id, read_only=True) as unit:
            return await plans.ask_link(unit, link_id)

    async def claim_room(
        self, tenant_id: UUID, room_id: UUID, node: str, lease_seconds: float
    ) -> Claim:
        """Become the room's one writer, under a new epoch.

        Raises:
            NotFound: not in this tenant.
            RoomOwned: another node's lease still runs.
        """
        async with self._database.unit_of_work(tenant_id) as unit:
            return await journal.claim_room(unit, room_id, node, lease_seconds)

    async def renew_rooms(
        self, tenant_id: UUID, epochs: Mapping[UUID, int], lease_seconds: float
    ) -> dict[UUID, RoomPlan]:
        """Keep the leases of some hundred rooms; returns what the calendar says of them.

        Args:
            tenant_id: whose rooms, all of them: row-level security knows one tenant at a time.
            epochs: under which epoch the caller has each.
            lease_seconds: from now on.

        Returns:
            The plans of those that the caller still has. One with another owner or epoch by now is not
            there, and the others are kept all the same.
        """
        async with self._database.unit_of_work(tenant_id) as unit:
            kept = await journal.renew_rooms(unit, epochs, lease_seconds)
            return await plans.load_plans(unit, kept)

    async def release_room(self, tenant_id: UUID, room_id: UUID, epoch: int) -> None:
        """End the lease now, so that another node need not wait for it."""
        async with self._database.unit_of_work(tenant_id) as unit:
            await journal.release_room(unit, room_id, epoch)

    async def room_events_since(
        self,
        tenant_id: UUID,
        room_id: UUID,
        session_no: int,
        after_seq: int,
        limit: int | None = None,
    ) -> list[JournalRecord]:
        """The committed events of a sitting behind `after_seq`, in order; `limit` or all."""
        async with self._database.unit_of_work(tenant_id, read_only=True) as unit:
            return await journal.events_since(unit, room_id, session_no, after_seq, limit)

    async def append(
        self, tenant_id: UUID, room_id: UUID, epoch: int, batch: Sequence[JournalRecord]
    ) -> None:
        """Make a batch durable: events, typed rows, outbox, and what the end means to the CRM.

        When this returns, everything in the batch may be called committed. A batch that was
        committed before is recognised and not written again.

        Raises:
            Fenced: another node owns the room; nothing was written.
            OutOfSequence: the numbers are not those that follow; nothing was written.
        """
        async with self._database.unit_of_work(tenant_id) as unit:
            await journal.append(unit, room_id, epoch, batch)
