"""One public TCP port for two servers: `websockets` for /ws, aiohttp for everything else.

A small protocol reads the head of the first request on each connection, and then hands the
transport, with the bytes read so far, to the right server. A connection that went to HTTP may
still become a WebSocket with a later request (`LateUpgrades`), as proxies and clients that keep
connections do. It bounds what an anonymous host can hold: 16 KiB of head, 10 s of time, and a
number of sockets per visitor and in all. It knows no route and no message.
"""

import asyncio
import re
import socket
import ssl
import weakref
from collections.abc import Awaitable, Callable
from typing import Any, Final

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.server import ServerProtocol

from .envelope import CODECS, MAX_FRAME
from .limits import PreAuthSlot, PreAuthSockets
from .visitors import Proxies

MAX_HEAD: Final = 16 * 1024
HEAD_TIMEOUT: Final = 10.0
CLOSE_TIMEOUT: Final = 5.0
SEND_BUFFER: Final = 128 * 1024
"""Bytes of kernel buffer for frames to one client."""
_UPGRADE: Final = re.compile(rb"\r\nupgrade:[ \t]*websocket[ \t]*\r\n", re.IGNORECASE)
_FORWARDED: Final = re.compile(rb"\r\nx-forwarded-for:([^\r\n]*)", re.IGNORECASE)
_END_OF_HEAD: Final = b"\r\n\r\n"


class PublicConnection(ServerConnection):
    """A WebSocket connection that remembers its pre-authentication place."""

    slot: PreAuthSlot

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back, also when the upgrade was refused and no handler ever ran."""
        self.slot.release()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what comes in its turn (RFC 6455 section 4.1: the client waits for the answer)."""
        if self._unanswered:
            self.transport.abort()
        else:
            super().data_received(data)

    def eof_received(self) -> None:
        """Let the loop close the connection of an upgrade that waits for its answer."""
        if not self._unanswered:
            super().eof_received()

    @property
    def _unanswered(self) -> bool:
        """The request is here and its answer is not: the library cannot take more in between.

        It would answer what it takes for a bad frame, or the end, and then fail with an assertion
        when it refuses the upgrade.
        """
        return self.request is not None and self.response is None


def _refusal(status: str, *headers: str, body: str = "") -> bytes:
    length = f"Content-Length: {len(body)}"
    lines = [f"HTTP/1.1 {status}", "Connection: close", length, *headers, "", body]
    return "\r\n".join(lines).encode()


_BUSY: Final = _refusal(
    "503 Service Unavailable",
    "Retry-After: 1",
    "Content-Type: application/problem+json",
    body='{"status": 503, "code": "unavailable", "type": "about:blank", "title": "too many connections", "retry_ms": 1000}',
)


def _begin(
    transport: asyncio.Transport,
    make: Callable[[], PublicConnection],
    slot: PreAuthSlot,
    head: bytes,
    rest: bytes = b"",
) -> None:
    """Give the transport to a new WebSocket connection that reads `head` and then `rest`."""
    # Let frames of a slow client wait here, where they are counted; the kernel alone would take
    # megabytes for each client.
    connected = transport.get_extra_info("socket")
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    connection = make()
    connection.slot = slot
    transport.set_protocol(connection)
    connection.connection_made(transport)
    connection.data_received(head)
    if rest:
        connection.data_received(rest)


class LateUpgrades:
    """WebSockets on connections that have carried HTTP requests before."""

    def __init__(self, sockets: PreAuthSockets) -> None:
        self._sockets = sockets
        self._makers: weakref.WeakKeyDictionary[
            asyncio.BaseTransport, Callable[[], PublicConnection]
        ] = weakref.WeakKeyDictionary()

    def remember(
        self, transport: asyncio.BaseTransport, make: Callable[[], PublicConnection]
    ) -> None:
        """The connection goes to HTTP; `make` would make it a WebSocket."""
        self._makers[transport] = make

    def begin(self, transport: asyncio.Transport, head: bytes, visitor: str) -> None:
        """Make a WebSocket of a connection that HTTP has let go of.

        Args:
            transport: one that `remember` was told.
            head: of the request that asks for it, as it would stand on the wire.
            visitor: whom to count it for.
        """
        slot = self._sockets.enter(visitor)
        if slot is None:
            transport.write(_BUSY)
            transport.close()
            return
        transport.resume_reading()
        _begin(transport, self._makers.pop(transport), slot, head)


class Sniffer(asyncio.Protocol):
    """The first protocol of every connection; replaced as soon as the head is read."""

    def __init__(
        self,
        websocket: Callable[[], PublicConnection],
        http: Callable[[], asyncio.BaseProtocol],
        sockets: PreAuthSockets,
        late: LateUpgrades,
        proxies: Proxies,
    ) -> None:
        self._websocket = websocket
        self._http = http
        self._sockets = sockets
        self._late = late
        self._proxies = proxies
        self._peer = ""
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._slot: PreAuthSlot | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the socket and start its clock."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 asyncio gives stream servers nothing else
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if peer else ""
        # A proxy's sockets are many visitors'; the head will say whose each is.
        known = None if self._proxies.trusts(self._peer) else self._peer
        self._slot = self._sockets.enter(known)
        if self._slot is None:
            self._refuse(_BUSY)
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(HEAD_TIMEOUT, self._refuse, _refusal("408 Request Timeout"))

    def data_received(self, data: bytes) -> None:
        """Collect the head, then hand over."""
        if self._slot is None:
            return
        self._buffer += data
        end = self._buffer.find(_END_OF_HEAD)
        if (end < 0 and len(self._buffer) > MAX_HEAD) or end > MAX_HEAD:
            self._refuse(_refusal("431 Request Header Fields Too Large"))
            return
        if end < 0:
            return
        head = bytes(self._buffer[: end + 2])
        if not _UPGRADE.search(head):
            self._slot.release()
            self._to_http()
        elif (slot := self._visitors_slot(head)) is not None:
            self._to_websocket(slot, end + len(_END_OF_HEAD))
        else:
            self._refuse(_BUSY)

    def connection_lost(self, _error: Exception | None) -> None:
        """Give the place back."""
        self._stop()
        if self._slot is not None:
            self._slot.release()

    def _visitors_slot(self, head: bytes) -> PreAuthSlot | None:
        """The place of the visitor whom the head names, where a proxy sent it; None: no place."""
        if self._slot is not None and self._proxies.trusts(self._peer):
            self._slot.release()
            forwarded = [line.decode("latin-1") for line in _FORWARDED.findall(head)]
            self._slot = self._sockets.enter(self._proxies.visitor(self._peer, forwarded))
        return self._slot

    def _to_websocket(self, slot: PreAuthSlot, end: int) -> None:
        self._stop()
        assert self._transport is not None  # noqa: S101 set in connection_made
        data = bytes(self._buffer)
        _begin(self._transport, self._websocket, slot, data[:end], data[end:])

    def _to_http(self) -> None:
        self._stop()
        assert self._transport is not None  # noqa: S101 set in connection_made
        self._late.remember(self._transport, self._websocket)
        protocol = self._http()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        assert isinstance(protocol, asyncio.Protocol)  # noqa: S101 aiohttp's is a stream protocol
        protocol.data_received(bytes(self._buffer))

    def _refuse(self, answer: bytes) -> None:
        self._stop()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer)
            self._transport.close()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def bind(host: str, port: int) -> socket.socket:
    """Take the port before anything else is done; `listen` serves on it.

    Raises:
        OSError: the port is taken, or the address is not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, dualstack_ipv6=host == "::")


async def listen(
    bound: socket.socket,
    *,
    websocket: Callable[[PublicConnection], Awaitable[None]],
    accept: Callable[[Any, Any], Any],
    http: Callable[[], asyncio.BaseProtocol],
    sockets: PreAuthSockets,
    late: LateUpgrades,
    proxies: Proxies,
    tls: ssl.SSLContext | None = None,
) -> Server:
    """Serve both on one port.

    Args:
        bound: from `bind`.
        websocket: handles an open WebSocket connection until it returns.
        accept: `process_request` of websockets: may refuse the upgrade with an HTTP answer.
        http: makes a protocol of the HTTP server.
        sockets: the count of sockets that have not said who they are.
        late: told of every connection that goes to HTTP.
        proxies: whose X-Forwarded-For names the visitor to count.
        tls: serve HTTPS and WSS.
    """

    def connection(protocol: ServerProtocol, server: Server, **options: Any) -> Any:
        def make() -> PublicConnection:
            return PublicConnection(protocol, server, **options)

        return Sniffer(make, http, sockets, late, proxies)

    return await serve(
        websocket,  # type: ignore[arg-type]  # the factory below makes PublicConnections
        sock=bound,
        process_request=accept,
        subprotocols=list(CODECS),  # type: ignore[arg-type]  # Subprotocol is a NewType of str
        compression=None,
        ping_interval=None,  # the protocol has its own pings, which clients can see
        close_timeout=CLOSE_TIMEOUT,
        open_timeout=HEAD_TIMEOUT,
        max_size=MAX_FRAME,
        max_queue=16,
        server_header=None,
        create_connection=connection,  # type: ignore[arg-type]  # a Sniffer becomes one
        ssl=tls,
    )
