"""Every refusal and every close of the protocol: one row each, nothing spelled out elsewhere.

`FAULTS` maps an error code to what a client sees (the reply's ``err.code``, the HTTP status of the
same refusal, whether trying again can help); `CLOSES` does the same for WebSocket close codes.
`docs/reference/protocol.md` prints both tables and a test compares them.

The tree::

    SignalingError            what a user can cause; answered, never logged with a traceback
    ├── RequestError          one request is refused; the connection goes on
    └── ConnectionEndedError       the connection is over; the close code says why
    ConfigError               the operator's settings are wrong; one clear line, exit code 2

Everything else that is raised is our own bug: it is logged with its traceback and answered as
``internal`` with a reference.
"""

import enum
from collections.abc import Mapping
from typing import Any, Final, NamedTuple


class Retry(enum.StrEnum):
    """Can trying again help, and with what."""

    NO = "no"
    CHANGED = "changed"
    """Only after changing the request (or when the room's state has changed)."""
    LATER = "later"
    """The same request with the same id, after ``retry_ms``."""
    RESUME = "resume"
    """Connect again with the resume secret, jittered."""
    LINK = "link"
    """Connect again with a fresh join token from the link."""


class Fault(NamedTuple):
    """What an error code means to a client."""

    status: int
    retry: Retry
    meaning: str


FAULTS: Final[Mapping[str, Fault]] = {
    "bad_request": Fault(400, Retry.CHANGED, "The frame or body is malformed; `detail` names the field"),
    "unsupported": Fault(404, Retry.NO, "This server knows no such method"),
    "unauthorized": Fault(401, Retry.LINK, "The token is absent, wrong, used or expired"),
    "forbidden": Fault(403, Retry.CHANGED, "The role or state does not allow it; `need` may say what would"),
    "not_found": Fault(404, Retry.NO, "No such thing, or not yours: the answer is the same"),
    "conflict": Fault(409, Retry.CHANGED, "`if` is not the current revision; `rev` is"),
    "already_decided": Fault(409, Retry.NO, "Somebody decided first; `verdict` says what"),
    "already_voted": Fault(409, Retry.NO, "The vote stands; `choice` says which"),
    "closed": Fault(409, Retry.NO, "It takes no more: locked, over or too late; `detail` says which"),
    "full": Fault(409, Retry.LATER, "There is no room for more people; `limit` is how many fit"),
    "rate": Fault(429, Retry.LATER, "Too many; wait `retry_ms`"),
    "stale_epoch": Fault(409, Retry.LINK, "This connection or secret belongs to an earlier epoch"),
    "superseded": Fault(409, Retry.NO, "A newer connection of the same participant took over"),
    "recipient_gone": Fault(410, Retry.NO, "The addressee has left; nothing was stored"),
    "too_large": Fault(413, Retry.CHANGED, "A field or frame is over its limit"),
    "consent_required": Fault(403, Retry.CHANGED, "Consent must be given first"),
    "ended": Fault(409, Retry.NO, "The meeting is over"),
    "cancelled": Fault(409, Retry.NO, "The appointment was cancelled"),
    "early": Fault(403, Retry.LATER, "The room is not open yet; it opens at `opens_at`"),
    "draining": Fault(503, Retry.RESUME, "This server is going away; connect again after `retry_ms`"),
    "unavailable": Fault(
        503, Retry.LATER, "Not stored: the database did not answer in time; send the same id again"
    ),
    "internal": Fault(500, Retry.LATER, "Our fault; `ref` is in the server's log"),
}  # fmt: skip


class CloseCode(enum.IntEnum):
    """Why the server closed a WebSocket (RFC 6455 leaves 4000-4999 to applications)."""

    NORMAL = 1000
    PROTOCOL = 4400
    UNAUTHORIZED = 4401
    DENIED = 4403
    REMOVED = 4404
    TIMEOUT = 4408
    SUPERSEDED = 4409
    ENDED = 4410
    SLOW = 4413
    RATE = 4429
    INTERNAL = 4500
    DRAINING = 4503


class Close(NamedTuple):
    """What a close code means to a client."""

    retry: Retry
    event: str | None
    """The event that comes just before the close frame, when there is one."""
    meaning: str


CLOSES: Final[Mapping[CloseCode, Close]] = {
    CloseCode.NORMAL: Close(Retry.NO, None, "This participant has left"),
    CloseCode.PROTOCOL: Close(Retry.NO, None, "A frame was not of this protocol"),
    CloseCode.UNAUTHORIZED: Close(Retry.LINK, None, "hello was refused; the reply before it says why"),
    CloseCode.DENIED: Close(Retry.NO, "lobby.state", "A host denied entry"),
    CloseCode.REMOVED: Close(Retry.NO, "removed", "A host removed this participant"),
    CloseCode.TIMEOUT: Close(Retry.RESUME, None, "No hello within 10 s, or 30 s of silence"),
    CloseCode.SUPERSEDED: Close(Retry.NO, "superseded", "A newer connection of this participant took over"),
    CloseCode.ENDED: Close(Retry.NO, "ended", "The meeting is over"),
    CloseCode.SLOW: Close(Retry.RESUME, None, "1 MiB of frames waited unread"),
    CloseCode.RATE: Close(Retry.RESUME, None, "Far too many frames or connections; wait 5 s before connecting"),
    CloseCode.INTERNAL: Close(Retry.RESUME, None, "Our fault"),
    CloseCode.DRAINING: Close(Retry.RESUME, "draining", "The server is going away; wait `reconnect_in_ms`"),
}  # fmt: skip


class SignalingError(Exception):
    """Base of everything a user can cause."""


class RequestError(SignalingError):
    """One request is refused.

    Attributes:
        code: a key of `FAULTS`.
        detail: one sentence for a developer; never holds secrets.
        extras: more members of ``err``, such as ``retry_ms`` or ``verdict``.
    """

    def __init__(self, code: str, detail: str = "", **extras: Any) -> None:
        super().__init__(f"{code}: {detail}")
        self.fault = FAULTS[code]
        self.code = code
        self.detail = detail
        self.extras = extras

    def body(self) -> dict[str, Any]:
        """The ``err`` member of a reply."""
        return {"code": self.code, "detail": self.detail or self.fault.meaning, **self.extras}


class ConnectionEndedError(SignalingError):
    """The connection must be closed with `code`; `reason` fits a close frame (<= 123 bytes)."""

    def __init__(self, code: CloseCode, reason: str = "") -> None:
        super().__init__(f"{int(code)} {reason}")
        self.code = code
        self.reason = reason or CLOSES[code].meaning


class ConfigError(Exception):
    """The operator's settings are wrong; the message is one line that says what to change."""
