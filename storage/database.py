"""Opening the database and the one place that commits.

`Database.unit_of_work` gives a `Unit`: one session, one transaction, one tenant, one moment. It
commits when its block ends well and rolls back when it does not, cancellation included. The schema
is made by ``schema.py``; what a session may see is decided in ``tenancy.py``.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from .engines import open_engine
from .errors import DatabaseRefused
from .ids import Clock, Ids, MonotonicIds, utc_now
from .reasons import refusals
from .roles import check_member, check_postgresql_version, check_role
from .tenancy import TenantSession, assert_no_tenant_on_return, bound_waits
from .turns import Turns

_END_SECONDS: Final = 2.0
_TURN_SECONDS: Final = 30.0


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


class Database:
    """The server's pools, on either database: one to read, one to write.

    Two, because a hundred people who open their links at once must not keep the facts of running
    meetings from being committed. Who writes has a connection in turn with other tenants: else one with a
    hundred rooms that end would keep all others waiting, on SQLite for its one writer. On PostgreSQL no
    tenant has all connections, as what waits for a lock has one for ten seconds.

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
        self.request_turns: Turns
        """To write for requests over the API, by tenant and key; see `unit_of_work`."""
        if self.dialect == "sqlite":
            self._turns = self.request_turns = Turns()
        else:
            requests = max(1, pool_size * 2 // 5)
            others = max(1, pool_size - requests - 1)  # one is left to the look for its health
            self._turns = Turns(others, of_one=max(1, others - 1))
            self.request_turns = Turns(requests, of_one=max(1, requests - 1))
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
                    await check_role(connection)
                    await check_member(connection)

    async def check_writable(self) -> None:
        """Begin a transaction that may write: it waits for one that runs, and for nobody's turn.

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
        self,
        tenant_id: UUID | None,
        *,
        actor_id: UUID | None = None,
        read_only: bool = False,
        in_turn: bool = False,
    ) -> AsyncIterator[Unit]:
        """One transaction for one tenant; commits at the end of the block.

        Args:
            tenant_id: whose rows it may see; None sees no tenant's row.
            actor_id: the staff member who acts, stamped on what is created.
            read_only: the database refuses writes, and on SQLite nobody waits for it.
            in_turn: the caller has one of `request_turns`.

        Raises:
            sqlalchemy.exc.TimeoutError: no connection was free in time.
        """
        if read_only or in_turn:
            async with self._unit(tenant_id, actor_id, read_only) as unit:
                yield unit
        else:
            async with self._turn(tenant_id), self._unit(tenant_id, actor_id, read_only) as unit:
                yield unit

    def waiting(self) -> int:
        """How many wait to write."""
        return sum(turns.waiting() for turns in {self._turns, self.request_turns})

    @contextlib.asynccontextmanager
    async def _turn(self, tenant_id: UUID | None) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(_TURN_SECONDS):
                    await stack.enter_async_context(self._turns.take(tenant_id, None))
            except TimeoutError:
                raise sa.exc.TimeoutError("no turn to write came in time") from None
            yield

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
        driver: Any = None
        try:
            connection = await session.connection()
            driver = (await connection.get_raw_connection()).driver_connection
            # The moment is when its turn has come, not when it asked.
            now = session.sync_session.info["now"] = self.clock()
            yield Unit(session, tenant_id, now, self.ids, self.dialect, actor_id)
        except BaseException:
            await _to_its_end(session.close(), driver, may_last=False)
            raise
        await _to_its_end(_commit(session), driver)

    @contextlib.asynccontextmanager
    async def without_tenant(self) -> AsyncIterator[AsyncConnection]:
        """A read-only connection for look-ups that come before the tenant is known.

        On PostgreSQL only look-up functions can see a row there. On SQLite nothing holds the
        caller back, so only look-ups may use it.
        """
        async with self.readers.begin() as connection:
            await connection.run_sync(bound_waits)
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


async def _to_its_end(
    work: Coroutine[Any, Any, None], driver: Any, *, may_last: bool = True
) -> None:
    """Do `work` though the caller is cancelled in the middle of it, within `_END_SECONDS`.

    A transaction that is left while it ends costs its connection, and is a fault in the log. One that does not
    end is broken off: a connection of PostgreSQL that was left in the middle of a batch answers nothing more.

    Args:
        work: the commit, or what gives everything back.
        driver: the connection as its driver has it.
        may_last: whether it is waited for while nobody is cancelled, as SQLite's is in any case.
    """
    task = asyncio.ensure_future(work)
    endless = may_last or not hasattr(driver, "terminate")
    try:
        await asyncio.wait([task], timeout=None if endless else _END_SECONDS)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=_END_SECONDS)
        await _break_off(task, driver)
        raise
    if task.done():
        await task
    else:
        await _break_off(task, driver)


async def _break_off(task: asyncio.Future[None], driver: Any) -> None:
    """Bring what should have ended to its end; what it says of that is of no use to anybody."""
    if not task.done():
        if hasattr(driver, "terminate"):
            driver.terminate()
        else:
            task.cancel()
        await asyncio.wait([task])
    if not task.cancelled():
        task.exception()
