"""Hands, reactions and speakers.

Hands form one queue in the server's order; they survive a lost connection and not a leave, and
come down by themselves after three seconds of speech. Reactions are counted, never stored, and
told as a sum every half second. Who speaks comes from the media engine.
"""

from typing import Any

from .commands import HandLower, HandSet, React, Speakers
from .errors import Code, RoomError
from .events import Hands, ReactSum, SpeakersChanged
from .ids import EPHEMERAL, ROOM, ParticipantId
from .limits import EMOJI_KINDS, SPEAKERS
from .participant import Participant
from .permissions import require
from .policy import Right
from .step import Step
from .timers import HAND_SPOKEN_S, REACTIONS_S, Timer


def hand_set(step: Step, actor: Participant, action: HandSet) -> dict[str, Any]:
    """Raise or lower the own hand.

    Returns:
        ``hand``: its number, or None.

    Raises:
        RoomError: ``forbidden``, ``rate``.
    """
    if action.up:
        require(step.state, actor, Right.RAISE_HAND)
    if action.up is not (actor.hand is not None):
        step.live.buckets.take("hand", actor.id, step.now)
        if action.up:
            reorder(step, [*step.state.hands, actor.id])
        else:
            lower(step, {actor.id})
    return {"hand": actor.hand}


def hand_lower(step: Step, actor: Participant, action: HandLower) -> dict[str, Any]:
    """Lower one hand, or all that were up at the revision ``upto`` (now, if absent).

    Raises:
        RoomError: ``forbidden``, ``not_found``, ``bad_request``.
    """
    require(step.state, actor, Right.LOWER_HANDS)
    if (action.who is None) is not action.all:
        raise RoomError(Code.BAD_REQUEST, "give who, or all")
    if action.who is not None:
        lower(step, {step.row(action.who).id})
    else:
        upto = step.state.hands_rev if action.upto is None else action.upto
        rows = (step.state.participants[id_] for id_ in step.state.hands)
        lower(step, {row.id for row in rows if (row.hand or 0) <= upto})
    return {}


def lower(step: Step, ids: set[ParticipantId]) -> None:
    """Take these hands down, whichever of them are up."""
    order = [id_ for id_ in step.state.hands if id_ not in ids]
    if order != step.state.hands:
        reorder(step, order)


def reorder(step: Step, order: list[ParticipantId]) -> None:
    """State the new queue of hands."""
    step.fact(Hands(rev=step.state.hands_rev + 1, order=order), ROOM)


def react(step: Step, actor: Participant, action: React) -> dict[str, Any]:
    """Count a reaction.

    Raises:
        RoomError: ``forbidden``, ``rate`` (four a second, and 32 kinds in one sum).
    """
    require(step.state, actor, Right.REACT)
    counts = step.live.reactions
    if action.emoji not in counts and len(counts) >= EMOJI_KINDS:
        retry_ms = int(REACTIONS_S * 1000)
        raise RoomError(Code.RATE, "too many kinds of reactions at once", retry_ms=retry_ms)
    step.live.buckets.take("react", actor.id, step.now)
    counts[action.emoji] = counts.get(action.emoji, 0) + 1
    if step.live.deadlines.get(Timer.REACTIONS) is None:
        step.live.deadlines.set(Timer.REACTIONS, step.now + REACTIONS_S)
    return {}


def sum_reactions(step: Step, _key: str) -> None:
    """Timer ``reactions``: tell the sum."""
    step.live.deadlines.clear(Timer.REACTIONS)
    step.show(ReactSum(counts=dict(step.live.reactions)), EPHEMERAL)
    step.live.reactions.clear()


def speakers(step: Step, command: Speakers) -> None:
    """Tell who speaks, if it changed, and watch the floor of those with a raised hand."""
    rows = (step.state.participants.get(id_) for id_ in dict.fromkeys(command.participants))
    speaking = [row.id for row in rows if row is not None and row.present][:SPEAKERS]
    live = step.live
    if speaking == live.speakers:
        return
    for id_ in speaking:
        raised = step.state.participants[id_].hand is not None
        if raised and id_ not in live.speakers:
            live.deadlines.set(Timer.HAND_SPOKEN, step.now + HAND_SPOKEN_S, id_)
    for id_ in live.speakers:
        if id_ not in speaking:
            live.deadlines.clear(Timer.HAND_SPOKEN, id_)
    live.speakers = speaking
    step.show(SpeakersChanged(list=speaking), EPHEMERAL)


def hand_spoken(step: Step, key: str) -> None:
    """Timer ``hand_spoken``: whoever has had the floor needs no hand."""
    step.live.deadlines.clear(Timer.HAND_SPOKEN, key)
    lower(step, {ParticipantId(key)})
