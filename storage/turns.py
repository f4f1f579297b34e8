"""Turns for what everybody shares: a few at a time, askers in rotation, and pauses where it is the loop.

Two hundred people who come at nine o'clock are two hundred offers, milliseconds each, of the one
loop that every other room waits for; five hundred requests of one API key are as many waits for the
one writer of the database. Here they wait for each other instead, and who asks for one thing does not
wait for all that another asked for. Who is no longer there gets no turn. How many may wait is the
caller's matter, and for what is not known here.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Hashable
from dataclasses import dataclass
from typing import Final

from .rotation import Rotation

LONGEST_PAUSE: Final = 0.05
"""Seconds; a process that stood still in somebody's turn would else pause for as long again."""


class SentAway(Exception):  # what became of the wait, not a fault
    """There is no turn for them any more: they have gone, or gave way to another."""


class Turns:
    """See the module.

    Args:
        at_once: how many have a turn at the same time.
        of_one: how many of them may be of one asker, by the first word of its path; all of them, if not given.
        pauses: whether the loop is left to everybody else after each turn, for as long as it took.
        timer: seconds, only their differences count.
    """

    def __init__(
        self,
        at_once: int = 1,
        *,
        of_one: int | None = None,
        pauses: bool = False,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._free = at_once
        self._of_one = at_once if of_one is None else of_one
        self._taken: Counter[Hashable] = Counter()
        """Turns that somebody has, by the first word."""
        self._pauses = pauses
        self._timer = timer
        self._waiting: Rotation[_Waiter] = Rotation()

    def waiting(self, *asker: Hashable) -> int:
        """How many turns are waited for now; of one asker, when one is named."""
        return self._waiting.count(asker)

    @contextlib.asynccontextmanager
    async def take(
        self, *asker: Hashable, is_there: Callable[[], bool] = lambda: True
    ) -> AsyncIterator[None]:
        """A turn of `asker`, a path of `Rotation`; one asker's turns come in the order of asking.

        Args:
            asker: whose turn it is.
            is_there: asked when it is their turn, had they to wait for it.

        Raises:
            SentAway: they were not, or somebody else made them give way.
        """
        first = asker[0] if asker else None
        if self._free and not self._has_enough(first):
            self._free -= 1
            self._taken[first] += 1
        else:
            await self._wait(asker, is_there)
        began = self._timer()
        try:
            yield
        finally:
            if self._pauses:
                pause = min(self._timer() - began, LONGEST_PAUSE)
                asyncio.get_running_loop().call_later(pause, self._pass_on, first)
            else:
                self._pass_on(first)

    async def come(self, *asker: Hashable, is_there: Callable[[], bool]) -> bool:
        """Wait for a turn that is over at once: what it lets begin goes on by itself. False for who is sent away.

        Args:
            asker: as for `take`.
            is_there: likewise.
        """
        try:
            async with self.take(*asker, is_there=is_there):
                return True
        except SentAway:
            return False

    def make_way(self, *asker: Hashable) -> bool:
        """Send away the first of those (by the first word of their paths) who wait for most turns.

        False when nobody would wait for more than `asker` with one more: then they give way.
        """
        longest = self._waiting.pop_longest(more_than=self.waiting(*asker) + 1)
        if longest is not None:
            longest.send_away()
        return longest is not None

    async def _wait(self, asker: tuple[Hashable, ...], is_there: Callable[[], bool]) -> None:
        first = asker[0] if asker else None
        waiter = _Waiter(asyncio.get_running_loop().create_future(), is_there, first)
        self._waiting.add(asker, waiter)
        try:
            await waiter.turn
        except asyncio.CancelledError:
            if waiter.turn.cancelled():
                self._waiting.remove(asker, waiter)
            elif waiter.turn.exception() is None:  # it was given, and nobody takes it
                self._pass_on(waiter.first)
            raise

    def _has_enough(self, first: Hashable) -> bool:
        return self._taken[first] >= self._of_one

    def _pass_on(self, first: Hashable) -> None:
        """Give the turn that one of `first` had to who is next."""
        self._taken[first] -= 1
        if not self._taken[first]:
            del self._taken[first]
        while (waiter := self._waiting.pop(but=self._has_enough)) is not None:
            if waiter.turn.done():
                continue
            if waiter.is_there():
                self._taken[waiter.first] += 1
                waiter.turn.set_result(None)
                return
            waiter.send_away()
        self._free += 1


@dataclass(eq=False)
class _Waiter:
    turn: asyncio.Future[None]
    is_there: Callable[[], bool]
    first: Hashable
    """The first word of the path."""

    def send_away(self) -> None:
        if not self.turn.done():
            self.turn.set_exception(SentAway())
