"""The rooms of a node that opens them slowly, is sent home, or loses them: nothing stays behind."""

import asyncio

import pytest

from signaling.actor import RoomActor
from signaling.conductor import Conductor, ResumeSecrets
from signaling.errors import CloseCode, RequestError
from signaling.feed import LocalFeed
from signaling.tokens import JoinGrant, Tokens
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

    def __init__(self):
        self.clock = ManualClock()
        self.journal = SlowJournal(MemoryStore())
        self.adapters = []
        self.made = []
        self.conductor = Conductor(TOKENS, self.clock, self.make_actor, self.find_overdue)

    async def find_overdue(self, _wall, _at_most):
        return []

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
