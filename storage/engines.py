"""Engines with this program's connection rules, and the URLs that it takes."""

import asyncio
import sqlite3
from typing import Any

import aiosqlite
import msgspec
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from .errors import UnsupportedDatabase

_DRIVERS = {"postgresql": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}
_URL_OPTIONS = ("sslmode", "ssl", "host", "port", "prepared_statement_cache_size")
_SQLITE_BUSY_MS = 10_000
_SQLITE_RETRY_SECONDS = 0.01
_CONNECT_SECONDS = 15


def normalise_url(url: str) -> URL:
    """Accept ``postgresql://`` and ``sqlite:///`` plain or with our driver.

    Raises:
        UnsupportedDatabase: another database or driver, or a text that is no URL.
    """
    try:
        parsed = make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        # Not chained: the error's text would show the URL, and with it the password.
        raise UnsupportedDatabase("the database URL cannot be read") from None
    backend = parsed.drivername.split("+")[0]
    backend = "postgresql" if backend == "postgres" else backend
    driver = _DRIVERS.get(backend)
    if driver is None or parsed.drivername not in (backend, driver, "postgres"):
        raise UnsupportedDatabase(
            f"{parsed.drivername} is not supported: use postgresql:// or sqlite:///"
        )
    return _with_driver_options(parsed.set(drivername=driver))


def open_engine(url: str | URL, *, pool_size: int = 10, read_only: bool = False) -> AsyncEngine:
    """An engine with this program's connection rules; the caller disposes of it.

    Args:
        url: where.
        pool_size: connections at the most.
        read_only: the database refuses to write on its connections.
    """
    parsed = normalise_url(url) if isinstance(url, str) else url
    rules: dict[str, Any] = {
        "pool_size": pool_size,
        "max_overflow": 0,
        "hide_parameters": True,  # errors are logged, and values of rows have no place there
    }
    if parsed.get_backend_name() == "sqlite":
        engine = create_async_engine(
            parsed,
            connect_args={"factory": SqliteConnection},
            json_deserializer=msgspec.json.decode,
            **rules,
        )
        _prepare_sqlite(engine, read_only=read_only)
        return engine
    return create_async_engine(
        parsed,
        pool_pre_ping=True,
        json_deserializer=str,  # `types` decodes each row by itself
        connect_args={
            "timeout": _CONNECT_SECONDS,
            "server_settings": {"application_name": "sunup", "TimeZone": "UTC"},
        },
        execution_options={"postgresql_readonly": True} if read_only else {},
        **rules,
    )


class SqliteConnection(sqlite3.Connection):
    """A connection whose transaction ends with it.

    SQLite keeps one that is closed as long as a cursor of it lives, its transaction and the lock of
    the one writer with it (sqlite3_close_v2): of a unit that was given up, that may be for ever.
    """

    def close(self) -> None:
        """Roll back, then close."""
        if self.in_transaction:
            self.rollback()
        super().close()


def _with_driver_options(url: URL) -> URL:
    """`url` with ``sslmode``, as libpq calls it, under the driver's name; others are refused."""
    if url.get_backend_name() == "sqlite":
        return url
    for option in url.query:
        if option not in _URL_OPTIONS:
            raise UnsupportedDatabase(
                f"the database URL's option {option!r} is not supported: use "
                + ", ".join(_URL_OPTIONS)
            )
    if "sslmode" not in url.query:
        return url
    mode = url.query["sslmode"]
    return url.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})


def _prepare_sqlite(engine: AsyncEngine, *, read_only: bool) -> None:
    """WAL so that readers and the one writer do not wait for each other; keys enforced.

    The driver's own BEGIN is switched off: it starts transactions lazily and would let a reader
    try to become a writer half-way, which SQLite answers with an error at once.
    """

    @event.listens_for(engine.sync_engine, "connect")
    def _pragmas(dbapi_connection: Any, _record: Any) -> None:
        dbapi_connection.isolation_level = None
        dbapi_connection.run_async(_keep_wal)
        cursor = dbapi_connection.cursor()
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute(f"PRAGMA busy_timeout = {_SQLITE_BUSY_MS}")
        cursor.execute(f"PRAGMA query_only = {'ON' if read_only else 'OFF'}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


async def _keep_wal(connection: aiosqlite.Connection) -> None:
    """Set the file's journal mode, which only the first connection ever has to change.

    Of two processes that change it at once SQLite refuses one without waiting (its busy handler
    could wait for ever: each reads what the other wants to lock).
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + _SQLITE_BUSY_MS / 1000
    while True:
        try:
            await connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            primary = error.sqlite_errorcode & 0xFF  # of extended ones like SQLITE_BUSY_RECOVERY
            if primary != sqlite3.SQLITE_BUSY or loop.time() > end:
                raise
            await asyncio.sleep(_SQLITE_RETRY_SECONDS)
        else:
            return
