"""Microphones, cameras and screens: who may turn on what, and who turns off whose.

What is on is never more than the rights allow; ``rooms.rules`` takes away what a change of rights
no longer covers, in the same step. A host can mute anybody and can unmute nobody: ``unmute.ask``
is a request, and the grant that lets the person follow it.
"""

from typing import Any

from .commands import Mute, PermSet, TrackSet, UnmuteAsk
from .errors import Code, RoomError
from .events import Muted, ParticipantPermission, TrackState, UnmuteRequest
from .ids import TrackId, self_stream
from .participant import Participant
from .permissions import PUBLISH, require
from .policy import Right, Source
from .step import Step


def track_set(step: Step, actor: Participant, action: TrackSet) -> dict[str, Any]:
    """Turn an own source on or off. One screen is shared at a time.

    Returns:
        ``track``: its public id, the same for the whole sitting; None if there never was one.

    Raises:
        RoomError: ``forbidden`` with ``need``, ``screen_free`` with ``who`` shares among them, or
            ``rate``; turning off is always allowed.
    """
    if action.on:
        require(step.state, actor, PUBLISH[action.source])
    track = actor.tracks.get(action.source)
    if track is None and not action.on:
        return {"track": None}
    id_ = TrackId(step.ids.new()) if track is None else track.track
    if not (track is not None and track.on is action.on and track.wanted is action.on):
        if action.on:
            others = _screens_to_take(step, actor) if action.source is Source.SCREEN else []
            step.live.buckets.take("track", actor.id, step.now)
            for row in others:
                turn_off(step, row, Source.SCREEN, "host")
        step.fact(TrackState(actor.id, action.source, action.on, id_, "self"))
    return {"track": id_}


def mute(step: Step, actor: Participant, action: Mute) -> dict[str, Any]:
    """Stop a source of one, or of all but hosts, co-hosts and ``except``.

    Somebody who could publish only by a grant loses it, so that the mute lasts.

    Returns:
        ``muted``: whose source was on.

    Raises:
        RoomError: ``forbidden``, ``not_found``, ``bad_request``.
    """
    require(step.state, actor, Right.MUTE)
    if (action.who is None) is not action.all:
        raise RoomError(Code.BAD_REQUEST, "give who, or all")
    if action.who is not None:
        rows = [step.row(action.who)]
        if not rows[0].present:
            raise RoomError(Code.NOT_FOUND, "this participant is not in")
    else:
        spared = {*action.except_, actor.id}
        rows = [p for p in step.state.present() if not p.hosting and p.id not in spared]
    muted = [row.id for row in rows if row.publishes(action.source)]
    for row in rows:
        if row.permissions.get(action.source):
            step.fact(ParticipantPermission(row.id, action.source, None))
        turn_off(step, row, action.source, "host")
    return {"muted": muted}


def unmute_ask(step: Step, actor: Participant, action: UnmuteAsk) -> dict[str, Any]:
    """Ask somebody to speak, and let them.

    Raises:
        RoomError: ``forbidden``, ``not_found``.
    """
    require(step.state, actor, Right.ASK_UNMUTE)
    row = _present(step, action)
    if not row.permissions.get(Source.MIC):
        step.fact(ParticipantPermission(row.id, Source.MIC, on=True))
    step.show(UnmuteRequest(by=actor.id), self_stream(row.id))
    return {}


def perm_set(step: Step, actor: Participant, action: PermSet) -> dict[str, Any]:
    """Grant or revoke one person's right to a source.

    Raises:
        RoomError: ``forbidden`` (also for hosts and co-hosts as targets), ``not_found``.
    """
    require(step.state, actor, Right.MUTE)
    row = _present(step, action)
    if row.hosting:
        raise RoomError(Code.FORBIDDEN, "hosts and co-hosts publish freely", need="target")
    if row.permissions.get(action.source) is not action.on:
        step.fact(ParticipantPermission(row.id, action.source, action.on))
    return {}


def turn_off(step: Step, row: Participant, source: Source, reason: str) -> None:
    """Turn a source off if it is on, and tell its owner."""
    if row.publishes(source):
        step.fact(
            TrackState(row.id, source, on=False, track=row.tracks[source].track, reason=reason)
        )
        step.show(Muted(source=source, by=step.by), self_stream(row.id))


def _screens_to_take(step: Step, actor: Participant) -> list[Participant]:
    """Who shares and must stop: hosts and co-hosts take over, others wait for the end.

    A screen of somebody without a connection keeps nobody waiting.
    """
    sharing = [p for p in step.state.present() if p is not actor and p.publishes(Source.SCREEN)]
    for row in sharing:
        if row.connected and not actor.hosting:
            raise RoomError(
                Code.FORBIDDEN, "somebody else shares a screen", need="screen_free", who=row.id
            )
    return sharing


def _present(step: Step, action: UnmuteAsk | PermSet) -> Participant:
    row = step.row(action.who)
    if not row.present:
        raise RoomError(Code.NOT_FOUND, "this participant is not in")
    return row
