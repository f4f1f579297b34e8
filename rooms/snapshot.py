"""What a participant who comes in, or comes back, is told at once.

By where they stand: a waiting person gets the door's sign, themselves and their place; whoever is
in gets the room, the roster their role may see, the newest visible chat, hands and speakers; hosts
get the queue, too. The shell adds stream positions and sends events from there on.
"""

from typing import Any, Final

import msgspec
from msgspec import Struct

from .chat import newest, visible
from .errors import RoomBug
from .events import ChatMessage, LobbyMessage, LobbyState, ParticipantView, Waiter
from .ids import (
    EPHEMERAL,
    HOSTS,
    MAIN,
    ROOM,
    ParticipantId,
    Stamp,
    Stream,
    lobby_stream,
    scope_stream,
    self_stream,
)
from .limits import CHAT_SNAPSHOT
from .live import Live
from .participant import Participant
from .permissions import PUBLISH, may, rights
from .policy import Features, Policy, Right
from .project import waiting_view
from .state import State
from .states import SEATED, HostPresence, RoomState
from .timers import Timer


class DoorView(Struct, frozen=True):
    """The little that is known outside: times are ISO stamps."""

    title: str
    type: str
    state: RoomState
    starts_at: str | None
    ends_at: str | None
    host_presence: HostPresence


class RoomView(Struct, frozen=True):
    """The room's own fields, as people inside know them."""

    id: str
    code: str
    title: str
    type: str
    state: RoomState
    session_no: int
    rev: int
    starts_at: str | None
    ends_at: str | None
    started_at: str | None
    locked: bool
    features: Features
    policy: Policy
    host_presence: HostPresence
    grace_until: str | None
    ending_until: str | None


class LobbyView(Struct, frozen=True, rename={"entries": "list"}):
    """The queue for hosts: its version, its entries first come first, the last lines."""

    ver: int
    entries: list[Waiter]
    messages: list[LobbyMessage]


class Snapshot(Struct, frozen=True, omit_defaults=True):
    """For somebody who is in.

    ``roster`` is the whole one or the shown part, ``count`` always the number of people in.
    """

    room: RoomView
    me: ParticipantView
    can: list[str]
    publish: dict[str, bool]
    roster: list[ParticipantView]
    count: int
    chat: list[ChatMessage]
    hands: list[ParticipantId]
    hands_rev: int
    speakers: list[ParticipantId]
    lobby: LobbyView | None = None


class WaitingSnapshot(Struct, frozen=True):
    """For somebody who waits."""

    room: DoorView
    me: ParticipantView
    lobby: LobbyState
    messages: list[LobbyMessage]


def take(state: State, live: Live, row: Participant, stamp: Stamp) -> Snapshot | WaitingSnapshot:
    """What this row is told now.

    Raises:
        RoomBug: The row is neither in nor waiting, so there is nobody to tell.
    """
    if row.waiting:
        lobby = waiting_view(state, row, state.place(row), stamp)
        return WaitingSnapshot(
            room=door(state, stamp),
            me=row.view(),
            lobby=lobby,
            messages=[m for m in state.lobby_messages if _heard(m, row)],
        )
    if row.state not in SEATED:
        raise RoomBug(f"no snapshot for a participant who is {row.state}")
    whole = may(state, row, Right.READ_ROSTER)
    return Snapshot(
        room=_room(state, stamp),
        me=row.view(),
        can=rights(state, row),
        publish={source.value: may(state, row, right) for source, right in PUBLISH.items()},
        roster=[p.view() for p in state.present() if whole or state.shows(p)],
        count=state.count(),
        chat=newest(visible(state, row), CHAT_SNAPSHOT),
        hands=list(state.hands),
        hands_rev=state.hands_rev,
        speakers=list(live.speakers),
        lobby=_lobby(state) if row.hosting else None,
    )


def streams(row: Participant) -> tuple[Stream, ...]:
    """Which streams a participant's connection is subscribed to."""
    if row.waiting:
        return (lobby_stream(row.id), self_stream(row.id))
    if row.state not in SEATED:
        return ()
    inside = (ROOM, scope_stream(MAIN), self_stream(row.id), EPHEMERAL)
    return (*inside, HOSTS) if row.hosting else inside


def door(state: State, stamp: Stamp) -> DoorView:
    """The sign on the door, for people who wait and for the join page."""
    return DoorView(
        title=state.config.title,
        type=state.config.type,
        state=state.state,
        starts_at=_stamped(state.starts_at, stamp),
        ends_at=_stamped(state.ends_at, stamp),
        host_presence=state.host_presence,
    )


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(State)


def save(state: State) -> bytes:
    """The whole state, to start a restore from instead of the first fact."""
    return _encoder.encode(state)


def load(saved: bytes) -> State:
    """The state that was saved.

    Raises:
        msgspec.DecodeError: The bytes are none.
    """
    return _decoder.decode(saved)


def to_wire(snapshot: Snapshot | WaitingSnapshot) -> dict[str, Any]:
    """The snapshot as plain values, for the shell to add its stream positions to."""
    plain: dict[str, Any] = msgspec.to_builtins(snapshot)
    return plain


def _room(state: State, stamp: Stamp) -> RoomView:
    config = state.config
    return RoomView(
        id=config.id,
        code=config.code,
        title=config.title,
        type=config.type,
        state=state.state,
        session_no=config.session_no,
        rev=state.rev,
        starts_at=_stamped(state.starts_at, stamp),
        ends_at=_stamped(state.ends_at, stamp),
        started_at=state.started_at,
        locked=state.locked,
        features=state.features,
        policy=state.policy,
        host_presence=state.host_presence,
        grace_until=state.host_grace_until,
        ending_until=_stamped(state.deadlines.get(Timer.END_GRACE), stamp),
    )


def _lobby(state: State) -> LobbyView:
    return LobbyView(
        ver=state.lobby_ver,
        entries=[row.waiter() for row in state.listed()],
        messages=list(state.lobby_messages),
    )


def _heard(message: LobbyMessage, row: Participant) -> bool:
    """Whether a waiting person may see this line: their own talk, and what all were told."""
    to_all = message.to is None and message.waiter is None and message.at >= row.since
    return to_all or row.id in {message.to, message.waiter}


def _stamped(when: float | None, stamp: Stamp) -> str | None:
    return None if when is None else stamp(when)
