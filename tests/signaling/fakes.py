"""Fakes behind the shell's ports: a journal in memory, a wire that is a list, a clock by hand."""

import asyncio
import contextlib
import dataclasses
import json
import time
import uuid
from datetime import UTC, datetime

from crm_core.meetings.service import RoomRecord
from signaling.actor import RoomActor
from signaling.client import Client
from signaling.connection import Connection, Enter, Perform
from signaling.envelope import CODECS
from signaling.feed import LocalFeed
from signaling.journal import FencedError, JournalDownError, Opened
from signaling.messages import parse
from signaling.roomkey import RoomKey
from signaling.tokens import ResumeSecrets, Tokens
from storage.turns import Turns

KEY = RoomKey("00000000-0000-7000-8000-00000000000a", "00000000-0000-7000-8000-00000000000b")
START = 1_800_000_000.0
FACE = "\U0001f600"
"""One character, four bytes."""


class ManualClock:
    """Time that moves when told."""

    def __init__(self, now=START):
        self.time = now
        self.slept = 0.0
        """Seconds in which the process did not run."""

    def now(self):
        return self.time

    def wall(self):
        return self.time

    def pulse(self):
        """Real, and what was slept: where this clock jumps, the process ran."""
        return time.monotonic() + self.slept


class SerialIds:
    """Ids that are easy to read."""

    def __init__(self):
        self.count = 0

    def new(self):
        self.count += 1
        return f"id-{self.count:04}"


class MemoryStore:
    """What is durable, shared by the journals of a room's successive owners."""

    def __init__(self, **record):
        self.facts = []
        self.epoch = 0
        self.record = room_record(**record)
        self.batches = []
        self.last_alive = 0.0

    def change(self, **fields):
        """The CRM writes the room's record."""
        self.record = dataclasses.replace(self.record, **fields)


class MemoryJournal:
    """The `Journal` port over a `MemoryStore`; can be slow, down or fenced."""

    def __init__(self, store):
        self.store = store
        self.down = False
        self.lose_answers = False
        """Write, then fail: the answer to COMMIT is lost."""
        self.owned_elsewhere = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.released = []
        self.renewed = 0

    async def open(self):
        if self.down:
            raise JournalDownError("down")
        if self.owned_elsewhere:
            raise FencedError("another node has it")
        self.store.epoch += 1
        return Opened(
            self.store.record, self.store.epoch, 1, list(self.store.facts), self.store.last_alive
        )

    async def append(self, epoch, session_no, first_seq, facts):
        await self.gate.wait()
        if self.down:
            raise JournalDownError("down")
        if epoch != self.store.epoch:
            raise FencedError("fenced")
        assert first_seq == len(self.store.facts) + 1, "not contiguous"
        self.store.facts += facts
        self.store.batches.append(len(facts))
        if self.lose_answers:
            self.lose_answers = False
            raise JournalDownError("the answer was lost")

    async def renew(self, epoch):
        self.renewed += 1
        return self.store.record.plan

    async def release(self, epoch):
        self.released.append(epoch)


class ListWire:
    """The `Wire` port as a list of parsed frames."""

    def __init__(self, codec):
        self.codec = codec
        self.frames = []
        self.closed = None
        self.unread = 0

    def buffered(self):
        return self.unread

    def write(self, data):
        self.frames.append(json.loads(data))

    def wait_to_write(self):
        pass

    def hang_up(self, code, reason):
        self.closed = (int(code), reason)


class SlowWire(ListWire):
    """A peer that reads nothing yet: all that was written waits."""

    def write(self, data):
        super().write(data)
        self.unread += len(data)


class RecordingAdapter:
    """The `Adapter` port: keeps what it was told, and answers with what it was asked."""

    def __init__(self, notify, tell):
        self.notify = notify
        self.tell = tell
        self.facts = []
        self.entries = []
        self.resumes = []
        self.reopens = 0
        self.closed = False
        self.turns = asyncio.Event()
        self.turns.set()

    def committed(self, room, facts):
        self.facts += facts

    def reopened(self, room):
        self.reopens += 1

    def entered(self, participant):
        self.entries.append(participant)

    def resumed(self, participant):
        self.resumes.append(participant)

    @contextlib.asynccontextmanager
    async def turn(self, participant, action):
        await self.turns.wait()
        yield

    async def perform(self, participant, action):
        return {"asked": action.method}

    async def close(self):
        self.closed = True


def room_record(**changes):
    values = {
        "id": uuid.UUID(KEY.room_id),
        "tenant_id": uuid.UUID(KEY.tenant_id),
        "code": "code",
        "title": "Title",
        "type": "consultation",
        "status": "scheduled",
        "session_no": 1,
        "starts_at": datetime.fromtimestamp(START, UTC),
        "ends_at": datetime.fromtimestamp(START + 3600, UTC),
        "started_at": None,
        "ended_at": None,
        "end_reason": None,
        "capacity": 50,
        "reserved_seats": 1,
        "policy": {},
        "features": {},
        "is_locked": False,
        "settings_rev": 0,
        "host_id": None,
        "host_name": None,
        "appointment_id": None,
        "person_name": None,
    }
    return RoomRecord(**{**values, **changes})


class Stage:
    """A room's actor with everything fake round it."""

    def __init__(self, store=None, **record):
        self.clock = ManualClock()
        self.store = store or MemoryStore(**record)
        self.journal = MemoryJournal(self.store)
        self.tokens = Tokens(b"k" * 32)
        self.ids = SerialIds()
        self.gone = []
        self.adapter = None
        self.actor = self.make_actor()

    def make_actor(self):
        def make_adapter(notify, tell):
            self.adapter = RecordingAdapter(notify, tell)
            return self.adapter

        async def open_feed(_key, _epoch):
            return LocalFeed()

        return RoomActor(
            KEY,
            self.journal,
            clock=self.clock,
            ids=self.ids,
            secrets=ResumeSecrets(self.tokens, self.clock),
            turns=Turns(),
            open_feed=open_feed,
            make_adapter=make_adapter,
            gone=self.gone.append,
        )

    def client(self):
        codec = CODECS["sunup.v1.json"]
        connection = Connection(codec, self.clock.now())
        return Client(connection, ListWire(codec))


def wire(client):
    return client._wire


def events(client, kind=None):
    found = [frame for frame in wire(client).frames if "t" in frame]
    return [frame["p"] for frame in found if frame["t"] == kind] if kind else found


def reply(client, request_id):
    return next(frame for frame in wire(client).frames if frame.get("re") == request_id)


def hello(client, request_id="h", **params):
    """Feed a hello to the client's connection; what comes out for the door."""
    data = json.dumps({"id": request_id, "m": "hello", "p": {"proto": 1, **params}})
    (output,) = client.connection.receive(data, 0.0)
    assert isinstance(output, Enter)
    return output


def request(method, request_id="r", if_rev=None, **params):
    return Perform(request_id, parse(method, params), if_rev)
