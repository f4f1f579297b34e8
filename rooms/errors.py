"""What a room refuses, and what it calls a defect of ours.

    Exception
    ├── RoomError          the caller's fault: answered with its code, nothing changed
    └── RoomBug            our fault: raised loudly, never answered as a refusal
        ├── IllegalTransition   a state machine was driven off its table
        └── CorruptHistory      journaled events do not fold (a gap, an unknown participant)

A refusal leaves the room as it was and closes no connection. How a code travels (reply, close
code, HTTP status) is the shell's table, ``signaling.errors``.
"""

from enum import StrEnum
from typing import Any


class Code(StrEnum):
    """The stable codes that a room answers; a subset of the protocol's closed list."""

    BAD_REQUEST = "bad_request"
    UNSUPPORTED = "unsupported"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    ALREADY_DECIDED = "already_decided"
    CLOSED = "closed"
    FULL = "full"
    RATE = "rate"
    STALE_EPOCH = "stale_epoch"
    RECIPIENT_GONE = "recipient_gone"
    TOO_LARGE = "too_large"
    ENDED = "ended"
    CANCELLED = "cancelled"
    EARLY = "early"


class RoomError(Exception):
    """A refusal: ``code`` is API, ``detail`` is a sentence for people.

    Attributes:
        code: The stable code.
        detail: One English sentence without secrets; clients show their own text by code.
        extras: Machine-readable fields by code: ``need`` (the missing right) and ``who`` for forbidden,
            ``rev`` for conflict, ``verdict`` for already_decided, ``retry_ms`` for rate,
            ``opens_at`` (ISO) for early, ``limit`` for too_large.
    """

    def __init__(self, code: Code, detail: str, **extras: Any) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.extras = extras


class RoomBug(Exception):  # a defect of ours, not an error that callers handle
    """A defect of this package or of the shell that drives it."""


class IllegalTransition(RoomBug):
    """A state machine has no such edge; the deciding code must not have asked."""


class CorruptHistory(RoomBug):
    """A journal does not fold into a room: it was written by something else, or is torn."""
