"""What follows by itself: the rules that hold after every step, whatever caused it.

Each rule compares what is with what must be and states the facts that close the gap, so no path
through the commands can forget one. They run in this order when one of the kinds of facts that can
open their gap was stated, until nothing follows; running them again would state nothing (a test
proves it).
"""

from collections.abc import Callable
from typing import Final

from .events import (
    Body,
    HostPresenceChanged,
    IntervalClosed,
    IntervalOpened,
    ParticipantConnected,
    ParticipantMoved,
    ParticipantPermission,
    ParticipantRole,
    RoomChanged,
    RoomEnded,
    RoomStateChanged,
)
from .ids import ROOM, ParticipantId
from .lifecycle import begin_end, change, end, enter_state
from .lobby import reconsider
from .moderation import give_role
from .participant import Interval, Participant, Parting
from .permissions import PUBLISH, may
from .policy import Right, Role
from .publishing import turn_off
from .signals import lower
from .states import HOST_PRESENCE_MACHINE, HostPresence, RoomState, advance
from .step import Step
from .timers import HOST_GONE_END_S, HOST_GRACE_S, HOST_LEFT_GRACE_S, Timer


def settle_rights(step: Step) -> None:
    """What is published, and whose hand is up, is covered by rights."""
    state = step.state
    for row in state.participants.values():
        for source, right in PUBLISH.items():
            if row.publishes(source) and not may(state, row, right):
                turn_off(step, row, source, "policy")


def settle_hands(step: Step) -> None:
    """Only people who are in and may raise a hand have one up."""
    state = step.state
    rows = (state.participants[id_] for id_ in state.hands)
    lower(step, {p.id for p in rows if not (p.present and may(state, p, Right.RAISE_HAND))})


def settle_attendance(step: Step) -> None:
    """Exactly the active people have an open interval.

    And those who left in the grace of a host's end: when theirs ended is not known before that is
    undone, or was not.
    """
    state, moved = step.state, _moved(step)
    for id_ in dict.fromkeys((*moved, *state.partings)):
        row = state.participants[id_]
        if row.person and row.active and row.interval is None:
            step.fact(IntervalOpened(row.id, row.scope, step.at))
        elif row.interval is not None and not row.active and not state.may_be_undone:
            parting = state.partings.get(id_) or Parting(row.gone_at(step.now), moved[id_])
            _close_interval(step, row, row.interval, parting)


def settle_start(step: Step) -> None:
    """The first arrival opens the lobby; the first host (or anybody, by policy) starts."""
    state = step.state
    if state.state not in {RoomState.SCHEDULED, RoomState.LOBBY_OPEN}:
        return
    people = [p for p in state.participants.values() if p.person]
    opens = ("open",) if state.state is RoomState.SCHEDULED else ()
    if any(p.active and (p.role is Role.HOST or state.policy.before_host) for p in people):
        enter_state(step, *opens, "start")
    elif opens and any(p.waiting or p.active for p in people):
        enter_state(step, *opens)


def settle_host(step: Step) -> None:
    """The room knows whether a host is there; a co-host takes over from one who left.

    A lock that was for want of a host goes with the want.
    """
    state = step.state
    if state.over:
        return
    if state.active_host() is None:
        _miss_host(step)
    elif state.host_presence is not HostPresence.PRESENT:
        _presence(step, "arrive")
    if state.host_presence is HostPresence.PRESENT and state.locked_itself:
        change(step, {"locked": False})
    if (
        state.host_presence is HostPresence.PRESENT
        and state.state is RoomState.ENDING
        and state.end_reason == "host_gone"
    ):
        enter_state(step, "undo")


def settle_queue(step: Step) -> None:
    """Nobody waits who may come in."""
    if not step.state.over and step.state.state is not RoomState.ENDING:
        reconsider(step)


def settle_undo(step: Step) -> None:
    """A host's end that nobody is left to undo waits no longer."""
    state = step.state
    if state.state is not RoomState.ENDING or state.parted_at is None:
        return
    if not any(p.present and may(state, p, Right.END) for p in state.participants.values()):
        end(step, state.end_reason or "host")


def settle_end(step: Step) -> None:
    """The last fact of a sitting that has ended."""
    state = step.state
    if state.state is RoomState.ENDED and not state.finished:
        body = RoomEnded(
            reason=state.end_reason or "host",
            by=state.parted_by or step.by,
            ended_at=step.stamp(step.now if state.parted_at is None else state.parted_at),
        )
        step.fact(body, ROOM)


_RULES: Final[tuple[tuple[Callable[[Step], None], frozenset[type[Body]]], ...]] = (
    (settle_rights, frozenset({ParticipantRole, ParticipantPermission, RoomChanged})),
    (settle_hands, frozenset({ParticipantMoved, ParticipantRole, RoomChanged})),
    (settle_attendance, frozenset({ParticipantMoved, RoomStateChanged})),
    (settle_start, frozenset({ParticipantMoved, ParticipantRole, RoomChanged, RoomStateChanged})),
    (settle_host, frozenset({ParticipantMoved, ParticipantRole, RoomStateChanged})),
    (
        settle_queue,
        frozenset(
            {ParticipantConnected, ParticipantMoved, ParticipantRole, RoomChanged, RoomStateChanged}
        ),
    ),
    (settle_undo, frozenset({ParticipantMoved, ParticipantRole})),
    (settle_end, frozenset({RoomStateChanged})),
)


def apply_rules(step: Step) -> None:
    """Run every rule that new facts can concern, until nothing follows any more.

    A seat that frees lets somebody in, which may end an absence, and so on; it settles within a
    few rounds, because no rule reopens what another closed.
    """
    while step.settled < len(step.facts):
        kinds = {type(fact.body) for fact in step.facts[step.settled :]}
        step.settled = len(step.facts)
        for rule, concerns in _RULES:
            if not kinds.isdisjoint(concerns):
                rule(step)


def host_grace(step: Step, _key: str) -> None:
    """Timer ``host_grace``: the host did not come back; a co-host takes over, or policy does."""
    state = step.state
    if _take_over(step):
        _presence(step, "arrive")
        return
    _presence(step, "expire")
    if not state.occupied() or state.state is not RoomState.LIVE:
        return  # an empty room waits for its end, whoever is missing
    if state.policy.host_gone == "end":
        begin_end(step, HOST_GONE_END_S, "host_gone")
    elif state.policy.host_gone == "lock" and not state.locked:
        change(step, {"locked": True})


def _miss_host(step: Step) -> None:
    """No host is in: wait for one as long as is due, or let a co-host take over."""
    state = step.state
    if state.host_presence is HostPresence.PRESENT:
        left = any(
            isinstance(fact.body, ParticipantMoved)
            and fact.body.reason == "left"
            and state.participants[fact.body.participant].role is Role.HOST
            for fact in step.facts
        )
        if not (left and _take_over(step)):
            _presence(step, "lose", HOST_LEFT_GRACE_S if left else HOST_GRACE_S)
    elif state.host_presence is HostPresence.ABSENT and state.live and state.host_seen:
        if _take_over(step):
            _presence(step, "arrive")
        elif (
            state.state is RoomState.LIVE
            and state.policy.host_gone != "continue"
            and state.occupied()
            and state.deadlines.get(Timer.HOST_GONE) is None
        ):
            _presence(step, "await", HOST_GRACE_S)  # people are back where no host is


def _take_over(step: Step) -> bool:
    """Make the longest-standing co-host the host; whoever was it comes back as a co-host."""
    cohost = step.state.active_cohost()
    if cohost is None:
        return False
    for row in step.state.participants.values():
        if row.role is Role.HOST and not row.waiting:
            give_role(step, row, Role.COHOST, "takeover")
    give_role(step, cohost, Role.HOST, "takeover")
    return True


def _presence(step: Step, trigger: str, grace_s: float | None = None) -> None:
    state = advance(HOST_PRESENCE_MACHINE, step.state.host_presence, trigger)
    if grace_s is None:
        step.fact(HostPresenceChanged(state=state), ROOM)
    else:
        until = step.stamp(step.now + grace_s)
        body = HostPresenceChanged(state=state, grace_until=until, grace_ms=round(grace_s * 1000))
        step.fact(body, ROOM)


def _moved(step: Step) -> dict[ParticipantId, str]:
    """Whoever changed state in this step, with the last reason."""
    return {
        fact.body.participant: fact.body.reason
        for fact in step.facts
        if isinstance(fact.body, ParticipantMoved)
    }


def _close_interval(step: Step, row: Participant, interval: Interval, parting: Parting) -> None:
    ended_at = step.state.parted_at
    if ended_at is not None and parting.at >= ended_at:
        parting = Parting(ended_at, "ended")  # the meeting was over, whyever they went then
    left_at = max(interval.since, parting.at)
    step.fact(
        IntervalClosed(
            participant=row.id,
            scope=interval.scope,
            joined_at=interval.joined_at,
            left_at=step.stamp(left_at),
            seconds=round(left_at - interval.since, 3),
            reason=parting.reason,
        )
    )
