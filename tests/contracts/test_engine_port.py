"""What every engine behind the port `sfu.engine.Engine` owes, the fake and the compiled one.

Only what can be seen without packets stands here; what happens to packets is proved with real
peers in `tests/sfu` and `tests/browser`.
"""

import re

import pytest

from sfu.codecs import MID_URI
from sfu.engine import (
    Codec,
    Engine,
    Event,
    Extension,
    SlotParams,
    SRTPKeys,
    SRTPProfile,
    TrackParams,
    TransportState,
)
from sfu.native import NativeEngine
from tests.support.fake_engine import FakeEngine
from tests.support.wait import until

OPUS = (Codec(111, "opus", 48000),)
VP8 = (Codec(96, "vp8", 90000, 97),)
MIC = TrackParams("audio", "0", OPUS, (Extension(4, MID_URI),))
CAMERA = TrackParams("video", "1", VP8, (Extension(4, MID_URI),), rids=("f", "h", "q"))
VIDEO_SLOT = SlotParams("video", "6", VP8, (Extension(4, MID_URI),))
LANE = SlotParams("audio", "3", OPUS, (Extension(4, MID_URI),), auto=True)
KEYS = SRTPKeys(SRTPProfile.AEAD_AES_128_GCM, b"k" * 16, b"s" * 12, b"r" * 16, b"t" * 12)
GONE = 10**6


@pytest.fixture(
    params=[FakeEngine, lambda: NativeEngine(host="127.0.0.1", seed=1)], ids=["fake", "native"]
)
async def engine(request: pytest.FixtureRequest):
    """An engine of each kind, started, with its events in `engine.events`."""
    engine = request.param()
    events: list[Event] = []
    engine.start(events.append)
    engine.seen = events
    yield engine
    engine.close()


class TestEnginePort:
    """The contract."""

    async def test_ids_are_positive_and_never_used_again(self, engine: Engine) -> None:
        """Rooms, transports, tracks and slots are counted for the engine's whole life."""
        seen: dict[str, set[int]] = {
            "room": set(),
            "transport": set(),
            "track": set(),
            "slot": set(),
        }
        for _ in range(20):
            room = engine.create_room()
            transport, _ = engine.create_transport(room)
            track, slot = engine.add_track(transport, MIC), engine.add_slot(transport, LANE).slot
            for kind, number in (
                ("room", room),
                ("transport", transport),
                ("track", track),
                ("slot", slot),
            ):
                assert number > 0
                assert number not in seen[kind]
                seen[kind].add(number)
            engine.close_room(room)

    async def test_credentials_are_long_enough_and_new_for_each(self, engine: Engine) -> None:
        """RFC 8839: at least 4 characters of ufrag and 22 of password, different every time."""
        room = engine.create_room()
        pairs = [engine.create_transport(room)[1] for _ in range(10)]
        pairs.append(engine.restart_ice(engine.create_transport(room)[0]))
        assert len({pair.ufrag for pair in pairs}) == len({pair.pwd for pair in pairs}) == 11
        assert all(len(pair.ufrag) >= 4 and len(pair.pwd) >= 22 for pair in pairs)

    async def test_slots_have_ssrcs_of_their_own(self, engine: Engine) -> None:
        """Video slots have an RTX SSRC when RTX is negotiated; no SSRC or name comes twice."""
        transport, _ = engine.create_transport(engine.create_room())
        lanes = [engine.add_slot(transport, LANE) for _ in range(3)]
        videos = [engine.add_slot(transport, VIDEO_SLOT) for _ in range(8)]
        assert [ids.rtx_ssrc for ids in lanes] == [0, 0, 0]
        ssrcs = [ids.ssrc for ids in lanes] + [
            s for ids in videos for s in (ids.ssrc, ids.rtx_ssrc)
        ]
        assert len(set(ssrcs)) == 19
        assert 0 not in ssrcs
        cnames = {ids.cname for ids in lanes + videos}
        assert len(cnames) == 11
        assert all(re.fullmatch(r"[A-Za-z0-9+/]{16}", cname) for cname in cnames)

    async def test_ids_that_are_gone_are_ignored_and_counted(self, engine: Engine) -> None:
        """A command may cross the end of its object: nothing raises, the engine counts."""
        transport, _ = engine.create_transport(engine.create_room())
        slot = engine.add_slot(transport, VIDEO_SLOT).slot
        commands = [
            lambda: engine.close_room(GONE),
            lambda: engine.set_audio_policy(GONE),
            lambda: engine.restart_ice(GONE),
            lambda: engine.set_keys(GONE, KEYS),
            lambda: engine.send_dtls(GONE, b"\x16"),
            lambda: engine.close_transport(GONE),
            lambda: engine.pause_track(GONE, True),
            lambda: engine.request_keyframe(GONE, "q"),
            lambda: engine.remove_track(GONE),
            lambda: engine.bind_slot(GONE, 0),
            lambda: engine.bind_slot(slot, GONE),
            lambda: engine.set_slot_size(GONE, 1, 1),
            lambda: engine.pause_slot(GONE, False),
            lambda: engine.remove_slot(GONE),
        ]
        for command in commands:
            command()
        await until(lambda: engine.stats()["stale_commands"] == len(commands))
        assert engine.transport_stats(GONE) == {}
        assert engine.track_stats(GONE) == {}
        assert engine.slot_stats(GONE) == {}

    async def test_a_closed_transport_says_so_once(self, engine: Engine) -> None:
        """Closing a transport or its room is reported as a state."""
        room = engine.create_room()
        first, second = (engine.create_transport(room)[0] for _ in range(2))
        engine.close_transport(first)
        engine.close_room(room)
        await until(lambda: len(self._closed(engine)) == 2)
        engine.close_room(room)
        last = await self._settled(engine)
        assert sorted(self._closed(engine)) == [first, second, last]

    async def _settled(self, engine: Engine) -> int:
        """Commands are taken in order: when another transport's end is told, all before it were.

        Returns that transport.
        """
        last, _ = engine.create_transport(engine.create_room())
        engine.close_transport(last)
        await until(lambda: last in self._closed(engine))
        return last

    @staticmethod
    def _closed(engine: Engine) -> list[int]:
        return [
            event.transport
            for event in engine.seen
            if isinstance(event, TransportState) and event.state == "closed"
        ]

    async def test_keys_without_a_check_do_not_connect(self, engine: Engine) -> None:
        """A transport with keys but no authenticated check is not connected."""
        transport, _ = engine.create_transport(engine.create_room())
        engine.set_keys(transport, KEYS)
        await self._settled(engine)
        assert TransportState(transport, "connected") not in engine.seen

    async def test_commands_of_a_live_transport_are_taken(self, engine: Engine) -> None:
        """The whole life of tracks and slots passes without an error or a stale command."""
        room = engine.create_room()
        transport, _ = engine.create_transport(room)
        mic, camera = engine.add_track(transport, MIC), engine.add_track(transport, CAMERA)
        slot = engine.add_slot(transport, VIDEO_SLOT).slot
        engine.set_audio_policy(room, top_n=2, pinned=[mic])
        engine.bind_slot(slot, camera)
        engine.set_slot_size(slot, 640, 360)
        engine.pause_slot(slot, True)
        engine.request_keyframe(camera)
        engine.pause_track(camera, True)
        engine.remove_track(camera)
        engine.remove_slot(slot)
        await self._settled(engine)
        assert engine.stats()["stale_commands"] == 0
        assert engine.stats()["api_calls"] > 0
        assert engine.transport_stats(transport)

    async def test_it_is_started_once_and_closed_as_often_as_you_like(self, engine: Engine) -> None:
        """A second start is our bug; a second close is harmless."""
        with pytest.raises(RuntimeError, match="twice"):
            engine.start(lambda event: None)
        engine.close()
        engine.close()
