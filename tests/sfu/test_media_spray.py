"""Strangers on the media port: forged hellos, alerts and junk while 200 clients connect."""

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator

from sfu.transport import MediaState
from tests.support.media_lab import media_lab
from tests.support.peers import AiortcPeer
from tests.support.wait import until

from .dtls_pipe import OpenSSLPeer
from .test_dtls_records import ALERT, record

CLIENTS = 200


@contextlib.asynccontextmanager
async def spray(port: int, seed: int) -> AsyncIterator[list[int]]:
    """Send hostile datagrams from addresses that never passed a check; yields their number."""
    rng = random.Random(seed)
    hello = OpenSSLPeer().step([])
    kinds = [
        hello[:1200],
        ALERT,
        record(21, b"\1\0"),
        record(22, b"\1" + b"x" * 60),
        record(23, b"y"),
    ]
    sent = [0]
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(8)]
    for sender in sockets:
        sender.setblocking(False)

    async def work() -> None:
        while True:
            for _ in range(5):
                datagram = rng.choice([*kinds, rng.randbytes(rng.randrange(1, 200))])
                with contextlib.suppress(BlockingIOError):
                    rng.choice(sockets).sendto(datagram, ("127.0.0.1", port))
                    sent[0] += 1
            await asyncio.sleep(0.005)

    task = asyncio.ensure_future(work())
    try:
        yield sent
    finally:
        task.cancel()
        for sender in sockets:
            sender.close()


async def test_two_hundred_clients_connect_under_a_spray() -> None:
    """Every one of 200 connections succeeds, and the strangers' bytes reach no transport."""
    async with media_lab() as lab, spray(lab.engine.port, seed=31) as sent:
        peers = [AiortcPeer(f"p{number}") for number in range(CLIENTS)]
        for peer in peers:
            peer.pc.createDataChannel("x")
        try:
            for start in range(0, CLIENTS, 20):
                await asyncio.gather(*(lab.join(peer) for peer in peers[start : start + 20]))
            # Clients without media check every 5 s only, so some may look absent for a moment.
            alive = {MediaState.CONNECTED, MediaState.DISCONNECTED}
            assert all(seat.transport.state in alive for seat in lab.seats.values())
            assert all(seat.states[1][0] is MediaState.CONNECTED for seat in lab.seats.values())
            await until(
                lambda: sent[0] > 1000, timeout=60
            )  # as many as a slow machine could not yet
            stats = lab.engine.stats()
            assert stats["dropped_unverified"] + stats["dropped_unknown_protocol"] > sent[0] // 2
        finally:
            await asyncio.gather(*(peer.close() for peer in peers))
