"""One public TCP port for two servers: `websockets` for /ws, aiohttp for everything else.

A small protocol reads the head of the first request on each connection, and then hands the
transport, with the bytes read so far, to the right server. A connection that went to HTTP may
still become a WebSocket with a later request (`become_websocket`), as proxies and clients that keep
connections do. It bounds what an anonymous host can hold: 16 KiB of head, 10 s of time until it is
here, and, until a hello was accepted, a number of sockets per visitor and in all. It bounds the
frames that no `Connection` sees. It knows no route and no message.
"""

import asyncio
import re
import resource
import socket
import ssl
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from storage.turns import Turns

from .envelope import CODECS, MAX_FRAME
from .errors import CloseCode
from .limits import CONTROL_BURST, CONTROL_RATE, AnonymousSockets, SocketPlace, TokenBucket
from .visitors import Proxies

MAX_HEAD: Final = 16 * 1024
HEAD_TIMEOUT: Final = 10.0
CLOSE_TIMEOUT: Final = 5.0
UNREAD_TIMEOUT: Final = 30
"""Seconds after which a client is gone that takes nothing of what it was sent (RFC 5482)."""
MAX_DESCRIPTORS: Final = 65536
MAX_STEP: Final = 4096
"""Bytes that a WebSocket may give to its parser before their frames are counted."""
SEND_BUFFER: Final = 128 * 1024
"""Bytes of kernel buffer for what is sent to one client."""
_UPGRADE: Final = re.compile(rb"\r\nupgrade:[ \t]*websocket[ \t]*\r\n", re.IGNORECASE)
_FORWARDED: Final = re.compile(rb"\r\nx-forwarded-for:([^\r\n]*)", re.IGNORECASE)
_END_OF_HEAD: Final = b"\r\n\r\n"
_UNSEEN: Final = frozenset({Opcode.PING, Opcode.PONG, Opcode.CONT})


class PublicConnection(ServerConnection):
    """A WebSocket connection that remembers its place among the anonymous sockets.

    Pings, pongs and the later pieces of messages are the library's to answer and to join; they are
    counted here, since `Connection` never sees them.
    """

    place: SocketPlace
    _control: TokenBucket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with a full bucket."""
        self._control = TokenBucket.full(CONTROL_RATE, CONTROL_BURST, self.loop.time())
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back, also when the upgrade was refused and no handler ever ran."""
        self.place.release()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what comes in its turn (RFC 6455 section 4.1: the client waits for the answer)."""
        for start in range(0, len(data), MAX_STEP):
            if self._unanswered:
                self.transport.abort()
            if self.transport.is_closing():
                return
            super().data_received(data[start : start + MAX_STEP])

    def eof_received(self) -> None:
        """Let the loop close the connection of an upgrade that waits for its answer."""
        if not self._unanswered:
            super().eof_received()

    def process_event(self, event: Request | Response | Frame) -> None:
        """Count what no message begins with; too much of it ends the connection."""
        unseen = isinstance(event, Frame) and event.opcode in _UNSEEN
        if unseen and self._control.take(self.loop.time()):
            if not self.transport.is_closing():
                self.protocol.fail(CloseCode.RATE, "too many control frames")
                self.send_data()
                self.transport.close()
            return
        super().process_event(event)

    @property
    def _unanswered(self) -> bool:
        """The request is here and its answer is not: the library cannot take more in between.

        It would answer what it takes for a bad frame, or the end, and then fail with an assertion
        when it refuses the upgrade.
        """
        return self.request is not None and self.response is None


def _refusal(status: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode()


def _begin(
    transport: asyncio.Transport,
    make: Callable[[], PublicConnection],
    place: SocketPlace,
    head: bytes,
    rest: bytes = b"",
) -> None:
    """Give the transport to a new WebSocket connection that reads `head` and then `rest`."""
    connection = make()
    connection.place = place
    transport.set_protocol(connection)
    connection.connection_made(transport)
    connection.data_received(head)
    if rest:
        connection.data_received(rest)


def _bound_what_waits(transport: asyncio.Transport) -> None:
    """Let what a slow client does not take wait here, where it is counted, and not without an end.

    The kernel alone would take megabytes for each client.
    """
    connected = transport.get_extra_info("socket")
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_TIMEOUT * 1000)


class HttpConnection(asyncio.Protocol):
    """A connection of the HTTP server, which a later request may make a WebSocket.

    Args:
        server: aiohttp's protocol of this connection.
        websocket: makes the protocol that would take over.
        sockets: the count of anonymous sockets.
        place: the connection's among them.
    """

    def __init__(
        self,
        server: asyncio.Protocol,
        websocket: Callable[[], PublicConnection],
        sockets: AnonymousSockets,
        place: SocketPlace,
    ) -> None:
        self._server = server
        self._websocket = websocket
        self._sockets = sockets
        self._place = place

    def become_websocket(self, transport: asyncio.Transport, head: bytes, visitor: str) -> None:
        """See `become_websocket` of the module."""
        self._place.release()
        transport.resume_reading()  # aiohttp pauses who asks faster than it answers
        place = self._sockets.enter(visitor, transport.abort)
        _begin(transport, self._websocket, place, head)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hand on."""
        self._server.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Hand on; who sends something is not the next to give way."""
        self._place.touch()
        self._server.data_received(data)

    def eof_received(self) -> bool | None:
        """Hand on."""
        return self._server.eof_received()

    def pause_writing(self) -> None:
        """Hand on."""
        self._server.pause_writing()

    def resume_writing(self) -> None:
        """Hand on."""
        self._server.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self._place.release()
        self._server.connection_lost(exc)


def become_websocket(transport: asyncio.Transport, head: bytes, visitor: str) -> None:
    """Make a WebSocket of a connection that HTTP has let go of.

    Args:
        transport: of a connection that came through this port, and has carried HTTP.
        head: of the request that asks for it, as it would stand on the wire.
        visitor: whom to count it for.
    """
    connection = transport.get_protocol()
    if not isinstance(connection, HttpConnection):
        raise TypeError("that is no connection of HTTP")
    connection.become_websocket(transport, head, visitor)


class Sniffer(asyncio.Protocol):
    """The first protocol of every connection; replaced as soon as the head is read."""

    def __init__(
        self,
        websocket: Callable[[], PublicConnection],
        http: Callable[[], asyncio.BaseProtocol],
        sockets: AnonymousSockets,
        proxies: Proxies,
    ) -> None:
        self._websocket = websocket
        self._http = http
        self._sockets = sockets
        self._proxies = proxies
        self._peer = ""
        self._buffer = bytearray()
        self._transport: asyncio.Transport
        self._place: SocketPlace
        self._timer: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the socket and start its clock."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 asyncio gives stream servers nothing else
        self._transport = transport
        _bound_what_waits(transport)
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if peer else ""
        # A proxy's sockets are many visitors'; the head will say whose each is.
        known = None if self._proxies.trusts(self._peer) else self._peer
        self._place = self._sockets.enter(known, transport.abort)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(HEAD_TIMEOUT, self._refuse, _refusal("408 Request Timeout"))

    def data_received(self, data: bytes) -> None:
        """Collect the head, then hand over."""
        self._buffer += data
        end = self._buffer.find(_END_OF_HEAD)
        if (end < 0 and len(self._buffer) > MAX_HEAD) or end > MAX_HEAD:
            self._refuse(_refusal("431 Request Header Fields Too Large"))
            return
        if end < 0:
            return
        self._timer.cancel()
        head = bytes(self._buffer[: end + 2])
        if _UPGRADE.search(head):
            self._to_websocket(head, end + len(_END_OF_HEAD))
        else:
            self._to_http()

    def connection_lost(self, _error: Exception | None) -> None:
        """Give the place back."""
        self._timer.cancel()
        self._place.release()

    def _to_websocket(self, head: bytes, end: int) -> None:
        if self._proxies.trusts(self._peer):
            self._place.release()
            forwarded = [line.decode("latin-1") for line in _FORWARDED.findall(head)]
            visitor = self._proxies.visitor(self._peer, forwarded)
            self._place = self._sockets.enter(visitor, self._transport.abort)
        data = bytes(self._buffer)
        _begin(self._transport, self._websocket, self._place, data[:end], data[end:])

    def _to_http(self) -> None:
        server = self._http()
        assert isinstance(server, asyncio.Protocol)  # noqa: S101 aiohttp's is a stream protocol
        connection = HttpConnection(server, self._websocket, self._sockets, self._place)
        self._transport.set_protocol(connection)
        connection.connection_made(self._transport)
        connection.data_received(bytes(self._buffer))

    def _refuse(self, answer: bytes) -> None:
        self._timer.cancel()
        if not self._transport.is_closing():
            self._transport.write(answer)
            self._transport.close()


def bind(host: str, port: int) -> socket.socket:
    """Take the port before anything else is done; `listen` serves on it.

    Raises:
        OSError: the port is taken, or the address is not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, dualstack_ipv6=host == "::")


def descriptors() -> int:
    """How many files and sockets this process may have, after asking for all it may ask for.

    A shell's limit is often 1,024, which is for programs that use ``select``.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


async def listen(
    bound: socket.socket,
    *,
    websocket: Callable[[PublicConnection], Awaitable[None]],
    accept: Callable[[Any, Request], Response | None],
    http: Callable[[], asyncio.BaseProtocol],
    sockets: AnonymousSockets,
    proxies: Proxies,
    turns: Turns,
    tls: ssl.SSLContext | None = None,
) -> Server:
    """Serve both on one port.

    Args:
        bound: from `bind`.
        websocket: handles an open WebSocket connection until it returns.
        accept: `process_request` of websockets: may refuse the upgrade with an HTTP answer.
        http: makes a protocol of the HTTP server.
        sockets: the count of sockets over which nobody has said hello.
        proxies: whose X-Forwarded-For names the visitor to count.
        turns: in which WebSockets begin, by visitor; see `http.routes.make_application`.
        tls: serve HTTPS and WSS.
    """

    def connection(protocol: ServerProtocol, server: Server, **options: Any) -> Any:
        def make() -> PublicConnection:
            return PublicConnection(protocol, server, **options)

        return Sniffer(make, http, sockets, proxies)

    async def accept_in_turn(connection: PublicConnection, request: Request) -> Response | None:
        if not await turns.come(
            connection.place.address, is_there=lambda: not connection.transport.is_closing()
        ):
            return connection.respond(HTTPStatus.BAD_REQUEST, "")  # it is closing: nobody reads it
        return accept(connection, request)

    return await serve(
        websocket,  # type: ignore[arg-type]  # the factory below makes PublicConnections
        sock=bound,
        process_request=accept_in_turn,  # type: ignore[arg-type]  # of PublicConnections
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
        ssl_handshake_timeout=HEAD_TIMEOUT if tls else None,
    )
