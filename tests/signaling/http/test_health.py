"""A check that costs something, and all who ask for it."""

import asyncio

import pytest

from signaling.http import health
from signaling.http.health import LOOK_EVERY, SharedCheck
from tests.signaling.fakes import ManualClock


class Writer:
    """A database that lets nobody write before `turn` is set; counts how many have asked."""

    def __init__(self):
        self.asked = 0
        self.turn = asyncio.Event()
        self.broken = False

    async def check(self):
        self.asked += 1
        await self.turn.wait()
        if self.broken:
            raise OSError("away")


@pytest.fixture
def writer():
    return Writer()


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def check(writer, clock):
    return SharedCheck(writer.check, clock.now)


async def test_however_many_ask_one_looks(check, writer, clock):
    """A stranger who asks a thousand times takes one turn of those who write, and one a second later."""
    asking = [asyncio.ensure_future(check()) for _ in range(1000)]
    await asyncio.sleep(0)
    writer.turn.set()
    await asyncio.gather(*asking)
    await check()
    assert writer.asked == 1
    clock.time += LOOK_EVERY
    await check()
    await check()
    assert writer.asked == 2


async def test_what_takes_too_long_is_told_and_goes_on(check, writer, clock, monkeypatch):
    """No second look piles up behind it; when it comes to its end all is well."""
    monkeypatch.setattr(health, "PATIENCE", 0.01)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await check()
        clock.time += LOOK_EVERY
    assert writer.asked == 1
    writer.turn.set()
    await check()


async def test_a_failure_is_everybodys_until_the_next_look(check, writer, clock):
    """Also when nobody waited for it: it is no fault of ours that is told in the log."""
    writer.broken = True
    writer.turn.set()
    for _ in range(2):
        with pytest.raises(OSError, match="away"):
            await check()
    writer.broken = False
    clock.time += LOOK_EVERY
    await check()
    assert writer.asked == 2
