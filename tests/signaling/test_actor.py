"""One room's writer: who comes in, replies after the commit, superseding, the end."""

import asyncio
import contextlib
from datetime import UTC, datetime

import msgspec
import pytest

from rooms.commands import Finish
from rooms.limits import CHAT_BODY, LOBBY_BODY, NAME, WAITING
from rooms.policy import Role
from rooms.timers import ADMITTED_S, AFTER_END_S, HOST_LEFT_GRACE_S, PLACE_S, RECONNECT_S
from signaling.actor import SOON
from signaling.client import Client
from signaling.connection import Connection
from signaling.envelope import CODECS, Event, Ping
from signaling.errors import CloseCode, RequestError
from signaling.outbox import MAX_BYTES
from tests.signaling.fakes import FACE, START, SlowWire, Stage, events, hello, reply, request, wire
from tests.signaling.visits import ask, enter, entering
from tests.support.wait import until


async def pass_time(stage, seconds):
    """Let time pass, and the room's timers fire."""
    for _ in range(int(seconds)):
        stage.clock.time += 1
        stage.actor._writer.timeout()
    await stage.actor._tenure.current.committer.flush()


@contextlib.asynccontextmanager
async def refused_when_its_turn_comes(stage, client, code):
    """Something of the client's waits for its turn while the block runs, and is refused then."""
    stage.adapter.turns.clear()
    asked = asyncio.create_task(stage.actor.perform(client, request("view.set", layout="grid")))
    await asyncio.sleep(0)
    yield
    stage.adapter.turns.set()
    with pytest.raises(RequestError, match=code):
        await asked


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
        await stage.actor.entrance.enter(again, "h", lambda: entering("Ana", Role.HOST))
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

    async def test_what_the_old_one_waits_for_is_stale_when_its_turn_comes(self, stage):
        """Its offer would else replace the transport of the page that took over."""
        old = await enter(stage, "Ana", Role.HOST)
        async with refused_when_its_turn_comes(stage, old, "stale_epoch"):
            await enter(stage, "Ana", Role.HOST)

    async def test_what_waits_while_the_room_is_lost_is_not_done(self, stage):
        """Another node has the room by then: nothing of it may be opened here."""
        host = await enter(stage, "Ana", Role.HOST)
        async with refused_when_its_turn_comes(stage, host, "unavailable"):
            await stage.actor.close()

    async def test_what_waits_for_who_hung_up_is_not_done(self, stage):
        """Their connection's loss was told before: nobody would close what is opened for them now."""
        host = await enter(stage, "Ana", Role.HOST)
        async with refused_when_its_turn_comes(stage, host, "stale_epoch"):
            host.lost()

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

    async def test_a_room_waits_for_nothing_later_than_soon(self):
        """All left: it is kept for the notice of the end, not for what is half an hour ahead."""
        stage = Stage(ends_at=datetime.fromtimestamp(START + 60, UTC))
        await stage.actor.open()
        host = await enter(stage, "Ana", Role.HOST)
        await ask(stage, host, "leave")
        stage.actor.lost(host)
        assert not stage.actor.idle, "the notice that no host is in"
        await pass_time(stage, HOST_LEFT_GRACE_S)
        assert stage.actor.room.next_timeout() == START + 60 + AFTER_END_S
        assert stage.actor.idle
        stage.clock.time = START + 60 + AFTER_END_S - SOON
        assert not stage.actor.idle, "what is due soon is waited for"
        stage.clock.time -= 1
        assert stage.actor.idle
        await stage.actor.close()

    @pytest.mark.parametrize(
        ("who", "window"),
        [("lost", RECONNECT_S), ("waiting", PLACE_S), ("admitted", ADMITTED_S)],
    )
    async def test_a_room_is_kept_for_who_may_come_back(self, stage, monkeypatch, who, window):
        """As long as anybody's place is, however little is soon; then there is no need of it."""
        monkeypatch.setattr("signaling.actor.SOON", 0.0)
        host = await enter(stage, "Ana", Role.HOST)
        jane = await enter(stage, "Jane", lobby=who != "lost")
        if who == "admitted":
            await ask(stage, host, "lobby.admit", "a", ids=[jane.participant])
        await ask(stage, host, "leave")
        stage.actor.lost(host)
        stage.actor.lost(jane)
        for _ in range(int(window)):
            assert not stage.actor.idle
            await pass_time(stage, 1)
        assert stage.actor.idle
