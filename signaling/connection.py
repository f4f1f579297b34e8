"""One WebSocket connection as a state machine, sans-I/O.

`Connection` is fed frames, answers of the conductor and the time, and returns what to do: send a
frame, pass a request on, close the socket. It enforces what may come when (hello first, within
10 s; then requests), the rate of frames and the keep-alive. It owns no socket (that is
``gateway``), decides nothing about the meeting (that is ``rooms``) and verifies no token (that is
``tokens``, called by ``conductor``).
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rooms.commands import Action

from . import limits
from .envelope import BadRequestError, Codec, Frame, Incoming, Ping, Pong, Refusal, Request
from .errors import CloseCode, ConnectionEndedError, RequestError
from .messages import Hello, parse

HELLO_TIMEOUT: Final = 10.0
PING_INTERVAL: Final = 15.0
SILENCE_TIMEOUT: Final = 30.0


class State(enum.Enum):
    """Where a connection is."""

    HELLO = "hello"
    """The socket is open; nothing but hello is accepted."""
    JOINING = "joining"
    """hello carried a join token; the conductor decides."""
    RESUMING = "resuming"
    """hello carried a resume secret; the conductor decides."""
    JOINED = "joined"
    CLOSED = "closed"


class Step(enum.Enum):
    """What moves a connection from one state to the next."""

    HELLO_WITH_TOKEN = "hello with token"  # noqa: S105 the name of a step, not a secret
    HELLO_WITH_RESUME = "hello with resume"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    END = "end"


TRANSITIONS: Final[Mapping[State, Mapping[Step, State]]] = {
    State.HELLO: {
        Step.HELLO_WITH_TOKEN: State.JOINING,
        Step.HELLO_WITH_RESUME: State.RESUMING,
        Step.END: State.CLOSED,
    },
    State.JOINING: {
        Step.ACCEPTED: State.JOINED,
        Step.REFUSED: State.CLOSED,
        Step.END: State.CLOSED,
    },
    State.RESUMING: {
        Step.ACCEPTED: State.JOINED,
        Step.REFUSED: State.CLOSED,
        Step.END: State.CLOSED,
    },
    State.JOINED: {Step.END: State.CLOSED},
    State.CLOSED: {Step.END: State.CLOSED},
}


@dataclass(frozen=True, slots=True)
class Send:
    """Write this frame."""

    frame: Frame


@dataclass(frozen=True, slots=True)
class Enter:
    """Ask the conductor to let this hello in; then call `accepted` or `refused`."""

    request_id: str
    hello: Hello


@dataclass(frozen=True, slots=True)
class Perform:
    """Pass this request on to the room."""

    request_id: str
    action: Action
    if_rev: int | None


@dataclass(frozen=True, slots=True)
class Hang:
    """Close the socket with this code; nothing follows."""

    code: CloseCode
    reason: str


Output = Send | Enter | Perform | Hang


class Connection:
    """See the module. Call, carry out every output in order, then call again."""

    def __init__(self, codec: Codec, now: float) -> None:
        self.codec = codec
        self.state = State.HELLO
        self._opened = now
        self._heard = now
        self._pinged = now
        self._bucket = limits.TokenBucket.full(limits.HELLO_RATE, limits.HELLO_BURST, now)
        self._refused_weight = 0.0

    def receive(self, data: str | bytes, now: float) -> list[Output]:
        """One frame arrived."""
        if self.state is State.CLOSED:
            return []
        self._heard = now
        weight = limits.frame_weight(len(data))
        wait = self._bucket.take(now, weight)
        try:
            if wait:
                return self._flood(data, weight, wait)
            return self._message(self.codec.decode(data))
        except BadRequestError as error:
            return [Send(Refusal(error.request_id, error.body()))]
        except ConnectionEndedError as error:
            return self.end(error.code, error.reason)

    def accepted(self, now: float) -> None:
        """The conductor let the hello in."""
        self._apply(Step.ACCEPTED)
        self._pinged = now
        self._bucket = limits.TokenBucket.full(limits.FRAME_RATE, limits.FRAME_BURST, now)

    def refused(self, request_id: str, error: RequestError) -> list[Output]:
        """The conductor refused the hello: say why, then close."""
        self._apply(Step.REFUSED)
        code = _CLOSE_OF_REFUSED_HELLO.get(error.code, CloseCode.UNAUTHORIZED)
        return [Send(Refusal(request_id, error.body())), Hang(code, error.code)]

    def end(self, code: CloseCode, reason: str = "") -> list[Output]:
        """Close from our side, once."""
        if self.state is State.CLOSED:
            return []
        self._apply(Step.END)
        return [Hang(code, reason)]

    def lost(self) -> None:
        """The socket is gone."""
        self._apply(Step.END)

    def next_timeout(self) -> float | None:
        """When `handle_timeout` wants to be called."""
        if self.state is State.CLOSED:
            return None
        if self.state is State.HELLO:
            return self._opened + HELLO_TIMEOUT
        return min(self._heard + SILENCE_TIMEOUT, self._pinged + PING_INTERVAL)

    def handle_timeout(self, now: float) -> list[Output]:
        """Time passed: ping, or give up."""
        if self.state is State.CLOSED:
            return []
        if self.state is State.HELLO:
            if now >= self._opened + HELLO_TIMEOUT:
                return self.end(CloseCode.TIMEOUT, "no hello within 10 s")
            return []
        if now >= self._heard + SILENCE_TIMEOUT:
            return self.end(CloseCode.TIMEOUT, "30 s of silence")
        if now >= self._pinged + PING_INTERVAL:
            self._pinged = now
            return [Send(Ping(int(now * 1000)))]
        return []

    def _message(self, message: Incoming) -> list[Output]:
        if isinstance(message, Ping):
            return [Send(Pong(message.ping))]
        if isinstance(message, Pong):
            return []
        return self._request(message)

    def _request(self, request: Request) -> list[Output]:
        try:
            action = parse(request.m, request.p)
        except RequestError as error:
            return [Send(Refusal(request.id, error.body()))]
        if isinstance(action, Hello):
            return self._hello(request, action)
        if self.state is not State.JOINED:
            raise ConnectionEndedError(CloseCode.PROTOCOL, "hello comes first")
        if_rev = request.if_ if isinstance(request.if_, int) else None
        return [Perform(request.id, action, if_rev)]

    def _hello(self, request: Request, hello: Hello) -> list[Output]:
        if self.state is not State.HELLO:
            raise ConnectionEndedError(CloseCode.PROTOCOL, "a second hello")
        if (hello.token is None) == (hello.resume is None):
            error = RequestError("bad_request", "hello carries a token or a resume, not both")
            return [Send(Refusal(request.id, error.body()))]
        self._apply(Step.HELLO_WITH_TOKEN if hello.resume is None else Step.HELLO_WITH_RESUME)
        return [Enter(request.id, hello)]

    def _flood(self, data: str | bytes, weight: float, wait: float) -> list[Output]:
        self._refused_weight += weight
        if self.state is not State.JOINED or self._refused_weight > limits.FRAME_FLOOD:
            raise ConnectionEndedError(CloseCode.RATE)
        message = self.codec.decode(data)
        if not isinstance(message, Request):
            return []
        error = RequestError("rate", "too many frames", retry_ms=int(wait * 1000) + 1)
        return [Send(Refusal(message.id, error.body()))]

    def _apply(self, step: Step) -> None:
        self.state = TRANSITIONS[self.state][step]


_CLOSE_OF_REFUSED_HELLO: Final[Mapping[str, CloseCode]] = {
    "ended": CloseCode.ENDED,
    "cancelled": CloseCode.ENDED,
    "superseded": CloseCode.SUPERSEDED,
    "draining": CloseCode.DRAINING,
    "unavailable": CloseCode.DRAINING,
    "internal": CloseCode.INTERNAL,
    "rate": CloseCode.RATE,
    "forbidden": CloseCode.DENIED,
}
