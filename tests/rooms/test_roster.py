"""The roster on screens: shared, coalesced, and a count where that is the policy."""

import msgspec

from rooms import commands as c
from rooms.policy import IdentityKind, Kind, PolicyPatch, Role, Source
from tests.rooms.meeting import Meeting


def test_a_join_storm_is_a_few_shared_deltas():
    """200 joins in 2 s: at most three deltas, each one event for everybody, nobody missing."""
    meeting = Meeting(kind="training", policy={"roster": "full"})
    host = meeting.host()
    joined = []
    for number in range(200):
        joined.append(meeting.member(f"m{number}").id)
        meeting.wait(0.01)
    meeting.wait(1)
    deltas = host.got("roster.delta")
    assert len(deltas) <= 4
    assert [p.id for d in deltas for p in d.add if p.id != host.id] == joined
    assert [d.rev for d in deltas] == sorted({d.rev for d in deltas})


def test_a_change_says_only_what_changed():
    """An update has the id, the rev and the changed fields; what shows nothing says nothing."""
    meeting = Meeting()
    host, jane = meeting.host(), meeting.member("Jane")
    meeting.wait(2)
    host.forget()
    jane.ask(c.NameSet("Jane D."))
    assert host.got("roster.delta")[-1].upd == [
        {"id": jane.id, "rev": jane.row.rev, "name": "Jane D."}
    ]
    host.forget()
    meeting.wait(2)
    jane.drop()
    jane.resume()
    meeting.wait(2)
    assert host.got("roster.delta") == []


def test_tracks_show_at_once_and_a_storm_of_them_ten_times_a_second():
    """A mute is on every screen within 100 ms; many of them share frames."""
    meeting = Meeting(capacity=60)
    host = meeting.host()
    crowd = [meeting.member(f"m{n}") for n in range(50)]
    meeting.wait(2)
    host.forget()
    crowd[0].ask(c.TrackSet(Source.MIC, on=True))
    assert host.got("roster.delta")[0].upd[0]["tracks"]["mic"] is True
    for guest in crowd[1:]:
        guest.ask(c.TrackSet(Source.MIC, on=True))
    meeting.wait(0.1)
    assert len(host.got("roster.delta")) == 2
    assert len(host.got("roster.delta")[1].upd) == 49


def test_participants_see_a_count_speakers_and_hosts():
    """Count mode: participants get hosts and who publishes; hosts get everybody; all a count."""
    meeting = Meeting(kind="training")
    host, jane = meeting.host(), meeting.member("Jane")
    paul = meeting.member("Paul")
    meeting.wait(1)
    assert [p.id for p in jane.snapshots[-1].roster] == [host.id]
    assert {p.id for p in meeting.host("Ben").snapshots[-1].roster} >= {jane.id, paul.id}
    assert paul.id not in msgspec.json.encode([e.body for e in jane.seen]).decode()
    assert jane.got("roster.count")[-1].count == 3
    assert [p.id for d in host.got("roster.delta") for p in d.add if p.role != "host"] == [
        jane.id,
        paul.id,
    ]
    host.ask(c.UnmuteAsk(paul.id))
    paul.ask(c.TrackSet(Source.MIC, on=True))
    meeting.wait(1)
    assert paul.id in {p.id for p in jane.got("roster.delta")[-1].add}, "who speaks is shown"
    paul.ask(c.TrackSet(Source.MIC, on=False))
    meeting.wait(1)
    shown = [p.id for p in meeting.member("Rita").snapshots[-1].roster]
    assert paul.id in shown, "and stays shown"
    paul.ask(c.Leave())
    meeting.wait(1)
    assert jane.got("roster.delta")[-1].del_ == [paul.id]
    jane.ask(c.Leave())
    meeting.wait(1)
    assert host.got("roster.delta")[-1].del_ == [jane.id]
    assert host.got("roster.delta")[-1].rev == meeting.room.seq


def test_in_count_mode_changes_of_the_unshown_go_to_hosts_only():
    """A name that participants do not see changes for hosts alone."""
    meeting = Meeting(kind="training")
    host, jane, paul = meeting.host(), meeting.member("Jane"), meeting.member("Paul")
    meeting.wait(2)
    for guest in (host, jane):
        guest.forget()
    paul.ask(c.NameSet("Paul B."))
    host.ask(c.NameSet("Ana D."))
    meeting.wait(2)
    assert [u["name"] for d in jane.got("roster.delta") for u in d.upd] == ["Ana D."]
    assert {u["name"] for d in host.got("roster.delta") for u in d.upd} == {"Ana D.", "Paul B."}


def test_changing_the_roster_mode_gives_everybody_a_snapshot():
    """A switch between list and count starts every screen anew, both ways."""
    meeting = Meeting(kind="training")
    host, jane, paul = meeting.host(), meeting.member("Jane"), meeting.member("Paul")
    meeting.guest("Zoe").come()
    host.ask(c.RoomPolicy(PolicyPatch(roster="full")))
    assert {p.id for p in jane.snapshots[-1].roster} == {host.id, jane.id, paul.id}
    assert set(meeting.outcomes[-1].resync) == {host.id, jane.id, paul.id}
    host.ask(c.RoomPolicy(PolicyPatch(roster="count")))
    assert {p.id for p in jane.snapshots[-1].roster} == {host.id}
    host.ask(c.RoomPolicy(PolicyPatch(mic=True)))
    assert meeting.outcomes[-1].resync == ()


def test_a_hidden_service_is_in_no_roster():
    """A hidden recorder changes neither roster nor count."""
    meeting = Meeting()
    host = meeting.host()
    meeting.wait(2)
    host.forget()
    recorder = meeting.guest(
        "rec",
        kind=Kind.RECORDER,
        identity_kind=IdentityKind.SERVICE,
        role=Role.OBSERVER,
        hidden=True,
    )
    recorder.come()
    meeting.wait(2)
    assert host.seen == []
    assert [p.id for p in recorder.snapshots[-1].roster] == [host.id]
    assert host.refused(c.Remove(recorder.id)).code == "not_found"


def test_somebody_who_came_and_went_between_two_deltas_is_in_none():
    """Coalescing drops what nobody needs to see."""
    meeting = Meeting()
    host = meeting.host()
    meeting.wait(0.5)
    host.forget()
    jane = meeting.member("Jane")
    jane.ask(c.Leave())
    meeting.wait(2)
    assert host.got("roster.delta") == []
