"""The Engine port over the compiled module: the one door to `sfu._engine`.

It converts structs to tuples and back, checks that the compiled module belongs to the Rust
sources beside it, and drains events on the event loop when the engine's descriptor is readable.
One handler gets every event, in order, and must not block; what it raises is our bug and is
logged with the event's kind. It decides nothing; see `sfu.media` for who listens.
"""

import asyncio
import hashlib
import logging
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from . import _engine
from .engine import (
    DtlsRecord,
    EngineDied,
    Event,
    EventHandler,
    EventsDropped,
    ICECredentials,
    KeyframeFailed,
    SlotBound,
    SlotIds,
    SlotLayer,
    SlotParams,
    Speakers,
    SRTPKeys,
    SRTPProfile,
    TrackLayer,
    TrackParams,
    TransportState,
)
from .errors import PortTakenError, StaleEngineError

DRAIN_BATCH = 512
"""Events taken in one turn of the loop; the rest waits for the next, so that timers run."""

_SOURCES = pathlib.Path(__file__).resolve().parent.parent / "engine"
_PROFILES = {
    SRTPProfile.AEAD_AES_128_GCM: _engine.PROFILE_AEAD_AES_128_GCM,
    SRTPProfile.AEAD_AES_256_GCM: _engine.PROFILE_AEAD_AES_256_GCM,
    SRTPProfile.AES128_CM_SHA1_80: _engine.PROFILE_AES128_CM_SHA1_80,
}
_DECODERS: dict[int, Callable[..., Event]] = {
    _engine.TRANSPORT_STATE: TransportState,
    _engine.DTLS_RECORD: DtlsRecord,
    _engine.SLOT_BOUND: SlotBound,
    _engine.SLOT_LAYER: SlotLayer,
    _engine.TRACK_LAYER: TrackLayer,
    _engine.SPEAKERS: Speakers,
    _engine.KEYFRAME_FAILED: KeyframeFailed,
    _engine.EVENTS_DROPPED: EventsDropped,
}
_logger = logging.getLogger(__name__)


class NativeEngine:
    """The compiled engine behind the port; bind it before the loop runs, `start` it on the loop.

    Args:
        host: Address to bind; "::" serves both families.
        port: UDP port; 0 takes a free one.
        seed: Makes ids, credentials and SSRCs repeatable; for tests only.

    Raises:
        StaleEngineError: The module was built from other sources than those beside it.
        PortTakenError: The port cannot be bound.
    """

    def __init__(self, *, host: str = "0.0.0.0", port: int = 0, seed: int | None = None) -> None:
        check_digest(_engine.SOURCE_DIGEST, _SOURCES)
        try:
            self._engine = _engine.Engine(host=host, port=port, seed=seed)
        except OSError as error:
            raise PortTakenError(
                f"cannot bind media port UDP {host}:{port}: {error.strerror or error}"
            ) from None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handler: EventHandler | None = None
        self._closed = False

    @property
    def port(self) -> int:
        """See the port."""
        return self._engine.port

    def start(self, handler: EventHandler) -> None:
        """Deliver events to `handler` on the running loop from now on."""
        if self._handler is not None:
            raise RuntimeError("the engine was started twice")
        self._handler = handler
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._engine.fileno(), self._drain)

    def close(self) -> None:
        """Stop listening and stop the worker."""
        if self._closed:
            return
        self._closed = True
        self._stop_listening()
        self._engine.close()

    def stats(self) -> dict[str, int]:
        """See the port."""
        return self._engine.stats()

    # ---------------------------------------------------------------- events

    def _drain(self) -> None:
        """Take one batch of events; the engine wakes us again when it has more."""
        try:
            batch = self._engine.drain(DRAIN_BATCH)
        except _engine.WorkerDied as death:
            self._stop_listening()  # its descriptor stays readable for ever
            _logger.critical("the packet engine has died: %s", death)
            self._deliver(EngineDied(str(death)))
            return
        for kind, *fields in batch:
            event = decode(kind, fields)
            if isinstance(event, EventsDropped):
                _logger.warning("the engine's event queue was full: %d events lost", event.count)
            self._deliver(event)
            if self._closed:
                return

    def _deliver(self, event: Event) -> None:
        try:
            assert self._handler is not None  # noqa: S101 - the reader is added by `start`
            self._handler(event)
        except Exception:
            _logger.exception("the handler of %s failed", type(event).__name__)

    def _stop_listening(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self._engine.fileno())

    # ---------------------------------------------------------------- commands

    def create_room(self) -> int:
        """See the port."""
        return self._engine.create_room()

    def close_room(self, room: int) -> None:
        """See the port."""
        self._engine.close_room(room)

    def set_audio_policy(self, room: int, *, top_n: int = 3, pinned: Sequence[int] = ()) -> None:
        """See the port."""
        self._engine.set_audio_policy(room, top_n=top_n, pinned=pinned)

    def create_transport(self, room: int) -> tuple[int, ICECredentials]:
        """See the port."""
        transport, ufrag, pwd = self._engine.create_transport(room)
        return transport, ICECredentials(ufrag, pwd)

    def restart_ice(self, transport: int) -> ICECredentials:
        """See the port."""
        return ICECredentials(*self._engine.restart_ice(transport))

    def set_keys(self, transport: int, keys: SRTPKeys) -> None:
        """See the port."""
        self._engine.set_keys(
            transport,
            _PROFILES[keys.profile],
            keys.local_key,
            keys.local_salt,
            keys.remote_key,
            keys.remote_salt,
        )

    def send_dtls(self, transport: int, datagram: bytes) -> None:
        """See the port."""
        self._engine.send_dtls(transport, datagram)

    def close_transport(self, transport: int) -> None:
        """See the port."""
        self._engine.close_transport(transport)

    def transport_stats(self, transport: int) -> dict[str, int]:
        """See the port."""
        return self._engine.transport_stats(transport)

    def add_track(self, transport: int, params: TrackParams) -> int:
        """See the port."""
        return self._engine.add_track(
            transport,
            params.kind,
            mid=params.mid,
            codecs=_codecs(params),
            extensions=_extensions(params),
            rids=params.rids,
            ssrcs=params.ssrcs,
        )

    def pause_track(self, track: int, paused: bool) -> None:
        """See the port."""
        self._engine.pause_track(track, paused)

    def request_keyframe(self, track: int, rid: str = "") -> None:
        """See the port."""
        self._engine.request_keyframe(track, rid)

    def remove_track(self, track: int) -> None:
        """See the port."""
        self._engine.remove_track(track)

    def track_stats(self, track: int) -> dict[str, int]:
        """See the port."""
        return self._engine.track_stats(track)

    def add_slot(self, transport: int, params: SlotParams) -> SlotIds:
        """See the port."""
        return SlotIds(
            *self._engine.add_slot(
                transport,
                params.kind,
                mid=params.mid,
                codecs=_codecs(params),
                extensions=_extensions(params),
                auto=params.auto,
            )
        )

    def bind_slot(self, slot: int, track: int) -> None:
        """See the port."""
        self._engine.bind_slot(slot, track)

    def set_slot_size(self, slot: int, width: int, height: int) -> None:
        """See the port."""
        self._engine.set_slot_size(slot, width, height)

    def pause_slot(self, slot: int, paused: bool) -> None:
        """See the port."""
        self._engine.pause_slot(slot, paused)

    def remove_slot(self, slot: int) -> None:
        """See the port."""
        self._engine.remove_slot(slot)

    def slot_stats(self, slot: int) -> dict[str, int]:
        """See the port."""
        return self._engine.slot_stats(slot)


def decode(kind: Any, fields: Sequence[Any]) -> Event:
    """Turn one tuple of the engine into its struct; an unknown kind is a bug and raises."""
    return _DECODERS[kind](*fields)


def source_digest(sources: pathlib.Path) -> str:
    """Return the digest that the build writes into the module, over the files as they are now.

    SHA-256 over each Rust source, manifest and the lock file: its path relative to `sources` with
    forward slashes, a zero byte, its content and a zero byte, in the order of the paths.
    """
    digest = hashlib.sha256()
    for path in sorted(_digested(sources), key=lambda path: path.relative_to(sources).as_posix()):
        digest.update(path.relative_to(sources).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


def check_digest(built_from: str, sources: pathlib.Path) -> None:
    """Refuse a compiled module that does not belong to the sources beside it.

    An installed wheel has no sources beside it and is taken as it is.

    Raises:
        StaleEngineError: The digests differ.
    """
    if (sources / "Cargo.toml").exists() and source_digest(sources) != built_from:
        raise StaleEngineError(
            "the compiled engine was built from other Rust sources than these: run `make run` or "
            "`make test`, which build it"
        )


def _digested(sources: pathlib.Path) -> Iterator[pathlib.Path]:
    for folder, folders, files in os.walk(sources):
        if "target" in folders:
            folders.remove("target")  # what cargo built; large, and no source
        for name in files:
            if name.endswith(".rs") or name in ("Cargo.toml", "Cargo.lock"):
                yield pathlib.Path(folder, name)


def _codecs(params: TrackParams | SlotParams) -> list[tuple[int, str, int, int]]:
    return [
        (codec.payload_type, codec.name, codec.clock_rate, codec.rtx_payload_type)
        for codec in params.codecs
    ]


def _extensions(params: TrackParams | SlotParams) -> list[tuple[int, str]]:
    return [(extension.id, extension.uri) for extension in params.extensions]
