"""Hands, reactions, speakers; cases are numbered over all these files."""

import pytest

from rooms import commands as c
from rooms.errors import Code, RoomError
from rooms.limits import EMOJI_KINDS, SPEAKERS
from rooms.policy import FeaturesPatch, PolicyPatch
from tests.rooms.meeting import Guest, Meeting


@pytest.fixture
def people() -> tuple[Meeting, Guest, Guest, Guest]:
    """A meeting, its host, and two participants."""
    meeting = Meeting(capacity=300)
    return meeting, meeting.host(), meeting.member("Jane"), meeting.member("Paul")


def test_hands_are_one_queue_in_the_order_of_raising(people):
    """Everybody sees the same order; raising twice keeps the first place."""
    meeting, host, jane, paul = people
    paul.ask(c.HandSet(up=True))
    jane.ask(c.HandSet(up=True))
    paul.ask(c.HandSet(up=True))
    assert host.got("hands")[-1].order == [paul.id, jane.id]
    assert [p.hand for p in (paul.row, jane.row)] == [1, 2]
    paul.ask(c.HandSet(up=False))
    assert host.got("hands")[-1].order == [jane.id]
    assert len(meeting.bodies("hands")) == 3


def test_a_hand_survives_a_lost_connection_and_not_a_leave(people):
    """Case 76: up, lost for 30 s, back: same place; gone after leaving."""
    meeting, host, jane, paul = people
    jane.ask(c.HandSet(up=True))
    paul.ask(c.HandSet(up=True))
    jane.drop()
    meeting.wait(30)
    jane.resume()
    assert jane.snapshots[-1].hands == [jane.id, paul.id]
    jane.ask(c.Leave())
    assert host.got("hands")[-1].order == [paul.id]
    meeting.check()


def test_lower_all_spares_a_hand_raised_since(people):
    """Case 77: lower-all up to what the host saw: a newer hand survives."""
    _meeting, host, jane, paul = people
    jane.ask(c.HandSet(up=True))
    seen = host.got("hands")[-1].rev
    paul.ask(c.HandSet(up=True))
    host.ask(c.HandLower(all=True, upto=seen))
    assert host.got("hands")[-1].order == [paul.id]
    host.ask(c.HandLower(all=True))
    assert host.got("hands")[-1].order == []


def test_a_host_lowers_one_hand_and_others_cannot(people):
    """Lowering others' hands is for hosts; a hand that is not up stays down without a fact."""
    meeting, host, jane, paul = people
    jane.ask(c.HandSet(up=True))
    assert paul.refused(c.HandLower(who=jane.id)).code is Code.FORBIDDEN
    assert host.refused(c.HandLower()).code is Code.BAD_REQUEST
    assert host.refused(c.HandLower(who="nobody")).code is Code.NOT_FOUND
    host.ask(c.HandLower(who=jane.id))
    host.ask(c.HandLower(who=jane.id))
    assert len(meeting.bodies("hands")) == 2


def test_hands_off_lowers_them_and_refuses_new_ones(people):
    """Turning the feature off takes the hands down in the same step."""
    _meeting, host, jane, _paul = people
    jane.ask(c.HandSet(up=True))
    host.ask(c.RoomPolicy(PolicyPatch(features=FeaturesPatch(hands=False))))
    assert host.got("hands")[-1].order == []
    assert jane.refused(c.HandSet(up=True)).extras == {"need": "raise_hand"}


def test_waving_is_limited(people):
    """A hand going up and down is told when it may again."""
    _meeting, _host, jane, _paul = people
    jane.ask(c.HandSet(up=True))
    jane.ask(c.HandSet(up=False))
    assert jane.refused(c.HandSet(up=True)).code is Code.RATE


def test_two_hundred_people_tapping_give_two_frames_a_second(people):
    """Case 75: 200 people tap 5 a second for 2 s: ≤ 2 sums a second, totals of the accepted right."""
    meeting, host, jane, paul = people
    crowd = [jane, paul, *(meeting.member(f"m{n}") for n in range(198))]
    host.forget()
    accepted = 0
    for _second in range(2):
        for tap in range(5):
            for guest in crowd:
                try:
                    guest.ask(c.React("👍" if tap % 2 else "🎉"))
                    accepted += 1
                except RoomError as refusal:
                    assert refusal.code is Code.RATE
            meeting.wait(0.2)
    meeting.wait(1)
    sums = host.got("react.sum")
    assert len(sums) <= 5
    assert sum(sum(b.counts.values()) for b in sums) == accepted
    assert accepted >= 2 * 4 * len(crowd)
    assert meeting.bodies("react.sum") == []


def test_kinds_of_reactions_in_one_sum_are_bounded(people):
    """A sum has at most 32 kinds; more are refused with a retry time."""
    meeting, _host, jane, _paul = people
    crowd = [meeting.member(f"m{n}") for n in range(EMOJI_KINDS)]
    for number, guest in enumerate(crowd):
        guest.ask(c.React(chr(0x1F600 + number)))
    assert jane.refused(c.React("🎉")).extras == {"retry_ms": 500}
    jane.ask(c.React(chr(0x1F600)))


def test_reactions_are_a_right(people):
    """Off by policy for participants, off by feature for all."""
    _meeting, host, jane, _paul = people
    host.ask(c.RoomPolicy(PolicyPatch(reactions=False)))
    assert jane.refused(c.React("👍")).code is Code.FORBIDDEN
    host.ask(c.React("👍"))
    host.ask(c.RoomPolicy(PolicyPatch(features=FeaturesPatch(reactions=False))))
    assert host.refused(c.React("👍")).code is Code.FORBIDDEN


def test_a_repeated_reaction_is_counted_once(people):
    """The same request id is answered again and counted once."""
    meeting, host, jane, _paul = people
    jane.ask(c.React("👍"), rid="same")
    jane.ask(c.React("👍"), rid="same")
    meeting.wait(1)
    assert host.got("react.sum")[-1].counts == {"👍": 1}


def test_speakers_are_told_when_they_change(people):
    """Loudest first, five at most, only people who are in, only changes."""
    meeting, host, jane, paul = people
    extra = [meeting.member(f"m{n}") for n in range(SPEAKERS)]
    meeting.tell(c.Speakers([paul.id, "nobody", jane.id]))
    meeting.tell(c.Speakers([paul.id, jane.id]))
    meeting.tell(c.Speakers([g.id for g in extra] + [jane.id]))
    assert [b.list for b in host.got("speakers")] == [
        [paul.id, jane.id],
        [g.id for g in extra],
    ]
    assert meeting.member("late").snapshots[-1].speakers == [g.id for g in extra]
    extra[0].ask(c.Leave())
    assert host.got("speakers")[-1].list == [g.id for g in extra[1:]]


def test_a_hand_comes_down_after_three_seconds_of_speech(people):
    """Whoever has had the floor needs no hand; a cough does not count.

    Raising while speaking starts no clock.
    """
    meeting, host, jane, paul = people
    jane.ask(c.HandSet(up=True))
    meeting.tell(c.Speakers([jane.id]))
    meeting.wait(2)
    meeting.tell(c.Speakers([]))
    meeting.wait(5)
    assert jane.row.hand is not None
    meeting.tell(c.Speakers([jane.id]))
    meeting.tell(c.Speakers([jane.id, paul.id]))
    paul.ask(c.HandSet(up=True))
    meeting.wait(3.1)
    assert host.got("hands")[-1].order == [paul.id]
    meeting.wait(5)
    assert paul.row.hand is not None
