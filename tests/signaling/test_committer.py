"""Commit, then tell; together what gathered; all or nothing when it fails."""

import asyncio
import contextlib

import pytest

from rooms.events import Event, RoomEnded
from signaling import committer
from signaling.committer import MAX_FACTS, SLICE, Committer, Unit
from signaling.feed import Delivery
from signaling.journal import JournalDownError
from storage.turns import Turns
from tests.support.wait import until


def fact(number):
    return Event(
        "room.ended",
        "room",
        "committed",
        0.0,
        str(number),
        None,
        RoomEnded("x", None, "2026-01-01T00:00:00.000Z"),
    )


class Bench:
    """A committer whose journal and audience are lists."""

    def __init__(self):
        self.batches = []
        self.told = []
        self.failures = []
        self.broken = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.error = None
        self.timer = 0.0
        self.turns = Turns()
        self.committer = Committer(
            self.append,
            self.deliver,
            next_seq=1,
            failed=self.broken.append,
            turn=self.turns.take,
            timer=lambda: self.timer,
        )

    async def append(self, first, facts):
        await self.gate.wait()
        if self.error:
            raise self.error
        self.batches.append((first, [event.at for event in facts]))

    def deliver(self, deliveries):
        for delivery in deliveries:
            delivery.happen()

    def submit(self, name, facts=1):
        deliveries = [Delivery(lambda: self.told.append(name))]
        unit = Unit(
            [fact(f"{name}.{n}") for n in range(facts)],
            deliveries,
            lambda error: self.failures.append((name, error.code)),
        )
        self.committer.submit(unit)


async def test_nothing_is_told_before_its_commit():
    """While the commit runs, nobody hears of it."""
    bench = Bench()
    bench.gate.clear()
    bench.submit("a")
    await asyncio.sleep(0)
    assert bench.told == []
    bench.gate.set()
    await bench.committer.flush()
    assert (bench.told, bench.batches) == (["a"], [(1, ["a.0"])])
    await bench.committer.close()


async def test_what_gathers_is_committed_together_and_told_in_order():
    """One commit for all that waited; numbers are contiguous over batches."""
    bench = Bench()
    bench.gate.clear()
    bench.submit("a")
    await asyncio.sleep(0)
    for name in "bcd":
        bench.submit(name, facts=2)
    bench.gate.set()
    await bench.committer.flush()
    assert [first for first, _ in bench.batches] == [1, 2]
    assert len(bench.batches[1][1]) == 6
    assert bench.told == ["a", "b", "c", "d"]
    assert bench.committer.next_seq == 8
    await bench.committer.close()


async def test_a_batch_is_bounded_and_a_unit_is_never_split():
    """At most 200 facts a commit, unless one input made more."""
    bench = Bench()
    bench.gate.clear()
    bench.submit("first")
    await asyncio.sleep(0)
    bench.submit("large", facts=MAX_FACTS + 50)
    for number in range(3):
        bench.submit(str(number), facts=90)
    bench.gate.set()
    await bench.committer.flush()
    assert [len(facts) for _, facts in bench.batches] == [1, MAX_FACTS + 50, 180, 90]
    await bench.committer.close()


async def test_what_was_committed_is_told_in_turns_of_some_milliseconds():
    """One room's large batch is not everybody's half a second; a unit is told whole, in its order."""
    bench = Bench()
    turns = []

    @contextlib.asynccontextmanager
    async def turn():
        async with bench.turns.take():
            turns.append([])
            yield

    bench.committer._turn = turn

    def tell(name):
        turns[-1].append(name)
        bench.timer += SLICE / 2

    for name in "abcde":
        bench.committer.submit(Unit([fact(name)], [Delivery(lambda name=name: tell(name))]))
    async with bench.turns.take():  # another room's
        await until(lambda: bench.batches)
        bench.submit("f", facts=0)
        assert (turns, bench.told) == ([], [])
    await bench.committer.flush()
    assert turns == [["a", "b"], ["c", "d"], ["e"], []]  # and the last was f's
    assert bench.told == ["f"]
    await bench.committer.close()


async def test_a_room_that_breaks_while_it_waits_for_its_turn_tells_nothing_more():
    """Who asked is told at once: the facts are stored, and the room is opened anew."""
    bench = Bench()
    async with bench.turns.take():
        bench.submit("a")
        await until(lambda: bench.batches)
        bench.committer.defective(RuntimeError("planted"))
        assert bench.failures == [("a", "unavailable")]
    await bench.committer.flush()
    assert bench.told == []
    await until(lambda: bench.turns._free == 1)
    await bench.committer.close()


async def test_without_facts_and_with_nothing_under_way_it_is_told_at_once():
    """What depends on no commit does not wait for a task switch."""
    bench = Bench()
    bench.submit("a", facts=0)
    assert bench.told == ["a"]
    await bench.committer.close()


async def test_without_facts_it_waits_for_those_before_it():
    """Nobody sees the effect of a fact that could still be lost."""
    bench = Bench()
    bench.gate.clear()
    bench.submit("fact")
    bench.submit("view", facts=0)
    await asyncio.sleep(0)
    assert bench.told == []
    bench.gate.set()
    await bench.committer.flush()
    assert bench.told == ["fact", "view"]
    await bench.committer.close()


@pytest.mark.parametrize("facts", [0, 1])
async def test_what_a_delivery_submits_comes_behind_what_is_being_delivered(facts):
    """A snapshot made in the middle of a batch includes its events: it is told after them."""
    bench = Bench()
    unit = Unit(
        [fact(f"a.{n}") for n in range(facts)],
        [
            Delivery(lambda: bench.submit("snapshot", facts=0)),
            Delivery(lambda: bench.told.append("a")),
        ],
    )
    bench.gate.clear()
    bench.committer.submit(unit)
    bench.submit("b", facts=facts)
    bench.gate.set()
    await bench.committer.flush()
    bench.submit("later", facts=0)
    batch = ["a", "b", "snapshot"] if facts else ["a", "snapshot", "b"]
    assert bench.told == [*batch, "later"]
    await bench.committer.close()


async def test_a_failed_commit_fails_everything_that_waits():
    """All askers hear `unavailable`, nothing is told, and later units are refused at once."""
    bench = Bench()
    bench.gate.clear()
    bench.submit("a")
    await asyncio.sleep(0)
    bench.submit("b")
    bench.error = JournalDownError("gone")
    bench.gate.set()
    await until(lambda: bench.broken)
    bench.submit("c")
    assert bench.failures == [("a", "unavailable"), ("b", "unavailable"), ("c", "unavailable")]
    assert bench.told == []
    await bench.committer.close()


async def test_a_slow_commit_is_told_in_time_and_goes_on(monkeypatch):
    """After the limit the asker hears so; when the commit comes through, the audience hears it."""
    monkeypatch.setattr(committer, "ANSWER_WITHIN", 0.02)
    bench = Bench()
    bench.gate.clear()
    bench.submit("a")
    await until(lambda: bench.failures == [("a", "unavailable")])
    bench.gate.set()
    await until(lambda: bench.told == ["a"])
    await bench.committer.close()


async def test_our_bug_in_a_delivery_is_loud_and_ends_the_epoch(caplog):
    """A delivery that raises breaks the committer instead of leaving a silent hole."""
    bench = Bench()

    def bug():
        raise RuntimeError("planted")

    bench.committer.submit(Unit([fact("x")], [Delivery(bug)]))
    await until(lambda: bench.broken)
    assert "planted" in caplog.text
    await bench.committer.close()


async def test_a_defect_that_comes_late_ends_the_epoch_once(caplog):
    """From a feed, while a commit runs: who waits hears so, and nothing more is delivered."""
    bench = Bench()
    bench.gate.clear()
    bench.submit("a")
    await asyncio.sleep(0)
    for _ in range(2):
        bench.committer.defective(ValueError("planted"))
    bench.gate.set()
    await bench.committer.flush()
    for _ in range(3):
        await asyncio.sleep(0)
    assert bench.failures == [("a", "unavailable")]
    assert len(bench.broken) == 1
    assert bench.told == []
    assert caplog.text.count("ValueError: planted") == 2
    await bench.committer.abandon()


async def test_abandoning_tells_who_waits():
    """A room that is thrown away answers what it had not committed."""
    bench = Bench()
    bench.gate.clear()
    bench.submit("a")
    await asyncio.sleep(0)
    bench.submit("b")
    await bench.committer.abandon()
    assert bench.failures == [("a", "unavailable"), ("b", "unavailable")]
    assert bench.told == []


@pytest.mark.parametrize("facts", [0, 1])
async def test_closing_carries_out_what_waits(facts):
    """Close flushes first."""
    bench = Bench()
    bench.submit("a", facts=facts)
    await bench.committer.close()
    assert bench.told == ["a"]
