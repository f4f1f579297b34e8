"""One renewal for all rooms of a tenant that are due at about the same time.

Every open room keeps its lease every few seconds. In a transaction each, a thousand rooms that
nobody is in would keep the one writer of SQLite, and this process, busy with nothing else. Here
whoever asks within `GATHER` seconds shares a transaction with the tenant's others, and learns from
it what is true of their own room alone. It opens no room and lets none go, keeps no time (each
room's ``tenure`` does) and remembers nothing between renewals.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Final, NamedTuple, Protocol
from uuid import UUID

from crm_core.errors import Fenced
from crm_core.meetings.service import RoomPlan

GATHER: Final = 0.25
"""Seconds that one who asks waits for others: little of a lease, and enough for rooms that began to
share to be due together from then on."""
AT_MOST: Final = 200
"""Rooms in one transaction: it keeps other writers waiting some hundredths of a second."""


class RenewRooms(Protocol):
    """The transaction: `MeetingService.renew_rooms`."""

    def __call__(
        self, tenant_id: UUID, epochs: Mapping[UUID, int], lease_seconds: float, /
    ) -> Awaitable[Mapping[UUID, RoomPlan]]:
        """Keep the leases; the answer has the rooms that are still owned under their epoch."""


class _Ask(NamedTuple):
    """Somebody who waits for a renewal."""

    room_id: UUID
    epoch: int
    answer: asyncio.Future[RoomPlan]
    """Cancelled when they gave up."""

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class Leases:
    """See the module.

    Args:
        renew_rooms: one transaction, for rooms of one tenant.
        lease: seconds for which a room is kept.
        timeout: seconds after which a transaction is broken off, as nobody waits for it any more
            and the next must not wait for it either.
    """

    def __init__(self, renew_rooms: RenewRooms, *, lease: float, timeout: float) -> None:
        self._renew_rooms = renew_rooms
        self._lease = lease
        self._timeout = timeout
        self._waiting: dict[UUID, list[_Ask]] = {}
        """By tenant, who is in no transaction yet, first come first."""
        self._workers: dict[UUID, asyncio.Task[None]] = {}
        """By tenant, while anybody waits or a transaction runs."""
        self._running: dict[UUID, tuple[frozenset[UUID], asyncio.Event]] = {}
        """By tenant, the rooms of the transaction that runs, and what is set at its end."""

    async def renew(self, tenant_id: UUID, room_id: UUID, epoch: int) -> RoomPlan:
        """Keep the lease of a room; what the calendar says of it at a moment after this call.

        Who gives up takes nothing from the others.

        Raises:
            Fenced: this room has another owner or epoch by now.
            TimeoutError: the transaction took too long.
            Exception: whatever broke the transaction, to all who shared it.
        """
        ask = _Ask(room_id, epoch, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(tenant_id, []).append(ask)
        if tenant_id not in self._workers:
            self._workers[tenant_id] = asyncio.create_task(self._work(tenant_id))
        return await ask.answer

    async def settled(self, tenant_id: UUID, room_id: UUID) -> None:
        """Wait until no transaction runs that keeps this room's lease.

        Whoever gives the room back waits here first: else the lease that they end were kept after it.
        """
        rooms, ended = self._running.get(tenant_id, (frozenset(), None))
        if ended is not None and room_id in rooms:
            await ended.wait()

    async def close(self) -> None:
        """Break off what runs, to its end; for when no room is open any more."""
        workers = list(self._workers.values())
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        self._waiting.clear()
        self._workers.clear()

    async def _work(self, tenant_id: UUID) -> None:
        """One transaction after the other, until nobody of the tenant waits."""
        waiting = self._waiting[tenant_id]
        try:
            while waiting:
                if len(waiting) < AT_MOST:
                    await asyncio.sleep(GATHER)
                await self._renew(tenant_id, _take(waiting))
        finally:
            del self._waiting[tenant_id], self._workers[tenant_id]

    async def _renew(self, tenant_id: UUID, asks: Mapping[UUID, _Ask]) -> None:
        if not asks:
            return
        epochs = {room_id: ask.epoch for room_id, ask in asks.items()}
        ended = asyncio.Event()
        self._running[tenant_id] = frozenset(asks), ended
        try:
            async with asyncio.timeout(self._timeout):
                plans = await self._renew_rooms(tenant_id, epochs, self._lease)
        except Exception as error:  # noqa: BLE001 it is raised again where it was asked
            for ask in asks.values():
                ask.fail(error)
            return
        finally:
            del self._running[tenant_id]
            ended.set()
        for room_id, ask in asks.items():
            plan = plans.get(room_id)
            if plan is None:
                ask.fail(Fenced(f"epoch {ask.epoch} no longer owns room {room_id}"))
            elif not ask.answer.done():
                ask.answer.set_result(plan)


def _take(waiting: list[_Ask]) -> dict[UUID, _Ask]:
    """Who shares the next transaction, a room once; they and who gave up wait no longer."""
    taken: dict[UUID, _Ask] = {}
    left = []
    for ask in waiting:
        if ask.answer.done():
            continue
        if len(taken) < AT_MOST and ask.room_id not in taken:
            taken[ask.room_id] = ask
        else:
            left.append(ask)
    waiting[:] = left
    return taken
