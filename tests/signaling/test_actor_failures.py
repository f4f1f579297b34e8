"""A failed commit, a defect or a restart opens the room anew, and nothing replied is lost."""

import asyncio

import pytest

from rooms.commands import Restarted
from rooms.policy import Role
from rooms.room import Room
from rooms.timers import HOST_GRACE_S, SHOW_LOST_S
from signaling import actor as actor_module
from signaling.clock import stamp
from signaling.errors import CloseCode, RequestError
from signaling.feed import BusFeed
from storage.bus import MemoryBus
from tests.signaling.fakes import Stage, events, hello, reply, request, wire
from tests.signaling.visits import ask, enter, entering
from tests.support.wait import until


class TestFailures:
    async def test_who_hangs_up_while_the_room_opens_never_came(self, stage):
        """A hello that waits for the room is dropped with its connection: no ghost is let in."""
        await enter(stage, "Ana", Role.HOST)
        stage.journal.down = True
        with pytest.raises(RequestError):
            await enter(stage, "Bo")
        client = stage.client()
        hello(client, token="t")
        coming = asyncio.create_task(
            stage.actor.entrance.enter(client, "h", lambda: entering("Cy"))
        )
        await asyncio.sleep(0)
        client.lost()
        stage.actor.lost(client)
        stage.journal.down = False
        with pytest.raises(RequestError):
            await coming
        assert [row.name for row in stage.actor.room.state.participants.values()] == ["Ana"]

    async def test_who_hangs_up_during_the_commit_is_not_attached(self, stage):
        """The row is there, and lost; no connection that is gone keeps the room awake."""
        await enter(stage, "Ana", Role.HOST)
        stage.journal.gate.clear()
        client = stage.client()
        hello(client, token="t")
        coming = asyncio.create_task(
            stage.actor.entrance.enter(client, "h", lambda: entering("Cy"))
        )
        await until(lambda: stage.actor.room.state.by_identity.get("guest:Cy"))
        client.lost()
        stage.actor.lost(client)
        stage.journal.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await coming
        assert client not in list(stage.actor.members)
        await until(lambda: not stage.actor.room.participant(client.participant).connected)

    async def test_who_was_attached_while_the_process_stood_still_was_not_there(self, stage):
        """As after a kill: attendance ends where the process was last alive, and all come back."""
        host = await enter(stage, "Ana", Role.HOST)
        alive = stage.clock.time
        stage.clock.time += 60
        stage.clock.slept += 60
        with pytest.raises(RequestError) as refused:
            await ask(stage, host, "hand.set", up=True)
        assert refused.value.code == "unavailable"
        await until(lambda: wire(host).closed)
        assert wire(host).closed[0] == CloseCode.INTERNAL
        row = stage.actor.room.participant(host.participant)
        assert (row.connected, row.lost_at) == (False, alive)

    async def test_nothing_falls_due_in_a_room_whose_process_stood_still(self, stage):
        """It is thrown away first: else people were given up who had no chance to come back."""
        await enter(stage, "Ana", Role.HOST)
        room = stage.actor.room
        stage.clock.slept += 60
        stage.actor._writer.timeout()
        await until(lambda: stage.actor._writer.live is not None)
        assert stage.actor.room is not room

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
        stage.actor._writer.timeout()
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

    @pytest.mark.parametrize("by", ["its host's absence", "the calendar"])
    async def test_what_ends_a_meeting_that_nobody_ran_does_not_prolong_attendance(self, stage, by):
        """Its end fell due, or was decided, after the node had died: people were gone by then."""
        host, jane = await enter(stage, "Ana", Role.HOST), await enter(stage, "Jane")
        if by == "the calendar":
            stage.store.change(status="cancelled")
        else:
            await ask(stage, host, "room.policy", patch={"host_gone": "end"})
            stage.actor.lost(host)
            for wait in (SHOW_LOST_S, HOST_GRACE_S):
                stage.clock.time += wait
                stage.actor._writer.timeout()
            await until(lambda: stage.store.facts[-1].kind == "room.state")
            assert stage.store.facts[-1].body.reason == "host_gone"
        stage.clock.time += 5
        alive = stage.store.last_alive = stage.clock.time
        second = Stage(stage.store)
        second.clock.time = alive + 1200
        await second.actor.open()
        assert second.actor.room.state.over
        await second.actor.close()
        closed = {
            f.body.participant: f.body for f in stage.store.facts if f.kind == "interval.closed"
        }
        assert closed[jane.participant].left_at == stamp(alive)

    async def test_a_defect_at_the_opening_opens_the_room_once_more(self, stage, monkeypatch):
        """Whoever asked for the room gets it a moment later; no second attempt runs beside the first."""
        await enter(stage, "Ana", Role.HOST)
        handle, planted = Room.handle, []

        def defective(room, command, now):
            if isinstance(command, Restarted) and not planted:
                planted.append(command)
                raise RuntimeError("planted")
            return handle(room, command, now)

        monkeypatch.setattr(Room, "handle", defective)
        second = Stage(stage.store)
        epoch = stage.store.epoch
        await second.actor.open()
        await enter(second, "Jane")
        assert (len(planted), stage.store.epoch) == (1, epoch + 2)
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
