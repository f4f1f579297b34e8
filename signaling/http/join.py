"""``POST /m/{code}/join``: a link's secret for a one-time join token.

The secret comes in the body, never in a URL. Absent rooms, wrong and revoked secrets get the same
answer. How many joins come from an address is limited, and how many wrong ones. Nothing about the
room is told before the secret is right. What the token is then good for is in ``signaling.tokens``.
"""

import hashlib
import secrets
from collections.abc import Callable
from typing import Annotated, Any, Final, NamedTuple, Protocol

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from signaling.clock import Clock
from signaling.errors import RequestError
from signaling.limits import (
    JOIN_ALL_BURST,
    JOIN_ALL_RATE,
    JOIN_BURST,
    JOIN_RATE,
    WRONG_SECRET_BURST,
    WRONG_SECRET_RATE,
    AddressLimiter,
)
from signaling.tokens import JOIN_LIFETIME, JoinGrant, Tokens

from .incoming import BodyError, TooLargeError, read_plain_body
from .problems import problem

MAX_BODY: Final = 4096
DEVICE_BYTES: Final = 16
CODE_COUNTED: Final = 64
"""Characters of a code by which joins are counted; no room's is longer."""

Secret = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_-]+\Z")]
Device = Annotated[str, Meta(min_length=16, max_length=64, pattern=r"^[A-Za-z0-9_-]+\Z")]


class JoinRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body.

    Attributes:
        secret: The part of the link after ``#k=``.
        device: What an earlier answer gave; the same device is the same participant again.
    """

    secret: Secret
    device: Device | None = None


class RoomSummary(Struct, frozen=True):
    """What somebody with a good link may know before entering."""

    title: str
    type: str
    state: str
    starts_at: str | None
    ends_at: str | None
    host_name: str | None


class LinkSummary(Struct, frozen=True):
    """What the link is good for."""

    role: str
    lobby: bool
    display_name: str | None


class JoinAnswer(Struct, frozen=True):
    """The answer.

    Attributes:
        token: For ``hello``; good once.
        expires_in: Seconds in which it must be used.
        ws: The address of the WebSocket.
        device: To be kept by the client and sent with its next join.
        room: About the room.
        link: About the link.
    """

    token: str
    expires_in: int
    ws: str
    device: str
    room: RoomSummary
    link: LinkSummary


class OpenedLink(NamedTuple):
    """A link that was resolved: the token's grant without its device, and what may be told."""

    grant: JoinGrant
    room: RoomSummary


class Links(Protocol):
    """Resolves links; `app` implements it over `crm_core`."""

    async def open(self, code: str, secret: str) -> OpenedLink:
        """The link's grant.

        Raises:
            RequestError: ``not_found``, ``ended``, ``cancelled``, ``early``, or ``unavailable`` when
                the database does not answer.
        """


class JoinEndpoint:
    """The handler; counts attempts by address."""

    def __init__(
        self,
        links: Links,
        tokens: Tokens,
        clock: Clock,
        *,
        websocket_url: Callable[[web.Request], str],
        address_of: Callable[[web.Request], str],
    ) -> None:
        self._links = links
        self._tokens = tokens
        self._clock = clock
        self._websocket_url = websocket_url
        self._address_of = address_of
        self._attempts = AddressLimiter(JOIN_ALL_RATE, JOIN_ALL_BURST)
        self._attempts_by_room = AddressLimiter(JOIN_RATE, JOIN_BURST)
        self._wrong = AddressLimiter(WRONG_SECRET_RATE, WRONG_SECRET_BURST)

    async def post(self, request: web.Request) -> web.Response:
        """Answer a join."""
        try:
            return await self._join(request)
        except RequestError as error:
            return problem(error.code, error.detail, **error.extras)

    async def _join(self, request: web.Request) -> web.Response:
        address = self._address_of(request)
        now = self._clock.now()
        code = request.match_info["code"]
        room = code[:CODE_COUNTED]
        wait = self._attempts.wait(address, now)
        wait = wait or self._attempts_by_room.take(address, now, to=room)
        if wait:
            raise _too_many("joins", wait)
        self._attempts.take(address, now)  # what one room refused is not taken from the others
        body = await read_json(request, JoinRequest, MAX_BODY)
        try:
            opened = await self._links.open(code, body.secret)
        except RequestError as error:
            # Only who is wrong is refused for it: a neighbour behind the same address is not.
            if error.code == "not_found" and (wait := self._wrong.take(address, now)):
                raise _too_many("wrong links", wait) from error
            raise
        device = body.device or secrets.token_urlsafe(DEVICE_BYTES)
        grant = msgspec.structs.replace(
            opened.grant, device=hashlib.sha256(device.encode()).hexdigest()[:32]
        )
        answer = JoinAnswer(
            token=self._tokens.issue_join(grant, self._clock.wall()),
            expires_in=JOIN_LIFETIME,
            ws=self._websocket_url(request),
            device=device,
            room=opened.room,
            link=LinkSummary(grant.role, grant.lobby, grant.name),
        )
        return web.Response(
            body=msgspec.json.encode(answer),
            content_type="application/json",
            headers={"Cache-Control": "no-store"},
        )


def _too_many(what: str, wait: float) -> RequestError:
    return RequestError("rate", f"too many {what} from here", retry_ms=int(wait * 1000) + 1)


async def read_json(request: web.Request, kind: type[Any], limit: int) -> Any:
    """The typed JSON body.

    Raises:
        RequestError: ``too_large`` or ``bad_request``, naming the field.
    """
    try:
        data = await read_plain_body(request, limit)
    except TooLargeError as error:
        raise RequestError("too_large", str(error), limit=limit) from None
    except BodyError as error:
        raise RequestError("bad_request", str(error)) from None
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError("bad_request", str(error)) from error
