"""Commit, then tell: the queue between what a room decided and what anybody hears of it.

A *unit* is what one input led to: facts, and the deliveries that depend on them. Units are
committed in order, as many at once as have gathered while the last commit ran (group commit), and
only then delivered, in order. Who waits too long is told so, and may ask again under the same id. A
unit without facts still waits for those before it, so that nobody sees the effect of a fact that
could be lost. When a commit fails, everything that waits fails with it: the room in memory is ahead
of the truth, and its actor must open it anew.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
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
    """

    def __init__(
        self,
        append: Callable[[int, list[Event]], Awaitable[None]],
        deliver: Callable[[Sequence[Delivery]], None],
        *,
        next_seq: int,
        failed: Callable[[JournalError], None],
    ) -> None:
        self._append = append
        self._deliver = deliver
        self._failed = failed
        self.next_seq = next_seq
        """The number of the next fact to commit."""
        self.last_seq = next_seq - 1
        """The number of the last fact submitted."""
        self._units: deque[Unit] = deque()
        self._committing: list[Unit] = []
        """The units whose commit is under way."""
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
            self._hand_over([unit])
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
        units = self._take()
        facts = [fact for unit in units for fact in unit.facts]
        if facts:
            self._committing = units
            try:
                await self._append(self.next_seq, facts)
            except JournalError as error:
                self._break(error)
                return
            if self._broken:  # meanwhile, by a late delivery: who waits was told so
                return
            self._committing = []
            self.next_seq += len(facts)
        self._hand_over(units)

    def _hand_over(self, units: Sequence[Unit]) -> None:
        self._delivering = True
        try:
            for unit in units:
                self._deliver(unit.deliveries)
        finally:
            self._delivering = False

    def _take(self) -> list[Unit]:
        units = [self._units.popleft()]
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
        self._committing = []
        self._idle.set()


def unavailable() -> RequestError:
    """The refusal of what could not be stored in time."""
    return RequestError("unavailable", retry_ms=1000)
