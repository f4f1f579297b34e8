"""One peer connection of a participant: offers in, answers out, DTLS in between, state up.

`MediaTransport` ties a `Negotiation`, a DTLS association, data channels and the engine's
transport together. It knows no participant, no room rule and no right: whoever holds it decides
who may have one. Its life is one table (`TRANSITIONS`); "failed" means that no path works and an
ICE restart may still save it, "closed" is for ever. `sfu.media` makes these and brings them their
events.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from .datachannels import DataChannels, MessageHandler
from .dtls import DTLSCertificate, DTLSTransport
from .engine import DtlsRecord, Engine, SlotIds, TransportState
from .errors import DTLSError, NegotiationError, TransportClosedError
from .negotiation import (
    AddSlot,
    AddTrack,
    Negotiation,
    Plan,
    Remote,
    RemoveSlot,
    RemoveTrack,
    RestartICE,
)
from .sdp import Candidate

SETUP_SECONDS = 30.0
"""From an answer to media that flows; a browser gives up at about the same time."""

_logger = logging.getLogger(__name__)


class MediaState(Enum):
    """Where a transport stands (W3C RTCPeerConnectionState, seen from our side)."""

    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    FAILED = "failed"
    CLOSED = "closed"


class Trigger(Enum):
    """What moves a transport from state to state."""

    OFFERED = "an offer was answered"
    ICE_CONNECTED = "a checked path and keys"
    ICE_DISCONNECTED = "no valid check for some seconds"
    ICE_FAILED = "consent expired, or no connection in time"
    RESTARTED = "the peer restarted ICE"
    ENDED = "closed by us, by the peer, or by an error that nothing repairs"


TRANSITIONS: dict[MediaState, dict[Trigger, MediaState]] = {
    MediaState.NEW: {
        Trigger.OFFERED: MediaState.CONNECTING,
        Trigger.ENDED: MediaState.CLOSED,
    },
    MediaState.CONNECTING: {
        Trigger.ICE_CONNECTED: MediaState.CONNECTED,
        Trigger.ICE_FAILED: MediaState.FAILED,
        Trigger.ENDED: MediaState.CLOSED,
    },
    MediaState.CONNECTED: {
        Trigger.ICE_DISCONNECTED: MediaState.DISCONNECTED,
        Trigger.ICE_FAILED: MediaState.FAILED,
        Trigger.ENDED: MediaState.CLOSED,
    },
    MediaState.DISCONNECTED: {
        Trigger.ICE_CONNECTED: MediaState.CONNECTED,
        Trigger.ICE_FAILED: MediaState.FAILED,
        Trigger.ENDED: MediaState.CLOSED,
    },
    MediaState.FAILED: {
        Trigger.RESTARTED: MediaState.CONNECTING,
        Trigger.ICE_CONNECTED: MediaState.CONNECTED,
        Trigger.ENDED: MediaState.CLOSED,
    },
    MediaState.CLOSED: {},
}

_ENGINE_TRIGGERS = {
    "connected": Trigger.ICE_CONNECTED,
    "disconnected": Trigger.ICE_DISCONNECTED,
    "failed": Trigger.ICE_FAILED,
    "closed": Trigger.ENDED,
}

StateHandler: TypeAlias = Callable[[MediaState, str], None]
"""(new state, why) in words for a log or a host; called on every change."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an offer led to.

    Attributes:
        sdp: For the client.
        tracks: label → engine track, all that the transport publishes now.
        slots: label → engine slot, all that it receives on now.
        removed: Engine tracks that ended with this offer.
        refused: mid → why we do not use the section.
    """

    sdp: str
    tracks: Mapping[str, int]
    slots: Mapping[str, int]
    removed: tuple[int, ...]
    refused: Mapping[str, str]


class MediaTransport:
    """One transport; make it by `sfu.media.MediaServer.open_transport`.

    Args:
        engine: Where its packets are.
        room: The engine's room.
        certificate: Ours, shared by all transports.
        candidates: Where we are reached.
        session_id: A random number below 2**62.
        on_state: Called on every change of state.
        on_message: Called with each data channel message.
    """

    def __init__(
        self,
        engine: Engine,
        room: int,
        *,
        certificate: DTLSCertificate,
        candidates: Iterable[Candidate],
        session_id: int,
        on_state: StateHandler,
        on_message: MessageHandler,
    ) -> None:
        self._engine = engine
        self._certificate = certificate
        self._on_state = on_state
        self._on_message = on_message
        self._negotiation = Negotiation(session_id, [certificate.fingerprint], candidates)
        self.id, self._ice = engine.create_transport(room)
        self.state = MediaState.NEW
        self._tracks: dict[str, int] = {}
        self._slots: dict[str, int] = {}
        self._by_mid: dict[str, int] = {}
        self._dtls: DTLSTransport | None = None
        self._dtls_ready = False
        self._channels: DataChannels | None = None
        self._checked = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._setup_timer: asyncio.TimerHandle | None = None

    def handle_offer(self, sdp: str, labels: Mapping[str, str]) -> Answer:
        """Answer an offer and make the engine follow it, in one step: nothing else happens meanwhile.

        Args:
            sdp: The client's offer.
            labels: mid → label (`sfu.labels`).

        Raises:
            SDPError, NegotiationError: The offer was refused and changed nothing.
            TransportClosedError: The transport is closed.
        """
        if self.state is MediaState.CLOSED:
            raise TransportClosedError("the media transport is closed")
        plan = self._negotiation.receive_offer(sdp, labels)
        self._rehearse([item for item in plan.operations if isinstance(item, AddTrack | AddSlot)])
        removed, slot_ids = self._apply(plan)
        answer = self._negotiation.answer(plan, self._ice, slot_ids)
        if self._dtls is None:
            self._start_dtls(plan.remote)
            self._move(Trigger.OFFERED, "offer answered")
        elif self._dtls_ready:
            self._start_channels(plan.remote)
        if any(isinstance(operation, RestartICE) for operation in plan.operations):
            self._move(Trigger.RESTARTED, "the client restarted ICE")
        return Answer(answer, dict(self._tracks), dict(self._slots), removed, plan.refused)

    def handle_event(self, event: TransportState | DtlsRecord) -> None:
        """Take an event of this transport from the engine; never raises."""
        if isinstance(event, DtlsRecord):
            if self._dtls is not None:
                self._dtls.feed(event.datagram)
            return
        if event.state in ("checking", "connected"):
            self._checked.set()
        trigger = _ENGINE_TRIGGERS.get(event.state)
        if trigger is Trigger.ENDED:
            self._end("the engine closed it")
        elif trigger is not None:
            self._move(trigger, f"ICE {event.state}")

    async def close(self, reason: str = "closed by the server") -> None:
        """Say goodbye to the peer and free everything; twice is harmless."""
        self._end(reason)
        await self.wait_closed()

    async def wait_closed(self) -> None:
        """Wait until what `close` began, or the peer's end, is done."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    # ---------------------------------------------------------------- offers

    def _rehearse(self, additions: Sequence[AddTrack | AddSlot]) -> None:
        """Have the engine take all of it elsewhere, before anything of ours ends for it.

        A track or slot that was removed cannot be had back: its successor has another id and SSRC.
        """
        if not additions:
            return
        room = self._engine.create_room()
        transport, _ = self._engine.create_transport(room)
        try:
            for addition in additions:
                if isinstance(addition, AddTrack):
                    self._engine.add_track(transport, addition.params)
                else:
                    self._engine.add_slot(transport, addition.params)
        except ValueError as error:
            _logger.exception("the engine refuses what sfu.params lets pass")
            raise NegotiationError(f"the offer cannot be used: {error}") from error
        finally:
            self._engine.close_room(room)

    def _apply(self, plan: Plan) -> tuple[tuple[int, ...], dict[str, SlotIds]]:
        removed = []
        slot_ids = {}
        for operation in plan.operations:
            match operation:
                case RestartICE():
                    self._ice = self._engine.restart_ice(self.id)
                case RemoveTrack(mid, label):
                    track = self._by_mid.pop(mid)
                    self._engine.remove_track(track)
                    removed.append(track)
                    del self._tracks[str(label)]
                case RemoveSlot(mid, label):
                    self._engine.remove_slot(self._by_mid.pop(mid))
                    del self._slots[str(label)]
                case AddTrack(mid, label, params):
                    track = self._engine.add_track(self.id, params)
                    self._tracks[str(label)] = self._by_mid[mid] = track
                case AddSlot(mid, label, params):
                    slot_ids[mid] = ids = self._engine.add_slot(self.id, params)
                    self._slots[str(label)] = self._by_mid[mid] = ids.slot
        return tuple(removed), slot_ids

    # ---------------------------------------------------------------- DTLS and data channels

    def _start_dtls(self, remote: Remote) -> None:
        self._dtls = DTLSTransport(
            certificate=self._certificate,
            role=remote.dtls_role,
            send=lambda datagram: self._engine.send_dtls(self.id, datagram),
            on_keys=lambda keys: self._engine.set_keys(self.id, keys),
            on_closed=self._end,
        )
        self._spawn(self._connect(self._dtls, remote))

    async def _connect(self, dtls: DTLSTransport, remote: Remote) -> None:
        try:
            if remote.dtls_role == "client":
                await self._checked.wait()  # before a check the engine sends nothing
            await dtls.connect(remote.fingerprints)
        except DTLSError as error:
            self._end(f"DTLS: {error}")
            return
        except Exception:
            _logger.exception("the DTLS handshake broke")
            self._end("DTLS: internal error")
            return
        self._dtls_ready = True
        self._start_channels(remote)

    def _start_channels(self, remote: Remote) -> None:
        if remote.sctp_port and self._channels is None and self._dtls is not None:
            self._channels = DataChannels(self._dtls, self._on_message)
            self._spawn(
                self._channels.open_association(
                    port=remote.sctp_port, max_message_size=remote.max_message_size
                )
            )

    # ---------------------------------------------------------------- state

    def _move(self, trigger: Trigger, reason: str) -> None:
        """Apply one trigger by the table; one that the state does not know changes nothing."""
        state = TRANSITIONS[self.state].get(trigger)
        if state is None:
            return
        self.state = state
        if self._setup_timer is not None:
            self._setup_timer.cancel()
            self._setup_timer = None
        if state is MediaState.CONNECTING:
            self._setup_timer = asyncio.get_running_loop().call_later(
                SETUP_SECONDS,
                self._move,
                Trigger.ICE_FAILED,
                f"no connection within {SETUP_SECONDS:g} s",
            )
        self._on_state(state, reason)

    def _end(self, reason: str) -> None:
        if self.state is MediaState.CLOSED:
            return
        for task in self._tasks:
            task.cancel()
        self._spawn(self._stop())
        self._move(Trigger.ENDED, reason)

    async def _stop(self) -> None:
        """Say goodbye; the engine's part goes whatever becomes of that."""
        try:
            if self._channels is not None:
                await self._channels.stop()
            if self._dtls is not None:
                await self._dtls.stop()
        finally:
            self._engine.close_transport(self.id)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
