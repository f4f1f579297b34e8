"""Rotation: whoever had one is last, at every level."""

import itertools
import random

from storage.rotation import Rotation


def drained(rotation):
    """Everything, in the order of its turns."""
    taken = []
    while rotation:
        left = len(rotation)
        taken.append(rotation.pop())
        assert len(rotation) == left - 1
    assert rotation.pop() is None
    return taken


def test_every_level_goes_round():
    """A tenant of many rooms has one in rotation with a tenant of one; so have its rooms."""
    rotation = Rotation()
    for item in ("a1x", "a1y", "a1z", "a2x", "b1x", "b1y", "a2y"):
        rotation.add(item[:2], item)
    assert [rotation.count(path) for path in ("", "a", "a1", "b2", "c1")] == [7, 5, 3, 0, 0]
    assert drained(rotation) == ["a1x", "b1x", "a2x", "b1y", "a1y", "a2y", "a1z"]


def test_who_comes_back_is_behind_those_who_wait():
    rotation = Rotation()
    rotation.add("a", 1)
    rotation.add("b", 2)
    assert rotation.pop() == 1
    rotation.add("a", 3)
    assert drained(rotation) == [2, 3]


def test_what_is_removed_takes_no_place_from_the_others():
    rotation = Rotation()
    for item in ("a1", "a2", "b1"):
        rotation.add(item[:1], item)
    assert rotation.remove("a", "a1")
    assert not rotation.remove("a", "a1")
    assert not rotation.remove("c", "c1")
    assert (len(rotation), rotation.count("a")) == (2, 1)
    assert drained(rotation) == ["a2", "b1"]
    rotation.add("a", "a1")
    rotation.remove("a", "a1")
    assert not rotation
    assert drained(rotation) == []


def test_who_has_most_waiting_gives_one_up():
    """The next of theirs; the others keep their places, and so do they."""
    rotation = Rotation()
    for item in ("a1", "b1", "b2", "b3", "c1", "c2"):
        rotation.add(item[:1], item)
    assert rotation.pop_longest(more_than=3) is None
    assert rotation.pop_longest(more_than=2) == "b1"
    assert (len(rotation), rotation.count("b")) == (5, 2)
    assert drained(rotation) == ["a1", "b2", "c1", "b3", "c2"]
    assert rotation.pop_longest(more_than=0) is None
    rotation.add("a", "a1")
    assert rotation.pop_longest(more_than=0) == "a1"
    assert not rotation._children
    assert not rotation._by_count


def test_nothing_is_lost_and_nobody_waits_for_more_than_one_of_each_other():
    """Random paths: each path's items in order, and between two of one path none twice."""
    seed = random.randrange(10**9)
    print("seed", seed)
    rng = random.Random(seed)
    rotation, put = Rotation(), []
    for number in range(500):
        item = (rng.choice("abc"), number)
        rotation.add(item[:1], item)
        put.append(item)
        if rng.random() < 0.2:
            gone = rng.choice(put)
            assert rotation.remove(gone[:1], gone)
            put.remove(gone)
        counts = {name: rotation.count(name) for name in "abc"}
        told = {name: count for count, names in rotation._by_count.items() for name in names}
        assert told == {name: count for name, count in counts.items() if count}
    taken = drained(rotation)
    assert sorted(taken) == sorted(put)
    for name in "abc":
        own = [place for place, item in enumerate(taken) if item[0] == name]
        assert [taken[place] for place in own] == [item for item in put if item[0] == name]
        for before, after in itertools.pairwise(own):
            others = [item[0] for item in taken[before + 1 : after]]
            assert len(others) == len(set(others))
