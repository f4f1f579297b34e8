"""The media shell of one node: owns the engine, makes transports, and hands out events.

`MediaServer` is what the conductor holds. It makes rooms and transports, brings each transport
its own events, and passes all others (slots, layers, speakers) to one handler. It knows no
participant and no right. Start at `sfu.engine` for the words, `sfu.transport` for what a
transport does, `sfu.subscriptions` for who is shown to whom.
"""

import asyncio
import ipaddress
import logging
from collections.abc import Callable, Iterable

from .datachannels import MessageHandler
from .dtls import DTLSCertificate
from .engine import DtlsRecord, Engine, Event, EventHandler, TransportState
from .sdp import Candidate
from .transport import MediaState, MediaTransport, StateHandler

_HOST_PREFERENCE = 126  # RFC 8445 section 5.1.2.1
_logger = logging.getLogger(__name__)


def host_candidates(addresses: Iterable[str], port: int) -> tuple[Candidate, ...]:
    """Return one UDP host candidate per announced IP address, in order of preference.

    Raises:
        ValueError: An address is no IP address.
    """
    return tuple(
        Candidate(
            foundation=str(number),
            component=1,
            protocol="udp",
            priority=(_HOST_PREFERENCE << 24) | ((65535 - number) << 8) | 255,
            address=str(ipaddress.ip_address(address)),
            port=port,
            type="host",
        )
        for number, address in enumerate(addresses, 1)
    )


class MediaServer:
    """Rooms and transports on one engine.

    Args:
        engine: Bound, not yet started.
        addresses: IP addresses under which clients reach the engine's port.
        certificate: For DTLS; one for the life of the process.
        session_ids: Returns a random number below 2**62 at each call.
        on_event: Takes every event that no transport takes, in order.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        addresses: Iterable[str],
        certificate: DTLSCertificate,
        session_ids: Callable[[], int],
        on_event: EventHandler,
    ) -> None:
        self.engine = engine
        self._candidates = host_candidates(addresses, engine.port)
        self._certificate = certificate
        self._session_ids = session_ids
        self._on_event = on_event
        self._transports: dict[int, MediaTransport] = {}

    def start(self) -> None:
        """Take events from the engine on the running loop."""
        self.engine.start(self._dispatch)

    def open_transport(
        self,
        room: int,
        *,
        on_state: StateHandler,
        on_message: MessageHandler = lambda _channel, _message: None,
    ) -> MediaTransport:
        """Make a transport in an engine room; call it only for someone who was admitted."""
        transport: MediaTransport | None = None

        def state_changed(state: MediaState, reason: str) -> None:
            if state is MediaState.CLOSED and transport is not None:
                self._transports.pop(transport.id, None)
            on_state(state, reason)

        transport = MediaTransport(
            self.engine,
            room,
            certificate=self._certificate,
            candidates=self._candidates,
            session_id=self._session_ids(),
            on_state=state_changed,
            on_message=on_message,
        )
        self._transports[transport.id] = transport
        return transport

    async def close(self) -> None:
        """Close every transport in order, then the engine."""
        await asyncio.gather(
            *(transport.close("the server stops") for transport in self._transports.values())
        )
        self.engine.close()

    def _dispatch(self, event: Event) -> None:
        if isinstance(event, TransportState | DtlsRecord):
            transport = self._transports.get(event.transport)
            if transport is not None:
                transport.handle_event(event)
        else:
            self._on_event(event)
