"""One ICE and SRTP association with a media server, and the socket that it lives on.

The harness makes associations known to a server by a single ICE check and, where the server
insists, a DTLS handshake; then the load program takes the sockets over (see `load`).
"""

import socket
from dataclasses import dataclass

from aioice import stun

Address = tuple[str, int]

TIMEOUT = 0.2
TRIES = 25
# RFC 8445 section 5.1.2.1, a peer-reflexive candidate; a lite agent does not look at it.
PRIORITY = 0x6EFFFFFF


@dataclass(frozen=True)
class Keys:
    """SRTP keys of one association; ``local`` seals what this side sends.

    Attributes:
        profile: IANA number of the protection profile.
        local_key: Master key, as long as the profile asks; so are the other three.
    """

    profile: int
    local_key: bytes
    local_salt: bytes
    remote_key: bytes
    remote_salt: bytes


@dataclass(frozen=True)
class Association:
    """A socket that a media server knows.

    Attributes:
        socket: Open, bound to the address that the server sends to, not connected.
        server: Where the server listens.
        username: USERNAME of our ICE checks, ``theirs:ours``.
        password: The server's ICE password.
        keys: What both sides protect media with.
    """

    socket: socket.socket
    server: Address
    username: str
    password: str
    keys: Keys


@dataclass(frozen=True)
class Publisher:
    """The association that sends, with its video as negotiated; an extension id 0 means none."""

    association: Association
    ssrc: int
    payload_type: int
    mid: str
    mid_id: int
    abs_send_time_id: int
    transport_cc_id: int


@dataclass(frozen=True)
class Serving:
    """A media server in which everybody has joined.

    Attributes:
        pid: The measured process.
        publisher: Sends one video.
        subscribers: Each receives it.
    """

    pid: int
    publisher: Publisher
    subscribers: list[Association]


def open_socket(address: str) -> socket.socket:
    """A UDP socket on `address` and a free port."""
    opened = socket.socket(type=socket.SOCK_DGRAM)
    opened.bind((address, 0))
    opened.settimeout(TIMEOUT)
    return opened


def check(
    via: socket.socket, server: Address, username: str, password: str, own_password: str = ""
) -> None:
    """Make one ICE connectivity check and wait for its answer, as the controlling agent.

    Args:
        via: The socket of the association.
        server: Where the server listens.
        username: ``theirs:ours``.
        password: The server's.
        own_password: Answers the server's own checks, when it is not a lite agent.

    Raises:
        ConnectionError: No valid answer came.
    """
    request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    request.attributes["USERNAME"] = username
    request.attributes["PRIORITY"] = PRIORITY
    request.attributes["ICE-CONTROLLING"] = 1
    request.attributes["USE-CANDIDATE"] = None
    request.add_message_integrity(password.encode())
    request.add_fingerprint()
    for _ in range(TRIES):
        via.sendto(bytes(request), server)
        while datagram := hear(via, own_password):
            if datagram[0] > 3:  # not STUN (RFC 7983)
                continue
            answer = stun.parse_message(datagram)
            if answer.transaction_id != request.transaction_id:
                continue
            if answer.message_class is not stun.Class.RESPONSE:
                raise ConnectionError(f"{server} refused an ICE check: {answer}")
            return
    raise ConnectionError(f"{server} did not answer {TRIES} ICE checks")


def hear(via: socket.socket, own_password: str = "") -> bytes:
    """The next datagram that is not a check of the server's; empty when none comes in time."""
    while True:
        try:
            datagram, sender = via.recvfrom(4096)
        except TimeoutError:
            return b""
        if datagram[0] > 3:
            return datagram
        message = stun.parse_message(datagram)
        if message.message_class is not stun.Class.REQUEST:
            return datagram
        answer = stun.Message(
            message_method=stun.Method.BINDING,
            message_class=stun.Class.RESPONSE,
            transaction_id=message.transaction_id,
        )
        answer.attributes["XOR-MAPPED-ADDRESS"] = sender
        answer.add_message_integrity(own_password.encode())
        answer.add_fingerprint()
        via.sendto(bytes(answer), sender)
