"""The DTLS record layer as a filter: what of a datagram may reach OpenSSL.

`RecordQueue` is the "ICE transport" that aiortc's DTLS asks for: datagrams from the engine go in
at `feed`, single records come out of `_recv`. On the way it drops what is no DTLS 1.0-1.2 record
(RFC 6347 section 4.1) and every plaintext alert: before Finished anyone can forge one, and
OpenSSL would end the handshake on it. Sizes are bounded. The handshake itself is in `sfu.dtls`.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from struct import unpack_from

from .budget import Budget

MAX_HANDSHAKE_BYTES = 64 * 1024
"""Bytes taken from a peer before the handshake ends; a browser needs about 3,000."""
MAX_QUEUED_BYTES = 256 * 1024
"""Bytes of records that wait for the event loop; more is dropped, as a full socket would."""
MAX_HANDSHAKE_MESSAGE = 16 * 1024
"""Bytes of one handshake message; a browser's largest is its certificate, of about 500. OpenSSL makes
room for what the header of a fragment claims, up to 100 kB for each of ten messages."""
MAX_LATE_HANDSHAKE_RECORDS = 32
"""Encrypted ones that may come after the handshake: Finished, again for each time that ours was lost.
What they claim cannot be seen."""
MAX_DATAGRAM = 1200
"""Bytes of a datagram that we send (IPv6 minimum MTU less headers, as browsers do)."""

RECORD_RATE = 200.0
"""Records per second that a peer may send for ever; an empty one is work, too."""
RECORD_BURST = 200.0
"""Those at once; a handshake takes ten, and as many again for each flight that is lost."""

_HEADER = 13
_FRAGMENT_HEADER = 12
_CHANGE_CIPHER_SPEC, _ALERT, _HANDSHAKE, _APPLICATION_DATA = 20, 21, 22, 23
_VERSION_MAJOR = 0xFE  # DTLS counts down from 0xFEFF (1.0) to 0xFEFD (1.2)


def split_records(datagram: bytes) -> Iterator[bytes]:
    """Yield the well-formed DTLS records of a datagram, up to the first that is not."""
    position = 0
    while position + _HEADER <= len(datagram):
        kind, major = datagram[position], datagram[position + 1]
        (length,) = unpack_from("!H", datagram, position + 11)
        end = position + _HEADER + length
        known = _CHANGE_CIPHER_SPEC <= kind <= _APPLICATION_DATA and major == _VERSION_MAJOR
        if not known or end > len(datagram):
            return
        yield datagram[position:end]
        position = end


def is_plaintext_alert(record: bytes) -> bool:
    """Tell whether a record is an alert of epoch 0, which proves nothing about who sent it."""
    return record[0] == _ALERT and record[3:5] == b"\0\0"


def claims_too_much(record: bytes) -> bool:
    """Tell whether a plaintext handshake record speaks of too long a message, or breaks off.

    It may hold fragments of several messages, one after another, and OpenSSL reads them all.
    """
    if record[0] != _HANDSHAKE or record[3:5] != b"\0\0":
        return False
    position = _HEADER
    while position < len(record):  # RFC 6347 section 4.2.2
        length = int.from_bytes(record[position + 1 : position + 4], "big")
        fragment = int.from_bytes(record[position + 9 : position + 12], "big")
        position += _FRAGMENT_HEADER + fragment
        if length > MAX_HANDSHAKE_MESSAGE or position > len(record):
            return True
    return False


def pack_datagrams(flight: bytes) -> Iterator[bytes]:
    """Yield datagrams of whole records, as few as fit `MAX_DATAGRAM`."""
    datagram = b""
    for record in split_records(flight):
        if datagram and len(datagram) + len(record) > MAX_DATAGRAM:
            yield datagram
            datagram = b""
        datagram += record
    if datagram:
        yield datagram


class RecordQueue:
    """aiortc's view of the wire: `role`, `_recv` and `_send` are the names that it calls.

    Args:
        send: Takes one datagram to the peer.
    """

    role = "controlled"
    """Ours as an ICE-lite agent; aiortc reads it only where no DTLS role was set."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send_datagram = send
        self._records: deque[bytes] = deque()
        self._queued_bytes = 0
        self._handshake_bytes = 0
        self._handshaking = True
        self._late_handshake_records = 0
        self._budget = Budget(RECORD_RATE, RECORD_BURST)
        self._closed = False
        self._readable = asyncio.Event()
        self.dropped = 0
        """Records that were dropped, as forged alerts, and rests of datagrams that were too much."""

    def feed(self, datagram: bytes) -> None:
        """Take a datagram from the engine; never blocks, never raises."""
        if self._closed:
            return
        if self._handshaking:
            self._handshake_bytes += len(datagram)
            if self._handshake_bytes > MAX_HANDSHAKE_BYTES:
                self.close()
                return
        if not self._budget.allows(asyncio.get_running_loop().time()):
            self.dropped += 1
            return
        for record in split_records(datagram):
            if self._budget.left <= 0:
                self.dropped += 1
                break  # to look at each of the others would be work, too
            self._budget.charge(1)
            if not self._takes(record):
                self.dropped += 1
                continue
            self._records.append(record)
            self._queued_bytes += len(record)
        if self._records:
            self._readable.set()

    def _takes(self, record: bytes) -> bool:
        if is_plaintext_alert(record) or self._queued_bytes + len(record) > MAX_QUEUED_BYTES:
            return False
        if not self._handshaking and record[0] == _HANDSHAKE:
            self._late_handshake_records += 1
            return self._late_handshake_records <= MAX_LATE_HANDSHAKE_RECORDS
        return not claims_too_much(record)

    def handshake_done(self) -> None:
        """Lift the bound on handshake bytes."""
        self._handshaking = False

    def close(self) -> None:
        """End the stream: whoever reads gets `ConnectionError`."""
        self._closed = True
        self._records.clear()
        self._readable.set()

    async def wait_readable(self) -> None:
        """Wait for the first record, or for the end of the stream."""
        await self._readable.wait()

    async def _recv(self) -> bytes:
        while not self._records:
            if self._closed:
                raise ConnectionError
            self._readable.clear()
            await self._readable.wait()
        record = self._records.popleft()
        self._queued_bytes -= len(record)
        return record

    async def _send(self, datagram: bytes) -> None:
        if not self._closed:
            self._send_datagram(datagram)
