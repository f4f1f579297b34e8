"""Sources on and off; cases are numbered over all these files."""

import pytest

from rooms import commands as c
from rooms.errors import Code
from rooms.policy import PolicyPatch, Role, Source
from tests.rooms.meeting import Guest, Meeting

MIC, CAMERA, SCREEN = Source.MIC, Source.CAMERA, Source.SCREEN


@pytest.fixture
def training() -> tuple[Meeting, Guest, list[Guest]]:
    """A training with its host and three participants."""
    meeting = Meeting(kind="training")
    host = meeting.host()
    return meeting, host, [meeting.member(name) for name in ("Jane", "Paul", "Rita")]


def test_a_track_keeps_its_id_through_off_and_on():
    """The public track id is made once per person and source; repeats state nothing."""
    meeting = Meeting()
    host = meeting.host()
    assert host.ask(c.TrackSet(MIC, on=False)) == {"track": None}
    track = host.ask(c.TrackSet(MIC, on=True))["track"]
    assert host.ask(c.TrackSet(MIC, on=True)) == {"track": track}
    host.ask(c.TrackSet(MIC, on=False))
    host.ask(c.TrackSet(MIC, on=True))
    assert [(b.track, b.on) for b in meeting.bodies("track.state")] == [
        (track, True),
        (track, False),
        (track, True),
    ]
    assert host.row.view().track_ids == {"mic": track}


def test_a_switch_is_not_flipped_for_ever():
    """Each change is a fact that is kept; off is never refused."""
    meeting = Meeting()
    jane = meeting.host()
    for _ in range(20):
        jane.ask(c.TrackSet(MIC, on=True))
        jane.ask(c.TrackSet(MIC, on=False))
    refusal = jane.refused(c.TrackSet(MIC, on=True))
    assert (refusal.code, refusal.extras["retry_ms"]) == (Code.RATE, 1001)
    before = len(meeting.journal)
    jane.ask(c.TrackSet(MIC, on=False))  # is off: no fact, no token
    assert len(meeting.journal) == before
    meeting.wait(1.0)
    jane.ask(c.TrackSet(MIC, on=True))
    jane.refused(c.TrackSet(CAMERA, on=True))
    jane.ask(c.TrackSet(MIC, on=False))
    assert not jane.row.publishes(MIC)


def test_one_screen_is_shared_at_a_time():
    """Who comes second is told who shares; nobody talks to a screen that nobody sees."""
    meeting = Meeting(capacity=9)
    host = meeting.host()
    jane, kim = meeting.member("Jane"), meeting.member("Kim")
    jane.ask(c.TrackSet(SCREEN, on=True))
    refusal = kim.refused(c.TrackSet(SCREEN, on=True))
    assert (refusal.code, refusal.extras) == (
        Code.FORBIDDEN, {"need": "screen_free", "who": jane.id},
    )  # fmt: skip
    jane.ask(c.TrackSet(SCREEN, on=True))  # her own is no hindrance
    jane.ask(c.TrackSet(SCREEN, on=False))
    kim.ask(c.TrackSet(SCREEN, on=True))
    assert (jane.row.publishes(SCREEN), kim.row.publishes(SCREEN)) == (False, True)
    assert not host.got("muted") + jane.got("muted")


def test_a_host_takes_over_the_screen():
    """The other is told by whom, and can share again when it is free."""
    meeting = Meeting()
    jane, host = meeting.member("Jane"), meeting.host()
    jane.ask(c.TrackSet(SCREEN, on=True))
    host.ask(c.TrackSet(SCREEN, on=True))
    assert (jane.row.publishes(SCREEN), host.row.publishes(SCREEN)) == (False, True)
    assert [(told.source, told.by) for told in jane.got("muted")] == [(SCREEN, host.id)]
    jane.refused(c.TrackSet(SCREEN, on=True))
    host.ask(c.TrackSet(SCREEN, on=False))
    jane.ask(c.TrackSet(SCREEN, on=True))


def test_who_may_not_share_yet_takes_nobodys_screen():
    """A spent bucket refuses whole: the other's screen stays on."""
    meeting = Meeting()
    jane, host = meeting.member("Jane"), meeting.host()
    jane.ask(c.TrackSet(SCREEN, on=True))
    for _ in range(20):
        host.ask(c.TrackSet(MIC, on=True))
        host.ask(c.TrackSet(MIC, on=False))
    assert host.refused(c.TrackSet(SCREEN, on=True)).code is Code.RATE
    assert jane.row.publishes(SCREEN)


def test_the_screen_of_who_lost_the_connection_keeps_nobody_waiting():
    """They may be back within a minute, and share again then."""
    meeting = Meeting(capacity=9)
    meeting.host()
    jane, kim = meeting.member("Jane"), meeting.member("Kim")
    jane.ask(c.TrackSet(SCREEN, on=True))
    jane.drop()
    kim.ask(c.TrackSet(SCREEN, on=True))
    assert (jane.row.publishes(SCREEN), kim.row.publishes(SCREEN)) == (False, True)
    jane.resume()
    assert jane.refused(c.TrackSet(SCREEN, on=True)).extras["who"] == kim.id


def test_participants_publish_by_policy_or_grant_only(training):
    """Case 78: without permission refused, a granted person may, a revoked one is stopped."""
    _meeting, host, (jane, paul, _rita) = training
    assert jane.refused(c.TrackSet(MIC, on=True)).extras == {"need": "publish_mic"}
    host.ask(c.PermSet(jane.id, MIC, on=True))
    assert jane.got("perm.changed")[-1].publish == {"mic": True, "camera": False, "screen": False}
    jane.ask(c.TrackSet(MIC, on=True))
    assert paul.refused(c.TrackSet(MIC, on=True)).code is Code.FORBIDDEN
    host.ask(c.PermSet(jane.id, MIC, on=False))
    assert not jane.row.publishes(MIC)
    assert jane.refused(c.TrackSet(MIC, on=True)).code is Code.FORBIDDEN


def test_permission_revoked_while_publishing_stops_it_before_the_reply(training):
    """Case 79: the outcome of the revocation holds the track's end, so the media stops first."""
    meeting, host, (jane, _paul, _rita) = training
    host.ask(c.PermSet(jane.id, MIC, on=True))
    jane.ask(c.TrackSet(MIC, on=True))
    host.ask(c.PermSet(jane.id, MIC, on=False))
    states = [e.body for e in meeting.outcomes[-1].events if e.kind == "track.state"]
    assert [(b.participant, b.on, b.reason) for b in states] == [(jane.id, False, "policy")]
    before = len(meeting.journal)
    host.ask(c.PermSet(jane.id, MIC, on=False))
    assert len(meeting.journal) == before


def test_mute_all_spares_hosts_and_exceptions_and_holds(training):
    """Case 78: mute all but the speaker; hosts stay on; the muted cannot unmute without a grant."""
    _meeting, host, (jane, paul, rita) = training
    for guest in (jane, paul):
        host.ask(c.PermSet(guest.id, MIC, on=True))
        guest.ask(c.TrackSet(MIC, on=True))
    host.ask(c.TrackSet(MIC, on=True))
    reply = host.ask(c.Mute(MIC, all=True, except_=[paul.id]))
    assert reply == {"muted": [jane.id]}
    assert [g.row.publishes(MIC) for g in (host, jane, paul, rita)] == [True, False, True, False]
    assert (jane.got("muted")[-1].by, jane.got("muted")[-1].source) == (host.id, MIC)
    assert jane.refused(c.TrackSet(MIC, on=True)).code is Code.FORBIDDEN


def test_a_host_asks_to_unmute_and_thereby_lets(training):
    """unmute.ask is a request and the grant to follow it; it turns nothing on by itself."""
    meeting, host, (jane, _paul, _rita) = training
    host.ask(c.UnmuteAsk(jane.id))
    assert jane.got("unmute.request")[-1].by == host.id
    assert not jane.row.publishes(MIC)
    jane.ask(c.TrackSet(MIC, on=True))
    before = len(meeting.journal)
    host.ask(c.UnmuteAsk(jane.id))
    assert len(meeting.journal) == before
    assert jane.refused(c.UnmuteAsk(host.id)).code is Code.FORBIDDEN


def test_mute_where_policy_lets_speak_is_no_ban():
    """With mics open to all a muted participant may unmute; the host cannot unmute them."""
    meeting = Meeting()
    host, jane = meeting.host(), meeting.member("Jane")
    jane.ask(c.TrackSet(MIC, on=True))
    host.ask(c.Mute(MIC, who=jane.id))
    assert jane.row.tracks[MIC].wanted, "the wish is remembered, and not acted on"
    assert not jane.row.publishes(MIC)
    jane.ask(c.TrackSet(MIC, on=True))
    assert jane.row.publishes(MIC)


def test_closing_the_mics_by_policy_stops_those_who_speak():
    """A policy change applies to current members in the same step, and not to presenters."""
    meeting = Meeting()
    host, jane, paul = meeting.host(), meeting.member("Jane"), meeting.member("Paul")
    host.ask(c.RoleSet(paul.id, Role.PRESENTER))
    for guest in (jane, paul):
        guest.ask(c.TrackSet(MIC, on=True))
        guest.ask(c.TrackSet(CAMERA, on=True))
    host.ask(c.RoomPolicy(PolicyPatch(mic=False)))
    assert [jane.row.publishes(s) for s in (MIC, CAMERA)] == [False, True]
    assert paul.row.publishes(MIC)


def test_muting_is_aimed_at_somebody_who_is_in(training):
    """Both or neither of who and all, unknown people, people who left or wait: refused."""
    meeting, host, (jane, _paul, _rita) = training
    assert host.refused(c.Mute(MIC)).code is Code.BAD_REQUEST
    assert host.refused(c.Mute(MIC, who=jane.id, all=True)).code is Code.BAD_REQUEST
    assert host.refused(c.Mute(MIC, who="nobody")).code is Code.NOT_FOUND
    waiting = meeting.guest("Zoe")
    waiting.come()
    for action in (
        c.Mute(MIC, who=waiting.id),
        c.UnmuteAsk(waiting.id),
        c.PermSet(waiting.id, MIC, on=True),
    ):
        assert host.refused(action).code is Code.NOT_FOUND
    assert jane.refused(c.Mute(MIC, all=True)).code is Code.FORBIDDEN
    assert jane.refused(c.PermSet(jane.id, MIC, on=True)).code is Code.FORBIDDEN


def test_hosts_cannot_be_silenced_by_permission(training):
    """perm.set is for participants; a host or co-host as target is forbidden."""
    _meeting, host, (jane, _paul, _rita) = training
    host.ask(c.RoleSet(jane.id, Role.COHOST))
    assert jane.refused(c.PermSet(host.id, MIC, on=False)).code is Code.FORBIDDEN


def test_a_token_without_a_right_never_gets_it():
    """The per-participant mask of the token wins over role and policy."""
    meeting = Meeting()
    meeting.host()
    jane = meeting.member("Jane", role=Role.PRESENTER, deny=["publish_screen", "chat"])
    assert jane.refused(c.TrackSet(Source.SCREEN, on=True)).code is Code.FORBIDDEN
    assert jane.refused(c.ChatSend("hi")).code is Code.FORBIDDEN
    jane.ask(c.TrackSet(MIC, on=True))
