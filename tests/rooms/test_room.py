"""The room as a shell drives it: retries, restores, timers, bugs; cases are numbered over all these files."""

import msgspec
import pytest

from rooms import commands as c
from rooms import room as room_module
from rooms.errors import Code, CorruptHistory, RoomBug, RoomError
from rooms.events import from_record
from rooms.limits import REPLIES, UNJOURNALED_REPLIES
from rooms.policy import Source
from rooms.room import _ACTIONS, _INPUTS, _TIMERS, Room
from rooms.snapshot import to_wire
from rooms.timers import Timer
from tests.rooms.meeting import START, Counter, Meeting, config, stamp


class Unknown(c.Action, frozen=True):
    """A command from a newer client."""

    method = "poll.launch"


def test_every_command_input_and_timer_has_its_place():
    """The three tables are complete: what can be told or fall due is handled."""
    assert set(_ACTIONS) == set(c.ACTIONS.values())
    assert set(_INPUTS) | {c.Request} == set(c.Input.__args__)
    assert set(_TIMERS) == set(Timer)


def test_an_unknown_command_is_unsupported():
    """A newer client's command is answered, and changes nothing."""
    meeting = Meeting()
    host = meeting.host()
    assert host.refused(Unknown()).code is Code.UNSUPPORTED


def test_an_unknown_participant_is_not_found():
    """Case 90: a request for a row that is not of this room: not_found."""
    meeting = Meeting()
    with pytest.raises(RoomError) as caught:
        meeting.tell(c.Request("nobody", 1, "r1", c.Leave()))
    assert caught.value.code is Code.NOT_FOUND


def test_a_retry_gets_the_same_answer_and_happens_once():
    """The same request id, also over a new connection: one message, the same reply."""
    meeting = Meeting()
    host = meeting.host()
    first = host.ask(c.ChatSend("once"), rid="r1")
    host.drop()
    host.resume()
    assert host.ask(c.ChatSend("once"), rid="r1") == first
    assert meeting.outcomes[-1].repeated
    assert not meeting.outcomes[-1].committed
    assert len(meeting.bodies("chat.msg")) == 1


def test_a_retry_after_a_failover_gets_the_same_answer():
    """Case 23: what was acknowledged survives: the restored room answers the retry from its log."""
    meeting = Meeting()
    host = meeting.host()
    first = host.ask(c.ChatSend("once"), rid="r1")
    meeting.room = meeting.restored()
    assert host.ask(c.ChatSend("once"), rid="r1") == first
    assert len(meeting.bodies("chat.msg")) == 1


def test_a_used_request_id_for_something_else_is_a_conflict():
    """An id names one request for ten minutes; then it may be used again."""
    meeting = Meeting()
    host = meeting.host()
    host.ask(c.ChatSend("one"), rid="r1")
    assert host.refused(c.ChatSend("two"), rid="r1").code is Code.CONFLICT
    meeting.wait(601)
    host.ask(c.ChatSend("two"), rid="r1")


def test_request_ids_belong_to_their_identity():
    """Two people may use the same id."""
    meeting = Meeting()
    host, jane = meeting.host(), meeting.member("Jane")
    host.ask(c.ChatSend("one"), rid="r1")
    jane.ask(c.ChatSend("two"), rid="r1")
    assert len(meeting.bodies("chat.msg")) == 2


def test_a_refusal_is_not_kept():
    """A refused request may be retried under its id and succeed."""
    meeting = Meeting()
    host, jane = meeting.host(), meeting.member("Jane")
    host.ask(c.Mute(Source.MIC, all=True))
    assert jane.refused(c.HandLower(all=True), rid="r1").code is Code.FORBIDDEN
    host.ask(c.RoleSet(jane.id, "cohost"))
    jane.ask(c.HandLower(all=True), rid="r1")


def test_kept_answers_are_bounded():
    """Per identity the newest answers are kept, and those of ten minutes."""
    meeting = Meeting()
    host = meeting.host()
    for number in range(REPLIES + 10):
        host.ask(c.TrackSet(Source.MIC, on=number % 2 == 0), rid=f"t{number}")
        meeting.wait(1.0)
    kept = meeting.room.state.replies.by_identity[host.row.identity]
    assert list(kept) == [f"t{n}" for n in range(10, REPLIES + 10)]
    meeting.wait(601)
    host.ask(c.TrackSet(Source.CAMERA, on=True), rid="last")
    assert list(kept) == ["last"]
    meeting.check()


def test_who_admits_a_whole_training_one_by_one_may_ask_for_each_answer_again():
    """A stalled commit makes a client repeat all of them; the first finds its answer still."""
    meeting = Meeting(capacity=200)
    host = meeting.host()
    guests = [meeting.guest(f"guest-{number}") for number in range(199)]
    for number, guest in enumerate(guests):
        guest.come()
        host.ask(c.LobbyAdmit(ids=[guest.id]), rid=f"t{number}")
    first = guests[0].id
    assert host.ask(c.LobbyAdmit(ids=[first]), rid="t0")["admitted"] == [first]
    meeting.check()


def test_of_answers_that_are_not_journaled_fewer_are_kept():
    """Such a request costs its asker nothing, and the room a fact neither."""
    meeting = Meeting()
    host = meeting.host()
    for number in range(UNJOURNALED_REPLIES + 10):
        host.ask(c.HandSet(up=False), rid=f"t{number}")
        meeting.wait(1.0)
    kept = meeting.room._live.replies.by_identity[host.row.identity]
    assert list(kept) == [f"t{n}" for n in range(10, UNJOURNALED_REPLIES + 10)]


def test_a_page_that_was_read_is_not_kept():
    """Its answer is large, and one that is asked for again shows what is true now."""
    meeting = Meeting()
    host = meeting.host()
    sent = host.ask(c.ChatSend("said too much"))["message"]
    assert [each["body"] for each in host.ask(c.ChatPage(), rid="r1")["messages"]] == [
        "said too much"
    ]
    assert "r1" not in meeting.room._live.replies.by_identity.get(host.row.identity, {})
    host.ask(c.ChatDelete(sent["id"]))
    assert [each["body"] for each in host.ask(c.ChatPage(), rid="r1")["messages"]] == [""]


def test_answers_of_those_who_left_are_let_go():
    """After ten minutes no retry gets them: a crowd that came and went leaves none behind."""
    meeting = Meeting(capacity=50)
    host = meeting.host()
    host.ask(c.ChatSend("early"))
    for number in range(20):
        guest = meeting.member(f"guest-{number}")
        guest.ask(c.ChatSend("hello"))
        guest.ask(c.NameSet(guest.name))
        guest.ask(c.Leave())
    meeting.wait(300)
    host.ask(c.ChatSend("late"))
    meeting.wait(301)
    jane = meeting.member("Jane")
    jane.ask(c.ChatSend("hello"))
    jane.ask(c.NameSet("Jane"))
    answered = [host.row.identity, jane.row.identity]
    assert list(meeting.room.state.replies.by_identity) == answered
    assert list(meeting.room._live.replies.by_identity) == answered[1:]
    meeting.check()


@pytest.mark.parametrize(
    ("lost_at", "seconds"), [(None, 0.0), (80.0, 80.0), (-5.0, 0.0), (1e9, 130.0)]
)
def test_a_node_crash_loses_no_acknowledged_fact(lost_at, seconds):
    """Case 23: restored, told of the restart: rows, chat and hands are back with who comes back.

    Who does not come back was in until the old node was last known to live, and never longer
    than the room's own time.
    """
    meeting = Meeting()
    host, jane = meeting.host(), meeting.member("Jane")
    host.ask(c.ChatSend("kept"))
    jane.ask(c.HandSet(up=True))
    began = meeting.now
    meeting.room = meeting.restored()
    meeting.now += 130
    meeting.subscriptions.clear()
    meeting.tell(c.Restarted(None if lost_at is None else began + lost_at))
    meeting.wait(30)
    assert jane.state == "reconnecting", "the window to come back runs from the restart"
    jane.resume()
    assert [m.body for m in jane.snapshots[-1].chat] == ["kept"]
    assert jane.snapshots[-1].hands == [jane.id]
    meeting.wait(60)
    assert host.state == "left"
    assert [b.seconds for b in meeting.bodies("interval.closed")] == [seconds] * 2
    meeting.check()


def test_a_restored_room_starts_from_what_the_sitting_started_from():
    """The row of now has a policy and times that came later; they do not reach back."""
    meeting = Meeting(policy={"host_gone": "lock"})
    host = meeting.host()
    host.ask(c.RoomPolicy(c.PolicyPatch(host_gone="continue", mic=False)))
    meeting.tell(c.Rescheduled(START + 60, START + 9000))
    assert meeting.recorded() != meeting.config
    assert meeting.restored().state.config == meeting.config
    meeting.check()


def test_a_journal_from_before_the_first_fact_said_so_still_folds():
    """Without `room.opened` the row's configuration stands in for it."""
    meeting = Meeting()
    meeting.host()
    first, *others = meeting.facts()
    assert first.kind == "room.opened"
    old = Room.restore(meeting.config, others, meeting.ids, stamp)
    assert old.seq == meeting.room.seq - 1
    assert old.state.participants.keys() == meeting.room.state.participants.keys()


def test_whoever_tries_again_last_after_a_crash_has_no_gap_that_others_have_not():
    """A client waits up to 10 s between two tries; the outage was the same for all."""
    meeting = Meeting()
    host, jane = meeting.host(), meeting.member("Jane")
    meeting.room = meeting.restored()
    meeting.now += 40
    meeting.tell(c.Restarted(None))
    meeting.wait(1)
    host.resume()
    meeting.wait(12)
    jane.resume()
    meeting.wait(60)
    assert (host.state, jane.state) == ("active", "active")
    assert meeting.bodies("interval.closed") == []
    meeting.check()


@pytest.mark.parametrize(("away", "intervals"), [(60, 0), (61, 2)])
def test_a_room_that_was_away_for_more_than_a_minute_leaves_a_gap_for_everybody(away, intervals):
    """A server that slept for an hour books no hour of attendance, however fast people are back."""
    meeting = Meeting()
    host, jane = meeting.host(), meeting.member("Jane")
    alive = meeting.now
    meeting.room = meeting.restored()
    meeting.now += away
    meeting.tell(c.Restarted(alive))
    meeting.wait(0.5)
    host.resume()
    jane.resume()
    meeting.wait(60)
    assert (host.state, jane.state) == ("active", "active")
    assert [b.seconds for b in meeting.bodies("interval.closed")] == [0.0] * intervals
    assert len(meeting.bodies("interval.opened")) == 2 + intervals
    meeting.check()


def test_restart_tells_nothing_of_people_who_were_out():
    """Rows without a connection are not lost a second time."""
    meeting = Meeting()
    host = meeting.host()
    host.drop()
    before = len(meeting.journal)
    meeting.tell(c.Restarted())
    assert len(meeting.journal) == before


def test_countdowns_hold_for_a_client_whose_clock_is_wrong():
    """Case 24: every deadline told has the time left or an end beside the event's own stamp."""
    meeting = Meeting()
    host, jane = meeting.host(), meeting.member("Jane")
    host.ask(c.RoomEnd(grace_s=10))
    event = next(e for e in jane.seen if e.kind == "room.state")
    assert (event.body.ends_in_ms, event.at) == (10_000, stamp(meeting.now))


def test_time_never_goes_back():
    """An earlier time than before counts as that one; stamps stay in order."""
    meeting = Meeting()
    host = meeting.host()
    meeting.now -= 100
    host.ask(c.ChatSend("still now"))
    assert meeting.facts()[-1].now == meeting.facts()[0].now


def test_the_same_inputs_give_the_same_events():
    """Deterministic: two rooms with the same ids and times journal the same bytes."""

    def journal() -> list:
        meeting = Meeting(kind="training")
        host, jane = meeting.host(), meeting.member("Jane")
        jane.ask(c.HandSet(up=True))
        meeting.wait(3)
        host.ask(c.ChatSend("hi"))
        jane.drop()
        meeting.wait(90)
        return meeting.journal

    assert journal() == journal()


def test_a_torn_journal_is_refused_loudly():
    """Facts that do not fold (a gap, an unknown kind, foreign fields) are corrupt history."""
    meeting = Meeting()
    meeting.host()
    facts = meeting.facts()
    with pytest.raises(CorruptHistory, match="fact 2"):
        Room.restore(config(), [facts[0], *facts[2:]], Counter(), stamp)
    for kind, record in (
        ("roster.delta", {"p": {}, "by": None, "now": 1.0}),
        ("chat.msg", {"p": {"id": 1}, "by": None, "now": 1.0}),
        ("chat.msg", {}),
    ):
        with pytest.raises(CorruptHistory):
            from_record(kind, "room", "t", record)


def test_saved_bytes_stand_in_for_the_facts_before_them():
    """A save in the middle and the facts after it give the same room; junk is refused."""
    meeting = Meeting()
    host = meeting.host()
    saved, before = meeting.room.save(), len(meeting.journal)
    host.ask(c.ChatSend("later"))
    room = Room.restore(saved, meeting.facts()[before:], meeting.ids, stamp)
    assert room.state == meeting.room.state
    with pytest.raises(msgspec.DecodeError):
        Room.restore(b"\xc1", [], meeting.ids, stamp)


def test_a_timer_that_does_not_stop_is_a_bug(monkeypatch):
    """A due timer whose firing changes nothing would spin for ever: raised instead."""
    meeting = Meeting()
    meeting.wait(0)
    monkeypatch.setitem(room_module._TIMERS, Timer.OPEN_LOBBY, lambda step, key: None)
    fresh = Meeting()
    fresh.now -= 10_000
    with pytest.raises(RoomBug, match="open_lobby"):
        fresh.room.handle_timeout(fresh.now + 10_000)


def test_a_refusal_after_a_fact_is_a_bug(monkeypatch):
    """Deciding code that states a fact and then refuses has torn the room: raised, not answered."""
    meeting = Meeting()
    host = meeting.host()

    def torn(step, actor, action):
        step.fact(meeting.facts()[-1].body, "room")
        raise RoomError(Code.FORBIDDEN, "too late")

    monkeypatch.setitem(room_module._ACTIONS, c.HandSet, torn)
    with pytest.raises(RoomBug, match="after it had stated facts"):
        meeting.tell(c.Request(host.id, host.conn, "r9", c.HandSet(up=True)))


def test_asking_about_a_stranger_is_the_shells_bug():
    """Snapshot and streams are for rows of this room; a row that has left has neither."""
    meeting = Meeting()
    with pytest.raises(RoomBug):
        meeting.room.snapshot("nobody")
    with pytest.raises(RoomBug):
        meeting.room.streams("nobody")
    jane = meeting.guest("Jane")
    jane.come()
    jane.ask(c.Leave())
    assert meeting.room.streams(jane.id) == ()
    with pytest.raises(RoomBug, match="left"):
        meeting.room.snapshot(jane.id)
    assert meeting.room.participant(jane.id) is jane.row
    assert meeting.room.participant("nobody") is None


def test_the_door_says_little_and_snapshots_are_plain():
    """Outside there is a title, times and states; to_wire gives JSON's values."""
    meeting = Meeting()
    jane = meeting.guest("Jane")
    jane.come()
    assert meeting.room.door() == jane.snapshots[-1].room
    plain = to_wire(jane.snapshots[-1])
    assert set(plain) == {"room", "me", "lobby", "messages"}
    assert set(plain["room"]) == {
        "title",
        "type",
        "state",
        "starts_at",
        "ends_at",
        "host_presence",
    }
    host = meeting.host()
    plain = to_wire(host.snapshots[-1])
    assert plain["lobby"]["list"][0]["name"] == "Jane"
    assert msgspec.json.decode(msgspec.json.encode(plain)) == plain
