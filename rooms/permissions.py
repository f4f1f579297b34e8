"""Who may do what: role by right, where policy decides the half-open cells, less a personal mask.

The table is the one in ``docs/reference/rooms.md``, which is generated from it. It is read when
a command is executed, never when it is received, so a demotion that is faster than a click wins.
A refusal names the missing right; nobody is thrown out for asking.
"""

from collections.abc import Callable
from enum import Enum
from typing import Final

from .errors import Code, RoomError
from .participant import Participant
from .policy import Features, Policy, Right, Role, Source
from .state import State


class Grade(Enum):
    """A cell of the table."""

    YES = "●"
    POLICY = "○"
    NO = "·"


WAITING: Final = "waiting"
COLUMNS: Final = (*Role, WAITING)
"""The table's columns: the five roles of people who are in, then people who wait."""


def _row(cells: str) -> dict[str, Grade]:
    return dict(zip(COLUMNS, map(Grade, cells.split()), strict=True))


RIGHTS: Final[dict[Right, dict[str, Grade]]] = {
    #                        host cohost presenter participant observer waiting
    Right.END: _row("● ○ · · · ·"),
    Right.LOCK: _row("● ● · · · ·"),
    Right.ADMIT: _row("● ● · · · ·"),
    Right.REMOVE: _row("● ● · · · ·"),
    Right.GRANT_HOST: _row("● · · · · ·"),
    Right.GRANT_COHOST: _row("● · · · · ·"),
    Right.GRANT_PRESENTER: _row("● ● · · · ·"),
    Right.MUTE: _row("● ● · · · ·"),
    Right.ASK_UNMUTE: _row("● ● · · · ·"),
    Right.PUBLISH_MIC: _row("● ● ● ○ · ·"),
    Right.PUBLISH_CAMERA: _row("● ● ● ○ · ·"),
    Right.PUBLISH_SCREEN: _row("● ● ● ○ · ·"),
    Right.SPOTLIGHT: _row("● ● ○ · · ·"),
    Right.RAISE_HAND: _row("● ● ● ● · ·"),
    Right.LOWER_HANDS: _row("● ● · · · ·"),
    Right.CHAT: _row("● ● ● ○ · ·"),
    Right.CHAT_PRIVATE: _row("● ● ● ○ · ·"),
    Right.CHAT_LOBBY: _row("● ● · · · ●"),
    Right.DELETE_MESSAGES: _row("● ● · · · ·"),
    Right.REACT: _row("● ● ● ○ · ·"),
    Right.LAUNCH_POLL: _row("● ● ● · · ·"),
    Right.SHARE_RESULTS: _row("● ● ● · · ·"),
    Right.VOTE: _row("○ ○ ● ● · ·"),
    Right.ASK_QUESTION: _row("● ● ● ● · ·"),
    Right.UPVOTE: _row("· ● ● ● · ·"),
    Right.MODERATE_QUESTIONS: _row("● ● ○ · · ·"),
    Right.RUN_BREAKOUTS: _row("● ● · · · ·"),
    Right.CHOOSE_BREAKOUT: _row("● ● ○ ○ · ·"),
    Right.BROADCAST: _row("● ● · · · ·"),
    Right.ASK_HELP: _row("· ● ● ● · ·"),
    Right.RECORD: _row("● ● ○ · · ·"),
    Right.CONSENT: _row("● ● ● ● ● ○"),
    Right.CAPTIONS: _row("● ● ● ● ● ·"),
    Right.READ_ROSTER: _row("● ● ● ○ ○ ·"),
    Right.EXPORT: _row("● ● · · ○ ·"),
    Right.RENAME_SELF: _row("● ● ● ● ● ●"),
    Right.LEAVE: _row("● ● ● ● ● ●"),
}

POLICY_RULES: Final[dict[Right, Callable[[Policy], bool]]] = {
    Right.END: lambda policy: policy.cohost_may_end,
    Right.PUBLISH_MIC: lambda policy: policy.mic,
    Right.PUBLISH_CAMERA: lambda policy: policy.camera,
    Right.PUBLISH_SCREEN: lambda policy: policy.screen,
    Right.CHAT: lambda policy: policy.chat == "all",
    # Writing to a host is always within this right; chat.py asks about other recipients.
    Right.CHAT_PRIVATE: lambda _policy: True,
    Right.REACT: lambda policy: policy.reactions,
    Right.READ_ROSTER: lambda policy: policy.roster == "full",
}
"""What decides a ○; one without a rule is closed until its feature brings the rule."""

FEATURE_RULES: Final[dict[Right, Callable[[Features], bool]]] = {
    Right.CHAT: lambda features: features.chat,
    Right.CHAT_PRIVATE: lambda features: features.chat and features.private,
    Right.REACT: lambda features: features.reactions,
    Right.RAISE_HAND: lambda features: features.hands,
    Right.LAUNCH_POLL: lambda features: features.polls,
    Right.SHARE_RESULTS: lambda features: features.polls,
    Right.VOTE: lambda features: features.polls,
    Right.ASK_QUESTION: lambda features: features.qa,
    Right.UPVOTE: lambda features: features.qa,
    Right.MODERATE_QUESTIONS: lambda features: features.qa,
    Right.RUN_BREAKOUTS: lambda features: features.breakouts,
    Right.CHOOSE_BREAKOUT: lambda features: features.breakouts,
    Right.BROADCAST: lambda features: features.breakouts,
    Right.ASK_HELP: lambda features: features.breakouts,
    Right.RECORD: lambda features: features.recording,
    Right.CAPTIONS: lambda features: features.captions,
}
"""Rights that nobody has while the feature is off."""

PUBLISH: Final[dict[Source, Right]] = {
    Source.MIC: Right.PUBLISH_MIC,
    Source.CAMERA: Right.PUBLISH_CAMERA,
    Source.SCREEN: Right.PUBLISH_SCREEN,
}
_SOURCE: Final = {right: source for source, right in PUBLISH.items()}

PEOPLE_ONLY: Final = frozenset(
    {
        Right.RAISE_HAND,
        Right.VOTE,
        Right.ASK_QUESTION,
        Right.UPVOTE,
        Right.CHOOSE_BREAKOUT,
        Right.ASK_HELP,
        Right.CONSENT,
    }
)
"""Rights that no service has, whatever its role."""

HIDDEN_MAY: Final = frozenset(
    {Right.READ_ROSTER, Right.CAPTIONS, Right.EXPORT, Right.RENAME_SELF, Right.LEAVE}
)
"""All that a hidden service may do: nothing that anybody would see."""


def may(state: State, participant: Participant, right: Right) -> bool:
    """Whether the participant has the right now."""
    return allows(state.policy, state.features, participant, right)


def allows(policy: Policy, features: Features, participant: Participant, right: Right) -> bool:
    """Whether these rules give the participant the right."""
    feature = FEATURE_RULES.get(right)
    if right in participant.deny or (feature is not None and not feature(features)):
        return False
    if not participant.person and (
        right in PEOPLE_ONLY or (participant.hidden and right not in HIDDEN_MAY)
    ):
        return False
    column = WAITING if participant.waiting else participant.role
    grade = RIGHTS[right][column]
    if grade is Grade.NO:
        return False
    source = _SOURCE.get(right)
    if source is not None and source in participant.permissions:
        return participant.permissions[source]
    if grade is Grade.YES:
        return True
    rule = POLICY_RULES.get(right)
    return rule is not None and rule(policy)


def require(state: State, participant: Participant, right: Right) -> None:
    """Refuse unless the participant has the right now.

    Raises:
        RoomError: ``forbidden``, with ``need``.
    """
    if not may(state, participant, right):
        raise RoomError(Code.FORBIDDEN, f"this needs the right to {right}", need=right.value)


def require_host_link(actor: Participant, target: Participant) -> None:
    """Refuse to act against a host by link, unless the actor is one, too.

    Who was made host has the meeting on loan: nothing that they may do takes it from its owner.

    Raises:
        RoomError: ``forbidden``, with ``need``.
    """
    if target.base_role is Role.HOST and actor.base_role is not Role.HOST:
        raise RoomError(Code.FORBIDDEN, "the meeting is theirs by their link", need="host_link")


def rights(state: State, participant: Participant) -> list[str]:
    """The names of everything the participant may do now."""
    return rights_under(state.policy, state.features, participant)


def rights_under(policy: Policy, features: Features, participant: Participant) -> list[str]:
    """The names of everything that these rules let the participant do."""
    return [right.value for right in Right if allows(policy, features, participant, right)]
