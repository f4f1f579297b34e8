"""Refusals as RFC 9457 problem documents, with a stable ``code`` and the ``field`` at fault.

`STATUS` is the one table from error classes to HTTP. What is in no table is our bug: it is logged
with a reference, and the answer carries that reference (``ref``) and nothing else.
"""

import logging
from http import HTTPStatus
from typing import Any

import aiohttp.web
import msgspec
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm.exc import StaleDataError

from crm_core import errors
from crm_core.resources.integrity import explain
from crm_core.tenants.service import Unauthorized
from signaling.logs import internal_error

logger = logging.getLogger(__name__)

PROBLEM = "application/problem+json"


class HttpProblem(Exception):  # it is the answer, not an error of ours
    """A refusal that is HTTP's own."""

    def __init__(
        self, status: int, code: str, detail: str, *, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers or {}


STATUS: tuple[tuple[type[errors.CrmError], int], ...] = (
    # Most special first.
    (Unauthorized, 401),
    (errors.NotFound, 404),
    (errors.UnknownFilter, 400),
    (errors.InvalidInput, 422),
    (errors.Conflict, 409),
    (errors.StaleVersion, 412),
    (errors.LinkRefused, 404),
    (errors.RoomOver, 409),
)


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    field: str | None = None,
    headers: dict[str, str] | None = None,
    **extra: Any,
) -> aiohttp.web.Response:
    """A problem document as an answer."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }
    if field is not None:
        body["field"] = field
    body.update({name: value for name, value in extra.items() if value is not None})
    return aiohttp.web.Response(
        status=status,
        body=msgspec.json.encode(body),
        content_type=PROBLEM,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


_TRY_AGAIN = ("08", "28", "53", "57", "40001", "40P01", "25006", "55P03")
"""How SQLSTATEs begin that say nothing of the request: the connection broke or was refused (the login, too many,
shutting down), resources or time ran out; or it lost to another transaction, to a lock, or came to a
standby, which takes none."""


def answer_for(error: Exception) -> aiohttp.web.Response:
    """The answer to whatever a handler raised."""
    if isinstance(error, HttpProblem):
        return problem(error.status, error.code, error.detail, headers=error.headers)
    if isinstance(error, IntegrityError):
        # Rules that the database checks at commit.
        error = explain(error)
    if isinstance(error, StaleDataError):
        error = errors.StaleVersion("the record was changed in this very moment")
    if isinstance(error, errors.CrmError):
        return _refusal(error)
    if isinstance(error, aiohttp.web.HTTPRequestEntityTooLarge):
        return problem(413, "too_large", "the body is too large")
    if _is_unavailable(error):
        logger.warning("the database does not answer: %s", type(error).__name__)
        return problem(
            503, "unavailable", "the database does not answer now", headers={"Retry-After": "1"}
        )
    ref = internal_error("rest", error).extras["ref"]
    return problem(500, "internal", "this is a fault of the server", ref=ref)


def _refusal(error: errors.CrmError) -> aiohttp.web.Response:
    status = next((status for kind, status in STATUS if isinstance(error, kind)), None)
    if status is None:
        raise AssertionError(f"no HTTP status for {type(error).__name__}")
    headers = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else None
    return problem(
        status, error.code, error.detail, field=error.field, headers=headers, **error.extra
    )


def _is_unavailable(error: Exception) -> bool:
    """The database is down, restarting or overloaded, as far as the driver tells."""
    if isinstance(error, PoolTimeout | ConnectionError | InterfaceError | OperationalError):
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    # Who is refused while connecting hears it from the driver itself.
    cause = error.orig if isinstance(error, DBAPIError) else error
    return str(getattr(cause, "sqlstate", "")).startswith(_TRY_AGAIN)
