"""The names that things of a meeting go by: typed ids, streams, and the two sources of them.

Nothing here makes an id or reads a clock: the shell hands in an ``Ids`` source and a ``Stamp``
function, so that a room replays to the same bytes. Room time is a float of seconds since the
Unix epoch from a clock that never goes back.
Read ``rooms.events`` next.
"""

from collections.abc import Callable
from typing import Final, NewType, Protocol

ParticipantId = NewType("ParticipantId", str)
"""One row of a sitting: an identity in a room and session_no (UUIDv7 text)."""

Identity = NewType("Identity", str)
"""Who it is, outside the room: ``staff:<id>``, ``person:<id>``, ``guest:<uuid>``, ``service:<n>``."""

LinkId = NewType("LinkId", str)
"""The link that someone came through; its secret never gets here."""

TrackId = NewType("TrackId", str)
"""The public id of what someone publishes; the engine's own ids stay private to it."""

MessageId = NewType("MessageId", str)
RequestId = NewType("RequestId", str)
"""Client-made, unique per identity: the idempotency key."""

ConnEpoch = NewType("ConnEpoch", int)
"""Which connection of a participant: grows by one with each; only the newest is obeyed."""

Scope = NewType("Scope", str)
Stream = NewType("Stream", str)
"""An audience with its own sequence; see the constants below."""

Stamp = Callable[[float], str]
"""Room time → ISO 8601 UTC with milliseconds, as it stands in frames, rows and snapshots."""

MAIN: Final = Scope("main")

ROOM: Final = Stream("room")
"""Everybody who is in."""
HOSTS: Final = Stream("hosts")
"""Hosts and co-hosts: the queue and moderation."""
EPHEMERAL: Final = Stream("eph")
"""Everybody who is in; unsequenced, the latest wins, never replayed."""
JOURNAL: Final = Stream("journal")
"""Nobody: facts that only the journal, the room's fold and the shell's adapters read."""


def scope_stream(scope: Scope) -> Stream:
    """Everybody who is in this scope (main or a breakout): chat, later polls."""
    return Stream(f"scope:{scope}")


def self_stream(participant: ParticipantId) -> Stream:
    """One participant: private chat, own grants, requests to them."""
    return Stream(f"self:{participant}")


def lobby_stream(participant: ParticipantId) -> Stream:
    """One waiting participant: place, verdict, what hosts write to the door."""
    return Stream(f"lobby:{participant}")


class Ids(Protocol):
    """Where ids come from: UUIDv7 in production, a counter in tests."""

    def new(self) -> str:
        """A new unique id of 1..64 characters; later ids sort after earlier ones."""
        ...
