"""The capture sees what it claims to see."""

import socket

import pytest

from tests.support.capture import PortCapture
from tests.support.ports import free_port
from tests.support.wait import until


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
async def test_capture_counts_both_directions_and_nothing_else(family, host):
    """A datagram to the port and one from it are counted once each, a third port's not at all."""
    port = free_port()
    with (
        PortCapture(port) as capture,
        socket.socket(family, socket.SOCK_DGRAM) as inside,
        socket.socket(family, socket.SOCK_DGRAM) as outside,
    ):
        inside.bind((host, port))
        outside.bind((host, 0))
        outside.sendto(b"not ours", (host, free_port()))
        outside.sendto(b"request", (host, port))
        inside.sendto(b"answer", outside.getsockname())
        await until(lambda: len(capture.datagrams) >= 2)
    assert [payload for _, _, payload in capture.datagrams] == [b"request", b"answer"]
    assert capture.payload_bytes == 13


async def test_other_ports_traffic_does_not_crowd_ours_out():
    """More of another port's datagrams than the socket's queue holds, and ours is still seen."""
    port, other = free_port(), free_port()
    with PortCapture(port) as capture, socket.socket(type=socket.SOCK_DGRAM) as sender:
        for _ in range(2_000):
            sender.sendto(b"x" * 1_200, ("127.0.0.1", other))
        sender.sendto(b"ours", ("127.0.0.1", port))
        await until(lambda: capture.datagrams)
    assert capture.payload_bytes == 4


def test_a_capture_that_lost_datagrams_says_so(monkeypatch):
    """What the kernel dropped is an error: a count that is too small would prove anything."""
    monkeypatch.setattr(PortCapture, "_read", lambda _: None)  # nobody empties the queue
    port = free_port()
    capture = PortCapture(port)
    with socket.socket(type=socket.SOCK_DGRAM) as sender:
        for _ in range(2_000):
            sender.sendto(b"x" * 1_200, ("127.0.0.1", port))
    with pytest.raises(RuntimeError, match="lost"):
        capture.close()
