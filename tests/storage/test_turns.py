"""Turns: one at a time, askers in rotation, and time for everybody else in between."""

import asyncio

import pytest

from storage.turns import LONGEST_PAUSE, SentAway, Turns
from tests.support.wait import until


class Timer:
    """Time that passes when a piece of work says so."""

    def __init__(self):
        self.time = 0.0

    def __call__(self):
        return self.time


class Work:
    """Pieces of work that take turns; `done` says whose ran, in order."""

    def __init__(self):
        self.timer = Timer()
        self.turns = Turns(pauses=True, timer=self.timer)
        self.gate = asyncio.Event()
        self.done = []
        self.tasks = []

    def begin(self, asker, name, *, takes=0.0, is_there=lambda: True):
        async def piece():
            async with self.turns.take(asker, is_there=is_there):
                await self.gate.wait()
                self.timer.time += takes
                self.done.append(name)

        task = asyncio.create_task(piece())
        self.tasks.append(task)
        return task

    async def all(self):
        self.gate.set()
        await asyncio.wait_for(asyncio.gather(*self.tasks, return_exceptions=True), 5)


@pytest.fixture
def work():
    return Work()


async def test_who_asks_for_one_does_not_wait_for_all_of_another(work):
    """A crowd of ten, then two others: each of those is next but one, in the order of asking."""
    for number in range(10):
        work.begin("crowd", number)
    work.begin("host", "host")
    work.begin("guest", "guest")
    await until(lambda: work.turns.waiting() == 11)
    await work.all()
    assert work.done == [0, 1, "host", "guest", *range(2, 10)]


async def test_only_one_runs_at_a_time(work):
    """However the pieces wait inside of their turns."""
    running = most = 0

    async def piece():
        nonlocal running, most
        async with work.turns.take("crowd"):
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1

    await asyncio.wait_for(asyncio.gather(*(piece() for _ in range(20))), 5)
    assert most == 1


async def test_after_a_piece_the_loop_is_free_for_as_long(work):
    """The next begins no sooner; one that asks only then waits, too."""
    loop = asyncio.get_running_loop()
    at = []
    work.gate.set()
    for takes in (0.03, 0.0):
        async with work.turns.take("crowd"):
            at.append(loop.time())
            work.timer.time += takes
    assert at[1] - at[0] >= 0.03 - 0.002  # a loop rounds its timers


async def test_a_process_that_stood_still_does_not_pause_for_as_long(work):
    """An hour of suspend in somebody's turn delays the next by no more than any other."""
    work.begin("crowd", "long", takes=3600.0)
    work.begin("host", "next")
    await work.all()
    assert work.done == ["long", "next"]
    assert LONGEST_PAUSE < 1


async def test_who_gives_up_takes_no_turn(work):
    """Nor one of those who asked with them: the others stay in order."""
    work.begin("crowd", 0)
    gone = work.begin("crowd", 1)
    work.begin("crowd", 2)
    work.begin("host", "host")
    await asyncio.sleep(0)
    gone.cancel()
    await until(lambda: work.turns.waiting() == 2)
    await work.all()
    assert work.done == [0, 2, "host"]


async def test_who_gives_up_in_the_moment_in_which_the_turn_passes_on_takes_none():
    """Cancelled, and not yet awake: the place would be lost for ever."""
    turns, done = Turns(), []

    async def piece(name):
        async with turns.take("crowd"):
            done.append(name)

    async with turns.take("crowd"):
        gone, _ = tasks = [asyncio.create_task(piece(name)) for name in ("gone", "next")]
        await asyncio.sleep(0)
        gone.cancel()
    await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
    assert (done, turns._free) == (["next"], 1)


async def test_a_turn_that_is_given_to_somebody_who_left_goes_on_to_the_next(work, monkeypatch):
    """Cancelled between the word and the waking."""
    pass_on = work.turns._pass_on

    def and_cancel(first):
        pass_on(first)
        gone.cancel()

    async with work.turns.take("crowd"):
        gone = work.begin("crowd", "gone")
        work.begin("crowd", "next")
        await asyncio.sleep(0)
        monkeypatch.setattr(work.turns, "_pass_on", and_cancel)
    await work.all()
    assert work.done == ["next"]


async def test_no_asker_has_every_turn():
    """One of three is left to others; it goes to the next of them, before all who wait for their own."""
    turns, done = Turns(3, of_one=2), []
    gates = {name: asyncio.Event() for name in ("crowd", "other")}

    async def piece(name):
        async with turns.take(name):
            done.append(name)
            await gates[name].wait()

    tasks = [asyncio.create_task(piece(name)) for name in ["crowd"] * 4 + ["other"] * 2]
    await until(lambda: len(done) == 3)
    assert (done, turns.waiting()) == (["crowd", "crowd", "other"], 3)
    gates["other"].set()
    await until(lambda: turns.waiting("other") == 0)
    assert (turns.waiting("crowd"), turns._free) == (2, 1), "which they may not have"
    gates["crowd"].set()
    await asyncio.wait_for(asyncio.gather(*tasks), 5)
    assert (turns.waiting(), turns._free, turns._taken) == (0, 3, {})


async def test_who_is_no_longer_there_gets_no_turn(work):
    """The next does, without a pause for them; who had not to wait is not asked."""
    work.begin("crowd", 0, is_there=lambda: False)
    gone = [work.begin("crowd", number, is_there=lambda: False) for number in (1, 2)]
    work.begin("host", "host", is_there=lambda: True)
    await until(lambda: work.turns.waiting() == 3)
    await work.all()
    assert work.done == [0, "host"]
    assert [type(task.exception()) for task in gone] == [SentAway, SentAway]
    await until(lambda: work.turns._free)


async def test_who_waits_for_most_makes_way_for_who_waits_for_less(work):
    """The first of theirs; somebody who would wait for as many makes nobody."""
    crowd = [work.begin("crowd", number) for number in range(5)]
    work.begin("host", "host")
    await until(lambda: work.turns.waiting() == 5)
    assert not work.turns.make_way("crowd")
    assert work.turns.make_way("host")
    assert work.turns.make_way("host")
    assert not work.turns.make_way("host"), "it would wait for two, as they do"
    assert work.turns.make_way("guest")
    assert work.turns.waiting() == 2
    assert not work.turns.make_way("guest"), "of one each, who waits longest is not sent away"
    await work.all()
    assert work.done == [0, 4, "host"]
    assert [type(task.exception()) for task in crowd[1:4]] == [SentAway] * 3


async def test_who_gave_up_and_then_had_to_make_way_is_given_no_turn():
    """Cancelled in the moment in which they are sent away: nothing is passed on twice."""
    turns = Turns()
    async with turns.take("crowd"):
        gone, other = [asyncio.create_task(turns.take("crowd").__aenter__()) for _ in range(2)]
        await asyncio.sleep(0)
        assert turns.make_way("host")
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        other.cancel()
        with pytest.raises(asyncio.CancelledError):
            await other
        assert not turns._free
    assert turns._free == 1


async def test_a_failure_passes_the_turn_on(work):
    with pytest.raises(ZeroDivisionError):
        async with work.turns.take("crowd"):
            work.begin("crowd", "next")
            await asyncio.sleep(0)
            1 / 0  # noqa: B018
    await work.all()
    assert work.done == ["next"]


async def test_as_many_run_at_once_as_may(work):
    """Three, while more wait."""
    turns = Turns(3)
    running, counts = set(), []

    async def piece(number):
        async with turns.take("crowd"):
            running.add(number)
            counts.append(len(running))
            await asyncio.sleep(0)
            running.remove(number)

    await asyncio.wait_for(asyncio.gather(*(piece(number) for number in range(20))), 5)
    assert max(counts) == 3
    assert (turns.waiting(), turns._free) == (0, 3)


async def test_nothing_is_kept_of_those_who_were_served(work):
    for number in range(5):
        work.begin(number, number)
    await work.all()
    await until(lambda: work.turns._free)
    assert work.turns.waiting() == 0
    assert not work.turns._waiting
