"""Rights: the table against a second, hand-written one, and every command for every role."""

import pytest

from rooms import commands as c
from rooms.errors import Code, RoomError
from rooms.ids import MessageId
from rooms.permissions import (
    COLUMNS,
    FEATURE_RULES,
    PEOPLE_ONLY,
    POLICY_RULES,
    PUBLISH,
    RIGHTS,
    WAITING,
    Grade,
    may,
    rights,
)
from rooms.policy import Features, IdentityKind, Kind, PolicyPatch, Right, Role, Source
from tests.rooms.meeting import Guest, Meeting
from tests.rooms.model import forbidden


def one_of_each(action: type[c.Action], who: str) -> list[c.Action]:
    """Every shape of this action that asks for a right, aimed at ``who``."""
    return {
        c.Leave: [c.Leave()],
        c.NameSet: [c.NameSet("New Name")],
        c.LobbyAdmit: [c.LobbyAdmit(ids=[who]), c.LobbyAdmit(all=True, ver=0)],
        c.LobbyDeny: [c.LobbyDeny([who]), c.LobbyDeny([who], ban=True)],
        c.LobbyBack: [c.LobbyBack(who)],
        c.LobbySay: [c.LobbySay("hello"), c.LobbySay("hello", to=who)],
        c.RoleSet: [c.RoleSet(who, role) for role in Role],
        c.Remove: [c.Remove(who), c.Remove(who, ban=True)],
        c.RoomLock: [c.RoomLock(on=True)],
        c.RoomPolicy: [c.RoomPolicy(PolicyPatch(lobby="off"))],
        c.RoomEnd: [c.RoomEnd(), c.RoomEnd(grace_s=3)],
        c.RoomEndUndo: [c.RoomEndUndo()],
        c.Mute: [c.Mute(Source.MIC, who=who), c.Mute(Source.CAMERA, all=True)],
        c.UnmuteAsk: [c.UnmuteAsk(who)],
        c.PermSet: [c.PermSet(who, Source.MIC, on=True)],
        c.TrackSet: [c.TrackSet(s, on=on) for s in Source for on in (True, False)],
        c.HandSet: [c.HandSet(up=True), c.HandSet(up=False)],
        c.HandLower: [c.HandLower(who=who), c.HandLower(all=True)],
        c.React: [c.React("👍")],
        c.ChatSend: [c.ChatSend("hi"), c.ChatSend("hi", to=who)],
        c.ChatEdit: [c.ChatEdit(MessageId("none"), "hi")],
        c.ChatDelete: [c.ChatDelete(MessageId("none"))],
        c.ChatPage: [c.ChatPage()],
    }[action]


def actor_of(meeting: Meeting, column: str) -> Guest:
    """Somebody of this role who is in, or who waits."""
    meeting.host("Ben")
    if column == WAITING:
        guest = meeting.guest("Zoe")
        guest.come()
        return guest
    return meeting.host("Zoe") if column == "host" else meeting.member("Zoe", role=Role(column))


@pytest.mark.parametrize("open_policy", [True, False])
@pytest.mark.parametrize("column", [str(column) for column in COLUMNS])
@pytest.mark.parametrize("action", c.ACTIONS.values(), ids=list(c.ACTIONS))
def test_every_command_for_every_role(action, column, open_policy):
    """Each command by each role, under open and closed policy, is allowed as the model says."""
    policy = dict.fromkeys(("mic", "camera", "screen", "reactions", "cohost_may_end"), open_policy)
    policy |= {"chat": "all" if open_policy else "hosts", "private": "all"}
    for number in range(len(one_of_each(action, "x"))):
        meeting = Meeting(capacity=20, policy=policy, features={})
        actor = actor_of(meeting, column)
        target = meeting.member("Target")
        wish = one_of_each(action, target.id)[number]
        expected = forbidden(meeting.room.state, actor.row, wish)
        if expected is None and isinstance(wish, c.RoleSet):
            cohost = actor.row.role is Role.COHOST
            expected = cohost and wish.role in {Role.HOST, Role.COHOST}
        before = len(meeting.journal)
        try:
            actor.ask(wish)
        except RoomError as refusal:
            assert (refusal.code is Code.FORBIDDEN) is bool(expected), f"{wish}: {refusal}"
            assert len(meeting.journal) == before, "a refusal leaves the room as it was"
            if refusal.code is Code.FORBIDDEN:
                assert refusal.extras["need"]
        else:
            assert not expected, f"{wish} was allowed to {column}"
        meeting.check()


def test_the_table_has_every_right_and_every_role():
    """No cell is missing, and every half-open cell that a command asks about has a rule."""
    assert set(RIGHTS) == set(Right)
    assert all(set(row) == set(COLUMNS) for row in RIGHTS.values())
    half_open = {right for right, row in RIGHTS.items() if Grade.POLICY in row.values()}
    assert set(POLICY_RULES) <= half_open
    assert half_open - set(POLICY_RULES) == {
        Right.SPOTLIGHT,
        Right.VOTE,
        Right.MODERATE_QUESTIONS,
        Right.CHOOSE_BREAKOUT,
        Right.RECORD,
        Right.CONSENT,
        Right.EXPORT,
    }, "these wait for their feature's rule"


def test_a_half_open_cell_without_a_rule_is_closed():
    """What no policy decides yet is refused, not allowed."""
    meeting = Meeting()
    meeting.host()
    presenter = meeting.member("Jane", role=Role.PRESENTER)
    assert not may(meeting.room.state, presenter.row, Right.SPOTLIGHT)


@pytest.mark.parametrize("right", FEATURE_RULES)
def test_a_feature_that_is_off_gives_its_right_to_nobody(right):
    """Each feature's rights are gone with it, for hosts, too."""
    off = Meeting(features=dict.fromkeys(Features.__struct_fields__, False))
    assert not may(off.room.state, off.host().row, right)
    on = Meeting(features=dict.fromkeys(Features.__struct_fields__, True))
    on.host()
    assert may(on.room.state, on.member("Jane", role=Role.PRESENTER).row, right) or may(
        on.room.state, on.host("Ben").row, right
    )


def test_services_have_no_rights_of_people_and_hidden_ones_only_listen():
    """A bot raises no hand; what is hidden does nothing that anybody would see."""
    meeting = Meeting(features=dict.fromkeys(Features.__struct_fields__, True))
    meeting.host()
    fields = {"kind": Kind.BOT, "identity_kind": IdentityKind.SERVICE, "role": Role.PRESENTER}
    bot, ghost = meeting.guest("bot", **fields), meeting.guest("ghost", hidden=True, **fields)
    bot.come()
    ghost.come()
    assert not any(may(meeting.room.state, bot.row, right) for right in PEOPLE_ONLY)
    assert may(meeting.room.state, bot.row, Right.CHAT)
    assert set(rights(meeting.room.state, ghost.row)) == {
        "captions",
        "read_roster",
        "rename_self",
        "leave",
    }


def test_every_source_has_its_right():
    """Each source maps to one right of its own."""
    assert set(PUBLISH) == set(Source)
    assert len(set(PUBLISH.values())) == len(Source)


def test_the_shell_may_ask_about_rights():
    """Room.may answers for the shell's own commands, and no for strangers."""
    meeting = Meeting()
    host = meeting.host()
    assert meeting.room.may(host.id, Right.ADMIT)
    assert not meeting.room.may("nobody", Right.ADMIT)
