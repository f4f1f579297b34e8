"""A second opinion on rights: who may ask what, in a few lines, written by hand from the matrix of rights.

It knows roles, states and four policies, and nothing of the room's code paths. ``forbidden`` says
True (must be refused for a missing right), False (must not be), or None (the model has no opinion,
because the answer depends on the target's role).
"""

from msgspec import UNSET

from rooms import commands as c
from rooms.participant import Participant
from rooms.policy import Role, Source
from rooms.state import State

HOSTS = {Role.HOST, Role.COHOST}
LEADERS = {*HOSTS, Role.PRESENTER}
TALKERS = {*LEADERS, Role.PARTICIPANT}

MODERATION = (
    c.LobbyAdmit,
    c.RoomLock,
    c.RoomPolicy,
    c.Mute,
    c.UnmuteAsk,
    c.HandLower,
)
"""Hosts and co-hosts, whoever the target."""
BY_TARGET = (c.LobbyBack, c.LobbyDeny, c.Remove, c.PermSet, c.RoleSet)
"""At least hosts and co-hosts; the target's role may forbid it to them, too."""
OPEN = (c.Leave, c.NameSet, c.ChatPage)
"""Everybody who is in."""


def forbidden(state: State, actor: Participant, action: c.Action) -> bool | None:
    """Whether this must be refused for a missing right."""
    if actor.waiting:
        return not isinstance(action, c.Leave | c.NameSet | c.LobbySay)
    if actor.hidden:
        harmless = isinstance(action, c.TrackSet) and not action.on
        harmless = harmless or (isinstance(action, c.HandSet) and not action.up)
        if isinstance(action, c.ChatEdit | c.ChatDelete):
            return None  # of messages from before it was hidden, as for everybody else
        return not (harmless or isinstance(action, OPEN))
    role, policy, features = actor.role, state.policy, state.features
    if isinstance(action, OPEN):
        return False
    if isinstance(action, c.RoomPolicy) and role is Role.COHOST:
        wished = action.patch.cohost_may_end
        return wished is not UNSET and wished is not policy.cohost_may_end
    if isinstance(action, MODERATION):
        return role not in HOSTS
    if isinstance(action, BY_TARGET):
        if isinstance(action, c.RoleSet) and actor.base_role is Role.HOST:
            return None
        return None if role in HOSTS else True
    if isinstance(action, c.LobbySay):
        return role not in HOSTS
    if isinstance(action, c.RoomEnd | c.RoomEndUndo):
        return not (role is Role.HOST or (role is Role.COHOST and policy.cohost_may_end))
    if isinstance(action, c.TrackSet):
        if not action.on:
            return False
        taken = action.source is Source.SCREEN and _screen_is_taken(state, actor)
        return taken or not _publishes(state, actor, action.source)
    if isinstance(action, c.HandSet):
        return action.up and not (features.hands and role in TALKERS)
    if isinstance(action, c.React):
        return not (
            features.reactions and (role in LEADERS or (role in TALKERS and policy.reactions))
        )
    if isinstance(action, c.ChatSend):
        return _chat(state, role, action)
    return None  # edits and deletions depend on whose message it is


def _publishes(state: State, actor: Participant, source: Source) -> bool:
    if actor.role not in TALKERS:
        return False
    if source in actor.permissions:
        return actor.permissions[source]
    return actor.role in LEADERS or bool(getattr(state.policy, source.value))


def _screen_is_taken(state: State, actor: Participant) -> bool:
    """Somebody else shares, and is there; hosts take over."""
    others = [row for row in state.participants.values() if row is not actor and row.connected]
    return actor.role not in HOSTS and any(row.publishes(Source.SCREEN) for row in others)


def _chat(state: State, role: Role, action: c.ChatSend) -> bool | None:
    if role not in TALKERS or not state.features.chat:
        return True
    if action.to is None:
        return role not in LEADERS and state.policy.chat != "all"
    if not state.features.private:
        return True
    return False if role in LEADERS or state.policy.private == "all" else None
