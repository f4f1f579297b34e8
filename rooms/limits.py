"""Every bound of a room, and the token buckets that enforce the rates.

What a bound refuses is answered with a typed error that says the limit or when to try again;
nothing that was accepted is lost. Durations are in ``rooms.timers``.
"""

from typing import Final

from msgspec import Struct

from .errors import Code, RoomError

CHAT_BODY: Final = 5000
"""Characters of a chat message."""
LOBBY_BODY: Final = 500
"""Characters of a line through the door."""
NAME: Final = 80
"""Characters of a display name."""
CHAT_KEPT: Final = 1000
"""Messages that the room can show; older ones stay in the tables."""
CHAT_SNAPSHOT: Final = 50
"""Messages of a snapshot."""
CHAT_BYTES: Final = 256 * 1024
"""UTF-8 of the texts of a snapshot or a page: 50 long ones would fill the queue of a client."""
LOBBY_KEPT: Final = 50
"""Lines through the door that the room can show."""
LOBBY_LINK_KEPT: Final = 30
"""Those of them that came by one link."""
WAITING: Final = 500
"""People in the queue: so many guests, and as many who are known by name."""
LINK_WAITING: Final = 250
"""Guests in the queue who came by one link."""
ROWS: Final = 5000
"""Identities of one sitting."""
GUEST_ROWS: Final = 4000
"""Those of them that may be guests: the others are kept for hosts and people known by name."""
LINK_ROWS: Final = 1000
"""Guests of one sitting that came by one link."""
REPLIES: Final = 256
"""Journaled answers per identity: a host who admits a whole training one by one, and is told after a
stalled commit to ask again, finds each of them."""
UNJOURNALED_REPLIES: Final = 64
"""Answers per identity to what changed nothing or passes."""
EMOJI_KINDS: Final = 32
"""Different reactions in one sum."""
SPEAKERS: Final = 5


class Rate(Struct, frozen=True):
    """A token bucket: ``per_s`` tokens a second, ``burst`` at most, for each ``per``."""

    per_s: float
    burst: float
    per: str = "participant"


RATES: Final[dict[str, Rate]] = {
    "chat": Rate(1.0, 10.0),
    "hand": Rate(1.0, 2.0),
    "react": Rate(4.0, 4.0),
    "track": Rate(1.0, 20.0),
    "name": Rate(0.1, 5.0),
    # A device more is a participant more; what strangers may write at a door must not grow with it.
    "door": Rate(0.2, 30.0, "link"),
    "doors": Rate(0.5, 60.0, "room"),
}


class Buckets:
    """The buckets of one room, by (rate, key)."""

    def __init__(self) -> None:
        self._left: dict[tuple[str, str], tuple[float, float]] = {}

    def take(self, name: str, key: str, now: float) -> None:
        """Take one token.

        Raises:
            RoomError: ``rate``, with ``retry_ms`` until there is one.
        """
        rate = RATES[name]
        left, since = self._left.get((name, key), (rate.burst, now))
        left = min(rate.burst, left + (now - since) * rate.per_s)
        if left < 1.0:
            self._left[name, key] = (left, now)
            retry_ms = int((1.0 - left) / rate.per_s * 1000) + 1
            raise RoomError(Code.RATE, f"too many {name} requests", retry_ms=retry_ms)
        self._left[name, key] = (left - 1.0, now)
