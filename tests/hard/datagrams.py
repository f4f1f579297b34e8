"""Generated datagrams for the media port: STUN, DTLS-like, RTP, RTCP and junk, good ones spoilt.

What a stranger can send is made here with wrong or guessed secrets; `sealable_rtp` and
`sealable_rtcp` are plaintexts whose sender has the keys, hostile behind their header.
"""

import struct

from aioice import stun
from OpenSSL import SSL

from .noise import Noise

MID_EXTENSION, LEVEL_EXTENSION, AUDIO, VP8, H264, RTX = 4, 1, 111, 96, 108, 97
RTCP_TYPES = (200, 201, 202, 203, 204, 205, 206, 207, 192, 223)


def of_strangers(ufrag: str, ssrcs: list[int]) -> dict[str, "Generator"]:
    """Generators by kind; `ufrag` is the server's, as a stranger may have overheard it."""
    hello = client_hello()
    return {
        "stun": lambda noise: stun_request(noise, ufrag),
        "dtls": lambda noise: dtls_record(noise, hello),
        "rtp": lambda noise: damaged(noise, sealable_rtp(noise, ssrcs)),
        "rtcp": lambda noise: damaged(noise, sealable_rtcp(noise, ssrcs)),
        "junk": lambda noise: noise.blob(1500),
    }


def stun_request(noise: Noise, ufrag: str) -> bytes:
    """A check with the right user name and a wrong password, or a spoilt one."""
    message = stun.Message(
        message_method=noise.rng.choice(list(stun.Method)),
        message_class=noise.rng.choice(list(stun.Class)),
    )
    message.attributes["USERNAME"] = f"{ufrag if noise.chance(0.7) else 'nobody'}:evil"
    if noise.chance(0.5):
        message.attributes["PRIORITY"] = 1
        message.attributes["ICE-CONTROLLING"] = noise.rng.getrandbits(64)
        message.attributes["USE-CANDIDATE"] = None
    if noise.chance(0.7):
        message.add_message_integrity(b"a guess")
        message.add_fingerprint()
    return damaged(noise, bytes(message))


def dtls_record(noise: Noise, hello: bytes) -> bytes:
    """A spoilt ClientHello, an alert, a fragment that promises much, or application data."""
    kind = noise.rng.randrange(4)
    if kind == 0:
        return damaged(noise, hello)
    if kind == 1:
        alert = bytes([noise.rng.choice((1, 2)), noise.rng.randrange(256)])
        return record(21, noise, alert)
    if kind == 2:
        length = noise.rng.choice((0, 1, 2**14, 2**24 - 1))
        fragment = struct.pack("!B3sH3s3s", noise.rng.randrange(25), length.to_bytes(3, "big"),
                               noise.rng.randrange(4), noise.rng.randrange(2**24).to_bytes(3, "big"),
                               length.to_bytes(3, "big"))  # fmt: skip
        return record(22, noise, fragment + noise.blob(300))
    return record(noise.rng.choice((20, 22, 23, 24, 25, 63)), noise, noise.blob(1200))


def record(content: int, noise: Noise, body: bytes) -> bytes:
    """A DTLS record; one in ten lies about its length."""
    length = len(body) if noise.chance(0.9) else noise.rng.randrange(65536)
    version = noise.rng.choice((0xFEFD, 0xFEFD, 0xFEFF, 0x0303))
    sequence = noise.rng.randrange(2**16).to_bytes(6, "big")
    epoch = noise.rng.choice((0, 0, 1))
    return struct.pack("!BHH6sH", content, version, epoch, sequence, length) + body


def client_hello() -> bytes:
    """A real one."""
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_tlsext_use_srtp(b"SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80")
    connection = SSL.Connection(context, None)
    connection.set_connect_state()
    try:
        connection.do_handshake()
    except SSL.WantReadError:
        return connection.bio_read(4096)
    raise AssertionError("a handshake without a peer")


def sealable_rtp(noise: Noise, ssrcs: list[int], numbers: dict[int, int] | None = None) -> bytes:
    """RTP with a valid fixed header, and hostile extensions and payload.

    `numbers` keeps each stream's sequence number, so that a stream goes on, with jumps now and
    then, and its packets are not just refused as replays.
    """
    payload_type = noise.rng.choice((AUDIO, VP8, VP8, H264, RTX, noise.rng.randrange(64)))
    ssrc = noise.rng.choice(ssrcs) if noise.chance(0.9) else noise.rng.getrandbits(32)
    number = noise.rng.getrandbits(16)
    if numbers is not None:
        jump = noise.rng.choice((1, 1, 1, 1, 1, 1, 1, 2, 40, 600))
        number = numbers[ssrc] = (numbers.get(ssrc, 0) + jump) & 0xFFFF
    sources = noise.rng.choice((0, 0, 0, 1, 15))
    first = 0x80 | sources | (0x20 if noise.chance(0.1) else 0)
    extension = b""
    if noise.chance(0.7):
        first |= 0x10
        extension = extension_block(noise)
    marker = 0x80 if noise.chance(0.3) else 0
    header = struct.pack("!BBHII", first, marker | payload_type, number,
                         noise.rng.getrandbits(32), ssrc)  # fmt: skip
    return header + noise.rng.randbytes(4 * sources) + extension + payload(noise)


def extension_block(noise: Noise) -> bytes:
    """RFC 8285 elements whose lengths may point behind the block."""
    body = b""
    for _ in range(noise.rng.randrange(5)):
        value = noise.rng.choice((b"0", b"1", b"2", b"", noise.blob(17)))
        number = noise.rng.choice((MID_EXTENSION, LEVEL_EXTENSION, 2, 3, 5, 6, 0, 15))
        length = len(value) - 1 if noise.chance(0.9) else noise.rng.randrange(16)
        body += bytes([number << 4 | (length & 0x0F)]) + value
    body += bytes(-len(body) % 4)
    profile = noise.rng.choice((0xBEDE, 0xBEDE, 0x1000, 0x100F, 0x0000))
    return struct.pack("!HH", profile, len(body) // 4) + body


def payload(noise: Noise) -> bytes:
    """The beginning of a VP8 or H264 payload, or of nothing."""
    starts = (
        b"", b"\x10", b"\x90\x80\x80", b"\x90\xff\xff\xff\xff\xff", b"\x10\x00\x9d\x01\x2a",
        b"\x90\xe0\x80\x01\x00\x20\x10\x02\x00\x9d\x01\x2a\xff\xff\xff\xff", b"\x78\xff\xff",
        b"\x78\x00\x04\x67\x42\xc0\x1f\x00\x00", b"\x7c\x85", b"\x67\x42\xc0\x1f\xff\xff\xff\xff",
        b"\x00\x01",
    )  # fmt: skip
    return noise.rng.choice(starts) + noise.blob(noise.rng.choice((1, 20, 1200)))


def sealable_rtcp(noise: Noise, ssrcs: list[int]) -> bytes:
    """A compound packet whose first header is valid; lengths and counts lie now and then."""
    packets = b""
    for _ in range(noise.rng.choice((1, 1, 2, 5))):
        body = noise.rng.choice(ssrcs).to_bytes(4, "big") + rtcp_body(noise, ssrcs)
        body += bytes(-len(body) % 4)
        length = len(body) // 4 if noise.chance(0.85) else noise.rng.randrange(65536)
        first = 0x80 | noise.rng.randrange(32) | (0x20 if noise.chance(0.1) else 0)
        packets += struct.pack("!BBH", first, noise.rng.choice(RTCP_TYPES), length) + body
    return packets[:1300]


def rtcp_body(noise: Noise, ssrcs: list[int]) -> bytes:
    """Feedback about a stream that exists, transport-wide feedback that promises much, or noise."""
    if noise.chance(0.3):
        return noise.blob(120)
    about = noise.rng.choice(ssrcs).to_bytes(4, "big")
    return about + noise.rng.choice(
        (
            b"", b"\xff\xff\xff\xff" * 100, b"\x00\x00\xff\xff\x00\x00\x00\x00",
            b"\x00\x01\xff\xff\x00\x00\x01\x01\x3f\xff" * 3, b"REMB\x01\xff\xff\xff",
            noise.blob(200),
        )
    )  # fmt: skip


def damaged(noise: Noise, data: bytes) -> bytes:
    """The datagram, two times in three with some bytes wrong."""
    return noise.spoil_bytes(data) if noise.chance(2 / 3) else data


Generator = type(lambda noise: b"")
