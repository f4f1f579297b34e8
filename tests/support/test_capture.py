"""The capture sees what it claims to see."""

import socket

from tests.support.capture import PortCapture
from tests.support.server import free_udp_port
from tests.support.wait import until


async def test_capture_counts_both_directions_and_nothing_else():
    """A datagram to the port and one from it are counted once each, a third port's not at all."""
    port = free_udp_port()
    with (
        PortCapture(port) as capture,
        socket.socket(type=socket.SOCK_DGRAM) as inside,
        socket.socket(type=socket.SOCK_DGRAM) as outside,
    ):
        inside.bind(("127.0.0.1", port))
        outside.bind(("127.0.0.1", 0))
        outside.sendto(b"not ours", ("127.0.0.1", free_udp_port()))
        outside.sendto(b"request", ("127.0.0.1", port))
        inside.sendto(b"answer", outside.getsockname())
        await until(lambda: len(capture.datagrams) >= 2)
    assert [payload for _, _, payload in capture.datagrams] == [b"request", b"answer"]
    assert capture.payload_bytes == 13
