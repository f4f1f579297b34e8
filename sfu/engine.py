"""The Engine port: what the packet engine is asked, and what it tells.

`Engine` mirrors the compiled module (`_engine.pyi`) method by method, with structs in place of
tuples; its docstrings there are the semantics and are not repeated here. Commands return at
once and never raise for an id that is gone. Events are a tagged union of frozen structs.
`sfu.native` is the real engine behind this port, `tests/support/fake_engine.py` the one for
tests; both obey one contract class. No packet, RTP, RTCP or STUN byte crosses the port; a DTLS
datagram does, because DTLS lives in Python (`sfu.dtls`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, Protocol, TypeAlias

MediaKind: TypeAlias = Literal["audio", "video", "screen"]
TransportStateName: TypeAlias = Literal[
    "new", "checking", "connected", "disconnected", "failed", "closed"
]
LayerReason: TypeAlias = Literal["starting", "fit", "small_tile", "their_camera", "paused"]


class SRTPProfile(IntEnum):
    """DTLS-SRTP protection profiles by their IANA number (RFC 5764, RFC 7714)."""

    AES128_CM_SHA1_80 = 0x0001
    AEAD_AES_128_GCM = 0x0007
    AEAD_AES_256_GCM = 0x0008


# ---------------------------------------------------------------- parameters, going down


@dataclass(frozen=True, slots=True)
class Codec:
    """One payload type of an m-section.

    Attributes:
        payload_type: 0 to 127, as the offer numbered it.
        name: "opus", "vp8" or "h264".
        clock_rate: In Hz.
        rtx_payload_type: The retransmission format that names this one by apt, or 0 (RFC 4588).
    """

    payload_type: int
    name: str
    clock_rate: int
    rtx_payload_type: int = 0


@dataclass(frozen=True, slots=True)
class Extension:
    """One RTP header extension of an m-section (RFC 8285): its id on the wire and its URI."""

    id: int
    uri: str


@dataclass(frozen=True, slots=True)
class TrackParams:
    """What a peer sends in one m-section.

    Attributes:
        kind: "audio", "video" or "screen".
        mid: RFC 5888.
        codecs: In the peer's order of preference.
        extensions: Those that both sides know.
        rids: Simulcast layers, largest first (RFC 8851, RFC 8853), at most four; empty without
            simulcast.
        ssrcs: (ssrc, rtx ssrc or 0) when the peer signalled them; at most four.
    """

    kind: MediaKind
    mid: str
    codecs: tuple[Codec, ...]
    extensions: tuple[Extension, ...] = ()
    rids: tuple[str, ...] = ()
    ssrcs: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class SlotParams:
    """What a peer receives in one m-section.

    Attributes:
        kind: "audio", "video" or "screen".
        mid: RFC 5888.
        codecs: In the peer's order of preference.
        extensions: Those that both sides know.
        auto: Audio only: a lane that the engine binds by itself to the loudest tracks.
    """

    kind: MediaKind
    mid: str
    codecs: tuple[Codec, ...]
    extensions: tuple[Extension, ...] = ()
    auto: bool = False


@dataclass(frozen=True, slots=True)
class SlotIds:
    """What `add_slot` returns; all live as long as the slot (rtx_ssrc 0: no RTX).

    The canonical name of both SSRCs is random (RFC 7022), and one slot's alone: a common name would
    say that what different people send shares a clock (RFC 3550 section 6.5.1).
    """

    slot: int
    ssrc: int
    rtx_ssrc: int
    cname: str


@dataclass(frozen=True, slots=True)
class ICECredentials:
    """Our side's ufrag and password (RFC 8839 section 5.4)."""

    ufrag: str
    pwd: str


@dataclass(frozen=True, slots=True)
class SRTPKeys:
    """SRTP master keys and salts exported from DTLS (RFC 5764 section 4.2)."""

    profile: SRTPProfile
    local_key: bytes
    local_salt: bytes
    remote_key: bytes
    remote_salt: bytes

    def __repr__(self) -> str:
        """Name the profile alone: keys belong in no log."""
        return f"SRTPKeys({self.profile.name})"


# ---------------------------------------------------------------- events, coming up


@dataclass(frozen=True, slots=True)
class TransportState:
    """ICE and SRTP state of a transport; "connected" means checked and keyed."""

    transport: int
    state: TransportStateName


@dataclass(frozen=True, slots=True)
class DtlsRecord:
    """A DTLS datagram from the address that last passed an authenticated ICE check."""

    transport: int
    datagram: bytes


@dataclass(frozen=True, slots=True)
class SlotBound:
    """The first packet of `track` left on `slot` with this RTP timestamp; track 0: empty now.

    `binding` counts up per slot, so that a late event can be told from a new one.
    """

    slot: int
    track: int
    rtp_timestamp: int
    binding: int


@dataclass(frozen=True, slots=True)
class SlotLayer:
    """The layer that flows on a slot changed, in pixels, and why it is this one."""

    slot: int
    rid: str
    width: int
    height: int
    reason: LayerReason


@dataclass(frozen=True, slots=True)
class TrackLayer:
    """A layer of a published track came (`live`) or went."""

    track: int
    rid: str
    live: bool
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Speakers:
    """The room's speaking tracks with their level in dBov (0 is loudest), loudest first."""

    room: int
    levels: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class KeyframeFailed:
    """Four requests in a row brought no key frame from a track's layer."""

    track: int
    rid: str


@dataclass(frozen=True, slots=True)
class EventsDropped:
    """So many coalescable events were lost to a full queue since the last report."""

    count: int


@dataclass(frozen=True, slots=True)
class EngineDied:
    """The worker ended without being told to, and why: the last event, no packet moves any more."""

    reason: str


Event: TypeAlias = (
    TransportState
    | DtlsRecord
    | SlotBound
    | SlotLayer
    | TrackLayer
    | Speakers
    | KeyframeFailed
    | EventsDropped
    | EngineDied
)
EventHandler: TypeAlias = Callable[[Event], None]


# ---------------------------------------------------------------- the port


class Engine(Protocol):
    """One worker thread and one UDP port; see `_engine.pyi` for what each method does."""

    @property
    def port(self) -> int:
        """The UDP port that media arrives on."""

    def start(self, handler: EventHandler) -> None:
        """Deliver every event to `handler`, on the running event loop. Once only."""

    def close(self) -> None:
        """Stop. Twice is harmless; no event is delivered afterwards."""

    def stats(self) -> dict[str, int]:
        """Counters of the worker, by name."""

    def create_room(self) -> int:
        """Return a new room id."""

    def close_room(self, room: int) -> None:
        """Close a room and every transport in it."""

    def set_audio_policy(self, room: int, *, top_n: int = 3, pinned: Sequence[int] = ()) -> None:
        """Say how many of the loudest tracks are heard, and which always are."""

    def create_transport(self, room: int) -> tuple[int, ICECredentials]:
        """Return a new transport id and its ICE credentials."""

    def restart_ice(self, transport: int) -> ICECredentials:
        """Return new credentials (RFC 8445 section 9)."""

    def set_keys(self, transport: int, keys: SRTPKeys) -> None:
        """Hand down the SRTP master keys."""

    def send_dtls(self, transport: int, datagram: bytes) -> None:
        """Send one DTLS datagram to the checked address."""

    def close_transport(self, transport: int) -> None:
        """Close a transport with its tracks and slots."""

    def transport_stats(self, transport: int) -> dict[str, int]:
        """Counters of one transport; empty when it is gone."""

    def add_track(self, transport: int, params: TrackParams) -> int:
        """Accept one m-section of the peer; return the track id."""

    def pause_track(self, track: int, paused: bool) -> None:
        """Drop a track's packets at the door, or let them in again."""

    def request_keyframe(self, track: int, rid: str = "") -> None:
        """Ask a track, or one layer of it, for a key frame."""

    def remove_track(self, track: int) -> None:
        """Forget a track; slots that showed it become empty."""

    def track_stats(self, track: int) -> dict[str, int]:
        """Counters of one track; empty when it is gone."""

    def add_slot(self, transport: int, params: SlotParams) -> SlotIds:
        """Make a slot and return its ids."""

    def bind_slot(self, slot: int, track: int) -> None:
        """Show `track` from its next key frame on; 0 empties the slot."""

    def set_slot_size(self, slot: int, width: int, height: int) -> None:
        """Pixels the slot is drawn with; 0 x 0 pauses it."""

    def pause_slot(self, slot: int, paused: bool) -> None:
        """Stop or resume what leaves on a slot."""

    def remove_slot(self, slot: int) -> None:
        """Forget a slot."""

    def slot_stats(self, slot: int) -> dict[str, int]:
        """Counters of one slot; empty when it is gone."""
