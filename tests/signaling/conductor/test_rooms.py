"""The rooms of a node that opens them slowly, is sent home, or loses them: nothing stays behind."""

import asyncio
import uuid

import pytest

from signaling.actor import RoomActor
from signaling.conductor import Conductor
from signaling.errors import CloseCode, RequestError
from signaling.feed import LocalFeed
from signaling.roomkey import RoomKey
from signaling.tokens import JoinGrant, ResumeSecrets, Tokens
from storage.turns import Turns
from tests.signaling.fakes import (
    KEY,
    ManualClock,
    MemoryJournal,
    MemoryStore,
    RecordingAdapter,
    SerialIds,
    Stage,
    hello,
    reply,
    request,
    wire,
)
from tests.support.wait import until

TOKENS = Tokens(b"k" * 32)


class SlowJournal(MemoryJournal):
    """Opens the room when the door is opened."""

    def __init__(self, store):
        super().__init__(store)
        self.door = asyncio.Event()
        self.door.set()
        self.opening = 0

    async def open(self):
        self.opening += 1
        await self.door.wait()
        return await super().open()


class Node:
    """A conductor over one room in memory."""

    def __init__(self, **settings):
        self.clock = ManualClock()
        self.journal = SlowJournal(MemoryStore())
        self.adapters = []
        self.made = []
        self.overdue = []
        self.voided = set()
        self.conductor = Conductor(
            TOKENS, self.clock, self.make_actor, self.check_link, self.find_overdue, **settings
        )

    async def check_link(self, grant):
        if grant.link_id in self.voided:
            raise RequestError("not_found")

    async def find_overdue(self, _wall, _at_most):
        return self.overdue

    def make_actor(self, key, gone):
        async def open_feed(_key, _epoch):
            return LocalFeed()

        def make_adapter(notify, tell):
            self.adapters.append(RecordingAdapter(notify, tell))
            return self.adapters[-1]

        actor = RoomActor(
            key,
            self.journal,
            clock=self.clock,
            ids=SerialIds(),
            secrets=ResumeSecrets(TOKENS, self.clock),
            turns=Turns(),
            open_feed=open_feed,
            make_adapter=make_adapter,
            gone=gone,
        )
        self.made.append(actor)
        return actor

    def knock(self):
        """A client, and its hello on the way in."""
        client = Stage().client()
        grant = JoinGrant(*KEY, "link", "host", "staff", "ana", "", lobby=False, name="Ana")
        token = TOKENS.issue_join(grant, self.clock.wall())
        return client, self.conductor.enter(client, hello(client, token=token))

    async def end(self):
        """The host comes, ends the sitting and is gone."""
        client, coming = self.knock()
        await coming
        await self.conductor.perform(client, request("room.end"))
        client.lost()
        self.conductor.lost(client)
        self.ended, self.journal.store.facts = self.journal.store.facts, []  # of the next sitting
        (actor,) = self.made
        return actor

    def keeper(self):
        """What keeps the lease of the only room."""
        (actor,) = self.made
        return actor._tenure._keeper


@pytest.fixture
def node():
    return Node()


async def test_who_comes_to_a_node_that_closes_is_sent_away(node):
    """A new hello is told when to try again, and opens no room that nobody would close."""
    await node.conductor.close()
    _, coming = node.knock()
    with pytest.raises(RequestError) as refused:
        await coming
    assert refused.value.code == "draining"
    assert refused.value.extras["retry_ms"] >= 0
    assert node.made == []


async def test_a_link_that_is_voided_while_the_room_opens_lets_nobody_in(node):
    """The appointment became somebody else's in the moment in which its first guest came."""
    node.journal.door.clear()
    _, coming = node.knock()
    entering = asyncio.create_task(coming)
    await until(lambda: node.journal.opening)
    node.voided.add("link")
    node.journal.door.set()
    with pytest.raises(RequestError, match="not_found"):
        await entering
    assert not node.made[0].room.state.participants
    await node.conductor.close()


async def test_a_room_that_somebody_came_to_meanwhile_is_not_let_go(node):
    """The rooms before it are let go one after the other, and each takes a transaction."""
    node.conductor = Conductor(
        TOKENS, node.clock, node.make_actor, node.check_link, node.find_overdue, idle_after=0.02
    )
    beside = RoomKey(KEY.tenant_id, str(uuid.uuid4()))
    first = await node.conductor.actor(beside)
    node.journal = SlowJournal(MemoryStore())
    second = await node.conductor.actor(KEY)
    door, begun = slow_to_close(first)
    await node.conductor.start()

    def time_passes():
        node.clock.time += 1
        return begun

    await until(time_passes)
    client, coming = node.knock()
    await coming
    door.set()
    await until(lambda: first._adapter.closed)
    await asyncio.sleep(0)
    assert node.conductor.running(KEY) is second
    assert not wire(client).closed
    await node.conductor.close()


async def test_who_hangs_up_while_the_room_opens_is_not_remembered(node):
    """Their loss was told before anybody knew whom it was about: nobody would forget them."""
    node.journal.door.clear()
    client, coming = node.knock()
    entering = asyncio.create_task(coming)
    await until(lambda: node.journal.opening)
    client.lost()
    node.conductor.lost(client)
    node.journal.door.set()
    with pytest.raises(RequestError):
        await entering
    assert node.conductor._of == {}
    await node.conductor.close()


async def test_who_comes_as_a_room_is_let_go_again_is_checked_for_the_next_opening(node):
    """Twice opened, the link is void by the third time: until a door is open things can change."""
    _, coming = node.knock()
    check, seen = node.check_link, []

    async def meanwhile(grant):
        await check(grant)
        seen.append(node.conductor.running(KEY))
        if len(seen) == 2:  # it was opened for them, and is let go while they are looked up
            await node.conductor._let_go(seen[-1])
        if len(seen) == 3:
            node.voided.add("link")
            await check(grant)

    node.conductor._check_link = meanwhile
    with pytest.raises(RequestError):
        await coming
    assert [actor is None for actor in seen] == [True, False, False]
    assert seen[1] is not seen[2]
    await node.conductor.close()


async def test_who_comes_to_a_room_that_stays_over_hears_it(node):
    """Nothing starts another sitting; it is opened again for them, and not again and again."""
    await node.end()
    node.journal.store.facts = node.ended
    _, coming = node.knock()
    async with asyncio.timeout(5):
        with pytest.raises(RequestError) as refused:
            await coming
    assert refused.value.code == "ended"
    assert len(node.made) == 2
    await node.conductor.close()


async def test_a_room_that_is_just_being_opened_is_closed_with_the_others(node):
    """Its media go, its lease is given back and kept no longer, though it was open after all."""
    node.journal.door.clear()
    opening = asyncio.create_task(node.conductor.actor(KEY))
    await until(lambda: node.journal.opening)
    closing = asyncio.create_task(node.conductor.close())
    await asyncio.sleep(0)  # closing has begun
    node.journal.door.set()
    await asyncio.gather(opening, closing)
    assert [adapter.closed for adapter in node.adapters] == [True]
    assert node.journal.released == [node.journal.store.epoch]
    assert node.keeper().done()
    assert node.conductor.actors == []


async def test_a_room_that_another_node_has_leaves_this_one(node):
    """Its people are sent away, its media go, nobody keeps its lease; the other's hold stays."""
    client, coming = node.knock()
    await coming
    assert reply(client, "h")["ok"]
    keeper = node.keeper()
    node.journal.store.epoch += 1
    node.journal.owned_elsewhere = True
    with pytest.raises(RequestError):
        await node.conductor.perform(client, request("chat.send", body="lost"))
    await until(lambda: node.adapters[0].closed)
    await until(keeper.done)
    assert wire(client).closed[0] == CloseCode.DRAINING
    assert node.conductor.actors == []
    assert node.journal.released == []
    await node.conductor.close()


def slow_to_close(actor):
    """Closing this room takes until the event is set; how often it was begun."""
    door, close, begun = asyncio.Event(), actor.close, []

    async def slowly():
        begun.append(1)
        actor._journal.store.facts = []  # of the next sitting
        await door.wait()
        await close()

    actor.close = slowly
    return door, begun


async def fails():
    raise RuntimeError("planted")


async def test_a_room_that_cannot_be_opened_is_forgotten_though_nobody_waits_for_it(node):
    """The asker has hung up; the next comer is not told what was wrong then."""
    node.journal.door.clear()
    opening = asyncio.create_task(node.conductor.actor(KEY))
    await until(lambda: node.journal.opening)
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    node.journal.down = True
    node.journal.door.set()
    await until(lambda: KEY not in node.conductor._rooms)
    node.journal.down = False
    assert await node.conductor.actor(KEY)
    await node.conductor.close()


async def test_a_look_for_overdue_rooms_does_not_lose_the_next_sitting(node):
    """Somebody comes while the last one is being closed: what they opened stays, and is closed."""
    actor = await node.end()
    door, begun = slow_to_close(actor)
    node.overdue = [tuple(map(uuid.UUID, KEY))]
    looking = asyncio.create_task(node.conductor.close_overdue())
    await until(lambda: begun)
    coming = asyncio.create_task(node.conductor.sitting(KEY))
    await until(lambda: len(node.made) == 2)
    door.set()
    await looking
    assert node.conductor.running(KEY) is await coming is node.made[1]
    await node.conductor.close()


async def test_two_who_find_a_sitting_over_close_its_room_once(node):
    """The second of them finds the next sitting in its place, and leaves that alone."""
    store = node.journal.store
    await node.end()
    store.facts = node.ended
    await node.conductor.close()
    node = Node()
    node.journal.store = store
    node.journal.door.clear()
    coming = [asyncio.create_task(node.conductor.sitting(KEY)) for _ in range(2)]
    await until(lambda: node.journal.opening)
    door, begun = slow_to_close(node.made[0])
    node.journal.door.set()
    await until(lambda: begun)
    await until(lambda: len(node.made) == 2)
    door.set()
    assert set(await asyncio.gather(*coming)) == {node.made[1]}
    assert len(begun) == 1
    await node.conductor.close()


async def test_one_room_that_cannot_be_closed_does_not_keep_the_others(node, caplog):
    """At the end each is closed, also one that another node has by now; a defect is loud."""
    _, coming = node.knock()
    await coming
    lost = node.made[0]
    door, _ = slow_to_close(lost)
    node.conductor._lost_room(lost)
    other = await node.conductor.actor(KEY)
    other.close = fails
    closing = asyncio.create_task(node.conductor.close())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not closing.done(), "the lost room is still on its way out"
    door.set()
    await closing
    assert node.adapters[0].closed
    assert "RuntimeError: planted" in caplog.text


async def test_a_defect_in_closing_an_idle_room_does_not_keep_the_others(caplog):
    """It is logged, and the next sweep comes."""
    node = Node(idle_after=0.02)
    await node.conductor.start()

    def swept():
        node.clock.time += 1
        return not node.conductor.actors

    for _ in range(2):
        (await node.conductor.actor(KEY)).close = fails
        await until(swept)
    assert caplog.text.count("RuntimeError: planted") == 2
    await node.conductor.close()


async def test_a_room_that_came_back_is_idle_since_it_came(monkeypatch):
    """Another node had it meanwhile: the time before that does not count."""
    node = Node(idle_after=0.02)
    looks = []

    def idle(actor):
        looks.append(actor)
        return True

    monkeypatch.setattr("signaling.actor.RoomActor.idle", property(idle))
    await node.conductor.start()
    first = await node.conductor.actor(KEY)
    await until(lambda: first in looks)
    node.conductor._lost_room(first)
    node.clock.time += 1
    again = await node.conductor.actor(KEY)
    await until(lambda: looks.count(again) > 1)
    assert node.conductor.actors == [again]
    node.clock.time += 1
    await until(lambda: not node.conductor.actors)
    await node.conductor.close()
