"""A packet engine whose worker ends by a real error, and the server with such an engine.

The worker waits on an epoll descriptor. `BreakableEngine.break_worker` lays /dev/null over it: the
next wait fails with EINVAL, and the worker ends as it would for any error of the operating system.
The product has no command for this. ``python -m tests.support.broken_engine dev`` runs the server and breaks its
engine on SIGUSR1.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from sfu import native
from signaling.cli import main


def epoll_descriptors() -> set[int]:
    """The epoll descriptors of this process."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            if entry.readlink().name == "anon_inode:[eventpoll]":
                found.add(int(entry.name))
        except FileNotFoundError:  # the folder's own descriptor
            continue
    return found


class BreakableEngine(native.NativeEngine):
    """The real engine, and a way to end its worker."""

    def __init__(self, **options: Any) -> None:
        before = epoll_descriptors()
        super().__init__(**options)
        self.stats()  # answered by the worker, which waits on its descriptor by then
        (self._epoll,) = epoll_descriptors() - before

    def break_worker(self) -> None:
        """Let the worker's next wait fail, and wake it."""
        null = os.open("/dev/null", os.O_RDONLY)
        os.dup2(null, self._epoll, inheritable=False)
        os.close(null)
        self.create_room()


class BreaksOnSignal(BreakableEngine):
    """Ends its worker on SIGUSR1."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        signal.signal(signal.SIGUSR1, lambda *_: self.break_worker())


if __name__ == "__main__":
    native.NativeEngine = BreaksOnSignal  # type: ignore[misc]  # what the composition root will find
    sys.exit(main())
