"""Events through the bus and round it: the same order, and nothing lost when the bus is."""

import asyncio
import contextlib

import pytest

from signaling import feed
from signaling.envelope import Event
from signaling.feed import BusFeed, Delivery, LocalFeed
from storage.bus import BusDownError, MemoryBus, RedisBus, pack, unpack
from tests.support import services
from tests.support.wait import until


def event(number):
    return Event("room", 1, "hands", "", None, {"rev": number}, number)


class Audience:
    """Collects what happened, in order."""

    def __init__(self):
        self.heard = []

    def deliver(self, target, *names):
        target.deliver([self.delivery(name) for name in names])

    def delivery(self, name):
        is_event = isinstance(name, int)
        return Delivery(lambda: self.heard.append(name), event(name) if is_event else None)


class BrokenBus(MemoryBus):
    """A bus that can go away, or swallow what is published."""

    def __init__(self):
        super().__init__()
        self.down = False
        self.swallow = False

    async def publish(self, key, bodies):
        if self.down:
            raise BusDownError("down")
        return [] if self.swallow else await super().publish(key, bodies)

    async def tail(self, key):
        if self.down:
            raise BusDownError("down")
        return await super().tail(key)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(feed, "PATIENCE", 0.05)
    monkeypatch.setattr(feed, "RETRY", 0.05)


async def opened(bus, epoch=1):
    made = BusFeed(bus, "room", epoch)
    await made.start()
    return made


def test_a_local_feed_delivers_at_once():
    """Without other processes nothing waits."""
    audience = Audience()
    audience.deliver(LocalFeed(), "reply", 1, 2)
    assert audience.heard == ["reply", 1, 2]


async def test_through_the_bus_the_order_is_kept():
    """Replies, events and attachments happen in the order they were given, events after echo."""
    audience, bus = Audience(), MemoryBus()
    one = await opened(bus)
    audience.deliver(one, "reply", 1, "attach", 2)
    audience.deliver(one, "close")
    assert audience.heard == ["reply"]
    await until(lambda: len(audience.heard) == 5)
    assert audience.heard == ["reply", 1, "attach", 2, "close"]
    audience.deliver(one, "nothing waits")
    assert audience.heard[-1] == "nothing waits"
    await one.close()


async def test_other_processes_can_follow(redis_url):
    """What was delivered stands on the room's key in Redis, with epoch and number, in order."""
    bus, audience = RedisBus(redis_url, prefix="follow:"), Audience()
    start = await bus.tail("room")
    one = await opened(bus, epoch=7)
    audience.deliver(one, 1, 2)
    audience.deliver(one, 3)
    found = []
    async with contextlib.aclosing(bus.subscribe("room", start)) as envelopes:
        async for envelope in envelopes:
            found.append(unpack(envelope.body))
            if len(found) == 3:
                break
    assert [(each["ep"], each["n"], each["e"]["s"]) for each in found] == [
        (7, 1, 1), (7, 2, 2), (7, 3, 3),
    ]  # fmt: skip
    await until(lambda: audience.heard == [1, 2, 3])
    await one.close()
    await bus.close()


async def test_another_epochs_envelopes_are_not_ours():
    """An echo of the last owner's numbers delivers nothing."""
    audience, bus = Audience(), MemoryBus()
    old, new = await opened(bus, 1), await opened(bus, 2)
    bus_silent = Audience()
    for _ in range(5):
        bus_silent.deliver(old, 1)
    audience.deliver(new, 1, 2)
    await until(lambda: len(audience.heard) == 2)
    assert audience.heard == [1, 2]
    await asyncio.gather(old.close(), new.close())


async def test_an_envelope_of_another_epoch_is_no_echo(monkeypatch):
    """Its number is that of an event which waits; the event waits on, for its own."""
    monkeypatch.setattr(feed, "PATIENCE", 60)
    audience, bus = Audience(), BrokenBus()
    one = await opened(bus, epoch=2)
    bus.swallow = True
    audience.deliver(one, 1, 2)
    told = [{"ep": epoch, "n": n, "e": {}} for epoch, n in ((1, 2), (3, 2), (2, 1))]
    await MemoryBus.publish(bus, "room", [pack(each) for each in told])
    await until(lambda: audience.heard)
    assert audience.heard == [1]
    await one.close()


async def test_a_bus_that_is_gone_is_passed_by():
    """What waits is delivered in order, what comes is delivered at once, nothing twice."""
    audience, bus = Audience(), BrokenBus()
    one = await opened(bus)
    bus.down = True
    audience.deliver(one, 1, "reply", 2)
    await until(lambda: len(audience.heard) == 3)
    audience.deliver(one, 3)
    assert audience.heard == [1, "reply", 2, 3]
    await one.close()
    assert audience.heard == [1, "reply", 2, 3]


async def test_a_bus_that_swallows_is_passed_by_in_time():
    """Published but never echoed: delivered after the patience, in order."""
    audience, bus = Audience(), BrokenBus()
    one = await opened(bus)
    bus.swallow = True
    audience.deliver(one, 1, 2)
    assert audience.heard == []
    await until(lambda: audience.heard == [1, 2])
    await one.close()


async def test_a_bus_that_comes_back_is_used_again():
    """After the outage events go through it again."""
    audience, bus = Audience(), BrokenBus()
    one = await opened(bus)
    bus.down = True
    audience.deliver(one, 1)
    await until(lambda: audience.heard == [1])
    bus.down = False

    def waits_for_an_echo():
        before = len(audience.heard)
        audience.deliver(one, before + 1)
        return len(audience.heard) == before

    await until(waits_for_an_echo)
    last = len(audience.heard) + 1
    await until(lambda: audience.heard[-1] == last)
    assert audience.heard == list(range(1, last + 1))
    await one.close()


async def test_a_bus_that_is_down_at_the_start_delays_nobody():
    """Starting without the bus works, locally."""
    audience, bus = Audience(), BrokenBus()
    bus.down = True
    one = await opened(bus)
    audience.deliver(one, 1)
    assert audience.heard == [1]
    await one.close()


async def test_losing_redis_loses_nothing():
    """Redis dies under the feed: everything is delivered once, in order."""
    audience = Audience()
    with services.redis() as url:
        bus = RedisBus(url, timeout=0.2)
        one = await opened(bus)
        audience.deliver(one, 1)
        await until(lambda: audience.heard == [1])
    for number in range(2, 30):
        audience.deliver(one, number)
        await asyncio.sleep(0)
    await until(lambda: len(audience.heard) == 29)
    assert audience.heard == list(range(1, 30))
    await one.close()
    await bus.close()


async def test_closing_delivers_what_waits():
    """A feed that closes owes nothing."""
    audience, bus = Audience(), BrokenBus()
    one = await opened(bus)
    bus.swallow = True
    audience.deliver(one, 1, "reply")
    await one.close()
    assert audience.heard == [1, "reply"]


def defective():
    raise RuntimeError("planted")


@pytest.mark.parametrize("down", [False, True])
async def test_a_defect_in_a_delivery_is_reported_and_blames_no_bus(caplog, down):
    """Through the bus or without it: our bug is told, what follows happens, the bus stays."""
    audience, bus, defects = Audience(), BrokenBus(), []
    one = await opened(bus)
    one.report_to(defects.append)
    bus.down = down
    one.deliver([audience.delivery(1), Delivery(defective, event(2)), audience.delivery(3)])
    await until(lambda: audience.heard == [1, 3])
    assert [str(defect) for defect in defects] == ["planted"]
    bus.down = False
    audience.deliver(one, "after", 4)
    await until(lambda: audience.heard == [1, 3, "after", 4])
    assert ("the bus is passed by" in caplog.text) is down
    await one.close()


async def test_what_a_delivery_delivers_comes_behind_what_waits():
    """Also when the bus was lost meanwhile, and all that waits happens in one go."""
    audience, bus = Audience(), BrokenBus()
    one = await opened(bus)
    bus.swallow = True
    more = Delivery(lambda: audience.deliver(one, "more"), event(1))
    one.deliver([more, audience.delivery(2), audience.delivery("reply")])
    await until(lambda: len(audience.heard) == 3)
    assert audience.heard == [2, "reply", "more"]
    await one.close()


async def test_an_envelope_that_cannot_be_read_is_loud_and_the_bus_is_tried_again(caplog):
    """Whoever else writes on our key: the reader's end has a traceback, and another reads on."""
    audience, bus = Audience(), BrokenBus()
    one = await opened(bus)
    await bus.publish("room", [b"\xc1"])
    await until(lambda: "bus reader failed" in caplog.text)
    audience.deliver(one, 1)
    assert audience.heard == [1]
    await until(lambda: one._through_bus)
    audience.deliver(one, 2)
    await until(lambda: audience.heard == [1, 2])
    await one.close()


async def test_a_defect_while_publishing_is_loud_and_the_bus_is_tried_again(caplog, monkeypatch):
    """Whatever a client library lets through: nothing is held back, and the next event goes by bus."""
    audience, bus = Audience(), BrokenBus()
    one = await opened(bus)
    publish = bus.publish

    async def once(key, bodies):
        monkeypatch.setattr(bus, "publish", publish)
        raise RuntimeError("planted")

    monkeypatch.setattr(bus, "publish", once)
    audience.deliver(one, 1)
    await until(lambda: audience.heard == [1])
    assert "planted" in caplog.text
    await until(lambda: one._through_bus)
    audience.deliver(one, 2)
    await until(lambda: audience.heard == [1, 2])
    await one.close()


async def test_an_outage_is_logged_at_its_beginning_and_its_end(caplog, monkeypatch):
    """However often the bus is tried meanwhile."""
    tries = []
    bus, audience = BrokenBus(), Audience()
    one = await opened(bus)
    tail = bus.tail

    async def tried(key):
        tries.append(key)
        return await tail(key)

    monkeypatch.setattr(bus, "tail", tried)
    bus.down = True
    audience.deliver(one, 1)
    await until(lambda: len(tries) >= 4)
    assert caplog.text.count("the bus is passed by") == 1
    bus.down = False
    await until(lambda: one._through_bus)
    audience.deliver(one, 2)
    await until(lambda: audience.heard == [1, 2])
    assert caplog.text.count("the bus is back") == 1
    await one.close()


async def test_a_closed_feed_does_not_try_the_bus_again(monkeypatch):
    """Its reader hears of a broken connection while it is cancelled: nobody is left to come back."""
    bus, tries = BrokenBus(), []

    async def breaking(_key, _after):
        tries.append(1)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise BusDownError("cut") from None
        yield

    monkeypatch.setattr(bus, "subscribe", breaking)
    one = await opened(bus)
    await until(lambda: tries)
    await one.close()
    await asyncio.sleep(3 * feed.RETRY)
    assert len(tries) == 1
