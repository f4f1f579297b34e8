"""The room's own life: lock, policy, the end and its undoing, times that move, a room that empties.

Going live, and what becomes of a room whose host is gone, follow from who is in; those rules are
in ``rooms.rules``. This file has what people and the calendar decide, and the room's timers.
"""

from typing import Any

import msgspec

from .commands import Cancelled, Finish, Rescheduled, RoomEnd, RoomEndUndo, RoomLock, RoomPolicy
from .errors import Code, RoomError
from .events import RoomChanged, RoomRescheduled, RoomStateChanged
from .ids import ROOM
from .outcome import CloseReason
from .participant import Participant
from .permissions import require
from .policy import Right, merge_features, merge_policy
from .states import ROOM_MACHINE, RoomState, advance
from .step import Step
from .timers import Timer


def room_lock(step: Step, actor: Participant, action: RoomLock) -> dict[str, Any]:
    """Lock or unlock.

    Returns:
        ``rev`` of the room.
    """
    require(step.state, actor, Right.LOCK)
    if step.state.locked is not action.on:
        change(step, {"locked": action.on})
    return {"rev": step.state.rev}


def room_policy(step: Step, actor: Participant, action: RoomPolicy) -> dict[str, Any]:
    """Change policy and features; ``rooms.rules`` applies them to everybody in this step.

    Returns:
        ``rev`` of the room.

    Raises:
        RoomError: ``forbidden`` (also for a co-host who would change what co-hosts may do).
    """
    state = step.state
    require(state, actor, Right.LOCK)
    patch: dict[str, Any] = {}
    policy = merge_policy(state.policy, action.patch)
    if policy.cohost_may_end is not state.policy.cohost_may_end:
        # It gives co-hosts a right, which is not theirs to take.
        require(state, actor, Right.GRANT_COHOST)
    if policy != state.policy:
        patch["policy"] = msgspec.to_builtins(policy)
    if action.patch.features is not msgspec.UNSET:
        features = merge_features(state.features, action.patch.features)
        if features != state.features:
            patch["features"] = msgspec.to_builtins(features)
    if patch:
        change(step, patch)
    return {"rev": state.rev}


def room_end(step: Step, actor: Participant, action: RoomEnd) -> dict[str, Any]:
    """End for all, at once or with a grace; ending what is ending already keeps the earlier time.

    Returns:
        ``ends_in_ms``: 0 when it is over.
    """
    state = step.state
    require(state, actor, Right.END)
    if action.grace_s and state.state is RoomState.LIVE:
        begin_end(step, action.grace_s, "host")
    if action.grace_s and (deadline := state.deadlines.get(Timer.END_GRACE)) is not None:
        return {"ends_in_ms": round((deadline - step.now) * 1000)}
    if not state.over:
        end(step, "host")
    return {"ends_in_ms": 0}


def room_end_undo(step: Step, actor: Participant, _action: RoomEndUndo) -> dict[str, Any]:
    """Go on after all.

    Raises:
        RoomError: ``forbidden``; ``conflict`` when nothing is ending.
    """
    require(step.state, actor, Right.END)
    if step.state.state is not RoomState.ENDING:
        raise RoomError(Code.CONFLICT, "the meeting is not ending", rev=step.state.rev)
    enter_state(step, "undo")
    return {}


def change(step: Step, patch: dict[str, Any]) -> None:
    """State new values of the room's own fields."""
    step.fact(RoomChanged(rev=step.state.rev + 1, patch=patch), ROOM)


def enter_state(
    step: Step, *triggers: str, reason: str | None = None, ends_in_s: float | None = None
) -> None:
    """Drive the room along its machine, one fact for the whole way."""
    target = step.state.state
    for trigger in triggers:
        target = advance(ROOM_MACHINE, target, trigger)
    ends_in_ms = None if ends_in_s is None else round(ends_in_s * 1000)
    step.fact(RoomStateChanged(state=target, ends_in_ms=ends_in_ms, reason=reason), ROOM)


def begin_end(step: Step, grace_s: float, reason: str) -> None:
    """Announce the end of a live room."""
    enter_state(step, "ending", reason=reason, ends_in_s=grace_s)


def end(step: Step, reason: str, trigger: str = "end") -> None:
    """End the sitting now: everybody leaves, then ``rooms.rules`` closes what is open."""
    enter_state(step, trigger, reason=reason)
    for row in list(step.state.participants.values()):
        if not row.gone:
            step.close(row, CloseReason.ENDED, reason)
            step.move(row, "leave", reason="ended")


def finish(step: Step, command: Finish) -> None:
    """The shell ends it; over already means done."""
    if not step.state.over:
        if step.state.state is RoomState.DRAFT:
            end(step, command.reason, "cancel")
        else:
            end(step, command.reason)


def cancelled(step: Step, _command: Cancelled) -> None:
    """The appointment was cancelled.

    Raises:
        RoomError: ``conflict`` once the meeting is live: it is ended, not cancelled.
    """
    if step.state.state is RoomState.CANCELLED:
        return
    if not ROOM_MACHINE.allows(step.state.state, "cancel"):
        raise RoomError(Code.CONFLICT, "a meeting that went live cannot be cancelled")
    end(step, "cancelled", "cancel")


def rescheduled(step: Step, command: Rescheduled) -> None:
    """The appointment has other times; a draft becomes scheduled by getting some."""
    state = step.state
    if state.over:
        raise RoomError(Code.ENDED, "the meeting is over")
    if (command.starts_at, command.ends_at) != (state.starts_at, state.ends_at):
        step.fact(RoomRescheduled(command.starts_at, command.ends_at))
        times = {"starts_at": command.starts_at, "ends_at": command.ends_at}
        patch = {name: t if t is None else step.stamp(t) for name, t in times.items()}
        change(step, patch)
    if state.state is RoomState.DRAFT:
        enter_state(step, "schedule")


def open_lobby(step: Step, _key: str) -> None:
    """Timer ``open_lobby``."""
    enter_state(step, "open")


def expire(step: Step, _key: str) -> None:
    """Timer ``expire``: nobody ever met here."""
    triggers = ("open", "expire") if step.state.state is RoomState.SCHEDULED else ("expire",)
    enter_state(step, *triggers, reason="expired")
    for row in step.state.queue():
        step.close(row, CloseReason.ENDED, "expired")
        step.move(row, "leave", reason="ended")


def empty(step: Step, _key: str) -> None:
    """Timer ``empty``: nobody came back."""
    end(step, "empty")


def end_grace(step: Step, _key: str) -> None:
    """Timer ``end_grace``: nobody undid the end."""
    end(step, step.state.end_reason or "host")


def host_gone(step: Step, _key: str) -> None:
    """Timer ``host_gone``: a room that was locked for want of a host ends."""
    end(step, "host_dropped")
