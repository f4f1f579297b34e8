"""Data channels for one transport: aiortc's SCTP, made fit to face strangers.

aiortc's association trusts its peer: it enforces no message size, no receive window, no number
of channels, and a crafted packet can make it loop or raise. This subclass checks each packet
before aiortc sees it, bounds what is kept, and ends the association (never the call) on any
violation. For low rates only: fan-out to many peers belongs on the WebSocket. It runs on
`sfu.dtls`; what the messages mean is the caller's matter.
"""

import asyncio
import logging
from collections.abc import Callable
from struct import pack, unpack_from
from time import thread_time
from typing import Protocol, TypeAlias

from aiortc import RTCDataChannel, RTCDtlsTransport, RTCSctpCapabilities, RTCSctpTransport
from aiortc.rtcsctptransport import (
    DATA_CHANNEL_OPEN,
    WEBRTC_DCEP,
    InboundStream,
)

from .budget import Budget
from .errors import DataChannelError
from .sections import MAX_MESSAGE_SIZE

MAX_BUFFERED_BYTES = 256 * 1024
"""Fragments that wait for their message, and messages that wait to be sent, each."""
MAX_BUFFERED_CHUNKS = 1024
MAX_CHANNELS = 8
MAX_STREAMS = 32
"""Streams that we keep state for: channels, and those just closed."""
MAX_LABEL_BYTES = 64
WORK_RATE = 0.02
"""Seconds of the loop's own time per second that the packets of a peer may cost for ever. Time, as
aiortc does much for little in more ways than can be counted: 290 heartbeats in a packet, say."""
WORK_BURST = 0.1

_COMMON_HEADER = 12
_CHUNK_HEADER = 4
# Where the parameters of a chunk begin, after its header (RFC 9260 section 3.3, RFC 6525).
_PARAMETERS_AT = {1: 16, 2: 16, 4: 0, 5: 0, 6: 0, 9: 0, 130: 0}
_SACK = 3
_FORWARD_TSN = 192
_MAX_GAP = 4096

_logger = logging.getLogger(__name__)


class DataChannel(Protocol):
    """A channel as the caller sees it."""

    @property
    def label(self) -> str:
        """The name that the opener gave it."""

    def send(self, data: bytes | str) -> None:
        """Queue one message."""

    def close(self) -> None:
        """Close the channel in order."""


MessageHandler: TypeAlias = Callable[[DataChannel, bytes | str], None]


class ProtocolViolationError(Exception):
    """The peer broke a rule of SCTP or one of our bounds; ends the association, not the call."""


class DataChannels(RTCSctpTransport):
    """The SCTP association of one transport.

    Args:
        transport: A connected DTLS transport.
        on_message: Called with each message; what it raises is logged and harms nobody.
    """

    def __init__(self, transport: RTCDtlsTransport, on_message: MessageHandler) -> None:
        super().__init__(transport)
        self._on_message = on_message
        self._advertised_rwnd = MAX_BUFFERED_BYTES
        self._work = Budget(WORK_RATE, WORK_BURST)

    async def open_association(self, *, port: int, max_message_size: int) -> None:
        """Start SCTP with what the peer's SDP said (RFC 8841)."""
        await self.start(RTCSctpCapabilities(maxMessageSize=max_message_size), port)

    # ---------------------------------------------------------------- coming in

    async def _handle_data(self, data: bytes) -> None:
        """Override: look at the packet first; whatever goes wrong ends here."""
        if not self._work.allows(asyncio.get_running_loop().time()):
            return  # as if it had been lost: an honest peer sends it again, and slows down
        started = thread_time()
        try:
            check_packet(data)
            await super()._handle_data(data)  # which waits for nothing: the time is its own
            self._check_buffers()
        except ConnectionError:
            self._set_state(self.State.CLOSED)
        except ProtocolViolationError as error:
            _logger.info("data channels of a peer are ended: %s", error)
            await self.stop()
        except Exception:
            # The peer chose the bytes, and aiortc asserts on many of them; it may also be a bug.
            _logger.warning("data channels of a peer are ended", exc_info=True)
            await self.stop()
        finally:
            self._work.charge(thread_time() - started)

    def _get_inbound_stream(self, stream_id: int) -> InboundStream:
        if stream_id not in self._inbound_streams and len(self._inbound_streams) >= MAX_STREAMS:
            raise ProtocolViolationError("too many streams")
        return super()._get_inbound_stream(stream_id)

    def _check_buffers(self) -> None:
        chunks = sum(len(stream.reassembly) for stream in self._inbound_streams.values())
        # An honest peer stops at 0; the rest is its last message, which it may finish.
        if self._advertised_rwnd < -MAX_MESSAGE_SIZE:
            raise ProtocolViolationError("more than the receive window that we gave")
        if max(chunks, len(self._sack_misordered)) > MAX_BUFFERED_CHUNKS:
            raise ProtocolViolationError("too many fragments wait for their messages")
        if len(self._sack_duplicates) > MAX_BUFFERED_CHUNKS:
            raise ProtocolViolationError("too many duplicates")
        if len(self._outbound_queue) + len(self._sent_queue) > MAX_BUFFERED_CHUNKS:
            raise ProtocolViolationError("too much waits for its acknowledgement")

    async def _data_channel_receive(self, stream_id: int, pp_id: int, data: bytes) -> None:
        if len(data) > MAX_MESSAGE_SIZE:
            raise ProtocolViolationError(f"a message is larger than {MAX_MESSAGE_SIZE} bytes")
        if pp_id == WEBRTC_DCEP and data[:1] == bytes([DATA_CHANNEL_OPEN]):
            check_open(data)
            if stream_id in self._data_channels:
                raise ProtocolViolationError("a channel is opened twice")
            if len(self._data_channels) >= MAX_CHANNELS:
                raise ProtocolViolationError(f"more than {MAX_CHANNELS} channels")
        await super()._data_channel_receive(stream_id, pp_id, data)
        channel = self._data_channels.get(stream_id)
        if channel is not None and not channel.listeners("message"):
            channel.on("message", lambda message: self._deliver(channel, message))

    def _deliver(self, channel: RTCDataChannel, message: bytes | str) -> None:
        try:
            self._on_message(channel, message)
        except Exception:
            _logger.exception("the handler of a data channel message failed")

    # ---------------------------------------------------------------- going out

    async def _send_chunk(self, chunk: object) -> None:
        """Override: timers and tasks of aiortc send too, and nobody catches their errors."""
        try:
            await super()._send_chunk(chunk)  # type: ignore[arg-type] # its own Chunk type
        except ConnectionError:
            self._set_state(self.State.CLOSED)

    def _data_channel_send(self, channel: RTCDataChannel, data: bytes | str) -> None:
        size = len(data.encode() if isinstance(data, str) else data)
        queued = sum(c.bufferedAmount for c in self._data_channels.values())
        if queued + size > MAX_BUFFERED_BYTES:
            raise DataChannelError("the peer reads too slowly: its buffer is full")
        try:
            super()._data_channel_send(channel, data)
        except ValueError as error:
            raise DataChannelError(str(error)) from None

    def _data_channel_open(self, channel: RTCDataChannel) -> None:
        """Override: the base class gives lengths in characters where bytes are due (RFC 8832)."""
        label, protocol = channel.label.encode(), channel.protocol.encode()
        if len(label) > MAX_LABEL_BYTES or len(protocol) > MAX_LABEL_BYTES:
            raise DataChannelError(f"a label is longer than {MAX_LABEL_BYTES} bytes")
        super()._data_channel_open(channel)
        queued, kind, message = self._data_channel_queue.pop()
        header = message[:8] + pack("!HH", len(label), len(protocol))
        self._data_channel_queue.append((queued, kind, header + label + protocol))


def check_packet(data: bytes) -> None:
    """Refuse packets on which aiortc would loop for ever or for very long.

    Raises:
        ProtocolViolationError: A parameter has no length, a SACK spans more than we ever send, or a
            FORWARD-TSN names more streams than there can be.
    """
    position = _COMMON_HEADER
    while position + _CHUNK_HEADER <= len(data):
        kind, _, length = unpack_from("!BBH", data, position)
        end = position + length
        if length < _CHUNK_HEADER or end > len(data):
            break  # aiortc refuses the packet on the same grounds
        if kind in _PARAMETERS_AT:
            _check_parameters(data[position + _CHUNK_HEADER + _PARAMETERS_AT[kind] : end])
        elif kind == _SACK:
            _check_sack(data[position + _CHUNK_HEADER : end])
        elif kind == _FORWARD_TSN and length > _CHUNK_HEADER + 4 + 4 * MAX_STREAMS:
            raise ProtocolViolationError(f"a FORWARD-TSN of more than {MAX_STREAMS} streams")
        position = end + -length % 4


def check_open(data: bytes) -> None:
    """Check a DATA_CHANNEL_OPEN message (RFC 8832 section 5.1).

    Raises:
        ProtocolViolationError: Lengths that do not fit, or names that are too long or no UTF-8.
    """
    if len(data) < 12:
        raise ProtocolViolationError("a short DATA_CHANNEL_OPEN")
    label_length, protocol_length = unpack_from("!HH", data, 8)
    if max(label_length, protocol_length) > MAX_LABEL_BYTES:
        raise ProtocolViolationError(f"a label is longer than {MAX_LABEL_BYTES} bytes")
    if 12 + label_length + protocol_length != len(data):
        raise ProtocolViolationError("a DATA_CHANNEL_OPEN whose lengths do not add up")
    try:
        data[12 : 12 + label_length].decode()
        data[12 + label_length :].decode()
    except UnicodeDecodeError:
        raise ProtocolViolationError("a label that is no UTF-8") from None


def _check_parameters(body: bytes) -> None:
    position = 0
    while position + 4 <= len(body):
        (length,) = unpack_from("!H", body, position + 2)
        if length < 4:
            raise ProtocolViolationError("a parameter without a length")
        position += length + -length % 4


def _check_sack(body: bytes) -> None:
    if len(body) < 12:
        return
    (gaps,) = unpack_from("!H", body, 8)
    spans = [
        unpack_from("!HH", body, 12 + 4 * index)
        for index in range(min(gaps, (len(body) - 12) // 4))
    ]
    if sum(end - start + 1 for start, end in spans if end >= start) > _MAX_GAP:
        raise ProtocolViolationError("a SACK for more than we send")
