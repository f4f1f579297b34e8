"""Roles, names, and putting people out.

A role is given by name, never raised by one. Handing ``host`` over makes the giver a co-host; a
host by link who lost the role while away may take it back. What a new role no longer allows
(tracks, hands) is taken away by ``rooms.rules`` in the same step.
"""

from typing import Any, Final

from .commands import LinksClosed, LinksVoided, NameSet, Remove, RoleSet
from .entry import ban_link
from .errors import Code, RoomError
from .events import LinkBanned, ParticipantNamed, ParticipantRole, Removed
from .ids import self_stream
from .outcome import CloseReason
from .participant import HOSTING, Participant
from .permissions import require, require_host_link
from .policy import Right, Role
from .states import PARTICIPANT_MACHINE
from .step import Step
from .text import check_name

_GRANT: Final = {
    Role.HOST: Right.GRANT_HOST,
    Role.COHOST: Right.GRANT_COHOST,
    Role.PRESENTER: Right.GRANT_PRESENTER,
    Role.PARTICIPANT: Right.GRANT_PRESENTER,
    Role.OBSERVER: Right.GRANT_PRESENTER,
}


def name_set(step: Step, actor: Participant, action: NameSet) -> dict[str, Any]:
    """Change the own name; a verified mark stays with the identity, not with the name.

    Raises:
        RoomError: ``forbidden``, ``rate``, ``bad_request`` for a blank or unprintable name.
    """
    require(step.state, actor, Right.RENAME_SELF)
    check_name(action.name)
    if action.name != actor.name:
        step.live.buckets.take("name", actor.id, step.now)
        step.fact(ParticipantNamed(participant=actor.id, name=action.name, was=actor.name))
    return {}


def role_set(step: Step, actor: Participant, action: RoleSet) -> dict[str, Any]:
    """Give a role to somebody who is in.

    Raises:
        RoomError: ``forbidden`` (also for who was made host, when it takes a role from a host by
            link), ``not_found``, ``bad_request`` (a service cannot lead),
            ``conflict`` (the last host has to hand over first).
    """
    row = step.row(action.who)
    reclaims = row is actor and action.role is Role.HOST and actor.base_role is Role.HOST
    if not reclaims:
        require(step.state, actor, _GRANT[action.role])
        if row.hosting:  # demoting takes the right to grant what is taken
            require(step.state, actor, _GRANT[row.role])
        if action.role is not Role.HOST:  # giving the meeting back is always right
            require_host_link(actor, row)
    if not row.present:
        raise RoomError(Code.NOT_FOUND, "this participant is not in")
    if not row.person and action.role in HOSTING:
        raise RoomError(Code.BAD_REQUEST, "a service cannot lead a meeting")
    if row.role is action.role:
        return {}
    if row is actor and actor.role is Role.HOST:
        raise RoomError(Code.CONFLICT, "hand the meeting over by making somebody else host")
    if action.role is Role.HOST:
        if reclaims:
            _step_down(step)
        else:
            give_role(step, actor, Role.COHOST, "transfer")
    give_role(step, row, action.role, "reclaim" if reclaims else "host")
    return {}


def remove(step: Step, actor: Participant, action: Remove) -> dict[str, Any]:
    """Put somebody out; with ``ban`` also somebody who has left.

    Raises:
        RoomError: ``forbidden`` (also for a co-host against a host or a co-host, and for who was
            made host against a host by link), ``not_found`` when they are not in, ``bad_request``
            for oneself.
    """
    require(step.state, actor, Right.REMOVE)
    row = step.row(action.who)
    if row is actor:
        raise RoomError(Code.BAD_REQUEST, "leave, instead of removing oneself")
    if row.hosting:
        require(step.state, actor, Right.GRANT_COHOST)
    require_host_link(actor, row)
    trigger = "ban" if action.ban else "remove"
    if row.waiting or not PARTICIPANT_MACHINE.allows(row.state, trigger):
        raise RoomError(Code.NOT_FOUND, "this participant is not in")
    step.show(Removed(reason=trigger), self_stream(row.id))
    step.close(row, CloseReason.REMOVED, trigger)
    step.move(row, trigger, reason="host", admitted=False)
    if action.ban:
        ban_link(step, row)
    return {}


def links_closed(step: Step, command: LinksClosed) -> None:
    """Put out everybody who came by a link that is for nobody now, and let nobody in by it."""
    for link in command.links:
        if link in step.state.banned_links:
            continue
        step.fact(LinkBanned(link))
        for row in list(step.state.participants.values()):
            trigger = "deny" if row.waiting else "remove"
            if row.link == link and PARTICIPANT_MACHINE.allows(row.state, trigger):
                if not row.waiting:
                    step.show(Removed(reason="remove"), self_stream(row.id))
                step.close(row, CloseReason.DENIED if row.waiting else CloseReason.REMOVED, trigger)
                step.move(row, trigger, reason="link", admitted=False)


def links_voided(step: Step, command: LinksVoided) -> None:
    """Send away who asks to be let in by a link that opens nothing any more."""
    for row in list(step.state.participants.values()):
        if row.link in command.links and row.unheard:
            step.close(row, CloseReason.DENIED, "deny")
            step.move(row, "deny", reason="link", admitted=False)


def give_role(step: Step, row: Participant, role: Role, reason: str) -> None:
    """State a new role."""
    step.fact(ParticipantRole(participant=row.id, role=role, was=row.role, reason=reason))


def _step_down(step: Step) -> None:
    """Whoever stood in for a host by link is a co-host again."""
    for row in step.state.participants.values():
        if row.role is Role.HOST and row.base_role is not Role.HOST:
            give_role(step, row, Role.COHOST, "reclaim")
