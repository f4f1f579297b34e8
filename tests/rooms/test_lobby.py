"""The door as hosts work it; cases are numbered over all these files."""

import pytest

from rooms import commands as c
from rooms.errors import Code, RoomError
from rooms.ids import LinkId
from rooms.limits import LOBBY_BODY, LOBBY_KEPT, LOBBY_LINK_KEPT
from rooms.outcome import CloseReason
from rooms.policy import PolicyPatch, Role, Source
from tests.rooms.meeting import Guest, Meeting


def door(*names: str, **changes: object) -> tuple[Meeting, Guest, list[Guest]]:
    """A meeting with a host inside and these people waiting."""
    meeting = Meeting(**changes)
    host = meeting.host()
    waiting = [meeting.guest(name) for name in names]
    for guest in waiting:
        guest.come()
    meeting.wait(2)
    return meeting, host, waiting


def test_admit_all_lets_in_only_those_on_the_seen_list():
    """Case 1: admit-all while a new waiter arrives: only those up to the sent version get in."""
    meeting, host, (jane, paul) = door("Jane", "Paul", capacity=9)
    ver = host.got("lobby.list")[-1].ver
    rita = meeting.guest("Rita")
    rita.come()
    reply = host.ask(c.LobbyAdmit(all=True, ver=ver))
    assert reply["admitted"] == [jane.id, paul.id]
    assert [g.state for g in (jane, paul, rita)] == ["joining", "joining", "waiting"]


def test_admit_all_leaves_out_who_changed_the_name_since():
    """A waiter who renamed after the seen list is not let in under a name nobody saw."""
    _meeting, host, (jane, paul) = door("Jane", "Paul", capacity=9)
    ver = host.got("lobby.list")[-1].ver
    paul.ask(c.NameSet("Ana"))
    assert host.ask(c.LobbyAdmit(all=True, ver=ver))["admitted"] == [jane.id]


def test_two_hosts_decide_the_same_waiter_and_the_first_wins():
    """Case 2: the second decision gets already_decided with the verdict, either way round."""
    meeting, host, (jane, paul) = door("Jane", "Paul", capacity=9)
    other = meeting.host("Ben")
    host.ask(c.LobbyAdmit(ids=[jane.id]))
    refusal = other.refused(c.LobbyDeny(ids=[jane.id]))
    assert (refusal.code, refusal.extras) == (Code.ALREADY_DECIDED, {"verdict": "admitted"})
    other.ask(c.LobbyDeny(ids=[paul.id]))
    refusal = host.refused(c.LobbyAdmit(ids=[paul.id]))
    assert (refusal.code, refusal.extras) == (Code.ALREADY_DECIDED, {"verdict": "denied"})


def test_a_list_of_ids_skips_who_was_decided_meanwhile():
    """Deciding several at once does what can still be done."""
    _meeting, host, (jane, paul) = door("Jane", "Paul", capacity=9)
    host.ask(c.LobbyAdmit(ids=[jane.id]))
    assert host.ask(c.LobbyDeny(ids=[jane.id, paul.id, paul.id]))["denied"] == [paul.id]


@pytest.mark.parametrize(
    "action",
    [
        c.LobbyAdmit(),
        c.LobbyAdmit(all=True),
        c.LobbyAdmit(ids=["x"], all=True, ver=1),
        c.LobbyAdmit(ids=[]),
        c.LobbyDeny(ids=[]),
    ],
)
def test_a_decision_about_nobody_in_particular_is_a_bad_request(action):
    """Neither or both of ids and all, all without a version, no ids: refused."""
    _meeting, host, _waiting = door()
    assert host.refused(action).code is Code.BAD_REQUEST


def test_an_unknown_waiter_is_not_found():
    """An id that is no participant of this room is not_found."""
    _meeting, host, _waiting = door()
    assert host.refused(c.LobbyAdmit(ids=["nobody"])).code is Code.NOT_FOUND


def test_denied_is_told_closed_and_may_knock_again():
    """A denied waiter hears the verdict, is closed for good, and a new knock waits again."""
    _meeting, host, (jane,) = door("Jane")
    jane.forget()
    host.ask(c.LobbyDeny(ids=[jane.id]))
    assert [body.verdict for body in jane.got("lobby.state")] == ["denied"]
    assert jane.closed[-1].reason is CloseReason.DENIED
    assert jane.come().state == "waiting"


def test_denied_with_a_ban_cannot_knock_again():
    """Denial with a ban: the identity and its own link are refused."""
    meeting = Meeting()
    host, jane = meeting.host(), meeting.person("Jane")
    jane.come()
    host.ask(c.LobbyDeny(ids=[jane.id], ban=True))
    assert jane.turned_away().code is Code.FORBIDDEN
    assert meeting.guest("phone", link=jane.enter.link).turned_away().code is Code.FORBIDDEN


def test_turning_the_lobby_on_keeps_who_is_in_and_off_lets_the_queue_in():
    """Case 7: on with people inside: they stay; off with 30 waiting: one step, seats respected."""
    meeting = Meeting(capacity=22, policy={"lobby": "off"})
    host = meeting.host()
    inside = [meeting.guest(f"in-{n}") for n in range(5)]
    for guest in inside:
        guest.come()
    host.ask(c.RoomPolicy(PolicyPatch(lobby="everyone")))
    assert {g.state for g in inside} == {"active"}
    waiting = [meeting.guest(f"out-{n}") for n in range(30)]
    for guest in waiting:
        guest.come()
    before = len(meeting.outcomes)
    host.ask(c.RoomPolicy(PolicyPatch(lobby="off")))
    assert len(meeting.outcomes) == before + 1
    assert [g.state for g in waiting] == ["joining"] * 16 + ["waiting"] * 14
    assert {g.row.waits for g in waiting[16:]} == {"seat"}


def test_an_admission_without_a_seat_waits_for_one_in_order():
    """Admitted at a full room: told so, and seated when somebody leaves."""
    meeting, host, (jane, paul) = door("Jane", "Paul", capacity=2)
    reply = host.ask(c.LobbyAdmit(ids=[jane.id, paul.id]))
    assert reply == {"admitted": [jane.id], "waiting_for_seat": [paul.id]}
    before = len(meeting.journal)
    again = host.ask(c.LobbyAdmit(ids=[paul.id]))
    assert again["waiting_for_seat"] == [paul.id]
    assert len(meeting.journal) == before, "saying it twice states nothing new"
    meeting.wait(2)
    assert paul.got("lobby.state")[-1].waits == "seat"
    jane.arrive()
    jane.ask(c.Leave())
    assert paul.state == "joining"


def test_admitting_who_waits_for_a_seat_only_changes_nothing_on_screens():
    """Whoever passes the lobby and finds no seat may be admitted, too: the list stays the same."""
    meeting = Meeting(capacity=2)
    host, _inside, late = meeting.host(), meeting.member("Jane"), meeting.member("Paul")
    meeting.wait(2)
    host.forget()
    assert host.ask(c.LobbyAdmit(ids=[late.id]))["waiting_for_seat"] == [late.id]
    assert late.row.admitted
    assert host.got("lobby.list") == []


def test_a_kicked_person_admitted_without_a_seat_gets_the_next_one():
    """The word of a host lifts the revocation also while no seat is free."""
    meeting, host, (jane,) = door("Jane", capacity=2)
    host.ask(c.LobbyAdmit(ids=[jane.id]))
    jane.arrive()
    host.ask(c.Remove(jane.id))
    paul = meeting.member("Paul")
    jane.come()
    host.ask(c.LobbyAdmit(ids=[jane.id]))
    assert jane.row.waits == "seat"
    paul.ask(c.Leave())
    assert jane.state == "joining"


def test_sent_back_to_the_waiting_room_hears_nothing_more():
    """Back in the queue: media off, hand down, interval closed, only lobby and self events."""
    meeting, host, (jane,) = door("Jane", policy={"mic": True})
    host.ask(c.LobbyAdmit(ids=[jane.id]))
    jane.ask(c.TrackSet(Source.MIC, on=True))
    jane.ask(c.HandSet(up=True))
    meeting.wait(2)
    jane.forget()
    host.ask(c.LobbyBack(jane.id))
    host.ask(c.ChatSend("she is outside"))
    meeting.wait(2)
    assert jane.state == "waiting"
    assert {e.stream.split(":")[0] for e in jane.seen} <= {"lobby", "self"}
    assert not jane.row.publishes(Source.MIC)
    assert jane.row.hand is None
    assert meeting.bodies("interval.closed")[-1].reason == "host"
    assert jane.refused(c.ChatSend("hello?")).code is Code.FORBIDDEN


def test_sent_back_stays_back_even_where_nobody_waits():
    """Back means until a host's word, also with the lobby off; reconnecting people, too."""
    meeting = Meeting(policy={"lobby": "off"})
    host, jane = meeting.host(), meeting.guest("Jane")
    jane.come()
    jane.drop()
    meeting.wait(10)
    host.ask(c.LobbyBack(jane.id))
    assert (jane.state, jane.row.waits) == ("waiting", "verdict")
    meeting.wait(1)
    assert jane.row.away
    meeting.wait(301)
    assert jane.state == "timed_out"


def test_only_people_who_are_in_and_do_not_lead_are_sent_back():
    """Hosts and co-hosts are not sent back, and nobody who is not in."""
    meeting, host, (jane,) = door("Jane")
    ben = meeting.member("Ben")
    host.ask(c.RoleSet(ben.id, Role.COHOST))
    assert host.refused(c.LobbyBack(ben.id)).code is Code.FORBIDDEN
    assert host.refused(c.LobbyBack(jane.id)).code is Code.NOT_FOUND


def test_talk_through_the_door_reaches_hosts_and_the_one_who_waits():
    """A waiter writes to hosts only; a host to one or to all; others who wait see nothing of it."""
    meeting, host, (jane, paul) = door("Jane", "Paul", capacity=9)
    member = meeting.member("Rita")
    jane.ask(c.LobbySay("I am early"))
    assert [b.text for b in host.got("lobby.message")] == ["I am early"]
    assert [b.text for b in jane.got("lobby.message")] == ["I am early"]
    host.ask(c.LobbySay("One minute", to=jane.id))
    host.ask(c.LobbySay("We start soon"))
    assert [b.text for b in jane.got("lobby.message")][1:] == ["One minute", "We start soon"]
    assert [b.text for b in paul.got("lobby.message")] == ["We start soon"]
    assert member.got("lobby.message") == []
    assert len(meeting.bodies("lobby.message")) == 3, "each line is one fact"
    jane.come()
    texts = [m.text for m in jane.snapshots[-1].messages]
    assert texts == ["I am early", "One minute", "We start soon"]
    paul.come()
    assert [m.text for m in paul.snapshots[-1].messages] == ["We start soon"]
    assert len(meeting.host("Ben").snapshots[-1].lobby.messages) == 3
    meeting.check()


def test_whom_a_waiting_person_names_is_passed_over():
    """A line from outside goes to the hosts, whoever else it would be for."""
    _meeting, host, (jane, paul) = door("Jane", "Paul", capacity=9)
    for to in (paul.id, host.id, "nobody"):
        jane.ask(c.LobbySay("hello", to=to))
    assert [b.to for b in host.got("lobby.message")] == [None] * 3
    assert paul.got("lobby.message") == []


def test_writing_to_somebody_who_does_not_wait_is_refused():
    """The addressee came in or left: recipient_gone, and nothing is stored."""
    meeting, host, (jane,) = door("Jane")
    host.ask(c.LobbyAdmit(ids=[jane.id]))
    assert host.refused(c.LobbySay("hi", to=jane.id)).code is Code.RECIPIENT_GONE
    jane.arrive()
    assert jane.refused(c.LobbySay("hi")).code is Code.FORBIDDEN
    assert meeting.bodies("lobby.message") == []


def test_lines_through_the_door_are_bounded_and_limited():
    """A flood is answered with a retry time; only the newest lines are kept in memory."""
    meeting, host, (jane,) = door("Jane")
    for _ in range(10):
        jane.ask(c.LobbySay("hello"))
    refusal = jane.refused(c.LobbySay("hello"))
    assert refusal.code is Code.RATE
    assert 0 < refusal.extras["retry_ms"] <= 1001
    for _ in range(LOBBY_KEPT + 5):
        meeting.wait(1)
        host.ask(c.LobbySay("soon"))
    assert len(meeting.room.state.lobby_messages) == LOBBY_KEPT
    meeting.check()


def test_a_name_changed_while_waiting_shows_hosts_both_names():
    """Case 16: hosts see the old and the new name; verified stays with the identity."""
    meeting = Meeting()
    host, jane = meeting.host(), meeting.person("Jane")
    jane.come()
    paul = meeting.guest("Paul")
    paul.come()
    meeting.wait(2)
    paul.ask(c.NameSet("Ana"))
    entry = host.got("lobby.list")[-1].add[0]
    assert (entry.name, entry.was, entry.verified) == ("Ana", "Paul", False)
    assert [w.verified for w in host.row and meeting.host("Ben").snapshots[-1].lobby.entries] == [
        True,
        False,
    ]


def test_waiting_people_are_told_when_no_host_is_left():
    """Case 20: the sole admitter goes: those who wait hear it, and hear it when one is back."""
    meeting, host, (jane,) = door("Jane")
    jane.forget()
    host.ask(c.Leave())
    meeting.wait(1)
    assert jane.got("lobby.state")[-1].host == "grace"
    meeting.wait(11)
    assert jane.got("lobby.state")[-1].host == "absent"
    host.come()
    meeting.wait(1)
    assert jane.got("lobby.state")[-1].host == "present"
    assert jane.state == "waiting", "a host's arrival admits nobody by itself"


def test_waiting_people_see_the_new_time_of_a_moved_appointment():
    """Case 25: rescheduled while people wait: the link stays good and the new time is told."""
    meeting, _host, (jane,) = door("Jane")
    jane.forget()
    meeting.wait(2)
    meeting.tell(c.Rescheduled(meeting.config.starts_at + 600, meeting.config.ends_at + 600))
    told = jane.got("lobby.state")[-1]
    assert told.starts_at == "2027-01-15T08:10:00.000+00:00"
    assert jane.state == "waiting"


def test_places_are_told_when_they_change_and_only_then():
    """Those behind hear their new place within a second; nobody hears what they know."""
    _meeting, host, (jane, paul, rita) = door("Jane", "Paul", "Rita", capacity=9)
    for guest in (jane, paul, rita):
        guest.forget()
    host.ask(c.LobbyAdmit(ids=[jane.id]))
    _meeting.wait(1)
    assert [b.place for b in paul.got("lobby.state")] == [1]
    assert [b.place for b in rita.got("lobby.state")] == [2]
    assert [b.verdict for b in jane.got("lobby.state")] == ["admitted"]
    _meeting.wait(5)
    assert len(paul.got("lobby.state")) == 1


def test_a_line_through_the_door_is_short():
    """500 characters, of whoever writes; one more is refused and stored nowhere."""
    meeting, host, (jane,) = door("Jane")
    for writer in (jane, host):
        writer.ask(c.LobbySay("x" * LOBBY_BODY))
        refusal = writer.refused(c.LobbySay("x" * (LOBBY_BODY + 1)))
        assert (refusal.code, refusal.extras) == (Code.TOO_LARGE, {"limit": LOBBY_BODY})
    assert len(meeting.bodies("lobby.message")) == 2


def test_another_device_on_a_link_gives_no_budget_of_its_own():
    """Who leaves and comes back as another guest writes on the link's account, and the room's."""
    meeting, _host, _waiting = door()

    def written(name: str, link: str) -> int:
        guest = meeting.guest(name, link=LinkId(link))
        guest.come()
        for number in range(10):
            try:
                guest.ask(c.LobbySay("hello"))
            except RoomError as refusal:
                assert refusal.code is Code.RATE
                return number
        guest.ask(c.Leave())
        return 10

    assert [written(f"a{n}", "one") for n in range(5)] == [10, 10, 10, 0, 0]
    assert [written(f"b{n}", "two") for n in range(4)] == [10, 10, 10, 0]
    assert written("c", "three") == 0, "the room's budget is spent"
    jane = meeting.person("Jane")
    jane.come()
    assert jane.ask(c.LobbySay("hello")), "who is known by name does not pay for strangers"


def test_lines_of_those_who_left_are_let_go():
    """They are in no snapshot any more, nor what was written to them; all others stay."""
    meeting, host, (jane, paul) = door("Jane", "Paul", capacity=9)
    for guest in (jane, paul):
        guest.ask(c.LobbySay(f"I am {guest.name}"))
        host.ask(c.LobbySay(f"hello {guest.name}", to=guest.id))
    host.ask(c.LobbySay("to all"))
    jane.ask(c.Leave())
    texts = [m.text for m in meeting.host("Ben").snapshots[-1].lobby.messages]
    assert texts == ["I am Paul", "hello Paul", "to all"]
    meeting.check()


def test_one_link_fills_no_list_of_lines():
    """Of one link only the newest lines are kept; those of others stay."""
    meeting, host, guests = door("Jane", "Paul", "Rita", capacity=9)
    host.ask(c.LobbySay("welcome"))
    for number in range(LOBBY_KEPT):
        guests[number % 3].ask(c.LobbySay(f"line {number}"))
        meeting.wait(6)
    texts = [m.text for m in meeting.room.state.lobby_messages]
    newest = [f"line {n}" for n in range(LOBBY_KEPT - LOBBY_LINK_KEPT, LOBBY_KEPT)]
    assert texts == ["welcome", *newest]
    meeting.check()
