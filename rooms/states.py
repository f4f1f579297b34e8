"""Every state machine of a meeting, as tables, and the one function that applies them.

A table maps a state to its triggers and each trigger to the next state; what is not in the
table cannot happen. The states' names are the ones in the database (its CHECK lists are compared
with these tables), on the wire and in ``docs/reference/rooms.md``, whose diagrams are generated
from here. Polls, questions, breakouts and recordings are tables already; their rules come later.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

from .errors import IllegalTransition

S = TypeVar("S", bound=StrEnum)


class Machine(Generic[S]):
    """A named transition table.

    Attributes:
        name: The noun the machine belongs to, as in the documents.
        table: state → {trigger → next state}; every state of the enum has a row.
        initial: Where a new one starts.
    """

    __slots__ = ("initial", "name", "table")

    def __init__(self, name: str, initial: S, table: Mapping[S, Mapping[str, S]]) -> None:
        missing = set(type(initial)) - set(table)
        if missing:
            raise IllegalTransition(f"{name}: no row for {sorted(missing)}")
        self.name = name
        self.initial = initial
        self.table = table

    @property
    def states(self) -> tuple[S, ...]:
        """All states in the table's order: the CHECK list of the database."""
        return tuple(self.table)

    @property
    def final(self) -> frozenset[S]:
        """States that nothing leaves."""
        return frozenset(state for state, row in self.table.items() if not row)

    def allows(self, state: S, trigger: str) -> bool:
        """Whether ``trigger`` may happen in ``state``."""
        return trigger in self.table[state]


def advance(machine: Machine[S], state: S, trigger: str) -> S:
    """The next state.

    Raises:
        IllegalTransition: The table has no such edge; a bug, never a user's doing.
    """
    try:
        return machine.table[state][trigger]
    except KeyError:
        raise IllegalTransition(f"{machine.name}: no {trigger!r} in {state!r}") from None


class RoomState(StrEnum):
    """A room's life; ``ended`` is final for its session_no."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    LOBBY_OPEN = "lobby_open"
    LIVE = "live"
    ENDING = "ending"
    ENDED = "ended"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    ARCHIVED = "archived"


_R = RoomState
ROOM_MACHINE: Final = Machine(
    "room",
    _R.DRAFT,
    {
        _R.DRAFT: {"schedule": _R.SCHEDULED, "cancel": _R.CANCELLED},
        _R.SCHEDULED: {"open": _R.LOBBY_OPEN, "cancel": _R.CANCELLED, "end": _R.ENDED},
        _R.LOBBY_OPEN: {
            "start": _R.LIVE,
            "cancel": _R.CANCELLED,
            "expire": _R.EXPIRED,
            "end": _R.ENDED,
        },
        _R.LIVE: {"ending": _R.ENDING, "end": _R.ENDED},
        _R.ENDING: {"undo": _R.LIVE, "end": _R.ENDED},
        _R.ENDED: {"archive": _R.ARCHIVED},
        _R.CANCELLED: {"archive": _R.ARCHIVED},
        _R.EXPIRED: {"archive": _R.ARCHIVED},
        _R.ARCHIVED: {},
    },
)
OVER: Final = frozenset({_R.ENDED, _R.CANCELLED, _R.EXPIRED, _R.ARCHIVED})
"""Nobody gets in and nothing changes any more."""


class ParticipantState(StrEnum):
    """Where a participant stands; the row stays the same through leaving and coming back."""

    INVITED = "invited"
    WAITING = "waiting"
    ADMITTED = "admitted"
    JOINING = "joining"
    ACTIVE = "active"
    RECONNECTING = "reconnecting"
    LEFT = "left"
    DENIED = "denied"
    REMOVED = "removed"
    BANNED = "banned"
    TIMED_OUT = "timed_out"


_P = ParticipantState
_KNOCK = {"knock": _P.WAITING, "admit": _P.ADMITTED, "ban": _P.BANNED}
PARTICIPANT_MACHINE: Final = Machine(
    "participant",
    _P.INVITED,
    {
        _P.INVITED: _KNOCK,
        _P.WAITING: {
            "admit": _P.ADMITTED,
            "deny": _P.DENIED,
            "ban": _P.BANNED,
            "leave": _P.LEFT,
            "expire": _P.TIMED_OUT,
        },
        _P.ADMITTED: {
            "connect": _P.JOINING,
            "back": _P.WAITING,
            "remove": _P.REMOVED,
            "ban": _P.BANNED,
            "leave": _P.LEFT,
            "expire": _P.TIMED_OUT,
        },
        _P.JOINING: {
            "arrive": _P.ACTIVE,
            "back": _P.WAITING,
            "remove": _P.REMOVED,
            "ban": _P.BANNED,
            "leave": _P.LEFT,
            "expire": _P.TIMED_OUT,
        },
        _P.ACTIVE: {
            "lose": _P.RECONNECTING,
            "back": _P.WAITING,
            "remove": _P.REMOVED,
            "ban": _P.BANNED,
            "leave": _P.LEFT,
        },
        _P.RECONNECTING: {
            "resume": _P.ACTIVE,
            "back": _P.WAITING,
            "remove": _P.REMOVED,
            "ban": _P.BANNED,
            "leave": _P.LEFT,
        },
        _P.LEFT: _KNOCK,
        _P.DENIED: _KNOCK,
        _P.REMOVED: _KNOCK,
        _P.BANNED: {},
        _P.TIMED_OUT: _KNOCK,
    },
)
SEATED: Final = frozenset({_P.ADMITTED, _P.JOINING, _P.ACTIVE, _P.RECONNECTING})
"""These hold a seat."""
PRESENT: Final = frozenset({_P.JOINING, _P.ACTIVE, _P.RECONNECTING})
"""These are in the roster."""
GONE: Final = frozenset({_P.LEFT, _P.DENIED, _P.REMOVED, _P.BANNED, _P.TIMED_OUT})


class HostPresence(StrEnum):
    """Whether a host is in; ``grace`` is the time a lost host has to come back."""

    ABSENT = "absent"
    PRESENT = "present"
    GRACE = "grace"


_H = HostPresence
HOST_PRESENCE_MACHINE: Final = Machine(
    "host_presence",
    _H.ABSENT,
    {
        _H.ABSENT: {"arrive": _H.PRESENT, "await": _H.GRACE},
        _H.PRESENT: {"lose": _H.GRACE},
        _H.GRACE: {"arrive": _H.PRESENT, "expire": _H.ABSENT},
    },
)


class ChatMessageState(StrEnum):
    """A stored message; a deleted one keeps its id and number, and loses its body."""

    STORED = "stored"
    EDITED = "edited"
    DELETED = "deleted"


_C = ChatMessageState
CHAT_MESSAGE_MACHINE: Final = Machine(
    "chat_message",
    _C.STORED,
    {
        _C.STORED: {"edit": _C.EDITED, "delete": _C.DELETED},
        _C.EDITED: {"edit": _C.EDITED, "delete": _C.DELETED},
        _C.DELETED: {},
    },
)


class PollState(StrEnum):
    """A poll; a relaunch is a new round."""

    DRAFT = "draft"
    LIVE = "live"
    CLOSED = "closed"
    DELETED = "deleted"


POLL_MACHINE: Final = Machine(
    "poll",
    PollState.DRAFT,
    {
        PollState.DRAFT: {"launch": PollState.LIVE, "delete": PollState.DELETED},
        PollState.LIVE: {"close": PollState.CLOSED},
        PollState.CLOSED: {"relaunch": PollState.LIVE, "delete": PollState.DELETED},
        PollState.DELETED: {},
    },
)


class QuestionState(StrEnum):
    """A question of the Q&A."""

    PENDING = "pending"
    OPEN = "open"
    ANSWERING = "answering"
    ANSWERED = "answered"
    DISMISSED = "dismissed"
    WITHDRAWN = "withdrawn"
    MERGED = "merged"


_Q = QuestionState
QUESTION_MACHINE: Final = Machine(
    "question",
    _Q.PENDING,
    {
        _Q.PENDING: {"approve": _Q.OPEN, "dismiss": _Q.DISMISSED, "withdraw": _Q.WITHDRAWN},
        _Q.OPEN: {
            "take": _Q.ANSWERING,
            "answer": _Q.ANSWERED,
            "dismiss": _Q.DISMISSED,
            "withdraw": _Q.WITHDRAWN,
            "merge": _Q.MERGED,
        },
        _Q.ANSWERING: {"answer": _Q.ANSWERED, "reopen": _Q.OPEN},
        _Q.ANSWERED: {"reopen": _Q.OPEN},
        _Q.DISMISSED: {"reopen": _Q.OPEN},
        _Q.WITHDRAWN: {},
        _Q.MERGED: {},
    },
)


class BreakoutState(StrEnum):
    """A set of breakout rooms with one deadline; opening again makes a new set."""

    PLANNED = "planned"
    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


_B = BreakoutState
BREAKOUT_MACHINE: Final = Machine(
    "breakout",
    _B.PLANNED,
    {
        _B.PLANNED: {"open": _B.OPENING},
        _B.OPENING: {"opened": _B.OPEN},
        _B.OPEN: {"close": _B.CLOSING},
        _B.CLOSING: {"extend": _B.OPEN, "end": _B.CLOSED},
        _B.CLOSED: {},
    },
)


class AssignmentState(StrEnum):
    """One participant's place in a set of breakout rooms."""

    ASSIGNED = "assigned"
    INVITED = "invited"
    JOINED = "joined"
    AWAY = "away"
    RETURNED = "returned"
    MOVED = "moved"
    RELEASED = "released"


_A = AssignmentState
ASSIGNMENT_MACHINE: Final = Machine(
    "assignment",
    _A.ASSIGNED,
    {
        _A.ASSIGNED: {"invite": _A.INVITED, "move": _A.MOVED, "release": _A.RELEASED},
        _A.INVITED: {"join": _A.JOINED, "move": _A.MOVED, "release": _A.RELEASED},
        _A.JOINED: {"step_out": _A.AWAY, "return": _A.RETURNED, "move": _A.MOVED},
        _A.AWAY: {"join": _A.JOINED, "return": _A.RETURNED, "move": _A.MOVED},
        _A.RETURNED: {},
        _A.MOVED: {},
        _A.RELEASED: {},
    },
)


class RecordingState(StrEnum):
    """One recording of one scope."""

    REQUESTED = "requested"
    CONSENT_WAIT = "consent_wait"
    STARTING = "starting"
    ACTIVE = "active"
    PAUSED = "paused"
    STOPPING = "stopping"
    PROCESSING = "processing"
    READY = "ready"
    FAILED = "failed"
    ABORTED = "aborted"
    LIMIT_REACHED = "limit_reached"
    PURGED = "purged"


_X = RecordingState
_BREAKS = {"fail": _X.FAILED, "abort": _X.ABORTED, "limit": _X.LIMIT_REACHED}
RECORDING_MACHINE: Final = Machine(
    "recording",
    _X.REQUESTED,
    {
        _X.REQUESTED: {"ask": _X.CONSENT_WAIT, "start": _X.STARTING, **_BREAKS},
        _X.CONSENT_WAIT: {"start": _X.STARTING, **_BREAKS},
        _X.STARTING: {"started": _X.ACTIVE, **_BREAKS},
        _X.ACTIVE: {"pause": _X.PAUSED, "stop": _X.STOPPING, **_BREAKS},
        _X.PAUSED: {"resume": _X.ACTIVE, "stop": _X.STOPPING, **_BREAKS},
        _X.STOPPING: {"stopped": _X.PROCESSING, **_BREAKS},
        _X.PROCESSING: {"done": _X.READY, **_BREAKS},
        _X.READY: {"purge": _X.PURGED},
        _X.FAILED: {},
        _X.ABORTED: {},
        _X.LIMIT_REACHED: {"purge": _X.PURGED},
        _X.PURGED: {},
    },
)

MACHINES: Final[tuple[Machine[Any], ...]] = (
    ROOM_MACHINE,
    PARTICIPANT_MACHINE,
    HOST_PRESENCE_MACHINE,
    CHAT_MESSAGE_MACHINE,
    POLL_MACHINE,
    QUESTION_MACHINE,
    BREAKOUT_MACHINE,
    ASSIGNMENT_MACHINE,
    RECORDING_MACHINE,
)
