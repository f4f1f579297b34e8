"""Turns for work that holds up the whole node: one piece at a time, askers in rotation, and pauses.

Two hundred people who come at nine o'clock are two hundred offers, milliseconds each, of the one
loop that every other room waits for. Here they wait for each other instead: after each piece the
loop is free for as long as the piece took, and who asks for one does not wait for all that another
asked for. It bounds no number (``limits`` does) and does not know what is done.
"""

import asyncio
import contextlib
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Hashable
from typing import Final

LONGEST_PAUSE: Final = 0.05
"""Seconds; a process that stood still in its turn would else pause for as long again."""


class Turns:
    """See the module.

    Args:
        timer: seconds, only their differences count.
    """

    def __init__(self, timer: Callable[[], float] = time.perf_counter) -> None:
        self._timer = timer
        self._taken = False
        self._waiting: OrderedDict[Hashable, deque[asyncio.Future[None]]] = OrderedDict()
        """By who asked; whoever's turn is next comes first."""

    @property
    def waiting(self) -> int:
        """How many wait for their turn now."""
        return sum(not turn.done() for turns in self._waiting.values() for turn in turns)

    @contextlib.asynccontextmanager
    async def take(self, asker: Hashable) -> AsyncIterator[None]:
        """A turn of `asker`, whose turns come in the order in which they were asked for."""
        if self._taken:
            await self._wait(asker)
        self._taken = True
        began = self._timer()
        try:
            yield
        finally:
            pause = min(self._timer() - began, LONGEST_PAUSE)
            asyncio.get_running_loop().call_later(pause, self._pass_on)

    async def _wait(self, asker: Hashable) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(asker, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was given, and nobody is there to take it
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            asker, turns = next(iter(self._waiting.items()))
            turn = turns.popleft()
            given_up = turn.done()
            if not turns:
                del self._waiting[asker]
            elif not given_up:
                self._waiting.move_to_end(asker)
            if not given_up:
                turn.set_result(None)
                return
        self._taken = False
