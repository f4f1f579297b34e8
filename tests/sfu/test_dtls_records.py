"""What of a datagram reaches OpenSSL, and what never does."""

import asyncio
import random
from collections.abc import Iterator
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu import dtls_records
from sfu.dtls_records import (
    MAX_DATAGRAM,
    MAX_HANDSHAKE_BYTES,
    MAX_HANDSHAKE_MESSAGE,
    MAX_LATE_HANDSHAKE_RECORDS,
    MAX_QUEUED_BYTES,
    RECORD_BURST,
    RECORD_RATE,
    RecordQueue,
    is_plaintext_alert,
    pack_datagrams,
    split_records,
)


def record(kind: int, body: bytes, epoch: int = 0, version: int = 0xFEFD) -> bytes:
    """One DTLS record (RFC 6347 section 4.1)."""
    return pack("!BHHHLH", kind, version, epoch, 0, 7, len(body)) + body


def fragment(claimed: int, body: bytes, kind: int = 11, number: int = 0) -> bytes:
    """The beginning of a handshake message of so many bytes (RFC 6347 section 4.2.2)."""
    sizes = (size.to_bytes(3, "big") for size in (claimed, 0, len(body)))
    length, offset, here = sizes
    return bytes([kind]) + length + pack("!H", number) + offset + here + body


HELLO = record(22, fragment(86, b"h" * 86, kind=1))
ALERT = record(21, b"\x02\x28")


def test_a_datagram_is_cut_into_its_records() -> None:
    """Each record of a datagram comes out alone and whole."""
    assert list(split_records(HELLO + ALERT + record(23, b""))) == [HELLO, ALERT, record(23, b"")]


@pytest.mark.parametrize(
    "tail",
    [
        b"",
        b"\x16",
        HELLO[:-1],
        record(19, b"x"),
        record(24, b"x"),
        record(22, b"x", version=0x0303),
    ],
)
def test_what_follows_a_bad_record_is_dropped(tail: bytes) -> None:
    """Cut records, unknown types and TLS versions end the datagram."""
    assert len(list(split_records(HELLO + tail))) == 1


@given(st.binary(max_size=300))
def test_any_bytes_split_into_a_prefix_of_themselves(data: bytes) -> None:
    """The splitter raises nothing and invents nothing."""
    assert data.startswith(b"".join(split_records(data)))


def test_only_plaintext_alerts_are_recognised() -> None:
    """An alert under epoch 1 is authenticated and passes."""
    assert is_plaintext_alert(ALERT)
    assert not is_plaintext_alert(record(21, b"x", epoch=1))
    assert not is_plaintext_alert(HELLO)


async def test_forged_alerts_never_come_out() -> None:
    """Before Finished anyone can write an alert, so none is delivered."""
    queue = RecordQueue(lambda datagram: None)
    queue.feed(ALERT + HELLO)
    assert await queue._recv() == HELLO
    assert queue.dropped == 1


async def test_too_many_handshake_bytes_end_the_stream() -> None:
    """A peer that never finishes cannot make us read more than the bound."""
    queue = RecordQueue(lambda datagram: None)
    for _ in range(MAX_HANDSHAKE_BYTES // len(HELLO) + 1):
        queue.feed(HELLO)
    with pytest.raises(ConnectionError):
        await queue._recv()


async def test_what_nobody_reads_is_bounded() -> None:
    """Records that nobody reads are dropped at the bound, and reading makes room again."""
    queue = RecordQueue(lambda datagram: None)
    queue.handshake_done()
    big = record(23, b"d" * 4000, epoch=1)
    for _ in range(MAX_QUEUED_BYTES // len(big) + 5):
        queue.feed(big)
    assert queue.dropped == 5
    assert await queue._recv() == big
    queue.feed(big)
    assert queue.dropped == 5


@pytest.mark.parametrize(
    "body",
    [
        fragment(MAX_HANDSHAKE_MESSAGE + 1, b"x"),
        fragment(40, b"x") + fragment(MAX_HANDSHAKE_MESSAGE + 1, b"x", number=1),
        fragment(40, b"") + fragment(40, b"") + fragment(2**24 - 1, b""),
        fragment(40, b"x")[:-1],
        fragment(40, b"x") + fragment(MAX_HANDSHAKE_MESSAGE + 1, b"x")[:7],
    ],
    ids=["alone", "behind another", "of nothing", "broken off", "a header broken off"],
)
async def test_no_fragment_claims_a_message_that_nobody_sends(body: bytes) -> None:
    """OpenSSL makes room for what is claimed: a few bytes would hold a hundred thousand."""
    queue = RecordQueue(lambda datagram: None)
    most = record(22, fragment(40, b"x") + fragment(MAX_HANDSHAKE_MESSAGE, b"x", number=1))
    queue.feed(record(22, body) + most)
    assert await queue._recv() == most
    assert queue.dropped == 1


async def test_few_handshake_records_come_after_the_handshake() -> None:
    """Finished again, where ours was lost; what encrypted ones claim cannot be seen."""
    queue = RecordQueue(lambda datagram: None)
    queue.handshake_done()
    for _ in range(MAX_LATE_HANDSHAKE_RECORDS + 5):
        queue.feed(record(22, b"sealed", epoch=1))
    assert len(queue._records) == MAX_LATE_HANDSHAKE_RECORDS
    queue.feed(record(23, b"data", epoch=1))
    assert len(queue._records) == MAX_LATE_HANDSHAKE_RECORDS + 1


async def test_a_reader_wakes_up_on_close() -> None:
    """Closing ends a waiting read, later reads and later sends."""
    sent: list[bytes] = []
    queue = RecordQueue(sent.append)
    reader = asyncio.ensure_future(queue._recv())
    await asyncio.sleep(0)
    queue.close()
    with pytest.raises(ConnectionError):
        await reader
    queue.feed(HELLO)
    with pytest.raises(ConnectionError):
        await queue._recv()
    await queue._send(HELLO)
    assert sent == []


def test_flights_are_packed_into_datagrams_of_whole_records() -> None:
    """No record is cut and no datagram is larger than a path carries."""
    rng = random.Random(3)
    records = [record(22, bytes(rng.randrange(20, 700))) for _ in range(30)]
    datagrams = list(pack_datagrams(b"".join(records)))
    assert b"".join(datagrams) == b"".join(records)
    assert max(map(len, datagrams)) <= MAX_DATAGRAM
    assert all(b"".join(split_records(datagram)) == datagram for datagram in datagrams)


@pytest.mark.parametrize("finished", [False, True])
async def test_records_are_counted(
    finished: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hundred empty ones fit a datagram; what is too many is lost, and a second later some pass.

    It is not even looked at: who sends ten thousand datagrams of them costs next to nothing.
    """
    now, looked_at = 1000.0, 0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)

    def counting(datagram: bytes) -> Iterator[bytes]:
        nonlocal looked_at
        for found in split_records(datagram):
            looked_at += 1
            yield found

    monkeypatch.setattr(dtls_records, "split_records", counting)
    queue = RecordQueue(lambda datagram: None)
    if finished:
        queue.handshake_done()
    many = record(23, b"", epoch=1) * 99 + record(21, b"", epoch=0)
    for _ in range(10):
        queue.feed(many)
    assert len(queue._records) == RECORD_BURST - RECORD_BURST // 100
    assert looked_at == RECORD_BURST
    now += 1.0
    queue.feed(record(23, b"", epoch=1) * 300)
    queue.feed(many)
    assert looked_at == RECORD_BURST + RECORD_RATE + 1
