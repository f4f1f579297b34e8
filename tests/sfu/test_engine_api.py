"""The surface of the compiled engine: ids, bad arguments, life and death."""

import errno
import select

import pytest

from sfu import _engine

VP8 = {"mid": "1", "codecs": [(96, "vp8", 90000, 97)], "extensions": []}


@pytest.fixture
def engine():
    """An engine on a free port of this machine."""
    engine = _engine.Engine(host="127.0.0.1")
    yield engine
    engine.close()


def test_ids_are_never_zero_and_never_used_again(engine):
    """An id of a closed object names nothing for ever."""
    room = engine.create_room()
    seen = set()
    for _ in range(50):
        transport, _, _ = engine.create_transport(room)
        assert transport > 0
        assert transport not in seen
        seen.add(transport)
        engine.close_transport(transport)


def test_credentials_are_as_long_as_ice_wants(engine):
    """RFC 8445 section 5.3: at least 24 bits of fragment and 128 bits of password."""
    _, ufrag, pwd = engine.create_transport(engine.create_room())
    ice_chars = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    assert len(ufrag) >= 4
    assert len(pwd) >= 22
    assert set(ufrag + pwd) <= ice_chars


def test_a_seed_makes_everything_repeatable_and_none_does_not():
    """Tests may fix the generator; production never does."""

    def made(seed):
        engine = _engine.Engine(host="127.0.0.1", seed=seed)
        room = engine.create_room()
        transport, ufrag, pwd = engine.create_transport(room)
        slot = engine.add_slot(transport, "video", **VP8)
        engine.close()
        return ufrag, pwd, slot

    assert made(7) == made(7)
    assert made(7) != made(8)
    assert made(None) != made(None)


def test_a_slot_has_an_rtx_ssrc_only_with_rtx(engine):
    """(slot, ssrc, rtx ssrc or 0, cname)."""
    transport, _, _ = engine.create_transport(engine.create_room())
    _, ssrc, rtx, _ = engine.add_slot(transport, "video", **VP8)
    assert ssrc
    assert rtx
    assert ssrc != rtx
    opus = {"mid": "0", "codecs": [(111, "opus", 48000, 0)], "extensions": []}
    _, ssrc, rtx, _ = engine.add_slot(transport, "audio", auto=True, **opus)
    assert ssrc
    assert rtx == 0


@pytest.mark.parametrize(
    ("method", "arguments", "keywords", "sentence"),
    [
        ("add_track", (1, "smell"), VP8, "kind must be"),
        ("add_track", (1, "video"), VP8 | {"mid": ""}, "mid must be"),
        ("add_track", (1, "video"), VP8 | {"codecs": []}, "needs a codec"),
        ("add_track", (1, "video"), VP8 | {"codecs": [(128, "vp8", 90000, 0)]}, "above 127"),
        ("add_track", (1, "video"), VP8 | {"codecs": [(-1, "vp8", 90000, 0)]}, "out of range"),
        ("add_track", (1, "video"), VP8 | {"codecs": [(96, "av1", 90000, 0)]}, "codec must be"),
        ("add_track", (1, "audio"), VP8, "does not carry"),
        ("add_track", (1, "video"), VP8 | {"extensions": [(15, "u")]}, "reserved"),
        ("add_track", (1, "video"), VP8 | {"extensions": [(999, "u")]}, "out of range"),
        ("add_track", (1, "video"), VP8 | {"rids": ["f", "f"]}, "stands twice"),
        ("add_track", (1, "video"), VP8 | {"ssrcs": [(1 << 32, 0)]}, "out of range"),
        ("add_track", (1, "video"), VP8 | {"ssrcs": [(0, 0)]}, "must not be 0"),
        ("add_slot", (1, "video"), VP8 | {"auto": True}, "only an audio slot"),
        ("set_keys", (1, 2, b"", b"", b"", b""), {}, "no SRTP profile has the number 2"),
        ("set_keys", (1, 7, b"x" * 15, b"", b"", b""), {}, "local_key must have 16 bytes, not 15"),
        ("set_keys", (1, 7, b"x" * 16, b"x" * 12, b"x" * 16, b""), {}, "remote_salt"),
        ("send_dtls", (1, b""), {}, "1 to 65507 bytes, not 0"),
        ("send_dtls", (1, b"x" * 70_000), {}, "not 70000"),
        ("set_slot_size", (1, -1, 5), {}, "width is out of range"),
        ("set_audio_policy", (1,), {"top_n": -1}, "top_n is out of range"),
    ],
)
def test_a_bad_argument_is_a_value_error_that_says_what_is_wrong(
    engine, method, arguments, keywords, sentence
):
    """Nothing of it reaches the worker."""
    with pytest.raises(ValueError, match=sentence):
        getattr(engine, method)(*arguments, **keywords)
    assert engine.stats()["commands"] == 0


def test_commands_for_what_is_gone_are_ignored_and_counted(engine):
    """The engine may have closed an object while a command for it was on its way."""
    engine.close_room(99)
    engine.close_transport(99)
    engine.send_dtls(99, b"x")
    engine.create_transport(99)
    engine.add_track(99, "video", **VP8)
    assert engine.stats()["stale_commands"] == 5
    assert engine.transport_stats(99) == {}
    assert engine.drain() == []


def test_a_taken_port_is_an_os_error_with_its_number(engine):
    """So that the server can say in one line which port is taken."""
    with pytest.raises(OSError, match=str(engine.port)) as caught:
        _engine.Engine(host="127.0.0.1", port=engine.port)
    assert caught.value.errno == errno.EADDRINUSE


@pytest.mark.parametrize("arguments", [{"host": "localhost"}, {"port": -1}, {"port": 70_000}])
def test_a_bad_address_is_a_value_error(arguments):
    """Names are not looked up: which of their addresses to bind is the caller's choice."""
    with pytest.raises(ValueError, match=r"host|port"):
        _engine.Engine(**({"host": "127.0.0.1"} | arguments))


def test_closing_twice_is_harmless_and_late_calls_do_nothing(engine):
    """Shutting down has no order that matters."""
    room = engine.create_room()
    engine.close()
    engine.close()
    engine.create_transport(room)
    assert engine.drain() == []
    assert "api_calls" in engine.stats()


def test_calls_are_counted(engine):
    """The count shows that nothing calls the engine for each packet."""
    before = engine.stats()["api_calls"]
    engine.create_room()
    engine.drain()
    assert engine.stats()["api_calls"] == before + 3


def test_the_descriptor_is_readable_while_something_waits(engine):
    """What an event loop sees: readable on an event, until it is drained to the end."""
    room = engine.create_room()
    transports = [engine.create_transport(room)[0] for _ in range(5)]
    assert select.select([engine.fileno()], [], [], 0)[0] == []
    engine.close_room(room)
    assert select.select([engine.fileno()], [], [], 10)[0]
    assert len(engine.drain(2)) == 2
    assert select.select([engine.fileno()], [], [], 0)[0]
    assert len(engine.drain(512)) == 3
    assert select.select([engine.fileno()], [], [], 0)[0] == []
    assert transports == sorted(transports)
