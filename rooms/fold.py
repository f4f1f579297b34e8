"""The only mutator: one small function per kind of fact, and the table of them.

``apply`` never decides and never refuses; it says what a fact means. A fact that cannot be
folded (an unknown row, an edge that is not in the table) is a torn history and raises. Timers
that follow from facts are set here, so that they come back with a restore.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from .errors import CorruptHistory
from .events import (
    Body,
    ChatDeleted,
    ChatEdited,
    ChatMessage,
    Event,
    Hands,
    HostPresenceChanged,
    IntervalClosed,
    IntervalOpened,
    LinkBanned,
    LobbyMessage,
    ParticipantAway,
    ParticipantConnected,
    ParticipantDisconnected,
    ParticipantEntered,
    ParticipantMoved,
    ParticipantNamed,
    ParticipantPermission,
    ParticipantRole,
    ParticipantWaits,
    RoomChanged,
    RoomEnded,
    RoomOpened,
    RoomRescheduled,
    RoomStateChanged,
    TrackState,
)
from .ids import MAIN, ParticipantId
from .limits import CHAT_KEPT, LOBBY_KEPT, LOBBY_LINK_KEPT
from .participant import SHOWN_ROLES, Interval, Participant, Parting, Publication
from .policy import Features, Policy
from .state import Kept, State
from .states import (
    OVER,
    PRESENT,
    SEATED,
    ChatMessageState,
    HostPresence,
    ParticipantState,
    RoomState,
)
from .timers import (
    ADMITTED_S,
    AFTER_END_S,
    EMPTY_S,
    HOST_GONE_S,
    PLACE_S,
    RECONNECT_S,
    SHOW_LOST_RESTARTED_S,
    SHOW_LOST_S,
    Timer,
)

_PUT_OUT: Final = frozenset({ParticipantState.REMOVED, ParticipantState.BANNED})


def apply(state: State, event: Event) -> None:
    """Fold one fact.

    Raises:
        CorruptHistory: The fact does not fit what was folded before.
    """
    state.seq += 1
    state.now = max(state.now, event.now)
    try:
        _FOLDS[type(event.body)](state, event, event.body)
    except KeyError as error:
        raise CorruptHistory(f"fact {state.seq} ({event.kind}): no {error}") from error
    if event.done is not None:
        state.replies.remember(event.done, event.now)


def _opened(state: State, _event: Event, body: RoomOpened) -> None:
    """What the sitting began with, which the room's row may not say any more."""
    state.configure(body.config)


def _entered(state: State, event: Event, body: ParticipantEntered) -> None:
    state.participants[body.participant] = Participant(
        id=body.participant,
        identity=body.identity,
        identity_kind=body.identity_kind,
        kind=body.kind,
        name=body.name,
        role=body.role,
        base_role=body.role,
        verified=body.verified,
        hidden=body.hidden,
        link=body.link,
        lobby=body.lobby,
        deny=body.deny,
        attributes=body.attributes,
        since=event.at,
        scope=MAIN,
        shown=body.role in SHOWN_ROLES,
    )
    state.by_identity[body.identity] = body.participant


def _connected(state: State, _event: Event, body: ParticipantConnected) -> None:
    row = _touch(state, body.participant)
    row.conn_epoch = body.conn_epoch
    row.connected = True
    row.link = body.link or row.link
    row.lost_at = None
    for timer in (Timer.SHOW_LOST, Timer.RECONNECT, Timer.PLACE):
        state.deadlines.clear(timer, row.id)
    if row.waiting and row.away:
        row.away = False
        _relist(state, row)


def _disconnected(state: State, event: Event, body: ParticipantDisconnected) -> None:
    """The windows run from when the loss was noticed: after a failover everybody gets them whole."""
    row = _touch(state, body.participant)
    row.connected = False
    row.lost_at = body.lost_at
    show_lost = SHOW_LOST_S
    if body.restarted:  # where the whole room was away longer than people may be, nobody was in
        show_lost = SHOW_LOST_RESTARTED_S if event.now - body.lost_at <= RECONNECT_S else 0.0
    if row.waiting:
        state.deadlines.set(Timer.SHOW_LOST, event.now + show_lost, row.id)
        state.deadlines.set(Timer.PLACE, event.now + PLACE_S, row.id)
    elif row.active:
        state.deadlines.set(Timer.SHOW_LOST, event.now + show_lost, row.id)
        state.deadlines.set(Timer.RECONNECT, event.now + RECONNECT_S, row.id)


def _moved(state: State, event: Event, body: ParticipantMoved) -> None:
    row = _touch(state, body.participant)
    was = row.state
    row.state = body.state
    row.admitted = body.admitted
    row.waits = body.waits
    if was is ParticipantState.WAITING:
        _leave_queue(state, row)
    if row.waiting:
        row.revoked = row.revoked or was in SEATED
        row.position = body.position
        state.next_position = max(state.next_position, (body.position or 0) + 1)
        _relist(state, row)
    elif row.state in SEATED:
        row.revoked = False
    if row.join_order == 0:
        _joined(state, row, was, event.at)
    _part(state, row, event.now, body.reason)
    if row.state in {ParticipantState.ADMITTED, ParticipantState.JOINING}:
        state.deadlines.set(Timer.ADMITTED, event.now + ADMITTED_S, row.id)
    else:
        state.deadlines.clear(Timer.ADMITTED, row.id)
    if not row.active:
        state.deadlines.clear(Timer.SHOW_LOST, row.id)
    if row.state not in PRESENT:
        state.deadlines.clear(Timer.RECONNECT, row.id)
        _go_dark(row)
    if row.waiting and not row.connected:  # sent back while the connection was out
        state.deadlines.set(Timer.SHOW_LOST, event.now, row.id)
        state.deadlines.set(Timer.PLACE, event.now + PLACE_S, row.id)
    if row.gone:
        row.connected = False
        row.revoked = row.revoked or row.state in _PUT_OUT
        _forget_lines(state, [m for m in state.lobby_messages if row.id in {m.waiter, m.to}])
    _watch_empty(state, event.now)


def _joined(state: State, row: Participant, was: ParticipantState, at: str) -> None:
    """What is kept of the first time that somebody is let in, and then in."""
    if row.state in SEATED and was not in SEATED:
        row.joined_no = state.chat_no
    if row.active:
        row.join_order = state.next_join
        row.joined_at = at
        state.next_join += 1


def _part(state: State, row: Participant, now: float, reason: str) -> None:
    """Keep when somebody left in the grace of a host's end; who is back in it was never away."""
    if row.active:
        state.partings.pop(row.id, None)
    elif row.interval is not None and state.may_be_undone:
        # Their connection may be back, at the door, before it is known what counts.
        state.partings.setdefault(row.id, Parting(row.gone_at(now), reason))


def _waits(state: State, _event: Event, body: ParticipantWaits) -> None:
    row = _touch(state, body.participant)
    row.waits = body.waits
    row.admitted = body.admitted
    row.revoked = row.revoked and not body.admitted
    _relist(state, row)


def _away(state: State, _event: Event, body: ParticipantAway) -> None:
    row = _touch(state, body.participant)
    row.away = True
    state.lobby_ver = state.seq
    state.deadlines.clear(Timer.SHOW_LOST, row.id)


def _named(state: State, _event: Event, body: ParticipantNamed) -> None:
    row = _touch(state, body.participant)
    row.name = body.name
    if row.waiting:
        row.was_name = body.was
        _relist(state, row)


def _role(state: State, _event: Event, body: ParticipantRole) -> None:
    row = _touch(state, body.participant)
    row.role = body.role
    if body.reason == "link":
        row.base_role = body.role
    row.shown = row.shown or body.role in SHOWN_ROLES


def _permission(state: State, _event: Event, body: ParticipantPermission) -> None:
    row = _touch(state, body.participant)
    row.permissions.pop(body.source, None)
    if body.on is not None:
        row.permissions[body.source] = body.on


def _link_banned(state: State, _event: Event, body: LinkBanned) -> None:
    state.banned_links[body.link] = True


def _interval_opened(state: State, event: Event, body: IntervalOpened) -> None:
    row = _touch(state, body.participant)
    row.interval = Interval(body.scope, event.now, body.joined_at)


def _interval_closed(state: State, _event: Event, body: IntervalClosed) -> None:
    _touch(state, body.participant).interval = None
    state.partings.pop(body.participant, None)


def _track(state: State, _event: Event, body: TrackState) -> None:
    row = _touch(state, body.participant)
    track = row.tracks.setdefault(body.source, Publication(body.track))
    track.on = body.on
    if body.reason == "self":
        track.wanted = body.on
    row.shown = row.shown or body.on


def _rescheduled(state: State, event: Event, body: RoomRescheduled) -> None:
    state.starts_at = body.starts_at
    state.ends_at = body.ends_at
    state.schedule()
    state.deadlines.clear(Timer.EMPTY)
    _watch_empty(state, event.now)


def _room_changed(state: State, event: Event, body: RoomChanged) -> None:
    state.rev = body.rev
    patch = body.patch
    if "locked" in patch:
        state.locked = patch["locked"]
        state.locked_itself = state.locked and event.by is None
    if "policy" in patch:
        state.policy = msgspec.convert(patch["policy"], Policy)
    if "features" in patch:
        state.features = msgspec.convert(patch["features"], Features)


def _room_state(state: State, event: Event, body: RoomStateChanged) -> None:
    state.state = body.state
    state.end_reason = body.reason
    if body.state is RoomState.LIVE:
        state.parted_at = state.parted_by = None
    elif body.state is RoomState.ENDING and body.reason == "host":
        state.parted_at, state.parted_by = event.now, event.by
    deadlines = state.deadlines
    state.schedule()
    if body.state is RoomState.LIVE and state.started_at is None:
        state.started_at = event.at
    deadlines.clear(Timer.END_GRACE)
    if body.ends_in_ms is not None:
        deadlines.set(Timer.END_GRACE, event.now + body.ends_in_ms / 1000)
    if body.state in OVER:
        deadlines.at.clear()
    _watch_empty(state, event.now)


def _room_ended(state: State, _event: Event, _body: RoomEnded) -> None:
    state.finished = True


def _host_presence(state: State, event: Event, body: HostPresenceChanged) -> None:
    state.host_presence = body.state
    state.host_grace_until = body.grace_until
    deadlines = state.deadlines
    deadlines.clear(Timer.HOST_GRACE)
    deadlines.clear(Timer.HOST_GONE)
    if body.grace_ms is not None:
        deadlines.set(Timer.HOST_GRACE, event.now + body.grace_ms / 1000)
    state.host_seen = state.host_seen or body.state is HostPresence.PRESENT
    absent = body.state is HostPresence.ABSENT
    if absent and state.policy.host_gone == "lock" and state.occupied():
        deadlines.set(Timer.HOST_GONE, event.now + HOST_GONE_S)


def _hands(state: State, _event: Event, body: Hands) -> None:
    state.hands_rev = body.rev
    for participant in state.hands:
        if participant not in body.order:
            _touch(state, participant).hand = None
    for participant in body.order:
        row = state.participants[participant]
        if row.hand is None:
            row.hand = body.rev
            row.rev += 1
    state.hands = list(body.order)


def _chat(state: State, event: Event, body: ChatMessage) -> None:
    state.chat.append(Kept(body, event.now))
    state.chat_no = body.no
    if len(state.chat) > CHAT_KEPT:
        del state.chat[0]


def _chat_edited(state: State, _event: Event, body: ChatEdited) -> None:
    _rewrite(state, body.no, {"body": body.body, "state": ChatMessageState.EDITED})


def _chat_deleted(state: State, _event: Event, body: ChatDeleted) -> None:
    _rewrite(state, body.no, {"body": "", "state": ChatMessageState.DELETED})


def _lobby_message(state: State, _event: Event, body: LobbyMessage) -> None:
    state.lobby_messages.append(body)
    if body.waiter is not None and (link := state.participants[body.waiter].link) is not None:
        waiters = state.participants
        of_link = [m for m in state.lobby_messages if m.waiter and waiters[m.waiter].link == link]
        _forget_lines(state, of_link[:-LOBBY_LINK_KEPT])
    if len(state.lobby_messages) > LOBBY_KEPT:
        del state.lobby_messages[0]


def _forget_lines(state: State, lines: list[LobbyMessage]) -> None:
    if lines:
        gone = {line.id for line in lines}
        state.lobby_messages = [m for m in state.lobby_messages if m.id not in gone]


def _touch(state: State, participant: ParticipantId) -> Participant:
    row = state.participants[participant]
    row.rev += 1
    return row


def _relist(state: State, row: Participant) -> None:
    state.lobby_ver = row.listed_at = state.seq


def _leave_queue(state: State, row: Participant) -> None:
    state.lobby_ver = state.seq
    row.away = False
    row.was_name = None
    row.position = None
    state.deadlines.clear(Timer.PLACE, row.id)


def _go_dark(row: Participant) -> None:
    """Whoever is not in publishes nothing; the tracks keep their ids."""
    for track in row.tracks.values():
        track.on = track.wanted = False
    row.shown = row.role in SHOWN_ROLES


def _rewrite(state: State, no: int, changes: dict[str, Any]) -> None:
    for index, kept in enumerate(state.chat):
        if kept.message.no == no:
            state.chat[index] = replace(kept, message=replace(kept.message, **changes))


def _watch_empty(state: State, now: float) -> None:
    """Run the timer of an empty room while nobody holds a seat in a live one."""
    deadlines = state.deadlines
    if state.state is not RoomState.LIVE or state.occupied():
        deadlines.clear(Timer.EMPTY)
        return
    deadlines.clear(Timer.HOST_GONE)
    if deadlines.get(Timer.EMPTY) is None:
        due = now + EMPTY_S
        if state.ends_at is not None:
            due = max(due, state.ends_at + AFTER_END_S)
        deadlines.set(Timer.EMPTY, due)


_FOLDS: Final[dict[type[Body], Callable[[State, Event, Any], None]]] = {
    RoomOpened: _opened,
    ParticipantEntered: _entered,
    ParticipantConnected: _connected,
    ParticipantDisconnected: _disconnected,
    ParticipantMoved: _moved,
    ParticipantWaits: _waits,
    ParticipantAway: _away,
    ParticipantNamed: _named,
    ParticipantRole: _role,
    ParticipantPermission: _permission,
    LinkBanned: _link_banned,
    IntervalOpened: _interval_opened,
    IntervalClosed: _interval_closed,
    TrackState: _track,
    RoomRescheduled: _rescheduled,
    RoomChanged: _room_changed,
    RoomStateChanged: _room_state,
    RoomEnded: _room_ended,
    HostPresenceChanged: _host_presence,
    Hands: _hands,
    ChatMessage: _chat,
    ChatEdited: _chat_edited,
    ChatDeleted: _chat_deleted,
    LobbyMessage: _lobby_message,
}
