"""Everything that a room can be told: what participants ask, and what the shell reports.

A participant's wish is an ``Action`` (its struct is the ``p`` of the request frame, its
``method`` the ``m``) inside a ``Request`` that says who asks, over which connection and under
which request id. Everything else is an input of the shell: somebody came, a connection went.
All values are absolute (``on: true``), never toggles, so that a repeat is harmless.
``rooms.room`` decides; ``rooms.events`` says what then happened.
"""

from typing import Annotated, ClassVar, Final

from msgspec import Meta, Struct

from .ids import ConnEpoch, Identity, LinkId, MessageId, ParticipantId, RequestId
from .limits import NAME
from .policy import IdentityKind, Kind, PolicyPatch, Right, Role, Source

Name = Annotated[str, Meta(min_length=1, max_length=NAME)]
Text = Annotated[str, Meta(max_length=65536)]
Who = Annotated[ParticipantId, Meta(min_length=1, max_length=64)]
WhoList = Annotated[list[Who], Meta(max_length=500)]


class Action(Struct, frozen=True, forbid_unknown_fields=True):
    """A participant's wish; subclasses carry the fields, ``method`` is its name on the wire."""

    method: ClassVar[str]


class Leave(Action, frozen=True, forbid_unknown_fields=True):
    """Go on purpose: the seat and the hand are freed at once, the admission is kept."""

    method: ClassVar[str] = "leave"


class NameSet(Action, frozen=True, forbid_unknown_fields=True):
    """Change the own display name; waiting people may, too."""

    method: ClassVar[str] = "name.set"
    name: Name


class LobbyAdmit(Action, frozen=True, forbid_unknown_fields=True):
    """Let waiting people in: these, or all that the list held at version ``ver``."""

    method: ClassVar[str] = "lobby.admit"
    ids: WhoList | None = None
    all: bool = False
    ver: int | None = None


class LobbyDeny(Action, frozen=True, forbid_unknown_fields=True):
    """Turn waiting people away; with ``ban`` for the whole sitting."""

    method: ClassVar[str] = "lobby.deny"
    ids: WhoList
    ban: bool = False


class LobbyBack(Action, frozen=True, forbid_unknown_fields=True):
    """Send somebody who is in back to the waiting room."""

    method: ClassVar[str] = "lobby.back"
    who: Who


class LobbySay(Action, frozen=True, forbid_unknown_fields=True):
    """Write through the door: a host to one or all who wait, a waiting person to the hosts."""

    method: ClassVar[str] = "lobby.say"
    text: Text
    to: Who | None = None


class RoleSet(Action, frozen=True, forbid_unknown_fields=True):
    """Give a role. ``host`` hands the meeting over; its first host may take it back so."""

    method: ClassVar[str] = "role.set"
    who: Who
    role: Role


class Remove(Action, frozen=True, forbid_unknown_fields=True):
    """Put somebody out; the admission is revoked, with ``ban`` they cannot come back."""

    method: ClassVar[str] = "remove"
    who: Who
    ban: bool = False


class RoomLock(Action, frozen=True, forbid_unknown_fields=True):
    """Let nobody new in (or again)."""

    method: ClassVar[str] = "room.lock"
    on: bool


class RoomPolicy(Action, frozen=True, forbid_unknown_fields=True):
    """Change policy and features; takes effect on everybody in the same step."""

    method: ClassVar[str] = "room.policy"
    patch: PolicyPatch


class RoomEnd(Action, frozen=True, forbid_unknown_fields=True):
    """End the meeting for all, at once or after ``grace_s`` in which it can be undone."""

    method: ClassVar[str] = "room.end"
    grace_s: Annotated[float, Meta(ge=0, le=10)] = 0.0


class RoomEndUndo(Action, frozen=True, forbid_unknown_fields=True):
    """Take the end back within its grace."""

    method: ClassVar[str] = "room.end.undo"


class Mute(Action, frozen=True, forbid_unknown_fields=True, rename={"except_": "except"}):
    """Stop somebody's source, or everybody's but ``except``; hosts are not muted by ``all``."""

    method: ClassVar[str] = "mute"
    source: Source
    who: Who | None = None
    all: bool = False
    except_: WhoList = []


class UnmuteAsk(Action, frozen=True, forbid_unknown_fields=True):
    """Ask somebody to unmute the microphone; it is also their grant to do so."""

    method: ClassVar[str] = "unmute.ask"
    who: Who


class PermSet(Action, frozen=True, forbid_unknown_fields=True):
    """Grant or revoke one person's right to publish a source, whatever the policy says."""

    method: ClassVar[str] = "perm.set"
    who: Who
    source: Source
    on: bool


class TrackSet(Action, frozen=True, forbid_unknown_fields=True):
    """Turn an own source on or off."""

    method: ClassVar[str] = "track.set"
    source: Source
    on: bool


class HandSet(Action, frozen=True, forbid_unknown_fields=True):
    """Raise or lower the own hand."""

    method: ClassVar[str] = "hand.set"
    up: bool


class HandLower(Action, frozen=True, forbid_unknown_fields=True):
    """Lower somebody's hand, or all that were up at ``upto`` (a ``rev`` of ``hands``)."""

    method: ClassVar[str] = "hand.lower"
    who: Who | None = None
    all: bool = False
    upto: int | None = None


class React(Action, frozen=True, forbid_unknown_fields=True):
    """Send a reaction; it is counted, not stored."""

    method: ClassVar[str] = "react"
    emoji: Annotated[str, Meta(min_length=1, max_length=16)]


class ChatSend(Action, frozen=True, forbid_unknown_fields=True):
    """Write to everybody, or to one participant with ``to``."""

    method: ClassVar[str] = "chat.send"
    body: Text
    to: Who | None = None


class ChatEdit(Action, frozen=True, forbid_unknown_fields=True):
    """Change the body of an own message within 15 minutes."""

    method: ClassVar[str] = "chat.edit"
    id: MessageId
    body: Text


class ChatDelete(Action, frozen=True, forbid_unknown_fields=True):
    """Delete an own message, or as a host any public one; its id and number stay."""

    method: ClassVar[str] = "chat.delete"
    id: MessageId


class ChatPage(Action, frozen=True, forbid_unknown_fields=True):
    """Read up to ``n`` visible messages with a number below ``before``, newest last."""

    method: ClassVar[str] = "chat.page"
    before: int | None = None
    n: Annotated[int, Meta(ge=1, le=100)] = 50


ACTIONS: Final[dict[str, type[Action]]] = {
    action.method: action
    for action in (
        Leave,
        NameSet,
        LobbyAdmit,
        LobbyDeny,
        LobbyBack,
        LobbySay,
        RoleSet,
        Remove,
        RoomLock,
        RoomPolicy,
        RoomEnd,
        RoomEndUndo,
        Mute,
        UnmuteAsk,
        PermSet,
        TrackSet,
        HandSet,
        HandLower,
        React,
        ChatSend,
        ChatEdit,
        ChatDelete,
        ChatPage,
    )
}
"""method → the struct of its ``p``."""


class Request(Struct, frozen=True):
    """A participant's action, as the shell received it.

    Attributes:
        by: Who asks; authenticated by the shell.
        conn_epoch: Over which of their connections; a superseded one gets ``stale_epoch``.
        id: The client's request id; the same id by the same identity gets the stored answer.
        action: What is asked.
        if_rev: The revision of the room that the client saw, for ``room.lock`` and
            ``room.policy``; another one gets ``conflict``.
    """

    by: ParticipantId
    conn_epoch: ConnEpoch
    id: RequestId
    action: Action
    if_rev: int | None = None


class Enter(Struct, frozen=True):
    """Somebody with a good token stands at the door, or is back.

    The same identity keeps its row and its admission; an older connection of it is superseded.

    Attributes:
        identity: Unique per room; the room trusts the shell for it.
        identity_kind: Where it comes from.
        name: Display name, used when the row is new or the name differs.
        role: The role that the link or token gives.
        verified: Whether the name belongs to somebody who signed in or was invited by name.
        lobby: False when the link lets its bearer pass the waiting room.
        link: The link used; banning a person bans their link with them.
        kind: What it is; only persons wait and take seats.
        hidden: Not in the roster; for services only.
        deny: Rights that this token never has, whatever the role: the per-participant mask.
        attributes: Free text pairs for services and the CRM, shown to nobody by the room.
    """

    identity: Identity
    identity_kind: IdentityKind
    name: Name
    role: Role = Role.PARTICIPANT
    verified: bool = False
    lobby: bool = True
    link: LinkId | None = None
    kind: Kind = Kind.PERSON
    hidden: bool = False
    deny: list[Right] = []
    attributes: dict[str, str] = {}


class Resume(Struct, frozen=True):
    """A known participant is back over a new connection (proved by a resume secret)."""

    participant: ParticipantId


class Arrived(Struct, frozen=True):
    """A sign of life after admission: the first frame from the client since its snapshot."""

    participant: ParticipantId
    conn_epoch: ConnEpoch


class Disconnected(Struct, frozen=True):
    """A connection is gone; ignored unless it is the participant's newest."""

    participant: ParticipantId
    conn_epoch: ConnEpoch


class Speakers(Struct, frozen=True):
    """Who speaks now, loudest first, as the media engine says (at most twice a second)."""

    participants: list[ParticipantId]


class Rescheduled(Struct, frozen=True):
    """The appointment has new times (room time)."""

    starts_at: float | None
    ends_at: float | None


class Cancelled(Struct, frozen=True):
    """The appointment was cancelled; refused once the meeting is live."""


class LinksClosed(Struct, frozen=True):
    """Whoever these links were made for is not expected any more: nobody is here by them."""

    links: tuple[LinkId, ...]


class LinksVoided(Struct, frozen=True):
    """Other links were made in place of these: nobody waits by them; who was let in stays."""

    links: tuple[LinkId, ...]


class Finish(Struct, frozen=True):
    """The shell ends the meeting at once: an operator, the CRM, a deleted room."""

    reason: str = "operator"


class Restarted(Struct, frozen=True):
    """The room was restored on a fresh node: every connection it believed in is gone.

    ``lost_at`` is the room time until which the old node is known to have lived (its lease, say);
    attendance of those who do not come back ends then. None: at the newest fact, which may be
    long before. Everybody has the whole window to come back, from now.
    """

    lost_at: float | None = None


Input = (
    Request
    | Enter
    | Resume
    | Arrived
    | Disconnected
    | Speakers
    | Rescheduled
    | Cancelled
    | LinksClosed
    | LinksVoided
    | Finish
    | Restarted
)
"""What ``Room.handle`` takes."""


class Entered(Struct, frozen=True):
    """The answer to ``Enter`` and ``Resume``: what the shell's hello reply is made from.

    Attributes:
        participant: The row.
        conn_epoch: The number of this connection; goes into every later input of it.
        role: The role now.
        state: ``waiting`` or ``active``.
        place: Place in the queue, from 1, for a waiting person.
        new: Whether the row was made by this.
    """

    participant: ParticipantId
    conn_epoch: ConnEpoch
    role: Role
    state: str
    place: int | None = None
    new: bool = False
