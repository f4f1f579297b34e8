"""Commit, then tell: the queue between what a room decided and what anybody hears of it.

A *unit* is what one input led to: facts, and the deliveries that depend on them. Units are
committed in order, as many at once as have gathered while the last commit ran (group commit), and
only then delivered, in order. Who waits too long is told so, and may ask again under the same id. A
unit without facts still waits for those before it, so that nobody sees the effect of a fact that
could be lost. What was committed is delivered in turns of some milliseconds, which all rooms of the node
take: two hundred facts for two hundred people would else keep the others waiting for half a second. When a
commit fails, everything that waits fails with it: the room in memory is ahead of the truth, and its actor
must open it anew.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, NamedTuple

from rooms.events import Event

from .errors import RequestError
from .feed import Delivery
from .journal import JournalError

log: Final = logging.getLogger("sunup.room")
ANSWER_WITHIN: Final = 1.8
"""Seconds after which an asker is told `unavailable`; the commit itself goes on."""
MAX_FACTS: Final = 200
"""Facts of one commit; more only when one unit has more."""
SLICE: Final = 0.005
"""Seconds of delivering in one turn; more only when one unit takes longer."""

Fail = Callable[[RequestError], None]


class Unit(NamedTuple):
    """What one input led to."""

    facts: Sequence[Event]
    deliveries: Sequence[Delivery]
    fail: Fail | None = None
    """Tells who asked that it is not stored, or not yet; does nothing once they were answered."""


class Committer:
    """The commit queue of one room in one epoch.

    Args:
        append: makes facts durable, numbered from the given one.
        deliver: carries out deliveries in order.
        next_seq: the number of the next fact.
        failed: called once, when a commit failed; nothing is committed or delivered after it.
        turn: when some of what was committed may be delivered.
        timer: seconds, only their differences count.
    """

    def __init__(
        self,
        append: Callable[[int, list[Event]], Awaitable[None]],
        deliver: Callable[[Sequence[Delivery]], None],
        *,
        next_seq: int,
        failed: Callable[[JournalError], None],
        turn: Callable[[], AbstractAsyncContextManager[None]],
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._append = append
        self._deliver = deliver
        self._failed = failed
        self._turn = turn
        self._timer = timer
        self.next_seq = next_seq
        """The number of the next fact to commit."""
        self.last_seq = next_seq - 1
        """The number of the last fact submitted."""
        self._units: deque[Unit] = deque()
        self._committing: deque[Unit] = deque()
        """The units whose commit is under way, or that were not delivered since."""
        self._delivering = False
        self._broken = False
        self._work = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(self._ended)

    def submit(self, unit: Unit) -> None:
        """Queue a unit; one that depends on no commit is delivered before this returns.

        One that a delivery submits comes behind everything that is being delivered.
        """
        if self._broken:
            if unit.fail is not None:
                unit.fail(unavailable())
            return
        if not unit.facts and not self.busy:
            self._hand_over(unit)
            return
        if unit.fail is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(ANSWER_WITHIN, unit.fail, unavailable())
        self._units.append(unit)
        self.last_seq += len(unit.facts)
        self._idle.clear()
        self._work.set()

    def defective(self, defect: BaseException) -> None:
        """Our bug in an append or a delivery, also a late one: loud, and the room is opened anew."""
        log.error("a commit or a delivery failed", exc_info=defect)
        if not self._broken:
            self._break(JournalError("a delivery failed"))

    @property
    def busy(self) -> bool:
        """Whether something waits for its commit or is being delivered."""
        return bool(self._units or self._committing or self._delivering)

    async def flush(self) -> None:
        """Wait until everything submitted is committed and delivered, or failed."""
        await self._idle.wait()

    async def close(self) -> None:
        """Commit and deliver what waits, then stop."""
        await self.flush()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def abandon(self) -> None:
        """Stop; what waits fails. For a room that is thrown away."""
        self._fail_all()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while not self._broken:
            await self._work.wait()
            self._work.clear()
            while self._units and not self._broken:
                await self._commit_some()
            self._idle.set()

    async def _commit_some(self) -> None:
        self._committing = self._take()
        facts = [fact for unit in self._committing for fact in unit.facts]
        if facts:
            try:
                await self._append(self.next_seq, facts)
            except JournalError as error:
                self._break(error)
                return
            if not self._broken:
                self.next_seq += len(facts)
        while self._committing:  # of which nothing is left when a late delivery broke it
            async with self._turn():
                end = self._timer() + SLICE
                while self._committing and self._timer() < end:
                    self._hand_over(self._committing.popleft())

    def _hand_over(self, unit: Unit) -> None:
        self._delivering = True
        try:
            self._deliver(unit.deliveries)
        finally:
            self._delivering = False

    def _take(self) -> deque[Unit]:
        units = deque([self._units.popleft()])
        count = len(units[0].facts)
        while self._units and count + len(self._units[0].facts) <= MAX_FACTS:
            units.append(self._units.popleft())
            count += len(units[-1].facts)
        return units

    def _ended(self, task: "asyncio.Task[None]") -> None:
        defect = None if task.cancelled() else task.exception()
        if defect is not None:
            self.defective(defect)

    def _break(self, error: JournalError) -> None:
        self._fail_all()
        self._failed(error)

    def _fail_all(self) -> None:
        self._broken = True
        for unit in (*self._committing, *self._units):
            if unit.fail is not None:
                unit.fail(unavailable())
        self._units.clear()
        self._committing.clear()
        self._idle.set()


def unavailable() -> RequestError:
    """The refusal of what could not be stored in time."""
    return RequestError("unavailable", retry_ms=1000)
