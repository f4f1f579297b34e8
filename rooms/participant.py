"""One row of a sitting: who somebody is, where they stand, what they publish.

A row is mutable, but only ``rooms.fold`` changes it. How others see it is ``view``. The states
and their edges are in ``rooms.states``; how rows come in and go is decided in ``rooms.entry``.
"""

from msgspec import Struct

from .events import ParticipantView, Waiter, Waits
from .ids import ConnEpoch, Identity, LinkId, ParticipantId, Scope, TrackId
from .policy import IdentityKind, Kind, Right, Role, Source
from .states import GONE, PRESENT, SEATED, ParticipantState

HOSTING = frozenset({Role.HOST, Role.COHOST})
"""The roles that see the queue and may sit in reserved seats."""
SHOWN_ROLES = frozenset({Role.HOST, Role.COHOST, Role.PRESENTER})
"""The roles that everybody sees, also in a room that shows participants a count."""


class Publication(Struct):
    """One source of one participant.

    ``wanted`` is what the person last asked for; ``on`` is what is forwarded, and is never more
    than the rights allow.
    """

    track: TrackId
    wanted: bool = False
    on: bool = False


class Interval(Struct, frozen=True):
    """Attendance that is going on: since when, as room time and as a stamp."""

    scope: Scope
    since: float
    joined_at: str


class Parting(Struct, frozen=True):
    """Attendance that is over unless the meeting is: since when, as room time, and why."""

    at: float
    reason: str


class Participant(Struct):
    """A row.

    Attributes:
        id: The row's id, public.
        identity: Unique per room.
        identity_kind: Where the identity comes from.
        kind: Person or machine.
        name: Shown to others.
        role: The role now.
        base_role: The role that the link gives; a host by link may take the meeting back.
        verified: Whether the name is that of a known person.
        hidden: Not in the roster.
        link: The link used last.
        lobby: Whether the link makes its bearer wait.
        deny: Rights never held.
        attributes: See ``commands.Enter``.
        state: Where the row stands.
        admitted: Holds an admission: comes back without waiting.
        revoked: Was put out: has to wait whatever the policy says.
        waits: What a waiting row waits for.
        position: Place key in the queue, kept over short losses.
        listed_at: The journal position at which the queue last showed this entry.
        away: A waiting row that is out of the list, its place kept.
        was_name: The name before a change in the queue.
        conn_epoch: Number of the newest connection, 0 before the first.
        connected: Whether that connection lives.
        lost_at: Room time of its loss, while it is lost.
        permissions: Sources granted (True) or revoked (False) to this person.
        tracks: What is or was published, by source.
        hand: The number of the raised hand; lower is earlier.
        since: Stamp of the arrival at the door.
        joined_at: Stamp of the first time active.
        joined_no: The chat's number when they were let in, where newcomers' history begins.
        join_order: Rises by first time active; the co-host with the lowest takes over.
        interval: Attendance that is open now.
        shown: Shown to participants in a room that shows a count; sticks once true.
        scope: Where the person is.
        rev: Rises with every change.
    """

    id: ParticipantId
    identity: Identity
    identity_kind: IdentityKind
    kind: Kind
    name: str
    role: Role
    base_role: Role
    verified: bool
    hidden: bool
    link: LinkId | None
    lobby: bool
    deny: list[Right]
    attributes: dict[str, str]
    since: str
    scope: Scope
    state: ParticipantState = ParticipantState.INVITED
    admitted: bool = False
    revoked: bool = False
    waits: Waits | None = None
    position: int | None = None
    listed_at: int = 0
    away: bool = False
    was_name: str | None = None
    conn_epoch: ConnEpoch = ConnEpoch(0)
    connected: bool = False
    lost_at: float | None = None
    permissions: dict[Source, bool] = {}
    tracks: dict[Source, Publication] = {}
    hand: int | None = None
    joined_at: str | None = None
    joined_no: int = 0
    join_order: int = 0
    interval: Interval | None = None
    shown: bool = False
    rev: int = 0

    @property
    def person(self) -> bool:
        """Whether it is a human being: takes a seat, may wait, has attendance."""
        return self.kind is Kind.PERSON

    @property
    def named(self) -> bool:
        """Whether the link says who it is, so that another device makes no other row of it."""
        return self.identity_kind is not IdentityKind.GUEST

    @property
    def waiting(self) -> bool:
        """Whether it stands in the queue."""
        return self.state is ParticipantState.WAITING

    @property
    def unheard(self) -> bool:
        """Whether it waits without having been let in by anybody."""
        return self.waiting and not self.admitted

    @property
    def listed(self) -> bool:
        """Whether hosts see it in the queue."""
        return self.waiting and not self.away

    @property
    def seated(self) -> bool:
        """Whether it holds a seat."""
        return self.person and self.state in SEATED

    @property
    def present(self) -> bool:
        """Whether it belongs in a roster."""
        return self.state in PRESENT and not self.hidden

    @property
    def active(self) -> bool:
        """Whether it is in, as far as anybody can see."""
        return self.state is ParticipantState.ACTIVE

    @property
    def gone(self) -> bool:
        """Whether it has left in any way."""
        return self.state in GONE

    @property
    def hosting(self) -> bool:
        """Whether it may see the queue once it is in."""
        return self.role in HOSTING

    def gone_at(self, now: float) -> float:
        """Since when somebody who is found gone now was gone: since their connection was lost, if so."""
        return now if self.lost_at is None else self.lost_at

    def publishes(self, source: Source) -> bool:
        """Whether the source is on."""
        track = self.tracks.get(source)
        return track is not None and track.on

    def view(self) -> ParticipantView:
        """As others see it."""
        return ParticipantView(
            id=self.id,
            identity_kind=self.identity_kind,
            kind=self.kind,
            name=self.name,
            role=self.role,
            state=self.state,
            verified=self.verified,
            tracks={source.value: self.publishes(source) for source in Source},
            track_ids={source.value: track.track for source, track in self.tracks.items()},
            hand=self.hand,
            joined_at=self.joined_at,
            rev=self.rev,
        )

    def waiter(self) -> Waiter:
        """As hosts see it in the queue."""
        return Waiter(
            participant=self.id,
            name=self.name,
            verified=self.verified,
            identity_kind=self.identity_kind,
            since=self.since,
            waits=self.waits or "verdict",
            was=self.was_name,
        )
