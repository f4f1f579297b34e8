"""Everything that a room knows and must not forget: the fold of its facts.

Plain data with questions about it and no decisions. Only ``rooms.fold`` changes it, so a room
restored from its journal equals the one that wrote it. What may be forgotten (rates, coalescing)
is in ``rooms.live``.
"""

from collections.abc import Iterator

from msgspec import Struct, field

from .events import ChatMessage, LobbyMessage
from .ids import Identity, LinkId, MessageId, ParticipantId
from .participant import Participant, Parting
from .policy import Features, Policy, Role, RoomConfig
from .replies import Replies
from .states import OVER, HostPresence, RoomState
from .timers import AFTER_END_S, Deadlines, Timer


class Kept(Struct, frozen=True):
    """A message in memory, and its room time."""

    message: ChatMessage
    sent: float


class State(Struct):
    """The folded state of one sitting.

    Attributes:
        config: What the sitting started from.
        policy: The policy now.
        features: The features now.
        starts_at: The appointment's start now.
        ends_at: Its end now.
        state: Where the room stands.
        end_reason: Why it is ending or has ended.
        parted_at: Room time when a host ended it for all; the grace in which that can be undone
            is no time in company, so attendance and the sitting end then.
        parted_by: That host.
        partings: Whose attendance ended in that grace: with the meeting, or if that is undone, then.
        finished: Whether the last fact, ``room.ended``, was written.
        started_at: Stamp of the moment it went live.
        locked: Whether nobody new gets in.
        locked_itself: Whether that is for want of a host, and nobody's wish.
        host_presence: Whether a host is there.
        host_grace_until: Stamp until when a lost host is waited for.
        host_seen: Whether there ever was one.
        seq: How many facts were folded: the journal's sequence number.
        now: Room time of the newest fact.
        rev: Revision of the room's own fields.
        participants: Rows by id, in order of arrival.
        by_identity: Row id by identity.
        banned_links: Links that let nobody in.
        lobby_ver: The queue's version: the ``seq`` of its last change.
        next_position: Place key of the next who waits.
        next_join: Join order of the next who becomes active.
        hands: Raised hands, first raised first.
        hands_rev: Revision of that list.
        chat: The newest messages.
        chat_no: Number of the newest message.
        lobby_messages: The newest lines through the door, of and to people who have not left.
        replies: Answers to requests, for retries.
        deadlines: Running timers.
    """

    config: RoomConfig
    policy: Policy
    features: Features
    starts_at: float | None
    ends_at: float | None
    state: RoomState
    end_reason: str | None = None
    parted_at: float | None = None
    parted_by: ParticipantId | None = None
    partings: dict[ParticipantId, Parting] = {}
    finished: bool = False
    started_at: str | None = None
    locked: bool = False
    locked_itself: bool = False
    host_presence: HostPresence = HostPresence.ABSENT
    host_grace_until: str | None = None
    host_seen: bool = False
    seq: int = 0
    now: float = 0.0
    rev: int = 0
    participants: dict[ParticipantId, Participant] = {}
    by_identity: dict[Identity, ParticipantId] = {}
    banned_links: dict[LinkId, bool] = {}
    lobby_ver: int = 0
    next_position: int = 1
    next_join: int = 1
    hands: list[ParticipantId] = []
    hands_rev: int = 0
    chat: list[Kept] = []
    chat_no: int = 0
    lobby_messages: list[LobbyMessage] = []
    replies: Replies = field(default_factory=Replies)
    deadlines: Deadlines = field(default_factory=Deadlines)

    @classmethod
    def initial(cls, config: RoomConfig) -> "State":
        """The state before the first fact."""
        state = cls(
            config=config,
            policy=config.policy,
            features=config.features,
            starts_at=config.starts_at,
            ends_at=config.ends_at,
            state=RoomState.DRAFT,
        )
        state.configure(config)
        return state

    def configure(self, config: RoomConfig) -> None:
        """Begin with this configuration."""
        self.config = config
        self.policy = config.policy
        self.features = config.features
        self.starts_at = config.starts_at
        self.ends_at = config.ends_at
        self.state = RoomState.SCHEDULED if config.scheduled else RoomState.DRAFT
        self.schedule()

    def schedule(self) -> None:
        """Set the timers that follow from the appointment's times."""
        self.deadlines.clear(Timer.OPEN_LOBBY)
        self.deadlines.clear(Timer.EXPIRE)
        if self.state is RoomState.SCHEDULED and self.opens_at is not None:
            self.deadlines.set(Timer.OPEN_LOBBY, self.opens_at)
        if self.state in {RoomState.SCHEDULED, RoomState.LOBBY_OPEN} and self.ends_at is not None:
            self.deadlines.set(Timer.EXPIRE, self.ends_at + AFTER_END_S)

    @property
    def opens_at(self) -> float | None:
        """When people may come to the door, or None for any time."""
        return None if self.starts_at is None else self.starts_at - self.config.opens_before_s

    @property
    def may_be_undone(self) -> bool:
        """Whether a host has ended it, and it goes on if a host takes that back."""
        return self.state is RoomState.ENDING and self.parted_at is not None

    @property
    def over(self) -> bool:
        """Whether nothing can change any more."""
        return self.state in OVER

    @property
    def live(self) -> bool:
        """Whether the meeting goes on, be it in its last seconds."""
        return self.state in {RoomState.LIVE, RoomState.ENDING}

    def queue(self) -> list[Participant]:
        """Everybody who waits, first come first, with those whose place is only kept."""
        waiting = (p for p in self.participants.values() if p.waiting)
        return sorted(waiting, key=lambda p: p.position or 0)

    def listed(self) -> list[Participant]:
        """The queue as hosts see it."""
        return [p for p in self.queue() if not p.away]

    def place(self, participant: Participant) -> int | None:
        """Place in the queue from 1, or None for one who does not wait."""
        if not participant.waiting:
            return None
        mine = participant.position or 0
        return 1 + sum(p.waiting and (p.position or 0) < mine for p in self.participants.values())

    def present(self) -> Iterator[Participant]:
        """Everybody in the roster, in order of arrival."""
        return (p for p in self.participants.values() if p.present)

    def shows(self, participant: Participant) -> bool:
        """Whether participants see this entry, and not only its share of the count."""
        return participant.shown or self.policy.roster == "full"

    def count(self) -> int:
        """How many people are in."""
        return sum(p.person for p in self.present())

    def occupied(self) -> bool:
        """Whether anybody holds a seat."""
        return any(participant.seated for participant in self.participants.values())

    def seat_free(self, participant: Participant) -> bool:
        """Whether there is a seat for this person, who has none yet.

        Hosts and co-hosts may take reserved ones.
        """
        taken = ordinary = 0
        for other in self.participants.values():
            if other.seated:
                taken += 1
                ordinary += not other.hosting
        config = self.config
        if participant.hosting:
            return taken < config.capacity
        return taken < config.capacity and ordinary < config.capacity - config.reserved_seats

    def active_host(self) -> Participant | None:
        """A host who is in, the earliest."""
        return self._first(Role.HOST)

    def active_cohost(self) -> Participant | None:
        """The co-host who is in for longest."""
        return self._first(Role.COHOST)

    def kept(self, id_: MessageId) -> Kept | None:
        """A message that is still in memory."""
        return next((kept for kept in reversed(self.chat) if kept.message.id == id_), None)

    def _first(self, role: Role) -> Participant | None:
        candidates = (p for p in self.participants.values() if p.role is role and p.active)
        return min(candidates, key=lambda p: p.join_order, default=None)
