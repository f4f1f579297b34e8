"""What one input led to, for the shell to carry out in order.

The shell journals the facts, waits for the commit, answers, sends the events along their
streams, sends the snapshots, and then closes. ``rooms.room`` says when to do what.
"""

from enum import StrEnum
from typing import Any

from msgspec import Struct

from .commands import Entered
from .events import Event
from .ids import ConnEpoch, ParticipantId


class CloseReason(StrEnum):
    """Why a connection has to go; the shell maps it to a closing event and a close code."""

    SUPERSEDED = "superseded"
    DENIED = "denied"
    REMOVED = "removed"
    ENDED = "ended"
    LEFT = "left"


class Close(Struct, frozen=True):
    """One connection to close, after everything before it was sent.

    ``detail`` is the reason within the reason: for ``ended`` why the room is over.
    """

    participant: ParticipantId
    conn_epoch: ConnEpoch
    reason: CloseReason
    detail: str | None = None


class Outcome(Struct, frozen=True):
    """What happened.

    Attributes:
        reply: The answer's ``p`` for a ``Request``, else empty.
        events: Facts in the order of their sequence numbers, then projections.
        withdraw: Participants who lost streams (sent back, demoted): end their subscriptions to
            what ``Room.streams`` has no more before the events, which they must not hear.
        resync: Participants whose streams changed: after the events subscribe them to
            ``Room.streams`` and send each a snapshot taken before the next input.
        closes: Connections to close at the end.
        entered: The answer to ``Enter`` and ``Resume``.
        repeated: Whether the answer was given before and nothing happened now.
    """

    reply: dict[str, Any]
    events: tuple[Event, ...] = ()
    withdraw: tuple[ParticipantId, ...] = ()
    resync: tuple[ParticipantId, ...] = ()
    closes: tuple[Close, ...] = ()
    entered: Entered | None = None
    repeated: bool = False

    @property
    def committed(self) -> bool:
        """Whether the reply has to wait for the journal (then it says ``committed: true``)."""
        return any(event.durability == "committed" for event in self.events)
