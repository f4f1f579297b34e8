"""Whom the public port counts before they have said who they are."""

import asyncio
import contextlib

import pytest
from aiohttp import web
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, InvalidStatus

from signaling import port as port_module
from signaling.envelope import CODECS
from signaling.limits import PreAuthSockets
from signaling.port import LateUpgrades, bind, listen
from signaling.visitors import Proxies
from tests.support.wait import until

ONE, OTHER = "203.0.113.1", "203.0.113.2"


@contextlib.asynccontextmanager
async def port(sockets, *trusted, accept=lambda _connection, _request: None):
    """A public port that keeps every WebSocket before its hello; its number."""

    async def websocket(connection):
        try:
            await connection.wait_closed()
        finally:
            connection.slot.release()

    runner = web.AppRunner(web.Application())
    await runner.setup()
    bound = bind("127.0.0.1", 0)
    server = await listen(
        bound,
        websocket=websocket,
        accept=accept,
        http=runner.server,
        sockets=sockets,
        late=LateUpgrades(sockets),
        proxies=Proxies(trusted),
    )
    try:
        yield bound.getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
        await runner.cleanup()


async def opened(stack, number, forwarded=None):
    """The HTTP status of an upgrade; a WebSocket stays open until the stack ends."""
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    try:
        await stack.enter_async_context(
            connect(
                f"ws://127.0.0.1:{number}/ws",
                subprotocols=list(CODECS),
                additional_headers=headers,
                proxy=None,
            )
        )
    except InvalidStatus as refused:
        return refused.response.status_code
    return 101


async def test_behind_a_trusted_proxy_each_visitor_has_places_of_their_own():
    """One visitor's sockets take nothing from another's, and all of them come back."""
    sockets = PreAuthSockets(per_address=2, total=10)
    async with port(sockets, "127.0.0.1") as number:
        async with contextlib.AsyncExitStack() as stack:
            assert [await opened(stack, number, ONE) for _ in range(3)] == [101, 101, 503]
            assert await opened(stack, number, f"{ONE}, {OTHER}") == 101
            assert await opened(stack, number, OTHER) == 101
            assert await opened(stack, number, OTHER) == 503
        await until(lambda: sockets.count == 0)
        async with contextlib.AsyncExitStack() as stack:
            assert await opened(stack, number, ONE) == 101


async def test_a_refused_upgrade_gives_its_place_back():
    """Whatever the reason: otherwise refusals would lock their address out for good."""
    sockets = PreAuthSockets(per_address=2, total=2)
    async with port(sockets) as number:
        for _ in range(5):
            with pytest.raises(InvalidHandshake):
                await connect(f"ws://127.0.0.1:{number}/ws", subprotocols=["other"], proxy=None)
            await until(lambda: sockets.count == 0)


UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def errors(caplog):
    """What was logged as an error: anybody could fill the log with it."""
    return [entry for entry in caplog.records if entry.levelname == "ERROR"]


@pytest.mark.parametrize("together", [True, False])
async def test_who_does_not_wait_for_the_answer_is_let_go(together, caplog):
    """Bytes that come before an upgrade is answered are no error of ours; the place is free."""
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def accept(connection, _request):
        asked.set()
        await go_on.wait()
        return connection.respond(403, "no")

    sockets = PreAuthSockets()
    async with port(sockets, accept=accept) as number:
        reader, writer = await asyncio.open_connection("127.0.0.1", number)
        if together:
            go_on.set()
            writer.write(UPGRADE + b"no frame")
        else:
            writer.write(UPGRADE)
            await asked.wait()
            writer.write(b"no frame")
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 5) == b""
        go_on.set()
        await until(lambda: sockets.count == 0)
        writer.close()
    assert errors(caplog) == []


async def test_who_ends_before_the_answer_is_let_go(caplog):
    """The end of the input may come in the very moment of the answer."""

    def accept(connection, _request):
        connection.eof_received()
        return connection.respond(403, "no")

    sockets = PreAuthSockets()
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
    sockets = PreAuthSockets()
    async with port(sockets) as number:
        reader, writer = await asyncio.open_connection("127.0.0.1", number)
        writer.write(UPGRADE[: len(UPGRADE) // 2])
        answer = await asyncio.wait_for(reader.read(), 5)
        assert answer.startswith(b"HTTP/1.1 408 ")
        writer.close()
        await until(lambda: sockets.count == 0)


async def test_from_elsewhere_the_header_buys_no_places():
    """Who is no trusted proxy is counted by their own address, whatever they write."""
    sockets = PreAuthSockets(per_address=2, total=10)
    async with port(sockets, "192.0.2.1") as number, contextlib.AsyncExitStack() as stack:
        told = [await opened(stack, number, f"203.0.113.{last}") for last in range(3)]
        assert told == [101, 101, 503]


async def test_a_proxys_silent_sockets_count_in_all():
    """Before the head nobody knows whose they are; the cap over all still holds."""
    sockets = PreAuthSockets(per_address=1, total=3)
    async with port(sockets, "127.0.0.1") as number:
        silent = [await asyncio.open_connection("127.0.0.1", number) for _ in range(3)]
        await until(lambda: sockets.count == 3)
        reader, writer = await asyncio.open_connection("127.0.0.1", number)
        assert b" 503 " in await asyncio.wait_for(reader.read(), 5)
        for _, each in [*silent, (reader, writer)]:
            each.close()
        await until(lambda: sockets.count == 0)


@pytest.mark.parametrize("forwarded", ["unknown", "", "x" * 100])
async def test_a_proxy_that_names_nobody_is_counted_itself(forwarded):
    """A header without an address opens no unlimited door."""
    sockets = PreAuthSockets(per_address=1, total=10)
    async with port(sockets, "127.0.0.1") as number, contextlib.AsyncExitStack() as stack:
        assert [await opened(stack, number, forwarded) for _ in range(2)] == [101, 503]
