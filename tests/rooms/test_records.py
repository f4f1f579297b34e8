"""Tables, records, ids, limits and timers: the parts that everything else leans on."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rooms import commands as c
from rooms import events as e
from rooms.errors import Code, IllegalTransition, RoomError
from rooms.events import EVENTS, FACT_KINDS, FACTS, PROJECTIONS, Event, from_record, to_record
from rooms.fold import _FOLDS
from rooms.ids import MAIN, lobby_stream, scope_stream, self_stream
from rooms.limits import RATES, Buckets
from rooms.policy import (
    Features,
    FeaturesPatch,
    Policy,
    PolicyPatch,
    merge_features,
    merge_policy,
    preset,
)
from rooms.states import (
    CHAT_MESSAGE_MACHINE,
    MACHINES,
    PARTICIPANT_MACHINE,
    ROOM_MACHINE,
    Machine,
    ParticipantState,
    PollState,
    RoomState,
    advance,
)
from rooms.timers import Deadlines, Timer

FINITE = st.floats(allow_nan=False, allow_infinity=False)
BY_NAME = {
    "attributes": st.dictionaries(st.sampled_from("ab"), st.sampled_from("ab")),
    "patch": st.just({"locked": True}),
    "lost_at": FINITE,
    "seconds": FINITE,
    "starts_at": st.none() | FINITE,
    "ends_at": st.none() | FINITE,
    "config": st.builds(
        preset,
        st.sampled_from(["consultation", "training"]),
        id=st.sampled_from("ab"),
        code=st.just("abc"),
        title=st.text(),
        starts_at=st.none() | FINITE,
        seats=st.integers(1, 200),
    ),
}


def filled(type_: type) -> st.SearchStrategy:
    """Values of a body type, by its annotations."""
    fields = {f.name: f.type for f in msgspec.structs.fields(type_)}
    return st.builds(
        type_,
        **{n: BY_NAME[n] if n in BY_NAME else st.from_type(t) for n, t in fields.items()},
    )


@pytest.mark.parametrize("body", FACTS, ids=lambda body: body.event)
def test_every_fact_survives_the_journal(body):
    """to_record → JSON → from_record gives the same fact, for every kind, with and without done."""

    @given(filled(body), st.none() | st.builds(e.Done, reply=st.just({"x": 1})))
    def survives(value, done):
        event = Event(body.event, "room", "committed", 12.5, "2027", "p1", value, done)
        record = msgspec.json.decode(msgspec.json.encode(to_record(event)))
        assert from_record(event.kind, "room", "2027", record) == event

    survives()


def test_facts_and_projections_are_told_apart():
    """Every kind is one of the two, kinds are unique, and exactly the facts are folded."""
    assert len(EVENTS) == len(FACTS) + len(PROJECTIONS)
    assert frozenset(body.event for body in FACTS) == FACT_KINDS
    assert set(_FOLDS) == set(FACTS)


def test_wire_names_that_are_python_words():
    """from, del, except and list are what stands on the wire."""
    encode = msgspec.json.encode
    assert b'"from":"p"' in encode(e.ChatMessage(id="m", no=1, from_="p", body="x", at="t"))
    assert b'"del":["p"]' in encode(e.RosterDelta(rev=1, del_=["p"]))
    assert msgspec.convert({"source": "mic", "except": ["p"]}, c.Mute).except_ == ["p"]


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        (c.NameSet, {"name": ""}),
        (c.NameSet, {"name": "x" * 81}),
        (c.React, {"emoji": "x" * 17}),
        (c.ChatPage, {"n": 101}),
        (c.RoomEnd, {"grace_s": 11}),
        (c.RoomPolicy, {"patch": {"lobby": "sometimes"}}),
        (c.RoomPolicy, {"patch": {"hidden": True}}),
        (c.TrackSet, {"source": "mic", "on": "yes"}),
        (c.TrackSet, {"source": "hologram", "on": True}),
        (c.ChatSend, {"body": "x", "as": "host"}),
        (c.LobbyAdmit, {"ids": ["x"] * 501}),
    ],
)
def test_bounds_stand_in_the_types(action, fields):
    """What a field may hold is refused at the edge, unknown fields included."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(fields, action)


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_every_state_is_reachable_and_known(machine):
    """From the initial state every state can be reached; the states are the enum's."""
    reached, frontier = set(), [machine.initial]
    while frontier:
        state = frontier.pop()
        if state not in reached:
            reached.add(state)
            frontier += machine.table[state].values()
    assert set(machine.states) == reached
    assert machine.final <= set(machine.states)


def test_an_edge_that_is_not_in_the_table_is_a_bug():
    """Machines refuse what their table does not have, and tables must be whole."""
    with pytest.raises(IllegalTransition, match="participant"):
        advance(PARTICIPANT_MACHINE, ParticipantState.BANNED, "admit")
    with pytest.raises(IllegalTransition, match="no row"):
        Machine("half", PollState.DRAFT, {PollState.DRAFT: {}})
    assert advance(ROOM_MACHINE, RoomState.LIVE, "end") is RoomState.ENDED
    assert CHAT_MESSAGE_MACHINE.final == {"deleted"}
    assert ROOM_MACHINE.allows(RoomState.DRAFT, "cancel")


def test_stream_names():
    """Streams are named as the protocol says."""
    assert scope_stream(MAIN) == "scope:main"
    assert self_stream("p") == "self:p"
    assert lobby_stream("p") == "lobby:p"


def test_presets_seat_as_ruled():
    """A consultation seats 4 with its host; a training 200 and 5 host seats."""
    fields = {"id": "r", "code": "c", "title": "t"}
    small, large = preset("consultation", **fields), preset("training", **fields)
    assert (small.capacity, small.reserved_seats) == (4, 1)
    assert (large.capacity, large.reserved_seats) == (205, 5)
    assert preset("training", **fields, seats=50).capacity == 55
    assert preset("consultation", **fields, seats=6).capacity == 6
    assert large.features.polls
    assert not small.features.polls


def test_patches_change_only_what_they_name():
    """Absent fields stay, present ones are taken."""
    assert merge_policy(Policy(), PolicyPatch()) == Policy()
    patched = merge_policy(Policy(), PolicyPatch(mic=False, features=FeaturesPatch(qa=True)))
    assert patched == Policy(mic=False)
    assert merge_features(Features(), FeaturesPatch(qa=True)) == Features(qa=True)
    assert msgspec.json.encode(PolicyPatch(mic=False)) == b'{"mic":false}'


def test_a_bucket_gives_its_burst_and_then_its_rate():
    """The burst at once, then one token per interval; the retry time is exact; keys are apart."""
    buckets, rate = Buckets(), RATES["chat"]
    for _ in range(int(rate.burst)):
        buckets.take("chat", "p", 0.0)
    with pytest.raises(RoomError) as caught:
        buckets.take("chat", "p", 0.25)
    assert caught.value.code is Code.RATE
    assert caught.value.extras["retry_ms"] == 751
    buckets.take("chat", "p", 0.25 + 0.751)
    buckets.take("chat", "q", 0.25)
    buckets.take("chat", "p", 10_000.0)


def test_the_earliest_deadline_wins_and_ties_have_an_order():
    """The earliest is by time, then by the enum's order, then by key; cleared ones are gone."""
    deadlines = Deadlines()
    assert deadlines.earliest() is None
    deadlines.clear(Timer.EMPTY)
    deadlines.set(Timer.ROSTER, 5.0)
    deadlines.set(Timer.RECONNECT, 5.0, "b")
    deadlines.set(Timer.RECONNECT, 5.0, "a")
    assert deadlines.earliest()[2:] == ("a", Timer.RECONNECT)
    deadlines.clear(Timer.RECONNECT, "a")
    deadlines.clear(Timer.RECONNECT, "b")
    deadlines.clear(Timer.RECONNECT, "b")
    assert deadlines.earliest()[3] is Timer.ROSTER
    assert deadlines.get(Timer.RECONNECT, "a") is None
    assert deadlines == Deadlines({Timer.ROSTER: {"": 5.0}})


def test_a_refusal_reads_as_its_code_and_sentence():
    """The exception's text is for logs; code, detail and extras are for answers."""
    refusal = RoomError(Code.FULL, "the waiting room is full", limit=5)
    assert str(refusal) == "full: the waiting room is full"
    assert (refusal.code, refusal.detail, refusal.extras) == (
        "full",
        "the waiting room is full",
        {"limit": 5},
    )
