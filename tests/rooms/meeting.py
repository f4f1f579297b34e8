"""A meeting under test: a room with a fake clock, and a shell that carries out what it says.

The shell is what ``rooms.room`` asks of one: events go to whoever is subscribed to their stream,
snapshots and closes are carried out in order, facts are kept as a journal of plain JSON. Read
``Meeting.ask`` and ``Guest``; a scenario is mostly calls of these.
"""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from rooms import commands as c
from rooms.commands import Action, Entered
from rooms.errors import RoomError
from rooms.events import Event, from_record, to_record
from rooms.ids import ConnEpoch, Identity, LinkId, ParticipantId, RequestId
from rooms.outcome import Close, Outcome
from rooms.participant import Participant
from rooms.policy import Features, IdentityKind, Policy, Role, RoomConfig, preset
from rooms.room import Room

START = 1_800_000_000.0
"""Room time at which a test's meeting is scheduled to start."""


def stamp(when: float) -> str:
    """Room time as ISO 8601 UTC with milliseconds."""
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds")


class Counter:
    """Ids that a failed test can be read by: id-0001, id-0002 and so on."""

    def __init__(self) -> None:
        self.last = 0

    def new(self) -> str:
        self.last += 1
        return f"id-{self.last:04d}"


def config(kind: str = "consultation", **changes: Any) -> RoomConfig:
    """A room of a preset, starting at START for an hour; policy fields by ``policy=dict``."""
    base = preset(
        kind, id="room-1", code="abc", title="Roof review", starts_at=START, ends_at=START + 3600
    )
    policy: dict[str, Any] = changes.pop("policy", {})
    features: dict[str, Any] = changes.pop("features", {})
    return msgspec.structs.replace(
        base,
        policy=msgspec.structs.replace(base.policy, **policy),
        features=msgspec.structs.replace(base.features, **features),
        **changes,
    )


class Guest:
    """Somebody's client: one connection at a time, and what came over it."""

    def __init__(self, meeting: "Meeting", name: str, enter: c.Enter) -> None:
        self.meeting = meeting
        self.name = name
        self.enter = enter
        self.id = ParticipantId("")
        self.conn = ConnEpoch(0)
        self.seen: list[Event] = []
        self.snapshots: list[Any] = []
        self.closed: list[Close] = []
        self.requests = 0
        self.waiting_since = 0

    def come(self) -> Entered:
        """Enter with a new page; takes the connection of an older one."""
        outcome = self.meeting.carry(self.meeting.room.handle(self.enter, self.meeting.now))
        return self._entered(outcome)

    def resume(self) -> Entered:
        """Come back over a new connection of the same page."""
        command = c.Resume(self.id)
        outcome = self.meeting.carry(self.meeting.room.handle(command, self.meeting.now))
        return self._entered(outcome)

    def _entered(self, outcome: Outcome) -> Entered:
        entered = outcome.entered
        assert entered is not None
        self.id, self.conn = entered.participant, entered.conn_epoch
        self.meeting.guests[self.id] = self
        self.meeting.subscribe(self)
        assert self.row.state == entered.state
        return entered

    def drop(self) -> None:
        """Lose the connection."""
        self.meeting.tell(c.Disconnected(self.id, self.conn))
        self.meeting.subscriptions.pop(self.id, None)

    def arrive(self) -> None:
        """Give the sign of life that follows an admission."""
        self.meeting.tell(c.Arrived(self.id, self.conn))

    def ask(self, action: Action, *, rid: str | None = None, if_rev: int | None = None) -> dict:
        """Send a request and return the reply."""
        self.requests += 1
        request_id = RequestId(rid or f"{self.name}-{self.requests}")
        request = c.Request(self.id, self.conn, request_id, action, if_rev)
        return self.meeting.carry(self.meeting.room.handle(request, self.meeting.now)).reply

    def refused(self, action: Action, **kwargs: Any) -> RoomError:
        """Send a request that must be refused, and return the refusal."""
        with pytest.raises(RoomError) as caught:
            self.ask(action, **kwargs)
        return caught.value

    def turned_away(self) -> RoomError:
        """Enter, and must be refused."""
        with pytest.raises(RoomError) as caught:
            self.come()
        return caught.value

    @property
    def row(self) -> Participant:
        """The row as it is now."""
        return self.meeting.room.state.participants[self.id]

    @property
    def state(self) -> str:
        """Its state."""
        return self.row.state.value

    def got(self, kind: str) -> list[Any]:
        """The bodies of this kind that were received, oldest first."""
        return [event.body for event in self.seen if event.kind == kind]

    def forget(self) -> None:
        """Start counting received events anew."""
        self.seen.clear()


class Meeting:
    """A room, its clock and its clients."""

    def __init__(self, room_config: RoomConfig | None = None, **changes: Any) -> None:
        self.config = room_config or config(**changes)
        self.ids = Counter()
        self.room = Room(self.config, self.ids, stamp)
        self.now = START - 60
        self.journal: list[tuple[str, str, str, bytes]] = []
        self.guests: dict[ParticipantId, Guest] = {}
        self.subscriptions: dict[ParticipantId, frozenset[str]] = {}
        self.outcomes: list[Outcome] = []

    def guest(self, name: str, **fields: Any) -> Guest:
        """A client that has not come yet."""
        fields.setdefault("identity", Identity(f"guest:{name}"))
        fields.setdefault("identity_kind", IdentityKind.GUEST)
        fields.setdefault("link", LinkId("guest-link"))
        return Guest(self, name, c.Enter(name=name, **fields))

    def host(self, name: str = "Ana", **fields: Any) -> Guest:
        """A host who is in."""
        fields.setdefault("identity", Identity(f"staff:{name}"))
        fields.setdefault("link", LinkId("host-link"))
        guest = self.guest(
            name, identity_kind=IdentityKind.STAFF, role=Role.HOST, verified=True, **fields
        )
        guest.come()
        return guest

    def person(self, name: str, **fields: Any) -> Guest:
        """Somebody whom the link names, and who has not come yet."""
        fields.setdefault("identity", Identity(f"person:{name}"))
        fields.setdefault("link", LinkId(f"link-{name}"))
        return self.guest(name, identity_kind=IdentityKind.PERSON, verified=True, **fields)

    def member(self, name: str, role: Role = Role.PARTICIPANT, **fields: Any) -> Guest:
        """Somebody who is in by a link that passes the waiting room."""
        guest = self.guest(name, role=role, lobby=False, **fields)
        guest.come()
        return guest

    def tell(self, command: c.Input) -> Outcome:
        """Report something to the room."""
        return self.carry(self.room.handle(command, self.now))

    def wait(self, seconds: float) -> None:
        """Let time pass, firing each timer when it is due."""
        until = self.now + seconds
        while (due := self.room.next_timeout()) is not None and due <= until:
            self.now = max(self.now, due)
            self.carry(self.room.handle_timeout(self.now))
        self.now = until

    def carry(self, outcome: Outcome) -> Outcome:
        """Do what a shell does with an outcome."""
        self.outcomes.append(outcome)
        for id_ in outcome.withdraw:
            kept = self.subscriptions.get(id_, frozenset()) & set(self.room.streams(id_))
            self.subscriptions[id_] = kept
        for event in outcome.events:
            if event.durability == "committed":
                record = msgspec.json.encode(to_record(event))
                self.journal.append((event.kind, event.stream, event.at, record))
            if event.kind == "participant.state" and event.body.participant in self.guests:
                # Before this outcome's own events: what the same step tells counts, too.
                mover = self.guests[event.body.participant]
                mover.waiting_since = len(mover.seen)
            for id_, streams in self.subscriptions.items():
                if event.stream in streams:
                    self.guests[id_].seen.append(event)
        for id_ in outcome.resync:
            self.subscribe(self.guests[id_])
        for close in outcome.closes:
            guest = self.guests[close.participant]
            guest.closed.append(close)
            self.subscriptions.pop(close.participant, None)
        return outcome

    def subscribe(self, guest: Guest) -> None:
        """Subscribe a connected client to its streams, and send it a snapshot."""
        if guest.row.connected:
            self.subscriptions[guest.id] = frozenset(self.room.streams(guest.id))
            guest.snapshots.append(self.room.snapshot(guest.id))

    def facts(self) -> list[Event]:
        """The journal, read back."""
        return [
            from_record(kind, stream, at, msgspec.json.decode(record))
            for kind, stream, at, record in self.journal
        ]

    def bodies(self, kind: str) -> list[Any]:
        """The bodies of the journal's facts of this kind."""
        return [fact.body for fact in self.facts() if fact.kind == kind]

    def recorded(self) -> RoomConfig:
        """The configuration that its row gives by now: the room's own changes are in it."""
        changes: dict[str, Any] = {}
        for fact in self.facts():
            if fact.kind == "room.changed":
                patch = fact.body.patch
                for field, kind in (("policy", Policy), ("features", Features)):
                    if field in patch:
                        changes[field] = msgspec.convert(patch[field], kind)
            elif fact.kind == "room.rescheduled":
                changes.update(starts_at=fact.body.starts_at, ends_at=fact.body.ends_at)
        return msgspec.structs.replace(self.config, **changes)

    def restored(self) -> Room:
        """The room that the journal and the row of now give."""
        return Room.restore(self.recorded(), self.facts(), self.ids, stamp)

    def check(self) -> None:
        """What holds after any history: the journal gives the same room, by both ways."""
        assert self.restored().state == self.room.state
        assert self.room.seq == len(self.journal)
        saved = Room.restore(self.room.save(), [], self.ids, stamp)
        assert saved.state == self.room.state
