"""The harness drives the real load program against an echo of packets that it can check."""

import contextlib
import dataclasses
import os
import socket
import subprocess
import threading

import pytest
from pylibsrtp import Policy, Session

from benchmarks import load
from benchmarks.load import LoadError, Measurement, parse
from benchmarks.machine import ROOT, two_cores
from benchmarks.peers import Association, Keys, Publisher, open_socket

KEYS = Keys(7, b"a" * 16, b"b" * 12, b"c" * 16, b"d" * 12)
ADDRESS = "127.0.0.1"
SUBSCRIBERS = 3


@pytest.fixture(scope="module")
def program():
    """The load program, built from the sources beside it."""
    argv = ["cargo", "build", "-q", "--locked", "--release", "-p", "sunup-engine-load"]
    subprocess.run(argv, cwd=ROOT / "engine", check=True)


def session(key, salt, direction):
    """One end of an association, by libsrtp."""
    policy = Policy(
        key=key + salt,
        ssrc_type=direction,
        srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    )
    return Session(policy)


class Forwarder(threading.Thread):
    """A media server of the simplest kind: opens what comes in, seals it for each subscriber."""

    def __init__(self, via, publisher, subscribers, keep):
        super().__init__(daemon=True)
        self.via, self.publisher, self.subscribers = via, publisher, subscribers
        self.keep = keep  # which packets go on, by their number
        self.count = 0
        self.inbound = session(KEYS.local_key, KEYS.local_salt, Policy.SSRC_ANY_INBOUND)
        self.outbound = [
            session(KEYS.remote_key, KEYS.remote_salt, Policy.SSRC_ANY_OUTBOUND)
            for _ in subscribers
        ]
        self.start()

    def run(self):
        while True:
            try:
                datagram, sender = self.via.recvfrom(2048)
            except OSError:
                return
            if sender != self.publisher or datagram[0] < 128:
                continue
            packet = self.inbound.unprotect(datagram)
            self.count += 1
            if self.keep(self.count):
                for seal, to in zip(self.outbound, self.subscribers, strict=True):
                    self.via.sendto(seal.protect(packet), to)


@pytest.fixture
def associations():
    """Sockets of a server, a publisher and some subscribers."""
    via = open_socket(ADDRESS)
    via.settimeout(None)
    made = [
        Association(open_socket(ADDRESS), via.getsockname(), "a:b", "secret", KEYS)
        for _ in range(SUBSCRIBERS + 1)
    ]
    yield via, made
    with contextlib.suppress(OSError):
        via.shutdown(socket.SHUT_RDWR)
    via.close()
    for one in made:
        one.socket.close()


def measured(via, made, keep):
    """A second of the workload through a forwarder that loses what `keep` refuses."""
    publisher, *subscribers = made
    Forwarder(
        via,
        publisher.socket.getsockname(),
        [one.socket.getsockname() for one in subscribers],
        keep,
    )
    server_core, core = two_cores()
    with load.running(
        server_pid=os.getpid(), server_core=server_core, core=core,
        publisher=Publisher(publisher, 7, 96, "0", 1, 2, 3), subscribers=subscribers,
    ) as running:  # fmt: skip
        return (
            running.forward(warm_up=0, seconds=1),
            running.baseline(seconds=1, size=1200),
            running.baseline(seconds=1, size=1200, sealed=True),
        )


def test_what_is_forwarded_is_counted_once(program, associations):
    """All packets of a second reach all subscribers; libsrtp and the load program agree on keys."""
    for measurement in measured(*associations, keep=lambda _: True):
        assert measurement.expected == 270 * SUBSCRIBERS
        assert measurement.delivered == measurement.expected
        assert measurement.datagram_size == 1200
        assert measurement.refused == 0
        assert measurement.cpu_ns > 0
        assert 0 < measurement.p50_us <= measurement.p95_us <= measurement.p99_us


def test_what_a_server_loses_is_a_loss(program, associations):
    """Every tenth packet is dropped: ten percent are reported, and the baseline loses nothing."""
    forward, bare, _ = measured(*associations, keep=lambda number: number % 10)
    assert forward.loss_percent == pytest.approx(10.0)
    assert bare.loss_percent == 0.0


def test_an_answer_that_is_none_is_refused():
    """Half an answer is an error, never a measurement with holes."""
    whole = Measurement(*range(1, 13))
    text = " ".join(f"{key}={value}" for key, value in dataclasses.asdict(whole).items())
    assert parse(f"done {text}\n") == whole
    for answer in ("done expected=1\n", f"failed {text}\n", "\n" * 2 + "x"):
        with pytest.raises(LoadError):
            parse(answer)
    with pytest.raises(LoadError):
        _ = dataclasses.replace(whole, delivered=0).micros_per_packet


def test_a_plan_that_is_refused_is_an_error(program):
    """A profile that SRTP does not know ends the program, and the harness says so."""
    wrong = dataclasses.replace(KEYS, profile=99)
    with socket.socket(type=socket.SOCK_DGRAM) as via:
        via.bind((ADDRESS, 0))
        one = Association(via, via.getsockname(), "a:b", "secret", wrong)
        publisher = Publisher(one, 7, 96, "0", 1, 2, 3)
        server_core, core = two_cores()
        plan = {"publisher": publisher, "subscribers": [], "server_core": server_core}
        with pytest.raises(LoadError), load.running(server_pid=os.getpid(), core=core, **plan):
            raise AssertionError("it started")
