"""Two hundred clients, a slow one, and sockets that say nothing: the others notice nothing."""

import asyncio
import contextlib
import secrets
import time

import aiohttp
import pytest

from tests.support import client
from tests.support.api import Api

CROWD = 200


async def training(server, *, lobby="off"):
    """A training room whose guests come straight in, and its host."""
    booked = await Api(server.url, server.dev["api_key"]).book(kind="training")
    host = await client.enter(booked["host_url"])
    await host.ask("room.policy", {"patch": {"lobby": lobby}})
    return booked, host


async def crowd(link, count):
    """`count` guests who join at once."""
    return await asyncio.gather(
        *(
            client.enter(link, name=f"Guest {number}", device=secrets.token_urlsafe(16))
            for number in range(count)
        )
    )


async def leave_all(*peers):
    await asyncio.gather(*(peer.close() for peer in peers))


@pytest.mark.timeout(180)
async def test_two_hundred_join_and_hear_one_event(server):
    """Of 200 clients who join at once all are in, and an event of a chat's size reaches each once."""
    booked, host = await training(server)
    began = time.monotonic()
    guests = await crowd(booked["guest_url"], CROWD)
    joined = time.monotonic() - began
    assert {guest.hello_reply["state"] for guest in guests} <= {"active", "joining"}
    assert len({guest.id for guest in guests}) == CROWD
    began = time.monotonic()
    await host.ask("chat.send", {"body": "x" * 200})
    await asyncio.gather(*(guest.next("chat.msg", timeout=20) for guest in guests))
    reached = time.monotonic() - began
    print(f"{CROWD} joined in {joined:.2f} s; one event reached all in {reached * 1000:.0f} ms")
    sequence = {guest.of("chat.msg")[0]["no"] for guest in guests}
    assert sequence == {1}
    await leave_all(host, *guests)


async def test_a_slow_client_is_closed_and_the_others_are_not_delayed(sqlite_server):
    """Who reads nothing costs about a megabyte, is closed as slow, and goes on without a gap."""
    booked, host = await training(sqlite_server)
    talkers = await crowd(booked["guest_url"], 44)
    slow = await client.enter(
        booked["guest_url"], name="Slow", device=secrets.token_urlsafe(16), receive_buffer=4096
    )
    slow.paused.clear()
    for _ in range(10):  # as often as they may at once; more than a stream keeps for who comes back
        await asyncio.gather(*(peer.ask("chat.send", {"body": "x" * 5000}) for peer in talkers))
    await host.until(lambda: len(host.of("chat.msg")) == 440)
    slow.paused.set()
    assert await slow.closed() == 4413
    heard = [message["no"] for message in slow.of("chat.msg")]
    assert heard == list(range(1, len(heard) + 1))
    again = await client.resume(slow)
    await again.next("snapshot")
    await host.ask("chat.send", {"body": "after"})
    await again.until(lambda: any(m["body"] == "after" for m in again.of("chat.msg")))
    told = [message["no"] for message in again.snapshot["chat"] + again.of("chat.msg")]
    assert told == list(range(391, 442)), "the last 50 and what followed, each once, in order"
    await leave_all(host, again, *talkers)


async def test_sockets_that_say_nothing_keep_nobody_out(sqlite_server):
    """Beyond the cap of an address its oldest silent socket gives way to whoever comes."""
    port = sqlite_server.port
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(600)]
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{sqlite_server.url}/healthz") as answer,
    ):
        assert answer.status == 200
    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.wait_for(silent[0][0].read(), 30) == b""
    for _, writer in silent:
        writer.close()
