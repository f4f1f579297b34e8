"""Roles, names, removal; cases are numbered over all these files."""

import pytest
from msgspec.structs import replace

from rooms import commands as c
from rooms.errors import Code
from rooms.outcome import CloseReason
from rooms.policy import FeaturesPatch, IdentityKind, Kind, Role, Source
from tests.rooms.meeting import Guest, Meeting


@pytest.fixture
def meeting() -> Meeting:
    """A training: participants publish by grant only."""
    return Meeting(kind="training")


@pytest.fixture
def host(meeting: Meeting) -> Guest:
    """Ana, who is in."""
    return meeting.host()


@pytest.fixture
def jane(meeting: Meeting, host: Guest) -> Guest:
    """A participant who is in."""
    return meeting.member("Jane")


def test_a_cohost_gets_the_queue_and_loses_it(meeting, host, jane):
    """Promotion: told personally, subscribed to hosts, a snapshot with the queue; and back."""
    paul = meeting.guest("Paul")
    paul.come()
    host.ask(c.RoleSet(jane.id, Role.COHOST))
    changed = jane.got("perm.changed")[-1]
    assert (changed.role, "admit" in changed.can, changed.publish["mic"]) == ("cohost", True, True)
    assert [w.name for w in jane.snapshots[-1].lobby.entries] == ["Paul"]
    jane.ask(c.LobbyAdmit(ids=[paul.id]))
    host.ask(c.RoleSet(jane.id, Role.PARTICIPANT))
    assert jane.snapshots[-1].lobby is None
    jane.forget()
    meeting.guest("Rita").come()
    assert jane.got("lobby.list") == []


def test_new_rules_are_told_to_whom_they_concern(meeting, host, jane):
    """A policy or feature that changes somebody's rights is told to them, and to nobody else."""
    presenter, waiting = meeting.member("Ben", role=Role.PRESENTER), meeting.guest("Paul")
    waiting.come()
    everybody = (host, jane, presenter, waiting)

    def told(**patch):
        for guest in everybody:
            guest.forget()
        host.ask(c.RoomPolicy(c.PolicyPatch(**patch)))
        return {guest.name: guest.got("perm.changed") for guest in everybody}

    changed = told(mic=True)
    assert [name for name, got in changed.items() if got] == ["Jane"]
    (body,) = changed["Jane"]
    assert (body.reason, body.role, body.publish["mic"]) == ("policy", Role.PARTICIPANT, True)
    assert "publish_mic" in body.can
    assert not any(told(host_gone="end").values()), "no right depends on it"
    off = told(features=FeaturesPatch(hands=False))
    assert [name for name, got in off.items() if got] == ["Ana", "Jane", "Ben"]
    assert "raise_hand" not in off["Ana"][0].can


def test_a_demotion_takes_media_and_hand_in_the_same_step(meeting, host, jane):
    """Case 79: a right that goes takes the track with it before the reply."""
    host.ask(c.RoleSet(jane.id, Role.PRESENTER))
    jane.ask(c.TrackSet(Source.CAMERA, on=True))
    jane.ask(c.HandSet(up=True))
    host.ask(c.RoleSet(jane.id, Role.OBSERVER))
    kinds = [event.kind for event in meeting.outcomes[-1].events]
    assert kinds.index("participant.role") < kinds.index("track.state")
    assert not jane.row.publishes(Source.CAMERA)
    assert jane.row.hand is None
    assert jane.got("muted")[-1].source is Source.CAMERA


def test_a_demoted_host_does_not_hear_the_step_that_demotes(meeting, host, jane):
    """What goes to hosts in that very step is not for the demoted any more."""
    host.ask(c.RoleSet(jane.id, Role.COHOST))
    assert jane.id in {g for g, s in meeting.subscriptions.items() if "hosts" in s}
    host.ask(c.RoleSet(jane.id, Role.PARTICIPANT))
    assert meeting.outcomes[-1].withdraw == (jane.id,)


def test_a_cohost_rules_over_participants_only(meeting, host, jane):
    """A co-host grants no co-hosts, and neither demotes nor removes hosts and co-hosts."""
    paul, rita = meeting.member("Paul"), meeting.member("Rita")
    for guest in (jane, paul):
        host.ask(c.RoleSet(guest.id, Role.COHOST))
    assert jane.refused(c.RoleSet(rita.id, Role.COHOST)).extras == {"need": "grant_cohost"}
    assert jane.refused(c.RoleSet(paul.id, Role.PARTICIPANT)).extras == {"need": "grant_cohost"}
    assert jane.refused(c.RoleSet(host.id, Role.PARTICIPANT)).extras == {"need": "grant_host"}
    assert jane.refused(c.Remove(paul.id)).code is Code.FORBIDDEN
    assert jane.refused(c.Remove(host.id)).code is Code.FORBIDDEN
    jane.ask(c.RoleSet(rita.id, Role.PRESENTER))
    jane.ask(c.Remove(rita.id))
    host.ask(c.Remove(paul.id))
    assert (rita.state, paul.state) == ("removed", "removed")


def test_the_meeting_is_handed_over_and_taken_back(meeting, host, jane):
    """The role goes to one person: the giver is a co-host, and as a host by link may reclaim."""
    host.ask(c.RoleSet(jane.id, Role.HOST))
    assert (jane.row.role, host.row.role) == (Role.HOST, Role.COHOST)
    host.ask(c.RoleSet(host.id, Role.HOST))
    assert (jane.row.role, host.row.role) == (Role.COHOST, Role.HOST)
    assert jane.refused(c.RoleSet(jane.id, Role.HOST)).extras == {"need": "grant_host"}


def test_who_was_made_host_cannot_shut_out_the_host_by_link(meeting, host, jane):
    """The meeting is lent, not given away: neither removing nor banning takes it from its owner."""
    host.ask(c.RoleSet(jane.id, Role.HOST))
    for ban in (False, True):
        assert jane.refused(c.Remove(host.id, ban=ban)).extras == {"need": "host_link"}
    host.ask(c.RoleSet(host.id, Role.HOST))
    host.ask(c.Remove(jane.id, ban=True))


def test_who_was_made_host_takes_no_role_from_the_host_by_link(meeting, host, jane):
    """Nor does a co-host: no role but host is given to them, and they are not sent back."""
    host.ask(c.RoleSet(jane.id, Role.HOST))
    ben = meeting.host("Ben")
    for target in (host, ben):
        for role in set(Role) - {Role.HOST, target.row.role}:
            refusal = jane.refused(c.RoleSet(target.id, role))
            assert (refusal.code, refusal.extras) == (Code.FORBIDDEN, {"need": "host_link"})
    ben.ask(c.RoleSet(host.id, Role.PARTICIPANT))
    assert jane.refused(c.LobbyBack(host.id)).extras == {"need": "host_link"}
    assert host.row.role is Role.PARTICIPANT, "a host by link may"
    jane.ask(c.RoleSet(host.id, Role.HOST))
    assert (jane.row.role, host.row.role) == (Role.COHOST, Role.HOST), "giving it back goes"


def test_a_host_by_link_at_the_door_is_not_turned_away(meeting, host, jane):
    """Nobody but another host by link denies or bans one who waits, alone or among others."""
    host.ask(c.RoleSet(jane.id, Role.HOST))
    ben, paul = meeting.host("Ben"), meeting.guest("Paul")
    paul.come()
    ben.ask(c.RoleSet(host.id, Role.PARTICIPANT))
    ben.ask(c.LobbyBack(host.id))
    for ids in ([host.id], [paul.id, host.id]):
        for ban in (False, True):
            assert jane.refused(c.LobbyDeny(ids, ban=ban)).extras == {"need": "host_link"}
    assert (host.state, paul.state) == ("waiting", "waiting")
    ben.ask(c.LobbyDeny([host.id]))
    assert host.state == "denied"


def test_the_last_host_hands_over_before_stepping_down(host):
    """A host cannot just stop being one: conflict."""
    assert host.refused(c.RoleSet(host.id, Role.PARTICIPANT)).code is Code.CONFLICT
    assert host.ask(c.RoleSet(host.id, Role.HOST)) == {}


def test_roles_go_to_people_who_are_in(meeting, host, jane):
    """Waiting, left and unknown people get no role, services do not lead."""
    paul = meeting.guest("Paul")
    paul.come()
    bot = meeting.guest("bot", kind=Kind.BOT, identity_kind=IdentityKind.SERVICE)
    bot.come()
    jane.ask(c.Leave())
    for guest in (paul, jane):
        assert host.refused(c.RoleSet(guest.id, Role.PRESENTER)).code is Code.NOT_FOUND
    assert host.refused(c.RoleSet("nobody", Role.PRESENTER)).code is Code.NOT_FOUND
    assert host.refused(c.RoleSet(bot.id, Role.COHOST)).code is Code.BAD_REQUEST
    host.ask(c.RoleSet(bot.id, Role.PRESENTER))


def test_removal_tells_the_person_and_closes(meeting, host, jane):
    """The removed person hears why, the connection closes, the roster and the seat are free."""
    meeting.wait(2)
    host.forget()
    host.ask(c.Remove(jane.id))
    assert [b.reason for b in jane.got("removed")] == ["remove"]
    assert (jane.closed[-1].reason, jane.closed[-1].detail) == (CloseReason.REMOVED, "remove")
    meeting.wait(1)
    assert [b.del_ for b in host.got("roster.delta") if b.del_] == [[jane.id]]
    assert jane.refused(c.ChatSend("wait")).code is Code.CLOSED


def test_removal_of_whom_is_not_there(meeting, host, jane):
    """Oneself, people who wait, left, or were removed: refused; a ban also reaches who has left."""
    paul = meeting.guest("Paul")
    paul.come()
    assert host.refused(c.Remove(host.id)).code is Code.BAD_REQUEST
    assert host.refused(c.Remove(paul.id)).code is Code.NOT_FOUND
    jane.ask(c.Leave())
    assert host.refused(c.Remove(jane.id)).code is Code.NOT_FOUND
    host.ask(c.Remove(jane.id, ban=True))
    assert jane.turned_away().code is Code.FORBIDDEN
    assert host.refused(c.Remove(jane.id, ban=True)).code is Code.NOT_FOUND


def test_who_came_by_a_closed_link_is_put_out(meeting, host, jane):
    """Host or guest, in or waiting: the CRM no longer knows them, and nobody comes by it again."""
    phone = meeting.guest("Jane's phone", link=jane.enter.link)
    phone.come()
    ben = meeting.member("Ben", link="link-of-ben")
    meeting.tell(c.LinksClosed((jane.enter.link, host.enter.link)))
    assert [guest.state for guest in (host, jane, phone, ben)] == [
        "removed", "removed", "denied", "active",
    ]  # fmt: skip
    assert host.closed[-1].reason is CloseReason.REMOVED
    assert phone.closed[-1].reason is CloseReason.DENIED
    assert [len(guest.got("removed")) for guest in (host, jane, phone, ben)] == [1, 1, 0, 0]
    for guest in (host, jane, phone):
        assert guest.turned_away().code is Code.FORBIDDEN
    before = len(meeting.journal)
    meeting.tell(c.LinksClosed((jane.enter.link, host.enter.link)))
    assert len(meeting.journal) == before


def test_nobody_waits_by_a_link_in_whose_place_there_is_another(meeting, host, jane):
    """Who was let in stays, also when they wait for a seat; who waits by the new link does, too."""
    old, new = jane.enter.link, "link-of-jane-2"
    phone = meeting.guest("Jane's phone", link=old)
    phone.come()
    ben = meeting.guest("Ben", link="old-link-of-ben")
    ben.come()
    ben.enter = replace(ben.enter, link=new)
    ben.come()
    assert (phone.state, ben.state) == ("waiting", "waiting")
    meeting.tell(c.LinksVoided((old, "old-link-of-ben")))
    assert (jane.state, phone.state, ben.state) == ("active", "denied", "waiting")
    assert phone.closed[-1].reason is CloseReason.DENIED
    before = len(meeting.journal)
    meeting.tell(c.LinksVoided((old, "old-link-of-ben")))
    assert len(meeting.journal) == before
    meeting.tell(c.LinksVoided((new,)))
    assert ben.state == "denied"


def test_a_name_is_printable_and_changed_in_moderation(meeting, host, jane):
    """Blank and unprintable names are refused, a flood is limited, the same name is no change."""
    for name in (
        " ",
        "a\nb",
        "a\u202eb",
        "\u200d\u200c",
        "\u3164 \u3164",
        "\u2800\ufe0f",
        "\U000e0100",
    ):
        assert jane.refused(c.NameSet(name)).code is Code.BAD_REQUEST
    before = len(meeting.journal)
    jane.ask(c.NameSet("Jane"))
    assert len(meeting.journal) == before
    for number in range(5):
        jane.ask(c.NameSet(f"Jane {number}"))
    assert jane.refused(c.NameSet("Jane 9")).code is Code.RATE


def test_impersonating_the_host_leaves_the_marker(meeting, host, jane):
    """Case 16: the same name shows the verified mark on the real one only."""
    jane.ask(c.NameSet("Ana"))
    views = {p.id: (p.name, p.verified) for p in meeting.host("Ben").snapshots[-1].roster}
    assert views[host.id] == ("Ana", True)
    assert views[jane.id] == ("Ana", False)
