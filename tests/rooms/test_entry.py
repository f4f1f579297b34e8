"""Coming and going, scenario by scenario; cases are numbered over all these files."""

import msgspec
import pytest

from rooms import commands as c
from rooms.errors import Code, RoomError
from rooms.ids import LinkId, ParticipantId
from rooms.limits import GUEST_ROWS, LINK_ROWS, LINK_WAITING, ROWS, WAITING
from rooms.outcome import CloseReason
from rooms.participant import Participant
from rooms.policy import IdentityKind, Kind, Role, Source
from rooms.states import ParticipantState
from tests.rooms.meeting import START, Meeting, stamp


def test_two_joins_race_for_the_last_seat_and_one_waits():
    """Case 11: of two joins for the last seat exactly one is active, the other waits for a seat."""
    meeting = Meeting(capacity=2)
    meeting.host()
    first, second = (meeting.guest(name, lobby=False) for name in ("Jane", "Paul"))
    assert first.come().state == "active"
    entered = second.come()
    assert (entered.state, entered.place, second.row.waits) == ("waiting", 1, "seat")


def test_a_full_room_has_a_reserved_seat_for_the_host():
    """Case 9: a host arriving at a room full of participants gets the reserved seat."""
    meeting = Meeting(capacity=3, policy={"before_host": True})
    people = [meeting.member(name) for name in ("Jane", "Paul", "Rita")]
    assert [p.state for p in people] == ["active", "active", "waiting"]
    assert meeting.host().state == "active"


def test_a_host_waits_when_even_the_reserved_seats_are_taken():
    """More hosts than seats: the last one waits for a seat like anybody."""
    meeting = Meeting(capacity=2)
    meeting.host("Ana")
    meeting.host("Ben")
    late = meeting.host("Cleo")
    assert (late.state, late.row.waits) == ("waiting", "seat")


def test_a_freed_seat_goes_to_the_first_in_the_queue():
    """Case 10: when a seat frees, the first waiter by arrival gets it, whoever polls first."""
    meeting = Meeting(capacity=2)
    meeting.host()
    inside = meeting.member("Jane")
    first, second = meeting.member("Paul"), meeting.member("Rita")
    inside.ask(c.Leave())
    assert (first.state, second.state) == ("joining", "waiting")


def test_a_freed_seat_skips_who_is_not_there():
    """A seat is not held for a waiter whose connection is out; their place is kept."""
    meeting = Meeting(capacity=2)
    meeting.host()
    inside = meeting.member("Jane")
    first, second = meeting.member("Paul"), meeting.member("Rita")
    first.drop()
    inside.ask(c.Leave())
    assert (first.state, second.state) == ("waiting", "joining")
    second.ask(c.Leave())
    assert first.come().state == "active"


def test_recorder_and_captioner_are_never_counted():
    """Case 12: services take no seat, do not wait, and are not people in the count."""
    meeting = Meeting(capacity=2)
    for kind in (Kind.RECORDER, Kind.BOT, Kind.SERVICE):
        service = meeting.guest(kind.value, kind=kind, identity_kind=IdentityKind.SERVICE)
        assert service.come().state == "active"
    meeting.host()
    assert meeting.member("Jane").state == "active"
    assert meeting.room.state.count() == 2
    assert meeting.bodies("interval.opened")[0].participant != service.id


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"name": "a\u202eb"}, "a name is printable"),
        ({"name": "x" * 81}, "a name is short"),
        ({"hidden": True}, "a person is never hidden"),
        ({"identity_kind": IdentityKind.SERVICE}, "a person has a person's identity"),
        ({"kind": Kind.BOT}, "a bot has a service identity"),
        (
            {"kind": Kind.BOT, "identity_kind": IdentityKind.SERVICE, "role": Role.COHOST},
            "a bot does not lead",
        ),
    ],
)
def test_an_impossible_arrival_is_refused(fields, why):
    """What cannot be (a hidden person, a leading bot) is refused before a row is made."""
    meeting = Meeting()
    guest = meeting.guest(fields.pop("name", "X"), **fields)
    assert guest.turned_away().code is Code.BAD_REQUEST, why
    assert meeting.journal == []


def test_a_second_tab_supersedes_the_first_which_cannot_fight_back():
    """Case 13: the newer connection wins; the older is closed as superseded, the row stays."""
    meeting = Meeting()
    host = meeting.host()
    row, old = host.id, host.conn
    host.ask(c.TrackSet(Source.MIC, on=True))
    host.ask(c.TrackSet(Source.CAMERA, on=True))
    host.ask(c.TrackSet(Source.CAMERA, on=False))
    entered = host.come()
    assert (entered.participant, entered.new, entered.conn_epoch) == (row, False, old + 1)
    assert [(close.conn_epoch, close.reason) for close in host.closed] == [
        (old, CloseReason.SUPERSEDED)
    ]
    assert not host.row.publishes(Source.MIC), "the new page publishes nothing yet"
    assert len(meeting.bodies("interval.opened")) == 1


def test_a_late_close_of_the_old_socket_is_ignored():
    """Case 14: the old socket's close, reported after the new connect, changes nothing."""
    meeting = Meeting()
    host = meeting.host()
    old = host.conn
    host.come()
    before = len(meeting.journal)
    meeting.tell(c.Disconnected(host.id, old))
    assert host.row.connected
    assert len(meeting.journal) == before


def test_a_late_command_of_the_old_socket_is_stale():
    """Case 15: what the old socket still sends is refused as stale_epoch."""
    meeting = Meeting()
    host = meeting.host()
    old = host.conn
    host.come()
    host.conn = old
    assert host.refused(c.HandSet(up=True)).code is Code.STALE_EPOCH


def test_a_command_after_the_loss_of_its_connection_is_stale():
    """A connection that was given up cannot ask for anything any more."""
    meeting = Meeting()
    host = meeting.host()
    host.drop()
    assert host.refused(c.HandSet(up=True)).code is Code.STALE_EPOCH


def test_inputs_about_nobody_change_nothing():
    """Late reports about rows that never were are ignored."""
    meeting = Meeting()
    meeting.tell(c.Disconnected("nobody", 1))
    meeting.tell(c.Arrived("nobody", 1))
    assert meeting.journal == []


def test_left_and_rejoined_is_direct_and_the_same_row():
    """Case 6: admitted, left, back in the same sitting: straight in, on the same row."""
    meeting = Meeting()
    host, jane = meeting.host(), meeting.guest("Jane")
    jane.come()
    host.ask(c.LobbyAdmit(ids=[jane.id]))
    jane.arrive()
    row = jane.id
    jane.ask(c.Leave())
    assert (jane.state, jane.closed[-1].reason) == ("left", CloseReason.LEFT)
    meeting.wait(30)
    entered = jane.come()
    assert (entered.state, entered.participant) == ("active", row)


def test_removed_and_rejoined_waits_whatever_the_policy():
    """Case 6: a kick revokes the admission, also where nobody else waits."""
    meeting = Meeting(policy={"lobby": "off"})
    host, jane = meeting.host(), meeting.guest("Jane")
    jane.come()
    host.ask(c.Remove(jane.id))
    assert jane.closed[-1].reason is CloseReason.REMOVED
    with pytest.raises(RoomError) as caught:
        jane.resume()
    assert caught.value.code is Code.CLOSED
    assert jane.come().state == "waiting"
    host.ask(c.LobbyAdmit(ids=[jane.id]))
    jane.arrive()
    jane.ask(c.Leave())
    assert jane.come().state == "active", "a new admission counts again"


def test_banned_person_is_refused_from_another_device():
    """Case 6: after a ban the person's own link lets no device in; a shared link still does."""
    meeting = Meeting(policy={"lobby": "off"})
    host, jane = meeting.host(), meeting.person("Jane")
    jane.come()
    host.ask(c.Remove(jane.id, ban=True))
    assert jane.turned_away().code is Code.FORBIDDEN
    with pytest.raises(RoomError) as caught:
        jane.resume()
    assert caught.value.code is Code.FORBIDDEN
    phone = meeting.guest("Jane's phone", link=jane.enter.link)
    assert phone.turned_away().code is Code.FORBIDDEN
    paul, rita = meeting.guest("Paul"), meeting.guest("Rita")
    paul.come()
    host.ask(c.Remove(paul.id, ban=True))
    assert paul.turned_away().code is Code.FORBIDDEN
    assert rita.come().state == "active", "the guests' shared link is not Paul's alone"


def test_a_ban_leaves_the_other_device_of_the_link_that_is_in():
    """A banned link lets nobody new in; who is in by it stays until removed."""
    meeting = Meeting(policy={"lobby": "off"})
    host, jane = meeting.host(), meeting.person("Jane")
    tablet = meeting.guest("tablet", link=jane.enter.link)
    jane.come()
    tablet.come()
    host.ask(c.Remove(jane.id, ban=True))
    assert tablet.come().state == "active"


def test_admitted_but_gone_before_joining_holds_no_seat_after_a_minute():
    """Case 5: an admission that is not taken up expires after 60 s and frees its seat."""
    meeting = Meeting(capacity=2)
    host, jane = meeting.host(), meeting.guest("Jane")
    jane.come()
    jane.drop()
    host.ask(c.LobbyAdmit(ids=[jane.id]))
    assert jane.state == "admitted"
    paul = meeting.member("Paul")
    assert paul.state == "waiting"
    meeting.wait(59)
    assert jane.state == "admitted"
    meeting.wait(2)
    assert (jane.state, paul.state) == ("timed_out", "joining")
    assert meeting.bodies("interval.opened")[-1].participant == host.id
    paul.ask(c.Leave())
    assert jane.come().state == "active", "the admission itself is kept"


def test_a_client_that_never_answers_its_admission_is_closed():
    """An admitted client without a sign of life for a minute is closed, not counted as present."""
    meeting = Meeting()
    host, jane = meeting.host(), meeting.guest("Jane")
    jane.come()
    host.ask(c.LobbyAdmit(ids=[jane.id]))
    assert jane.state == "joining"
    meeting.wait(61)
    assert (jane.state, jane.closed[-1].detail) == ("timed_out", "expired")


def test_a_client_lost_while_joining_has_the_same_minute():
    """A connection that goes before the first sign of life leaves the admission's own timer."""
    meeting = Meeting()
    host, jane = meeting.host(), meeting.guest("Jane")
    jane.come()
    host.ask(c.LobbyAdmit(ids=[jane.id]))
    meeting.wait(50)
    jane.drop()
    meeting.wait(9)
    assert jane.state == "joining"
    meeting.wait(2)
    assert (jane.state, jane.closed) == ("timed_out", [])


def test_two_lost_waiters_are_delisted_and_hosts_are_told_once():
    """A queue entry that is out already is not told as gone again."""
    meeting = Meeting()
    host, jane = meeting.host(), meeting.guest("Jane")
    jane.come()
    jane.drop()
    meeting.wait(6)
    assert host.got("lobby.list")[-1].del_ == [jane.id]
    told = len(host.got("lobby.list"))
    meeting.wait(300)
    assert jane.state == "timed_out"
    assert len(host.got("lobby.list")) == told


def test_any_request_is_a_sign_of_life():
    """The first request after the admission makes the participant active."""
    meeting = Meeting()
    host, jane = meeting.host(), meeting.guest("Jane")
    jane.come()
    host.ask(c.LobbyAdmit(ids=[jane.id]))
    jane.ask(c.ChatSend("here I am"))
    assert jane.state == "active"


def test_reconnecting_while_admitted_or_joining_arrives():
    """A new connection is a sign of life itself."""
    meeting = Meeting()
    host, jane, paul = meeting.host(), meeting.guest("Jane"), meeting.guest("Paul")
    jane.come()
    paul.come()
    jane.drop()
    host.ask(c.LobbyAdmit(ids=[jane.id, paul.id]))
    assert (jane.state, paul.state) == ("admitted", "joining")
    assert jane.resume().state == "active"
    assert paul.resume().state == "active"


def test_a_waiter_who_returns_in_time_keeps_the_place():
    """Case 3: the socket drops and is back after 20 s: same place in the queue."""
    meeting = Meeting()
    meeting.host()
    first, second = meeting.guest("Jane"), meeting.guest("Paul")
    first.come()
    second.come()
    first.drop()
    meeting.wait(20)
    assert first.row.away
    assert first.resume().place == 1
    assert not first.row.away


def test_a_waiter_who_returns_too_late_is_last():
    """Case 4: back after six minutes: at the end of the queue."""
    meeting = Meeting()
    meeting.host()
    first, second = meeting.guest("Jane"), meeting.guest("Paul")
    first.come()
    second.come()
    first.drop()
    meeting.wait(360)
    assert first.state == "timed_out"
    assert first.resume().place == 2


def test_a_short_loss_is_shown_to_nobody():
    """Under five seconds a lost connection leaves no trace in roster and attendance."""
    meeting = Meeting()
    host = meeting.host()
    jane = meeting.member("Jane")
    meeting.wait(2)
    host.forget()
    jane.drop()
    meeting.wait(4)
    jane.resume()
    meeting.wait(10)
    assert jane.state == "active"
    assert host.seen == []
    assert meeting.bodies("interval.closed") == []


def test_seven_short_drops_are_seven_gaps_of_one_person():
    """Case 89: attendance with 7 drops: one row, 8 intervals, exact seconds, gaps from the loss."""
    meeting = Meeting()
    meeting.host()
    jane = meeting.member("Jane")
    for _ in range(7):
        meeting.wait(100)
        jane.drop()
        meeting.wait(20)
        jane.resume()
    meeting.wait(100)
    jane.ask(c.Leave())
    closed = [b for b in meeting.bodies("interval.closed") if b.participant == jane.id]
    assert [b.seconds for b in closed] == [100.0] * 8
    assert {b.reason for b in closed[:-1]} == {"lost"}
    assert closed[0].left_at == stamp(START - 60 + 100), "the gap begins at the loss"
    assert len(meeting.bodies("participant.entered")) == 2
    meeting.check()


def test_a_lost_participant_is_given_up_after_a_minute():
    """Shown as reconnecting after 5 s, given up after 60 s, and back on the same row later."""
    meeting = Meeting()
    meeting.host()
    jane = meeting.member("Jane")
    jane.drop()
    meeting.wait(6)
    assert jane.state == "reconnecting"
    meeting.wait(55)
    assert jane.state == "left"
    assert jane.resume().state == "active"


def test_the_door_opens_a_quarter_of_an_hour_early():
    """Too early is refused with the time; hosts may come at any time and open the room."""
    meeting = Meeting()
    meeting.now = START - 1000
    jane = meeting.guest("Jane")
    refusal = jane.turned_away()
    assert refusal.code is Code.EARLY
    assert refusal.extras["opens_at"] == stamp(START - 900)
    meeting.wait(100)
    assert meeting.room.state.state == "lobby_open"
    assert jane.come().state == "waiting"
    early = Meeting()
    early.now = START - 5000
    early.host()
    assert early.room.state.state == "live"
    assert early.guest("Jane").come().state == "waiting"


def test_a_draft_lets_nobody_in():
    """A room that is not scheduled yet refuses everybody, hosts too."""
    meeting = Meeting(scheduled=False)
    host = meeting.guest("Ana", identity_kind=IdentityKind.STAFF, role=Role.HOST)
    assert host.turned_away().code is Code.EARLY
    assert meeting.guest("Jane").turned_away().code is Code.EARLY


def test_an_unscheduled_room_is_open_at_any_time():
    """Without an appointment there is no too early and no expiry."""
    meeting = Meeting(starts_at=None, ends_at=None)
    assert meeting.room.next_timeout() is None
    assert meeting.guest("Jane").come().state == "waiting"


def test_a_locked_room_lets_in_only_whom_it_knows():
    """Locked: new people are refused, hosts and people admitted before come in."""
    meeting = Meeting(policy={"lobby": "off"})
    host, jane = meeting.host(), meeting.guest("Jane")
    jane.come()
    jane.ask(c.Leave())
    host.ask(c.RoomLock(on=True))
    assert meeting.guest("Paul").turned_away().code is Code.CLOSED
    assert jane.come().state == "active"
    assert meeting.host("Ben").state == "active"


def test_waiting_people_stay_when_the_room_is_locked():
    """A lock keeps people out; it does not throw the queue away."""
    meeting = Meeting()
    host, jane = meeting.host(), meeting.guest("Jane")
    jane.come()
    host.ask(c.RoomLock(on=True))
    jane.drop()
    assert jane.come().state == "waiting"


def test_host_through_the_lobby_link_waits_like_anyone():
    """Case 8: without the host's own link or login there is no privilege, whatever the name."""
    meeting = Meeting()
    assert meeting.guest("Ana", identity_kind=IdentityKind.GUEST).come().state == "waiting"
    assert meeting.room.state.state == "lobby_open"


@pytest.mark.parametrize(
    ("lobby", "direct"),
    [
        ("off", {"staff", "person", "guest", "bypass"}),
        ("guests", {"staff", "bypass"}),
        ("walk_ins", {"staff", "person", "bypass"}),
        ("everyone", set()),
        ("from-the-future", set()),
    ],
)
def test_the_lobby_policy_says_who_waits(lobby, direct):
    """Each policy lets exactly its people pass; an unknown policy makes everybody wait."""
    meeting = Meeting(capacity=20, policy={"lobby": lobby})
    meeting.host()
    arrivals = {
        "staff": meeting.guest("s", identity_kind=IdentityKind.STAFF),
        "person": meeting.person("p"),
        "guest": meeting.guest("g"),
        "bypass": meeting.guest("b", lobby=False),
    }
    assert {name for name, guest in arrivals.items() if guest.come().state == "active"} == direct


def test_people_come_in_when_the_host_starts_only_if_policy_lets_them():
    """Before the host people wait for the start; then registered ones come in, walk-ins wait on."""
    meeting = Meeting(kind="training")
    known, walk_in = meeting.person("Jane"), meeting.guest("Paul")
    known.come()
    walk_in.come()
    assert (known.row.waits, walk_in.row.waits) == ("start", "verdict")
    meeting.host()
    assert (known.state, walk_in.state) == ("joining", "waiting")


def test_before_host_lets_people_start_without_one():
    """With before_host the first person makes the room live."""
    meeting = Meeting(policy={"lobby": "off", "before_host": True})
    assert meeting.guest("Jane").come().state == "active"
    assert meeting.room.state.state == "live"


def test_the_host_link_raises_a_known_row_to_host():
    """The same staff member, first in by another link, is host by the host link on the same row."""
    meeting = Meeting(policy={"lobby": "off"})
    ana = meeting.guest("Ana", identity_kind=IdentityKind.STAFF)
    row = ana.come().participant
    ana.enter = msgspec.structs.replace(ana.enter, role=Role.HOST, name="Ana D.")
    entered = ana.come()
    assert (entered.participant, entered.role, ana.row.base_role) == (row, Role.HOST, Role.HOST)
    assert ana.row.name == "Ana D."


def test_end_for_all_during_a_join_gives_ended():
    """Case 21: a join that meets the end gets ended; one that is in may still reconnect."""
    meeting = Meeting()
    host, jane = meeting.host(), meeting.member("Jane")
    host.ask(c.RoomEnd(grace_s=10))
    assert meeting.guest("Paul").turned_away().code is Code.ENDED
    assert jane.come().state == "active"
    meeting.wait(11)
    assert jane.turned_away().code is Code.ENDED
    with pytest.raises(RoomError) as caught:
        jane.resume()
    assert caught.value.code is Code.ENDED


def test_resuming_what_never_was_is_not_found():
    """An unknown participant id is not_found, the same as for another tenant's room (case 90)."""
    meeting = Meeting()
    with pytest.raises(RoomError) as caught:
        meeting.tell(c.Resume("nobody"))
    assert caught.value.code is Code.NOT_FOUND


def test_the_queue_is_bounded_for_each_link_and_in_all():
    """A flood of guests fills the places of its link, then those of guests: no named person's."""
    meeting = Meeting()
    meeting.host()
    for link in ("one", "two"):
        for number in range(LINK_WAITING):
            meeting.guest(f"{link}-{number}", link=LinkId(link)).come()
        if link == "one":
            refusal = meeting.guest("more", link=LinkId("one")).turned_away()
            assert (refusal.code, refusal.extras) == (Code.FULL, {"limit": LINK_WAITING})
    assert meeting.guest("more", link=LinkId("three")).turned_away().extras == {"limit": WAITING}
    jane = meeting.person("Jane")
    assert jane.come().state == "waiting"


def test_who_waits_without_a_connection_gives_way():
    """Hello and goodbye, again and again: newcomers get the places, the oldest lost go first."""
    meeting = Meeting()
    host, early = meeting.host(), meeting.guest("early", link=LinkId("one"))
    early.come()
    ghosts = [meeting.guest(f"ghost-{n}", link=LinkId("one")) for n in range(LINK_WAITING + 50)]
    for ghost in ghosts:
        meeting.wait(0.01)
        ghost.come()
        ghost.drop()
    assert [ghosts[0].state, ghosts[50].state, ghosts[51].state] == ["timed_out"] * 2 + ["waiting"]
    late = meeting.guest("late", link=LinkId("one"))
    assert late.come().state == "waiting"
    assert (ghosts[51].state, early.state) == ("timed_out", "waiting")
    assert len(meeting.room.state.queue()) == LINK_WAITING
    meeting.wait(6)
    listed = {row.name for row in meeting.room.state.listed()}
    assert listed == {"early", "late"}
    assert ghosts[51].resume().state == "waiting", "who was let go comes back at the end"
    host.ask(c.LobbyAdmit(ids=[late.id]))
    meeting.check()


def seen(meeting: Meeting, row: Participant, count: int, **fields: object) -> None:
    """The sitting has as many rows as this one more, of people who left."""
    rows = meeting.room.state.participants
    gone = msgspec.structs.replace(row, state=ParticipantState.LEFT, **fields)
    rows.update({ParticipantId(f"x{len(rows) + n}"): gone for n in range(count)})


def test_rows_of_guests_take_none_from_hosts_and_named_people():
    """A flood of fresh devices uses up its link's rows, then those of guests: nobody else's."""
    meeting = Meeting(policy={"lobby": "off"}, capacity=50)
    first = meeting.guest("first", link=LinkId("one"))
    first.come()
    seen(meeting, first.row, LINK_ROWS - 2)
    assert meeting.guest("last", link=LinkId("one")).come()
    turned_away = meeting.guest("more", link=LinkId("one")).turned_away()
    assert (turned_away.code, turned_away.extras) == (Code.FULL, {"limit": LINK_ROWS})
    assert meeting.guest("other link", link=LinkId("two")).come()
    seen(meeting, first.row, GUEST_ROWS - LINK_ROWS - 1, link=LinkId("three"))
    assert meeting.guest("full", link=LinkId("two")).turned_away().extras == {"limit": GUEST_ROWS}
    assert meeting.host().state == "active"
    assert meeting.guest("no staff", role=Role.HOST, link=LinkId("host")).come()
    assert meeting.person("Jane").come()
    assert first.come(), "who has a row keeps it"


def test_the_rows_of_a_sitting_are_bounded():
    """Whoever they are, there are so many and no more."""
    meeting = Meeting()
    host = meeting.host()
    seen(meeting, host.row, ROWS - 1)
    assert meeting.person("Jane").turned_away().extras == {"limit": ROWS}
