"""Every deadline of a room: one enum, how long each lasts, and the table of those that run.

Durations stand here and nowhere else. Some deadlines are state: they follow from facts, are set
while folding and survive a failover. The others belong to what is being coalesced for screens
(the last four); losing them costs nothing. ``rooms.room`` fires both.
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct


class Timer(StrEnum):
    """What is waited for. Per participant where the sentence says so."""

    OPEN_LOBBY = "open_lobby"
    """The door opens, some time before the appointment."""
    EXPIRE = "expire"
    """Nobody ever came."""
    HOST_GRACE = "host_grace"
    """A lost host has this long to come back."""
    HOST_GONE = "host_gone"
    """A room locked for want of a host ends."""
    EMPTY = "empty"
    """Nobody is in any more."""
    END_GRACE = "end_grace"
    """The end can be undone until then."""
    SHOW_LOST = "show_lost"
    """A participant's lost connection is shown."""
    RECONNECT = "reconnect"
    """A participant who was in is given up."""
    ADMITTED = "admitted"
    """An admitted participant has not come in."""
    PLACE = "place"
    """A lost waiting participant's place is given up."""
    ROSTER = "roster"
    """The coalesced roster delta is due."""
    PLACES = "places"
    """Waiting people are told their new places."""
    REACTIONS = "reactions"
    """The sum of reactions is due."""
    HAND_SPOKEN = "hand_spoken"
    """A participant with a raised hand has had the floor."""


PLACE_KEPT: Final = (Timer.RECONNECT, Timer.ADMITTED, Timer.PLACE)
"""While one of them runs, somebody may still come back to where they were, or come in."""

HOST_GRACE_S: Final = 120.0
HOST_LEFT_GRACE_S: Final = 10.0
"""The notice when the last host left on purpose."""
HOST_GONE_S: Final = 600.0
HOST_GONE_END_S: Final = 10.0
"""The notice before a room ends because its host is gone."""
EMPTY_S: Final = 60.0
AFTER_END_S: Final = 1800.0
"""How long after its scheduled end a room stays for people who come, or come back."""
SHOW_LOST_S: Final = 5.0
SHOW_LOST_RESTARTED_S: Final = 15.0
"""After a failover: longer than clients wait between two tries, so that nobody's chance decides."""
RECONNECT_S: Final = 60.0
ADMITTED_S: Final = 60.0
PLACE_S: Final = 300.0
ROSTER_S: Final = 1.0
ROSTER_URGENT_S: Final = 0.1
"""The shortest distance of roster deltas when a track changes: seen at once, bounded in a storm."""
PLACES_S: Final = 1.0
REACTIONS_S: Final = 0.5
HAND_SPOKEN_S: Final = 3.0
CHAT_EDIT_S: Final = 900.0
REPLY_KEPT_S: Final = 600.0

_ORDER: Final = {timer: number for number, timer in enumerate(Timer)}


class Deadlines(Struct):
    """Running timers: timer → key (a participant, or ``""``) → room time."""

    at: dict[Timer, dict[str, float]] = {}

    def set(self, timer: Timer, when: float, key: str = "") -> None:
        """Start or move a timer."""
        self.at.setdefault(timer, {})[key] = when

    def clear(self, timer: Timer, key: str = "") -> None:
        """Stop a timer, running or not."""
        running = self.at.get(timer)
        if running is not None:
            running.pop(key, None)
            if not running:
                del self.at[timer]

    def get(self, timer: Timer, key: str = "") -> float | None:
        """When it is due, or None."""
        return self.at.get(timer, {}).get(key)

    def earliest(self) -> tuple[float, int, str, Timer] | None:
        """The next one as (when, rank, key, timer): the order in which ties are fired."""
        return min(
            (
                (when, _ORDER[timer], key, timer)
                for timer, running in self.at.items()
                for key, when in running.items()
            ),
            default=None,
        )
