"""One contract for both buses: order, replay, gaps told, loss told."""

import asyncio
import contextlib

import pytest
import redis as redis_client

from storage.bus import Bus, BusDownError, GapError, MemoryBus, RedisBus, open_bus, pack, unpack
from tests.support import services
from tests.support.ports import free_port
from tests.support.wait import until


@pytest.fixture(params=["memory", "redis"])
async def bus(request):
    """Each implementation in turn, keeping 50 envelopes a feed."""
    if request.param == "memory":
        made: Bus = MemoryBus(max_envelopes=50)
    else:
        url = request.getfixturevalue("redis_url")
        made = RedisBus(url, prefix=f"t{id(request)}:", max_envelopes=50)
    yield made
    await made.close()


async def take(bus, key, count, after=None):
    """The next `count` envelopes."""
    found = []
    async with asyncio.timeout(30):
        async with contextlib.aclosing(bus.subscribe(key, after)) as envelopes:
            async for envelope in envelopes:
                found.append(envelope)
                if len(found) == count:
                    return found
    return found


class TestBusContract:
    async def test_envelopes_arrive_in_the_order_of_publishing(self, bus):
        """A reader sees every envelope once, in order, across publishes."""
        start = await bus.tail("room")
        positions = await bus.publish("room", [b"1", b"2"])
        positions += await bus.publish("room", [b"3"])
        found = await take(bus, "room", 3, start)
        assert [envelope.body for envelope in found] == [b"1", b"2", b"3"]
        assert [envelope.position for envelope in found] == positions

    async def test_a_reader_goes_on_where_it_stopped(self, bus):
        """Subscribing after a position yields exactly what came later."""
        positions = await bus.publish("room", [b"%d" % n for n in range(10)])
        found = await take(bus, "room", 6, positions[3])
        assert [envelope.body for envelope in found] == [b"%d" % n for n in range(4, 10)]

    async def test_a_waiting_reader_is_woken(self, bus):
        """A reader that has seen all gets the next envelope when it is published."""
        position = (await bus.publish("room", [b"old"]))[0]
        reader = asyncio.create_task(take(bus, "room", 1, position))
        await asyncio.sleep(0)
        await bus.publish("room", [b"new"])
        assert [envelope.body for envelope in await reader] == [b"new"]

    async def test_feeds_are_apart(self, bus):
        """What is published under one key is not seen under another."""
        start = await bus.tail("b")
        await bus.publish("a", [b"for a"])
        await bus.publish("b", [b"for b"])
        assert [envelope.body for envelope in await take(bus, "b", 1, start)] == [b"for b"]

    async def test_a_trimmed_position_is_a_gap(self, bus):
        """A reader that stayed away too long is told, not served a hole."""
        first = (await bus.publish("room", [b"first"]))[0]
        for _ in range(3):
            await bus.publish("room", [b"x"] * 20)
        with pytest.raises(GapError):
            await take(bus, "room", 1, first)

    @pytest.mark.parametrize("position", ["", "nonsense", "other.3", ".99"])
    async def test_a_position_of_another_feed_is_a_gap(self, bus, position):
        """A position that this feed never gave out is refused."""
        await bus.publish("room", [b"x"])
        with pytest.raises(GapError):
            await take(bus, "room", 1, position)

    async def test_a_position_ahead_of_its_feed_is_a_gap(self, bus):
        """Who waited there for the feed to catch up would miss all that comes until then."""
        position = (await bus.publish("room", [b"x"]))[0]
        epoch, _, number = position.rpartition(".")
        with pytest.raises(GapError):
            await take(bus, "room", 1, f"{epoch}.{int(number) + 1}")

    async def test_any_number_of_readers(self, bus):
        """Readers do not take envelopes from each other."""
        start = (await bus.publish("room", [b"start"]))[0]
        readers = [asyncio.create_task(take(bus, "room", 2, start)) for _ in range(5)]
        await bus.publish("room", [b"1", b"2"])
        for found in await asyncio.gather(*readers):
            assert [envelope.body for envelope in found] == [b"1", b"2"]

    async def test_a_cancelled_publisher_leaves_the_bus_usable(self, bus):
        """Cancelling at any await never hands one caller the answer of another."""
        for _ in range(30):
            task = asyncio.create_task(bus.publish("noise", [b"n"]))
            await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            start = await bus.tail("room")
            await bus.publish("room", [b"sure"])
            assert [envelope.body for envelope in await take(bus, "room", 1, start)] == [b"sure"]

    async def test_a_closed_bus_says_so(self, bus):
        """After close, publishing is refused with the typed error."""
        if isinstance(bus, RedisBus):
            await bus.ping()
        await bus.close()
        if isinstance(bus, MemoryBus):
            with pytest.raises(BusDownError):
                await bus.publish("room", [b"x"])


def test_envelope_bodies_are_msgpack():
    """What one node packs, the next unpacks to an equal value."""
    value = {"room": "r", "ep": 3, "list": [1, None, True, "ü"]}
    assert unpack(pack(value)) == value
    with pytest.raises(ValueError, match="over"):
        pack("x" * 300_000)


async def test_without_a_url_the_bus_is_in_process():
    """SUNUP_REDIS_URL unset means no Redis at all."""
    assert isinstance(open_bus(None), MemoryBus)


class TestLosingRedis:
    async def test_a_dead_redis_is_a_typed_error_in_time(self):
        """Publishing to a Redis that is gone fails within the time limit, and the name says how."""
        bus = RedisBus(f"redis://127.0.0.1:{free_port()}/0", timeout=0.3)
        async with asyncio.timeout(30):
            with pytest.raises(BusDownError):
                await bus.publish("room", [b"x"])
            with pytest.raises(BusDownError):
                await bus.ping()
            with pytest.raises(BusDownError):
                await bus.tail("room")
        await bus.close()

    async def test_a_redis_that_forgot_is_a_gap(self, redis_url):
        """After Redis lost its memory, an old position is refused though numbers begin again."""
        bus = RedisBus(redis_url, prefix="forgot:")
        position = (await bus.publish("room", [b"1", b"2"]))[0]
        with redis_client.Redis.from_url(redis_url) as admin:
            admin.delete("forgot:feed:{room}", "forgot:feed-epoch:{room}")
        await bus.publish("room", [b"a", b"b", b"c"])
        with pytest.raises(GapError):
            await take(bus, "room", 1, position)
        await bus.close()

    async def test_a_waiting_reader_of_a_feed_that_was_lost_is_told(self, redis_url, monkeypatch):
        """Nothing is published any more that could show it the gap."""
        monkeypatch.setattr("storage.bus.READ_BLOCK_MS", 50)
        bus = RedisBus(redis_url, prefix="lost:")
        position = (await bus.publish("room", [b"1"]))[0]
        with redis_client.Redis.from_url(redis_url) as admin:
            reader = asyncio.create_task(take(bus, "room", 1, position))
            await until(lambda: any(c["cmd"] == "xread" for c in admin.client_list()))
            admin.delete("lost:feed:{room}", "lost:feed-epoch:{room}")
        with pytest.raises(GapError):
            await reader
        await bus.close()

    async def test_a_cut_subscriber_is_told(self):
        """A reader whose Redis dies ends with BusDownError."""
        with services.redis() as url:
            bus = RedisBus(url)
            position = (await bus.publish("room", [b"1"]))[0]
            reader = asyncio.create_task(take(bus, "room", 1, position))
            with redis_client.Redis.from_url(url) as admin:
                await until(lambda: any(c["cmd"] == "xread" for c in admin.client_list()))
        with pytest.raises(BusDownError):
            await reader
        await bus.close()
