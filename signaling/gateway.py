"""The WebSocket server: bytes in, frames out, one task per connection.

It carries out what the sans-I/O `Connection` says, keeps each client's `Outbox` flowing and hands
hello and requests to a `Door` (the conductor). It checks the Origin of upgrades. It decides
nothing about rooms and reads no token.
"""

import asyncio
import contextlib
import http
import logging
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET
from websockets.asyncio.server import broadcast
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from .client import Client
from .clock import Clock, stamp
from .connection import Connection, Enter, Hang, Output, Perform, Send, State
from .envelope import CODECS, Encoded, Pong, Refusal
from .errors import CloseCode, RequestError
from .limits import MAX_IN_FLIGHT
from .logs import internal_error
from .port import PublicConnection

WEBSOCKET_PATH: Final = "/ws"
log: Final = logging.getLogger("sunup.gateway")


class Door(Protocol):
    """Where hello and requests go."""

    async def enter(self, client: Client, hello: Enter) -> None:
        """Let the client in: reply to the hello and attach it.

        Raises:
            RequestError: it may not come in.
        """

    async def perform(self, client: Client, request: Perform) -> None:
        """Carry out a request; the reply is sent by the callee unless it raises.

        Raises:
            RequestError: refused.
        """

    def heard(self, client: Client) -> None:
        """The first frame since the client was attached: it is really there."""

    def lost(self, client: Client) -> None:
        """The connection is gone, for whatever reason."""


class SocketWire:
    """`Wire` over a WebSocket connection."""

    def __init__(self, socket: PublicConnection) -> None:
        self._socket = socket
        self._writer: asyncio.Task[None] | None = None
        self._closer: asyncio.Task[None] | None = None
        self.client: Client | None = None

    def buffered(self) -> int:
        """See `Wire.buffered`."""
        return self._socket.transport.get_write_buffer_size()

    def write(self, data: bytes) -> None:
        """See `Wire.write`."""
        assert self.client is not None  # noqa: S101 set right after construction
        broadcast([self._socket], data, text=self.client.codec.text)

    def wait_to_write(self) -> None:
        """See `Wire.wait_to_write`."""
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._drain())

    def hang_up(self, code: CloseCode, reason: str) -> None:
        """See `Wire.hang_up`."""
        if self._closer is None:
            self._closer = asyncio.create_task(self._close(code, reason))

    def abort(self) -> None:
        """See `Wire.abort`."""
        self._socket.transport.abort()

    async def finished(self) -> None:
        """Wait until everything started here has ended; who hangs up waits for the last frames."""
        if self._closer is not None:
            await asyncio.gather(self._closer, return_exceptions=True)
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)

    async def _drain(self) -> None:
        client = self.client
        assert client is not None  # noqa: S101 set right after construction
        with contextlib.suppress(ConnectionClosed):
            while (data := client.outbox.pop()) is not None:
                await self._socket.send(data, text=client.codec.text)

    async def _close(self, code: CloseCode, reason: str) -> None:
        if code is not CloseCode.SLOW and self._writer is not None:
            await asyncio.wait([self._writer], timeout=1)
        await self._socket.close(code, reason.encode()[:120].decode(errors="ignore"))


class Gateway:
    """Serves connections until each ends.

    Args:
        door: where hello and requests go.
        origins: Origins that may open the WebSocket, besides the own host.
        clock: for timeouts and for the time in pongs.
    """

    def __init__(
        self,
        door: Door,
        clock: Clock,
        *,
        origins: tuple[str, ...] = (),
    ) -> None:
        self._door = door
        self._origins = frozenset(origins)
        self._clock = clock
        self.clients: set[Client] = set()
        self._shed_before = 0

    @property
    def shed(self) -> int:
        """Passing frames that slow clients never got, since the start."""
        return self._shed_before + sum(client.outbox.shed for client in self.clients)

    def accept(self, connection: Any, request: Request) -> Response | None:
        """Refuse upgrades of other paths, of other sites' pages and without our subprotocol."""
        path = urlsplit(request.path).path
        if path != WEBSOCKET_PATH:
            return _refuse(connection, http.HTTPStatus.NOT_FOUND, "No such page.\n")
        origins = request.headers.get_all("Origin")
        hosts = request.headers.get_all("Host")
        if len(hosts) != 1:  # RFC 9112 section 3.2
            return _refuse(connection, http.HTTPStatus.BAD_REQUEST, "Name one host.\n")
        if len(origins) > 1 or (origins and not self._allowed(origins[0], hosts[0])):
            return _refuse(connection, http.HTTPStatus.FORBIDDEN, "Origin not allowed.\n")
        offered = ",".join(request.headers.get_all("Sec-WebSocket-Protocol"))
        if not any(name.strip() in CODECS for name in offered.split(",")):
            wanted = "Ask for a subprotocol: " + ", ".join(CODECS) + "\n"
            return _refuse(connection, http.HTTPStatus.BAD_REQUEST, wanted)
        return None

    async def handle(self, socket: PublicConnection) -> None:
        """One connection, from the finished upgrade to its end."""
        assert socket.subprotocol is not None  # noqa: S101 `accept` refused others
        machine = Connection(CODECS[socket.subprotocol], self._clock.now())
        wire = SocketWire(socket)
        client = Client(machine, wire)
        wire.client = client
        self.clients.add(client)
        keeper = asyncio.create_task(self._keep_alive(client))
        requests = _Requests(self, client, socket)
        try:
            async for data in socket:
                await requests.room_for_one()
                requests.carry_out(machine.receive(data, self._clock.now()))
                if client.attached and not client.heard:
                    client.heard = True
                    self._door.heard(client)
                if machine.state is State.CLOSED:
                    break
        except ConnectionClosed:
            pass
        except Exception:  # our bug: loud in the log, one connection's loss for the client
            log.exception("connection failed")
            client.close(CloseCode.INTERNAL)
        finally:
            client.lost()
            keeper.cancel()
            self.clients.discard(client)
            self._shed_before += client.outbox.shed
            self._door.lost(client)
            await requests.finished()
            await wire.finished()

    def abort(self) -> None:
        """Drop every connection that is left, without a word."""
        for client in list(self.clients):
            client.abort()

    async def enter(self, client: Client, socket: PublicConnection, hello: Enter) -> None:
        """Pass a hello to the door."""
        log.info("hello", extra={"client": hello.hello.client or "unnamed"})
        try:
            await self._door.enter(client, hello)
        except RequestError as error:
            self.refuse_hello(client, hello, error)
        except Exception as error:  # noqa: BLE001 our bug: logged with the reference the client gets
            self.refuse_hello(client, hello, internal_error("hello", error))
        else:
            socket.place.release()

    def refuse_hello(self, client: Client, hello: Enter, error: RequestError) -> None:
        """Say why, and close."""
        if client.connection.state is State.CLOSED:
            return
        for output in client.connection.refused(hello.request_id, error):
            self.carry_out_one(client, output)

    async def perform(self, client: Client, request: Perform) -> None:
        """Pass a request to the door and answer its refusal."""
        try:
            await self._door.perform(client, request)
        except RequestError as error:
            client.send_frame(_refusal(request.request_id, error))
        except Exception as error:  # noqa: BLE001 our bug: logged with the reference the client gets
            refusal = internal_error(request.action.method, error)
            client.send_frame(_refusal(request.request_id, refusal))

    def carry_out_one(self, client: Client, output: Output) -> None:
        """Send or hang up."""
        if isinstance(output, Send):
            frame = output.frame
            if isinstance(frame, Pong) and frame.now is UNSET:
                frame = msgspec.structs.replace(frame, now=stamp(self._clock.wall()))
            client.send(Encoded(frame))
        elif isinstance(output, Hang):
            client.close(output.code, output.reason)

    async def _keep_alive(self, client: Client) -> None:
        while (due := client.connection.next_timeout()) is not None:
            await asyncio.sleep(max(0.0, due - self._clock.now()))
            for output in client.connection.handle_timeout(self._clock.now()):
                self.carry_out_one(client, output)

    def _allowed(self, origin: str, host: str) -> bool:
        if origin in self._origins:
            return True
        parts = urlsplit(origin)
        return parts.scheme in {"http", "https"} and bool(host) and parts.netloc == host


class _Requests:
    """The requests of one connection that are under way: bounded, and awaited at its end."""

    def __init__(self, gateway: Gateway, client: Client, socket: PublicConnection) -> None:
        self._gateway = gateway
        self._client = client
        self._socket = socket
        self._tasks: set[asyncio.Task[None]] = set()

    async def room_for_one(self) -> None:
        while len(self._tasks) >= MAX_IN_FLIGHT:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)

    def carry_out(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Enter):
                self._start(self._gateway.enter(self._client, self._socket, output))
            elif isinstance(output, Perform):
                self._start(self._gateway.perform(self._client, output))
            else:
                self._gateway.carry_out_one(self._client, output)

    async def finished(self) -> None:
        """What was decided may still be committed; nobody waits for more."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)
        for task in self._tasks:
            task.cancel()

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _refusal(request_id: str, error: RequestError) -> Refusal:
    return Refusal(request_id, error.body())


def _refuse(connection: Any, status: http.HTTPStatus, text: str) -> Response:
    response: Response = connection.respond(status, text)
    return response
