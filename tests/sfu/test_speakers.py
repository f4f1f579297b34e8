"""Who holds the floor."""

import itertools
import random

from sfu.speakers import HOLD_SECONDS, Floor, heard, left, settle


def test_the_first_speaker_gets_the_floor_at_once() -> None:
    """Nobody has to wait while nobody holds it."""
    floor = heard(Floor(), ["ana", "bo"], 10.0)
    assert (floor.dominant, floor.since) == ("ana", 10.0)
    assert dict(floor.spoke_at) == {"ana": 10.0, "bo": 10.0}


def test_a_challenger_waits_until_the_holder_has_had_it_for_two_seconds() -> None:
    """A new loudest speaker takes the floor at the end of the hold, by timer if need be."""
    floor = heard(Floor(), ["ana"], 10.0)
    floor = heard(floor, ["bo"], 10.5)
    assert floor.dominant == "ana"
    assert floor.next_timeout() == 12.0
    assert settle(floor, 11.99).dominant == "ana"
    after = settle(floor, 12.0)
    assert (after.dominant, after.since, after.next_timeout()) == ("bo", 12.0, None)


def test_a_cough_does_not_take_the_floor() -> None:
    """Who is quiet again before the hold ends never gets it."""
    floor = heard(Floor(), ["ana"], 10.0)
    floor = heard(floor, ["bo"], 10.5)
    floor = heard(floor, [], 11.0)
    assert floor.next_timeout() is None
    assert settle(floor, 60.0).dominant == "ana"


def test_silence_keeps_the_last_speaker() -> None:
    """A pause shows whoever spoke last."""
    assert heard(heard(Floor(), ["ana"], 1.0), [], 99.0).dominant == "ana"


def test_a_leaver_frees_the_floor_for_the_challenger() -> None:
    """When the holder leaves, whoever speaks gets it at once."""
    floor = heard(heard(Floor(), ["ana"], 10.0), ["bo"], 10.1)
    floor = left(floor, "ana", 10.2)
    assert floor.dominant == "bo"
    assert "ana" not in dict(floor.spoke_at)
    assert left(floor, "bo", 10.3).dominant is None


def test_the_floor_never_changes_hands_faster_than_the_hold() -> None:
    """Whatever is reported, two changes are at least two seconds apart."""
    rng = random.Random(8)
    floor, now, changes = Floor(), 0.0, []
    for _ in range(2000):
        now += rng.random()
        before = floor.dominant
        floor = heard(floor, rng.sample("abcde", rng.randrange(4)), now)
        if floor.dominant != before:
            changes.append(now)
    assert len(changes) > 50
    assert min(b - a for a, b in itertools.pairwise(changes)) >= HOLD_SECONDS
