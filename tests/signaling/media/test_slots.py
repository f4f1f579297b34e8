"""Slots for what people look at, and what is told of them."""

import asyncio

from rooms.commands import Leave, Mute, TrackSet
from rooms.policy import Role, Source
from sfu.engine import SlotBound, SlotLayer, Speakers
from signaling.messages import MediaClose, SlotBind, SlotWhy, parse
from tests.signaling.media.bench import FEWER_CODECS, offer, with_section
from tests.support.wait import until


class TestSlots:
    async def pair(self, bench):
        ana, jane = bench.enter("Ana", role=Role.HOST), bench.enter("Jane")
        await bench.ask(ana, offer("1"))
        await bench.ask(jane, offer("2"))
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
        await bench.ask(ana, offer("1"))
        bench.act(ana, TrackSet(Source.CAMERA, on=True))
        assert not bench.is_paused(bench.track(ana, Source.CAMERA))
        bench.act(ana, Leave())
        assert bench.enter("Ana", role=Role.HOST) == ana
        await bench.ask(ana, offer("2"))
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
            await bench.ask(who, offer())
            bench.act(who, TrackSet(Source.CAMERA, on=True))
        await until(lambda: bench.of(jane, SlotBind))
        bench.act(ana, TrackSet(Source.CAMERA, on=False))  # emptied: the last that is said of it
        await until(lambda: len(bench.of(jane, SlotBind)) == 2)
        bench.engine.deliver(
            SlotBound(bench.slot(jane, "8"), 0, 0, 1)
        )  # slots count each for itself
        bench.act(ana, TrackSet(Source.CAMERA, on=True))
        await bench.ask(jane, MediaClose())
        await bench.ask(jane, offer("2"))
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
        await bench.ask(jane, offer("2"))
        assert len(bench.of(jane, SlotBind)) == 2, "the reply is first"
        await until(lambda: len(bench.of(jane, SlotBind)) == 3)
        assert len(set(bench.of(jane, SlotBind))) == 1

    async def test_a_slot_in_the_place_of_another_counts_on_and_keeps_its_size(self, bench):
        """Fewer codecs in an offer of the same connection: what is said of it may not look old."""
        ana, jane = await self.pair(bench)
        view = parse("view.set", {"layout": "grid", "slots": [{"slot": "6", "w": 320, "h": 180}]})
        await bench.ask(jane, view)
        before, track = bench.slot(jane, "6"), bench.track(ana, Source.CAMERA)
        bench.engine.deliver(SlotBound(before, track, 4_000_000_000, 5))
        await bench.ask(jane, with_section(offer("2"), "6", **FEWER_CODECS))
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
        await bench.ask(jane, with_section(offer("2"), "6", **FEWER_CODECS))
        await until(lambda: bench.engine.bindings.get(bench.slot(jane, "6")) == track)
        bench.told.clear()
        bench.engine.deliver(SlotBound(before, track, 1, 9))
        assert not bench.of(jane, SlotBind)

    async def test_a_slot_that_was_gone_for_a_while_comes_back_empty(self, bench):
        """What was on it, and why, was said of another slot of the engine: it is not told again."""
        ana, jane = await self.pair(bench)
        before, track = bench.slot(jane, "6"), bench.track(ana, Source.CAMERA)
        bench.engine.deliver(SlotBound(before, track, 4_000_000_000, 5))
        await bench.ask(jane, with_section(offer("2"), "6", direction="inactive"))
        assert "6" not in bench.media._showing._seats[jane].slots
        await bench.ask(jane, offer("2"))
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
        await bench.ask(jane, view)
        calls = len(bench.engine.calls)
        await bench.ask(jane, view)
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
        await bench.ask(ben, offer("3"))
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
        bench.media._showing.settle_soon()
        timer = bench.media._showing._settle_timer
        await bench.media.close()
        assert bench.engine.rooms == set()
        assert timer.cancelled()
        assert (bench.hub._rooms, bench.hub._slots) == ({}, {})
        await asyncio.sleep(0)
