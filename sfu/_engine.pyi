"""The compiled packet engine, as Python sees it (built from ``engine/python``).

The whole surface is two lists: commands going down (methods of `Engine`) and events coming
up (`Engine.drain`). No packet, RTP, RTCP or STUN byte crosses here. Every command returns at
once: ids, ICE credentials and SSRCs are made on the calling thread, the worker thread applies
the command between two batches of packets. A bad argument raises `ValueError`; an id that is
closed or unknown is ignored and counted (`stats()["stale_commands"]`), because the engine may
have closed the object while the command was on its way.

Ids are non-zero integers, unique for the life of the engine and never used again.
Rooms, transports, tracks and slots are separate id spaces.
"""

from collections.abc import Sequence
from typing import Final, Self, final

__all__ = [
    "DTLS_RECORD",
    "EVENTS_DROPPED",
    "KEYFRAME_FAILED",
    "PROFILE_AEAD_AES_128_GCM",
    "PROFILE_AEAD_AES_256_GCM",
    "PROFILE_AES128_CM_SHA1_80",
    "SLOT_BOUND",
    "SLOT_LAYER",
    "SOURCE_DIGEST",
    "SPEAKERS",
    "TRACK_LAYER",
    "TRANSPORT_STATE",
    "Engine",
    "WorkerDied",
]

SOURCE_DIGEST: Final[str]
"""SHA-256 over the Rust sources this module was built from; `sfu.native` refuses a stale one."""

# Event kinds: the first member of every tuple that `drain` returns.
TRANSPORT_STATE: Final[int]
"""(kind, transport, state): "new", "checking", "connected", "disconnected", "failed", "closed".

"connected": an authenticated ICE check came and SRTP keys are set. "disconnected": neither a valid
check nor an authentic packet for 5 s. "failed": no check for 30 s (RFC 7675 consent expired, nothing is sent any more
until `restart_ice` and a check with the new pair).
"""
DTLS_RECORD: Final[int]
"""(kind, transport, datagram: bytes): from the 5-tuple that last passed an authenticated check."""
SLOT_BOUND: Final[int]
"""(kind, slot, track, rtp_timestamp, binding): the first packet of `track` left on `slot`.

track 0 means: the slot is empty now. `binding` counts up per slot. Sent once per change, for
lanes that the engine binds itself (audio) and for explicit binds.
"""
SLOT_LAYER: Final[int]
"""(kind, slot, rid, width, height, reason): the layer that flows on the slot changed.

reason: "starting", "fit", "small_tile", "their_camera", "paused".
"""
TRACK_LAYER: Final[int]
"""(kind, track, rid, live: bool, width, height): a layer of a published track came or went."""
SPEAKERS: Final[int]
"""(kind, room, ((track, level_dbov), ...)): loudest first, only on change, at most 2 per second."""
KEYFRAME_FAILED: Final[int]
"""(kind, track, rid): four requests in a row brought no key frame."""
EVENTS_DROPPED: Final[int]
"""(kind, count): coalescable events lost to a full queue; state events are never dropped."""

PROFILE_AEAD_AES_128_GCM: Final[int]  # 0x0007, RFC 7714
PROFILE_AEAD_AES_256_GCM: Final[int]  # 0x0008
PROFILE_AES128_CM_SHA1_80: Final[int]  # 0x0001, RFC 5764

class WorkerDied(RuntimeError):
    """The worker ended without being told to: an error of the operating system, or a panic that
    was not one transport's. Its text says which."""

@final
class Engine:
    """One worker thread and one UDP port. Thread-safe; never calls back into Python."""

    def __new__(
        cls,
        *,
        host: str = "0.0.0.0",
        port: int = 0,
        seed: int | None = None,
    ) -> Self:
        """Bind the UDP port and start the worker.

        `seed` makes ids, ICE credentials, SSRCs and initial sequence numbers repeatable (tests);
        None takes them from the operating system. `host` may be an IPv4 or IPv6 address;
        "::" serves both families. Raises OSError when the port is taken.
        """

    @property
    def port(self) -> int: ...
    def fileno(self) -> int:
        """An eventfd: readable when `drain` has something. At most 200 wakes per second."""

    def drain(self, limit: int = 512) -> list[tuple[object, ...]]:
        """Take events. Raises WorkerDied at each call once a dead worker's last event is taken;
        the descriptor stays readable then."""

    def stats(self) -> dict[str, int]:
        """Counters of the worker: packets and bytes in and out, drops by reason, NACKs, PLIs,
        RTX sent, GSO segments and messages, calls made over this API (`api_calls`)."""

    def close(self) -> None:
        """Stop the worker and close the port. Twice is harmless."""

    # rooms: who may be heard by whom without an explicit bind
    def create_room(self) -> int: ...
    def close_room(self, room: int) -> None: ...
    def set_audio_policy(
        self, room: int, *, top_n: int = 3, pinned: Sequence[int] = ()
    ) -> None: ...

    # transports: ICE-lite + SRTP of one peer connection
    def create_transport(self, room: int) -> tuple[int, str, str]:
        """(transport, ice_ufrag, ice_pwd). Nothing is sent before an authenticated check."""

    def restart_ice(self, transport: int) -> tuple[str, str]:
        """New (ufrag, pwd). The old pair stays valid for 30 s or until the first new check."""

    def set_keys(
        self,
        transport: int,
        profile: int,
        local_key: bytes,
        local_salt: bytes,
        remote_key: bytes,
        remote_salt: bytes,
    ) -> None:
        """SRTP master keys exported from DTLS (RFC 5764 section 4.2)."""

    def send_dtls(self, transport: int, datagram: bytes) -> None: ...
    def close_transport(self, transport: int) -> None: ...
    def transport_stats(self, transport: int) -> dict[str, int]:
        """rtt_ms, packets, bytes and losses each way, address migrations, drops by reason."""

    # tracks: what the peer publishes on a transport
    def add_track(
        self,
        transport: int,
        kind: str,
        *,
        mid: str,
        codecs: Sequence[tuple[int, str, int, int]],
        extensions: Sequence[tuple[int, str]],
        rids: Sequence[str] = (),
        ssrcs: Sequence[tuple[int, int]] = (),
    ) -> int:
        """Accept one m-section of the peer.

        kind: "audio" | "video" | "screen". codecs: (payload type, name, clock rate, rtx payload
        type or 0), name in "opus", "vp8", "h264". extensions: (id, uri), RFC 8285. rids: RFC 8851,
        largest first. ssrcs: (ssrc, rtx ssrc or 0) when the peer signalled them; others are
        learned from MID and RID once their packets have authenticated.
        """

    def pause_track(self, track: int, paused: bool) -> None:
        """A paused track is dropped at the door: nobody receives it, no lane opens for it."""

    def request_keyframe(self, track: int, rid: str = "") -> None: ...
    def remove_track(self, track: int) -> None: ...
    def track_stats(self, track: int) -> dict[str, int]: ...

    # slots: what the peer receives on a transport
    def add_slot(
        self,
        transport: int,
        kind: str,
        *,
        mid: str,
        codecs: Sequence[tuple[int, str, int, int]],
        extensions: Sequence[tuple[int, str]],
        auto: bool = False,
    ) -> tuple[int, int, int, str]:
        """(slot, ssrc, rtx ssrc or 0, cname), alive as long as the slot.

        The cname names both SSRCs in source descriptions, and belongs to this slot alone.

        auto (audio only): a lane that the engine binds to one of the room's loudest tracks, never
        to the transport's own.
        """

    def bind_slot(self, slot: int, track: int) -> None:
        """Show `track` on the slot from its next key frame on; 0 empties it."""

    def set_slot_size(self, slot: int, width: int, height: int) -> None:
        """Pixels the slot is drawn with; 0 x 0 pauses it. Chooses the simulcast layer."""

    def pause_slot(self, slot: int, paused: bool) -> None: ...
    def remove_slot(self, slot: int) -> None: ...
    def slot_stats(self, slot: int) -> dict[str, int]: ...
