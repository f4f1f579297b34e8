"""Opening the database and the one place that commits.

`Database.unit_of_work` gives a `Unit`: one session, one transaction, one tenant, one moment. It
commits when its block ends well and rolls back when it does not, cancellation included. The schema
is made by ``schema.py``; what a session may see is decided in ``tenancy.py``.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import aiosqlite
import msgspec
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine

from .errors import DatabaseRefused, UnsafeDatabaseRole, UnsupportedDatabase
from .ids import Clock, Ids, MonotonicIds, utc_now
from .reasons import refusals
from .rls import APP_ROLE
from .tenancy import TenantSession, assert_no_tenant_on_return
from .turns import Turns

MINIMUM_POSTGRESQL = 150000
_DRIVERS = {"postgresql": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}
_URL_OPTIONS = ("sslmode", "ssl", "host", "port", "prepared_statement_cache_size")
_SQLITE_BUSY_MS = 10_000
_SQLITE_RETRY_SECONDS = 0.01
_CONNECT_SECONDS = 15
_END_SECONDS = 2.0
_TURN_SECONDS = 30.0


@dataclass(frozen=True)
class Unit:
    """What repositories and services work with inside one transaction."""

    session: AsyncSession
    tenant_id: UUID | None
    """None only for a unit that may see no tenant's rows."""
    now: datetime
    """The moment of this unit: every stamp it writes is this one."""
    ids: Ids
    dialect: str
    """``postgresql`` or ``sqlite``, for the few statements that differ."""
    actor_id: UUID | None = None
    """The staff member who acts, if one does."""

    async def add(self, *rows: object) -> None:
        """Insert `rows` in this order; keys between them hold when each refers to earlier ones."""
        for row in rows:
            self.session.add(row)
            await self.session.flush()


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


class Database:
    """The server's pools, on either database: one to read, one to write.

    Two, because a hundred people who open their links at once must not keep the facts of running
    meetings from being committed. Who writes has a connection in turn with other tenants: else one with a
    hundred rooms that end would keep all others waiting, on SQLite for its one writer.

    Args:
        url: where; on PostgreSQL with the application's login, never the owner's.
        clock: now, in UTC.
        ids: makes UUIDv7s.
        pool_size: connections at the most to read, and as many to write (one on SQLite, which
            has one writer).
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Clock = utc_now,
        ids: Ids | None = None,
        pool_size: int = 10,
    ) -> None:
        self.clock = clock
        self.ids: Ids = ids if ids is not None else MonotonicIds(clock)
        self.readers = open_engine(url, pool_size=pool_size, read_only=True)
        self.dialect = self.readers.dialect.name
        # SQLite has one writer. Waiting for its connection is fair and costs nothing; waiting in
        # SQLite's busy handler is neither.
        self.writers = open_engine(url, pool_size=1 if self.dialect == "sqlite" else pool_size)
        self._turns = Turns(1 if self.dialect == "sqlite" else pool_size)
        """To write; as many at once as there are connections."""
        if self.dialect == "postgresql":
            assert_no_tenant_on_return(self.readers)
            assert_no_tenant_on_return(self.writers)

    async def check(self) -> None:
        """Refuse to serve from a database or role that cannot keep tenants apart.

        Raises:
            UnsupportedDatabase: PostgreSQL older than 15.
            UnsafeDatabaseRole: the role owns tables, bypasses row-level security or has no rights.
            DatabaseRefused: it cannot be reached.
        """
        with refusals(self.readers.url):
            async with self.readers.connect() as connection:
                if self.dialect == "postgresql":
                    await check_postgresql_version(connection)
                    await _check_role(connection)
                    await check_member(connection)

    async def check_writable(self) -> None:
        """Begin a transaction that may write, in its turn.

        Raises:
            DatabaseRefused: it takes none: it is a standby, or was set to be read.
            SQLAlchemyError: it does not answer, or another process holds it.
        """
        async with self.writers.begin() as connection:
            if self.dialect == "postgresql":
                read_only = await connection.scalar(sa.text("SHOW transaction_read_only"))
                if read_only == "on":
                    raise DatabaseRefused("the database is read-only")

    @contextlib.asynccontextmanager
    async def unit_of_work(
        self, tenant_id: UUID | None, *, actor_id: UUID | None = None, read_only: bool = False
    ) -> AsyncIterator[Unit]:
        """One transaction for one tenant; commits at the end of the block.

        Args:
            tenant_id: whose rows it may see; None sees no tenant's row.
            actor_id: the staff member who acts, stamped on what is created.
            read_only: the database refuses writes, and on SQLite nobody waits for it.

        Raises:
            sqlalchemy.exc.TimeoutError: no connection was free in time.
        """
        async with contextlib.AsyncExitStack() as stack:
            if not read_only:
                await self._wait_for_turn(stack, tenant_id)
            yield await stack.enter_async_context(self._unit(tenant_id, actor_id, read_only))

    async def _wait_for_turn(
        self, stack: contextlib.AsyncExitStack, tenant_id: UUID | None
    ) -> None:
        try:
            async with asyncio.timeout(_TURN_SECONDS):
                await stack.enter_async_context(self._turns.take(tenant_id))
        except TimeoutError:
            raise sa.exc.TimeoutError("no turn to write came in time") from None

    @contextlib.asynccontextmanager
    async def _unit(
        self, tenant_id: UUID | None, actor_id: UUID | None, read_only: bool
    ) -> AsyncIterator[Unit]:
        session = AsyncSession(
            self.readers if read_only else self.writers,
            sync_session_class=TenantSession,
            expire_on_commit=False,
            autoflush=False,
        )
        session.sync_session.info.update(tenant_id=tenant_id, actor_id=actor_id)
        try:
            await session.connection()  # its moment is when its turn has come, not when it asked
            now = session.sync_session.info["now"] = self.clock()
            yield Unit(session, tenant_id, now, self.ids, self.dialect, actor_id)
        except BaseException:
            await _to_its_end(session.close())
            raise
        await _to_its_end(_commit(session))

    @contextlib.asynccontextmanager
    async def without_tenant(self) -> AsyncIterator[AsyncConnection]:
        """A read-only connection for look-ups that come before the tenant is known.

        On PostgreSQL only look-up functions can see a row there. On SQLite nothing holds the
        caller back, so only look-ups may use it.
        """
        async with self.readers.begin() as connection:
            yield connection

    async def close(self) -> None:
        """Close every pooled connection."""
        await self.readers.dispose()
        await self.writers.dispose()


async def _commit(session: AsyncSession) -> None:
    try:
        await session.commit()
    finally:
        await session.close()


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Do `work` though the caller is cancelled in the middle of it, within `_END_SECONDS`.

    A transaction that is left while it ends costs its connection, and is a fault in the log.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=_END_SECONDS)
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
        elif not task.cancelled():
            task.exception()  # who was cancelled has no use for it
        raise


async def check_postgresql_version(connection: AsyncConnection) -> None:
    """Raise `UnsupportedDatabase` for a server older than PostgreSQL 15."""
    number = int((await connection.execute(sa.text("SHOW server_version_num"))).scalar_one())
    if number < MINIMUM_POSTGRESQL:
        raise UnsupportedDatabase(
            f"PostgreSQL {number // 10000} is too old: Sunup needs 15 or newer"
        )


async def check_member(connection: AsyncConnection) -> None:
    """Raise `UnsafeDatabaseRole` for a login without the rights of the app role.

    Says nothing of a database in whose cluster that role was never made.
    """
    statement = sa.text(
        "SELECT current_user FROM pg_roles"
        " WHERE rolname = :role AND NOT pg_has_role(current_user, oid, 'USAGE')"
    )
    name = (await connection.execute(statement, {"role": APP_ROLE})).scalar_one_or_none()
    if name is not None:
        raise UnsafeDatabaseRole(
            f"the database role {name!r} has no rights on the tables: as their owner, "
            f"GRANT {APP_ROLE} TO {name} (docs/decisions/0005-database-roles.md)"
        )


async def _check_role(connection: AsyncConnection) -> None:
    row = (
        await connection.execute(
            sa.text(
                """SELECT current_user AS name, rolsuper OR rolbypassrls AS bypasses,
                   (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                     WHERE n.nspname = 'public' AND pg_has_role(c.relowner, 'MEMBER')) AS owned
                   FROM pg_roles WHERE rolname = current_user"""
            )
        )
    ).one()
    if row.bypasses:
        raise UnsafeDatabaseRole(
            f"the database role {row.name!r} bypasses row-level security; "
            "serve with a member of sunup_app (docs/decisions/0005-database-roles.md)"
        )
    if row.owned:
        raise UnsafeDatabaseRole(
            f"the database role {row.name!r} owns {row.owned} tables; "
            "serve with a member of sunup_app (docs/decisions/0005-database-roles.md)"
        )
