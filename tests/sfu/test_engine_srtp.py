"""The engine's SRTP against libsrtp, in both directions, through the filter ``srtp_pipe``."""

import random
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pylibsrtp import Error, Policy, Session

ENGINE = Path(__file__).resolve().parents[2] / "engine"

PROFILES = {
    "AEAD_AES_128_GCM": (0x0007, 16, 12, Policy.SRTP_PROFILE_AEAD_AES_128_GCM),
    "AEAD_AES_256_GCM": (0x0008, 32, 12, Policy.SRTP_PROFILE_AEAD_AES_256_GCM),
    "AES128_CM_SHA1_80": (0x0001, 16, 14, Policy.SRTP_PROFILE_AES128_CM_SHA1_80),
}


class Pipe:
    """One SRTP context of the engine in each direction."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, verb: str, protocol: str, packet: bytes) -> bytes | str:
        """Return the sealed or opened packet, or the name of the refusal."""
        self._process.stdin.write(f"{verb} {protocol} {packet.hex()}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        if answer.startswith("error "):
            return answer.removeprefix("error ")
        return bytes.fromhex(answer)


@pytest.fixture(scope="module")
def program() -> Path:
    """The filter, built with the profile of the Rust tests."""
    subprocess.run(
        ["cargo", "build", "-q", "--locked", "-p", "sunup-engine-core", "--example", "srtp_pipe"],
        cwd=ENGINE,
        check=True,
    )
    return ENGINE / "target/debug/examples/srtp_pipe"


@contextmanager
def pipe(program: Path, profile: int, key: bytes, salt: bytes) -> Iterator[Pipe]:
    """Run the filter with one master key."""
    with subprocess.Popen(
        [str(program), str(profile), key.hex(), salt.hex()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Pipe(process)
        process.stdin.close()
        assert process.wait(timeout=10) == 0


def session(key: bytes, profile: int, direction: int) -> Session:
    """A libsrtp context of one direction."""
    policy = Policy(key=key, ssrc_type=direction, srtp_profile=profile)
    policy.window_size = 1024
    return Session(policy)


def rtp_packet(rng: random.Random, ssrc: int, sequence_number: int) -> bytes:
    """An RTP packet with random CSRCs, header extension and payload."""
    csrcs = rng.randrange(0, 4)
    extended = rng.random() < 0.5
    packet = struct.pack(
        "!BBHLL",
        0x80 | (0x10 if extended else 0) | csrcs,
        rng.randrange(0, 64) | rng.choice((0, 0x80)),
        sequence_number & 0xFFFF,
        rng.getrandbits(32),
        ssrc,
    )
    packet += rng.randbytes(4 * csrcs)
    if extended:
        words = rng.randrange(0, 5)
        packet += struct.pack("!HH", 0xBEDE, words) + rng.randbytes(4 * words)
    return packet + rng.randbytes(rng.randrange(0, 1200))


def rtcp_packet(rng: random.Random, ssrc: int) -> bytes:
    """A receiver report of a random length."""
    words = rng.randrange(1, 60)
    return struct.pack("!BBHL", 0x80, 201, words, ssrc) + rng.randbytes(4 * (words - 1))


def shuffled_within(rng: random.Random, items: list, reach: int) -> list:
    """The items, each at most `reach` places late."""
    places = [(place + rng.random() * reach, place) for place in range(len(items))]
    return [items[place] for _, place in sorted(places)]


@pytest.fixture(params=[1, 2])
def seed(request) -> int:
    """A seed, printed with a failure."""
    print(f"seed {request.param}")
    return request.param


@pytest.mark.parametrize("profile", PROFILES)
def test_what_libsrtp_seals_opens_here(program, profile, seed):
    """RTP of several streams and RTCP, reordered across a rollover, open to the same bytes."""
    number, key_len, salt_len, policy_profile = PROFILES[profile]
    rng = random.Random(seed)
    key, salt = rng.randbytes(key_len), rng.randbytes(salt_len)
    theirs = session(key + salt, policy_profile, Policy.SSRC_ANY_OUTBOUND)
    with pipe(program, number, key, salt) as ours:
        sealed = []
        for n in range(900):
            for ssrc in (1, 0xFFFFFFFF):
                packet = rtp_packet(rng, ssrc, 65_100 + n)
                sealed.append(("rtp", packet, theirs.protect(packet)))
            if n % 10 == 0:
                packet = rtcp_packet(rng, 77)
                sealed.append(("rtcp", packet, theirs.protect_rtcp(packet)))
        # The first ones stay in place: from them a receiver takes the rollover counter.
        for protocol, packet, wire in sealed[:20] + shuffled_within(rng, sealed[20:], 300):
            assert ours("open", protocol, wire) == packet
            if rng.random() < 0.1:
                assert ours("open", protocol, wire) == "Replayed"
            if rng.random() < 0.1:
                changed = bytearray(wire)
                changed[rng.randrange(12, len(wire))] ^= 1 << rng.randrange(8)
                assert isinstance(ours("open", protocol, bytes(changed)), str)


@pytest.mark.parametrize("profile", PROFILES)
def test_what_is_sealed_here_opens_in_libsrtp(program, profile, seed):
    """RTP sealed out of order across a rollover, and RTCP, open in libsrtp to the same bytes."""
    number, key_len, salt_len, policy_profile = PROFILES[profile]
    rng = random.Random(seed)
    key, salt = rng.randbytes(key_len), rng.randbytes(salt_len)
    theirs = session(key + salt, policy_profile, Policy.SSRC_ANY_INBOUND)
    with pipe(program, number, key, salt) as ours:
        packets = [rtp_packet(rng, ssrc, 65_100 + n) for n in range(900) for ssrc in (1, 2)]
        for packet in packets[:20] + shuffled_within(rng, packets[20:], 300):
            wire = ours("seal", "rtp", packet)
            assert theirs.unprotect(wire) == packet
            with pytest.raises(Error):
                theirs.unprotect(wire)
            if rng.random() < 0.1:
                report = rtcp_packet(rng, 77)
                assert theirs.unprotect_rtcp(ours("seal", "rtcp", report)) == report
        assert ours("seal", "rtp", packets[-1]) == "IndexUsed"
