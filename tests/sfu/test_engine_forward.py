"""Packets from one peer to another through the engine's socket, and on while Python stands still."""

import contextlib
import json
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from aiortc.rtp import RtcpPacket, RtcpPsfbPacket, RtcpSdesPacket, RtpPacket

from sfu import _engine
from tests.support.wire_peer import PROFILES, EventLog, WirePeer, opus_packet

ROOT = Path(__file__).resolve().parents[2]
LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
OPUS = {"codecs": [(111, "opus", 48000, 0)], "extensions": [(1, LEVEL)]}
VP8 = {"codecs": [(96, "vp8", 90000, 97)], "extensions": []}


@pytest.fixture
def engine():
    """An engine on a free port of this machine."""
    engine = _engine.Engine(host="127.0.0.1")
    yield engine
    engine.close()


@pytest.fixture
def meet(engine):
    """Make connected peers of one room, with the given SRTP profiles."""
    with contextlib.ExitStack() as stack:
        room = engine.create_room()

        def meet(*profiles: int) -> list[WirePeer]:
            peers = [WirePeer(engine, room) for _ in profiles]
            for peer, profile in zip(peers, profiles, strict=True):
                stack.callback(peer.close)
                peer.connect(profile)
            log = EventLog(engine)
            for peer in peers:
                log.wait_for_state(peer.transport, "connected")
            return peers

        yield meet


def vp8_packet(sequence_number: int, *, ssrc: int, key: bool, payload: bytes = b"") -> bytes:
    """One frame of VP8 in one packet: descriptor with a 15-bit picture id, then the frame header."""
    header = struct.pack(
        "!BBHLL", 0x80, 0x80 | 96, sequence_number, sequence_number * 3000 & 0xFFFFFFFF, ssrc
    )
    descriptor = struct.pack("!BBH", 0x90, 0x80, 0x8000 | sequence_number & 0x7FFF)
    key_frame = b"\x10\x00\x00\x9d\x01\x2a" + struct.pack("<HH", 320, 180)
    return header + descriptor + (key_frame if key else b"\x11\x00\x00") + payload


@pytest.mark.parametrize("receiver_profile", PROFILES)
@pytest.mark.parametrize("sender_profile", PROFILES)
def test_audio_is_forwarded_between_any_two_profiles(
    engine, meet, sender_profile, receiver_profile
):
    """Opened with one key, sealed with another: payloads unchanged, the slot's SSRC, no gap."""
    sender, receiver = meet(sender_profile, receiver_profile)
    track = engine.add_track(sender.transport, "audio", mid="0", ssrcs=[(5, 0)], **OPUS)
    slot, ssrc, _, _ = engine.add_slot(receiver.transport, "audio", mid="3", **OPUS)
    engine.bind_slot(slot, track)
    payloads = [b"\xf8" + bytes([n]) * (n + 1) for n in range(40)]
    received = []
    for n, payload in enumerate(payloads):
        sender.send_rtp(opus_packet(n, ssrc=5, payload=payload))
        received.append(RtpPacket.parse(receiver.receive_rtp()))
    assert [packet.payload for packet in received] == payloads
    assert {packet.ssrc for packet in received} == {ssrc}
    first = received[0].sequence_number
    assert [packet.sequence_number for packet in received] == [
        (first + n) & 0xFFFF for n in range(40)
    ]


def test_source_descriptions_name_a_slot_as_its_section_does(engine, meet):
    """The CNAME in RTCP is the one that `add_slot` returned for the SDP (RFC 8834 section 4.9)."""
    profile = _engine.PROFILE_AEAD_AES_128_GCM
    sender, receiver = meet(profile, profile)
    track = engine.add_track(sender.transport, "audio", mid="0", ssrcs=[(5, 0)], **OPUS)
    slot, ssrc, _, cname = engine.add_slot(receiver.transport, "audio", mid="3", **OPUS)
    engine.bind_slot(slot, track)
    sender.send_rtp(opus_packet(0, ssrc=5))
    receiver.receive_rtp()
    sdes = wait_for_rtcp(
        receiver,
        lambda packet: isinstance(packet, RtcpSdesPacket) and packet.chunks[0].ssrc == ssrc,
    )
    assert [chunk.items for chunk in sdes.chunks] == [[(1, cname.encode())]]


def test_a_lane_carries_the_loudest_but_never_the_own_voice(engine, meet):
    """The engine binds a lane by itself and says so."""
    profile = _engine.PROFILE_AEAD_AES_128_GCM
    speaker, listener = meet(profile, profile)
    log = EventLog(engine)
    track = engine.add_track(speaker.transport, "audio", mid="0", ssrcs=[(5, 0)], **OPUS)
    lane, ssrc, _, _ = engine.add_slot(listener.transport, "audio", mid="3", auto=True, **OPUS)
    own, _, _, _ = engine.add_slot(speaker.transport, "audio", mid="3", auto=True, **OPUS)
    for n in range(60):
        speaker.send_rtp(opus_packet(n, ssrc=5, level=10))
        engine.stats()  # paces the loop with the worker's turns
        time.sleep(0.01)  # audio has its own time: levels are judged over it
    packet = RtpPacket.parse(listener.receive_rtp())
    assert packet.ssrc == ssrc
    bound = log.wait_for(lambda event: event[:3] == (_engine.SLOT_BOUND, lane, track))
    assert bound[3] == packet.timestamp
    assert not any(event[:2] == (_engine.SLOT_BOUND, own) for event in log.events)


def test_video_starts_with_a_key_frame_that_the_engine_asks_for(engine, meet):
    """Nothing before it passes; a picture loss indication reaches the publisher."""
    profile = _engine.PROFILE_AEAD_AES_128_GCM
    sender, receiver = meet(profile, profile)
    log = EventLog(engine)
    track = engine.add_track(sender.transport, "video", mid="1", ssrcs=[(7, 8)], **VP8)
    slot, ssrc, _, _ = engine.add_slot(receiver.transport, "video", mid="6", **VP8)
    for n in range(3):
        sender.send_rtp(vp8_packet(n, ssrc=7, key=False))
    engine.bind_slot(slot, track)
    engine.set_slot_size(slot, 320, 180)
    sender.send_rtp(vp8_packet(3, ssrc=7, key=False))
    asked = wait_for_pli(sender)
    assert asked.media_ssrc == 7
    sender.send_rtp(vp8_packet(4, ssrc=7, key=True, payload=b"key"))
    packet = RtpPacket.parse(receiver.receive_rtp())
    assert packet.ssrc == ssrc
    assert packet.payload.endswith(b"key")
    event = log.wait_for(lambda event: event[:3] == (_engine.SLOT_BOUND, slot, track))
    assert event[3] == packet.timestamp


def wait_for_pli(peer: WirePeer) -> RtcpPsfbPacket:
    """Return the first picture loss indication that the engine sends to the peer."""
    return wait_for_rtcp(
        peer, lambda packet: isinstance(packet, RtcpPsfbPacket) and packet.fmt == 1
    )


def wait_for_rtcp(peer: WirePeer, wanted):
    """Return the first RTCP packet to the peer that is `wanted`."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(TimeoutError):
            peer.receive_rtp(timeout=0.05)
        for compound in peer.other:
            for packet in RtcpPacket.parse(compound):
                if wanted(packet):
                    return packet
    raise TimeoutError("no such RTCP packet came")


SERVER = """
import ctypes, json, sys, threading, time
from sfu import _engine

engine = _engine.Engine(host="127.0.0.1")
room = engine.create_room()
transports = [engine.create_transport(room) for _ in range(2)]
print(json.dumps([engine.port, transports]), flush=True)
for (transport, _, _), keys in zip(transports, json.loads(sys.stdin.readline())):
    engine.set_keys(transport, 7, *map(bytes.fromhex, keys))
opus = {"codecs": [(111, "opus", 48000, 0)], "extensions": []}
track = engine.add_track(transports[0][0], "audio", mid="0", ssrcs=[(5, 0)], **opus)
slot, _, _, _ = engine.add_slot(transports[1][0], "audio", mid="3", **opus)
engine.bind_slot(slot, track)
engine.stats()
calls = engine.stats()["api_calls"]
turns = 0

def take_turns():
    global turns
    while True:
        turns += 1
        time.sleep(0.01)

threading.Thread(target=take_turns, daemon=True).start()
word = ctypes.create_string_buffer(1)
before = turns
print("blocking", flush=True)
since = time.monotonic()
ctypes.PyDLL(None).read(0, word, 1)  # PyDLL does not release the interpreter lock
until = time.monotonic()
turns -= before
calls = engine.stats()["api_calls"] - calls
said = {"since": since, "until": until, "turns": turns}
print(json.dumps({**said, "calls": calls, "events": len(engine.drain())}), flush=True)
engine.close()
"""


def test_forwarding_goes_on_while_python_holds_its_lock_for_five_seconds():
    """The worker never needs the interpreter: media, reports and checks pass all the same.

    The lock is held until this test says so, so a busy machine makes it wait and nothing worse.
    """
    with subprocess.Popen(
        [sys.executable, "-c", SERVER],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        port, transports = json.loads(server.stdout.readline())
        remote = RemoteEngine(port, transports)
        sender, receiver = WirePeer(remote, 0), WirePeer(remote, 0)
        for peer in (sender, receiver):
            peer.check()
            peer.exchange_keys()
        server.stdin.write(json.dumps(remote.keys) + "\n")
        server.stdin.flush()
        assert server.stdout.readline() == "blocking\n"
        passed: list[tuple[float, float]] = []
        began = time.monotonic()
        while len(passed) < 200 or time.monotonic() < began + 5:
            sent = time.monotonic()
            sender.send_rtp(opus_packet(len(passed), ssrc=5))
            receiver.receive_rtp()
            passed.append((sent, time.monotonic()))
            if len(passed) % 100 == 0:
                sender.check()
                receiver.check()
            time.sleep(0.005)  # the pace of the packets
        server.stdin.write(".")
        server.stdin.flush()
        blocked = json.loads(server.stdout.readline())
        assert server.wait(timeout=30) == 0
        sender.close()
        receiver.close()
    slowest = max(arrived - sent for sent, arrived in passed)
    print(f"{len(passed)} packets passed, the slowest in {slowest * 1000:.1f} ms")
    # Both processes read the same monotonic clock.
    during = [at for at in passed if blocked["since"] <= at[0] and at[1] <= blocked["until"]]
    assert len(during) > 100
    assert blocked["turns"] < 20, "Python was not blocked"
    assert blocked["calls"] == 1
    assert blocked["events"] > 0


class RemoteEngine:
    """What `WirePeer` needs of an engine that runs in another process."""

    def __init__(self, port: int, transports: list) -> None:
        self.port = port
        self.keys: list[list[str]] = []
        self._transports = iter(transports)

    def create_transport(self, _room: int) -> tuple[int, str, str]:
        """The next one that the process has made."""
        return tuple(next(self._transports))

    def set_keys(self, _transport: int, _profile: int, *parts: bytes) -> None:
        """Keep them to be sent."""
        self.keys.append([part.hex() for part in parts])
