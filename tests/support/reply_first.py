"""The server with its most important promise broken: it replies first and commits afterwards.

``python -m tests.support.reply_first dev`` runs it. The kill test runs once against this and must
find lost facts; if it does not, the test proves nothing.
"""

import sys
from typing import Any

from signaling import actor, committer
from signaling.cli import main


class ReplyFirst(committer.Committer):
    """Delivers on submission, commits when it gets to it."""

    def submit(self, unit: committer.Unit) -> None:
        """Tell everybody, then queue the facts alone."""
        self._deliver(unit.deliveries)
        super().submit(unit._replace(deliveries=()))


def break_the_promise() -> None:
    """Make every room of this process reply first."""
    broken: Any = ReplyFirst
    actor.Committer = broken


if __name__ == "__main__":
    break_the_promise()
    sys.exit(main())
