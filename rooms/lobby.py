"""What hosts do at the door: admit, turn away, send back, and talk through it.

Admissions are by id, or all that the list held at a version: whoever came later is not let in
unseen. An admitted person without a free seat keeps the admission and gets the next seat in
order of arrival. Who has to wait at all is decided in ``rooms.entry``.
"""

from typing import Any

from .commands import LobbyAdmit, LobbyBack, LobbyDeny, LobbySay
from .entry import admit, ban_link, verdict
from .errors import Code, RoomError
from .events import LobbyMessage, ParticipantWaits
from .ids import HOSTS, MessageId, ParticipantId, lobby_stream
from .limits import LOBBY_BODY
from .outcome import CloseReason
from .participant import Participant
from .permissions import require, require_host_link
from .policy import Right
from .step import Step
from .text import clean


def lobby_admit(step: Step, actor: Participant, action: LobbyAdmit) -> dict[str, Any]:
    """Let people in.

    Returns:
        ``admitted`` and ``waiting_for_seat`` (ids): the latter come in when seats free up.

    Raises:
        RoomError: ``forbidden``; ``bad_request`` unless exactly one of ids, all is given;
            ``not_found``, or ``already_decided`` with ``verdict``, when a single id is given.
    """
    require(step.state, actor, Right.ADMIT)
    if (action.ids is None) is not action.all or (action.all and action.ver is None):
        raise RoomError(Code.BAD_REQUEST, "give ids, or all with the list's ver")
    if action.ids is None:
        ver = action.ver or 0
        rows = [p for p in step.state.listed() if p.listed_at <= ver]
    else:
        rows = _waiting(step, action.ids)
    admitted: list[ParticipantId] = []
    waiting: list[ParticipantId] = []
    for row in rows:
        if step.state.seat_free(row):
            admit(step, row, "host")
            admitted.append(row.id)
        else:
            if not (row.admitted and row.waits == "seat"):
                step.fact(ParticipantWaits(row.id, "seat", admitted=True))
            waiting.append(row.id)
    return {"admitted": admitted, "waiting_for_seat": waiting}


def lobby_deny(step: Step, actor: Participant, action: LobbyDeny) -> dict[str, Any]:
    """Turn people away; with ``ban`` they and their own link are refused from now on.

    Raises:
        RoomError: ``forbidden`` (also when one of them is a host by link and the actor is none);
            for a single id ``not_found`` or ``already_decided``.
    """
    require(step.state, actor, Right.ADMIT)
    rows = _waiting(step, action.ids)
    for row in rows:
        require_host_link(actor, row)
    for row in rows:
        step.close(row, CloseReason.DENIED)
        if action.ban:
            step.move(row, "ban", reason="host", admitted=False)
            ban_link(step, row)
        else:
            step.move(row, "deny", reason="host", admitted=False)
    return {"denied": [row.id for row in rows]}


def lobby_back(step: Step, actor: Participant, action: LobbyBack) -> dict[str, Any]:
    """Send somebody who is in back to the waiting room.

    Raises:
        RoomError: ``forbidden`` (the right, or the target is a host, a co-host, or a host by
            link and the actor is none), ``not_found``.
    """
    require(step.state, actor, Right.ADMIT)
    row = step.row(action.who)
    if not row.seated:
        raise RoomError(Code.NOT_FOUND, "this participant is not in")
    if row.hosting:
        raise RoomError(
            Code.FORBIDDEN, "hosts and co-hosts do not wait", need=Right.GRANT_COHOST.value
        )
    require_host_link(actor, row)
    step.move(row, "back", reason="host", admitted=False, waits="verdict")
    return {}


def lobby_say(step: Step, actor: Participant, action: LobbySay) -> dict[str, Any]:
    """Write through the door.

    Returns:
        ``message``: its id.

    Raises:
        RoomError: ``forbidden``, ``too_large``, ``bad_request``, ``rate``; ``recipient_gone``
            when the addressee does not wait.
    """
    require(step.state, actor, Right.CHAT_LOBBY)
    text = clean(action.text, LOBBY_BODY)
    to: Participant | None = None
    if not actor.waiting and action.to is not None:
        to = step.row(action.to)
        if not to.waiting:
            raise RoomError(Code.RECIPIENT_GONE, "this participant does not wait")
    step.live.buckets.take("chat", actor.id, step.now)
    if actor.waiting and actor.link is not None:
        step.live.buckets.take("door", actor.link, step.now)
    if actor.waiting and not actor.named:
        step.live.buckets.take("doors", "", step.now)
    message = LobbyMessage(
        id=MessageId(step.ids.new()),
        from_=actor.id,
        name=actor.name,
        text=text,
        at=step.at,
        to=None if to is None else to.id,
        waiter=actor.id if actor.waiting else None,
    )
    step.fact(message, HOSTS)
    if actor.waiting:
        step.show(message, lobby_stream(actor.id))
    for row in [to] if to is not None else [] if actor.waiting else step.state.queue():
        step.show(message, lobby_stream(row.id))
    return {"message": {"id": message.id}}


def reconsider(step: Step) -> None:
    """Let in whoever may come in now, first come first; tell the others apart by their reason."""
    for row in step.state.queue():
        waits = verdict(step.state, row)
        if waits is None:
            if row.connected:
                admit(step, row, "policy")
        elif waits != row.waits:
            step.fact(ParticipantWaits(row.id, waits, admitted=row.admitted))


def _waiting(step: Step, ids: list[ParticipantId]) -> list[Participant]:
    """The rows among ``ids`` that wait; a single one that does not is refused with its verdict."""
    if not ids:
        raise RoomError(Code.BAD_REQUEST, "give at least one id")
    rows = [step.row(id_) for id_ in dict.fromkeys(ids)]
    waiting = [row for row in rows if row.waiting]
    if len(rows) == 1 and not waiting:
        verdict_now = "admitted" if rows[0].admitted else rows[0].state.value
        raise RoomError(Code.ALREADY_DECIDED, "this was decided already", verdict=verdict_now)
    return waiting
