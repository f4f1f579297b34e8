"""Stream numbers and exact resume: what was missed, all of it or nothing."""

import random

import pytest

from signaling import streams as streams_module
from signaling.envelope import CODECS, Encoded, Event
from signaling.streams import (
    REPLAY_BYTES,
    RING_EVENTS,
    RING_SECONDS,
    Shelf,
    StreamLog,
    Streams,
)


def event(number):
    return Encoded(Event("room", 1, "x", "", None, {"n": number}, number))


def filled(streams, stream, count, now=0.0):
    for _ in range(count):
        number = streams.log(stream).number()
        streams.log(stream).keep(number, event(number), now)


def nobody(_stream):
    """Follows no stream."""
    return False


def numbers(encoded):
    return [one.frame.s for one in encoded]


def test_numbers_are_contiguous_from_one():
    """Each stream counts for itself."""
    streams = Streams(7)
    filled(streams, "room", 3)
    filled(streams, "hosts", 1)
    assert streams.positions(["room", "hosts", "self:a", "eph"]) == {
        "room": (7, 3), "hosts": (7, 1), "self:a": (7, 0),
    }  # fmt: skip


def test_what_was_missed_is_replayed_in_order():
    """Each stream from where the client stands, and only streams it may see."""
    streams = Streams(1)
    filled(streams, "room", 5)
    filled(streams, "self:a", 2)
    filled(streams, "self:b", 9)
    missed = streams.replay({"room": (1, 2), "self:a": (1, 2)}, ["room", "self:a", "eph"], 0.0)
    assert numbers(missed) == [3, 4, 5]


def test_what_was_missed_on_several_streams_comes_as_it_was_delivered():
    """Who was away hears of two streams in the order in which the others heard of them."""
    streams = Streams(1)
    for number, stream in enumerate(("hosts", "room", "room", "hosts")):
        sequenced = streams.log(stream)
        sequenced.keep(sequenced.number(), event(number), 0.0)
    missed = streams.replay({"room": (1, 0), "hosts": (1, 0)}, ["room", "hosts"], 0.0)
    assert numbers(missed) == [0, 1, 2, 3]
    missed = streams.replay({"room": (1, 1), "hosts": (1, 0)}, ["room", "hosts"], 0.0)
    assert numbers(missed) == [0, 2, 3]


def test_an_empty_gap_is_no_snapshot():
    """A client that missed nothing gets nothing, and that is a success."""
    streams = Streams(1)
    filled(streams, "room", 5)
    assert streams.replay({"room": (1, 5)}, ["room"], 0.0) == []


@pytest.mark.parametrize(
    ("positions", "why"),
    [
        ({"room": (2, 3)}, "another epoch"),
        ({"room": (1, 6)}, "a number that was never given"),
        ({}, "a stream with events and no position"),
        ({"room": (1, 5), "hosts": (0, 0)}, "one stream of another epoch"),
    ],
)
def test_what_cannot_be_told_exactly_needs_a_snapshot(positions, why):
    """Any doubt about one stream means a snapshot of all."""
    streams = Streams(1)
    filled(streams, "room", 5)
    assert streams.replay(positions, ["room", "hosts"], 0.0) is None, why


def test_a_new_stream_without_events_needs_no_position():
    """A stream that never had an event has nothing to miss."""
    streams = Streams(1)
    filled(streams, "room", 1)
    assert streams.replay({"room": (1, 1)}, ["room", "hosts"], 0.0) == []


def test_the_ring_forgets_by_count():
    """Beyond 300 events the gap cannot be told."""
    streams = Streams(1)
    filled(streams, "room", RING_EVENTS + 1)
    assert len(streams.replay({"room": (1, 1)}, ["room"], 0.0)) == RING_EVENTS
    assert streams.replay({"room": (1, 0)}, ["room"], 0.0) is None


def test_the_ring_forgets_by_age():
    """What is older than 5 min is not replayed, even when it is still there."""
    streams = Streams(1)
    filled(streams, "room", 2, now=0.0)
    filled(streams, "room", 2, now=RING_SECONDS)
    assert numbers(streams.replay({"room": (1, 2)}, ["room"], RING_SECONDS + 1)) == [3, 4]
    assert streams.replay({"room": (1, 1)}, ["room"], RING_SECONDS + 1) is None


def test_all_streams_together_keep_no_more_than_a_room_may(monkeypatch):
    """What was delivered first goes first, whatever stream it is on; the others are told exactly."""
    one = len(event(1).to(CODECS["sunup.v1.json"]))
    monkeypatch.setattr(streams_module, "ROOM_BYTES", 10 * one)
    streams = Streams(1)
    filled(streams, "room", 1)
    for number in range(9):
        filled(streams, f"self:{number}", 1)
    assert numbers(streams.replay({"room": (1, 0)}, ["room"], 0.0)) == [1]
    filled(streams, "room", 1)
    assert streams.replay({"room": (1, 0)}, ["room"], 0.0) is None
    assert numbers(streams.replay({"room": (1, 1)}, ["room"], 0.0)) == [2]
    assert numbers(streams.replay({"self:0": (1, 0)}, ["self:0"], 0.0)) == [1]
    assert streams._shelf.size == 10 * one


def test_what_was_let_go_leaves_nothing_on_the_shelf():
    """By count, by age, or with its stream."""
    streams = Streams(1)
    filled(streams, "room", RING_EVENTS + 50)
    filled(streams, "self:a", 3)
    streams.tidy(RING_SECONDS, nobody)
    filled(streams, "self:a", 1, now=2 * RING_SECONDS)
    filled(streams, "self:b", 1, now=2 * RING_SECONDS)
    streams.tidy(2 * RING_SECONDS + 1, nobody)
    assert "self:a" not in streams._logs
    kept = [each.size for log in streams._logs.values() for each in log._ring]
    assert streams._shelf.size == sum(kept)
    filled(streams, "self:b", 1, now=2 * RING_SECONDS + 1)
    assert len(streams._shelf._oldest) == 2


def test_events_under_way_are_not_replayed():
    """What is numbered and not yet delivered comes later, through the stream itself."""
    streams = Streams(1)
    filled(streams, "room", 2)
    streams.log("room").number()
    assert numbers(streams.replay({"room": (1, 1)}, ["room"], 0.0)) == [2]
    assert streams.positions(["room"]) == {"room": (1, 3)}


def test_delivering_out_of_order_is_our_bug():
    """A gap or a repeat in the ring would be served to clients: it is raised at once."""
    log = StreamLog(Shelf())
    log.keep(log.number(), event(1), 0.0)
    with pytest.raises(RuntimeError):
        log.keep(3, event(3), 0.0)
    with pytest.raises(RuntimeError):
        log.keep(1, event(1), 0.0)


def test_the_ephemeral_stream_has_no_numbers():
    """Asking for them is our bug."""
    with pytest.raises(ValueError, match="not sequenced"):
        Streams(1).log("eph")


def test_any_cut_is_resumed_exactly():
    """Random cuts of random streams: replay plus what was seen equals everything, or a snapshot."""
    rng = random.Random(4)
    print("seed 4")
    for _ in range(200):
        streams = Streams(1)
        total = rng.randrange(0, 700)
        seen = rng.randrange(0, total + 1)
        filled(streams, "room", total)
        missed = streams.replay({"room": (1, seen)}, ["room"], 0.0)
        if total - seen <= RING_EVENTS:
            assert [*range(1, seen + 1), *numbers(missed)] == list(range(1, total + 1))
        else:
            assert missed is None


def test_who_lost_a_stream_needs_a_snapshot():
    """Put out while away: what is missed on the streams that are left does not say so."""
    streams = Streams(1)
    filled(streams, "room", 5)
    filled(streams, "self:a", 2)
    assert streams.replay({"room": (1, 5), "self:a": (1, 2)}, ["self:a", "lobby:a"], 0.0) is None


def large(streams, stream, count, size, now=0.0):
    """As `filled`, with events of about this many bytes."""
    for _ in range(count):
        number = streams.log(stream).number()
        frame = Event(stream, 1, "x", "", None, {"x": "x" * size}, number)
        streams.log(stream).keep(number, Encoded(frame), now)


def held(streams):
    """Bytes of the frames in memory."""
    return sum(kept.size for log in streams._logs.values() for kept in log._ring)


def test_a_stream_forgets_by_size():
    """More than could be replayed at once is not kept; the newest that could is."""
    streams = Streams(1)
    large(streams, "room", 100, 20_000)
    assert REPLAY_BYTES - 21_000 < held(streams) <= REPLAY_BYTES
    assert len(streams.replay({"room": (1, 75)}, ["room"], 0.0)) == 25
    assert streams.replay({"room": (1, 1)}, ["room"], 0.0) is None


def test_who_missed_very_much_on_all_streams_together_gets_a_snapshot():
    """A replay that would fill the queue of a client never begins."""
    streams = Streams(1)
    for stream in ("room", "scope:main"):
        large(streams, stream, 20, 20_000)
    known = {"room": (1, 20), "scope:main": (1, 0)}
    assert len(streams.replay(known, ["room", "scope:main"], 0.0)) == 20
    known["room"] = (1, 0)
    assert streams.replay(known, ["room", "scope:main"], 0.0) is None


def test_streams_where_nothing_comes_any_more_cost_no_memory():
    """A crowd that came and went is let go when its events are too old to be told."""
    streams = Streams(1)
    streams.tidy(1.0, nobody)
    for number in range(50):
        large(streams, f"lobby:{number}", 3, 100, now=1.0)
    filled(streams, "room", 1, now=RING_SECONDS + 2)
    assert held(streams) > 15_000
    streams.tidy(RING_SECONDS + 2, nobody)
    assert held(streams) < 200
    assert streams.replay({"lobby:1": (1, 3)}, ["lobby:1"], RING_SECONDS + 2) == []
    assert streams.replay({"lobby:1": (1, 2)}, ["lobby:1"], RING_SECONDS + 2) is None


def passed(streams, seconds, followed=nobody):
    """Let time pass, with a look at the streams each minute; the time at its end."""
    now = streams._tidied
    for _ in range(int(seconds / 60) + 1):
        now += 61
        streams.tidy(now, followed)
    return now


def test_streams_that_nobody_follows_any_more_are_forgotten():
    """Those of whoever came and went in this epoch; who follows one keeps it and its numbers."""
    streams = Streams(1)
    for number in range(50):
        filled(streams, f"self:{number}", 3)
    filled(streams, "room", 9)
    passed(streams, RING_SECONDS + 120, lambda stream: stream == "room")
    assert set(streams._logs) == {"room"}
    assert streams.positions(["room"]) == {"room": (1, 9)}


def test_a_stream_under_way_or_just_begun_is_not_forgotten():
    """A snapshot says where it stands: from there its numbers go on, whenever the next comes."""
    streams = Streams(1)
    streams.log("self:a").number()
    passed(streams, RING_SECONDS + 120)
    assert streams.positions(["self:a"]) == {"self:a": (1, 1)}
    assert streams.positions(["self:b"]) == {"self:b": (1, 0)}
    passed(streams, RING_SECONDS - 120)
    assert set(streams._logs) == {"self:a", "self:b"}


def test_a_forgotten_stream_never_serves_a_part():
    """Its number of before stands for no later event: who comes back to it gets a snapshot."""
    streams = Streams(1)
    filled(streams, "self:a", 3)
    filled(streams, "self:b", 5)
    now = passed(streams, RING_SECONDS + 120)
    assert streams._logs == {}
    filled(streams, "self:a", 2, now)
    for known in range(6):
        missed = streams.replay({"self:a": (1, known)}, ["self:a"], now)
        assert missed is None or known == 5, "5 is where it stood at most"
    assert streams.replay({"self:b": (1, 2)}, ["self:b"], now) is None
    assert streams.replay({"self:b": (1, 5)}, ["self:b"], now) == []
    assert streams.replay({"self:b": (1, 0)}, ["self:b"], now) is None
    filled(streams, "self:b", 1, now)
    assert streams.positions(["self:b"]) == {"self:b": (1, 6)}


def test_a_client_is_not_where_it_was_before_its_newest_snapshot():
    """Nor where it never was told of, nor in another epoch; a stream that is let go takes it along."""
    streams = Streams(2)
    filled(streams, "room", 5)
    filled(streams, "self:a", 1)
    assert not streams.may_have("self:a", {"room": (2, 5)}), "no snapshot yet"
    streams.tell("self:a", streams.positions(["room", "self:a"]))
    assert streams.may_have("self:a", {"room": (2, 5), "self:a": (2, 1)})
    assert streams.may_have("self:a", {"room": (2, 9)})
    assert not streams.may_have("self:a", {"room": (2, 4), "self:a": (2, 1)})
    assert not streams.may_have("self:a", {"room": (1, 9)})
    assert not streams.may_have("self:a", {"room": (2, 5), "hosts": (2, 0)})
    assert not streams.may_have("self:b", {"room": (2, 5)})
    for times in (1, 2, 4):
        streams.tidy(times * RING_SECONDS, nobody)
    assert not streams.may_have("self:a", {"self:a": (2, 1)})
