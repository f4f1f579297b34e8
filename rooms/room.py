"""The room: one input in, one outcome out, and nothing else happens in between.

Drive it like this, one input at a time, and drain each outcome before the next::

    if room.next_timeout() is not None and room.next_timeout() <= now:
        carry_out(room.handle_timeout(now))
    carry_out(room.handle(command, now))     # raises RoomError: refused, nothing changed

To carry out an outcome: give the facts their sequence numbers (``room.seq`` counts them, from
1) and every event its place in its stream; end the subscriptions that ``withdraw`` names; take
``room.snapshot`` for everybody in ``resync`` and subscribe them to ``room.streams``; journal the facts, wait for the commit; then
answer, send, and close. After a snapshot that follows an admission send a ping: the first frame
back is ``Arrived``. A room whose commit failed is thrown away and restored from the journal.

Decisions are in the file of their subject (entry, lobby, moderation, publishing, signals, chat,
lifecycle), consequences in ``rooms.rules``, the fold in ``rooms.fold``, screens in
``rooms.project``.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

from . import chat, entry, lifecycle, lobby, moderation, publishing, rules, signals, snapshot
from .commands import (
    Action,
    Arrived,
    Cancelled,
    ChatDelete,
    ChatEdit,
    ChatPage,
    ChatSend,
    Disconnected,
    Enter,
    Finish,
    HandLower,
    HandSet,
    Input,
    Leave,
    LinksClosed,
    LinksVoided,
    LobbyAdmit,
    LobbyBack,
    LobbyDeny,
    LobbySay,
    Mute,
    NameSet,
    PermSet,
    React,
    Remove,
    Request,
    Rescheduled,
    Restarted,
    Resume,
    RoleSet,
    RoomEnd,
    RoomEndUndo,
    RoomLock,
    RoomPolicy,
    Speakers,
    TrackSet,
    UnmuteAsk,
)
from .errors import Code, RoomBug, RoomError
from .events import Done, Event
from .fold import apply
from .ids import Ids, ParticipantId, Stamp, Stream
from .limits import UNJOURNALED_REPLIES
from .live import Live
from .outcome import Outcome
from .participant import Participant
from .permissions import may
from .policy import Right, RoomConfig
from .project import places, settle
from .replies import digest
from .roster import flush
from .snapshot import DoorView, Snapshot, WaitingSnapshot
from .state import State
from .step import Step
from .timers import PLACE_KEPT, Timer


class Room:
    """One sitting of one room.

    Args:
        config: What the room is set up to be.
        ids: Where ids come from.
        stamp: Room time → ISO stamp.
    """

    def __init__(self, config: RoomConfig, ids: Ids, stamp: Stamp) -> None:
        self._open(State.initial(config), ids, stamp)

    @classmethod
    def restore(
        cls,
        initial: RoomConfig | bytes,
        events: Iterable[Event],
        ids: Ids,
        stamp: Stamp,
    ) -> "Room":
        """The room that wrote these facts. Tell it ``Restarted`` if it runs on a fresh node.

        Args:
            initial: The configuration, or what ``save`` gave. A sitting that has facts starts from
                the configuration in its first one, whatever the room's row says by now.
            events: The facts since then, in order (``events.from_record``).
            ids: As for a new room.
            stamp: As for a new room.

        Raises:
            CorruptHistory: The facts do not fold.
        """
        history = History(initial)
        history.fold(events)
        return cls.of(history, ids, stamp)

    @classmethod
    def of(cls, history: "History", ids: Ids, stamp: Stamp) -> "Room":
        """As ``restore``, from facts that were folded before, some at a time."""
        room = cls.__new__(cls)
        room._open(history.state, ids, stamp)  # noqa: SLF001  # it is this class
        return room

    def _open(self, state: State, ids: Ids, stamp: Stamp) -> None:
        self.state = state
        self._ids = ids
        self._stamp = stamp
        self._now = state.now
        self._live = Live(state)

    @property
    def seq(self) -> int:
        """How many facts this sitting has: the sequence number of the newest."""
        return self.state.seq

    def save(self) -> bytes:
        """Everything that ``restore`` needs in place of the facts so far."""
        return snapshot.save(self.state)

    def handle(self, command: Input, now: float) -> Outcome:
        """Decide one input.

        Args:
            command: What somebody asks or the shell reports.
            now: Room time; an earlier one than before counts as that one.

        Raises:
            RoomError: Refused; the room is as it was.
            RoomBug: A defect; throw the room away.
        """
        step = self._step(now)
        try:
            if isinstance(command, Request):
                return self._request(step, command)
            _INPUTS[type(command)](step, command)
        except RoomError:
            step.untouched()
            raise
        return self._finish(step, {})

    def next_timeout(self) -> float | None:
        """When ``handle_timeout`` is due (room time), or None."""
        due = [
            d[0] for d in (self.state.deadlines.earliest(), self._live.deadlines.earliest()) if d
        ]
        return min(due, default=None)

    @property
    def keeps_a_place(self) -> bool:
        """Whether somebody who is not there may still come back to where they were, or come in."""
        return any(timer in self.state.deadlines.at for timer in PLACE_KEPT)

    def handle_timeout(self, now: float) -> Outcome:
        """Fire everything that is due, in order of time."""
        step = self._step(now)
        while (timer := self._due(step.now)) is not None:
            name, key = timer
            _TIMERS[name](step, key)
            rules.apply_rules(step)
            if self._due(step.now) == timer:
                raise RoomBug(f"timer {name} fired and is still due")
        return self._finish(step, {})

    def snapshot(self, participant: ParticipantId) -> Snapshot | WaitingSnapshot:
        """What this participant is to be told now; ``snapshot.to_wire`` makes it plain."""
        return snapshot.take(self.state, self._live, self._row(participant), self._stamp)

    def streams(self, participant: ParticipantId) -> tuple[Stream, ...]:
        """Which streams this participant's connection hears now."""
        return snapshot.streams(self._row(participant))

    def door(self) -> DoorView:
        """What may be known outside."""
        return snapshot.door(self.state, self._stamp)

    def speakers(self) -> list[ParticipantId]:
        """Who speaks now, loudest first."""
        return list(self._live.speakers)

    def participant(self, participant: ParticipantId) -> Participant | None:
        """A row, to read."""
        return self.state.participants.get(participant)

    def may(self, participant: ParticipantId, right: Right) -> bool:
        """Whether the participant has the right now: for the shell's own commands."""
        row = self.state.participants.get(participant)
        return row is not None and may(self.state, row, right)

    def _step(self, now: float) -> Step:
        self._now = max(self._now, now)
        return Step(self.state, self._live, self._ids, self._stamp, self._now)

    def _row(self, participant: ParticipantId) -> Participant:
        row = self.state.participants.get(participant)
        if row is None:
            raise RoomBug(f"the shell asks about {participant!r}, who is not in this room")
        return row

    def _due(self, now: float) -> tuple[Timer, str] | None:
        running = (self.state.deadlines.earliest(), self._live.deadlines.earliest())
        when, _rank, key, timer = min((d for d in running if d), default=(now + 1, 0, "", None))
        return None if timer is None or when > now else (timer, key)

    def _request(self, step: Step, request: Request) -> Outcome:
        actor = step.state.participants.get(request.by)
        if actor is None:
            raise RoomError(Code.NOT_FOUND, "there is no such participant")
        if request.conn_epoch != actor.conn_epoch:
            raise RoomError(Code.STALE_EPOCH, "a newer connection has taken over")
        reads = isinstance(request.action, _READS)
        for replies in () if reads else (step.state.replies, step.live.replies):
            known = replies.find(actor.identity, request.id, request.action, step.now)
            if known is not None:
                return Outcome(reply=known.reply, repeated=True)
        over = _over(step, actor, request.action)
        if over is not None:
            return over
        _check_request(step, actor, request)
        handler = _ACTIONS.get(type(request.action))
        if handler is None:
            raise RoomError(Code.UNSUPPORTED, f"this room does not know {request.action.method}")
        step.by = actor.id
        reply = handler(step, actor, request.action)
        entry.arrive(step, actor)
        done = Done(actor.identity, request.id, digest(request.action), reply)
        return self._finish(step, reply, None if reads else done)

    def _finish(self, step: Step, reply: dict[str, Any], done: Done | None = None) -> Outcome:
        rules.apply_rules(step)
        if done is not None:
            if step.facts:
                step.sign(done)
            else:
                step.live.replies.remember(done, step.now, UNJOURNALED_REPLIES)
        settle(step)
        return step.outcome(reply)


class History:
    """The facts of a sitting while they are folded: a shell may do other things in between.

    Args:
        initial: As for ``Room.restore``.
    """

    def __init__(self, initial: RoomConfig | bytes) -> None:
        self.state = (
            snapshot.load(initial) if isinstance(initial, bytes) else State.initial(initial)
        )

    def fold(self, events: Iterable[Event]) -> None:
        """Add the facts that come next.

        Raises:
            CorruptHistory: They do not fold.
        """
        for event in events:
            apply(self.state, event)


def _leave(step: Step, actor: Participant, _action: Leave) -> dict[str, Any]:
    entry.leave(step, actor)
    return {}


def _restarted(step: Step, command: Restarted) -> None:
    known = step.state.now
    lost_at = known if command.lost_at is None else min(max(known, command.lost_at), step.now)
    for row in step.state.participants.values():
        if row.connected:
            entry.lose(step, row, lost_at, restarted=True)


def _over(step: Step, actor: Participant, action: Action) -> Outcome | None:
    """A request to a room that is over: ending it again is fine, all else is refused."""
    if not step.state.over:
        return None
    if isinstance(action, RoomEnd) and may(step.state, actor, Right.END):
        return Outcome(reply={"ends_in_ms": 0}, repeated=True)
    raise RoomError(Code.ENDED, "the meeting has ended")


def _check_request(step: Step, actor: Participant, request: Request) -> None:
    if actor.gone:
        raise RoomError(Code.CLOSED, "this participant has left", state=actor.state.value)
    if not actor.connected:
        raise RoomError(Code.STALE_EPOCH, "this connection was given up")
    if actor.waiting and not isinstance(request.action, _WHILE_WAITING):
        raise RoomError(Code.FORBIDDEN, "this person is waiting", need="admission")
    if request.if_rev is not None and isinstance(request.action, _VERSIONED):
        rev = step.state.rev
        if request.if_rev != rev:
            raise RoomError(Code.CONFLICT, "the room has changed since", rev=rev)


_WHILE_WAITING: Final = (Leave, NameSet, LobbySay)
_READS: Final = (ChatPage,)
"""They change nothing, and their answers are large: a repeated one is carried out again."""
_VERSIONED: Final = (RoomLock, RoomPolicy)

_ACTIONS: Final[dict[type[Action], Callable[[Step, Participant, Any], dict[str, Any]]]] = {
    Leave: _leave,
    NameSet: moderation.name_set,
    LobbyAdmit: lobby.lobby_admit,
    LobbyDeny: lobby.lobby_deny,
    LobbyBack: lobby.lobby_back,
    LobbySay: lobby.lobby_say,
    RoleSet: moderation.role_set,
    Remove: moderation.remove,
    RoomLock: lifecycle.room_lock,
    RoomPolicy: lifecycle.room_policy,
    RoomEnd: lifecycle.room_end,
    RoomEndUndo: lifecycle.room_end_undo,
    Mute: publishing.mute,
    UnmuteAsk: publishing.unmute_ask,
    PermSet: publishing.perm_set,
    TrackSet: publishing.track_set,
    HandSet: signals.hand_set,
    HandLower: signals.hand_lower,
    React: signals.react,
    ChatSend: chat.chat_send,
    ChatEdit: chat.chat_edit,
    ChatDelete: chat.chat_delete,
    ChatPage: chat.chat_page,
}

_INPUTS: Final[dict[type[Any], Callable[[Step, Any], None]]] = {
    Enter: entry.enter,
    Resume: entry.resume,
    Arrived: entry.arrived,
    Disconnected: entry.disconnected,
    Speakers: signals.speakers,
    Rescheduled: lifecycle.rescheduled,
    Cancelled: lifecycle.cancelled,
    LinksClosed: moderation.links_closed,
    LinksVoided: moderation.links_voided,
    Finish: lifecycle.finish,
    Restarted: _restarted,
}

_TIMERS: Final[dict[Timer, Callable[[Step, str], None]]] = {
    Timer.OPEN_LOBBY: lifecycle.open_lobby,
    Timer.EXPIRE: lifecycle.expire,
    Timer.HOST_GRACE: rules.host_grace,
    Timer.HOST_GONE: lifecycle.host_gone,
    Timer.EMPTY: lifecycle.empty,
    Timer.END_GRACE: lifecycle.end_grace,
    Timer.SHOW_LOST: entry.show_lost,
    Timer.RECONNECT: entry.give_up,
    Timer.ADMITTED: entry.give_up,
    Timer.PLACE: entry.give_up,
    Timer.ROSTER: flush,
    Timer.PLACES: places,
    Timer.REACTIONS: signals.sum_reactions,
    Timer.HAND_SPOKEN: signals.hand_spoken,
}
