"""What a client may ask: one frozen struct per method, limits in the types.

`METHODS` is the whole request half of the protocol; `signaling.outbound` holds the event half.
`docs/reference/protocol.md` prints the same fields, and a test compares them in both directions.
Unknown fields are refused, so that a misspelt field is an error and never a silent default.
What a request does is decided elsewhere: `signaling.requests` turns it into a command of
``rooms``, and the room decides.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from .errors import RequestError

PROTOCOL_VERSION: Final = 1
MAX_CHAT_BODY: Final = 5000
MAX_SDP: Final = 60_000

# NUL cannot be stored by PostgreSQL; the room cleans other control characters out of texts.
_TEXT: Final = r"^[^\x00]*\Z"
Name = Annotated[str, Meta(min_length=1, max_length=80, pattern=_TEXT)]
Id = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_:.-]+\Z")]
Ids = Annotated[tuple[Id, ...], Meta(max_length=500)]
Mid = Annotated[str, Meta(min_length=1, max_length=16, pattern=r"^[!-~]+\Z")]
Body = Annotated[str, Meta(min_length=1, max_length=MAX_CHAT_BODY, pattern=_TEXT)]
Notice = Annotated[str, Meta(min_length=1, max_length=500, pattern=_TEXT)]
Token = Annotated[str, Meta(min_length=1, max_length=2048, pattern=r"^[!-~]+\Z")]
Count = Annotated[int, Meta(ge=0, le=2**53)]
SourceName = Literal["mic", "camera", "screen"]


class Params(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of the parameters of every method."""


class Resume(Params, frozen=True, forbid_unknown_fields=True):
    """How to continue an earlier connection."""

    secret: Token
    streams: Annotated[dict[str, tuple[Count, Count]], Meta(max_length=16)]
    """Per stream: the epoch and the number of the last event that the client has applied."""


class Hello(Params, frozen=True, forbid_unknown_fields=True):
    """The first frame of every connection."""

    proto: Literal[1]
    token: Token | None = None
    """A one-time join token, from ``POST /m/{code}/join``."""
    name: Name | None = None
    resume: Resume | None = None
    """Instead of `token`: continue the connection that this secret came from."""
    client: Annotated[str, Meta(max_length=120, pattern=_TEXT)] | None = None
    """Free text for the server's log, such as ``web/1.0``."""


class Leave(Params, frozen=True, forbid_unknown_fields=True):
    """Leave the meeting; the connection is closed after the reply."""


class NameSet(Params, frozen=True, forbid_unknown_fields=True):
    """Change the own name."""

    name: Name


class LobbyAdmit(Params, frozen=True, forbid_unknown_fields=True):
    """Admit some who wait, or all who are on version `ver` of the list."""

    ids: Ids = ()
    all: bool = False
    ver: Count | None = None


class LobbyDeny(Params, frozen=True, forbid_unknown_fields=True):
    """Refuse some who wait."""

    ids: Ids
    ban: bool = False


class LobbySay(Params, frozen=True, forbid_unknown_fields=True):
    """A host writes to one or all who wait; one who waits writes to the hosts."""

    text: Notice
    to: Id | None = None


class RoleSet(Params, frozen=True, forbid_unknown_fields=True):
    """Give a participant another role."""

    who: Id
    role: Literal["cohost", "presenter", "participant", "observer"]


class Remove(Params, frozen=True, forbid_unknown_fields=True):
    """Remove a participant, for good with `ban`."""

    who: Id
    ban: bool = False


class RoomLock(Params, frozen=True, forbid_unknown_fields=True):
    """Nobody new comes in while the room is locked."""

    on: bool


class RoomPolicy(Params, frozen=True, forbid_unknown_fields=True):
    """Change some of the room's rules; absent members stay."""

    patch: Annotated[dict[str, Any], Meta(max_length=16)]


class RoomEnd(Params, frozen=True, forbid_unknown_fields=True):
    """End the meeting for all, after a grace in which it can be undone."""

    grace_s: Annotated[int, Meta(ge=0, le=10)] = 0


class RoomEndUndo(Params, frozen=True, forbid_unknown_fields=True):
    """Take the end back within its grace."""


class Mute(Params, frozen=True, forbid_unknown_fields=True):
    """Switch off a source of one participant, or of all but some."""

    source: SourceName
    who: Id | None = None
    all: bool = False
    except_: Ids = msgspec.field(name="except", default=())


class UnmuteAsk(Params, frozen=True, forbid_unknown_fields=True):
    """Ask somebody to unmute; only they can do it."""

    who: Id


class TrackSet(Params, frozen=True, forbid_unknown_fields=True):
    """The own source is on or off (absolute, never a toggle)."""

    source: SourceName
    on: bool


class HandSet(Params, frozen=True, forbid_unknown_fields=True):
    """Raise or lower the own hand."""

    up: bool


class HandLower(Params, frozen=True, forbid_unknown_fields=True):
    """A host lowers one hand, or all."""

    who: Id | None = None
    all: bool = False


class React(Params, frozen=True, forbid_unknown_fields=True):
    """A passing reaction; only sums are sent on."""

    emoji: Annotated[str, Meta(min_length=1, max_length=16, pattern=_TEXT)]


class ChatSend(Params, frozen=True, forbid_unknown_fields=True):
    """A message to all, or to one participant."""

    body: Body
    to: Id | None = None


class ChatPage(Params, frozen=True, forbid_unknown_fields=True):
    """Older messages that the asker may read, newest last."""

    n: Annotated[int, Meta(ge=1, le=100)] = 50
    before: Count | None = None


class TrackLabel(Params, frozen=True, forbid_unknown_fields=True):
    """Which section of the offer carries which source of the client."""

    mid: Mid
    source: SourceName


class SlotLabel(Params, frozen=True, forbid_unknown_fields=True):
    """Which section of the offer is a receive slot, and of what kind."""

    mid: Mid
    kind: Literal["audio", "video", "screen"]


class MediaOffer(Params, frozen=True, forbid_unknown_fields=True):
    """An SDP offer, plain or deflated; the answer comes in the same form."""

    sdp: Annotated[str, Meta(max_length=MAX_SDP, pattern=_TEXT)] | None = None
    sdp_z: Annotated[str, Meta(max_length=MAX_SDP, pattern=r"^[A-Za-z0-9+/=_-]*\Z")] | None = None
    """Base64 of the SDP in raw deflate (RFC 1951); at most 64 KiB inflated."""
    tracks: Annotated[tuple[TrackLabel, ...], Meta(max_length=8)] = ()
    slots: Annotated[tuple[SlotLabel, ...], Meta(max_length=64)] = ()


class MediaClose(Params, frozen=True, forbid_unknown_fields=True):
    """Close the media transport; the connection stays."""


class SlotSize(Params, frozen=True, forbid_unknown_fields=True):
    """How large a slot is drawn, in device pixels; 0 x 0 when it is not."""

    slot: Mid
    w: Annotated[int, Meta(ge=0, le=8192)]
    h: Annotated[int, Meta(ge=0, le=8192)]


class ViewSet(Params, frozen=True, forbid_unknown_fields=True):
    """What the client shows: the server fills its slots accordingly."""

    layout: Literal["grid", "speaker"]
    page: Annotated[int, Meta(ge=0, le=1000)] = 0
    pins: Annotated[tuple[Id, ...], Meta(max_length=9)] = ()
    slots: Annotated[tuple[SlotSize, ...], Meta(max_length=64)] = ()


METHODS: Final[Mapping[str, type[Params]]] = {
    "hello": Hello,
    "leave": Leave,
    "name.set": NameSet,
    "lobby.admit": LobbyAdmit,
    "lobby.deny": LobbyDeny,
    "lobby.say": LobbySay,
    "role.set": RoleSet,
    "remove": Remove,
    "room.lock": RoomLock,
    "room.policy": RoomPolicy,
    "room.end": RoomEnd,
    "room.end.undo": RoomEndUndo,
    "mute": Mute,
    "unmute.ask": UnmuteAsk,
    "track.set": TrackSet,
    "hand.set": HandSet,
    "hand.lower": HandLower,
    "react": React,
    "chat.send": ChatSend,
    "chat.page": ChatPage,
    "media.offer": MediaOffer,
    "media.close": MediaClose,
    "view.set": ViewSet,
}


def parse(method: str, params: dict[str, Any]) -> Params:
    """The typed parameters of a request.

    Raises:
        RequestError: ``unsupported`` for an unknown method, ``bad_request`` naming the field,
            ``too_large`` for a text over its limit.
    """
    struct = METHODS.get(method)
    if struct is None:
        raise RequestError("unsupported", f"no method {method!r}")
    try:
        return msgspec.convert(params, struct)
    except msgspec.ValidationError as error:
        code = "too_large" if "of length <=" in str(error) else "bad_request"
        raise RequestError(code, str(error)) from error
