"""Reads that are shared: fresh for everyone who asks, few for many, and failures reach all."""

import asyncio

import pytest

from signaling.sharing import SharedReads
from tests.support.wait import until


class Store:
    """Something slow to read; `gate` lets reads end."""

    def __init__(self):
        self.value = 0
        self.reads = []
        self.gate = asyncio.Event()
        self.fails = None

    async def read(self, key):
        seen = self.value
        self.reads.append(key)
        await self.gate.wait()
        if self.fails is not None:
            raise self.fails
        return seen


async def test_who_asks_at_once_shares_one_read():
    store = Store()
    shared = SharedReads(store.read)
    store.gate.set()
    assert await asyncio.gather(*(shared.get("room") for _ in range(200))) == [0] * 200
    assert store.reads == ["room"]


async def test_an_answer_is_never_older_than_its_question():
    """Who asks while a read runs must see what changed after that read began."""
    store = Store()
    shared = SharedReads(store.read)
    early = asyncio.create_task(shared.get("room"))
    await until(lambda: len(store.reads) == 1)
    store.value = 1
    late = [asyncio.create_task(shared.get("room")) for _ in range(50)]
    await asyncio.sleep(0)
    store.gate.set()
    assert await early == 0
    assert await asyncio.gather(*late) == [1] * 50
    assert len(store.reads) == 2


async def test_nothing_is_kept_between_reads():
    store = Store()
    shared = SharedReads(store.read)
    store.gate.set()
    assert await shared.get("room") == 0
    store.value = 1
    assert await shared.get("room") == 1


async def test_keys_do_not_wait_for_each_other():
    store = Store()
    shared = SharedReads(store.read)
    tasks = [asyncio.create_task(shared.get(key)) for key in ("a", "b")]
    await until(lambda: len(store.reads) == 2)
    store.gate.set()
    assert await asyncio.gather(*tasks) == [0, 0]


async def test_a_failure_reaches_all_and_the_next_read_is_tried():
    store = Store()
    shared = SharedReads(store.read)
    store.fails = OSError("gone")
    store.gate.set()
    answers = await asyncio.gather(*(shared.get("room") for _ in range(3)), return_exceptions=True)
    assert all(isinstance(answer, OSError) for answer in answers)
    store.fails = None
    assert await shared.get("room") == 0


async def test_one_who_gives_up_takes_nothing_from_the_others():
    store = Store()
    shared = SharedReads(store.read)
    tasks = [asyncio.create_task(shared.get("room")) for _ in range(2)]
    await until(lambda: len(store.reads) == 1)
    tasks[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    store.gate.set()
    assert await tasks[1] == 0
