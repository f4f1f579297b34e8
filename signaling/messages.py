"""Every client and server message: two tables of structs, `METHODS` and `EVENTS`.

What the meeting itself can be asked, and what it tells, is declared in ``rooms.commands`` and
``rooms.events`` and used as it stands; here are the messages of the shell round it: hello, media,
view, resume, closing. Unknown fields of a request are refused, so that a misspelt field is an
error and never a silent default; unknown events are ignored by clients.
`docs/reference/protocol.md` prints every field, and a test compares both in both directions.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec
from msgspec import Meta, Struct

from rooms.commands import ACTIONS, Action, Name, Who
from rooms.events import EVENTS as ROOM_EVENTS
from rooms.events import FACTS, Body
from rooms.limits import CHAT_BODY
from rooms.policy import Source
from rooms.snapshot import Snapshot, WaitingSnapshot, to_wire

from .envelope import MAX_FRAME
from .errors import RequestError

MAX_SDP: Final = 60_000
"""Characters of a plain or deflated SDP in a frame."""

Mid = Annotated[str, Meta(min_length=1, max_length=16, pattern=r"^[!-~]+\Z")]
Token = Annotated[str, Meta(min_length=1, max_length=2048, pattern=r"^[!-~]+\Z")]
Sequence = Annotated[int, Meta(ge=0, le=2**53)]


class Resume(Struct, frozen=True, forbid_unknown_fields=True):
    """How to continue an earlier connection.

    Attributes:
        secret: From the ``resume`` of the last hello's reply; good until the next hello.
        streams: Per stream, the epoch and the number of the last event that was applied.
    """

    secret: Token
    streams: Annotated[dict[str, tuple[Sequence, Sequence]], Meta(max_length=16)] = {}


class Hello(Action, frozen=True, forbid_unknown_fields=True):
    """The first frame of a connection, with either a token or a resume.

    Attributes:
        proto: The version of this protocol.
        token: A one-time join token, from ``POST /m/{code}/join``.
        name: The display name; needed where the link carries none.
        resume: Continue the connection that this secret came from.
        client: Name and version of the client, for the server's log.
    """

    method: ClassVar[str] = "hello"
    proto: Literal[1]
    token: Token | None = None
    name: Name | None = None
    resume: Resume | None = None
    client: Annotated[str, Meta(max_length=120)] | None = None


class TrackLabel(Struct, frozen=True, forbid_unknown_fields=True):
    """The section of the offer, by its mid, that carries this source of the client."""

    mid: Mid
    source: Source


class SlotLabel(Struct, frozen=True, forbid_unknown_fields=True):
    """The section of the offer, by its mid, that is a receive slot of this kind."""

    mid: Mid
    kind: Literal["audio", "video", "screen"]


class MediaOffer(Action, frozen=True, forbid_unknown_fields=True):
    """An SDP offer, plain or deflated; the answer comes in the same form.

    Attributes:
        sdp: The offer as text; exactly one of ``sdp`` and ``sdp_z`` is given.
        sdp_z: Base64 of the offer in raw deflate (RFC 1951), at most 64 KiB inflated.
        tracks: What the client sends, by section.
        slots: Where the client receives, by section.
    """

    method: ClassVar[str] = "media.offer"
    sdp: Annotated[str, Meta(max_length=MAX_SDP)] | None = None
    sdp_z: Annotated[str, Meta(max_length=MAX_SDP, pattern=r"^[A-Za-z0-9+/]*={0,2}\Z")] | None = (
        None
    )
    tracks: Annotated[list[TrackLabel], Meta(max_length=8)] = []
    slots: Annotated[list[SlotLabel], Meta(max_length=64)] = []


class MediaClose(Action, frozen=True, forbid_unknown_fields=True):
    """Close the media transport; the WebSocket stays."""

    method: ClassVar[str] = "media.close"


class SlotSize(Struct, frozen=True, forbid_unknown_fields=True):
    """How large a slot is drawn, in device pixels; 0 x 0 when it is not."""

    slot: Mid
    w: Annotated[int, Meta(ge=0, le=8192)]
    h: Annotated[int, Meta(ge=0, le=8192)]


class ViewSet(Action, frozen=True, forbid_unknown_fields=True):
    """What the client shows; the server binds its video slots accordingly.

    Attributes:
        layout: All alike, or one large.
        page: Which page of the grid, from 0.
        pins: Participants to show whatever else happens.
        slots: The sizes of the slots; a slot that is not named keeps its size.
    """

    method: ClassVar[str] = "view.set"
    layout: Literal["grid", "speaker"]
    page: Annotated[int, Meta(ge=0, le=1000)] = 0
    pins: Annotated[list[Who], Meta(max_length=9)] = []
    slots: Annotated[list[SlotSize], Meta(max_length=64)] = []


SHELL_METHODS: Final[tuple[type[Action], ...]] = (Hello, MediaOffer, MediaClose, ViewSet)
METHODS: Final[Mapping[str, type[Action]]] = {
    **{action.method: action for action in SHELL_METHODS},
    **ACTIONS,
}
"""method → the struct of its ``p``."""


class Limits(Struct, frozen=True):
    """What the server accepts.

    Attributes:
        frame: Bytes of one frame.
        chat: Characters of a chat message.
        video_slots: Video slots of one transport.
        audio_slots: Audio slots of one transport.
    """

    frame: int
    chat: int
    video_slots: int
    audio_slots: int


LIMITS: Final = Limits(frame=MAX_FRAME, chat=CHAT_BODY, video_slots=25, audio_slots=3)


class ResumeSecret(Struct, frozen=True):
    """The secret for the next hello of this client."""

    secret: str


class HelloReply(Struct, frozen=True):
    """The answer to hello.

    Attributes:
        participant: The own id in the room.
        role: The own role now.
        state: ``waiting``, or a state of somebody who is in.
        epoch: The room's epoch; sequence numbers are of this epoch.
        resume: What the next hello needs.
        resumed: True: missed events follow, then ``resumed``; false: ``snapshot`` follows.
        limits: What the server accepts.
        now: The server's clock.
    """

    participant: str
    role: str
    state: str
    epoch: int
    resume: ResumeSecret
    resumed: bool
    limits: Limits
    now: str


class SdpAnswer(Struct, frozen=True, omit_defaults=True):
    """The answer to ``media.offer``, in the form of the offer.

    Attributes:
        sdp: The answer as text.
        sdp_z: Base64 of the answer in raw deflate.
    """

    sdp: str | None = None
    sdp_z: str | None = None


class Resumed(Body, frozen=True):
    """Everything missed was sent; what follows is new."""

    event: ClassVar[str] = "resumed"


class SlotBind(Body, frozen=True):
    """A slot shows another track from this packet on.

    Attributes:
        slot: The mid of the slot.
        who: The participant, or null when the slot is empty now.
        source: Their source, or null.
        binding: Rises with each change of the slot, over all peer connections of a participant.
        rtp: The RTP timestamp of the first packet, as the client receives it.
    """

    event: ClassVar[str] = "slot.bind"

    slot: str
    who: str | None
    source: Source | None
    binding: int
    rtp: int | None


class SlotWhy(Body, frozen=True):
    """Why a slot shows nothing, or less than it could.

    Attributes:
        slot: The mid of the slot.
        reason: A word of the closed list in the protocol document.
    """

    event: ClassVar[str] = "slot.why"

    slot: str
    reason: str


class Superseded(Body, frozen=True):
    """A newer connection of the same participant took over; do not reconnect."""

    event: ClassVar[str] = "superseded"


class Ended(Body, frozen=True):
    """The meeting is over for this connection.

    Attributes:
        reason: As in ``room.ended``.
    """

    event: ClassVar[str] = "ended"

    reason: str


class Draining(Body, frozen=True):
    """The server goes away; connect again after this time.

    Attributes:
        reconnect_in_ms: Random per client, so that they do not come all at once.
    """

    event: ClassVar[str] = "draining"

    reconnect_in_ms: int


SHELL_EVENTS: Final[tuple[type[Body], ...]] = (
    Resumed,
    SlotBind,
    SlotWhy,
    Superseded,
    Ended,
    Draining,
)
_JOURNAL_ONLY: Final = frozenset(
    body.event
    for body in FACTS
    if body.event.startswith(("participant.", "interval.", "link."))
    or body.event in {"room.opened", "track.state", "room.rescheduled"}
)
EVENTS: Final[Mapping[str, type[Body]]] = {
    **{body.event: body for body in SHELL_EVENTS},
    **{kind: body for kind, body in ROOM_EVENTS.items() if kind not in _JOURNAL_ONLY},
}
"""type → the struct of its ``p``; ``snapshot`` is beside them, as it depends on who gets it."""


SNAPSHOT: Final = "snapshot"
"""The event that replaces everything a client knew."""


def snapshot_body(
    snapshot: Snapshot | WaitingSnapshot, positions: Mapping[str, tuple[int, int]]
) -> dict[str, Any]:
    """The ``p`` of a ``snapshot`` event: what the room tells, and where the streams stand.

    Somebody who waits gets the members of ``lobby.state`` beside the others, as ``lobby`` is the
    hosts' queue.
    """
    body = to_wire(snapshot)
    if isinstance(snapshot, WaitingSnapshot):
        body.update(body.pop("lobby"))
    return {**body, "positions": positions}


def parse(method: str, params: dict[str, Any]) -> Action:
    """The typed parameters of a request.

    Raises:
        RequestError: ``unsupported`` for an unknown method, ``too_large`` for a text over its
            limit, else ``bad_request``; the detail names the field.
    """
    struct = METHODS.get(method)
    if struct is None:
        raise RequestError("unsupported", f"no method {method!r}")
    try:
        return msgspec.convert(params, struct)
    except msgspec.ValidationError as error:
        code = "too_large" if "of length <=" in str(error) else "bad_request"
        raise RequestError(code, str(error)) from error
