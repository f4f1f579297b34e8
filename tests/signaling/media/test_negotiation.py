"""Transports for who was admitted, and what offers do to them."""

import asyncio
import itertools

import msgspec
import pytest

from rooms.commands import Remove
from rooms.policy import Role, Source
from rooms.room import Room
from signaling.clock import stamp
from signaling.errors import RequestError
from signaling.limits import CROWD_NEGOTIATION_BURST
from signaling.messages import MediaClose, ViewSet, parse
from tests.sfu.offers import TRIMMED
from tests.signaling.fakes import SerialIds
from tests.signaling.media.bench import SLOTS, TRACKS, Bench, offer, refused, slots_alone
from tests.support.wait import until


class TestGate:
    async def test_nobody_gets_a_transport_before_the_admission_is_committed(self, bench):
        """Decided is not enough: until the fact is durable there is no ICE credential."""
        ana = bench.enter("Ana", role=Role.HOST, commit=False)
        for action in (offer(), ViewSet(layout="grid"), MediaClose()):
            assert await refused(bench, ana, action) == "forbidden"
        assert bench.engine.transports == {}
        bench.commit()
        answer = await bench.ask(ana, offer())
        assert "a=ice-ufrag" in answer.sdp

    async def test_with_the_gate_off_the_credential_leaves(self, bench, monkeypatch):
        """The test above sees the defence: without it, the uncommitted guest gets a transport."""
        monkeypatch.setattr(type(bench.media), "require_admission", lambda *_: None)
        ana = bench.enter("Ana", role=Role.HOST, commit=False)
        assert "a=ice-ufrag" in (await bench.ask(ana, offer())).sdp

    async def test_who_is_put_out_loses_the_transport(self, bench):
        """Leaving, removal and the end close what was open, before anybody is told."""
        host = bench.enter("Ana", role=Role.HOST)
        jane = bench.enter("Jane")
        await bench.ask(jane, offer())
        bench.act(host, Remove(jane))
        assert await refused(bench, jane, offer()) == "forbidden"
        await until(lambda: not bench.engine.transports)

    async def test_a_reopened_room_closes_what_did_not_happen(self, bench):
        """After a failed commit whoever is not in the journal has no media."""
        ana = bench.enter("Ana", role=Role.HOST)
        await bench.ask(ana, offer())
        empty = Room(bench.room.state.config, SerialIds(), stamp)
        bench.media.reopened(empty)
        assert await refused(bench, ana, offer()) == "forbidden"
        await until(lambda: not bench.engine.transports)


class TestOffers:
    async def test_an_answer_names_every_section_and_makes_tracks_and_slots(self, bench):
        """Three tracks, three lanes, eight video slots and a screen, all known to the engine."""
        ana = bench.enter("Ana", role=Role.HOST)
        answer = await bench.ask(ana, offer())
        assert answer.sdp.count("\r\nm=") == 15
        assert len(bench.engine.tracks) == 3
        assert len(bench.engine.slots) == 12

    async def test_a_second_offer_of_the_same_connection_changes_nothing_that_is(self, bench):
        """Re-offering keeps the transport, its tracks and slots."""
        ana = bench.enter("Ana", role=Role.HOST)
        await bench.ask(ana, offer())
        before = (set(bench.engine.transports), set(bench.engine.tracks), set(bench.engine.slots))
        await bench.ask(ana, offer())
        assert before == (
            set(bench.engine.transports), set(bench.engine.tracks), set(bench.engine.slots),
        )  # fmt: skip

    async def test_a_second_offer_may_list_its_extensions_in_another_order(self, bench):
        """Some clients do at each offer: tracks and slots stay what they are."""
        ana = bench.enter("Ana", role=Role.HOST)
        first = offer()
        await bench.ask(ana, first)
        before = (set(bench.engine.tracks), set(bench.engine.slots))
        lines = first.sdp.split("\r\n")
        at = [n for n, line in enumerate(lines) if line.startswith("a=extmap:")]
        for one, other in itertools.pairwise(at):
            if other == one + 1:
                lines[one], lines[other] = lines[other], lines[one]
        again = msgspec.structs.replace(first, sdp="\r\n".join(lines))
        assert again.sdp != first.sdp
        await bench.ask(ana, again)
        assert before == (set(bench.engine.tracks), set(bench.engine.slots))

    async def test_a_new_peer_connection_replaces_the_old(self, bench):
        """Another number in the o-line is another connection: the old transport is closed."""
        ana = bench.enter("Ana", role=Role.HOST)
        await bench.ask(ana, offer("1"))
        (old,) = bench.engine.transports
        await bench.ask(ana, offer("2"))
        await until(lambda: old not in bench.engine.transports)
        assert len(bench.engine.transports) == 1

    async def test_a_new_page_closes_the_old_pages_media(self, bench):
        """When a newer hello took over, what the superseded tab had is gone."""
        ana = bench.enter("Ana", role=Role.HOST)
        await bench.ask(ana, offer())
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
            await bench.ask(ana, parse("media.offer", change))
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
        await bench.ask(ana, offer("1"))
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
        await bench.ask(ana, offer("1"))
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
            await bench.ask(ana, offer())
        await until(lambda: not bench.engine.transports)

    async def test_a_refused_first_offer_forgets_no_view(self, bench):
        """Who asked for the speaker's layout gets it with the offer that is taken."""
        ana = bench.enter("Ana", role=Role.HOST)
        await bench.ask(ana, ViewSet(layout="speaker"))
        bad = parse("media.offer", {"sdp": "nonsense"})
        assert await refused(bench, ana, bad) == "bad_request"
        await bench.ask(ana, offer())
        assert bench.media._showing._seats[ana].view.layout == "speaker"

    async def test_more_slots_than_there_are_words_for_are_refused(self, bench):
        """64 in one offer and 64 others in the next: a reason, and the first 64 stay."""
        ana = bench.enter("Ana", role=Role.HOST)
        first = slots_alone("a", 64)
        await bench.ask(ana, first)
        before = set(bench.engine.slots)
        others = msgspec.structs.replace(slots_alone("b", 64), sdp=first.sdp)
        with pytest.raises(RequestError, match="bad_request: too many slots"):
            await bench.ask(ana, others)
        await bench.ask(ana, first)
        assert set(bench.engine.slots) == before

    async def test_too_many_offers_are_limited(self, bench):
        """Ten at once, then the time to wait is told."""
        ana = bench.enter("Ana", role=Role.HOST)
        for _ in range(10):
            await bench.ask(ana, offer())
        assert await refused(bench, ana, offer()) == "rate"

    async def test_closing_media_keeps_the_meeting(self, bench):
        """media.close frees the transport; a later offer makes another."""
        ana = bench.enter("Ana", role=Role.HOST)
        await bench.ask(ana, offer())
        assert await bench.ask(ana, MediaClose()) == {}
        await until(lambda: not bench.engine.transports)
        assert (await bench.ask(ana, offer())).sdp


class TestBounds:
    async def test_the_end_of_the_room_takes_every_transport(self, bench):
        """The fact by itself: whatever is said of single people, nobody keeps their media."""
        ana, jane = bench.enter("Ana", role=Role.HOST), bench.enter("Jane")
        await bench.ask(ana, offer("1"))
        await bench.ask(jane, offer("2"))
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
                await bench.ask(ana, MediaClose())
            elif between == "reload":
                bench.media.entered(ana)

        for number in range(10):
            await bench.ask(ana, offer(str(number)))
            await again()
        assert await refused(bench, ana, offer("10")) == "rate"
        await again()
        bench.clock.time += 1
        await bench.ask(ana, offer("11"))
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
        assert (await bench.ask(ana, offer())).sdp

    async def test_a_crowd_by_one_link_is_limited_together(self, bench):
        """A class comes in, grows its grid and comes back; then ten a second, however many they are."""
        host = bench.enter("Ana", role=Role.HOST, link="of the host")
        crowd = [bench.enter(f"Jane {number}", link="of the guests") for number in range(201)]
        for who in [*crowd[:200]] * 3:
            async with bench.media.turn(who, offer()):
                pass
        with pytest.raises(RequestError) as error:
            await bench.ask(crowd[200], offer())
        assert error.value.code == "rate"
        assert error.value.extras["retry_ms"] > 1000, "not all at once, a tenth of a second later"
        assert (await bench.ask(host, offer())).sdp
        bench.clock.time += 0.11
        assert (await bench.ask(crowd[200], offer())).sdp
        assert await refused(bench, crowd[0], offer()) == "rate"

    async def test_who_is_put_out_while_they_wait_for_their_turn_gets_nothing(self, bench):
        """Admission is asked again when the turn comes."""
        host, jane = bench.enter("Ana", role=Role.HOST), bench.enter("Jane")
        async with bench.hub.turns.take("somebody", "else", ""):
            waiting = asyncio.create_task(bench.ask(jane, offer()))
            await asyncio.sleep(0)
            bench.act(host, Remove(jane))
        with pytest.raises(RequestError, match="forbidden"):
            await waiting
        assert not bench.engine.transports

    async def test_what_closes_an_offer_that_waits_comes_behind_it(self, bench):
        """Who offers and closes in one breath has no transport afterwards."""
        jane = bench.enter("Jane", role=Role.HOST)
        async with bench.hub.turns.take("somebody", "else", ""):
            asked = [asyncio.create_task(bench.ask(jane, each)) for each in (offer(), MediaClose())]
            await asyncio.sleep(0)
        await asyncio.gather(*asked)
        await until(lambda: not bench.engine.transports)

    async def test_what_closes_nothing_that_waits_takes_no_turn(self, bench):
        """A crowd that closes again and again would else keep all others by its link waiting."""
        jane = bench.enter("Jane", role=Role.HOST)
        await bench.ask(jane, offer())
        assert not bench.hub.turns._free, "the loop is everybody else's for as long as that took"
        await until(lambda: bench.hub.turns._free)
        async with bench.hub.turns.take("somebody", "else", ""):
            assert await asyncio.wait_for(bench.ask(jane, MediaClose()), 5) == {}
            assert bench.hub.turns.waiting() == 0

    async def test_nothing_opens_once_the_room_has_left_this_node(self, bench):
        """An offer that waited for its turn until then: nobody would close its transport."""
        jane = bench.enter("Jane", role=Role.HOST)
        async with bench.hub.turns.take("somebody", "else", ""):
            waiting = asyncio.create_task(bench.ask(jane, offer()))
            await asyncio.sleep(0)
            await bench.media.close()
        with pytest.raises(RequestError, match="forbidden"):
            await waiting
        assert not bench.engine.transports

    async def test_tenants_rooms_and_links_wait_in_rotation(self, bench):
        """The host is not behind the crowd of the guests, nor another room or tenant behind either."""
        beside, elsewhere = Bench(bench.hub), Bench(bench.hub, tenant="another")
        host = bench.enter("Ana", role=Role.HOST, link="host")
        crowd = [(bench, bench.enter(f"Jane {number}", link="guests")) for number in range(5)]
        others = [
            (one, one.enter("Kim", role=Role.HOST, link="guests")) for one in (beside, elsewhere)
        ]
        answered = []

        async def ask(of, who):
            await of.ask(who, offer())
            answered.append((of, who))

        async with bench.hub.turns.take("somebody", "else", ""):
            asked = [asyncio.create_task(ask(*one)) for one in (*crowd, (bench, host), *others)]
            await asyncio.sleep(0)
        await asyncio.gather(*asked)
        for one in (beside, elsewhere):
            await one.media.close()
        assert answered == [crowd[0], others[1], others[0], (bench, host), *crowd[1:]]

    async def test_who_waits_at_the_door_spends_nothing_of_the_crowds(self, bench):
        """Their offers are refused before they are counted, and wait for nothing."""
        bench.enter("Ana", role=Role.HOST, link="host")
        inside = bench.enter("Jane", link="guests")
        outside = bench.enter("Kim", link="guests", lobby=True)
        for _ in range(int(CROWD_NEGOTIATION_BURST)):
            assert await refused(bench, outside, offer()) == "forbidden"
        assert (await bench.ask(inside, offer())).sdp
