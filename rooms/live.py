"""What a room may forget: rates, what is being coalesced for screens, who speaks.

None of it is journaled. A restored room starts with a fresh one, which costs a rate limit a few
tokens and a screen a second; clients get a snapshot at that moment anyway.
"""

from .events import LobbyState, ParticipantView, Waiter
from .ids import ParticipantId
from .limits import Buckets
from .replies import Replies
from .state import State
from .timers import Deadlines


class Live:
    """The volatile half of a room.

    Attributes:
        deadlines: Running timers of the coalesced projections.
        buckets: Rate limits.
        replies: Answers to requests that journaled nothing.
        announced: The roster as the room last told it, by participant.
        shown: Who of them was told to participants, not to hosts alone.
        roster_pending: Whose entry may have changed since.
        roster_urgent: Whether the next delta may come early.
        roster_at: Room time of the last delta.
        count: The last told number of people.
        queue: The queue as hosts were last told it, by participant.
        lobby_ver: The queue's version at that time.
        roster_mode: The sort of roster that participants were last told.
        told: What each waiting person was last told.
        places_at: Room time of the last round of places.
        places_due: Whether places may have changed since.
        reactions: Counts since the last sum.
        speakers: Who speaks, loudest first.
    """

    def __init__(self, state: State) -> None:
        self.deadlines = Deadlines()
        self.buckets = Buckets()
        self.replies = Replies()
        self.announced: dict[ParticipantId, ParticipantView] = {}
        self.shown: set[ParticipantId] = set()
        self.roster_pending: dict[ParticipantId, None] = {}
        self.roster_urgent = False
        self.roster_at = float("-inf")
        self.count = 0
        self.queue: dict[ParticipantId, Waiter] = {row.id: row.waiter() for row in state.listed()}
        self.lobby_ver = state.lobby_ver
        self.roster_mode = state.policy.roster
        self.told: dict[ParticipantId, LobbyState] = {}
        self.places_at = float("-inf")
        self.places_due = False
        self.reactions: dict[str, int] = {}
        self.speakers: list[ParticipantId] = []
        self.announce(state)

    def announce(self, state: State) -> None:
        """Take the roster of now as told: everybody gets a snapshot at this moment."""
        self.announced = {row.id: row.view() for row in state.present()}
        self.shown = {row.id for row in state.present() if state.shows(row)}
        self.roster_pending.clear()
        self.roster_urgent = False
        self.count = state.count()
