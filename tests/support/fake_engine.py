"""An engine without packets: it obeys the port `sfu.engine.Engine` and keeps what it was told.

Tests read `calls` and the tables of live objects, hand in events with `deliver`, and may carry
DTLS datagrams somewhere by `on_dtls`. The contract class in `tests/contracts/test_engine_port.py`
runs on this and on the compiled engine alike.
"""

import itertools
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field

from sfu.engine import (
    Event,
    EventHandler,
    ICECredentials,
    SlotBound,
    SlotIds,
    SlotParams,
    SRTPKeys,
    TrackParams,
    TransportState,
)


@dataclass
class FakeTransport:
    """One transport as the engine would see it."""

    room: int
    credentials: list[ICECredentials]
    keys: SRTPKeys | None = None
    state: str = "new"
    sent: list[bytes] = field(default_factory=list)


class FakeEngine:
    """The port, in memory."""

    port = 7882

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.rooms: set[int] = set()
        self.transports: dict[int, FakeTransport] = {}
        self.tracks: dict[int, tuple[int, TrackParams]] = {}
        self.slots: dict[int, tuple[int, SlotParams]] = {}
        self.bindings: dict[int, int] = {}
        self.sizes: dict[int, tuple[int, int]] = {}
        self.stale_commands = 0
        self.on_dtls: Callable[[int, bytes], None] = lambda transport, datagram: None
        self.refused_mids: set[str] = set()
        self._handler: EventHandler | None = None
        self._closed = False
        self._ids = [itertools.count(1) for _ in range(4)]
        self._ufrags = itertools.count(1)
        self._binding_numbers: dict[int, int] = {}

    # ------------------------------------------------------------ for tests

    def deliver(self, event: Event) -> None:
        """Hand an event to whoever started the engine, at once."""
        if self._handler is not None and not self._closed:
            self._handler(event)

    def check(self, transport: int) -> None:
        """Pretend that an authenticated ICE check came."""
        fake = self.transports[transport]
        self._set_state(transport, "connected" if fake.keys else "checking")

    def _set_state(self, transport: int, state: str) -> None:
        fake = self.transports[transport]
        if fake.state != state:
            fake.state = state
            self.deliver(TransportState(transport, state))

    def _check(self, params: TrackParams | SlotParams) -> None:
        """What the engine's own check would raise, had it one that nobody else knows of."""
        if params.mid in self.refused_mids:
            raise ValueError(f"refused: {params.mid}")

    def _known(self, number: int, table: Container[int]) -> bool:
        """Whether an id is alive; the engine counts commands for those that are not."""
        if number not in table:
            self.stale_commands += 1
        return number in table

    # ------------------------------------------------------------ the port

    def start(self, handler: EventHandler) -> None:
        if self._handler is not None:
            raise RuntimeError("the engine was started twice")
        self._handler = handler

    def close(self) -> None:
        self._closed = True

    def stats(self) -> dict[str, int]:
        return {"stale_commands": self.stale_commands, "api_calls": len(self.calls)}

    def create_room(self) -> int:
        room = next(self._ids[0])
        self.rooms.add(room)
        return room

    def close_room(self, room: int) -> None:
        if self._known(room, self.rooms):
            self.rooms.discard(room)
        for transport in [t for t, fake in self.transports.items() if fake.room == room]:
            self.close_transport(transport)

    def set_audio_policy(self, room: int, *, top_n: int = 3, pinned: Sequence[int] = ()) -> None:
        self.calls.append(("set_audio_policy", room, top_n, tuple(pinned)))
        self._known(room, self.rooms)

    def _credentials(self) -> ICECredentials:
        number = next(self._ufrags)
        return ICECredentials(f"uf{number:04}", f"{number:024}")

    def create_transport(self, room: int) -> tuple[int, ICECredentials]:
        transport = next(self._ids[1])
        self.transports[transport] = FakeTransport(room, [self._credentials()])
        return transport, self.transports[transport].credentials[0]

    def restart_ice(self, transport: int) -> ICECredentials:
        self.calls.append(("restart_ice", transport))
        credentials = self._credentials()
        if self._known(transport, self.transports):
            self.transports[transport].credentials.append(credentials)
        return credentials

    def set_keys(self, transport: int, keys: SRTPKeys) -> None:
        self.calls.append(("set_keys", transport))
        if self._known(transport, self.transports):
            self.transports[transport].keys = keys
            if self.transports[transport].state == "checking":
                self._set_state(transport, "connected")

    def send_dtls(self, transport: int, datagram: bytes) -> None:
        if self._known(transport, self.transports):
            self.transports[transport].sent.append(datagram)
            self.on_dtls(transport, datagram)

    def close_transport(self, transport: int) -> None:
        self.calls.append(("close_transport", transport))
        if not self._known(transport, self.transports):
            return
        for track in [t for t, (owner, _) in self.tracks.items() if owner == transport]:
            self.remove_track(track)
        self.slots = {s: value for s, value in self.slots.items() if value[0] != transport}
        self._set_state(transport, "closed")
        del self.transports[transport]

    def transport_stats(self, transport: int) -> dict[str, int]:
        return {"rtt_ms": 0} if transport in self.transports else {}

    def add_track(self, transport: int, params: TrackParams) -> int:
        self._check(params)
        track = next(self._ids[2])
        self.calls.append(("add_track", transport, params.mid))
        self.tracks[track] = (transport, params)
        return track

    def pause_track(self, track: int, paused: bool) -> None:
        self.calls.append(("pause_track", track, paused))
        self._known(track, self.tracks)

    def request_keyframe(self, track: int, rid: str = "") -> None:
        self.calls.append(("request_keyframe", track, rid))
        self._known(track, self.tracks)

    def remove_track(self, track: int) -> None:
        self.calls.append(("remove_track", track))
        if self._known(track, self.tracks):
            del self.tracks[track]
        for slot in [s for s, bound in self.bindings.items() if bound == track]:
            self.bind_slot(slot, 0)

    def track_stats(self, track: int) -> dict[str, int]:
        return {"packets": 0} if track in self.tracks else {}

    def add_slot(self, transport: int, params: SlotParams) -> SlotIds:
        self._check(params)
        slot = next(self._ids[3])
        self.calls.append(("add_slot", transport, params.mid))
        self.slots[slot] = (transport, params)
        rtx = any(codec.rtx_payload_type for codec in params.codecs)
        return SlotIds(slot, 10_000 + slot, 20_000 + slot if rtx else 0, f"{slot:016}")

    def bind_slot(self, slot: int, track: int) -> None:
        self.calls.append(("bind_slot", slot, track))
        if not self._known(slot, self.slots) or (track and not self._known(track, self.tracks)):
            return
        self.bindings[slot] = track
        number = self._binding_numbers[slot] = self._binding_numbers.get(slot, 0) + 1
        self.deliver(SlotBound(slot, track, 90_000 * number, number))

    def set_slot_size(self, slot: int, width: int, height: int) -> None:
        self.calls.append(("set_slot_size", slot, width, height))
        if self._known(slot, self.slots):
            self.sizes[slot] = (width, height)

    def pause_slot(self, slot: int, paused: bool) -> None:
        self.calls.append(("pause_slot", slot, paused))
        self._known(slot, self.slots)

    def remove_slot(self, slot: int) -> None:
        self.calls.append(("remove_slot", slot))
        if self._known(slot, self.slots):
            del self.slots[slot]
        self.bindings.pop(slot, None)

    def slot_stats(self, slot: int) -> dict[str, int]:
        return {"packets": 0} if slot in self.slots else {}
