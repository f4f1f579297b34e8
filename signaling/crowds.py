"""How much may be changed in a room by all who came by one link together.

Each change is a fact that is kept and told to everybody: what each of two hundred people may do by
themselves is more than a server can tell two hundred people. Nobody is kept from doing less, and
everybody has a little of their own, whatever the others of their link do.
"""

from rooms.commands import Action, ChatPage, HandSet, Leave, React, TrackSet
from rooms.participant import HOSTING, Participant

from .errors import RequestError
from .limits import (
    CROWD_FACT_BURST,
    CROWD_FACT_RATE,
    OWN_FACT_BURST,
    OWN_FACT_RATE,
    CrowdLimiter,
    RoomLimiter,
)


class Crowds:
    """The budgets of one room, by link and by participant."""

    def __init__(self) -> None:
        self._links = CrowdLimiter(CROWD_FACT_RATE, CROWD_FACT_BURST)
        self._own = RoomLimiter(OWN_FACT_RATE, OWN_FACT_BURST)

    def check(self, who: Participant, action: Action, now: float) -> None:
        """Refuse what would change more than is left to them.

        Raises:
            RequestError: ``rate``.
        """
        if _adds_nothing(action) or not self._own.wait(who.id, now):
            return
        wait = self._links.wait(_crowd(who), now)
        if wait:
            raise RequestError(
                "rate", "too much from all who came by this link", retry_ms=int(wait * 1000)
            )

    def count(self, who: Participant, now: float) -> None:
        """They have changed something."""
        if self._own.take(who.id, now):
            self._links.take(_crowd(who), now)


def _crowd(who: Participant) -> str:
    """Who is counted together: at the door, in the room, and who moderates, each by their link."""
    part = "door" if not who.admitted else "hosts" if who.role in HOSTING else "people"
    return f"{part}/{who.link or ''}"


def _adds_nothing(action: Action) -> bool:
    """Whether less is there afterwards, or nothing of it is kept."""
    off = isinstance(action, TrackSet) and not action.on
    down = isinstance(action, HandSet) and not action.up
    return off or down or isinstance(action, Leave | React | ChatPage)
