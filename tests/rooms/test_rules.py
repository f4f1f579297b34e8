"""Rules that hold by themselves, the absent host above all; cases are numbered over all these files."""

import pytest

from rooms import commands as c
from rooms.policy import Role
from rooms.timers import Timer
from tests.rooms.meeting import Guest, Meeting, stamp


def meeting_with(policy: str, *names: str) -> tuple[Meeting, Guest, list[Guest]]:
    """A training with this host_gone policy, a host, and people in it."""
    meeting = Meeting(kind="training", policy={"host_gone": policy})
    return meeting, meeting.host(), [meeting.member(name) for name in names]


def test_host_drops_for_half_a_minute_and_is_host_again():
    """Case 17: same role on return, nobody promoted, everybody told of the grace with its end."""
    meeting, host, (jane,) = meeting_with("lock", "Jane")
    host.drop()
    meeting.wait(30)
    grace = jane.got("host.presence")[-1]
    assert (grace.state, grace.grace_ms) == ("grace", 120_000)
    assert grace.grace_until == stamp(meeting.now - 30 + 5 + 120)
    assert jane.snapshots[-1].room.grace_until is None
    assert meeting.room.snapshot(jane.id).room.grace_until == grace.grace_until
    host.resume()
    assert (host.row.role, jane.row.role) == (Role.HOST, Role.PARTICIPANT)
    assert jane.got("host.presence")[-1].state == "present"


def test_host_drops_for_three_minutes_and_may_reclaim_from_the_cohost():
    """Case 18: the co-host takes over after the grace; the original reclaims, both are told."""
    meeting, host, (jane, paul) = meeting_with("end", "Jane", "Paul")
    for guest in (paul, jane):
        host.ask(c.RoleSet(guest.id, Role.COHOST))
    host.drop()
    meeting.wait(180)
    assert (jane.row.role, paul.row.role) == (Role.HOST, Role.COHOST), "the longest in takes over"
    assert meeting.room.state.host_presence == "present"
    assert host.come().role is Role.COHOST
    host.ask(c.RoleSet(host.id, Role.HOST))
    assert (host.row.role, jane.row.role) == (Role.HOST, Role.COHOST)
    told = [(b.role, b.reason) for b in jane.got("perm.changed")]
    assert told[-2:] == [(Role.HOST, "role"), (Role.COHOST, "role")]
    assert {b.reason for b in meeting.bodies("participant.role")} >= {"takeover", "reclaim"}
    assert host.got("perm.changed")[-1].role is Role.HOST


def test_host_who_was_demoted_by_transfer_reclaims():
    """Case 18: a host by link takes the meeting back from whoever stands in; both are told."""
    _meeting, host, (jane,) = meeting_with("lock", "Jane")
    host.ask(c.RoleSet(jane.id, Role.HOST))
    host.forget()
    jane.forget()
    host.ask(c.RoleSet(host.id, Role.HOST))
    assert [b.role for b in host.got("perm.changed")] == [Role.HOST]
    assert [(b.role, b.reason) for b in jane.got("perm.changed")] == [(Role.COHOST, "role")]


def test_the_last_host_leaves_on_purpose_and_the_room_ends_by_policy():
    """Case 19: end: ten seconds for a host to come, ten seconds' notice, then over."""
    meeting, host, (jane,) = meeting_with("end", "Jane")
    host.ask(c.Leave())
    assert jane.got("host.presence")[-1].grace_ms == 10_000
    meeting.wait(11)
    assert (meeting.room.state.state, meeting.room.state.end_reason) == ("ending", "host_gone")
    meeting.wait(10)
    assert meeting.bodies("room.ended")[0].reason == "host_gone"


def test_a_host_back_in_time_stops_the_end_for_want_of_one():
    """A host who comes back while the room ends for want of a host keeps it going."""
    meeting, host, _people = meeting_with("end", "Jane")
    host.drop()
    meeting.wait(5 + 121)
    assert meeting.room.state.state == "ending"
    ben = meeting.guest("Ben", role=Role.HOST)
    assert ben.turned_away().code == "ended", "new people are refused while it ends"
    meeting, host, _people = meeting_with("end", "Jane")
    host.drop()
    meeting.wait(5 + 119)
    host.come()
    meeting.wait(60)
    assert meeting.room.state.state == "live"


def test_a_cohost_appearing_while_it_ends_for_want_of_a_host_stops_the_end():
    """A lost co-host is back during the last ten seconds, takes over, and the meeting goes on."""
    meeting, host, (jane,) = meeting_with("end", "Jane")
    host.ask(c.RoleSet(jane.id, Role.COHOST))
    host.drop()
    meeting.wait(110)
    jane.drop()
    meeting.wait(18)
    assert meeting.room.state.state == "ending"
    jane.resume()
    assert (jane.row.role, meeting.room.state.state) == (Role.HOST, "live")


def test_the_last_host_leaves_on_purpose_and_the_room_locks_by_policy():
    """Case 19: lock: people talk on behind a lock for ten minutes, then it is over."""
    meeting, host, (jane,) = meeting_with("lock", "Jane")
    host.ask(c.Leave())
    meeting.wait(11)
    assert meeting.room.state.locked
    assert meeting.guest("Paul").turned_away().code == "closed"
    assert jane.state == "active"
    meeting.wait(600)
    assert meeting.bodies("room.ended")[0].reason == "host_dropped"


def test_a_host_back_behind_the_lock_keeps_the_room_and_opens_it():
    """The ten minutes stop when a host is there again, and whoever comes next gets in."""
    meeting, host, _people = meeting_with("lock", "Jane")
    host.ask(c.Leave())
    meeting.wait(300)
    assert meeting.room.state.locked
    host.come()
    meeting.wait(900)
    assert (meeting.room.state.state, meeting.room.state.locked) == ("live", False)
    assert [body.patch for body in meeting.bodies("room.changed")] == [
        {"locked": True}, {"locked": False},
    ]  # fmt: skip
    meeting.guest("Paul").come()  # raises where it is locked


def test_a_host_back_behind_the_lock_of_a_host_finds_it_locked():
    """Whoever locked the room meant it, whether a host was gone in between or not."""
    meeting, host, _people = meeting_with("lock", "Jane")
    host.ask(c.RoomLock(on=True))
    host.ask(c.Leave())
    meeting.wait(300)
    host.come()
    assert meeting.room.state.locked


def test_a_room_that_was_restored_knows_that_it_locked_itself():
    """The journal says so, also one that was written before anybody asked it."""
    meeting, host, _people = meeting_with("lock", "Jane")
    host.ask(c.Leave())
    meeting.wait(300)
    meeting.room = meeting.restored()
    host.come()
    assert not meeting.room.state.locked


def test_a_room_locked_before_stays_as_it_was():
    """A lock that is on already is not stated again when the host is gone."""
    meeting, host, _people = meeting_with("lock", "Jane")
    host.ask(c.RoomLock(on=True))
    host.ask(c.Leave())
    meeting.wait(11)
    assert len(meeting.bodies("room.changed")) == 1


def test_the_last_host_leaves_on_purpose_and_the_room_continues_by_policy():
    """Case 19: continue: nothing but the notice."""
    meeting, host, (jane,) = meeting_with("continue", "Jane")
    host.ask(c.Leave())
    meeting.wait(1000)
    assert meeting.room.state.host_presence == "absent"
    assert (jane.state, meeting.room.state.locked) == ("active", False)


def test_a_cohost_takes_over_at_once_when_the_host_leaves_on_purpose():
    """With a co-host in there is no gap."""
    meeting, host, (jane,) = meeting_with("end", "Jane")
    host.ask(c.RoleSet(jane.id, Role.COHOST))
    host.ask(c.Leave())
    assert jane.row.role is Role.HOST
    assert [b.state for b in meeting.bodies("host.presence")] == ["present"]


def test_a_cohost_who_comes_back_to_an_absent_host_takes_over():
    """The room found nobody at the end of the grace; the co-host's return fills the gap."""
    meeting, host, (jane,) = meeting_with("continue", "Jane")
    host.ask(c.RoleSet(jane.id, Role.COHOST))
    jane.ask(c.Leave())
    host.ask(c.Leave())
    meeting.wait(60)
    assert meeting.room.state.host_presence == "absent"
    jane.come()
    assert (jane.row.role, meeting.room.state.host_presence) == (Role.HOST, "present")


def test_somebody_back_alone_waits_for_a_host_as_long_as_is_due():
    """The room emptied without a host; a participant's return starts the grace anew, then policy."""
    meeting, host, (jane,) = meeting_with("lock", "Jane")
    jane.ask(c.Leave())
    host.ask(c.Leave())
    meeting.wait(700)
    assert (meeting.room.state.host_presence, meeting.room.state.state) == ("absent", "live")
    assert not meeting.room.state.locked, "an empty room is not locked against those who come"
    jane.come()
    assert jane.snapshots[-1].room.host_presence == "grace"
    meeting.wait(121)
    assert meeting.room.state.locked
    jane.ask(c.Leave())
    jane.come()
    assert meeting.room.state.host_presence == "grace"
    meeting.wait(121 + 601)
    assert meeting.bodies("room.ended")[0].reason == "host_dropped"


def test_without_a_host_ever_there_is_nobody_to_miss():
    """People who may start before the host are not locked in for want of one."""
    meeting = Meeting(policy={"before_host": True, "lobby": "off"})
    meeting.guest("Jane").come()
    meeting.wait(1000)
    assert (meeting.room.state.host_presence, meeting.room.state.locked) == ("absent", False)


def test_a_queue_that_thins_out_in_an_empty_room_keeps_its_end():
    """Who waits and goes moves nothing about when an empty room is over."""
    meeting = Meeting()
    host, jane = meeting.host(), meeting.guest("Jane")
    jane.come()
    host.ask(c.Leave())
    due = meeting.room.state.deadlines.get(Timer.EMPTY)
    meeting.wait(10)
    jane.ask(c.Leave())
    assert meeting.room.state.deadlines.get(Timer.EMPTY) == due


def test_one_of_two_hosts_leaving_changes_nothing():
    """A host is still there."""
    meeting, host, _people = meeting_with("end", "Jane")
    meeting.host("Ben")
    host.ask(c.Leave())
    assert [b.state for b in meeting.bodies("host.presence")] == ["present"]


@pytest.mark.parametrize("kind", ["consultation", "training"])
def test_room_goes_live_with_the_first_host_and_once(kind):
    """Scheduled → lobby_open with the first arrival → live with the first host; started once."""
    meeting = Meeting(kind=kind)
    meeting.guest("Jane").come()
    meeting.wait(5)
    host = meeting.host()
    started = meeting.room.state.started_at
    host.ask(c.RoomEnd(grace_s=10))
    meeting.wait(1)
    host.ask(c.RoomEndUndo())
    assert meeting.room.state.started_at == started == stamp(meeting.now - 1)
    assert [b.state for b in meeting.bodies("room.state")] == [
        "lobby_open",
        "live",
        "ending",
        "live",
    ]


def test_a_seat_freed_by_the_host_lets_in_somebody_who_then_waits_for_one():
    """One step: an absent host's reserved seat frees, a waiter comes in, the grace starts anew."""
    meeting = Meeting(capacity=2, policy={"host_gone": "lock"})
    host, inside = meeting.host(), meeting.member("Jane")
    late = meeting.member("Paul")
    host.ask(c.Leave())
    inside.drop()
    late.drop()
    meeting.wait(70)
    assert meeting.room.state.host_presence == "absent"
    assert not meeting.room.state.occupied()
    before = len(meeting.outcomes)
    late.resume()
    assert late.state == "active"
    assert len(meeting.outcomes) == before + 1
    assert meeting.room.state.host_presence == "grace"
