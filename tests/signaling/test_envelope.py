"""Frames: what is accepted, what is refused and how, and that both codecs mean the same."""

import contextlib
import json
import random

import msgpack
import msgspec
import pytest

from signaling.envelope import (
    CODECS,
    MAX_FRAME,
    BadRequestError,
    Encoded,
    Event,
    Ping,
    Pong,
    Refusal,
    Reply,
    Request,
)
from signaling.errors import CloseCode, ConnectionEndedError

JSON = CODECS["sunup.v1.json"]
MSGPACK = CODECS["sunup.v1.msgpack"]


def packed(codec, value):
    return json.dumps(value) if codec is JSON else msgpack.packb(value)


@pytest.mark.parametrize("codec", [JSON, MSGPACK], ids=["json", "msgpack"])
class TestBothCodecs:
    def test_a_request_is_read_with_all_its_members(self, codec):
        """id, method, parameters and the expected revision come through as they were sent."""
        frame = packed(codec, {"id": "a1", "m": "chat.send", "p": {"body": "hi"}, "if": 3})
        assert codec.decode(frame) == Request("a1", "chat.send", {"body": "hi"}, 3)

    def test_parameters_and_revision_may_be_absent(self, codec):
        """A request without p and if has empty parameters and no revision."""
        request = codec.decode(packed(codec, {"id": "a1", "m": "leave"}))
        assert request == Request("a1", "leave")
        assert request.if_ is msgspec.UNSET

    def test_pings_and_pongs(self, codec):
        """Both directions of the keep-alive are read."""
        assert codec.decode(packed(codec, {"ping": 7})) == Ping(7)
        assert codec.decode(packed(codec, {"pong": 7})) == Pong(7)
        assert codec.decode(packed(codec, {"pong": 7, "now": "x"})) == Pong(7, "x")

    @pytest.mark.parametrize(
        "value",
        [
            [],
            "text",
            3,
            None,
            {},
            {"m": "leave"},
            {"id": 5, "m": "leave"},
            {"id": "", "m": "leave"},
            {"id": "x" * 65, "m": "leave"},
            {"id": "with space", "m": "leave"},
            {"ping": -1},
            {"ping": "1"},
            {"ping": 1, "more": 2},
            {"pong": 2**60},
            {"id": "a", "m": "chat.send", "p": {"body": "nul\0"}},
            {"id": "a", "m": "x", "p": {"a": [[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]}},
        ],
    )
    def test_what_cannot_be_answered_ends_the_connection(self, codec, value):
        """A frame without a usable id, or that no client sends, is a protocol violation."""
        with pytest.raises(ConnectionEndedError) as ended:
            codec.decode(packed(codec, value))
        assert ended.value.code is CloseCode.PROTOCOL

    @pytest.mark.parametrize(
        "change",
        [
            {"m": None},
            {"m": "Chat.Send"},
            {"m": "x" * 33},
            {"p": []},
            {"p": None},
            {"if": -1},
            {"if": "3"},
            {"more": 1},
        ],
    )
    def test_a_malformed_request_with_an_id_can_be_answered(self, codec, change):
        """When the id is known the refusal carries it, and names the member."""
        with pytest.raises(BadRequestError) as bad:
            codec.decode(packed(codec, {"id": "a1", "m": "leave", **change}))
        assert bad.value.request_id == "a1"
        assert bad.value.code == "bad_request"

    def test_a_frame_over_the_limit_is_refused(self, codec):
        """64 KiB is the limit in both encodings."""
        frame = packed(codec, {"id": "a", "m": "x", "p": {"a": "x" * MAX_FRAME}})
        with pytest.raises(ConnectionEndedError):
            codec.decode(frame)

    def test_more_members_than_any_request_has_are_refused(self, codec):
        """In however many arrays and maps: reading them is work for everybody's thread."""
        wide = [[1] * 63] * 63  # 63 times 1 + 63, and the four of the frame
        codec.decode(packed(codec, {"id": "a", "m": "x", "p": {"a": wide}}))
        too_wide = packed(codec, {"id": "a", "m": "x", "p": {"a": [*wide, wide[0]]}})
        with pytest.raises(ConnectionEndedError):
            codec.decode(too_wide)

    def test_the_other_kind_of_frame_is_refused(self, codec):
        """Text on a binary connection, and the other way round, is a protocol violation."""
        other = MSGPACK if codec is JSON else JSON
        with pytest.raises(ConnectionEndedError):
            codec.decode(packed(other, {"ping": 1}))

    def test_random_bytes_never_raise_anything_else(self, codec):
        """2,000 seeded mutations of real frames end in one of the two typed errors, or parse."""
        rng = random.Random(9)
        print("seed 9")
        frame = packed(codec, {"id": "a1", "m": "chat.send", "p": {"body": "hi", "to": None}})
        data = frame.encode() if isinstance(frame, str) else frame
        for _ in range(2000):
            mutated = bytearray(data)
            for _ in range(rng.randrange(1, 6)):
                mutated[rng.randrange(len(mutated))] = rng.randrange(256)
            given = mutated.decode(errors="replace") if codec is JSON else bytes(mutated)
            with contextlib.suppress(ConnectionEndedError, BadRequestError):
                codec.decode(given)

    def test_frames_to_clients_have_the_documented_members(self, codec):
        """Each frame struct becomes exactly the members of the protocol document."""

        def members(frame):
            data = codec.encode(frame)
            return json.loads(data) if codec is JSON else msgpack.unpackb(data)

        assert members(Reply("a", {"x": 1})) == {"re": "a", "ok": True, "p": {"x": 1}}
        assert members(Reply("a", {}, committed=True, seq=4)) == {
            "re": "a", "ok": True, "p": {}, "committed": True, "seq": 4,
        }  # fmt: skip
        assert members(Refusal("a", {"code": "rate"})) == {
            "re": "a", "ok": False, "err": {"code": "rate"},
        }  # fmt: skip
        event = Event("room", 2, "hands", "2026-01-01T00:00:00.000Z", None, {"rev": 1}, 5)
        assert members(event) == {
            "st": "room", "ep": 2, "s": 5, "t": "hands", "at": "2026-01-01T00:00:00.000Z",
            "by": None, "p": {"rev": 1},
        }  # fmt: skip
        assert members(Event("eph", 2, "speakers", "", None, {})).keys() == {
            "st", "ep", "t", "at", "by", "p",
        }  # fmt: skip
        assert members(Ping(3)) == {"ping": 3}
        assert members(Pong(3, "now")) == {"pong": 3, "now": "now"}


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "{",
        '{"id":"a","id":"b","m":"leave"}',
        '{"id":"a","m":"x","p":{"a":NaN}}',
        '{"id":"a","m":"x","p":{"a":Infinity}}',
        '{"id":"a","m":"x","p":{"a":"\\ud800"}}',
        '{"id":"a","m":"x","p":{"a":"\\u0000"}}',
        "[" * 60_000,
        '{"a":' * 10_000,
        '{"id":"a","m":"x","p":{' + ",".join(f'"{n}":1' for n in range(257)) + "}}",
    ],
)
def test_json_that_parsers_disagree_about_is_refused(frame):
    """Duplicate keys, constants, lone surrogates, NUL and bombs never reach a method."""
    with pytest.raises(ConnectionEndedError):
        JSON.decode(frame)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xc1",
        b"\x91" * 60_000,
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\x80" * 60_000,
        msgpack.packb({1: 2}),
        msgpack.packb({"id": "a", "m": "x", "p": {"b": b"bytes"}}),
        msgpack.packb({"id": "a", "m": "x", "p": {"e": msgpack.ExtType(1, b"x")}}),
        b"\x82\xa2id\xa1a\xa2id\xa1b",
        b"\x81\xa2id\xa1\xff",
        msgpack.packb({"id": "a", "m": "x"}) + b"\x00",
    ],
)
def test_msgpack_bombs_and_foreign_types_are_refused(frame):
    """Declared lengths, deep nesting, bytes, extensions and trailing data end the connection."""
    with pytest.raises(ConnectionEndedError):
        MSGPACK.decode(frame)


def test_a_shared_frame_is_encoded_once_per_codec():
    """However many clients get it, each codec works once."""
    encoded = Encoded(Event("room", 1, "hands", "", None, {}, 1))
    assert encoded.to(JSON) is encoded.to(JSON)
    assert encoded.to(MSGPACK) is encoded.to(MSGPACK)
    assert json.loads(encoded.to(JSON)) == msgpack.unpackb(encoded.to(MSGPACK))
