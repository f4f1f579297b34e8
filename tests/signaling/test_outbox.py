"""What a slow client costs: bounded bytes, shed by class, merged exactly."""

import json
import random

import pytest

from rooms.events import ParticipantView, RosterDelta
from rooms.policy import IdentityKind, Kind, Role
from rooms.states import ParticipantState
from signaling.envelope import CODECS, Encoded, Event
from signaling.outbox import (
    EPHEMERAL_BYTES,
    MAX_BYTES,
    FrameClass,
    Outbox,
    SlowClientError,
    classify,
    merge_deltas,
)

CODEC = CODECS["sunup.v1.json"]


def view(who, name="N", rev=1):
    return ParticipantView(
        id=who, identity_kind=IdentityKind.GUEST, kind=Kind.PERSON, name=name,
        role=Role.PARTICIPANT, state=ParticipantState.ACTIVE, verified=False,
        tracks={"mic": False}, track_ids={}, hand=None, joined_at=None, rev=rev,
    )  # fmt: skip


def frame(kind="chat.msg", stream="scope:main", size=10, number=1, body=None):
    return Encoded(Event(stream, 1, kind, "", None, body or {"x": "x" * size}, number))


def delta(number, stream="room", epoch=1, **members):
    return Encoded(
        Event(stream, epoch, "roster.delta", "", None, RosterDelta(number, **members), number)
    )


def drained(outbox):
    found = []
    while (data := outbox.pop()) is not None:
        found.append(json.loads(data))
    return found


def test_frames_come_out_in_order_and_the_size_is_exact():
    """First in, first out, to the byte."""
    outbox = Outbox(CODEC)
    frames = [frame(number=number) for number in range(1, 6)]
    for one in frames:
        outbox.push(one)
    assert outbox.size == sum(len(one.to(CODEC)) for one in frames)
    assert [one["s"] for one in drained(outbox)] == [1, 2, 3, 4, 5]
    assert outbox.size == 0
    assert outbox.pop() is None


def test_frames_have_classes():
    """Passing frames and roster deltas are told from the rest."""
    assert classify(frame(stream="eph", kind="speakers")) is FrameClass.EPHEMERAL
    assert classify(delta(1)) is FrameClass.DELTA
    assert classify(frame()) is FrameClass.NORMAL


@pytest.mark.parametrize("kind", ["slot.bind", "resumed", "superseded", "ended", "draining"])
def test_what_is_told_once_is_not_dropped(kind):
    """Nobody repeats it: a name would stay under another's picture, a resume would never end."""
    outbox = Outbox(CODEC)
    outbox.push(frame(size=EPHEMERAL_BYTES))
    outbox.push(frame(stream="eph", kind=kind))
    while outbox.size < MAX_BYTES - 5000:
        outbox.push(frame(size=4000))
    with pytest.raises(SlowClientError):
        outbox.push(frame(size=10_000))
    assert [one["t"] for one in drained(outbox)].count(kind) == 1


def test_passing_frames_are_not_queued_behind_much():
    """Once 64 KiB wait, speakers and reactions are dropped and counted."""
    outbox = Outbox(CODEC)
    outbox.push(frame(size=EPHEMERAL_BYTES))
    outbox.push(frame(stream="eph", kind="speakers"))
    assert (len(outbox), outbox.shed) == (1, 1)


def test_at_the_limit_passing_frames_go_first_and_then_the_client():
    """What was queued of passing frames makes room; when there is none left, it is too slow."""
    outbox = Outbox(CODEC)
    for _ in range(20):
        outbox.push(frame(stream="eph", kind="speakers", size=1000))
    while outbox.size < MAX_BYTES - 5000:
        outbox.push(frame(size=4000))
    outbox.push(frame(size=10_000))
    assert outbox.shed == 20
    with pytest.raises(SlowClientError):
        for _ in range(10):
            outbox.push(frame(size=4000))
    assert outbox.size <= MAX_BYTES


def test_what_waits_in_the_socket_counts():
    """Bytes in the socket's buffer are part of the megabyte."""
    with pytest.raises(SlowClientError):
        Outbox(CODEC).push(frame(size=100), buffered=MAX_BYTES)


def test_a_snapshot_alone_makes_no_client_slow():
    """However large it is, it is sent, and a megabyte of other frames may wait behind it."""
    large = frame("snapshot", "self:a", size=2 * MAX_BYTES)
    for direct in (True, False):
        outbox, buffered = Outbox(CODEC), 0
        if direct:
            outbox.note(large)
            buffered = len(large.to(CODEC))
        else:
            outbox.push(large)
        outbox.push(frame(size=MAX_BYTES - 1000), buffered=buffered)
        with pytest.raises(SlowClientError):
            outbox.push(frame(size=2000), buffered=buffered)


def test_deltas_that_follow_each_other_become_one():
    """`n` says how many events the merged one stands for; other streams may lie between."""
    outbox = Outbox(CODEC)
    outbox.push(delta(1, add=[view("a")]))
    outbox.push(frame(stream="scope:main"))
    outbox.push(delta(2, add=[view("b")]))
    outbox.push(delta(3, del_=["a"]))
    first, chat = drained(outbox)
    assert (first["s"], first["n"], chat["t"]) == (3, 3, "chat.msg")
    assert [member["id"] for member in first["p"]["add"]] == ["b"]
    assert first["p"]["del"] == ["a"]


def test_deltas_are_not_merged_across_another_event_of_the_room():
    """The order within the room stream is kept."""
    outbox = Outbox(CODEC)
    outbox.push(delta(1, add=[view("a")]))
    outbox.push(frame(stream="room", kind="room.state", number=2))
    outbox.push(delta(3, add=[view("b")]))
    assert [one["s"] for one in drained(outbox)] == [1, 2, 3]


def test_deltas_of_two_streams_stay_apart():
    """A host gets both: each stream keeps its own numbers, and merges within itself."""
    outbox = Outbox(CODEC)
    outbox.push(delta(7, add=[view("a")]))
    outbox.push(delta(3, stream="hosts", add=[view("b")]))
    outbox.push(delta(8, add=[view("c")]))
    outbox.push(delta(4, stream="hosts", add=[view("d")]))
    assert [(one["st"], one["s"], one["n"]) for one in drained(outbox)] == [
        ("room", 8, 2),
        ("hosts", 4, 2),
    ]


def test_somebody_who_moves_between_streams_is_not_overtaken():
    """A delta stays behind what another stream says of the same person."""
    outbox = Outbox(CODEC)
    outbox.push(delta(1, add=[view("a")]))
    outbox.push(delta(1, stream="hosts", del_=["b"]))
    outbox.push(delta(2, add=[view("b")]))
    assert [one["st"] for one in drained(outbox)] == ["room", "hosts", "room"]


def test_deltas_are_merged_within_one_epoch_and_without_a_gap():
    """Numbers begin again with an epoch, and `n` counts a run of them."""
    outbox = Outbox(CODEC)
    outbox.push(delta(1, add=[view("a")]))
    outbox.push(delta(2, epoch=2, add=[view("b")]))
    outbox.push(delta(4, epoch=2, add=[view("c")]))
    assert [(one["ep"], one["s"]) for one in drained(outbox)] == [(1, 1), (2, 2), (2, 4)]


def test_no_delta_moves_before_a_snapshot():
    """The snapshot would take away again what came after it."""
    outbox = Outbox(CODEC)
    outbox.push(delta(1, add=[view("a")]))
    outbox.push(frame(stream="self:a", kind="snapshot"))
    outbox.push(delta(2, add=[view("b")]))
    assert [one["t"] for one in drained(outbox)] == ["roster.delta", "snapshot", "roster.delta"]


def applied(roster, one):
    roster = {who: roster[who] for who in roster if who not in one["del"]}
    roster |= {member["id"]: member for member in one["add"]}
    for fields in one["upd"]:
        if fields["id"] in roster:
            roster[fields["id"]] = {**roster[fields["id"]], **fields}
    return roster


def test_a_merged_delta_has_the_effect_of_both():
    """Random pairs of deltas: applying the merged one gives what applying both gives."""
    rng = random.Random(3)
    print("seed 3")

    def plain(value):
        return json.loads(CODEC.encode(Event("room", 1, "x", "", None, value)))["p"]

    for _ in range(500):
        roster = {who: plain({"v": view(who)})["v"] for who in "abc"}
        present = set(roster)
        pair = []
        for rev in (1, 2):
            gone = [who for who in sorted(present) if rng.random() < 0.3]
            present -= set(gone)
            new = [who for who in "abcdef" if who not in present and rng.random() < 0.3]
            upd = [
                {"id": who, "name": f"{who}{rng.randrange(9)}", "rev": rev}
                for who in sorted(present)
                if rng.random() < 0.4
            ]
            present |= set(new)
            pair.append(RosterDelta(rev, [view(who, rev=rev) for who in new], upd, gone))
        both = applied(applied(roster, plain(pair[0])), plain(pair[1]))
        merged = applied(roster, plain(merge_deltas(*pair)))
        assert merged == both
