"""Time and ids for the shell: the only place of the meeting server that reads a clock.

Rooms take *room time*: seconds since the Unix epoch that never go back. It runs with the monotonic
clock, and follows the wall clock when that jumps ahead: the monotonic one stands still while a
machine sleeps or is paused. Of a wall clock that was set back it lets itself be caught up, at half
speed. Tests hand in their own `Clock`.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Protocol

from storage.ids import MonotonicIds


class Clock(Protocol):
    """Where the shell gets the time."""

    def now(self) -> float:
        """Room time in seconds."""

    def wall(self) -> float:
        """Unix time in seconds, as other machines see it; may jump."""

    def pulse(self) -> float:
        """Seconds since any moment, those in which the process did not run among them."""


JUMP: Final = 2.0
"""Seconds by which the wall clock must differ to be followed: a correction is no jump."""


class SystemClock:
    """The real time.

    Args:
        wall: Unix time, of the operating system.
        steady: its monotonic time.
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._room, self._read_at = wall(), steady()

    def now(self) -> float:
        """See `Clock.now`."""
        steady, wall = self._steady(), self._wall()
        passed = steady - self._read_at
        room = self._room + passed
        if wall > room + JUMP:
            room = wall
        elif wall < room - JUMP:
            room -= passed / 2
        self._room, self._read_at = room, steady
        return room

    def wall(self) -> float:
        """See `Clock.wall`."""
        return self._wall()

    def pulse(self) -> float:
        """See `Clock.pulse`: whoever slept finds that the wall clock went on."""
        return self.now()


class TextIds:
    """UUIDv7 ids as text, for ``rooms``."""

    def __init__(self) -> None:
        self._ids = MonotonicIds()

    def new(self) -> str:
        """The next id."""
        return str(self._ids())


def stamp(seconds: float) -> str:
    """Room or Unix time as ISO 8601 in UTC with milliseconds."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
