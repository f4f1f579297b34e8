"""Turns for what everybody shares: a few at a time, askers in rotation, and pauses where it is the loop.

Two hundred people who come at nine o'clock are two hundred offers, milliseconds each, of the one
loop that every other room waits for; five hundred requests of one API key are as many waits for the
one writer of the database. Here they wait for each other instead, and who asks for one thing does not
wait for all that another asked for. It refuses nobody, tells how many wait, and does not know for what.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Hashable
from typing import Final

from .rotation import Rotation

LONGEST_PAUSE: Final = 0.05
"""Seconds; a process that stood still in somebody's turn would else pause for as long again."""


class Turns:
    """See the module.

    Args:
        at_once: how many have a turn at the same time.
        pauses: whether the loop is left to everybody else after each turn, for as long as it took.
        timer: seconds, only their differences count.
    """

    def __init__(
        self,
        at_once: int = 1,
        *,
        pauses: bool = False,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._free = at_once
        self._pauses = pauses
        self._timer = timer
        self._waiting: Rotation[asyncio.Future[None]] = Rotation()

    def waiting(self, *asker: Hashable) -> int:
        """How many turns are waited for now; of one asker, when one is named."""
        return self._waiting.count(asker)

    @contextlib.asynccontextmanager
    async def take(self, *asker: Hashable) -> AsyncIterator[None]:
        """A turn of `asker`, a path of `Rotation`; one asker's turns come in the order of asking."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(asker)
        began = self._timer()
        try:
            yield
        finally:
            if self._pauses:
                pause = min(self._timer() - began, LONGEST_PAUSE)
                asyncio.get_running_loop().call_later(pause, self._pass_on)
            else:
                self._pass_on()

    async def _wait(self, asker: tuple[Hashable, ...]) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.add(asker, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._waiting.remove(asker, turn)
            else:  # it was given, and nobody is there to take it
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while (turn := self._waiting.pop()) is not None:
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
