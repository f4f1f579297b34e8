"""Random histories: whatever people, hosts, networks and clocks do, the invariants hold.

A hypothesis state machine drives a ``Meeting`` and compares every refusal for want of a right with
a model of a few lines (``model.forbidden``). Each history ends with a restore from its journal.
"""

import functools
import os

import msgspec
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from rooms import commands as c
from rooms.errors import Code, RoomError
from rooms.permissions import PUBLISH, may
from rooms.policy import (
    Features,
    FeaturesPatch,
    IdentityKind,
    Kind,
    Policy,
    PolicyPatch,
    Role,
    Source,
)
from rooms.rules import _RULES
from rooms.states import GONE
from rooms.step import Step
from tests.rooms.meeting import Guest, Meeting, stamp
from tests.rooms.model import forbidden

SOURCES = st.sampled_from(Source)
PATCHES = st.builds(
    PolicyPatch,
    lobby=st.sampled_from(["off", "guests", "walk_ins", "everyone"]),
    before_host=st.booleans(),
    mic=st.booleans(),
    chat=st.sampled_from(["all", "hosts"]),
    private=st.sampled_from(["all", "hosts"]),
    roster=st.sampled_from(["full", "count"]),
    history=st.sampled_from(["full", "since_join"]),
    host_gone=st.sampled_from(["end", "lock", "continue"]),
    cohost_may_end=st.booleans(),
    features=st.builds(FeaturesPatch, hands=st.booleans(), private=st.booleans()),
)


@functools.cache
def actions(*ids: str) -> st.SearchStrategy[c.Action]:
    """Any action, mostly sensible, aimed at anybody the room has seen."""
    who = st.sampled_from(ids)
    maybe = st.none() | who
    text = st.sampled_from(["hello", "x" * 5001, " ", "a\x00b", "<b>hi</b>"])
    return st.one_of(
        st.builds(c.Leave),
        st.builds(c.NameSet, name=st.sampled_from(["Zoe Q", "Yan R", "\t"])),
        st.builds(c.LobbyAdmit, ids=st.lists(who, max_size=3)),
        st.builds(c.LobbyAdmit, all=st.just(True), ver=st.integers(0, 200)),
        st.builds(c.LobbyDeny, ids=st.lists(who, min_size=1, max_size=2), ban=st.booleans()),
        st.builds(c.LobbyBack, who=who),
        st.builds(c.LobbySay, text=text, to=maybe),
        st.builds(c.RoleSet, who=who, role=st.sampled_from(Role)),
        st.builds(c.Remove, who=who, ban=st.booleans()),
        st.builds(c.RoomLock, on=st.booleans()),
        st.builds(c.RoomPolicy, patch=PATCHES),
        st.builds(c.RoomEndUndo),
        st.builds(c.Mute, source=SOURCES, who=maybe, all=st.booleans()),
        st.builds(c.UnmuteAsk, who=who),
        st.builds(c.PermSet, who=who, source=SOURCES, on=st.booleans()),
        st.builds(c.TrackSet, source=SOURCES, on=st.booleans()),
        st.builds(c.HandSet, up=st.booleans()),
        st.builds(c.HandLower, who=maybe, all=st.booleans()),
        st.builds(c.React, emoji=st.sampled_from("👍🎉😂")),
        st.builds(c.ChatSend, body=text, to=maybe),
        st.builds(c.ChatEdit, id=st.sampled_from(["id-0005", "id-0009"]), body=text),
        st.builds(c.ChatDelete, id=st.sampled_from(["id-0005", "id-0009"])),
        st.builds(c.ChatPage, before=st.none() | st.integers(0, 20)),
    )


class Histories(RuleBasedStateMachine):
    """People come and go, ask for everything, lose their network; time passes."""

    @initialize(
        kind=st.sampled_from(["consultation", "training"]),
        capacity=st.sampled_from([2, 4, 7, 9]),
        roles=st.lists(st.sampled_from(Role), min_size=6, max_size=6),
        lobby=st.sampled_from(["off", "guests", "walk_ins", "everyone", "from-the-future"]),
        before_host=st.booleans(),
        host_gone=st.sampled_from(["end", "lock", "continue"]),
    )
    def open(self, kind, capacity, roles, lobby, before_host, host_gone):
        policy = {"lobby": lobby, "before_host": before_host, "host_gone": host_gone}
        self.meeting = Meeting(kind=kind, capacity=capacity, policy=policy)
        self.meeting.ids.last = 0
        self.people: list[Guest] = []
        for number, role in enumerate([Role.HOST, *[Role.PARTICIPANT] * 5, Role.OBSERVER]):
            kind_ = IdentityKind.STAFF if number == 0 else IdentityKind.GUEST
            name = f"name-{number:02d}"
            fields = {"identity_kind": kind_, "role": role, "lobby": number % 2 == 0}
            self.people.append(self.meeting.guest(name, **fields))
        self.people.append(
            self.meeting.guest(
                "name-99", kind=Kind.BOT, identity_kind=IdentityKind.SERVICE, hidden=True
            )
        )

        host = self.people[0]
        for guest in self.people[: capacity + 1]:
            guest.come()
        host.ask(c.LobbyAdmit(all=True, ver=self.meeting.room.state.lobby_ver))
        for guest, role in zip(self.people[1:], roles, strict=False):
            if guest.id and role is not Role.HOST and not guest.row.waiting:
                guest.arrive()
                host.ask(c.RoleSet(guest.id, role))

    @rule(number=st.integers(0, 7))
    def come(self, number):
        try:
            self.people[number].come()
        except RoomError as refusal:
            note(f"{number} turned away: {refusal}")

    def known(self) -> list[Guest]:
        return [guest for guest in self.people if guest.id]

    @precondition(lambda self: self.known())
    @rule(data=st.data())
    def resume(self, data):
        guest = data.draw(st.sampled_from(self.known()), label="who")
        try:
            guest.resume()
        except RoomError as refusal:
            note(f"{guest.name} cannot resume: {refusal}")

    @precondition(lambda self: self.known())
    @rule(data=st.data())
    def drop(self, data):
        data.draw(st.sampled_from(self.known()), label="who").drop()

    @precondition(lambda self: self.known())
    @rule(data=st.data())
    def arrive(self, data):
        data.draw(st.sampled_from(self.known()), label="who").arrive()

    @precondition(lambda self: self.known())
    @rule(data=st.data(), times=st.integers(1, 5))
    def asks(self, data, times):
        for _ in range(times):
            self.ask(data)

    def ask(self, data):
        online = [guest for guest in self.known() if guest.row.connected]
        guest = data.draw(st.sampled_from(online or self.known()), label="who")
        action = data.draw(actions(*(g.id for g in self.known())), label="what")
        denied = forbidden(self.meeting.room.state, guest.row, action)
        try:
            guest.ask(action)
        except RoomError as refusal:
            if refusal.code is Code.FORBIDDEN:
                assert denied is not False, f"{action} was refused: {refusal}"
            elif denied:
                assert refusal.code in {
                    Code.STALE_EPOCH,
                    Code.CLOSED,
                    Code.ENDED,
                    Code.NOT_FOUND,
                    Code.BAD_REQUEST,
                    Code.RECIPIENT_GONE,
                }, f"{action} got {refusal} where a right is missing"
        else:
            assert denied is not True, f"{action} was allowed to {guest.row.role}"

    @precondition(lambda self: self.known())
    @rule(data=st.data(), grace=st.sampled_from([0.0, 5.0]), sure=st.integers(0, 9))
    def end(self, data, grace, sure):
        if sure == 9:
            try:
                data.draw(st.sampled_from(self.known())).ask(c.RoomEnd(grace_s=grace))
            except RoomError as refusal:
                note(f"the end was refused: {refusal}")

    @rule(seconds=st.sampled_from([0.05, 0.5, 3.0, 6.0, 61.0, 130.0, 301.0, 700.0]))
    def wait(self, seconds):
        self.meeting.wait(seconds)

    @rule(data=st.data())
    def speak(self, data):
        speaking = data.draw(st.lists(st.sampled_from(self.known() or self.people), max_size=3))
        self.meeting.tell(c.Speakers([guest.id for guest in speaking]))

    @rule()
    def restart(self):
        self.meeting.subscriptions.clear()
        self.meeting.room = self.meeting.restored()
        self.meeting.tell(c.Restarted())

    @invariant()
    def seats(self):
        if not hasattr(self, "meeting"):
            return
        state = self.meeting.room.state
        seated = [p for p in state.participants.values() if p.seated]
        assert len(seated) <= state.config.capacity

    @invariant()
    def attendance_is_activity(self):
        partings = self.meeting.room.state.partings if hasattr(self, "meeting") else {}
        for p in self.rows():
            assert (p.interval is not None) is (p.person and (p.active or p.id in partings))
            assert p.id not in partings or self.meeting.room.state.may_be_undone

    @invariant()
    def nothing_is_published_without_right(self):
        for p in self.rows():
            for source, right in PUBLISH.items():
                assert not p.publishes(source) or may(self.meeting.room.state, p, right)
                assert not p.publishes(source) or p.present or p.hidden

    @invariant()
    def hands_belong_to_people_who_are_in(self):
        if hasattr(self, "meeting"):
            state = self.meeting.room.state
            assert [p.id for p in self.rows() if p.hand] == sorted(
                state.hands, key=list(state.participants).index
            )
            assert all(state.participants[id_].present for id_ in state.hands)

    @invariant()
    def rules_have_nothing_to_add(self):
        if hasattr(self, "meeting"):
            room = self.meeting.room
            step = Step(room.state, room._live, self.meeting.ids, stamp, self.meeting.now)
            for settle, _kinds in _RULES:
                settle(step)
            assert step.facts == []

    @invariant()
    def timers_belong_to_rows_that_wait_for_something(self):
        if hasattr(self, "meeting"):
            room = self.meeting.room
            if room.state.over:
                assert room.next_timeout() is None
            for running in room.state.deadlines.at.values():
                for key in running:
                    assert key == "" or room.state.participants[key].state not in GONE

    @invariant()
    def waiting_people_hear_of_nobody(self):
        for guest in self.people if hasattr(self, "meeting") else []:
            if guest.id and guest.row.waiting:
                assert_hears_nothing(self, guest)

    @invariant()
    def nobody_sees_a_hidden_service(self):
        if hasattr(self, "meeting"):
            for guest in self.people[:-1]:
                for event in guest.seen:
                    assert b"name-99" not in msgspec.json.encode(event.body)

    def rows(self):
        return self.meeting.room.state.participants.values() if hasattr(self, "meeting") else ()

    def teardown(self):
        if hasattr(self, "meeting"):
            self.meeting.check()


def assert_hears_nothing(history: Histories, guest: Guest) -> None:
    """Since it waits, this client got lobby and self events that name nobody but hosts' lines."""
    streams = {f"lobby:{guest.id}", f"self:{guest.id}"}
    others = [other for other in history.known() if other is not guest]
    for event in guest.seen[guest.waiting_since :]:
        assert event.stream in streams, f"{event} reached somebody who waits"
        if event.kind != "lobby.message":
            text = msgspec.json.encode(event.body).decode()
            assert not any(other.id in text or other.name in text for other in others), text


def test_random_histories_keep_every_invariant_and_restore_to_the_same_room():
    """Whatever happens in whatever order, the invariants hold and the journal gives the room."""
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=int(os.environ.get("SUNUP_HISTORIES", "100")),
            stateful_step_count=40,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.generate],
        ),
    )


@given(policy=st.builds(Policy), features=st.builds(Features))
def test_any_policy_survives_the_journal(policy, features):
    """Policy and features are plain values: encoding them loses nothing."""
    for value in (policy, features):
        encoded = msgspec.json.encode(value)
        assert msgspec.json.decode(encoded, type=type(value)) == value
