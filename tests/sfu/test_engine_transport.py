"""Transports on a real socket: who gets in, what is opened, and what a hostile network costs."""

import random
import socket
import threading
import time
from typing import Self

import pytest

from sfu import _engine
from tests.support.wire_peer import PROFILES, EventLog, WirePeer, opus_packet

CLIENT_HELLO = bytes([22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 60]) + bytes([1]) + bytes(59)
FATAL_ALERT = bytes([21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40])


@pytest.fixture
def engine():
    """An engine on a free port of this machine."""
    engine = _engine.Engine(host="127.0.0.1")
    yield engine
    engine.close()


@pytest.fixture
def peer(engine):
    """A peer that has done nothing yet."""
    peer = WirePeer(engine, engine.create_room())
    yield peer
    peer.close()


@pytest.mark.parametrize("profile", PROFILES)
def test_a_check_and_keys_make_a_connection(engine, peer, profile):
    """new, then checking, then connected; then what libsrtp seals is opened."""
    log = EventLog(engine)
    peer.check()
    log.wait_for_state(peer.transport, "checking")
    peer.exchange_keys(profile)
    log.wait_for_state(peer.transport, "connected")
    for n in range(10):
        peer.send_rtp(opus_packet(n, ssrc=1))
    peer.wait_for_stat("srtp_packets_in", 10)
    assert log.states(peer.transport) == ["checking", "connected"]


def test_dtls_passes_both_ways_over_the_checked_address_only(engine, peer):
    """Records come up from where the check came, go down to where it came from."""
    log = EventLog(engine)
    peer.socket.sendto(b"\x16too early", peer.server)
    engine.send_dtls(peer.transport, b"\x16nowhere to go")
    peer.check()
    peer.socket.sendto(CLIENT_HELLO, peer.server)
    event = log.wait_for(lambda event: event[0] == _engine.DTLS_RECORD)
    assert event == (_engine.DTLS_RECORD, peer.transport, CLIENT_HELLO)
    engine.send_dtls(peer.transport, b"\x16hello back")
    assert peer.socket.recv(2048) == b"\x16hello back"
    assert engine.stats()["dropped_dtls_unsent"] == 1


def test_media_follows_a_peer_that_moves(engine, peer):
    """A check from the new address brings everything there; media alone does not."""
    log = EventLog(engine)
    peer.connect()
    engine.send_dtls(peer.transport, b"\x17first")
    assert peer.socket.recv(2048) == b"\x17first"
    peer.move()
    peer.send_rtp(opus_packet(1, ssrc=1))
    peer.check()
    engine.send_dtls(peer.transport, b"\x17second")
    assert peer.socket.recv(2048) == b"\x17second"
    peer.send_rtp(opus_packet(2, ssrc=1))
    peer.wait_for_stat("srtp_packets_in", 1)
    stats = engine.transport_stats(peer.transport)
    assert stats["srtp_packets_in"] == 1, "the packet before the check was let in"
    assert stats["address_migrations"] == 1
    log.wait_for_state(peer.transport, "connected")
    assert "disconnected" not in log.states(peer.transport)


def test_an_ice_restart_keeps_keys_and_state(engine, peer):
    """New credentials, same association: nothing is set up again."""
    log = EventLog(engine)
    peer.connect()
    log.wait_for_state(peer.transport, "connected")
    peer.ufrag, peer.pwd = engine.restart_ice(peer.transport)
    peer.move()
    peer.check()
    peer.send_rtp(opus_packet(1, ssrc=1))
    peer.wait_for_stat("srtp_packets_in", 1)
    assert log.states(peer.transport) == ["checking", "connected"]


def test_replayed_reordered_and_changed_packets(engine, peer):
    """Each authentic packet is let in once, in any order; nothing else is, and nothing hangs up."""
    seed = 5
    print(f"seed {seed}")
    rng = random.Random(seed)
    log = EventLog(engine)
    peer.connect()
    wires = [peer.seal(opus_packet(n, ssrc=1, payload=rng.randbytes(80))) for n in range(600)]
    peer.socket.sendto(wires[0], peer.server)
    order = wires[1:]
    rng.shuffle(order)
    for count, wire in enumerate(order):
        changed = bytearray(wire)
        changed[rng.randrange(12, len(wire))] ^= 1 << rng.randrange(8)
        for datagram in (changed, wire, wire):
            peer.socket.sendto(datagram, peer.server)
        if count % 100 == 0:
            engine.stats()  # lets the worker keep up with this loop
    peer.wait_for_stat("dropped_replayed", 599)
    stats = engine.transport_stats(peer.transport)
    assert stats["srtp_packets_in"] == 600
    assert stats["dropped_replayed"] == 599
    # Some of the changes hit the length of the header extension.
    assert stats["dropped_inauthentic"] + stats["dropped_malformed"] == 599
    assert stats["dropped_inauthentic"] > 500
    log.wait_for_state(peer.transport, "connected")
    assert log.states(peer.transport)[-1] == "connected"


def test_a_peer_cannot_open_streams_without_limit(engine, peer):
    """64 streams a transport; forged ones take no place."""
    peer.connect()
    for ssrc in range(1000):
        peer.socket.sendto(opus_packet(1, ssrc=ssrc) + bytes(30), peer.server)
    for ssrc in range(1, 101):
        peer.send_rtp(opus_packet(1, ssrc=ssrc))
    peer.wait_for_stat("dropped_sources", 36)
    assert engine.transport_stats(peer.transport)["srtp_packets_in"] == 64


class Spray:
    """Sockets that nobody checked, sending handshakes, alerts and junk as fast as they can."""

    def __init__(self, port: int, seed: int) -> None:
        self._server = ("127.0.0.1", port)
        self._rng = random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.sent = 0

    def wait_for(self, count: int) -> None:
        """Wait until so many datagrams have been sent."""
        deadline = time.monotonic() + 30
        while self.sent < count:
            assert time.monotonic() < deadline, f"only {self.sent} were sent"
            time.sleep(0.001)

    def _run(self) -> None:
        sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(20)]
        while not self._stop.is_set() and self.sent < 500_000:
            payload = self._rng.choice(
                [CLIENT_HELLO, FATAL_ALERT, self._rng.randbytes(self._rng.randrange(1, 200))]
            )
            self._rng.choice(sockets).sendto(payload, self._server)
            self.sent += 1
        for plain in sockets:
            plain.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)


def test_two_hundred_connect_under_a_spray_from_unverified_addresses(engine):
    """Every handshake record of the sprayers stays outside, every one of the peers comes up."""
    seed = 3
    print(f"seed {seed}")
    room = engine.create_room()
    log = EventLog(engine)
    peers = [WirePeer(engine, room) for _ in range(200)]
    with Spray(engine.port, seed) as spray:
        for count, peer in enumerate(peers):
            spray.wait_for(20 * count)
            hello = b"\x16hello of %d" % peer.transport
            peer.socket.sendto(CLIENT_HELLO, peer.server)  # impatient: before its check
            peer.check()
            peer.socket.sendto(hello, peer.server)
            log.wait_for(lambda event, hello=hello: event[2:] == (hello,))
            engine.send_dtls(peer.transport, b"\x16answer")
            assert peer.socket.recv(2048) == b"\x16answer"
            peer.exchange_keys()
            peer.send_rtp(opus_packet(1, ssrc=1))
        for peer in peers:
            log.wait_for_state(peer.transport, "connected")
            peer.wait_for_stat("srtp_packets_in", 1)
    records = [event for event in log.events if event[0] == _engine.DTLS_RECORD]
    assert records == [
        (_engine.DTLS_RECORD, peer.transport, b"\x16hello of %d" % peer.transport) for peer in peers
    ]
    assert all(log.states(peer.transport) == ["checking", "connected"] for peer in peers)
    stats = engine.stats()
    assert stats["dropped_unverified"] > spray.sent / 3
    assert stats["panics"] == 0
    for peer in peers:
        peer.close()
