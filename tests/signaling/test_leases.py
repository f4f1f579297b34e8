"""Renewals that are shared: few transactions for many rooms, and each room its own answer."""

import asyncio
import uuid

import pytest

from crm_core.errors import Fenced
from crm_core.meetings.service import RoomPlan
from signaling import leases as leases_module
from signaling.leases import AT_MOST, Leases
from tests.support.wait import PATIENCE, until

TENANT, RIVAL = uuid.UUID(int=1), uuid.UUID(int=2)
PLAN = RoomPlan("live", None, None)


class Store:
    """Keeps every lease but those of `taken`; `gate` lets transactions end."""

    def __init__(self):
        self.transactions = []
        self.running = 0
        self.most_at_once = 0
        self.taken = set()
        self.fails = None
        self.broken_off = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def renew_rooms(self, tenant_id, epochs, _seconds):
        self.transactions.append((tenant_id, dict(epochs)))
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.broken_off += 1
            raise
        finally:
            self.running -= 1
        if self.fails is not None:
            raise self.fails
        return {room_id: PLAN for room_id in epochs if room_id not in self.taken}


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def leases(store):
    return Leases(store.renew_rooms, lease=15, timeout=60)


def ask(leases, count=1, tenant=TENANT, epoch=1):
    """So many rooms ask at the same time; their tasks."""
    return [asyncio.create_task(leases.renew(tenant, uuid.uuid4(), epoch)) for _ in range(count)]


async def answers(tasks, *, failures=False):
    """What they were told, within the patience of the tests."""
    async with asyncio.timeout(PATIENCE):
        return await asyncio.gather(*tasks, return_exceptions=failures)


async def all_wait(leases, count, tenant=TENANT):
    """Until so many of the tenant wait for a transaction that has not begun."""
    await until(lambda: len(leases._waiting.get(tenant, ())) == count)


async def test_who_asks_within_a_short_time_shares_a_transaction(leases, store):
    """Also who asks while the first one waits for others; every room is in it under its epoch."""
    tasks = ask(leases, 3)
    await all_wait(leases, 3)
    assert store.transactions == []
    room = uuid.uuid4()
    tasks.append(asyncio.create_task(leases.renew(TENANT, room, 7)))
    assert await answers(tasks) == [PLAN] * 4
    ((tenant_id, epochs),) = store.transactions
    assert (tenant_id, len(epochs), epochs[room]) == (TENANT, 4, 7)


async def test_tenants_share_nothing(leases, store):
    """One whose transaction hangs holds up no other."""
    store.gate.clear()
    both = [*ask(leases, 2), *ask(leases, 1, RIVAL)]
    await until(lambda: store.running == 2)
    assert sorted((tenant, len(epochs)) for tenant, epochs in store.transactions) == [
        (TENANT, 2),
        (RIVAL, 1),
    ]
    store.gate.set()
    await answers(both)


async def test_one_transaction_of_a_tenant_at_a_time(leases, store):
    """Who asks while one runs shares the next, which sees what changed since they asked."""
    store.gate.clear()
    early = ask(leases, 2)
    await until(lambda: store.running == 1)
    late = ask(leases, 3)
    await all_wait(leases, 3)
    store.gate.set()
    await answers([*early, *late])
    assert [len(epochs) for _, epochs in store.transactions] == [2, 3]
    assert store.most_at_once == 1


async def test_so_many_rooms_at_most_in_a_transaction(leases, store):
    """The others are in the next ones, each once."""
    tasks = ask(leases, 2 * AT_MOST + 1)
    await answers(tasks)
    assert [len(epochs) for _, epochs in store.transactions] == [AT_MOST, AT_MOST, 1]
    assert len(set().union(*(epochs for _, epochs in store.transactions))) == 2 * AT_MOST + 1
    assert store.most_at_once == 1


async def test_a_full_transaction_waits_for_nobody_else(leases, store, monkeypatch):
    monkeypatch.setattr(leases_module, "GATHER", 3600.0)
    assert await answers(ask(leases, AT_MOST)) == [PLAN] * AT_MOST


async def test_a_room_that_was_lost_is_told_and_no_other(leases, store):
    """Fenced is said of the room that is."""
    room = uuid.uuid4()
    store.taken.add(room)
    others = ask(leases, 3)
    (fenced,) = await answers([leases.renew(TENANT, room, 4)], failures=True)
    with pytest.raises(Fenced, match=f"epoch 4 no longer owns room {room}"):
        raise fenced
    assert await answers(others) == [PLAN] * 3
    assert len(store.transactions) == 1


async def test_what_breaks_a_transaction_reaches_all_who_share_it(leases, store):
    """And nobody else: the next one is tried."""
    store.fails = OSError("gone")
    told = await answers(ask(leases, 3), failures=True)
    assert told == [store.fails] * 3
    store.fails = None
    assert await answers(ask(leases)) == [PLAN]


async def test_who_gives_up_takes_nothing_from_the_others(leases, store):
    """Neither before the transaction, which then has nothing of theirs, nor in it."""
    store.gate.clear()
    tasks = ask(leases, 3)
    await all_wait(leases, 3)
    tasks[0].cancel()
    await until(lambda: store.running == 1)
    assert len(store.transactions[0][1]) == 2
    tasks[1].cancel()
    for gone in tasks[:2]:
        with pytest.raises(asyncio.CancelledError):
            await gone
    store.gate.set()
    assert await answers(tasks[2:]) == [PLAN]
    assert store.broken_off == 0


async def test_who_gave_up_is_told_no_failure(leases, store, caplog):
    """Of a transaction that broke later, or did not keep their room: nothing is left unread."""
    for store.fails in (OSError("gone"), None):
        store.gate.clear()
        gone, stays = ask(leases, 2)
        await until(lambda: store.running == 1)
        store.taken = set(store.transactions[-1][1])
        gone.cancel()
        store.gate.set()
        (failure,) = await answers([stays], failures=True)
        assert isinstance(failure, (OSError, Fenced))
    assert await answers(ask(leases)) == [PLAN], "and the next is served"
    assert caplog.text == ""


async def test_nothing_is_written_for_nobody(leases, store):
    """When all have given up there is no transaction, and nothing is kept of them."""
    (gone,) = ask(leases)
    await all_wait(leases, 1)
    gone.cancel()
    await until(lambda: not leases._workers)
    assert store.transactions == []
    assert leases._waiting == {}


async def test_a_room_that_asks_again_is_in_the_next_transaction(leases, store):
    """Let go and opened anew while it still waited: each asks under its own epoch."""
    room = uuid.uuid4()
    asked = [asyncio.create_task(leases.renew(TENANT, room, epoch)) for epoch in (1, 2)]
    await answers(asked)
    assert [epochs for _, epochs in store.transactions] == [{room: 1}, {room: 2}]


async def test_a_transaction_that_hangs_is_broken_off(store):
    """Those who share it are told, and the next ones do not wait behind it for ever."""
    leases = Leases(store.renew_rooms, lease=15, timeout=0.0)
    store.gate.clear()
    (failure,) = await answers(ask(leases), failures=True)
    assert isinstance(failure, TimeoutError)
    assert store.broken_off == 1
    assert leases._workers == {}


async def test_closing_breaks_off_what_runs(leases, store):
    """Nothing uses the database after it."""
    store.gate.clear()
    (running,) = ask(leases)
    await until(lambda: store.running == 1)
    running.cancel()
    await leases.close()
    assert (store.running, store.broken_off) == (0, 1)
    assert leases._workers == {}


async def test_who_gives_a_room_back_waits_for_the_renewal_that_has_it(leases, store):
    """And for no other: neither of other rooms, nor where nothing runs."""
    room = uuid.uuid4()
    await leases.settled(TENANT, room)
    store.gate.clear()
    keeper = asyncio.create_task(leases.renew(TENANT, room, 1))
    await until(lambda: store.running == 1)
    keeper.cancel()
    await asyncio.wait_for(leases.settled(TENANT, uuid.uuid4()), PATIENCE)
    await asyncio.wait_for(leases.settled(RIVAL, room), PATIENCE)
    settled = asyncio.create_task(leases.settled(TENANT, room))
    await asyncio.sleep(0)
    assert not settled.done()
    store.gate.set()
    await asyncio.wait_for(settled, PATIENCE)
    assert store.running == 0
