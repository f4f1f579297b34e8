"""Counting the bytes on a UDP port from outside the server, as a packet capture would.

Needs CAP_NET_RAW (root in CI). Only the loopback interface is looked at.
"""

import socket
import struct
import threading
from typing import Self

ETH_P_ALL = 0x0003
IPPROTO_UDP = 17


class PortCapture:
    """UDP datagrams to or from `port` on the loopback interface since the start."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.datagrams: list[tuple[int, int, bytes]] = []  # (source port, target port, payload)
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket.bind(("lo", 0))
        self._socket.settimeout(0.2)
        self._running = True
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def payload_bytes(self) -> int:
        """Sum of the UDP payloads seen so far."""
        return sum(len(payload) for _, _, payload in self.datagrams)

    def close(self) -> None:
        """Stop looking."""
        self._running = False
        self._thread.join()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> None:
        while self._running:
            try:
                frame, (_, _, direction, *_) = self._socket.recvfrom(65535)
            except TimeoutError:
                continue
            if direction == socket.PACKET_OUTGOING:
                continue  # the loopback shows every packet twice
            datagram = _udp(frame)
            if datagram and self.port in datagram[:2]:
                self.datagrams.append(datagram)


def _udp(frame: bytes) -> tuple[int, int, bytes] | None:
    ethertype = struct.unpack_from("!H", frame, 12)[0]
    if ethertype == 0x0800:
        if frame[14 + 9] != IPPROTO_UDP:
            return None
        offset = 14 + (frame[14] & 0x0F) * 4
    elif ethertype == 0x86DD:
        if frame[14 + 6] != IPPROTO_UDP:
            return None
        offset = 14 + 40
    else:
        return None
    source, target, length = struct.unpack_from("!HHH", frame, offset)
    return source, target, frame[offset + 8 : offset + length]
