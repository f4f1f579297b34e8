"""Whom the public port counts before they have said who they are."""

import asyncio
import contextlib
import gc
import socket

import aiohttp
import pytest
from aiohttp import web
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.protocol import State

from signaling import port as port_module
from signaling.envelope import CODECS
from signaling.limits import CONTROL_BURST, AnonymousSockets, SocketPlace
from signaling.port import (
    MAX_STEP,
    SEND_BUFFER,
    UNREAD_TIMEOUT,
    HttpConnection,
    PublicConnection,
    become_websocket,
    bind,
    descriptors,
    listen,
)
from signaling.visitors import Proxies
from storage.turns import Turns
from tests.support.wait import until

ONE, OTHER = "203.0.113.1", "203.0.113.2"
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@contextlib.asynccontextmanager
async def port(
    sockets,
    *trusted,
    accept=lambda _connection, _request: None,
    keep_alive=60.0,
    turns=None,
):
    """A public port that keeps every WebSocket before its hello; its number."""

    async def websocket(connection):
        with contextlib.suppress(ConnectionClosed):
            async for message in connection:
                await connection.send(message)

    async def here(_request):
        return web.Response(text="here\n")

    async def upgrade(request):
        transport = request.transport
        transport.pause_reading()  # as aiohttp does with who asks faster than it answers
        request.protocol.transport = None
        request.protocol.connection_lost(None)
        protocol = b"Sec-WebSocket-Protocol: " + next(iter(CODECS)).encode()
        become_websocket(transport, UPGRADE[:-2] + protocol + b"\r\n\r\n", request.remote)
        return web.Response()

    application = web.Application()
    application.router.add_get("/", here)
    application.router.add_get("/ws", upgrade)
    runner = web.AppRunner(application, keepalive_timeout=keep_alive)
    await runner.setup()
    bound = bind("127.0.0.1", 0)
    server = await listen(
        bound,
        websocket=websocket,
        accept=accept,
        http=runner.server,
        sockets=sockets,
        proxies=Proxies(trusted),
        turns=turns or Turns(pauses=True),
    )
    try:
        yield bound.getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
        await runner.cleanup()


async def opened(stack, number, forwarded=None):
    """A WebSocket that stays open until the stack ends, or the server closes it."""
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    return await stack.enter_async_context(
        connect(
            f"ws://127.0.0.1:{number}/ws",
            subprotocols=list(CODECS),
            additional_headers=headers,
            proxy=None,
        )
    )


async def gave_way(*sockets):
    """Which of them were closed; the last one must not be among them."""
    await until(lambda: any(each.state is State.CLOSED for each in sockets))
    return [each.state is State.CLOSED for each in sockets]


async def test_behind_a_trusted_proxy_each_visitor_has_places_of_their_own():
    """One visitor's sockets take nothing from another's, and all of them come back."""
    sockets = AnonymousSockets(per_address=2, total=10)
    async with port(sockets, "127.0.0.1") as number:
        async with contextlib.AsyncExitStack() as stack:
            others = [await opened(stack, number, name) for name in (OTHER, f"{ONE}, {OTHER}")]
            own = [await opened(stack, number, ONE) for _ in range(3)]
            assert await gave_way(*own, *others) == [True, False, False, False, False]
        await until(lambda: sockets.count == 0)


async def test_what_a_client_does_not_read_is_bounded_in_the_kernel(monkeypatch):
    """For HTTP as for WebSockets; and who acknowledges nothing at all is given up."""
    connected = []
    enter = AnonymousSockets.enter

    def note(self, visitor, close):
        connected.append(close.__self__.get_extra_info("socket"))
        return enter(self, visitor, close)

    monkeypatch.setattr(AnonymousSockets, "enter", note)
    async with port(AnonymousSockets()) as number, contextlib.AsyncExitStack() as stack:
        await opened(stack, number)
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{number}/"):
            for each in connected:
                # Linux counts its own book-keeping, too, and so doubles what it is told.
                assert each.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 2 * SEND_BUFFER
                waits = each.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
                assert waits == UNREAD_TIMEOUT * 1000
    assert len(connected) == 2


async def test_a_kept_connection_keeps_its_place():
    """Who asks once and then only holds the socket is counted, and gives way to a newcomer."""
    sockets = AnonymousSockets(per_address=2, total=10)
    async with port(sockets) as number:
        kept = []
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", number)
            kept.append((reader, writer))
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"here" in await asyncio.wait_for(reader.readuntil(b"here\n"), 5)
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(kept[0][0].read(), 5) == b""
        assert sockets.count == 2
        kept[1][1].write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.wait_for(kept[1][0].readuntil(b"here\n"), 5)
        async with contextlib.AsyncExitStack() as stack:
            newcomer = await opened(stack, number)
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.wait_for(kept[2][0].read(), 5) == b""
            assert newcomer.state is State.OPEN
        for _, writer in kept:
            writer.close()
        await until(lambda: sockets.count == 0)


async def test_a_kept_connection_that_becomes_a_websocket_has_one_place_and_is_read():
    """Its place as a connection of HTTP is free, and what came to a stop goes on."""
    sockets = AnonymousSockets()
    async with port(sockets) as number:
        reader, writer = await asyncio.open_connection("127.0.0.1", number)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.wait_for(reader.readuntil(b"here\n"), 5)
        writer.write(UPGRADE)
        assert b" 101 " in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert sockets.count == 1
        writer.write(b"\x81\x82\0\0\0\0hi")
        assert await asyncio.wait_for(reader.readexactly(4), 5) == b"\x81\x02hi"
        writer.close()
        await until(lambda: sockets.count == 0)


async def test_a_connection_that_rests_too_long_is_closed():
    """Also one that has begun its next request, and goes no further."""
    sockets = AnonymousSockets()
    async with port(sockets, keep_alive=0.05) as number:
        for rest in (b"", b"GET / HT"):
            reader, writer = await asyncio.open_connection("127.0.0.1", number)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + rest)
            assert (await asyncio.wait_for(reader.read(), 5)).endswith(b"here\n")
            writer.close()
        await until(lambda: sockets.count == 0)


async def test_a_refused_upgrade_gives_its_place_back():
    """Whatever the reason: otherwise refusals would lock their address out for good."""
    sockets = AnonymousSockets(per_address=2, total=2)
    async with port(sockets) as number:
        for _ in range(5):
            with pytest.raises(InvalidHandshake):
                await connect(f"ws://127.0.0.1:{number}/ws", subprotocols=["other"], proxy=None)
            await until(lambda: sockets.count == 0)


async def test_connections_that_ended_leave_nothing():
    """Neither of HTTP nor of a WebSocket, taken or refused: whoever comes often would fill the memory."""

    def left():
        gc.collect()
        kinds = (HttpConnection, PublicConnection, SocketPlace)
        return [each for each in gc.get_objects() if isinstance(each, kinds)]

    sockets, before = AnonymousSockets(), len(left())
    async with port(sockets) as number:
        for _ in range(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", number)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 200")
            writer.close()
            await writer.wait_closed()
            with pytest.raises(InvalidHandshake):
                await connect(f"ws://127.0.0.1:{number}/ws", subprotocols=["other"], proxy=None)
            async with connect(
                f"ws://127.0.0.1:{number}/ws", subprotocols=list(CODECS), proxy=None
            ):
                pass
        await until(lambda: len(left()) == before)


def errors(caplog):
    """What was logged as an error: anybody could fill the log with it."""
    return [entry for entry in caplog.records if entry.levelname == "ERROR"]


@pytest.mark.parametrize("together", [True, False])
async def test_who_does_not_wait_for_the_answer_is_let_go(together, caplog):
    """Bytes that come before an upgrade is answered are no error of ours; the place is free."""

    def accept(connection, _request):
        return connection.respond(403, "no")

    sockets, turns = AnonymousSockets(), Turns()
    async with port(sockets, accept=accept, turns=turns) as number:
        reader, writer = await asyncio.open_connection("127.0.0.1", number)
        async with contextlib.AsyncExitStack() as stack:
            if together:
                writer.write(UPGRADE + b"no frame")
            else:
                await stack.enter_async_context(turns.take("somebody"))
                writer.write(UPGRADE)
                await until(turns.waiting)
                writer.write(b"no frame")
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.wait_for(reader.read(), 5) == b""
        await until(lambda: sockets.count == 0)
        writer.close()
    assert errors(caplog) == []


async def test_who_ends_before_the_answer_is_let_go(caplog):
    """The end of the input may come in the very moment of the answer."""

    def accept(connection, _request):
        connection.eof_received()
        return connection.respond(403, "no")

    sockets = AnonymousSockets()
    async with port(sockets, accept=accept) as number:
        reader, writer = await asyncio.open_connection("127.0.0.1", number)
        writer.write(UPGRADE)
        assert b" 403 " in await asyncio.wait_for(reader.read(), 5)
        writer.close()
        await until(lambda: sockets.count == 0)
    assert errors(caplog) == []


async def test_who_stops_in_the_middle_of_the_head_is_told_and_let_go(monkeypatch):
    """A socket that dribbles keeps its place for no longer than the head may take."""
    monkeypatch.setattr(port_module, "HEAD_TIMEOUT", 0.05)
    sockets = AnonymousSockets()
    async with port(sockets) as number:
        reader, writer = await asyncio.open_connection("127.0.0.1", number)
        writer.write(UPGRADE[: len(UPGRADE) // 2])
        answer = await asyncio.wait_for(reader.read(), 5)
        assert answer.startswith(b"HTTP/1.1 408 ")
        writer.close()
        await until(lambda: sockets.count == 0)


async def test_from_elsewhere_the_header_buys_no_places():
    """Who is no trusted proxy is counted by their own address, whatever they write."""
    sockets = AnonymousSockets(per_address=2, total=10)
    async with port(sockets, "192.0.2.1") as number, contextlib.AsyncExitStack() as stack:
        own = [await opened(stack, number, f"203.0.113.{last}") for last in range(3)]
        assert await gave_way(*own) == [True, False, False]


async def test_a_proxys_silent_sockets_count_in_all():
    """Before the head nobody knows whose they are; the cap over all still holds."""
    sockets = AnonymousSockets(per_address=1, total=3)
    async with port(sockets, "127.0.0.1") as number:
        silent = [await asyncio.open_connection("127.0.0.1", number) for _ in range(4)]
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(silent[0][0].read(), 5) == b""
        await until(lambda: sockets.count == 3)
        for _, writer in silent:
            writer.close()
        await until(lambda: sockets.count == 0)


@pytest.mark.parametrize("forwarded", ["unknown", "", "x" * 100])
async def test_a_proxy_that_names_nobody_is_counted_itself(forwarded):
    """A header without an address opens no unlimited door."""
    sockets = AnonymousSockets(per_address=1, total=10)
    async with port(sockets, "127.0.0.1") as number, contextlib.AsyncExitStack() as stack:
        own = [await opened(stack, number, forwarded) for _ in range(2)]
        assert await gave_way(*own) == [True, False]


def masked(opcode, payload=b"", *, final=True):
    """A client's frame of RFC 6455, with a mask of zeros."""
    return bytes([opcode | (0x80 if final else 0), 0x80 | len(payload), 0, 0, 0, 0]) + payload


FLOODS = {
    "pings": (b"", masked(0x9, b"x" * 125), masked(0x1, b"one")),
    "pongs": (b"", masked(0xA), masked(0x1, b"one")),
    "pieces": (masked(0x1, b"on", final=False), masked(0x0, final=False), masked(0x0, b"e")),
}
"""What begins, what may be repeated, and what makes "one" of it."""


@pytest.mark.parametrize("kind", FLOODS)
async def test_frames_that_begin_no_message_are_counted(kind):
    """Pings, pongs and empty pieces are cheap to send: beyond a burst the connection is closed."""
    begin, frame, end = FLOODS[kind]
    async with port(AnonymousSockets()) as number:
        reader, writer = await asyncio.open_connection("127.0.0.1", number)
        subprotocol = f"Sec-WebSocket-Protocol: {next(iter(CODECS))}\r\n\r\n".encode()
        writer.write(UPGRADE[:-2] + subprotocol)
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        writer.write(begin + frame * (int(CONTROL_BURST) - 1) + end)
        await asyncio.wait_for(reader.readuntil(b"\x81\x03one"), 5)
        writer.write(begin + frame * 2 * int(CONTROL_BURST))
        answer = await asyncio.wait_for(reader.read(), 5)
        assert (4429).to_bytes(2) + b"too many" in answer
        assert answer.count(b"\x8a\x7dx") <= 1 + MAX_STEP // len(
            frame
        )  # pongs, no more than a turn's
        writer.close()


def test_a_shells_limit_of_descriptors_is_raised(monkeypatch):
    """As far as the system allows and no further."""
    asked = []
    monkeypatch.setattr("resource.getrlimit", lambda _: (1024, 4096))
    monkeypatch.setattr("resource.setrlimit", lambda _, limits: asked.append(limits))
    assert descriptors() == 4096
    assert asked == [(4096, 4096)]


async def test_websockets_begin_in_turn_and_who_hung_up_is_passed_over():
    """One in each pass, visitors in rotation: a handshake is work of the loop that all wait for."""
    turns, begun, sockets = Turns(), [], AnonymousSockets()

    def accept(connection, request):
        begun.append(request.headers["X-Forwarded-For"])

    async with (
        port(sockets, "127.0.0.1", accept=accept, turns=turns) as number,
        contextlib.AsyncExitStack() as stack,
    ):
        async with turns.take("somebody"):
            coming = []
            for visitor in (ONE, ONE, OTHER):
                coming.append(asyncio.create_task(opened(stack, number, visitor)))
                await until(lambda: turns.waiting() == len(coming))
            gone = asyncio.create_task(opened(stack, number, OTHER))
            await until(lambda: turns.waiting() == 4)
            gone.cancel()
            await asyncio.wait([gone])
            await until(lambda: sockets.count == 3)
            assert begun == []
        await asyncio.wait_for(asyncio.gather(*coming), 10)
        await until(lambda: turns.waiting() == 0)
        assert begun == [ONE, OTHER, ONE]
