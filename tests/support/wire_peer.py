"""A peer of the engine made of plain parts: a UDP socket, aioice's STUN codec, libsrtp.

Keys are set by hand on both sides instead of exported from DTLS, so a test of the wire needs no
handshake. Not a WebRTC client: for that see the aiortc and Chromium peers.
"""

import os
import random
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

from aioice import stun
from pylibsrtp import Policy, Session

from sfu import _engine
from tests.support.wait import PATIENCE

PROFILES = {
    _engine.PROFILE_AEAD_AES_128_GCM: (16, 12, Policy.SRTP_PROFILE_AEAD_AES_128_GCM),
    _engine.PROFILE_AEAD_AES_256_GCM: (32, 12, Policy.SRTP_PROFILE_AEAD_AES_256_GCM),
    _engine.PROFILE_AES128_CM_SHA1_80: (16, 14, Policy.SRTP_PROFILE_AES128_CM_SHA1_80),
}


class EventLog:
    """Everything that an engine has said, in order, with bounded waiting."""

    def __init__(self, engine: _engine.Engine) -> None:
        self._engine = engine
        self.events: list[tuple[Any, ...]] = []

    def wait_for(
        self, condition: Callable[[tuple[Any, ...]], bool], *, timeout: float = PATIENCE
    ) -> tuple[Any, ...]:
        """Return the first event that fulfils the condition, old or new."""
        deadline = time.monotonic() + timeout
        seen = 0
        while True:
            self.events.extend(self._engine.drain())
            for event in self.events[seen:]:
                if condition(event):
                    return event
            seen = len(self.events)
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError(f"no such event among {self.events[-20:]!r}")
            select.select([self._engine.fileno()], [], [], remaining)

    def states(self, transport: int) -> list[str]:
        """The states that a transport went through, as far as drained."""
        return [
            event[2] for event in self.events if event[:2] == (_engine.TRANSPORT_STATE, transport)
        ]

    def wait_for_state(self, transport: int, state: str) -> None:
        """Wait until a transport has been in a state."""
        self.wait_for(lambda event: event == (_engine.TRANSPORT_STATE, transport, state))


class WirePeer:
    """The far end of one transport."""

    def __init__(self, engine: _engine.Engine, room: int, *, host: str = "127.0.0.1") -> None:
        self.engine = engine
        self.transport, self.ufrag, self.pwd = engine.create_transport(room)
        self.server = (host, engine.port)
        self.socket = self._socket(host)
        self._outbound: Session | None = None
        self._inbound: Session | None = None
        self.other: list[bytes] = []

    @staticmethod
    def _socket(host: str) -> socket.socket:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        plain = socket.socket(family, socket.SOCK_DGRAM)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        plain.bind((host, 0))
        plain.settimeout(10)
        return plain

    def move(self) -> None:
        """Leave the old address for a new one, as a phone that changes its network."""
        self.socket.close()
        self.socket = self._socket(self.server[0])

    def close(self) -> None:
        """Close the socket; the transport stays."""
        self.socket.close()

    def check_message(self, *, nominate: bool = True) -> stun.Message:
        """A signed connectivity check."""
        message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        message.attributes["USERNAME"] = f"{self.ufrag}:peer"
        message.attributes["PRIORITY"] = 0x6E0001FF
        message.attributes["ICE-CONTROLLING"] = random.getrandbits(64)
        if nominate:
            message.attributes["USE-CANDIDATE"] = None
        message.add_message_integrity(self.pwd.encode())
        return message

    def check(self, *, nominate: bool = True) -> stun.Message:
        """Make a check that must succeed, sending it again as ICE does; return the answer."""
        request = self.check_message(nominate=nominate)
        wire = bytes(request)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            self.socket.sendto(wire, self.server)
            for datagram in self.datagrams(timeout=0.5):
                if datagram[0] < 4:
                    answer = stun.parse_message(datagram)
                    if answer.transaction_id == request.transaction_id:
                        return answer
                else:
                    self.other.append(datagram)
        raise TimeoutError("the check was not answered")

    def datagrams(self, *, timeout: float) -> Iterator[bytes]:
        """Yield what arrives, until nothing has for `timeout` seconds."""
        while select.select([self.socket], [], [], timeout)[0]:
            yield self.socket.recv(65_536)

    def exchange_keys(self, profile: int = _engine.PROFILE_AEAD_AES_128_GCM) -> None:
        """Make keys and give each side its half."""
        key_len, salt_len, policy_profile = PROFILES[profile]
        ours = (os.urandom(key_len), os.urandom(salt_len))
        theirs = (os.urandom(key_len), os.urandom(salt_len))
        self.engine.set_keys(self.transport, profile, *theirs, *ours)
        outbound = Policy(
            key=b"".join(ours), ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=policy_profile
        )
        outbound.window_size = 1024
        inbound = Policy(
            key=b"".join(theirs), ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=policy_profile
        )
        inbound.window_size = 1024
        self._outbound, self._inbound = Session(outbound), Session(inbound)

    def connect(self, profile: int = _engine.PROFILE_AEAD_AES_128_GCM) -> None:
        """Check and set keys."""
        self.check()
        self.exchange_keys(profile)

    def seal(self, packet: bytes) -> bytes:
        """Protect an RTP packet."""
        return self._outbound.protect(packet)

    def send_rtp(self, packet: bytes) -> None:
        """Protect and send an RTP packet."""
        self.socket.sendto(self.seal(packet), self.server)

    def send_rtcp(self, packet: bytes) -> None:
        """Protect and send an RTCP packet."""
        self.socket.sendto(self._outbound.protect_rtcp(packet), self.server)

    def receive_rtp(self, *, timeout: float = PATIENCE) -> bytes:
        """Return the next RTP packet in clear; RTCP on the way is opened and kept in `other`."""
        deadline = time.monotonic() + timeout
        while (remaining := deadline - time.monotonic()) > 0:
            if not select.select([self.socket], [], [], remaining)[0]:
                break
            datagram = self.socket.recv(65_536)
            if 128 <= datagram[0] < 192 and 192 <= datagram[1] < 224:
                self.other.append(self._inbound.unprotect_rtcp(datagram))
            elif 128 <= datagram[0] < 192:
                return self._inbound.unprotect(datagram)
        raise TimeoutError("no RTP arrived")

    def wait_for_stat(self, name: str, value: int, *, timeout: float = PATIENCE) -> int:
        """Wait until a figure of the transport has reached a value; return it."""
        deadline = time.monotonic() + timeout
        while (figure := self.engine.transport_stats(self.transport)[name]) < value:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} is {figure}, not {value}")
            time.sleep(0.005)
        return figure


def opus_packet(
    sequence_number: int, *, ssrc: int, payload: bytes = b"\xf8\xff\xfe", level: int = 20
) -> bytes:
    """An RTP packet of Opus with an audio level (id 1, RFC 6464) and voice activity."""
    header = struct.pack(
        "!BBHLL", 0x90, 111, sequence_number & 0xFFFF, sequence_number * 960 & 0xFFFFFFFF, ssrc
    )
    extension = struct.pack("!HHBBxx", 0xBEDE, 1, 0x10, 0x80 | level)
    return header + extension + payload
