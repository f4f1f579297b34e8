"""Bodies that are too long, too slow, or end early."""

import asyncio

import aiohttp
import pytest
from aiohttp import web
from aiohttp.base_protocol import BaseProtocol

from signaling.http.incoming import (
    CutOffError,
    GarbledError,
    TooLargeError,
    TooSlowError,
    read_body,
)


@pytest.fixture
async def stream():
    """A request's body, to be fed."""
    loop = asyncio.get_running_loop()
    protocol = BaseProtocol(loop)
    protocol.connection_made(asyncio.Transport())
    return aiohttp.StreamReader(protocol, limit=2**16, loop=loop)


async def test_a_body_up_to_the_limit_is_read(stream):
    """The limit itself is allowed; the pieces do not matter."""
    for piece in (b"12", b"345"):
        stream.feed_data(piece)
    stream.feed_eof()
    assert await read_body(stream, 5) == b"12345"


async def test_one_byte_more_is_refused_before_the_end(stream):
    """Nobody waits for the rest of what is too long already."""
    stream.feed_data(b"123456")
    with pytest.raises(TooLargeError):
        await read_body(stream, 5)


async def test_a_body_that_does_not_come_is_given_up(stream):
    """A trickle holds nothing for ever."""
    stream.feed_data(b"1")
    with pytest.raises(TooSlowError):
        await read_body(stream, 5, within=0.01)


async def test_a_caller_who_hangs_up_is_no_fault_of_ours(stream):
    """The connection's error does not pass for one of the database."""
    stream.feed_data(b"1")
    stream.set_exception(ConnectionResetError("Connection lost"))
    with pytest.raises(CutOffError):
        await read_body(stream, 5)


async def test_a_body_that_breaks_its_own_framing_is_the_callers_mistake(stream):
    """What aiohttp cannot read is refused, and no fault of ours."""
    stream.feed_data(b"1")
    stream.set_exception(web.RequestPayloadError("not enough data"))
    with pytest.raises(GarbledError):
        await read_body(stream, 5)
