"""A node's hold on one room: what is not the truth is thrown away, and opened anew in measure."""

import asyncio

import pytest
import pytest_asyncio

from signaling.journal import LEASE, FencedError, JournalDownError
from signaling.tenure import REOPEN_CALM, REOPEN_DELAYS, OpenRoom, Tenure
from tests.signaling.fakes import ManualClock, MemoryJournal, MemoryStore
from tests.support.wait import until

SHORT = 0.003
"""Seconds of a lease in these tests: it is renewed all the time."""


class Part:
    """The committer and the outbound of an open room: notes what becomes of it."""

    def __init__(self):
        self.ends = []

    async def abandon(self):
        self.ends.append("abandoned")

    async def close(self):
        self.ends.append("closed")


class Journal(MemoryJournal):
    """Renewals and openings raise what the test says, once each."""

    def __init__(self, store):
        super().__init__(store)
        self.renewals = []
        self.openings = []

    async def open(self):
        if self.openings:
            raise self.openings.pop(0)
        return await super().open()

    async def renew(self, epoch):
        if self.renewals:
            raise self.renewals.pop(0)
        return await super().renew(epoch)


class Hold:
    """A tenure with its callbacks; `defects` are raised by the next ones that hear it is open."""

    def __init__(self):
        self.clock = ManualClock()
        self.store = MemoryStore()
        self.journal = Journal(self.store)
        self.rooms = []
        self.heard = []
        self.still = []
        self.defects = []
        self.heeded = 0
        self.lost = 0
        self.tenure = Tenure(
            "room",
            self.journal,
            self.clock,
            restore=self.restore,
            opened=self.opened,
            heed=self.heed,
            lost=self.lose,
        )

    async def restore(self, opened):
        self.rooms.append(OpenRoom(None, opened.epoch, opened.session_no, Part(), Part()))
        return self.rooms[-1]

    def opened(self, opened, stood_still):
        self.still.append(stood_still)
        self.heard.append(opened.epoch)
        if self.defects:
            raise self.defects.pop(0)

    def heed(self, _plan):
        self.heeded += 1

    def lose(self):
        self.lost += 1

    async def until_open(self, epoch):
        """The room is open in this epoch, and nothing is under way."""
        await until(lambda: self.tenure.current and self.tenure.current.epoch == epoch)
        await self.tenure._reopening


@pytest.fixture
def delays(monkeypatch):
    """What the tenure would have slept before it opened the room anew; nothing is slept."""
    slept = []
    sleep = asyncio.sleep

    async def note(seconds):
        if seconds in REOPEN_DELAYS:
            slept.append(seconds)
            seconds = 0
        await sleep(seconds)

    monkeypatch.setattr("signaling.tenure.asyncio.sleep", note)
    return slept


@pytest_asyncio.fixture
async def hold():
    made = Hold()
    yield made
    await made.tenure.end()


@pytest.fixture
def renewing(monkeypatch):
    """Leases are short."""
    monkeypatch.setattr("signaling.tenure.LEASE", SHORT)


async def test_a_fenced_renewal_throws_the_room_away(hold, renewing):
    """Somebody else wrote it: what is in memory goes, what waited fails, and it is read anew."""
    await hold.tenure.begin()
    (old,) = hold.rooms
    hold.journal.renewals.append(FencedError("another epoch"))
    await hold.until_open(2)
    assert old.committer.ends == ["abandoned"]
    assert old.outbound.ends == ["closed"]
    assert hold.heard == [1, 2]


@pytest.mark.parametrize("trouble", [ValueError("a defect"), JournalDownError("down")])
async def test_the_lease_goes_on_after_trouble_in_one_renewal(hold, renewing, trouble):
    """Neither a defect of ours nor a database that is away once ends the keeping of the lease."""
    await hold.tenure.begin()
    await until(lambda: hold.heeded)
    hold.journal.renewals.append(trouble)
    await until(lambda: not hold.journal.renewals)
    heeded = hold.heeded
    await until(lambda: hold.heeded > heeded + 1)
    assert hold.heard == [1], "the room stayed as it was"


@pytest.mark.parametrize("answer", ["plan", "fenced"])
async def test_an_answer_about_an_earlier_epoch_is_no_news(hold, renewing, monkeypatch, answer):
    """The room was opened anew while the renewal was under way: nothing follows from it."""
    asked, goes_on = asyncio.Event(), asyncio.Event()

    async def renew(epoch):
        if epoch == 1:
            asked.set()
            await goes_on.wait()
            if answer == "fenced":
                raise FencedError("another epoch")
        else:
            await asyncio.sleep(60)
        return "plan"

    monkeypatch.setattr(hold.journal, "renew", renew)
    await hold.tenure.begin()
    await asked.wait()
    hold.tenure.throw_away("a failed commit")
    await hold.until_open(2)
    goes_on.set()
    for _ in range(10):
        await asyncio.sleep(0)
    assert hold.heeded == 0
    assert hold.tenure.current is hold.rooms[1]


async def test_a_defect_in_heeding_the_calendar_does_not_end_the_lease(hold, renewing, monkeypatch):
    """The calendar is told at each renewal: what one telling breaks, the lease survives."""
    defects = [ValueError("a defect")]

    def heed(_plan):
        if defects:
            raise defects.pop()
        hold.heeded += 1

    monkeypatch.setattr(hold.tenure, "_heed", heed)
    await hold.tenure.begin()
    await until(lambda: hold.heeded)
    assert defects == []


async def test_reopenings_that_follow_each_other_slow_down(hold, delays):
    """At once at first, then later and later, whether the room opens or not."""
    await hold.tenure.begin()
    for number in range(2, 5):
        hold.tenure.throw_away("a defect of the room")
        await hold.until_open(number)
    assert delays == list(REOPEN_DELAYS[:3])
    hold.journal.openings += [JournalDownError("down")] * 3
    hold.tenure.throw_away("a failed commit")
    await hold.until_open(5)
    assert delays == [*REOPEN_DELAYS, REOPEN_DELAYS[-1], REOPEN_DELAYS[-1]]


async def test_a_reopening_after_calm_is_at_once(hold, delays):
    """Trouble long past makes nobody wait; trouble just past does."""
    await hold.tenure.begin()
    epoch = 1
    for wait in (0.0, REOPEN_CALM - 0.1, REOPEN_CALM, 0.0):
        hold.clock.time += wait
        hold.tenure.throw_away("a defect of the room")
        epoch += 1
        await hold.until_open(epoch)
    assert delays == [REOPEN_DELAYS[0], REOPEN_DELAYS[1], REOPEN_DELAYS[0], REOPEN_DELAYS[1]]


async def test_a_half_open_room_is_discarded(hold, delays):
    """Who heard that it is open raised: nobody is served from it, and it is opened once more."""
    await hold.tenure.begin()
    hold.defects.append(ValueError("a defect"))
    hold.tenure.throw_away("a failed commit")
    await hold.until_open(3)
    first, half_open, last = hold.rooms
    for gone in (first, half_open):
        assert (gone.committer.ends, gone.outbound.ends) == (["abandoned"], ["closed"])
    assert hold.tenure.current is last
    assert last.committer.ends == []
    assert len(delays) == 2


async def test_nobody_is_let_in_while_a_half_open_room_is_taken_down(hold, delays, monkeypatch):
    """A room whose opening failed is not ready, however long its discarding takes."""
    await hold.tenure.begin()
    goes_on = asyncio.Event()

    class Slow(Part):
        async def abandon(self):
            await goes_on.wait()
            await super().abandon()

    async def restore(opened):
        hold.rooms.append(OpenRoom(None, opened.epoch, opened.session_no, Slow(), Part()))
        return hold.rooms[-1]

    monkeypatch.setattr(hold.tenure, "_restore", restore)
    hold.defects.append(ValueError("a defect"))
    hold.tenure.throw_away("a failed commit")
    await until(lambda: hold.heard == [1, 2])
    assert hold.tenure.current is None
    assert not hold.tenure._ready.is_set()
    goes_on.set()
    await hold.until_open(3)


async def test_a_room_that_another_node_has_is_kept_no_longer(hold, renewing):
    """It is told once; the lease is not renewed any more, and nothing is given back."""
    await hold.tenure.begin()
    keeper = hold.tenure._keeper
    hold.journal.owned_elsewhere = True
    hold.tenure.throw_away("a failed commit")
    await until(lambda: hold.lost)
    await until(keeper.done)
    await hold.tenure.end()
    assert hold.lost == 1
    assert hold.journal.released == []
    assert hold.tenure.current is None


async def test_a_first_opening_that_fails_half_way_leaves_nothing():
    """Whoever asked for the room is told; no open room is left behind without a keeper."""
    hold = Hold()
    hold.defects.append(RuntimeError("a defect"))
    with pytest.raises(RuntimeError):
        await hold.tenure.begin()
    assert hold.tenure.current is None
    assert hold.rooms[0].committer.ends == ["abandoned"]
    assert hold.rooms[0].outbound.ends == ["closed"]


@pytest.mark.parametrize("by", ["its pulse", "a decision"])
async def test_a_process_that_stood_still_does_not_go_on_as_if_nothing_was(hold, monkeypatch, by):
    """Longer than a lease: whoever notices first, the room is opened anew and told why."""
    if by == "its pulse":
        monkeypatch.setattr("signaling.tenure.PULSE", 0.05)
    await hold.tenure.begin()
    hold.clock.slept += LEASE + 1
    if by == "a decision":
        hold.tenure.check_pulse()
        assert hold.tenure.current is None
    await hold.until_open(2)
    assert hold.still == [False, True]
    hold.tenure.throw_away("a failed commit")
    await hold.until_open(3)
    assert hold.still == [False, True, False]


async def test_a_room_that_was_being_opened_anew_stood_still_as_well(hold):
    """Else who was attached would have been there all the time."""
    await hold.tenure.begin()
    hold.tenure.throw_away("a failed commit")
    hold.clock.slept += 60
    hold.tenure.check_pulse()
    await hold.until_open(2)
    assert hold.still == [False, True]


@pytest.mark.parametrize("how", ["given back", "lost", "never had"])
async def test_a_room_that_this_node_does_not_have_has_no_pulse(hold, how):
    """A thousand meetings that are over cost a busy node nothing."""
    if how == "never had":
        hold.journal.openings.append(JournalDownError("down"))
        with pytest.raises(JournalDownError):
            await hold.tenure.begin()
    else:
        await hold.tenure.begin()
    if how == "given back":
        await hold.tenure.end()
    elif how == "lost":
        hold.journal.openings.append(FencedError("another node"))
        hold.tenure.throw_away("a failed commit")
        await until(lambda: hold.lost)
    assert hold.tenure._beating.cancelled()


async def test_a_pause_shorter_than_a_lease_changes_nothing(hold, monkeypatch):
    """A long commit, a collection: a second or two are nobody's loss."""
    monkeypatch.setattr("signaling.tenure.PULSE", 0.01)
    await hold.tenure.begin()
    pulse = hold.tenure._pulse
    hold.clock.slept += LEASE - 1
    await until(lambda: hold.tenure._pulse > pulse)
    assert hold.heard == [1]
