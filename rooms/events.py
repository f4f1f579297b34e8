"""What happened in a room, and who may see it.

There are two sorts of events. **Facts** are ``committed``: the journal stores them, the room folds
them (``rooms.fold``), and a reply that depends on them waits for the commit. **Projections**
are ``ephemeral``: made from facts for a screen (a roster delta, a place in the queue), never
stored; they are sequenced all the same unless their stream is ``eph``. Facts whose stream is
``journal`` go to nobody's socket. ``EVENTS`` lists every kind with its body and durability;
``to_record`` and ``from_record`` are the journal's form. Frames carry ``kind`` as ``t``, ``at``,
``by`` and the body as ``p``.
"""

from typing import Any, ClassVar, Final, Literal

import msgspec
from msgspec import Struct

from .errors import CorruptHistory
from .ids import (
    ConnEpoch,
    Identity,
    LinkId,
    MessageId,
    ParticipantId,
    RequestId,
    Scope,
    Stream,
    TrackId,
)
from .policy import IdentityKind, Kind, Right, Role, RoomConfig, Source
from .states import ChatMessageState, HostPresence, ParticipantState, RoomState

Durability = Literal["committed", "ephemeral"]
Verdict = Literal["waiting", "admitted", "denied"]
RightsReason = Literal["role", "policy", "host"]
"""Why somebody's rights changed: their role, the room's rules, a host's grant to this person."""
Waits = Literal["verdict", "start", "seat"]
"""What a waiting person waits for: a host's word, the first host, a free seat."""


class Body(Struct, frozen=True):
    """Base of every event body; ``event`` is its name, its kind."""

    event: ClassVar[str]


class Done(Struct, frozen=True):
    """The answered request that a fact belongs to: what makes its retry harmless.

    ``digest`` tells a retry from another request under a used id.
    """

    identity: Identity
    id: RequestId
    digest: int
    reply: dict[str, Any]


class Event(Struct, frozen=True):
    """One thing that happened.

    Attributes:
        kind: Its name; decides the body's type (``EVENTS``).
        stream: Who may see it.
        durability: ``committed`` events are journaled and folded, ``ephemeral`` ones are not.
        now: Room time of the decision.
        at: The same as an ISO stamp; stands in the frame and in the journal.
        by: The participant who caused it, or None for the room itself and the shell.
        body: The fields.
        done: On the last fact of a participant's request, that request and its answer.
    """

    kind: str
    stream: Stream
    durability: Durability
    now: float
    at: str
    by: ParticipantId | None
    body: Body
    done: Done | None = None


# ------------------------------------------------------------- facts for the journal alone


class RoomOpened(Body, frozen=True):
    """The first fact of a sitting: what the room was set up to be when it began."""

    event: ClassVar[str] = "room.opened"

    config: RoomConfig


class ParticipantEntered(Body, frozen=True):
    """A row was made: this identity is new in this sitting. Its state is ``invited``."""

    event: ClassVar[str] = "participant.entered"

    participant: ParticipantId
    identity: Identity
    identity_kind: IdentityKind
    kind: Kind
    name: str
    role: Role
    verified: bool
    hidden: bool
    link: LinkId | None
    lobby: bool
    deny: list[Right]
    attributes: dict[str, str]


class ParticipantConnected(Body, frozen=True):
    """A new connection of a row; every older one is superseded."""

    event: ClassVar[str] = "participant.connected"

    participant: ParticipantId
    conn_epoch: ConnEpoch
    link: LinkId | None = None
    """The link by which the row came this time, when it was another before."""


class ParticipantDisconnected(Body, frozen=True):
    """The newest connection is gone since ``lost_at`` (room time), ``restarted`` with its node."""

    event: ClassVar[str] = "participant.disconnected"

    participant: ParticipantId
    conn_epoch: ConnEpoch
    lost_at: float
    restarted: bool = False


class ParticipantMoved(Body, frozen=True):
    """A row changed its state (``rooms.states``); ``by`` of the event is who did it, if anyone.

    Attributes:
        participant: The row.
        state: The new state.
        was: The old one.
        reason: Why, for the record: ``policy``, ``host``, ``left``, ``lost``, ``expired``, …
        waits: What a waiting person waits for.
        position: The place key in the queue, rising by arrival; only for waiting.
        admitted: Whether the row holds an admission after this.
    """

    event: ClassVar[str] = "participant.state"

    participant: ParticipantId
    state: ParticipantState
    was: ParticipantState
    reason: str
    waits: Waits | None = None
    position: int | None = None
    admitted: bool = False


class ParticipantWaits(Body, frozen=True):
    """A waiting person now waits for something else; ``admitted`` as in ``participant.state``."""

    event: ClassVar[str] = "participant.waits"

    participant: ParticipantId
    waits: Waits
    admitted: bool


class ParticipantAway(Body, frozen=True):
    """A waiting person's connection is out for long enough to say so; their place is kept."""

    event: ClassVar[str] = "participant.away"

    participant: ParticipantId


class ParticipantNamed(Body, frozen=True):
    """A display name changed."""

    event: ClassVar[str] = "participant.name"

    participant: ParticipantId
    name: str
    was: str


class ParticipantRole(Body, frozen=True):
    """A role changed."""

    event: ClassVar[str] = "participant.role"

    participant: ParticipantId
    role: Role
    was: Role
    reason: str


class ParticipantPermission(Body, frozen=True):
    """One person's right to a source was granted, revoked or (None) left to policy again."""

    event: ClassVar[str] = "participant.permission"

    participant: ParticipantId
    source: Source
    on: bool | None


class LinkBanned(Body, frozen=True):
    """A banned person's link lets nobody in any more."""

    event: ClassVar[str] = "link.banned"

    link: LinkId


class IntervalOpened(Body, frozen=True):
    """Attendance begins; times are ISO 8601."""

    event: ClassVar[str] = "interval.opened"

    participant: ParticipantId
    scope: Scope
    joined_at: str


class IntervalClosed(Body, frozen=True):
    """Attendance ends; ``left_at`` is when the connection was lost, or a host ended the meeting.

    Who was there to its end has the reason ``ended``, however they went after that.
    """

    event: ClassVar[str] = "interval.closed"

    participant: ParticipantId
    scope: Scope
    joined_at: str
    left_at: str
    seconds: float
    reason: str


class TrackState(Body, frozen=True):
    """A source was turned on or off; ``track`` is its public id for the whole sitting.

    ``reason`` is ``self``, ``host`` (muted), ``policy`` (the right is gone) or ``gone``.
    """

    event: ClassVar[str] = "track.state"

    participant: ParticipantId
    source: Source
    on: bool
    track: TrackId
    reason: str


class RoomRescheduled(Body, frozen=True):
    """The appointment has new times (room time); ``room.changed`` tells the clients."""

    event: ClassVar[str] = "room.rescheduled"

    starts_at: float | None
    ends_at: float | None


# --------------------------------------------------------------- facts that clients see


class RoomChanged(Body, frozen=True):
    """Fields of the room changed; ``patch`` holds whole values by field name.

    Possible fields: locked, policy, features, starts_at and ends_at (ISO or null), title.
    """

    event: ClassVar[str] = "room.changed"

    rev: int
    patch: dict[str, Any]


class RoomStateChanged(Body, frozen=True):
    """The room moved in its life; ``ends_in_ms`` counts from the event's ``at`` in ``ending``."""

    event: ClassVar[str] = "room.state"

    state: RoomState
    ends_in_ms: int | None = None
    reason: str | None = None


class RoomEnded(Body, frozen=True):
    """The sitting is over: the last fact of its journal, after the ends of all intervals.

    ``ended_at`` is earlier than the event by the grace of a host's end that nobody undid.
    """

    event: ClassVar[str] = "room.ended"

    reason: str
    by: ParticipantId | None
    ended_at: str


class HostPresenceChanged(Body, frozen=True):
    """A host came or went; ``grace_until`` (ISO) is when the room stops waiting for one."""

    event: ClassVar[str] = "host.presence"

    state: HostPresence
    grace_until: str | None = None
    grace_ms: int | None = None


class Hands(Body, frozen=True):
    """All raised hands, first raised first."""

    event: ClassVar[str] = "hands"

    rev: int
    order: list[ParticipantId]


class ChatMessage(Body, frozen=True, rename={"from_": "from"}):
    """A message, as stored and as shown; ``no`` rises strictly within its scope."""

    event: ClassVar[str] = "chat.msg"

    id: MessageId
    no: int
    from_: ParticipantId
    body: str
    at: str
    to: ParticipantId | None = None
    state: ChatMessageState = ChatMessageState.STORED
    name: str = ""


class ChatEdited(Body, frozen=True):
    """A message has a new body."""

    event: ClassVar[str] = "chat.edited"

    id: MessageId
    no: int
    body: str
    at: str


class ChatDeleted(Body, frozen=True):
    """A message has no body any more."""

    event: ClassVar[str] = "chat.deleted"

    id: MessageId
    no: int


class LobbyMessage(Body, frozen=True, rename={"from_": "from"}):
    """A line through the door.

    ``to`` is None when it is for all who wait, or for the hosts; ``waiter`` is its author when
    that is the one who waits.
    """

    event: ClassVar[str] = "lobby.message"

    id: MessageId
    from_: ParticipantId
    name: str
    text: str
    at: str
    to: ParticipantId | None = None
    waiter: ParticipantId | None = None


# ------------------------------------------------------------------------- projections


class ParticipantView(Struct, frozen=True):
    """A participant as others see it: an entry of the roster."""

    id: ParticipantId
    identity_kind: IdentityKind
    kind: Kind
    name: str
    role: Role
    state: ParticipantState
    verified: bool
    tracks: dict[str, bool]
    track_ids: dict[str, TrackId]
    hand: int | None
    joined_at: str | None
    rev: int


class RosterDelta(Body, frozen=True, rename={"del_": "del"}):
    """Who came, what changed about whom (``id``, ``rev`` and the changed fields), who is gone."""

    event: ClassVar[str] = "roster.delta"

    rev: int
    add: list[ParticipantView] = []
    upd: list[dict[str, Any]] = []
    del_: list[ParticipantId] = []


class RosterCount(Body, frozen=True):
    """How many people are in, where the roster is not shown in full."""

    event: ClassVar[str] = "roster.count"

    count: int


class Waiter(Struct, frozen=True):
    """An entry of the hosts' queue; ``was`` is the name before the last change."""

    participant: ParticipantId
    name: str
    verified: bool
    identity_kind: IdentityKind
    since: str
    waits: Waits
    was: str | None = None


class LobbyList(Body, frozen=True, rename={"del_": "del"}):
    """The queue changed; an added entry replaces an older one of the same participant."""

    event: ClassVar[str] = "lobby.list"

    ver: int
    add: list[Waiter] = []
    del_: list[ParticipantId] = []


class LobbyState(Body, frozen=True):
    """What a waiting person is told: the verdict, the place, whether a host is there."""

    event: ClassVar[str] = "lobby.state"

    verdict: Verdict
    place: int | None = None
    message: str | None = None
    waits: Waits | None = None
    host: HostPresence | None = None
    starts_at: str | None = None


class PermChanged(Body, frozen=True):
    """What the person may do now: the role, the rights' names, the sources."""

    event: ClassVar[str] = "perm.changed"

    role: Role
    can: list[str]
    publish: dict[str, bool]
    reason: RightsReason


class UnmuteRequest(Body, frozen=True):
    """A host asks to unmute; the person may from now on."""

    event: ClassVar[str] = "unmute.request"

    by: ParticipantId


class Muted(Body, frozen=True):
    """A source of this person was stopped by somebody else."""

    event: ClassVar[str] = "muted"

    source: Source
    by: ParticipantId | None


class Removed(Body, frozen=True):
    """The person was put out; a close follows."""

    event: ClassVar[str] = "removed"

    reason: str


class SpeakersChanged(Body, frozen=True):
    """Who speaks, loudest first."""

    event: ClassVar[str] = "speakers"

    list: list[ParticipantId]


class ReactSum(Body, frozen=True):
    """Reactions of the last half second, by emoji."""

    event: ClassVar[str] = "react.sum"

    counts: dict[str, int]


FACTS: Final[tuple[type[Body], ...]] = (
    RoomOpened,
    ParticipantEntered,
    ParticipantConnected,
    ParticipantDisconnected,
    ParticipantMoved,
    ParticipantWaits,
    ParticipantAway,
    ParticipantNamed,
    ParticipantRole,
    ParticipantPermission,
    LinkBanned,
    IntervalOpened,
    IntervalClosed,
    TrackState,
    RoomRescheduled,
    RoomChanged,
    RoomStateChanged,
    RoomEnded,
    HostPresenceChanged,
    Hands,
    ChatMessage,
    ChatEdited,
    ChatDeleted,
    LobbyMessage,
)
PROJECTIONS: Final[tuple[type[Body], ...]] = (
    RosterDelta,
    RosterCount,
    LobbyList,
    LobbyState,
    PermChanged,
    UnmuteRequest,
    Muted,
    Removed,
    SpeakersChanged,
    ReactSum,
)
EVENTS: Final[dict[str, type[Body]]] = {body.event: body for body in (*FACTS, *PROJECTIONS)}
"""kind → the type of its body."""

FACT_KINDS: Final = frozenset(body.event for body in FACTS)
"""What a journal may hold."""


def to_record(event: Event) -> dict[str, Any]:
    """A fact as the journal's ``body``: ``{"p": fields, "by": …, "now": room time, "done"?: …}``.

    Kind, stream and stamp have columns of their own there. Values are JSON's.
    """
    record = {"p": msgspec.to_builtins(event.body), "by": event.by, "now": event.now}
    if event.done is not None:
        record["done"] = msgspec.to_builtins(event.done)
    return record


def from_record(kind: str, stream: str, at: str, record: dict[str, Any]) -> Event:
    """The fact that ``to_record`` was given.

    Raises:
        CorruptHistory: The kind is no fact, or the fields are not its fields.
    """
    if kind not in FACT_KINDS:
        raise CorruptHistory(f"{kind!r} is no fact of a room")
    try:
        body = msgspec.convert(record["p"], EVENTS[kind])
        done = msgspec.convert(record["done"], Done) if "done" in record else None
        return Event(kind, Stream(stream), "committed", record["now"], at, record["by"], body, done)
    except (KeyError, msgspec.ValidationError) as error:
        raise CorruptHistory(f"{kind!r} does not fold: {error}") from error
