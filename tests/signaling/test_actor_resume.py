"""Who comes back to a room: what was missed in order, or a snapshot."""

import pytest

from rooms.commands import Speakers
from rooms.limits import CHAT_BODY
from rooms.policy import Role
from signaling.client import Client
from signaling.connection import Connection
from signaling.envelope import CODECS
from signaling.errors import RequestError
from signaling.limits import DOOR_RATE, RoomLimiter
from signaling.messages import parse
from signaling.streams import RING_SECONDS
from tests.signaling.fakes import FACE, SlowWire, Stage, events, hello, reply, wire
from tests.signaling.visits import ask, enter, grant_of, positions_of, resume


def roster_of(*clients):
    """The roster that a page has over these connections, one after the other."""
    roster = {}
    for frame in (frame for client in clients for frame in events(client)):
        body = frame["p"]
        if frame["t"] == "snapshot":
            roster = {member["id"]: member for member in body["roster"]}
        elif frame["t"] == "roster.delta":
            roster = {who: roster[who] for who in roster if who not in body.get("del", ())}
            roster |= {member["id"]: member for member in body.get("add", ())}
            for fields in body.get("upd", ()):
                roster[fields["id"]] = {**roster[fields["id"]], **fields}
    return roster


class TestResume:
    async def test_missed_events_come_in_order_and_then_resumed(self, stage):
        """Public and own private events, nobody else's; no snapshot."""
        host = await enter(stage, "Ana", Role.HOST)
        jane = await enter(stage, "Jane")
        ben = await enter(stage, "Ben")
        at = positions_of(jane)
        stage.actor.lost(jane)
        await ask(stage, host, "chat.send", "1", body="to all")
        await ask(stage, host, "chat.send", "2", body="to jane", to=jane.participant)
        await ask(stage, host, "chat.send", "3", body="to ben", to=ben.participant)
        again = await resume(stage, jane, at)
        assert reply(again, "h")["p"]["resumed"] is True
        bodies = [body["body"] for body in events(again, "chat.msg")]
        assert sorted(bodies) == ["to all", "to jane"]
        assert [frame["t"] for frame in events(again)][-1] == "resumed"
        assert "snapshot" not in {frame["t"] for frame in events(again)}

    @pytest.mark.parametrize("shift", [0, -1])
    async def test_nobody_gets_events_from_before_their_snapshot(self, stage, shift):
        """A newcomer who says that they heard less would read what was taken back before."""
        host = await enter(stage, "Ana", Role.HOST)
        sent = await ask(stage, host, "chat.send", "1", body="a secret")
        await ask(stage, host, "chat.delete", "2", id=sent["p"]["message"]["id"])
        jane = await enter(stage, "Jane")
        at = positions_of(jane)
        epoch, number = at["scope:main"]
        stage.actor.lost(jane)
        again = await resume(stage, jane, {**at, "scope:main": (epoch, number + shift)})
        assert reply(again, "h")["p"]["resumed"] is not bool(shift)
        assert not events(again, "chat.msg")
        assert "a secret" not in str(wire(again).frames)

    async def test_who_was_sent_out_for_a_while_hears_nothing_of_it(self, stage):
        """Not by saying where they stood before: the newest snapshot counts, not the first."""
        host, jane = await enter(stage, "Ana", Role.HOST), await enter(stage, "Jane")
        before = positions_of(jane)
        await ask(stage, host, "lobby.back", "1", who=jane.participant)
        await ask(stage, host, "chat.send", "2", body="about Jane")
        await ask(stage, host, "lobby.admit", "3", ids=[jane.participant])
        stage.actor.heard(jane)
        assert set(positions_of(jane)) == set(before)
        stage.actor.lost(jane)
        again = await resume(stage, jane, before)
        assert reply(again, "h")["p"]["resumed"] is False
        assert not events(again, "chat.msg")

    async def test_who_speaks_is_told_anew(self, stage):
        """Passing events are not kept, and the next change may be far away."""
        host = await enter(stage, "Ana", Role.HOST)
        jane = await enter(stage, "Jane")
        stage.actor.tell(Speakers([host.participant]))
        at = positions_of(jane)
        stage.actor.lost(jane)
        stage.actor.tell(Speakers([]))
        again = await resume(stage, jane, at)
        assert reply(again, "h")["p"]["resumed"] is True
        assert [body["list"] for body in events(again, "speakers")] == [[]]
        stage.actor.tell(Speakers([host.participant]))
        assert [body["list"] for body in events(again, "speakers")] == [[], [host.participant]]

    async def test_who_waits_is_not_told_who_speaks(self, stage):
        await enter(stage, "Ana", Role.HOST)
        jane = await enter(stage, "Jane", lobby=True)
        at = positions_of(jane)
        stage.actor.lost(jane)
        again = await resume(stage, jane, at)
        assert reply(again, "h")["p"]["resumed"] is True
        assert not events(again, "speakers")

    async def test_a_host_who_was_away_has_the_roster_of_one_who_was_not(self):
        """In a training: somebody comes, presents and leaves, on one stream and on the other."""
        stage = Stage(type="training")
        await stage.actor.open()
        host, control = await enter(stage, "Ana", Role.HOST), await enter(stage, "Eva", Role.COHOST)
        self.tell_the_roster(stage)
        at = positions_of(host)
        stage.actor.lost(host)
        jane = await enter(stage, "Jane")
        self.tell_the_roster(stage)
        await ask(stage, control, "role.set", who=jane.participant, role="presenter")
        self.tell_the_roster(stage)
        await ask(stage, jane, "leave")
        self.tell_the_roster(stage)
        again = await resume(stage, host, at)
        self.tell_the_roster(stage)
        assert reply(again, "h")["p"]["resumed"] is True
        assert jane.participant in {
            member["id"] for body in events(again, "roster.delta") for member in body["add"]
        }
        assert roster_of(host, again) == roster_of(control)
        await stage.actor.close()

    async def test_what_nobody_can_be_told_any_more_is_let_go(self, stage):
        """By what is delivered on other streams: a waiting room that emptied costs no memory."""
        host = await enter(stage, "Ana", Role.HOST)
        jane = await enter(stage, "Jane", lobby=True)
        await ask(stage, host, "lobby.admit", ids=[jane.participant])
        (told,) = [
            log._ring
            for stream, log in stage.actor._writer.open_room.outbound._streams._logs.items()
            if stream == f"lobby:{jane.participant}"
        ]
        assert told
        stage.clock.time += RING_SECONDS + 1
        await ask(stage, host, "chat.send", "c", body="x")
        assert not told

    async def test_who_stays_for_long_counts_on_while_others_come_and_go(self, stage):
        """Streams of people who are gone are forgotten, not a quiet one that somebody is on."""
        host, jane, ben = [
            await enter(stage, who, role)
            for who, role in (
                ("Ana", Role.HOST),
                ("Jane", Role.PARTICIPANT),
                ("Ben", Role.PARTICIPANT),
            )
        ]
        for number in range(3):
            await ask(stage, host, "chat.send", f"b{number}", body="x", to=ben.participant)
        await ask(stage, ben, "leave")
        stage.actor.lost(ben)
        at = positions_of(jane)[f"self:{jane.participant}"]
        for number in range(8):
            stage.clock.time += RING_SECONDS / 4
            await ask(stage, host, "chat.send", f"c{number}", body="x")
        assert (
            f"self:{ben.participant}" not in stage.actor._writer.open_room.outbound._streams._logs
        )
        await ask(stage, host, "chat.send", "j", body="x", to=jane.participant)
        assert positions_of(jane)[f"self:{jane.participant}"] == (at[0], at[1] + 1)

    @staticmethod
    def tell_the_roster(stage):
        """Let its second pass."""
        stage.clock.time += 1
        stage.actor._writer.timeout()

    async def test_a_client_that_does_not_know_enough_gets_a_snapshot(self, stage):
        """No positions, or old ones: a snapshot of all, never a part."""
        await enter(stage, "Ana", Role.HOST)
        jane = await enter(stage, "Jane")
        stage.actor.lost(jane)
        again = await resume(stage, jane, {"room": (99, 1)})
        assert reply(again, "h")["p"]["resumed"] is False
        assert events(again)[0]["t"] == "snapshot"

    async def test_who_missed_too_much_for_a_replay_gets_a_snapshot(self, stage):
        """Half a megabyte is told again; more would close the client at every try."""
        host = await enter(stage, "Ana", Role.HOST)
        jane = await enter(stage, "Jane")
        at = positions_of(jane)
        stage.actor.lost(jane)
        for number in range(60):
            stage.clock.time += 1
            await ask(stage, host, "chat.send", f"c{number}", body=FACE * CHAT_BODY)
        connection = Connection(CODECS["sunup.v1.json"], stage.clock.now())
        again = Client(connection, SlowWire(connection.codec))
        hello(again, resume={"secret": "s"})
        await stage.actor.entrance.resume(again, "h", grant_of(jane), at)
        assert reply(again, "h")["p"]["resumed"] is False
        assert events(again)[0]["t"] == "snapshot"
        assert wire(again).closed is None

    def test_a_position_beyond_what_numbers_hold_is_refused(self):
        """2^53 is the last integer that every client can tell from its neighbours."""
        for number in (2**53, 2**53 + 1):
            params = {"proto": 1, "resume": {"secret": "s", "streams": {"room": (1, number)}}}
            if number == 2**53:
                assert parse("hello", params).resume.streams == {"room": (1, number)}
            else:
                with pytest.raises(RequestError) as refused:
                    parse("hello", params)
                assert refused.value.code == "bad_request"

    async def test_a_secret_is_good_for_one_connection(self, stage):
        """After the next connection the last secret is stale."""
        jane = await enter(stage, "Ana", Role.HOST)
        await resume(stage, jane, {})
        with pytest.raises(RequestError) as refused:
            await resume(stage, jane, {})
        assert refused.value.code == "stale_epoch"

    async def test_who_comes_back_too_often_is_refused_before_anything_is_decided(self, stage):
        """By resume and by link alike: ten at once, then one per two seconds; others may."""
        ana = await enter(stage, "Ana", Role.HOST)
        for _ in range(5):
            ana = await resume(stage, ana, {})
            ana = await enter(stage, "Ana", Role.HOST)
        facts = list(stage.store.facts)
        for again in (resume(stage, ana, {}), enter(stage, "Ana", Role.HOST)):
            with pytest.raises(RequestError) as refused:
                await again
            assert refused.value.code == "rate"
            assert 1999 <= refused.value.extras["retry_ms"] <= 2001
        assert stage.store.facts == facts
        await enter(stage, "Jane")
        stage.clock.time += 2
        ana = await resume(stage, ana, {})
        with pytest.raises(RequestError):
            await resume(stage, ana, {})

    async def test_all_who_wait_come_back_only_so_often(self, stage, monkeypatch):
        """Hundreds of strangers by one link write no hundred facts a second.

        Who is in comes back all the same, and who waits by another link.
        """
        monkeypatch.setattr(stage.actor.entrance, "_at_the_door", RoomLimiter(DOOR_RATE, 1.0))
        ana = await enter(stage, "Ana", Role.HOST)
        jane, kim = [await enter(stage, who, lobby=True, link="one") for who in ("Jane", "Kim")]
        lee = await enter(stage, "Lee", lobby=True, link="another")
        await resume(stage, jane, {})
        await resume(stage, lee, {})
        with pytest.raises(RequestError) as refused:
            await resume(stage, kim, {})
        assert refused.value.code == "rate"
        assert 190 <= refused.value.extras["retry_ms"] <= 201
        ana = await resume(stage, ana, {})
        await ask(stage, ana, "leave")
        await enter(stage, "Ana", Role.HOST)  # the admission is kept
        stage.clock.time += 0.2
        await resume(stage, kim, {})

    async def test_a_stale_secret_takes_nothing_from_its_participant(self, stage):
        """An old tab that tries again and again keeps nobody out."""
        old = await enter(stage, "Ana", Role.HOST)
        new = await resume(stage, old, {})
        for _ in range(20):
            with pytest.raises(RequestError) as refused:
                await resume(stage, old, {})
            assert refused.value.code == "stale_epoch"
        await resume(stage, new, {})

    async def test_a_secret_of_another_sitting_is_refused(self, stage):
        """What was good for the last sitting opens nothing now."""
        ana = await enter(stage, "Ana", Role.HOST)
        client = stage.client()
        hello(client, resume={"secret": "s"})
        with pytest.raises(RequestError) as refused:
            await stage.actor.entrance.resume(client, "h", grant_of(ana, session_no=2), {})
        assert refused.value.code == "unauthorized"

    async def test_one_interval_for_a_short_cut(self, stage):
        """A cut and resume within the window is one attendance interval, not two."""
        ana = await enter(stage, "Ana", Role.HOST)
        stage.actor.lost(ana)
        stage.clock.time += 2
        await resume(stage, ana, positions_of(ana))
        kinds = [fact.kind for fact in stage.store.facts]
        assert kinds.count("interval.opened") == 1
        assert kinds.count("interval.closed") == 0
