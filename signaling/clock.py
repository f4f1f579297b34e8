"""Time and ids for the shell: the only place of the meeting server that reads a clock.

Rooms take *room time*: seconds since the Unix epoch that never go back (the wall clock at the
start plus monotonic time since). Tests hand in their own `Clock`.
"""

import time
from datetime import UTC, datetime
from typing import Protocol

from storage.ids import MonotonicIds


class Clock(Protocol):
    """Where the shell gets the time."""

    def now(self) -> float:
        """Room time in seconds."""

    def wall(self) -> float:
        """Unix time in seconds, as other machines see it; may jump."""


class SystemClock:
    """The real time."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """See `Clock.now`."""
        return self._offset + time.monotonic()

    def wall(self) -> float:
        """See `Clock.wall`."""
        return time.time()


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
