"""What surrounds every request: who calls, one unit of work, and the answer to a refusal."""

import contextlib
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import aiohttp.web
import msgspec

from crm_core.appointments.video import LinkMaker
from crm_core.errors import NotFound
from crm_core.resources.declaration import Caller, Resource
from crm_core.resources.fields import UUID_KIND
from crm_core.tenants.service import ApiGrant, Unauthorized
from signaling.limits import network
from storage.database import Unit

from . import sending
from .problems import HttpProblem, answer_for, problem
from .turns import RestTurns

MAX_SECRET = 200
"""Characters of an API key; ours have fewer."""
ETAG = '"v([0-9]{1,18})"'
"""A version as an entity tag."""
_ETAG = re.compile(ETAG, re.ASCII)


@dataclass(frozen=True)
class Api:
    """What the handlers share."""

    turns: RestTurns
    resources: Mapping[str, Resource]
    links: LinkMaker
    address_of: Callable[[aiohttp.web.Request], str]
    """The visitor's address."""


@dataclass(frozen=True)
class Call:
    """One authenticated request to one resource."""

    api: Api
    resource: Resource
    request: aiohttp.web.Request
    grant: ApiGrant
    secret: str
    """The API key as sent; remembered answers are sealed with it."""
    held: contextlib.ExitStack
    """What ends when the answer is made."""

    @property
    def caller(self) -> Caller:
        """Who calls, for use cases."""
        return Caller(self.grant.staff_id, self.api.links)

    def reading(self) -> AbstractAsyncContextManager[Unit]:
        """A unit of work that reads, in the caller's turn."""
        return self.api.turns.reading(self.grant, self.is_there)

    def writing(self) -> AbstractAsyncContextManager[Unit]:
        """A unit of work in the caller's turn."""
        return self.api.turns.writing(self.grant, self.is_there)

    def decoding(self) -> AbstractAsyncContextManager[None]:
        """The caller's turn to have a large body decoded."""
        return self.api.turns.decoding(self.grant, self.is_there)

    def is_there(self) -> bool:
        """Whether the caller still waits for the answer."""
        return _is_there(self.request)

    def hold_body(self) -> None:
        """Count the caller's large body until the answer is made.

        Raises:
            HttpProblem: 429, there are too many.
        """
        self.held.enter_context(self.api.turns.holding(self.grant))

    def row_id(self) -> UUID:
        """The id in the path.

        Raises:
            NotFound: it is no id, so nothing has it.
        """
        text = self.request.match_info["id"]
        try:
            found: UUID = UUID_KIND.decode(text)
        except ValueError:
            raise NotFound(self.resource.noun) from None
        return found


Handler = Callable[[Call], Awaitable[aiohttp.web.StreamResponse]]
AiohttpHandler = Callable[[aiohttp.web.Request], Awaitable[aiohttp.web.StreamResponse]]


def endpoint(api: Api, resource: Resource, handler: Handler) -> AiohttpHandler:
    """Wrap `handler` for aiohttp: authenticate, run, and turn refusals into problems."""

    async def handle(request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        try:
            secret = _bearer(request)
            grant = await api.turns.authenticate(
                secret, network(api.address_of(request)), lambda: _is_there(request)
            )
            with contextlib.ExitStack() as held:
                response = await handler(Call(api, resource, request, grant, secret, held))
            if sending.is_large(response):
                with api.turns.sending(grant):
                    await sending.send(request, response)
        except Exception as error:  # noqa: BLE001  # every refusal and every bug becomes an answer
            response = answer_for(error)
        return response

    return handle


def json_answer(
    value: Any, *, status: int = 200, version: int | None = None, location: str | None = None
) -> aiohttp.web.Response:
    """A JSON answer; `version` becomes its ETag."""
    headers = {"Cache-Control": "no-cache"}
    if version is not None:
        headers["ETag"] = etag(version)
    if location is not None:
        headers["Location"] = location
    return aiohttp.web.Response(
        status=status,
        body=msgspec.json.encode(value),
        content_type="application/json",
        headers=headers,
    )


def etag(version: int) -> str:
    """The version as an entity tag."""
    return f'"v{version}"'


def if_match(call: Call, *, required: bool) -> list[int] | None:
    """The versions that ``If-Match`` accepts; None for any.

    Tags that are none of ours match no version (RFC 9110 §13.1.1).

    Raises:
        HttpProblem: 428, it is required and absent.
    """
    header = call.request.headers.get("If-Match")
    if header is None:
        if required and call.resource.is_versioned:
            raise HttpProblem(
                428, "precondition_required", "send If-Match with the ETag of the version you read"
            )
        return None
    if header.strip() == "*":
        return None
    tags = [_ETAG.fullmatch(tag.strip()) for tag in header.split(",")]
    return [int(tag[1]) for tag in tags if tag is not None]


def not_modified(call: Call, version: int) -> bool:
    """Whether ``If-None-Match`` says that the caller has this version already."""
    header = call.request.headers.get("If-None-Match", "")
    tags = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return etag(version) in tags or "*" in tags


def method_not_allowed(*allowed: str) -> AiohttpHandler:
    """Answer any other method of a known path."""

    async def handle(_request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        allow = ", ".join(allowed)
        return problem(
            405, "method_not_allowed", f"this path has {allow}", headers={"Allow": allow}
        )

    return handle


async def not_found(_request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
    """Answer a path that the API does not have."""
    return problem(404, "not_found", "the API has no such path; see /openapi.json")


def _is_there(request: aiohttp.web.Request) -> bool:
    return request.transport is not None  # which is None once the connection is lost


def _bearer(request: aiohttp.web.Request) -> str:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not secret or len(secret) > MAX_SECRET:
        raise Unauthorized
    return secret
