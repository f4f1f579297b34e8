"""Two hundred clients, one slow client, and hostile ones: the well-behaved notice nothing."""

import asyncio
import contextlib
import json
import os
import pathlib
import random
import resource
import secrets
import time
from collections import Counter

import aiohttp
import msgpack
import pytest
from websockets.exceptions import ConnectionClosed

from tests.support import client
from tests.support.api import Api
from tests.support.wait import until

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
    """200 clients are in within seconds, and a chat-sized event reaches every one of them."""
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
    """Who reads nothing costs about a megabyte, is closed as slow, and resumes without a gap."""
    booked, host = await training(sqlite_server)
    talkers = await crowd(booked["guest_url"], 40)
    slow = await client.enter(
        booked["guest_url"], name="Slow", device=secrets.token_urlsafe(16), receive_buffer=4096
    )
    slow.paused.clear()
    for _ in range(10):
        await asyncio.gather(*(peer.ask("chat.send", {"body": "x" * 5000}) for peer in talkers))
    await host.until(lambda: len(host.of("chat.msg")) == 400)
    slow.paused.set()
    assert await slow.closed() == 4413
    again = await client.resume(slow)
    await again.until(lambda: again.of("snapshot") or again.of("resumed"))
    await host.ask("chat.send", {"body": "after"})
    assert (await again.next("chat.msg"))["no"] >= 1
    await again.until(lambda: any(m["body"] == "after" for m in again.of("chat.msg")))
    await leave_all(host, again, *talkers)


def hostile_frames(rng, count):
    """Seeded frames: noise, mutations of real ones, real ones with wrong values, bombs."""
    real = [
        {"id": "a", "m": "chat.send", "p": {"body": "hi", "to": None}},
        {"id": "b", "m": "lobby.admit", "p": {"ids": ["x"], "all": True, "ver": 3}},
        {"id": "c", "m": "media.offer", "p": {"sdp": "v=0", "tracks": [], "slots": []}},
        {"id": "d", "m": "view.set", "p": {"layout": "grid", "page": 0, "slots": []}},
        {"id": "e", "m": "room.policy", "p": {"patch": {"lobby": "off"}}},
        {"id": "f", "m": "mute", "p": {"source": "mic", "all": True, "except": ["x"]}},
        {"ping": 3},
    ]
    junk = [
        None,
        True,
        -1,
        2**63,
        1.5,
        "",
        "x" * 3000,
        "\U0001f600",
        [],
        [[]],
        {},
        {"a": {"b": []}},
    ]
    bombs = ["[" * 30_000, '{"a":' * 9000, "x" * 60_000, '{"id":"a","id":"b","m":"leave"}']

    def mutated(value):
        if isinstance(value, dict) and value and rng.random() < 0.8:
            changed = dict(value)
            key = rng.choice(list(changed))
            if rng.random() < 0.2:
                changed[rng.choice(["more", "", "\u0000", key.upper()])] = rng.choice(junk)
            changed[key] = mutated(changed[key])
            return changed
        return rng.choice(junk)

    for _ in range(count):
        kind = rng.random()
        if kind < 0.6:
            yield json.dumps(mutated(rng.choice(real)))
        elif kind < 0.8:
            text = bytearray(json.dumps(rng.choice(real)).encode())
            for _ in range(rng.randrange(1, 8)):
                text[rng.randrange(len(text))] = rng.randrange(256)
            yield text.decode(errors="replace")
        elif kind < 0.9:
            yield msgpack.packb(mutated(rng.choice(real)))
        elif kind < 0.98:
            yield rng.randbytes(rng.randrange(200))
        else:
            yield rng.choice(bombs)


def memory_of(pid):
    """Resident bytes of a process."""
    pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


@pytest.mark.timeout(180)
async def test_thousands_of_hostile_frames_change_nothing_for_others(sqlite_server):
    """2,000 generated frames, before and after hello: typed answers or closes, bounded memory."""
    seed = int(os.environ.get("SUNUP_TEST_SEED", "2000"))
    print(f"seed {seed}")
    rng = random.Random(seed)
    booked, host = await training(sqlite_server)
    witness, *_ = await crowd(booked["guest_url"], 1)
    before = memory_of(sqlite_server.process.pid)
    mallory = await client.enter(
        booked["guest_url"], name="Mallory", device=secrets.token_urlsafe(16)
    )
    peer, closes, refusals = mallory, Counter(), Counter()
    for number, frame in enumerate(hostile_frames(rng, 2000)):
        if peer.gone():
            closes[peer.close_code] += 1
            if number % 3 == 0:  # one that never says hello
                peer = client.Peer(await client.open_socket(witness.ws), client.JSON)
            else:
                mallory = peer = await client.resume(mallory)
        with contextlib.suppress(ConnectionClosed):
            await peer.send_raw(frame)
            await peer.ping()
        refusals.update(f["err"]["code"] for f in peer.frames if f.get("ok") is False)
        peer.frames.clear()
    print(closes, refusals)
    assert set(closes) <= {1000, 1007, 1009, 4400, 4429}, closes
    assert closes[4400] > 100
    assert refusals["bad_request"] > 100
    assert not refusals["internal"]
    await leave_all(peer, mallory)
    answer = await witness.ask("chat.send", {"body": "still fine"})
    assert answer["committed"] is True
    assert memory_of(sqlite_server.process.pid) - before < 64 * 1024 * 1024
    assert " error " not in sqlite_server.log, sqlite_server.log[-4000:]
    await leave_all(host, witness)


async def test_sockets_that_say_nothing_are_bounded(sqlite_server):
    """Beyond the cap of an address a socket is refused with 503, and places come back."""
    port = sqlite_server.port
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(256)]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert b"503" in await asyncio.wait_for(reader.read(200), 5)
    writer.close()
    for _, other in opened:
        other.close()

    async def healthy():
        with contextlib.suppress(aiohttp.ClientError):
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"{sqlite_server.url}/healthz") as answer,
            ):
                return answer.status == 200

    await until(healthy)
