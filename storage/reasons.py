"""Why a database cannot be used, in one line for whoever runs the server, without its secrets.

Drivers and the ORM raise errors of a dozen kinds, and their texts hold whole statements with
their values, or nothing at all. `refusals` goes round what a start does with the database and
turns those into `DatabaseRefused`. Errors while serving are answered by ``signaling.http`` instead.
"""

import contextlib
import os
from collections.abc import Iterator

import asyncpg  # type: ignore[import-untyped]  # it ships no types
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from .errors import DatabaseRefused

_CAUSABLE = (
    DBAPIError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)


@contextlib.contextmanager
def refusals(url: URL) -> Iterator[None]:
    """Raise what the database at `url` does not let us do as one clear line.

    The original error is not shown as the cause: its text holds statements and their values.

    Raises:
        DatabaseRefused: names the database, without user and password, and the reason.
    """
    try:
        yield
    except _CAUSABLE as error:
        raise DatabaseRefused(f"{place(url)}: {reason(error)}") from None


def place(url: URL) -> str:
    """The database's address without anything secret."""
    bare = URL.create(url.get_backend_name(), host=url.host, port=url.port, database=url.database)
    return bare.render_as_string()


def reason(error: BaseException) -> str:
    """The first line of what the server, the driver or the system said; never a statement."""
    if isinstance(error, DBAPIError):
        wrapped = error.orig or error
        error = wrapped.__cause__ or wrapped
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror  # of a name look-up, whose numbers are its own
    said = str(error).strip().splitlines()
    return said[0] if said else type(error).__name__
