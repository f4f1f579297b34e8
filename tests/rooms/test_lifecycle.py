"""Lock, policy, the end and its undoing, moving times; cases are numbered over all these files."""

import pytest

from rooms import commands as c
from rooms.errors import Code, RoomError
from rooms.outcome import CloseReason
from rooms.policy import FeaturesPatch, PolicyPatch, Role
from tests.rooms.meeting import START, Guest, Meeting, stamp


@pytest.fixture
def meeting() -> Meeting:
    """A consultation."""
    return Meeting()


@pytest.fixture
def host(meeting: Meeting) -> Guest:
    """Ana, who is in."""
    return meeting.host()


def test_end_for_all_closes_everything_in_order(meeting, host):
    """The end: state, leaves, interval ends, and room.ended as the last fact; all are closed."""
    jane, waiting = meeting.member("Jane"), meeting.guest("Paul")
    waiting.come()
    meeting.wait(600)
    assert host.ask(c.RoomEnd()) == {"ends_in_ms": 0}
    assert meeting.facts()[-1].kind == "room.ended"
    assert meeting.bodies("room.ended") == [
        meeting.facts()[-1].body,
    ]
    assert (meeting.facts()[-1].body.reason, meeting.facts()[-1].by) == ("host", host.id)
    assert {b.seconds for b in meeting.bodies("interval.closed")} == {600.0}
    for guest in (host, jane, waiting):
        assert guest.state == "left"
        assert (guest.closed[-1].reason, guest.closed[-1].detail) == (CloseReason.ENDED, "host")
    assert meeting.room.next_timeout() is None
    meeting.check()


def test_commands_after_the_end_are_refused_and_ending_again_is_fine(meeting, host):
    """Case 22: everything gets ended, a repeated end is ok, also for the shell."""
    jane = meeting.member("Jane")
    host.ask(c.RoomEnd(), rid="end")
    before = len(meeting.journal)
    assert host.ask(c.RoomEnd(), rid="end") == {"ends_in_ms": 0}
    assert host.ask(c.RoomEnd(grace_s=5)) == {"ends_in_ms": 0}
    meeting.tell(c.Finish())
    for guest, action in ((jane, c.RoomEnd()), (jane, c.ChatSend("x")), (host, c.RoomLock(True))):
        assert guest.refused(action).code is Code.ENDED
    with pytest.raises(RoomError) as caught:
        meeting.tell(c.Rescheduled(1.0, 2.0))
    assert caught.value.code is Code.ENDED
    assert len(meeting.journal) == before


def test_the_end_is_undone_within_its_grace(meeting, host):
    """With a grace everybody is told the time left; undo goes on as if nothing was."""
    jane = meeting.member("Jane")
    assert host.ask(c.RoomEnd(grace_s=10)) == {"ends_in_ms": 10000}
    assert jane.got("room.state")[-1].ends_in_ms == 10000
    assert meeting.room.snapshot(jane.id).room.ending_until == stamp(meeting.now + 10)
    meeting.wait(1)
    assert host.ask(c.RoomEnd(grace_s=5)) == {"ends_in_ms": 9000}, "the earlier end stands"
    meeting.wait(8)
    host.ask(c.RoomEndUndo())
    meeting.wait(60)
    assert meeting.room.state.state == "live"
    assert host.refused(c.RoomEndUndo()).code is Code.CONFLICT
    host.ask(c.RoomEnd(grace_s=10))
    meeting.wait(10)
    assert meeting.room.state.state == "ended"


def test_the_books_close_when_the_host_ended_it_not_when_the_grace_ran_out(meeting, host):
    """Attendance and the sitting end at the host's command; who was lost before, left before.

    Whoever leaves in the grace, or closes the page on "The meeting has ended", was there to its end.
    """
    jane, paul, lost = meeting.member("Jane"), meeting.member("Paul"), meeting.member("Lee")
    meeting.wait(100)
    lost.drop()
    meeting.wait(20)
    host.ask(c.RoomEnd(grace_s=10))
    ended_at = stamp(meeting.now)
    meeting.wait(3)
    jane.ask(c.Leave())
    paul.drop()
    meeting.wait(7)
    closed = {b.participant: (b.seconds, b.reason) for b in meeting.bodies("interval.closed")}
    to_the_end = dict.fromkeys((host.id, jane.id, paul.id), (120.0, "ended"))
    assert closed == {**to_the_end, lost.id: (100.0, "lost")}
    ended = meeting.bodies("room.ended")[0]
    assert (ended.ended_at, ended.by, ended.reason) == (ended_at, host.id, "host")
    meeting.check()


def test_after_undo_the_books_go_on(meeting, host):
    """An end that was undone leaves no trace in attendance."""
    meeting.wait(100)
    host.ask(c.RoomEnd(grace_s=10))
    meeting.wait(5)
    host.ask(c.RoomEndUndo())
    meeting.wait(95)
    host.ask(c.RoomEnd())
    assert [b.seconds for b in meeting.bodies("interval.closed")] == [200.0]
    assert meeting.bodies("room.ended")[0].ended_at == stamp(meeting.now)


def test_who_left_in_the_grace_of_an_end_that_was_undone_left_then(meeting, host):
    """Put out, or by a loss: not at the end that was none; who was back in it was never away."""
    out, lost, back = (meeting.member(name) for name in ("Jane", "Lee", "Kim"))
    meeting.wait(100)
    host.ask(c.RoomEnd(grace_s=10))
    meeting.wait(1)
    lost.drop()
    back.drop()
    meeting.wait(2)
    host.ask(c.Remove(out.id))
    meeting.wait(4)
    back.resume()
    host.ask(c.Remove(lost.id))  # who was lost before
    assert meeting.bodies("interval.closed") == []
    host.ask(c.RoomEndUndo())
    closed = {b.participant: (b.seconds, b.reason) for b in meeting.bodies("interval.closed")}
    assert closed == {out.id: (103.0, "host"), lost.id: (101.0, "lost")}
    meeting.check()
    meeting.wait(93)
    host.ask(c.RoomEnd())
    assert [b.seconds for b in meeting.bodies("interval.closed")][2:] == [200.0] * 2


@pytest.mark.parametrize("undone", [True, False])
@pytest.mark.parametrize("before", [0, 4])
def test_who_was_cut_off_and_sent_back_in_the_grace_left_when_they_were_cut_off(
    meeting, host, undone, before
):
    """Though their connection is back, at the door, when it is known what counts."""
    jane = meeting.member("Jane")
    meeting.wait(100 - before)
    if before:
        jane.drop()
    meeting.wait(before)
    host.ask(c.RoomEnd(grace_s=10))
    if not before:
        meeting.wait(1)
        jane.drop()
        meeting.wait(3)
    host.ask(c.LobbyBack(jane.id))
    jane.resume()
    host.ask(c.RoomEndUndo() if undone else c.RoomEnd())
    closed = {b.participant: b.seconds for b in meeting.bodies("interval.closed")}
    assert closed[jane.id] == (96.0 if before else 101.0 if undone else 100.0)
    meeting.check()


def test_an_end_that_nobody_is_left_to_undo_waits_no_longer(meeting, host):
    """When the last who may undo leaves, the meeting ends; a dropped host may come back."""
    meeting.member("Jane")
    host.ask(c.RoomEnd(grace_s=10))
    host.drop()
    assert meeting.room.state.state == "ending"
    host.come()
    host.ask(c.Leave())
    assert meeting.room.state.state == "ended"


def test_ending_now_cuts_a_running_grace_short(meeting, host):
    """room.end without a grace ends what is ending."""
    host.ask(c.RoomEnd(grace_s=10))
    host.ask(c.RoomEnd())
    assert meeting.room.state.state == "ended"


def test_who_may_end_is_policy_for_cohosts_only(meeting, host):
    """A co-host ends only where the policy says so; participants never."""
    jane = meeting.member("Jane")
    assert jane.refused(c.RoomEnd()).extras == {"need": "end"}
    host.ask(c.RoleSet(jane.id, Role.COHOST))
    assert jane.refused(c.RoomEnd()).code is Code.FORBIDDEN
    host.ask(c.RoomPolicy(PolicyPatch(cohost_may_end=True)))
    jane.ask(c.RoomEnd())


def test_cohosts_give_themselves_no_rights(meeting, host):
    """What co-hosts may do is a host's to change, also among other fields; the rest is theirs."""
    jane = meeting.member("Jane")
    host.ask(c.RoleSet(jane.id, Role.COHOST))
    before = meeting.room.state.policy
    for patch in (PolicyPatch(cohost_may_end=True), PolicyPatch(mic=False, cohost_may_end=True)):
        refusal = jane.refused(c.RoomPolicy(patch))
        assert (refusal.code, refusal.extras) == (Code.FORBIDDEN, {"need": "grant_cohost"})
    assert meeting.room.state.policy == before
    jane.ask(c.RoomPolicy(PolicyPatch(mic=False, cohost_may_end=False)))
    assert not meeting.room.state.policy.mic
    host.ask(c.RoomPolicy(PolicyPatch(cohost_may_end=True)))
    assert jane.refused(c.RoomPolicy(PolicyPatch(cohost_may_end=False))).code is Code.FORBIDDEN


def test_lock_and_policy_have_a_revision(meeting, host):
    """A change under a stale revision is a conflict with the newer one; repeats change nothing."""
    rev = host.ask(c.RoomLock(on=True))["rev"]
    assert host.ask(c.RoomLock(on=True)) == {"rev": rev}
    refusal = host.refused(c.RoomPolicy(PolicyPatch(mic=False)), if_rev=rev - 1)
    assert (refusal.code, refusal.extras) == (Code.CONFLICT, {"rev": rev})
    patch = PolicyPatch(mic=False, features=FeaturesPatch(qa=True))
    assert host.ask(c.RoomPolicy(patch), if_rev=rev) == {"rev": rev + 1}
    changed = host.got("room.changed")[-1].patch
    assert (changed["policy"]["mic"], changed["features"]["qa"]) == (False, True)
    assert host.ask(c.RoomPolicy(patch)) == {"rev": rev + 1}
    meeting.check()


def test_a_cancelled_appointment_closes_the_queue(meeting):
    """Case 25: cancelled: people who wait are told and refused from then on; twice is fine."""
    jane = meeting.guest("Jane")
    jane.come()
    meeting.tell(c.Cancelled())
    meeting.tell(c.Cancelled())
    assert (jane.closed[-1].reason, jane.closed[-1].detail) == (CloseReason.ENDED, "cancelled")
    assert jane.turned_away().code is Code.CANCELLED
    assert meeting.bodies("room.ended") == [], "no sitting took place"
    assert [b.state for b in meeting.bodies("room.state")] == ["lobby_open", "cancelled"]


def test_a_live_meeting_is_not_cancelled(meeting, host):
    """Once live it is ended, not cancelled: conflict."""
    with pytest.raises(RoomError) as caught:
        meeting.tell(c.Cancelled())
    assert caught.value.code is Code.CONFLICT
    assert host.state == "active"


def test_who_comes_to_a_meeting_that_was_cancelled_while_it_ran_hears_so(meeting, host):
    """The room ended, and the appointment was cancelled: that is what people need to know."""
    jane = meeting.guest("Jane")
    meeting.tell(c.Finish("cancelled"))
    assert meeting.room.state.over
    assert jane.turned_away().code is Code.CANCELLED


def test_a_moved_appointment_moves_door_and_expiry(meeting):
    """New times reset the timers and are told as ISO stamps; the same times say nothing."""
    meeting.now = START - 10_000
    meeting.tell(c.Rescheduled(START + 7200, START + 9000))
    assert meeting.room.next_timeout() == START + 7200 - 900
    meeting.tell(c.Rescheduled(START + 7200, START + 9000))
    assert len(meeting.bodies("room.changed")) == 1
    assert meeting.bodies("room.changed")[0].patch == {
        "starts_at": stamp(START + 7200),
        "ends_at": stamp(START + 9000),
    }
    meeting.tell(c.Rescheduled(None, None))
    assert meeting.bodies("room.changed")[-1].patch == {"starts_at": None, "ends_at": None}
    assert meeting.room.next_timeout() is None
    meeting.check()


def test_a_draft_that_gets_times_is_scheduled():
    """Times make a draft a room; finishing a draft cancels it."""
    meeting = Meeting(scheduled=False)
    meeting.tell(c.Rescheduled(START, START + 60))
    assert meeting.room.state.state == "scheduled"
    assert meeting.guest("Jane").come().state == "waiting"
    other = Meeting(scheduled=False)
    other.tell(c.Finish("deleted"))
    assert other.room.state.state == "cancelled"


def test_nobody_ever_came_and_the_room_expires(meeting):
    """Never joined: half an hour after the scheduled end it expires, with who still waits."""
    meeting.wait(60 + 3600 + 1799)
    jane = meeting.guest("Jane")
    jane.come()
    meeting.wait(1)
    assert meeting.room.state.state == "expired"
    assert jane.closed[-1].detail == "expired"
    assert jane.turned_away().code is Code.ENDED
    assert meeting.bodies("room.ended") == []
    meeting.check()


def test_a_scheduled_room_expires_even_if_its_door_never_opened():
    """A node that was down over the whole appointment still comes to the same end."""
    meeting = Meeting()
    meeting.carry(meeting.room.handle_timeout(START + 10_000))
    assert meeting.room.state.state == "expired"
    strange = Meeting(opens_before_s=-20_000)
    strange.wait(10_000)
    assert strange.room.state.state == "expired"


def test_an_empty_room_waits_for_the_scheduled_end(meeting, host):
    """Everybody left early: people may come back until half an hour after the end, then over."""
    host.ask(c.Leave())
    meeting.wait(3600 + 1859)
    assert meeting.room.state.state == "live"
    meeting.wait(2)
    assert (meeting.room.state.state, meeting.room.state.end_reason) == ("ended", "empty")


def test_an_empty_unscheduled_room_ends_after_a_minute():
    """Without an appointment an empty room lasts a minute; somebody coming back keeps it."""
    meeting = Meeting(starts_at=None, ends_at=None)
    host = meeting.host()
    host.ask(c.Leave())
    meeting.wait(59)
    host.come()
    meeting.wait(600)
    host.ask(c.Leave())
    meeting.wait(61)
    assert meeting.room.state.end_reason == "empty"


def test_an_empty_room_follows_a_moved_end(meeting, host):
    """Moving the appointment moves the time that an empty room is kept."""
    host.ask(c.Leave())
    meeting.tell(c.Rescheduled(START, START + 60))
    meeting.wait(60 + 60 + 1801)
    assert meeting.room.state.end_reason == "empty"


def test_the_shell_ends_a_meeting_at_once(meeting, host):
    """An operator's end has its reason and no author."""
    meeting.tell(c.Finish("operator"))
    ended = meeting.bodies("room.ended")[0]
    assert (ended.reason, ended.by) == ("operator", None)
    assert host.closed[-1].detail == "operator"
