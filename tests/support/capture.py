"""Counting the bytes on a UDP port from outside the server, as a packet capture would.

Needs CAP_NET_RAW (root in CI). Only the loopback interface is looked at. The kernel picks the
port's datagrams, so that the traffic of other tests cannot crowd them out of the socket's queue;
a capture that lost one all the same ends with an error rather than with a smaller number.
"""

import ctypes
import socket
import struct
import threading
from typing import Self

ETH_P_ALL = 0x0003
ETHERTYPE_IPV4, ETHERTYPE_IPV6 = 0x0800, 0x86DD
IPV4_UDP, IPV6_UDP = 14 + 20, 14 + 40  # where the UDP header begins in a frame
SO_ATTACH_FILTER = 26
SOL_PACKET = 263
PACKET_STATISTICS = 6

# Classic BPF (linux/bpf_common.h): load a half word or a byte of the frame, compare, return.
LOAD_HALF, LOAD_BYTE, JUMP_IF_EQUAL, RETURN = 0x28, 0x30, 0x15, 0x06
PACKET_TYPE = 0xFFFFF004  # SKF_AD_OFF + SKF_AD_PKTTYPE: which of the loopback's two sights it is
WHOLE_FRAME = 0xFFFFFFFF


class PortCapture:
    """UDP datagrams to or from `port` on the loopback interface since the start."""

    def __init__(self, port: int) -> None:
        self.datagrams: list[tuple[int, int, bytes]] = []  # (source port, target port, payload)
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        _attach(self._socket, _datagrams_of(port))
        self._socket.bind(("lo", ETH_P_ALL))  # only now, when the filter stands, does it listen
        self._socket.settimeout(0.2)
        self._running = True
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def payload_bytes(self) -> int:
        """Sum of the UDP payloads seen so far."""
        return sum(len(payload) for _, _, payload in self.datagrams)

    def close(self) -> None:
        """Stop looking.

        Raises:
            RuntimeError: the kernel dropped datagrams, so what was counted is too little.
        """
        self._running = False
        self._thread.join()
        statistics = self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)
        self._socket.close()
        _, dropped = struct.unpack("II", statistics)
        if dropped:
            message = f"the capture lost {dropped} datagrams"
            raise RuntimeError(message)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> None:
        while self._running:
            try:
                frame = self._socket.recv(65535)
            except TimeoutError:
                continue
            self.datagrams.append(_udp(frame))


def _attach(packets: socket.socket, program: bytes) -> None:
    """Make `program` decide which frames reach `packets`."""
    instructions = ctypes.create_string_buffer(program, len(program))
    length = len(program) // struct.calcsize("HBBI")
    packets.setsockopt(
        socket.SOL_SOCKET,
        SO_ATTACH_FILTER,
        struct.pack("HP", length, ctypes.addressof(instructions)),
    )


def _datagrams_of(port: int) -> bytes:
    """The filter: UDP from or to `port`, over IPv4 or IPv6 without extra headers, seen once."""
    refuse, accept = 17, 18
    steps = [
        (LOAD_BYTE, PACKET_TYPE),
        (JUMP_IF_EQUAL, socket.PACKET_OUTGOING, refuse, 2),
        (LOAD_HALF, 12),
        (JUMP_IF_EQUAL, ETHERTYPE_IPV4, 4, 10),
        (LOAD_BYTE, 14 + 9),
        (JUMP_IF_EQUAL, socket.IPPROTO_UDP, 6, refuse),
        (LOAD_HALF, IPV4_UDP),
        (JUMP_IF_EQUAL, port, accept, 8),
        (LOAD_HALF, IPV4_UDP + 2),
        (JUMP_IF_EQUAL, port, accept, refuse),
        (JUMP_IF_EQUAL, ETHERTYPE_IPV6, 11, refuse),
        (LOAD_BYTE, 14 + 6),
        (JUMP_IF_EQUAL, socket.IPPROTO_UDP, 13, refuse),
        (LOAD_HALF, IPV6_UDP),
        (JUMP_IF_EQUAL, port, accept, 15),
        (LOAD_HALF, IPV6_UDP + 2),
        (JUMP_IF_EQUAL, port, accept, refuse),
        (RETURN, 0),
        (RETURN, WHOLE_FRAME),
    ]
    return b"".join(_instruction(place, *step) for place, step in enumerate(steps))


def _instruction(place: int, code: int, operand: int, then: int = 0, otherwise: int = 0) -> bytes:
    """One `sock_filter`; `then` and `otherwise` are places, the kernel counts from the next one."""
    if code == JUMP_IF_EQUAL:
        then, otherwise = then - place - 1, otherwise - place - 1
    return struct.pack("HBBI", code, then, otherwise, operand)


def _udp(frame: bytes) -> tuple[int, int, bytes]:
    ethertype = struct.unpack_from("!H", frame, 12)[0]
    offset = IPV4_UDP if ethertype == ETHERTYPE_IPV4 else IPV6_UDP
    source, target, length = struct.unpack_from("!HHH", frame, offset)
    return source, target, frame[offset + 8 : offset + length]
