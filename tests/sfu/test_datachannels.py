"""Data channels: with an honest aiortc peer, and with packets that no honest peer sends."""

import asyncio
import random
from math import ceil
from struct import pack
from types import SimpleNamespace

import pytest
from aiortc import RTCDataChannel, RTCDataChannelParameters, RTCSctpCapabilities, RTCSctpTransport
from aiortc.rtcsctptransport import (
    SCTP_DATA_FIRST_FRAG,
    WEBRTC_BINARY,
    WEBRTC_DCEP,
    DataChunk,
    ForwardTsnChunk,
    HeartbeatAckChunk,
    HeartbeatChunk,
    InitChunk,
    ReconfigChunk,
    SackChunk,
    StreamAddOutgoingParam,
    encode_params,
    serialize_packet,
)
from google_crc32c import value as crc32c
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL

from sfu.datachannels import (
    MAX_BUFFERED_BYTES,
    MAX_BUFFERED_CHUNKS,
    MAX_CHANNELS,
    MAX_STREAMS,
    WORK_BURST,
    DataChannel,
    DataChannels,
    ProtocolViolationError,
    check_open,
    check_packet,
)
from sfu.errors import DataChannelError
from sfu.sections import MAX_MESSAGE_SIZE
from tests.support.wait import until

from .dtls_pipe import AiortcPeer, Server, join


class Pair:
    """Our association and a stock aiortc one, connected through real DTLS."""

    def __init__(self) -> None:
        self.server, self.peer = Server(), AiortcPeer()
        self.messages: list[tuple[str, bytes | str]] = []
        join(self.server, self.peer)

    async def start(self) -> None:
        await asyncio.gather(self.server.dtls.connect(self.peer.fingerprints), self.peer.start())
        self.ours = DataChannels(self.server.dtls, self._on_message)
        self.theirs = RTCSctpTransport(self.peer.dtls)
        await self.ours.open_association(port=5000, max_message_size=65536)
        await self.theirs.start(RTCSctpCapabilities(maxMessageSize=65536), 5000)
        await until(lambda: self.ours.state == self.theirs.state == "connected")

    def _on_message(self, channel: DataChannel, message: bytes | str) -> None:
        self.messages.append((channel.label, message))
        if message == "echo":
            channel.send("echoed")
        if message == "fail":
            raise LookupError("the handler's bug")

    def open(self, label: str = "chat", **parameters: object) -> RTCDataChannel:
        return RTCDataChannel(self.theirs, RTCDataChannelParameters(label=label, **parameters))

    async def send_raw(self, chunk: object) -> None:
        """Send one chunk as the peer, past its state machine."""
        packet = serialize_packet(5000, 5000, self.ours._local_verification_tag, chunk)
        await self.peer.dtls._send_data(packet)
        await asyncio.sleep(0)  # let our side read, as a network would

    async def stop(self) -> None:
        await self.theirs.stop()
        await self.ours.stop()
        await self.server.dtls.stop()
        await self.peer.dtls.stop()


@pytest.fixture
async def pair():
    """A connected pair."""
    pair = Pair()
    await pair.start()
    yield pair
    await pair.stop()


def data_chunk(
    tsn: int, body: bytes, *, stream: int = 0, protocol: int = WEBRTC_BINARY, flags: int = 3
) -> DataChunk:
    """A DATA chunk; flags 3 is a whole message."""
    chunk = DataChunk(flags=flags)
    chunk.tsn, chunk.stream_id, chunk.stream_seq = tsn, stream, 0
    chunk.protocol, chunk.user_data = protocol, body
    return chunk


def open_message(label: bytes, protocol: bytes = b"") -> bytes:
    """A DATA_CHANNEL_OPEN (RFC 8832)."""
    return pack("!BBHLHH", 3, 0, 0, 0, len(label), len(protocol)) + label + protocol


async def test_messages_arrive_and_are_answered(pair: Pair) -> None:
    """Text and bytes of every size up to the limit reach the handler; answers go back."""
    channel = pair.open()
    answers: list[object] = []
    channel.on("message", answers.append)
    await until(lambda: channel.readyState == "open")
    for message in ("echo", b"\x00\x01", "", b"", b"z" * MAX_MESSAGE_SIZE):
        channel.send(message)
    await until(lambda: len(pair.messages) == 5 and answers)
    assert [message for _, message in pair.messages] == [
        "echo",
        b"\0\1",
        "",
        b"",
        b"z" * MAX_MESSAGE_SIZE,
    ]
    assert answers == ["echoed"]


async def test_a_channel_of_ours_may_have_any_label(pair: Pair) -> None:
    """A label that is longer in bytes than in characters arrives whole."""
    opened: list[RTCDataChannel] = []
    pair.theirs.on("datachannel", opened.append)
    channel = RTCDataChannel(pair.ours, RTCDataChannelParameters(label="héé", protocol="ü"))
    await until(lambda: opened and channel.readyState == "open")
    assert (opened[0].label, opened[0].protocol) == ("héé", "ü")
    opened[0].send("hello")
    await until(lambda: pair.messages == [("héé", "hello")])


async def test_a_failing_handler_harms_nobody(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    """What the handler raises is logged; the channel and its transport go on."""
    channel = pair.open()
    await until(lambda: channel.readyState == "open")
    channel.send("fail")
    channel.send("after")
    await until(lambda: len(pair.messages) == 2)
    assert "the handler's bug" in caplog.text
    assert pair.ours.state == "connected"


async def ended(pair: Pair) -> None:
    """Wait until our association is closed, and see that DTLS still lives."""
    await until(lambda: pair.ours.state == "closed")
    assert pair.server.dtls.state == "connected"
    assert pair.server.closed == []


async def test_a_message_larger_than_the_limit_ends_the_association(pair: Pair) -> None:
    """The size that we advertise is enforced, and only the data channels pay for it."""
    channel = pair.open()
    await until(lambda: channel.readyState == "open")
    pair.theirs._remote_max_message_size = 0
    channel.send(b"x" * (MAX_MESSAGE_SIZE + 1))
    await ended(pair)
    assert pair.messages == []


async def test_fragments_without_end_are_bounded(pair: Pair) -> None:
    """A message that never ends is cut off at the receive window that we gave."""
    for budget in (pair.ours._work, pair.server.dtls._records._budget):
        budget.rate = 1e9  # or some would count as lost
    tsn = pair.ours._last_received_tsn
    flags = SCTP_DATA_FIRST_FRAG
    for index in range(1, 400):
        await pair.send_raw(data_chunk(tsn + index, b"y" * 1100, flags=flags))
        flags = 0
        if pair.ours.state == "closed":
            break
    await ended(pair)
    buffered = MAX_BUFFERED_BYTES - pair.ours._advertised_rwnd
    assert buffered <= MAX_BUFFERED_BYTES + MAX_MESSAGE_SIZE + 1100


async def test_empty_fragments_are_bounded_too(pair: Pair) -> None:
    """Chunks without data cost memory as well; their number is bounded."""
    for budget in (pair.ours._work, pair.server.dtls._records._budget):
        budget.rate = 1e9  # or it would take ten seconds
    tsn = pair.ours._last_received_tsn
    for index in range(2, 1200):
        await pair.send_raw(data_chunk(tsn + index, b"", flags=0))
    await ended(pair)
    assert len(pair.ours._sack_misordered) <= 1025


async def test_duplicates_are_bounded(pair: Pair) -> None:
    """What came again is noted for the next acknowledgement only so often."""
    packet = serialize_packet(5000, 5000, pair.ours._local_verification_tag, SackChunk())
    pair.ours._sack_duplicates += [0] * MAX_BUFFERED_CHUNKS
    await pair.ours._handle_data(packet)
    assert pair.ours.state == "connected"
    pair.ours._sack_duplicates.append(0)
    await pair.ours._handle_data(packet)
    await ended(pair)


@pytest.mark.parametrize("sent", [0, MAX_BUFFERED_CHUNKS // 2, MAX_BUFFERED_CHUNKS])
async def test_what_is_not_acknowledged_is_bounded(pair: Pair, sent: int) -> None:
    """Whoever asks for answers and acknowledges none would have them all kept, and sent again.

    Those that were sent count with those that wait for their turn.
    """
    packet = serialize_packet(5000, 5000, pair.ours._local_verification_tag, HeartbeatAckChunk())
    pair.ours._sent_queue.extend(DataChunk() for _ in range(sent))
    waiting = MAX_BUFFERED_CHUNKS - sent
    pair.ours._outbound_queue.extend(DataChunk() for _ in range(waiting))
    await pair.ours._handle_data(packet)
    assert pair.ours.state == "connected"
    (pair.ours._outbound_queue if waiting else pair.ours._sent_queue).append(DataChunk())
    await pair.ours._handle_data(packet)
    await ended(pair)


async def test_a_peer_that_wants_to_renegotiate_ends_its_channels_quietly(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    """OpenSSL sends nothing from then on; timers would fail, each with a traceback."""

    def in_init(_data: bytes) -> int:
        raise SSL.WantReadError

    ssl = pair.server.dtls._ssl
    pair.server.dtls._ssl = SimpleNamespace(send=in_init)
    await pair.ours._send_chunk(HeartbeatChunk())
    pair.server.dtls._ssl = ssl
    assert pair.ours.state == "closed"
    assert not caplog.records


async def test_streams_are_bounded(pair: Pair) -> None:
    """State is kept for few streams, however many a peer names."""
    tsn = pair.ours._last_received_tsn
    for index in range(1, 60):
        await pair.send_raw(data_chunk(tsn + index, b"z", stream=index))
    await ended(pair)
    assert len(pair.ours._inbound_streams) <= 32


async def test_channels_are_bounded(pair: Pair) -> None:
    """The ninth channel ends the association."""
    for index in range(MAX_CHANNELS):
        pair.open(str(index))
    await until(lambda: len(pair.ours._data_channels) == MAX_CHANNELS)
    pair.open("one too many")
    await ended(pair)


async def test_a_channel_may_be_closed_and_opened_again(pair: Pair) -> None:
    """Closed channels do not count: many can be used one after the other."""
    for index in range(MAX_CHANNELS + 2):
        channel = pair.open(str(index))
        await until(lambda channel=channel: channel.readyState == "open")
        channel.close()
        await until(lambda channel=channel: channel.readyState == "closed")
    assert pair.ours.state == "connected"


@pytest.mark.parametrize(
    "body",
    [
        open_message(b"\xff\xfe"),
        open_message(b"l" * 65),
        open_message(b"x")[:-1],
        open_message(b"x") + b"y",
        b"\x03",
    ],
    ids=["no utf-8", "long", "cut", "extra", "short"],
)
async def test_bad_labels_end_the_association(pair: Pair, body: bytes) -> None:
    """A label that is no UTF-8, too long, or does not fit its length is refused."""
    with pytest.raises(ProtocolViolationError):
        check_open(body)
    await pair.send_raw(data_chunk(pair.ours._last_received_tsn + 1, body, protocol=WEBRTC_DCEP))
    await ended(pair)


async def test_the_label_that_aiortc_itself_gets_wrong_is_harmless(pair: Pair) -> None:
    """A peer on aiortc counts characters instead of bytes; only its data channels end."""
    pair.open("grüße")
    await ended(pair)


async def test_a_channel_opened_twice_ends_the_association(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    """The base class asserts on this; here it is a violation like any other."""
    channel = pair.open()
    await until(lambda: channel.readyState == "open")
    body = open_message(b"a")
    chunk = data_chunk(pair.ours._last_received_tsn + 1, body, protocol=WEBRTC_DCEP)
    chunk.stream_id, chunk.stream_seq = channel.id, 1
    caplog.set_level("INFO")
    await pair.send_raw(chunk)
    await ended(pair)
    assert "data channels of a peer are ended: a channel is opened twice" in caplog.text


HEARTBEATS = b"".join(bytes(HeartbeatChunk()) for _ in range(290))
ADDITIONS = [(17, bytes(StreamAddOutgoingParam(number, 1))) for number in range(92)]
"""Requests for more streams, all in one chunk."""


@pytest.mark.parametrize(
    ("chunks", "answers"),
    [(HEARTBEATS, 290), (bytes(ReconfigChunk(body=encode_params(ADDITIONS))), 92)],
    ids=["chunks", "parameters"],
)
async def test_work_is_not_done_for_ever(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, chunks: bytes, answers: int
) -> None:
    """290 heartbeats fit a packet, and each asks for an answer: the loop is everybody's."""
    answered = 0

    async def count(chunk: object) -> None:
        nonlocal answered
        answered += 1

    pair.ours._send_chunk = count  # type: ignore[method-assign]
    monkeypatch.setattr("sfu.datachannels.thread_time", lambda: answered / 10_000)
    pair.ours._work.rate, pair.ours._work.left = 0.0, WORK_BURST
    packet = serialize_packet(5000, 5000, pair.ours._local_verification_tag, HeartbeatChunk())
    whole = packet[:8] + pack("<I", crc32c(packet[:8] + bytes(4) + chunks)) + chunks
    for _ in range(20):
        await pair.ours._handle_data(whole)
    assert answered == answers * ceil(WORK_BURST * 10_000 / answers)
    assert pair.ours.state == "connected"
    pair.ours._work.rate = 1e9
    before = answered
    await pair.ours._handle_data(whole)
    assert answered == before + answers


async def test_a_forward_tsn_of_many_streams_is_refused(pair: Pair) -> None:
    """All fragments that wait would be walked for each of them, however often one is named."""
    chunk = ForwardTsnChunk()
    chunk.cumulative_tsn = pair.ours._last_received_tsn
    chunk.streams = [(1, 0)] * MAX_STREAMS
    check_packet(serialize_packet(5000, 5000, 0, chunk))
    chunk.streams.append((1, 0))
    await pair.send_raw(chunk)
    await ended(pair)


async def test_packets_that_would_loop_for_ever_are_refused(pair: Pair) -> None:
    """A parameter of length 0 hangs aiortc's parser; it never gets there."""
    init = InitChunk()
    raw = bytearray(serialize_packet(5000, 5000, 0, init))
    looping = raw[:12] + pack("!BBH", 1, 0, 24) + raw[16:32] + b"\x80\x08\x00\x00"
    with pytest.raises(ProtocolViolationError, match="without a length"):
        check_packet(bytes(looping))
    await pair.peer.dtls._send_data(bytes(looping))
    await ended(pair)


async def test_a_sack_of_huge_gaps_is_refused(pair: Pair) -> None:
    """300 gap blocks of 65,535 each would cost seconds of the event loop."""
    sack = SackChunk()
    sack.gaps = [(0, 65535)] * 250
    await pair.send_raw(sack)
    await ended(pair)


async def test_a_slow_reader_cannot_fill_our_memory(pair: Pair) -> None:
    """Sending to a peer that does not read is refused at the bound."""
    channel = RTCDataChannel(pair.ours, RTCDataChannelParameters(label="out"))
    await until(lambda: channel.readyState == "open")
    pair.server.peer = lambda datagram: None
    with pytest.raises(DataChannelError, match="too slowly"):
        for _ in range(100):
            channel.send(b"d" * 10_000)
    assert channel.bufferedAmount <= MAX_BUFFERED_BYTES


async def test_a_message_larger_than_the_peer_takes_is_refused(pair: Pair) -> None:
    """The peer's own limit is kept, as a typed error."""
    channel = RTCDataChannel(pair.ours, RTCDataChannelParameters(label="out"))
    await until(lambda: channel.readyState == "open")
    with pytest.raises(DataChannelError, match="only supports"):
        channel.send(b"d" * 65537)


async def test_sending_after_dtls_has_ended_raises_nowhere(pair: Pair) -> None:
    """Timers and tasks that outlive the transport close the association quietly."""
    channel = RTCDataChannel(pair.ours, RTCDataChannelParameters(label="out"))
    await until(lambda: channel.readyState == "open")
    await pair.server.dtls.stop()
    await until(lambda: pair.server.dtls.state == "closed")
    channel.send("late")
    await until(lambda: pair.ours.state == "closed")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_pass_or_are_refused(data: bytes) -> None:
    """The packet check ends for every input and raises its own error only."""
    try:
        check_packet(b"\0" * 12 + data)
    except ProtocolViolationError as error:
        assert str(error)


async def test_two_hundred_random_packets_never_reach_the_transport(pair: Pair) -> None:
    """Random chunks behind a good checksum and tag end at most the association."""
    rng = random.Random(20)
    for _ in range(200):
        kind = rng.choice([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 130, 192])
        raw = pack("!BBH", kind, rng.randrange(256), rng.randrange(4, 60)) + rng.randbytes(
            rng.randrange(60)
        )
        tag = 0 if kind == 1 else pair.ours._local_verification_tag

        class Raw:
            def __bytes__(self, raw: bytes = raw) -> bytes:
                return raw

        await pair.peer.dtls._send_data(serialize_packet(5000, 5000, tag, Raw()))
    await asyncio.sleep(0)
    assert pair.server.dtls.state == "connected"
    assert pair.server.closed == []
