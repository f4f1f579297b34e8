"""The media shell over the compiled engine with a signaling of a few lines, for media tests.

`MediaLab.join` carries a peer's offer to a transport and the answer back; `bind` shows one
member's camera on a slot of another. There is no room, no right and no server: what is proved
here is the media shell and the engine alone.
"""

import contextlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from sfu.dtls import DTLSCertificate
from sfu.engine import Event, SlotBound, SlotLayer, Speakers
from sfu.media import MediaServer
from sfu.native import NativeEngine
from sfu.transport import Answer, MediaState, MediaTransport

from .peers import Peer
from .wait import until


@dataclass
class Seat:
    """A member of the lab's room."""

    peer: Peer
    transport: MediaTransport
    answer: Answer | None = None
    states: list[tuple[MediaState, str]] = field(default_factory=list)
    messages: list[object] = field(default_factory=list)
    answers: int = 0

    def slot(self, label: str) -> int:
        assert self.answer is not None
        return self.answer.slots[label]

    def track(self, label: str) -> int:
        assert self.answer is not None
        return self.answer.tracks[label]


class MediaLab:
    """One engine, one room."""

    def __init__(self, *, seed: int = 7, host: str = "127.0.0.1") -> None:
        self.engine = NativeEngine(host=host, seed=seed)
        self.events: list[Event] = []
        self.seats: dict[str, Seat] = {}
        self.announced_port: int | None = None
        self.server = MediaServer(
            self.engine,
            addresses=["127.0.0.1"],
            certificate=DTLSCertificate.generate(),
            session_ids=itertools.count(1).__next__,
            on_event=self.events.append,
        )
        self.server.start()
        self.room = self.engine.create_room()

    async def join(self, peer: Peer) -> Seat:
        """Connect a peer and wait until media can flow."""
        states: list[tuple[MediaState, str]] = []
        messages: list[object] = []
        transport = self.server.open_transport(
            self.room,
            on_state=lambda state, reason: states.append((state, reason)),
            on_message=lambda _channel, message: messages.append(message),
        )
        seat = self.seats[peer.name] = Seat(peer, transport, states=states, messages=messages)
        await self.negotiate(seat)
        await until(lambda: transport.state is MediaState.CONNECTED, timeout=20)
        return seat

    async def negotiate(self, seat: Seat) -> None:
        """Carry one offer and its answer."""
        sdp, labels = await seat.peer.offer()
        seat.answer = seat.transport.handle_offer(sdp, labels)
        seat.answers += 1
        answer = seat.answer.sdp
        if self.announced_port is not None:
            answer = answer.replace(
                f" 127.0.0.1 {self.engine.port} typ", f" 127.0.0.1 {self.announced_port} typ"
            )
        await seat.peer.accept(answer)

    def bind(self, viewer: Seat, slot: str, publisher: Seat | None, track: str = "camera") -> None:
        """Show a publisher's track on a viewer's slot; None empties it."""
        number = publisher.track(track) if publisher is not None else 0
        self.engine.bind_slot(viewer.slot(slot), number)

    def resize(self, viewer: Seat, slot: str, width: int, height: int) -> None:
        """Say how large a slot is drawn."""
        self.engine.set_slot_size(viewer.slot(slot), width, height)

    def bindings(self, viewer: Seat, slot: str) -> list[SlotBound]:
        """The bind events of a slot so far."""
        number = viewer.slot(slot)
        return [e for e in self.events if isinstance(e, SlotBound) and e.slot == number]

    def layers(self, viewer: Seat, slot: str) -> list[SlotLayer]:
        """The layer events of a slot so far."""
        number = viewer.slot(slot)
        return [e for e in self.events if isinstance(e, SlotLayer) and e.slot == number]

    def speakers(self) -> list[Speakers]:
        """The speaker events so far."""
        return [event for event in self.events if isinstance(event, Speakers)]


@contextlib.asynccontextmanager
async def media_lab(*, seed: int = 7) -> AsyncIterator[MediaLab]:
    """A lab that is closed when the block ends."""
    lab = MediaLab(seed=seed)
    try:
        yield lab
    finally:
        await lab.server.close()
