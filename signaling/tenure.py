"""A node's hold on one room: opened, kept by leases, opened anew after trouble, given back.

What exists in one epoch is an `OpenRoom`. When it may not be the truth any more, because a commit
failed, the lease was lost, the process stood still or the room had a defect, it is thrown away and
read anew from the journal, again and again until that works or another node has the room. What
happens in an open room is in ``writer``.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from crm_core.meetings.service import RoomPlan
from rooms.room import Room

from .clock import Clock
from .committer import Committer, unavailable
from .journal import LEASE, FencedError, Journal, JournalError, Opened
from .logs import internal_error
from .outbound import Outbound

log: Final = logging.getLogger("sunup.room")
READY_TIMEOUT: Final = 1.8
"""Seconds that a request waits for a room that is being opened anew."""
REOPEN_CALM: Final = 10.0
"""Seconds without trouble after which the next reopening is at once again."""
REOPEN_DELAYS: Final = (0.0, 0.1, 0.3, 0.5, 1.0)
"""Seconds between attempts to open the room anew; the last one repeats."""


PULSE: Final = 1.0
"""Seconds between two signs that this process runs."""
STOOD_STILL: Final = LEASE
"""Seconds without such a sign, in which nobody was served: as if the process had been killed."""


class OpenRoom(NamedTuple):
    """What exists while the room is open in one epoch."""

    room: Room
    epoch: int
    session_no: int
    committer: Committer
    outbound: Outbound

    async def discard(self) -> None:
        """What waits for a commit fails; what was delivered to the feed still goes out."""
        await self.committer.abandon()
        await self.outbound.close()


class Tenure:
    """See the module.

    Args:
        room_id: for the log.
        journal: the room's.
        clock: the time.
        restore: makes the open room of what the journal read.
        opened: called when it is open, at first and anew; told whether the process stood still.
        heed: told at every renewal of the lease what the calendar says of the room.
        lost: called when another node has the room.
    """

    def __init__(
        self,
        room_id: str,
        journal: Journal,
        clock: Clock,
        *,
        restore: Callable[[Opened], Awaitable[OpenRoom]],
        opened: Callable[[Opened, bool], None],
        heed: Callable[[RoomPlan], None],
        lost: Callable[[], None],
    ) -> None:
        self.current: OpenRoom | None = None
        """None while it is being opened anew, and in the end."""
        self._room_id = room_id
        self._journal = journal
        self._clock = clock
        self._restore = restore
        self._opened = opened
        self._heed = heed
        self._lost = lost
        self._ready = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._reopening: asyncio.Task[None] | None = None
        self._reopened_at = float("-inf")
        self._attempts = 0
        self._over = False
        self._pulse = 0.0
        """When this process was last seen to run, by the clock's pulse."""
        self._beating: asyncio.TimerHandle | None = None
        self._stood_still = False

    async def begin(self) -> None:
        """Become the room's writer.

        Raises:
            JournalError: not possible now; see `Journal.open`.
        """
        self._beat()
        try:
            await self._open()
        except BaseException:
            self._stop_beating()
            await self._discard_half_open()
            raise
        self._keeper = asyncio.create_task(self._keep_lease())

    async def end(self) -> None:
        """Commit what waits and give the room back."""
        self._over = True
        self._stop_beating()
        tasks = [task for task in (self._keeper, self._reopening) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        last = self.current
        if last is not None:
            await last.committer.close()
            await last.outbound.close()
            try:
                await self._journal.release(last.epoch)
            except JournalError as error:
                log.warning("lease not released", extra={"why": str(error)})
        self.current = None

    async def until_ready(self) -> None:
        """Wait while the room is being opened anew.

        Raises:
            RequestError: ``unavailable``, it takes too long.
        """
        try:
            async with asyncio.timeout(READY_TIMEOUT):
                await self._ready.wait()
        except TimeoutError:
            raise unavailable() from None

    def check_pulse(self) -> None:
        """Throw the room away if the process stood still, before anything is decided in it.

        A laptop that slept and a machine that was paused are not told: their sockets look alive,
        and what falls due falls due at once, as if everybody had been there all the time.
        """
        now = self._clock.pulse()
        still, self._pulse = now - self._pulse, now
        if still > STOOD_STILL:
            self._stood_still = True  # also for a room that is being opened anew just now
            self.throw_away(f"the process stood still for {still:.0f} s")

    def throw_away(self, why: str) -> None:
        """What is in memory is not the truth, or not sound: open the room anew."""
        if self.current is None:
            return
        log.warning("the room is opened anew", extra={"room_id": self._room_id, "why": why})
        self._reopening = asyncio.create_task(self._reopen(self._take_down()))

    async def _open(self) -> None:
        opened = await self._journal.open()
        self.current = await self._restore(opened)
        self._ready.set()
        still, self._stood_still = self._stood_still, False
        self._opened(opened, still)

    def _beat(self) -> None:
        if self._beating is None:
            self._pulse = self._clock.pulse()
        self.check_pulse()
        self._beating = asyncio.get_running_loop().call_later(PULSE, self._beat)

    def _stop_beating(self) -> None:
        if self._beating is not None:
            self._beating.cancel()

    def _take_down(self) -> OpenRoom | None:
        """Nobody is served from what was open, if anything was; the caller discards it."""
        old, self.current = self.current, None
        self._ready.clear()
        return old

    async def _discard_half_open(self) -> None:
        half_open = self._take_down()
        if half_open is not None:
            await half_open.discard()

    async def _reopen(self, old: OpenRoom | None) -> None:
        if old is not None:
            await old.discard()
        # Reopenings that follow each other closely come slower and slower.
        recent = self._clock.now() - self._reopened_at < REOPEN_CALM
        self._attempts = self._attempts if recent else 0
        while not self._over:
            await asyncio.sleep(REOPEN_DELAYS[min(self._attempts, len(REOPEN_DELAYS) - 1)])
            self._attempts += 1
            self._reopened_at = self._clock.now()
            try:
                await self._open()
            except FencedError as error:
                log.warning("another node owns the room", extra={"why": str(error)})
                self._over = True
                self._stop_beating()
                self._lost()
                return
            except JournalError as error:
                log.warning("the room cannot be opened yet", extra={"why": str(error)})
            except Exception as defect:  # noqa: BLE001 logged; a room must not stay half open
                internal_error("room opening", defect)
                await self._discard_half_open()
            else:
                return

    async def _keep_lease(self) -> None:
        while not self._over:
            await asyncio.sleep(LEASE / 3)
            held = self.current
            if held is None:
                continue
            try:
                plan = await self._journal.renew(held.epoch)
                if self.current is held:
                    self._heed(plan)
            except FencedError as error:
                if self.current is held:
                    self.throw_away(str(error))
            except JournalError as error:
                log.warning("lease not renewed", extra={"why": str(error)})
            except Exception as defect:  # noqa: BLE001 logged; the next lease is kept
                internal_error("lease", defect)
