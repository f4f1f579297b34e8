"""One room's writer: commit, then tell; resume or snapshot; a failed commit opens it anew."""

import asyncio
from datetime import UTC, datetime

import msgspec
import pytest
import pytest_asyncio

from rooms.commands import Enter as EnterRoom
from rooms.commands import Finish
from rooms.ids import Identity
from rooms.limits import CHAT_BODY, LOBBY_BODY, NAME, WAITING
from rooms.policy import IdentityKind, Role
from signaling import actor as actor_module
from signaling.client import Client
from signaling.clock import stamp
from signaling.connection import Connection
from signaling.envelope import CODECS, Event, Ping
from signaling.errors import CloseCode, RequestError
from signaling.feed import BusFeed
from signaling.messages import parse
from signaling.outbox import MAX_BYTES
from signaling.streams import RING_SECONDS
from signaling.tokens import ResumeGrant
from storage.bus import MemoryBus
from tests.signaling.fakes import KEY, START, ListWire, Stage, events, hello, reply, request, wire
from tests.support.wait import until

FACE = "\U0001f600"
"""One character, four bytes."""


@pytest_asyncio.fixture
async def stage():
    made = Stage()
    await made.actor.open()
    yield made
    await made.actor.close()


def at(seconds):
    return datetime.fromtimestamp(seconds, UTC)


def entering(who, role=Role.PARTICIPANT, lobby=False):
    kind = IdentityKind.STAFF if role is Role.HOST else IdentityKind.GUEST
    return EnterRoom(Identity(f"{kind}:{who}"), kind, who, role=role, lobby=lobby)


async def enter(stage, who, role=Role.PARTICIPANT, *, lobby=False, actor=None):
    """Somebody comes in; the client, attached."""
    client = stage.client()
    hello(client, token="t")
    await (actor or stage.actor).enter(client, "h", lambda: entering(who, role, lobby))
    (actor or stage.actor).heard(client)
    return client


async def ask(stage, client, method, request_id="r", **params):
    await stage.actor.perform(client, request(method, request_id, **params))
    return reply(client, request_id)


def grant_of(client, **changes):
    secret = reply(client, "h")["p"]
    values = {
        "tenant_id": KEY.tenant_id, "room_id": KEY.room_id, "session_no": 1,
        "participant": secret["participant"], "identity": "x", "conn_epoch": client.conn_epoch,
    }  # fmt: skip
    return ResumeGrant(**{**values, **changes})


async def resume(stage, old, positions):
    client = stage.client()
    hello(client, resume={"secret": "s"})
    await stage.actor.resume(client, "h", grant_of(old), positions)
    return client


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


def positions_of(client):
    """What a client that applied everything would send."""
    found = {}
    for frame in events(client):
        if frame["t"] == "snapshot":
            found = {stream: tuple(at) for stream, at in frame["p"]["positions"].items()}
        elif "s" in frame:
            found[frame["st"]] = (frame["ep"], frame["s"])
    return found


class TestEntering:
    async def test_a_host_gets_reply_then_snapshot(self, stage):
        """The hello reply is first and says committed; the snapshot follows."""
        host = await enter(stage, "Ana", Role.HOST)
        first, second = wire(host).frames[:2]
        assert first["re"] == "h"
        assert first["committed"] is True
        assert first["p"]["resumed"] is False
        assert second["t"] == "snapshot"
        assert {member["name"] for member in second["p"]["roster"]} == {"Ana"}

    async def test_nobody_hears_of_an_entry_before_it_is_committed(self, stage):
        """While the commit is under way neither the newcomer nor the others get a frame of it."""
        host = await enter(stage, "Ana", Role.HOST)
        before = len(wire(host).frames)
        stage.journal.gate.clear()
        task = asyncio.create_task(enter(stage, "Jane"))
        await until(lambda: stage.actor.room.state.by_identity.get("guest:Jane"))
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(wire(host).frames) == before
        stage.journal.gate.set()
        jane = await task
        assert reply(jane, "h")["ok"] is True

    async def test_a_waiting_person_gets_the_door_and_nothing_else(self, stage):
        """No roster, no chat, no room stream reaches the waiting room."""
        host = await enter(stage, "Ana", Role.HOST)
        jane = await enter(stage, "Jane", lobby=True)
        await ask(stage, host, "chat.send", body="secret")
        snapshot = events(jane, "snapshot")[0]
        assert snapshot.keys() == {
            "room", "me", "messages", "positions", "verdict", "place", "message", "waits", "host",
            "starts_at",
        }  # fmt: skip
        assert snapshot["place"] == 1
        assert {frame["st"].partition(":")[0] for frame in events(jane)} <= {"lobby", "self"}
        assert all(frame["t"] in {"snapshot", "lobby.state"} for frame in events(jane))

    async def test_admission_brings_a_fresh_snapshot_on_the_inside_streams(self, stage):
        """The verdict comes on the lobby stream, then the snapshot; chat flows from there."""
        host = await enter(stage, "Ana", Role.HOST)
        jane = await enter(stage, "Jane", lobby=True)
        await ask(stage, host, "lobby.admit", ids=[jane.participant])
        assert events(jane, "lobby.state")[-1]["verdict"] == "admitted"
        assert "roster" in events(jane, "snapshot")[-1]
        await ask(stage, host, "chat.send", "c1", body="welcome")
        assert events(jane, "chat.msg")[-1]["body"] == "welcome"

    async def test_a_promotion_brings_the_hosts_stream(self, stage):
        """Whoever becomes a co-host gets the queue in a snapshot and its changes after that."""
        host = await enter(stage, "Ana", Role.HOST)
        ben = await enter(stage, "Ben")
        await ask(stage, host, "role.set", who=ben.participant, role="cohost")
        assert events(ben, "snapshot")[-1]["lobby"]["list"] == []
        await enter(stage, "Jane", lobby=True)
        assert events(ben, "lobby.list")[-1]["add"][0]["name"] == "Jane"

    async def test_a_refused_entry_changes_nothing(self, stage):
        """A banned identity is told, and the room is as it was."""
        host = await enter(stage, "Ana", Role.HOST)
        jane = await enter(stage, "Jane")
        await ask(stage, host, "remove", who=jane.participant, ban=True)
        assert wire(jane).closed[0] == CloseCode.REMOVED
        facts = len(stage.store.facts)
        with pytest.raises(RequestError) as refused:
            await enter(stage, "Jane")
        assert refused.value.code == "forbidden"
        assert len(stage.store.facts) == facts


class SlowWire(ListWire):
    """A peer that reads nothing yet: all that was written waits."""

    def write(self, data):
        super().write(data)
        self.unread += len(data)


class TestSizes:
    async def test_the_fullest_meeting_closes_no_host_who_comes(self, stage):
        """Every list of the snapshot is as long as it gets, of the longest texts there are."""
        host = await enter(stage, "Ana", Role.HOST)
        talkers = [await enter(stage, f"in-{n:02d}" + FACE * (NAME - 5)) for n in range(45)]
        for number in range(WAITING):
            await enter(stage, f"{number:03d}" + FACE * (NAME - 3), lobby=True)
        for number in range(54):
            stage.clock.time += 1
            text = FACE * CHAT_BODY
            await ask(stage, talkers[number % 45], "chat.send", f"c{number}", body=text)
            await ask(stage, host, "lobby.say", f"l{number}", text=FACE * LOBBY_BODY)
        connection = Connection(CODECS["sunup.v1.json"], stage.clock.now())
        again = Client(connection, SlowWire(connection.codec))
        hello(again, token="t")
        await stage.actor.enter(again, "h", lambda: entering("Ana", Role.HOST))
        assert wire(again).closed is None
        (snapshot,) = events(again, "snapshot")
        assert len(snapshot["lobby"]["list"]) == WAITING
        assert len(msgspec.json.encode(snapshot)) < MAX_BYTES

    async def test_a_snapshot_is_no_reason_to_close(self, stage):
        """What follows a very large one waits with it for a client that reads slowly."""
        connection = Connection(CODECS["sunup.v1.json"], stage.clock.now())
        client = Client(connection, SlowWire(connection.codec))
        client.send_frame(Event("self:a", 1, "snapshot", "", None, {"x": "x" * 2 * MAX_BYTES}))
        client.send_frame(Ping(1))
        assert wire(client).closed is None


class TestSuperseding:
    async def test_the_newer_connection_wins_and_the_older_gets_a_terminal_code(self, stage):
        """One row, one live connection; the old one is told before it is closed."""
        old = await enter(stage, "Ana", Role.HOST)
        new = await enter(stage, "Ana", Role.HOST)
        assert events(old)[-1]["t"] == "superseded"
        assert wire(old).closed[0] == CloseCode.SUPERSEDED
        assert (new.participant, new.conn_epoch) == (old.participant, old.conn_epoch + 1)

    async def test_the_late_loss_of_the_old_one_means_nothing(self, stage):
        """The close of a superseded connection does not take the participant away."""
        old = await enter(stage, "Ana", Role.HOST)
        new = await enter(stage, "Ana", Role.HOST)
        stage.actor.lost(old)
        assert stage.actor.room.participant(new.participant).connected
        assert (await ask(stage, new, "chat.send", body="x"))["ok"]

    async def test_a_late_command_of_the_old_one_is_stale(self, stage):
        """The room refuses it; media refuses it, too."""
        old = await enter(stage, "Ana", Role.HOST)
        await enter(stage, "Ana", Role.HOST)
        for method, params in (("chat.send", {"body": "x"}), ("view.set", {"layout": "grid"})):
            with pytest.raises(RequestError) as refused:
                await stage.actor.perform(old, request(method, **params))
            assert refused.value.code == "stale_epoch"

    async def test_five_at_once_leave_one(self, stage):
        """However many connect together, one lives and four get the terminal code."""
        clients = await asyncio.gather(*(enter(stage, "Ana", Role.HOST) for _ in range(5)))
        closed = [wire(client).closed for client in clients if wire(client).closed]
        assert [code for code, _ in closed] == [CloseCode.SUPERSEDED] * 4


class TestReplies:
    async def test_a_fact_is_answered_committed_with_its_number(self, stage):
        """`committed` and the journal's number stand in the reply."""
        host = await enter(stage, "Ana", Role.HOST)
        answer = await ask(stage, host, "chat.send", body="x")
        assert answer["committed"] is True
        assert answer["seq"] == len(stage.store.facts)

    async def test_what_stores_nothing_does_not_say_committed(self, stage):
        """A reaction or a page of history promises nothing."""
        host = await enter(stage, "Ana", Role.HOST)
        for number, (method, params) in enumerate(
            [("react", {"emoji": "+1"}), ("chat.page", {"n": 5}), ("view.set", {"layout": "grid"})]
        ):
            answer = await ask(stage, host, method, f"r{number}", **params)
            assert answer["ok"] is True
            assert "committed" not in answer

    async def test_what_changes_nothing_does_not_say_committed(self, stage):
        """What was asked for was so already: no fact, and no promise about one."""
        host = await enter(stage, "Ana", Role.HOST)
        asked = [
            ("name.set", {"name": "Ana"}),
            ("room.lock", {"on": False}),
            ("hand.set", {"up": False}),
            ("room.policy", {"patch": {"lobby": "guests"}}),
        ]
        facts = len(stage.store.facts)
        for number, (method, params) in enumerate(asked):
            answer = await ask(stage, host, method, f"r{number}", **params)
            assert answer["ok"] is True
            assert "committed" not in answer
        assert len(stage.store.facts) == facts

    async def test_the_reply_comes_before_the_event_and_adapters_before_both(self, stage):
        """Media acts on a fact before anybody hears of it."""
        host = await enter(stage, "Ana", Role.HOST)
        seen = []
        stage.adapter.committed = lambda _room, facts: seen.append(("adapter", len(facts)))
        start = len(wire(host).frames)
        await ask(stage, host, "chat.send", body="x")
        assert seen[0] == ("adapter", 1)
        new = wire(host).frames[start:]
        assert new[0]["re"] == "r"
        assert new[1]["t"] == "chat.msg"

    async def test_a_retry_gets_the_stored_answer_and_one_effect(self, stage):
        """The same id again, also while the first is under way: one message, the same reply."""
        host = await enter(stage, "Ana", Role.HOST)
        stage.journal.gate.clear()
        first = asyncio.create_task(stage.actor.perform(host, request("chat.send", "r1", body="x")))
        second = asyncio.create_task(
            stage.actor.perform(host, request("chat.send", "r1", body="x"))
        )
        await asyncio.sleep(0)
        stage.journal.gate.set()
        await asyncio.gather(first, second)
        answers = [frame for frame in wire(host).frames if frame.get("re") == "r1"]
        assert answers[0]["p"] == answers[1]["p"]
        assert all(answer["committed"] for answer in answers)
        assert len(events(host, "chat.msg")) == 1

    async def test_another_request_under_a_used_id_is_a_conflict(self, stage):
        """An id names one request."""
        host = await enter(stage, "Ana", Role.HOST)
        await ask(stage, host, "chat.send", "r1", body="x")
        with pytest.raises(RequestError) as refused:
            await stage.actor.perform(host, request("chat.send", "r1", body="y"))
        assert refused.value.code == "conflict"

    async def test_many_requests_at_once_are_few_commits(self, stage):
        """What gathers while a commit runs is committed together, in order."""
        people = [
            await enter(stage, f"P{n}", Role.HOST if n == 0 else Role.PARTICIPANT)
            for n in range(20)
        ]
        stage.store.batches.clear()
        stage.journal.gate.clear()
        tasks = [
            asyncio.create_task(stage.actor.perform(one, request("chat.send", "x", body=str(n))))
            for n, one in enumerate(people)
        ]
        await asyncio.sleep(0)
        stage.journal.gate.set()
        await asyncio.gather(*tasks)
        assert len(stage.store.batches) <= 2
        assert [body["body"] for body in events(people[0], "chat.msg")] == [
            str(n) for n in range(20)
        ]


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
            for stream, log in stage.actor._open.outbound._streams._logs.items()
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
        assert f"self:{ben.participant}" not in stage.actor._open.outbound._streams._logs
        await ask(stage, host, "chat.send", "j", body="x", to=jane.participant)
        assert positions_of(jane)[f"self:{jane.participant}"] == (at[0], at[1] + 1)

    @staticmethod
    def tell_the_roster(stage):
        """Let its second pass."""
        stage.clock.time += 1
        stage.actor._timeout()

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
        await stage.actor.resume(again, "h", grant_of(jane), at)
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
            await stage.actor.resume(client, "h", grant_of(ana, session_no=2), {})
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


class TestFailures:
    async def test_who_hangs_up_while_the_room_opens_never_came(self, stage):
        """A hello that waits for the room is dropped with its connection: no ghost is let in."""
        await enter(stage, "Ana", Role.HOST)
        stage.journal.down = True
        with pytest.raises(RequestError):
            await enter(stage, "Bo")
        client = stage.client()
        hello(client, token="t")
        coming = asyncio.create_task(stage.actor.enter(client, "h", lambda: entering("Cy")))
        await asyncio.sleep(0)
        client.lost()
        stage.actor.lost(client)
        stage.journal.down = False
        with pytest.raises(RequestError):
            await coming
        assert [row.name for row in stage.actor.room.state.participants.values()] == ["Ana"]

    async def test_a_defect_while_opening_anew_is_logged_and_tried_again(self, stage, monkeypatch):
        """One row that cannot be read once must not leave a room that nobody can enter."""
        host = await enter(stage, "Ana", Role.HOST)
        opening = stage.journal.open
        attempts = []

        async def once():
            attempts.append(1)
            if len(attempts) == 1:
                raise ValueError("cannot be read")
            return await opening()

        monkeypatch.setattr(stage.journal, "open", once)
        stage.journal.down = True
        with pytest.raises(RequestError):
            await stage.actor.perform(host, request("chat.send", "r1", body="lost?"))
        stage.journal.down = False
        await until(lambda: len(events(host, "snapshot")) == 2)
        assert len(attempts) == 2

    async def test_a_failed_commit_is_answered_and_the_room_opens_anew(self, stage):
        """The asker is told `unavailable`; everybody gets a snapshot of a new epoch without it."""
        host = await enter(stage, "Ana", Role.HOST)
        jane = await enter(stage, "Jane")
        stage.journal.down = True
        with pytest.raises(RequestError) as refused:
            await stage.actor.perform(host, request("chat.send", "r1", body="lost?"))
        assert refused.value.code == "unavailable"
        assert refused.value.extras["retry_ms"] > 0
        stage.journal.down = False
        await until(lambda: len(events(jane, "snapshot")) == 2)
        assert events(jane)[-1]["ep"] == 2
        assert events(jane, "snapshot")[-1]["chat"] == []
        assert events(jane, "chat.msg") == []
        answer = await ask(stage, host, "chat.send", "r1", body="lost?")
        assert answer["committed"] is True
        assert [body["body"] for body in events(jane, "chat.msg")] == ["lost?"]

    async def test_a_lost_answer_to_commit_is_resolved_by_the_journal(self, stage):
        """Written but not answered: after the reopening the retry finds its one effect."""
        host = await enter(stage, "Ana", Role.HOST)
        stage.journal.lose_answers = True
        with pytest.raises(RequestError):
            await stage.actor.perform(host, request("chat.send", "r1", body="once"))
        await until(lambda: len(events(host, "snapshot")) == 2)
        answer = await ask(stage, host, "chat.send", "r1", body="once")
        assert answer["committed"] is True
        kinds = [fact.kind for fact in stage.store.facts]
        assert kinds.count("chat.msg") == 1
        assert [message["body"] for message in events(host, "snapshot")[-1]["chat"]] == ["once"]

    async def test_a_lost_answer_to_the_end_sends_everybody_to_ask_again(self, stage):
        """The end was written: who is still there has no place in the room that is read anew."""
        host = await enter(stage, "Ana", Role.HOST)
        stage.journal.lose_answers = True
        with pytest.raises(RequestError):
            await ask(stage, host, "room.end")
        await until(lambda: wire(host).closed)
        assert wire(host).closed[0] == CloseCode.INTERNAL
        assert stage.actor.room.state.over

    async def test_requests_during_an_outage_are_answered_in_time(self, stage, monkeypatch):
        """While the database is gone a durable request hears so; nothing hangs."""
        monkeypatch.setattr("signaling.tenure.READY_TIMEOUT", 0.05)
        host = await enter(stage, "Ana", Role.HOST)
        stage.journal.down = True
        for number in range(3):
            with pytest.raises(RequestError) as refused:
                await stage.actor.perform(host, request("chat.send", f"r{number}", body="x"))
            assert refused.value.code == "unavailable"
        stage.journal.down = False
        await until(lambda: len(events(host, "snapshot")) == 2)

    async def test_another_owner_ends_this_ones_connections(self, stage):
        """Fenced and owned elsewhere: clients are sent to reconnect, the actor is gone."""
        host = await enter(stage, "Ana", Role.HOST)
        stage.store.epoch += 1
        stage.journal.owned_elsewhere = True
        with pytest.raises(RequestError):
            await stage.actor.perform(host, request("chat.send", body="x"))
        await until(lambda: stage.gone)
        assert wire(host).closed[0] == CloseCode.DRAINING

    async def test_a_client_lost_during_the_outage_is_noticed(self, stage):
        """After the reopening the room knows who is not there any more."""
        await enter(stage, "Ana", Role.HOST)
        jane = await enter(stage, "Jane")
        stage.journal.down = True
        with pytest.raises(RequestError):
            await stage.actor.perform(jane, request("chat.send", body="x"))
        stage.actor.lost(jane)
        stage.journal.down = False
        await until(lambda: stage.adapter.reopens == 2)
        assert not stage.actor.room.participant(jane.participant).connected

    async def test_a_restarted_server_continues_the_sitting(self, stage):
        """A new actor on the same journal: same rows, admission kept, chat there, new epoch."""
        host = await enter(stage, "Ana", Role.HOST)
        jane = await enter(stage, "Jane", lobby=True)
        await ask(stage, host, "lobby.admit", ids=[jane.participant])
        await ask(stage, host, "chat.send", "2", body="kept")
        second = Stage(stage.store)
        await second.actor.open()
        again = await enter(second, "Jane", lobby=True)
        assert again.participant == jane.participant
        assert reply(again, "h")["p"]["state"] == "active"
        assert reply(again, "h")["p"]["epoch"] == 2
        assert [message["body"] for message in events(again, "snapshot")[0]["chat"]] == ["kept"]
        await second.actor.close()

    async def test_a_defect_of_the_room_opens_it_anew(self, stage, monkeypatch):
        """A room that raises its own bug is thrown away and restored, not driven on."""
        host = await enter(stage, "Ana", Role.HOST)
        broken = stage.actor.room

        def bug(*_arguments):
            raise RuntimeError("planted")

        monkeypatch.setattr(type(broken), "handle_timeout", bug)
        stage.actor._timeout()
        monkeypatch.undo()
        await until(lambda: len(events(host, "snapshot")) == 2)
        assert stage.actor.room is not broken

    async def test_a_defect_in_a_delivery_through_the_bus_opens_the_room_anew(self, stage, caplog):
        """As without a bus: loud, and everybody gets a fresh snapshot instead of a gap."""
        stage.actor._open_feed = self.bus_feed
        stage.actor._tenure.throw_away("to have a bus")
        host = await enter(stage, "Ana", Role.HOST)
        await until(lambda: events(host, "snapshot"))
        send, epoch = stage.actor.members.send, events(host)[-1]["ep"]

        def defective(stream, encoded):
            stage.actor.members.send = send
            raise RuntimeError("planted")

        stage.actor.members.send = defective
        await ask(stage, host, "chat.send", body="x")
        await until(lambda: len(events(host, "snapshot")) == 2)
        assert events(host)[-1]["ep"] == epoch + 1
        assert [message["body"] for message in events(host, "snapshot")[-1]["chat"]] == ["x"]
        assert "planted" in caplog.text

    @staticmethod
    async def bus_feed(key, epoch):
        """A feed as with Redis."""
        made = BusFeed(MemoryBus(), key.room_id, epoch)
        await made.start()
        return made

    async def test_who_does_not_come_back_left_when_the_old_node_was_last_alive(self, stage):
        """Attendance after a crash ends with the node's last sign of life, not with the last fact."""
        host = await enter(stage, "Ana", Role.HOST)
        jane = await enter(stage, "Jane")
        stage.store.last_alive = stage.clock.time + 600
        stage.clock.time += 620
        second = Stage(stage.store)
        second.clock.time = stage.clock.time
        await second.actor.open()
        rows = second.actor.room.state.participants
        assert {rows[c.participant].lost_at for c in (host, jane)} == {stage.store.last_alive}
        await second.actor.close()

    async def test_a_long_sitting_is_folded_in_turns_with_other_rooms(self, stage, monkeypatch):
        """Whoever else is due on this node need not wait until all facts are folded."""
        host = await enter(stage, "Ana", Role.HOST)
        for number in range(30):
            stage.clock.time += 1
            await ask(stage, host, "chat.send", f"c{number}", body="x")
        monkeypatch.setattr(actor_module, "AT_ONCE", 3)
        turns = []
        opening = asyncio.create_task(stage.make_actor().open())
        while not opening.done():
            turns.append(None)
            await asyncio.sleep(0)
        await opening
        assert len(turns) > 10


class TestCalendar:
    """What the CRM decides about a room that is open."""

    @pytest.fixture(autouse=True)
    def hasty(self, monkeypatch):
        """The record is looked at every few milliseconds."""
        monkeypatch.setattr("signaling.tenure.LEASE", 0.03)

    async def test_a_cancellation_reaches_who_waits(self, stage):
        """The waiting are told and closed, and the sitting is cancelled, not expired later."""
        jane = await enter(stage, "Jane", lobby=True)
        stage.store.change(status="cancelled")
        await until(lambda: wire(jane).closed)
        assert wire(jane).closed == (CloseCode.ENDED, "cancelled")
        assert events(jane)[-1]["p"] == {"reason": "cancelled"}
        assert [f.body.state for f in stage.store.facts if f.kind == "room.state"][
            -1
        ] == "cancelled"
        with pytest.raises(RequestError) as refused:
            await enter(stage, "Ben")
        assert refused.value.code == "cancelled"

    async def test_a_cancellation_that_came_with_the_start_ends_the_meeting(self, stage):
        """Live cannot become cancelled: the meeting ends, and says why."""
        host = await enter(stage, "Ana", Role.HOST)
        stage.store.change(status="cancelled")
        await until(lambda: wire(host).closed)
        assert wire(host).closed == (CloseCode.ENDED, "cancelled")
        assert stage.store.facts[-1].body.reason == "cancelled"

    async def test_other_times_reach_who_is_in(self, stage):
        """Everybody is told once, and the room lives by the new times."""
        host = await enter(stage, "Ana", Role.HOST)
        ends_at = at(START + 7200.0004567)
        stage.store.change(ends_at=ends_at)
        await until(lambda: events(host, "room.changed"))
        (changed,) = events(host, "room.changed")
        assert changed["patch"]["ends_at"] == stamp(START + 7200)
        assert stage.actor.room.state.ends_at == ends_at.timestamp()
        renewed = stage.journal.renewed
        await until(lambda: stage.journal.renewed > renewed + 3)
        assert len(events(host, "room.changed")) == 1

    async def test_a_room_that_slept_hears_it_first(self, stage):
        """New times are heard before anything falls due by the old ones; so is a cancellation."""
        jane = await enter(stage, "Jane", lobby=True)
        stage.actor.lost(jane)
        moved = START + 7 * 86400
        for changes, state in (
            ({"starts_at": at(moved), "ends_at": at(moved + 3600)}, "lobby_open"),
            ({"status": "cancelled"}, "cancelled"),
        ):
            stage.store.change(**changes)
            later = Stage(stage.store)
            later.clock.time = START + 3600 + 1801
            await later.actor.open()
            assert later.actor.room.state.state == state
            await later.actor.close()


class TestSentBack:
    async def test_who_is_sent_back_hears_nothing_more_of_the_meeting(self, stage):
        """Streams are taken away before the events of the very step that takes them away."""
        host = await enter(stage, "Ana", Role.HOST)
        jane = await enter(stage, "Jane")
        paul = await enter(stage, "Paul")
        await ask(stage, jane, "hand.set", "up", up=True)
        before, told = len(events(jane)), len(events(paul))
        await ask(stage, host, "lobby.back", who=jane.participant)
        assert [frame["t"] for frame in events(paul)[told:]] == ["hands"]
        heard = {frame["st"] for frame in events(jane)[before:]}
        assert heard <= {f"self:{jane.participant}", f"lobby:{jane.participant}", "eph"}
        assert stage.actor.members.streams(jane) == stage.actor.room.streams(jane.participant)


class TestEnding:
    async def test_everybody_is_told_and_closed(self, stage):
        """The last events are the end's; the close code is `ended`; the facts are in."""
        host = await enter(stage, "Ana", Role.HOST)
        jane = await enter(stage, "Jane")
        waiting = await enter(stage, "Ben", lobby=True)
        answer = await ask(stage, host, "room.end")
        assert answer["committed"] is True
        for client in (host, jane, waiting):
            assert wire(client).closed[0] == CloseCode.ENDED
            assert events(client)[-1]["t"] == "ended"
        assert stage.store.facts[-1].kind == "room.ended"

    async def test_the_shell_can_end_it(self, stage):
        """An operator's end needs nobody in the room."""
        host = await enter(stage, "Ana", Role.HOST)
        stage.actor.tell(Finish())
        await until(lambda: wire(host).closed)
        assert wire(host).closed[0] == CloseCode.ENDED

    async def test_leaving_closes_in_good_order(self, stage):
        """The reply, then a normal close."""
        await enter(stage, "Ana", Role.HOST)
        jane = await enter(stage, "Jane")
        assert (await ask(stage, jane, "leave"))["committed"] is True
        assert wire(jane).closed[0] == CloseCode.NORMAL

    async def test_closing_commits_what_waits_and_lets_the_room_go(self):
        """A stop loses nothing that was asked, and releases the lease."""
        stage = Stage()
        await stage.actor.open()
        host = await enter(stage, "Ana", Role.HOST)
        asked = asyncio.create_task(stage.actor.perform(host, request("chat.send", body="last")))
        await asyncio.sleep(0)
        await stage.actor.close()
        await asked
        assert stage.store.facts[-1].kind == "chat.msg"
        assert stage.journal.released == [1]
        assert stage.adapter.closed

    async def test_a_room_nobody_needs_is_idle(self, stage):
        """Idle means no connection and nothing due soon; not before, and not with people in it."""
        host = await enter(stage, "Ana", Role.HOST)
        assert not stage.actor.idle
        stage.journal.gate.clear()
        asked = asyncio.create_task(stage.actor.perform(host, request("room.end")))
        await asyncio.sleep(0)
        stage.actor.lost(host)
        assert not stage.actor.idle, "what waits for its commit may be somebody who comes"
        stage.journal.gate.set()
        await asked
        await until(lambda: stage.actor.idle)
