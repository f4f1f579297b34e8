"""Transports for who was admitted, slots for what they look at, over an engine without packets."""

import asyncio
import dataclasses
import itertools

import msgspec
import pytest
import pytest_asyncio

from rooms.commands import Enter, Leave, Mute, Remove, Request, TrackSet
from rooms.events import Event, RoomEnded
from rooms.ids import Identity, RequestId
from rooms.policy import IdentityKind, Role, Source
from rooms.room import Room
from sfu.engine import SlotBound, SlotLayer, Speakers
from sfu.sdp import format_sdp
from sfu.sdp_parser import parse_sdp
from signaling.clock import stamp
from signaling.errors import RequestError
from signaling.media import MediaHub
from signaling.messages import MediaClose, SlotBind, SlotWhy, ViewSet, parse
from signaling.roomconfig import config_of
from tests.sfu.offers import TRIMMED
from tests.signaling.fakes import START, ManualClock, SerialIds, room_record
from tests.support.fake_engine import FakeEngine
from tests.support.wait import until

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
    """A room with media over a fake engine; facts are committed when `commit` says so."""

    def __init__(self):
        self.clock = ManualClock()
        self.engine = FakeEngine()
        self.hub = MediaHub(self.engine, ["127.0.0.1"], self.clock)
        self.hub.start()
        self.told = []
        self.inputs = []
        self.media = self.hub.room(
            lambda participant, body: self.told.append((participant, body)), self.inputs.append
        )
        record = room_record(policy={"lobby": "off"})
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

    def enter(self, who, *, role=Role.PARTICIPANT, commit=True):
        command = Enter(Identity(f"guest:{who}"), IdentityKind.GUEST, who, role=role, lobby=False)
        return self.do(command, commit=commit).entered.participant

    def act(self, who, action):
        self.serial += 1
        row = self.room.participant(who)
        return self.do(Request(who, row.conn_epoch, RequestId(str(self.serial)), action))

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
        return self.media._seats[who].slots[mid]

    def track(self, who, source):
        return self.media._seats[who].tracks[source]


@pytest_asyncio.fixture
async def bench():
    made = Bench()
    yield made
    await made.media.close()
    await made.hub.close()


async def refused(bench, who, action):
    with pytest.raises(RequestError) as error:
        await bench.media.perform(who, action)
    return error.value.code


class TestGate:
    async def test_nobody_gets_a_transport_before_the_admission_is_committed(self, bench):
        """Decided is not enough: until the fact is durable there is no ICE credential."""
        ana = bench.enter("Ana", role=Role.HOST, commit=False)
        for action in (offer(), ViewSet(layout="grid"), MediaClose()):
            assert await refused(bench, ana, action) == "forbidden"
        assert bench.engine.transports == {}
        bench.commit()
        answer = await bench.media.perform(ana, offer())
        assert "a=ice-ufrag" in answer.sdp

    async def test_with_the_gate_off_the_credential_leaves(self, bench, monkeypatch):
        """The test above sees the defence: without it, the uncommitted guest gets a transport."""
        monkeypatch.setattr(type(bench.media), "require_admission", lambda *_: None)
        ana = bench.enter("Ana", role=Role.HOST, commit=False)
        assert "a=ice-ufrag" in (await bench.media.perform(ana, offer())).sdp

    async def test_who_is_put_out_loses_the_transport(self, bench):
        """Leaving, removal and the end close what was open, before anybody is told."""
        host = bench.enter("Ana", role=Role.HOST)
        jane = bench.enter("Jane")
        await bench.media.perform(jane, offer())
        bench.act(host, Remove(jane))
        assert await refused(bench, jane, offer()) == "forbidden"
        await until(lambda: not bench.engine.transports)

    async def test_a_reopened_room_closes_what_did_not_happen(self, bench):
        """After a failed commit whoever is not in the journal has no media."""
        ana = bench.enter("Ana", role=Role.HOST)
        await bench.media.perform(ana, offer())
        empty = Room(bench.room.state.config, SerialIds(), stamp)
        bench.media.reopened(empty)
        assert await refused(bench, ana, offer()) == "forbidden"
        await until(lambda: not bench.engine.transports)


class TestOffers:
    async def test_an_answer_names_every_section_and_makes_tracks_and_slots(self, bench):
        """Three tracks, three lanes, eight video slots and a screen, all known to the engine."""
        ana = bench.enter("Ana", role=Role.HOST)
        answer = await bench.media.perform(ana, offer())
        assert answer.sdp.count("\r\nm=") == 15
        assert len(bench.engine.tracks) == 3
        assert len(bench.engine.slots) == 12

    async def test_a_second_offer_of_the_same_connection_changes_nothing_that_is(self, bench):
        """Re-offering keeps the transport, its tracks and slots."""
        ana = bench.enter("Ana", role=Role.HOST)
        await bench.media.perform(ana, offer())
        before = (set(bench.engine.transports), set(bench.engine.tracks), set(bench.engine.slots))
        await bench.media.perform(ana, offer())
        assert before == (
            set(bench.engine.transports), set(bench.engine.tracks), set(bench.engine.slots),
        )  # fmt: skip

    async def test_a_second_offer_may_list_its_extensions_in_another_order(self, bench):
        """Some clients do at each offer: tracks and slots stay what they are."""
        ana = bench.enter("Ana", role=Role.HOST)
        first = offer()
        await bench.media.perform(ana, first)
        before = (set(bench.engine.tracks), set(bench.engine.slots))
        lines = first.sdp.split("\r\n")
        at = [n for n, line in enumerate(lines) if line.startswith("a=extmap:")]
        for one, other in itertools.pairwise(at):
            if other == one + 1:
                lines[one], lines[other] = lines[other], lines[one]
        again = msgspec.structs.replace(first, sdp="\r\n".join(lines))
        assert again.sdp != first.sdp
        await bench.media.perform(ana, again)
        assert before == (set(bench.engine.tracks), set(bench.engine.slots))

    async def test_a_new_peer_connection_replaces_the_old(self, bench):
        """Another number in the o-line is another connection: the old transport is closed."""
        ana = bench.enter("Ana", role=Role.HOST)
        await bench.media.perform(ana, offer("1"))
        (old,) = bench.engine.transports
        await bench.media.perform(ana, offer("2"))
        await until(lambda: old not in bench.engine.transports)
        assert len(bench.engine.transports) == 1

    async def test_a_new_page_closes_the_old_pages_media(self, bench):
        """When a newer hello took over, what the superseded tab had is gone."""
        ana = bench.enter("Ana", role=Role.HOST)
        await bench.media.perform(ana, offer())
        bench.media.entered(ana)
        await until(lambda: not bench.engine.transports)

    @pytest.mark.parametrize(
        "change",
        [
            {"sdp": "nonsense"},
            {"sdp": ""},
            {"sdp": "v=0\r\n" * 3000},
            {"sdp_z": "AAAA"},
            {"sdp_z": "!"},
            {},
            {"sdp": TRIMMED, "tracks": [TRACKS[0], TRACKS[0]]},
            {"sdp": TRIMMED, "tracks": [TRACKS[0]], "slots": [{"mid": "0", "kind": "audio"}]},
            {"sdp": TRIMMED, "tracks": [{"mid": "0", "source": "camera"}]},
        ],
    )
    async def test_a_bad_offer_is_refused_and_leaves_nothing(self, bench, change):
        """The refusal is typed; no transport stays behind."""
        ana = bench.enter("Ana", role=Role.HOST)
        code = None
        try:
            await bench.media.perform(ana, parse("media.offer", change))
        except RequestError as error:
            code = error.code
        assert code in {"bad_request", "too_large"}
        await until(lambda: not bench.engine.transports)

    @pytest.mark.parametrize("session", ["1", "2"])
    @pytest.mark.parametrize(
        "changes",
        [
            {"tracks": [TRACKS[0], TRACKS[0]]},
            {"slots": [{"mid": "0", "kind": "audio"}]},
            {"sdp": "v=0\r\no=- {} 1 IN IP4 0.0.0.0\r\n"},
        ],
        ids=["twice", "audio slot that is the mic", "no section"],
    )
    async def test_a_refused_offer_leaves_the_connection_that_there_is(
        self, bench, session, changes
    ):
        """Whether it comes from the same peer connection or from a new one."""
        ana = bench.enter("Ana", role=Role.HOST)
        await bench.media.perform(ana, offer("1"))
        before = (set(bench.engine.transports), set(bench.engine.tracks), set(bench.engine.slots))
        good = offer(session)
        bad = {"sdp": good.sdp, "tracks": TRACKS, "slots": SLOTS, **changes}
        bad["sdp"] = bad["sdp"].replace("{}", session)
        assert await refused(bench, ana, parse("media.offer", bad)) == "bad_request"
        await until(lambda: not bench.media._closing)
        assert before == (
            set(bench.engine.transports), set(bench.engine.tracks), set(bench.engine.slots),
        )  # fmt: skip
        assert bench.track(ana, Source.MIC) in bench.engine.tracks
        await bench.media.perform(ana, offer("1"))
        assert before[1] == set(bench.engine.tracks)

    async def test_what_the_engine_refuses_is_a_bad_request(self, bench):
        """Our bug, and answered as what the client can do about it."""
        ana = bench.enter("Ana", role=Role.HOST)
        bench.engine.refused_mids = {"6"}
        assert await refused(bench, ana, offer()) == "bad_request"
        await until(lambda: not bench.engine.transports)

    async def test_a_defect_of_ours_leaves_no_transport(self, bench, monkeypatch):
        ana = bench.enter("Ana", role=Role.HOST)

        def broken(*_args, **_kwargs):
            raise RuntimeError("seeded")

        monkeypatch.setattr(bench.engine, "add_track", broken)
        with pytest.raises(RuntimeError, match="seeded"):
            await bench.media.perform(ana, offer())
        await until(lambda: not bench.engine.transports)

    async def test_a_refused_first_offer_forgets_no_view(self, bench):
        """Who asked for the speaker's layout gets it with the offer that is taken."""
        ana = bench.enter("Ana", role=Role.HOST)
        await bench.media.perform(ana, ViewSet(layout="speaker"))
        bad = parse("media.offer", {"sdp": "nonsense"})
        assert await refused(bench, ana, bad) == "bad_request"
        await bench.media.perform(ana, offer())
        assert bench.media._seats[ana].view.layout == "speaker"

    async def test_more_slots_than_there_are_words_for_are_refused(self, bench):
        """64 in one offer and 64 others in the next: a reason, and the first 64 stay."""
        ana = bench.enter("Ana", role=Role.HOST)
        first = slots_alone("a", 64)
        await bench.media.perform(ana, first)
        before = set(bench.engine.slots)
        others = msgspec.structs.replace(slots_alone("b", 64), sdp=first.sdp)
        with pytest.raises(RequestError, match="bad_request: too many slots"):
            await bench.media.perform(ana, others)
        await bench.media.perform(ana, first)
        assert set(bench.engine.slots) == before

    async def test_too_many_offers_are_limited(self, bench):
        """Ten at once, then the time to wait is told."""
        ana = bench.enter("Ana", role=Role.HOST)
        for _ in range(10):
            await bench.media.perform(ana, offer())
        assert await refused(bench, ana, offer()) == "rate"

    async def test_closing_media_keeps_the_meeting(self, bench):
        """media.close frees the transport; a later offer makes another."""
        ana = bench.enter("Ana", role=Role.HOST)
        await bench.media.perform(ana, offer())
        assert await bench.media.perform(ana, MediaClose()) == {}
        await until(lambda: not bench.engine.transports)
        assert (await bench.media.perform(ana, offer())).sdp


class TestSlots:
    async def pair(self, bench):
        ana, jane = bench.enter("Ana", role=Role.HOST), bench.enter("Jane")
        await bench.media.perform(ana, offer("1"))
        await bench.media.perform(jane, offer("2"))
        return ana, jane

    async def test_a_source_is_forwarded_only_while_it_is_on(self, bench):
        """Tracks start paused; track.set opens and closes them, in the fact's own step."""
        ana, _ = await self.pair(bench)
        camera = bench.track(ana, Source.CAMERA)
        assert bench.is_paused(camera)
        bench.act(ana, TrackSet(Source.CAMERA, on=True))
        assert not bench.is_paused(camera)
        bench.act(ana, TrackSet(Source.CAMERA, on=False))
        assert bench.is_paused(camera)

    async def test_silence_still_passes_for_who_mutes_themselves(self, bench):
        """Their own mute is followed a moment later, unless they speak again; a host's at once."""
        ana, jane = await self.pair(bench)
        mic = bench.track(jane, Source.MIC)
        bench.act(jane, TrackSet(Source.MIC, on=True))
        bench.act(jane, TrackSet(Source.MIC, on=False))
        assert not bench.is_paused(mic)
        await until(lambda: bench.is_paused(mic))
        bench.act(jane, TrackSet(Source.MIC, on=True))
        bench.act(jane, TrackSet(Source.MIC, on=False))
        bench.act(jane, TrackSet(Source.MIC, on=True))
        told = len(bench.engine.calls)
        await until(lambda: len(bench.engine.calls) > told)
        assert not bench.is_paused(mic)
        bench.act(ana, Mute(Source.MIC, who=jane))
        assert bench.is_paused(mic)

    async def test_who_left_with_the_camera_on_comes_back_with_it_off(self, bench):
        """Leaving turns sources off: what a new page sends is not shown before it says so."""
        ana = bench.enter("Ana", role=Role.HOST)
        await bench.media.perform(ana, offer("1"))
        bench.act(ana, TrackSet(Source.CAMERA, on=True))
        assert not bench.is_paused(bench.track(ana, Source.CAMERA))
        bench.act(ana, Leave())
        assert bench.enter("Ana", role=Role.HOST) == ana
        await bench.media.perform(ana, offer("2"))
        assert not bench.room.participant(ana).publishes(Source.CAMERA)
        assert bench.is_paused(bench.track(ana, Source.CAMERA))

    async def test_a_camera_gets_a_slot_of_the_others_and_loses_it(self, bench):
        """On: bound in the other's first video slot, never in one's own. Off: emptied."""
        ana, jane = await self.pair(bench)
        bench.act(ana, TrackSet(Source.CAMERA, on=True))
        slot = bench.slot(jane, "6")
        await until(lambda: bench.engine.bindings.get(slot) == bench.track(ana, Source.CAMERA))
        own = {bench.slot(ana, str(mid)) for mid in range(6, 15)}
        assert not any(bench.engine.bindings.get(each) for each in own)
        bench.act(ana, TrackSet(Source.CAMERA, on=False))
        await until(lambda: not bench.engine.bindings.get(slot))

    async def test_a_screen_gets_the_screen_slot(self, bench):
        """A shared screen is shown to everybody else."""
        ana, jane = await self.pair(bench)
        bench.act(ana, TrackSet(Source.SCREEN, on=True))
        slot = bench.slot(jane, "14")
        await until(lambda: bench.engine.bindings.get(slot) == bench.track(ana, Source.SCREEN))

    async def test_a_binding_is_told_with_the_first_packets_timestamp(self, bench):
        """slot.bind goes to the viewer alone, with mid, owner, source, count and timestamp."""
        ana, jane = await self.pair(bench)
        slot, track = bench.slot(jane, "6"), bench.track(ana, Source.CAMERA)
        bench.engine.deliver(SlotBound(slot, track, 4_000_000_000, 1))
        bench.engine.deliver(SlotBound(slot, 0, 0, 2))
        assert bench.of(jane, SlotBind) == [
            SlotBind("6", ana, Source.CAMERA, 1, 4_000_000_000),
            SlotBind("6", None, None, 2, None),
        ]
        assert bench.of(ana, SlotBind) == []

    async def test_bindings_rise_over_the_peer_connections_of_a_participant(self, bench):
        """What is said of the old one may be heard when the new one is made: it must look old."""
        ana, jane = bench.enter("Ana", role=Role.HOST), bench.enter("Jane")
        for who in (ana, jane):
            await bench.media.perform(who, offer())
            bench.act(who, TrackSet(Source.CAMERA, on=True))
        await until(lambda: bench.of(jane, SlotBind))
        bench.act(ana, TrackSet(Source.CAMERA, on=False))  # emptied: the last that is said of it
        await until(lambda: len(bench.of(jane, SlotBind)) == 2)
        bench.engine.deliver(
            SlotBound(bench.slot(jane, "8"), 0, 0, 1)
        )  # slots count each for itself
        bench.act(ana, TrackSet(Source.CAMERA, on=True))
        await bench.media.perform(jane, MediaClose())
        await bench.media.perform(jane, offer("2"))
        await until(lambda: len(bench.of(jane, SlotBind)) == 4)
        assert [told.binding for told in bench.of(jane, SlotBind)] == [1, 2, 1, 3]
        assert [told.who for told in bench.of(jane, SlotBind)] == [ana, None, None, ana]

    async def test_after_an_offer_of_the_same_peer_connection_its_bindings_are_told_again(
        self, bench
    ):
        """A client takes what comes before the reply for words about another connection."""
        ana, jane = await self.pair(bench)
        slot, track = bench.slot(jane, "6"), bench.track(ana, Source.CAMERA)
        bench.engine.deliver(SlotBound(slot, track, 4_000_000_000, 1))
        bench.media.resumed(jane)
        await until(lambda: len(bench.of(jane, SlotBind)) == 2)
        await bench.media.perform(jane, offer("2"))
        assert len(bench.of(jane, SlotBind)) == 2, "the reply is first"
        await until(lambda: len(bench.of(jane, SlotBind)) == 3)
        assert len(set(bench.of(jane, SlotBind))) == 1

    async def test_a_slot_in_the_place_of_another_counts_on_and_keeps_its_size(self, bench):
        """Fewer codecs in an offer of the same connection: what is said of it may not look old."""
        ana, jane = await self.pair(bench)
        view = parse("view.set", {"layout": "grid", "slots": [{"slot": "6", "w": 320, "h": 180}]})
        await bench.media.perform(jane, view)
        before, track = bench.slot(jane, "6"), bench.track(ana, Source.CAMERA)
        bench.engine.deliver(SlotBound(before, track, 4_000_000_000, 5))
        await bench.media.perform(jane, with_section(offer("2"), "6", **FEWER_CODECS))
        slot = bench.slot(jane, "6")
        assert slot != before
        assert bench.engine.sizes[slot] == (320, 180)
        bench.engine.deliver(SlotBound(slot, track, 1, 1))
        assert [told.binding for told in bench.of(jane, SlotBind)] == [5, 6]

    async def test_a_slot_in_the_place_of_another_is_filled_as_that_was(self, bench):
        """And what the engine still says of the other is nobody's any more."""
        ana, jane = await self.pair(bench)
        bench.act(ana, TrackSet(Source.CAMERA, on=True))
        before, track = bench.slot(jane, "6"), bench.track(ana, Source.CAMERA)
        await until(lambda: bench.engine.bindings.get(before) == track)
        await bench.media.perform(jane, with_section(offer("2"), "6", **FEWER_CODECS))
        await until(lambda: bench.engine.bindings.get(bench.slot(jane, "6")) == track)
        bench.told.clear()
        bench.engine.deliver(SlotBound(before, track, 1, 9))
        assert not bench.of(jane, SlotBind)

    async def test_a_slot_that_was_gone_for_a_while_comes_back_empty(self, bench):
        """What was on it, and why, was said of another slot of the engine: it is not told again."""
        ana, jane = await self.pair(bench)
        before, track = bench.slot(jane, "6"), bench.track(ana, Source.CAMERA)
        bench.engine.deliver(SlotBound(before, track, 4_000_000_000, 5))
        await bench.media.perform(jane, with_section(offer("2"), "6", direction="inactive"))
        assert "6" not in bench.media._seats[jane].slots
        await bench.media.perform(jane, offer("2"))
        bench.told.clear()
        bench.media.resumed(jane)
        await until(lambda: bench.of(jane, SlotWhy))
        assert not bench.of(jane, SlotBind)
        bench.engine.deliver(SlotBound(bench.slot(jane, "6"), track, 1, 1))
        assert [told.binding for told in bench.of(jane, SlotBind)] == [6]

    async def test_a_resumed_page_hears_its_bindings_anew(self, bench):
        """What was bound while the socket was away is not numbered: all of it is told again."""
        ana, jane = await self.pair(bench)
        slot, track = bench.slot(jane, "6"), bench.track(ana, Source.CAMERA)
        bench.engine.deliver(SlotBound(slot, track, 4_000_000_000, 1))
        bench.engine.deliver(SlotBound(bench.slot(jane, "7"), 0, 0, 2))
        bench.told.clear()
        bench.media.resumed(jane)
        await until(lambda: len(bench.of(jane, SlotBind)) == 2)
        assert bench.of(jane, SlotBind) == [
            SlotBind("6", ana, Source.CAMERA, 1, 4_000_000_000),
            SlotBind("7", None, None, 2, None),
        ]
        assert {body.slot for body in bench.of(jane, SlotWhy)} >= {"8"}
        assert bench.of(ana, SlotBind) == []

    async def test_reasons_are_told_on_change(self, bench):
        """slot.why comes once for each change."""
        _ana, jane = await self.pair(bench)
        slot = bench.slot(jane, "6")
        bench.told.clear()
        for _ in range(3):
            bench.engine.deliver(SlotLayer(slot, "q", 160, 90, "small_tile"))
        bench.engine.deliver(SlotLayer(slot, "f", 640, 360, "fit"))
        assert [body.reason for body in bench.of(jane, SlotWhy) if body.slot == "6"] == [
            "small_tile", "fit",
        ]  # fmt: skip

    async def test_sizes_reach_the_engine_once(self, bench):
        """view.set changes the size of a slot; the same again is no call."""
        _, jane = await self.pair(bench)
        slot = bench.slot(jane, "6")
        view = parse("view.set", {"layout": "grid", "slots": [{"slot": "6", "w": 320, "h": 180}]})
        await bench.media.perform(jane, view)
        calls = len(bench.engine.calls)
        await bench.media.perform(jane, view)
        assert bench.engine.sizes[slot] == (320, 180)
        assert len(bench.engine.calls) == calls

    async def test_speakers_are_told_to_the_room_as_participants(self, bench):
        """The engine's tracks become people, loudest first, each once."""
        ana, jane = await self.pair(bench)
        (room,) = bench.engine.rooms
        levels = (
            (bench.track(jane, Source.MIC), -20),
            (bench.track(ana, Source.MIC), -30),
            (999, -3),
        )
        bench.engine.deliver(Speakers(room, levels))
        assert bench.inputs[-1].participants == [jane, ana]

    async def test_a_leaver_leaves_a_hole_that_closes(self, bench):
        """Two seconds after somebody left the grid closes once."""
        ana, jane = await self.pair(bench)
        ben = bench.enter("Ben")
        await bench.media.perform(ben, offer("3"))
        for who in (ana, jane):
            bench.act(who, TrackSet(Source.CAMERA, on=True))
        first, second = bench.slot(ben, "6"), bench.slot(ben, "7")
        await until(lambda: bench.engine.bindings.get(second))
        bench.act(jane, Leave())
        await until(lambda: not bench.engine.bindings.get(second))
        assert bench.engine.bindings.get(first) == bench.track(ana, Source.CAMERA)

    async def test_closing_the_room_closes_the_engines_room(self, bench):
        """Nothing of a room that is let go stays in the engine."""
        await self.pair(bench)
        await bench.media.close()
        assert bench.engine.rooms == set()
        await asyncio.sleep(0)


class TestBounds:
    async def test_the_end_of_the_room_takes_every_transport(self, bench):
        """The fact by itself: whatever is said of single people, nobody keeps their media."""
        ana, jane = bench.enter("Ana", role=Role.HOST), bench.enter("Jane")
        await bench.media.perform(ana, offer("1"))
        await bench.media.perform(jane, offer("2"))
        bench.end()
        await until(lambda: not bench.engine.transports)
        for who in (ana, jane):
            assert await refused(bench, who, offer()) == "forbidden"

    @pytest.mark.parametrize("between", ["nothing", "close", "reload"])
    async def test_the_limit_of_negotiations_is_the_participants(self, bench, between):
        """Ten at once and one a second, whether or not the transport was closed in between."""
        ana = bench.enter("Ana", role=Role.HOST)

        async def again():
            if between == "close":
                await bench.media.perform(ana, MediaClose())
            elif between == "reload":
                bench.media.entered(ana)

        for number in range(10):
            await bench.media.perform(ana, offer(str(number)))
            await again()
        assert await refused(bench, ana, offer("10")) == "rate"
        await again()
        bench.clock.time += 1
        await bench.media.perform(ana, offer("11"))
        await again()
        assert await refused(bench, ana, offer("12")) == "rate"

    async def test_a_first_offer_that_fails_counts_too(self, bench):
        """Each costs a transport and its end."""
        ana = bench.enter("Ana", role=Role.HOST)
        bad = parse("media.offer", {"sdp": TRIMMED, "tracks": [TRACKS[0]], "slots": []})
        bad = msgspec.structs.replace(bad, sdp="v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\n")
        for _ in range(10):
            assert await refused(bench, ana, bad) == "bad_request"
        assert await refused(bench, ana, offer()) == "rate"
        bench.clock.time += 1
        assert (await bench.media.perform(ana, offer())).sdp
