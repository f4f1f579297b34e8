"""Generated datagrams of each kind at the media port of a whole server."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterable

from pylibsrtp import Error

from tests.support.api import Api
from tests.support.wait import until

from .bystanders import ask, enter, weathering
from .datagrams import client_hello, dtls_record, of_strangers, sealable_rtcp, sealable_rtp
from .insider import infiltrate
from .noise import ROUNDS, seeded

SOCKETS = 4
BURST = 25
"""Datagrams between two breaths, far below what the port's buffer holds."""
DTLS_INSIDERS = 4


async def send(sockets: list[socket.socket], to: tuple[str, int], all_of: Iterable[bytes]) -> int:
    """Send without outrunning the receiver; how many went out."""
    count = 0
    for datagram in all_of:
        count += 1
        # An empty or oversized datagram may be refused by the kernel: not our subject.
        with contextlib.suppress(OSError):
            sockets[count % len(sockets)].sendto(datagram, to)
        if count % BURST == 0:
            await asyncio.sleep(0.001)
    return count


def heard(via: socket.socket) -> list[bytes]:
    """What has arrived at a socket."""
    datagrams = []
    via.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            datagrams.append(via.recv(4096))
    via.settimeout(0.2)
    return datagrams


@contextlib.asynccontextmanager
async def insiders(server, count: int):
    """Participants of one training, the first its host, each with a checked transport."""
    booking = await Api(server.url, server.dev["api_key"]).book(kind="training")
    host = await enter(booking["host_url"])
    made = [await infiltrate(host)]
    for number in range(1, count):
        eve = await enter(
            booking["guest_url"], name=f"Eve {number}", device=f"insider-{number:016}",
            wait_for_snapshot=False,
        )  # fmt: skip
        if eve.hello_reply["state"] == "waiting":
            await ask(host, "lobby.admit", {"ids": [eve.id]})
        await eve.until(lambda eve=eve: eve.of("snapshot"))
        made.append(await infiltrate(eve))
    yield made
    for insider in made:
        await insider.leave()


async def test_no_strangers_datagram_harms_the_server_or_is_answered(server):
    """Datagrams of each kind from unverified addresses: silence, and a meeting beside goes on."""
    noise = seeded("strangers")
    async with weathering(server), insiders(server, 1) as (insider,):
        sockets = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(SOCKETS)]
        for via in sockets:
            via.bind(("127.0.0.1", 0))
        for generate in of_strangers(insider.ufrag, insider.ssrcs).values():
            count = await send(sockets, insider.server, (generate(noise) for _ in range(ROUNDS)))
            assert count == ROUNDS
        # The port still answers those who may be answered, so it has read what came before.
        await insider.check()
        assert [heard(via) for via in sockets] == [[]] * SOCKETS
        await insider.shake_hands()
        for via in sockets:
            via.close()


async def test_no_dtls_of_an_insider_harms_anybody_else(server):
    """Spoilt DTLS from checked addresses, before and after a handshake, reaches Python safely."""
    noise = seeded("dtls of insiders")
    hello = client_hello()
    async with weathering(server), insiders(server, DTLS_INSIDERS) as made:
        for number, insider in enumerate(made):
            if number % 2:
                await insider.shake_hands()
            share = -(-ROUNDS // DTLS_INSIDERS)
            records = (dtls_record(noise, hello) for _ in range(share))
            await send([insider.socket], insider.server, records)
        assert {insider.peer.close_code for insider in made} == {None}


async def test_no_authentic_media_harms_anybody_else(server):
    """RTP and RTCP under the right keys, hostile inside: a meeting beside goes on."""
    noise = seeded("media of insiders")
    async with weathering(server), insiders(server, 2) as (sender, viewer):
        for insider in (sender, viewer):
            await insider.shake_hands()
        for source in ("mic", "camera"):
            await ask(sender.peer, "track.set", {"source": source, "on": True})
        seal = sender.sealer()
        numbers: dict[int, int] = {}
        rtp = sealed_by(seal.protect, lambda: sealable_rtp(noise, sender.ssrcs, numbers))
        assert await send([sender.socket], sender.server, rtp) == ROUNDS
        # The server reports on streams that it has authenticated: the storm got inside.
        await until(lambda: any(is_srtcp(datagram) for datagram in heard(sender.socket)))
        await until(lambda: any(is_srtp(datagram) for datagram in heard(viewer.socket)))
        rtcp = sealed_by(seal.protect_rtcp, lambda: sealable_rtcp(noise, sender.ssrcs))
        assert await send([sender.socket], sender.server, rtcp) == ROUNDS
        await sender.check()
        await viewer.check()


def is_srtcp(datagram: bytes) -> bool:
    """RFC 5761 section 4."""
    return 128 <= datagram[0] < 192 and 192 <= datagram[1] < 224


def is_srtp(datagram: bytes) -> bool:
    """The rest of RFC 7983's range."""
    return 128 <= datagram[0] < 192 and not 192 <= datagram[1] < 224


def sealed_by(protect: Callable[[bytes], bytes], make: Callable[[], bytes]) -> Iterable[bytes]:
    """Sealed datagrams; plaintexts that libsrtp refuses to seal are made anew."""
    for _ in range(ROUNDS):
        while True:
            try:
                yield protect(make())
                break
            except (Error, ValueError, TypeError):
                continue
