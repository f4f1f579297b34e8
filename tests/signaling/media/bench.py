"""A room with media over an engine without packets, and offers to it."""

import dataclasses

import msgspec
import pytest

from rooms.commands import Enter, Request
from rooms.events import Event, RoomEnded
from rooms.ids import Identity, RequestId
from rooms.policy import IdentityKind, Role
from rooms.room import Room
from sfu.sdp import format_sdp
from sfu.sdp_parser import parse_sdp
from signaling.clock import stamp
from signaling.errors import RequestError
from signaling.media import RoomMedia
from signaling.mediahub import MediaHub
from signaling.messages import parse
from signaling.roomconfig import config_of
from tests.sfu.offers import TRIMMED
from tests.signaling.fakes import START, ManualClock, SerialIds, room_record
from tests.support.fake_engine import FakeEngine

TRACKS = [
    {"mid": "0", "source": "mic"},
    {"mid": "1", "source": "camera"},
    {"mid": "2", "source": "screen"},
]
SLOTS = (
    [{"mid": str(mid), "kind": "audio"} for mid in range(3, 6)]
    + [{"mid": str(mid), "kind": "video"} for mid in range(6, 14)]
    + [{"mid": "14", "kind": "screen"}]
)


def offer(session="1", tracks=TRACKS, slots=SLOTS):
    """The stored browser offer, as one of a peer connection of its own."""
    first, _, rest = TRIMMED.partition("\r\no=")
    sdp = f"{first}\r\no=- {session} {rest.split(' ', 2)[2]}"
    return parse("media.offer", {"sdp": sdp, "tracks": tracks, "slots": slots})


def with_section(made, mid, **changes):
    """The same offer with one section changed."""
    stored = parse_sdp(made.sdp)
    media = tuple(
        dataclasses.replace(each, **changes) if each.mid == mid else each for each in stored.media
    )
    lines = format_sdp(dataclasses.replace(stored, media=media)).split("\r\n")
    lines[1] = made.sdp.split("\r\n")[1]  # the same peer connection
    return msgspec.structs.replace(made, sdp="\r\n".join(lines))


SLOT = next(each for each in parse_sdp(TRIMMED).media if each.mid == "6")
FEWER_CODECS = {"formats": SLOT.formats[:2], "payloads": SLOT.payloads[:2]}


def slots_alone(prefix, count):
    """An offer of nothing but video slots, under mids that begin so."""
    stored = parse_sdp(TRIMMED)
    slot = next(media for media in stored.media if media.mid == "6")
    slot = dataclasses.replace(slot, formats=slot.formats[:1], payloads=slot.payloads[:1])
    mids = [f"{prefix}{number}" for number in range(count)]
    media = tuple(dataclasses.replace(slot, mid=mid) for mid in mids)
    text = format_sdp(dataclasses.replace(stored, media=media, bundle=tuple(mids)))
    slots = [{"mid": mid, "kind": "video"} for mid in mids]
    return msgspec.structs.replace(offer(tracks=[], slots=slots), sdp=text)


class Bench:
    """A room with media over a fake engine; facts are committed when `commit` says so.

    Args:
        hub: another bench's, for a room beside its own.
        tenant: whose the room is.
    """

    def __init__(self, hub=None, tenant="tenant"):
        self.clock = ManualClock()
        if hub is None:
            hub = MediaHub(FakeEngine(), ["127.0.0.1"], self.clock)
            hub.start()
        self.hub = hub
        self.engine = hub.engine
        self.told = []
        self.inputs = []
        self.media = RoomMedia(
            self.hub,
            tenant,
            lambda participant, body: self.told.append((participant, body)),
            self.inputs.append,
        )
        record = room_record(policy={"lobby": "walk_ins"}, capacity=300)
        self.room = Room(config_of(record, 1), SerialIds(), stamp)
        self.pending = []
        self.serial = 0

    def do(self, command, *, commit=True):
        outcome = self.room.handle(command, START)
        self.pending += [event for event in outcome.events if event.durability == "committed"]
        if commit:
            self.commit()
        return outcome

    def commit(self):
        facts, self.pending = self.pending, []
        self.media.committed(self.room, facts)

    def end(self):
        """The sitting's last fact is durable; those of its people are told elsewhere."""
        body = RoomEnded(reason="host", by=None, ended_at=stamp(START))
        fact = Event("room.ended", "room", "committed", START, stamp(START), None, body)
        self.media.committed(self.room, [fact])

    def enter(self, who, *, role=Role.PARTICIPANT, commit=True, link=None, lobby=False):
        command = Enter(
            Identity(f"guest:{who}"), IdentityKind.GUEST, who, role=role, lobby=lobby, link=link
        )
        return self.do(command, commit=commit).entered.participant

    def act(self, who, action):
        self.serial += 1
        row = self.room.participant(who)
        return self.do(Request(who, row.conn_epoch, RequestId(str(self.serial)), action))

    async def ask(self, who, action):
        """What a room does with a request that is not its own."""
        async with self.media.turn(who, action):
            return await self.media.perform(who, action)

    def of(self, who, kind):
        return [
            body for participant, body in self.told if participant == who and isinstance(body, kind)
        ]

    def is_paused(self, track):
        """What the engine was last told about a track."""
        told = [call for call in self.engine.calls if call[:2] == ("pause_track", track)]
        return told[-1][2]

    def slot(self, who, mid):
        """The engine's slot behind a mid."""
        return self.media._showing._seats[who].slots[mid]

    def track(self, who, source):
        return self.media._showing._seats[who].tracks[source]


async def refused(bench, who, action):
    with pytest.raises(RequestError) as error:
        await bench.ask(who, action)
    return error.value.code
