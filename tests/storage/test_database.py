"""Units of work: one commit, nothing left behind, nothing leaked by a pool."""

import asyncio
import contextlib
import functools
import random
import secrets
import sqlite3
import types
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm.exc import StaleDataError

from crm_core.organizations.models import Organization
from crm_core.tenants.models import Role
from crm_core.tenants.service import create_tenant
from storage.database import Database
from storage.engines import normalise_url
from storage.errors import DatabaseRefused, TenantLeak, UnsupportedDatabase
from storage.roles import check_postgresql_version
from storage.tenancy import PATIENCE
from tests.support.wait import until


async def _roles(database, tenant):
    async with database.unit_of_work(tenant.tenant.id, read_only=True) as unit:
        return set(await unit.session.scalars(sa.select(Role.name)))


async def test_a_unit_commits_at_its_end_and_not_before(database, tenant):
    """Nobody else sees a row before the block ends; everybody does after."""
    async with database.unit_of_work(tenant.tenant.id) as unit:
        await unit.add(Role(id=unit.ids(), name="Late"))
        assert "Late" not in await _roles(database, tenant)
    assert "Late" in await _roles(database, tenant)


async def test_a_unit_that_fails_leaves_nothing(database, tenant):
    """An exception rolls everything back and reaches the caller as it was."""
    with pytest.raises(KeyError):
        async with database.unit_of_work(tenant.tenant.id) as unit:
            await unit.add(Role(id=unit.ids(), name="Lost"))
            raise KeyError
    assert "Lost" not in await _roles(database, tenant)


async def test_a_read_only_unit_cannot_write(database, tenant):
    """The database itself refuses, on both."""
    with pytest.raises(DBAPIError, match=r"read-?only"):
        async with database.unit_of_work(tenant.tenant.id, read_only=True) as unit:
            await unit.add(Role(id=unit.ids(), name="Never"))


async def test_what_takes_a_transaction_is_writable(database):
    """Either database, as a server has it."""
    await database.check_writable()


async def test_a_standby_is_not_writable(app_url, superuser):
    """It begins transactions as any other, and refuses what they write."""
    name = sa.engine.make_url(app_url).database
    superuser.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    database = Database(app_url)
    try:
        with pytest.raises(DatabaseRefused, match="read-only"):
            await database.check_writable()
    finally:
        await database.close()


async def test_readers_and_writers_do_not_wait_for_each_other(database, tenant):
    """A reader goes on beside a writer, and when readers hold all their connections, a writer."""
    async with contextlib.AsyncExitStack() as stack:
        unit_of_work = functools.partial(database.unit_of_work, tenant.tenant.id)
        readers = [await stack.enter_async_context(unit_of_work(read_only=True)) for _ in range(10)]
        async with asyncio.timeout(30), unit_of_work() as writer:
            await writer.add(Role(id=writer.ids(), name="Writer"))
            for reader in readers:
                assert await reader.session.scalar(sa.select(sa.func.count(Role.id))) == 4


async def test_rows_are_stamped_with_the_units_moment(database_url):
    """created_at, updated_at and the version come from the unit; a change moves two of them."""
    moments = iter([datetime(2026, 5, day, tzinfo=UTC) for day in range(1, 28)] * 20)
    pool = Database(database_url, clock=lambda: next(moments))
    made = await create_tenant(pool, "T", staff_name="S", random_bytes=secrets.token_bytes)
    async with pool.unit_of_work(made.tenant.id, actor_id=made.staff.id) as unit:
        role = Role(id=unit.ids(), name="Stamped")
        await unit.add(role)
        assert (role.created_at, role.updated_at, role.version) == (unit.now, unit.now, 1)
        assert role.created_by == made.staff.id
    async with pool.unit_of_work(made.tenant.id) as unit:
        found = await unit.session.scalar(sa.select(Role).where(Role.id == role.id))
        found.description = "changed"
        await unit.session.flush()
        assert (found.created_at, found.updated_at) == (role.created_at, unit.now)
        assert found.version == 2
    await pool.close()


async def test_two_writers_of_one_version_cannot_both_win(database, tenant):
    """The second write against the same version raises instead of overwriting."""
    async with database.unit_of_work(tenant.tenant.id) as unit:
        stale = await unit.session.scalar(sa.select(Role).where(Role.name == "Owner"))
    async with database.unit_of_work(tenant.tenant.id) as unit:
        fresh = await unit.session.scalar(sa.select(Role).where(Role.name == "Owner"))
        fresh.description = "first"
    with pytest.raises(StaleDataError):
        async with database.unit_of_work(tenant.tenant.id) as unit:
            unit.session.add(stale)
            stale.description = "second"


async def test_values_survive_both_databases(database, tenant):
    """Money to four digits, times to the microsecond in UTC, JSON as it was, SQL NULL as null."""
    now = datetime(2026, 2, 3, 4, 5, 6, 789012, tzinfo=UTC)
    async with database.unit_of_work(tenant.tenant.id) as unit:
        row = Organization(
            id=unit.ids(),
            name="ABC",
            annual_revenue=Decimal("-12345678901234.5678"),
            last_email_at=now,
            waiting_on=[{"a": [1, 2.5, None, "é"]}],
        )
        await unit.add(row)
    async with database.unit_of_work(tenant.tenant.id, read_only=True) as unit:
        found = await unit.session.scalar(sa.select(Organization))
        assert found.annual_revenue == Decimal("-12345678901234.5678")
        assert found.last_email_at == now
        assert found.last_email_at.tzinfo is UTC
        assert found.waiting_on == [{"a": [1, 2.5, None, "é"]}]
        assert found.billing_address is None
        assert await unit.session.scalar(
            sa.select(Organization.id).where(Organization.billing_address.is_(None))
        )


async def test_cancelling_anywhere_leaks_no_tenant(app_url):
    """Units cancelled at random points leave no tenant on any pooled connection."""
    seed = 7
    print("seed", seed)
    chance = random.Random(seed)
    pool = Database(app_url, pool_size=3)
    made = [
        await create_tenant(pool, name, staff_name=name, random_bytes=secrets.token_bytes)
        for name in ("A", "B")
    ]

    async def work(tenant):
        async with pool.unit_of_work(tenant.tenant.id) as unit:
            names = list(await unit.session.scalars(sa.select(Organization.name)))
            assert set(names) <= {tenant.tenant.name}
            await unit.add(Organization(id=unit.ids(), name=tenant.tenant.name))
            await unit.session.scalar(sa.select(sa.func.count(Organization.id)))

    for _ in range(40):
        tasks = [asyncio.create_task(work(chance.choice(made))) for _ in range(4)]
        for _ in range(chance.randrange(60)):
            await asyncio.sleep(0)
        chance.choice(tasks).cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            assert task.cancelled() or task.exception() is None
    for _ in range(6):
        async with pool.writers.connect() as connection:
            left = await connection.scalar(sa.text("SELECT current_setting('app.tenant', true)"))
            assert not left
    async with pool.unit_of_work(None, read_only=True) as unit:
        assert list(await unit.session.scalars(sa.select(Organization.id))) == []
    await pool.close()


async def test_a_unit_that_is_cancelled_while_it_ends_is_no_fault(database, tenant, caplog):
    """Whatever the moment, it ends well or not at all, and nobody reads of it in the log."""

    async def work():
        async with database.unit_of_work(tenant.tenant.id) as unit:
            await unit.add(Organization(id=unit.ids(), name="Roofs"))

    ended, steps = False, 0
    while not ended:  # a little later each time, until it is too late
        task = asyncio.create_task(work())
        for _ in range(steps):
            await asyncio.sleep(0.0002)
        ended, steps = task.done(), steps + 1
        task.cancel()
        await asyncio.wait([task])
    assert [entry.getMessage() for entry in caplog.records if entry.levelname == "ERROR"] == []


@pytest.mark.parametrize("cancelled", [True, False])
async def test_a_connection_that_answers_nothing_more_is_broken_off(
    database, tenant, monkeypatch, cancelled
):
    """Its turn and its place in the pool are free again, and who used it hears what they had heard."""
    monkeypatch.setattr("storage.database._END_SECONDS", 0.05)

    class Deaf:
        """A driver's connection in the middle of a batch."""

        def __init__(self):
            self.gone = asyncio.Event()

        def terminate(self):
            self.gone.set()

    deaf, before = Deaf(), database._turns._free
    close = AsyncSession.close

    async def unheard(session):
        await deaf.gone.wait()
        await close(session)
        raise ConnectionError("it is gone")

    async def raw(_connection):
        return types.SimpleNamespace(driver_connection=deaf)

    monkeypatch.setattr(AsyncSession, "close", unheard)
    monkeypatch.setattr(AsyncConnection, "get_raw_connection", raw)
    begun = asyncio.Event()

    async def work():
        async with database.unit_of_work(tenant.tenant.id):
            begun.set()
            if cancelled:
                await asyncio.sleep(60)
            raise LookupError

    task = asyncio.create_task(work())
    await begun.wait()
    if cancelled:
        task.cancel()
    await asyncio.wait([task], timeout=10)
    assert task.cancelled() if cancelled else isinstance(task.exception(), LookupError)
    assert database._turns._free == before


async def test_a_connection_that_is_given_up_leaves_no_lock(sqlite_url):
    """Though a cursor of it lives on, in a traceback, say: nobody else could write until it is gone."""
    pool = Database(sqlite_url)
    connection = await pool.writers.connect()
    await connection.begin()
    driver = (await connection.get_raw_connection()).driver_connection
    cursor = await driver.execute("SELECT id FROM tenants UNION SELECT 1 UNION SELECT 2")
    assert await cursor.fetchone()
    await connection.invalidate()
    await connection.close()
    async with asyncio.timeout(5), pool.writers.begin() as another:
        await another.execute(sa.text("DELETE FROM tenants"))
    del cursor
    await pool.close()


async def test_a_session_level_tenant_never_reaches_the_next_caller(app_url, caplog):
    """The pool throws away a connection that comes back with a tenant on it, loudly."""
    pool = Database(app_url, pool_size=1)
    connection = await pool.writers.connect()
    await connection.execute(sa.text("SELECT set_config('app.tenant', 'x', false)"))
    await connection.commit()
    await connection.close()
    assert TenantLeak.__name__ in caplog.text
    assert "with a tenant set on it" in caplog.text
    async with pool.writers.connect() as next_one:
        left = await next_one.scalar(sa.text("SELECT current_setting('app.tenant', true)"))
        assert not left
    await pool.close()


async def test_an_old_postgresql_is_refused_with_a_sentence():
    """Versions before 15 lack what isolation needs."""

    class Old:
        async def execute(self, _statement):
            class Result:
                def scalar_one(self):
                    return "140011"

            return Result()

    with pytest.raises(UnsupportedDatabase, match="PostgreSQL 14 is too old"):
        await check_postgresql_version(Old())


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("postgresql://u:p@h/d", "postgresql+asyncpg"),
        ("postgres://u:p@h/d", "postgresql+asyncpg"),
        ("postgresql+asyncpg://u:p@h/d", "postgresql+asyncpg"),
        ("sqlite:////tmp/x.db", "sqlite+aiosqlite"),
    ],
)
def test_plain_urls_get_our_drivers(given, driver):
    """Both spellings of a URL are the same database."""
    assert normalise_url(given).drivername == driver


async def test_thirty_sqlite_writers_wait_their_turn(sqlite_url):
    """Writers queue fairly instead of failing with a locked database."""
    pool = Database(sqlite_url)
    made = await create_tenant(pool, "T", staff_name="S", random_bytes=secrets.token_bytes)

    async def write(number):
        async with pool.unit_of_work(made.tenant.id) as unit:
            await unit.add(Role(id=unit.ids(), name=f"R{number}"))

    await asyncio.gather(*(write(number) for number in range(30)))
    assert len(await _roles(pool, made)) == 34
    await pool.close()


async def test_a_tenant_with_much_to_write_waits_for_itself(database_url):
    """Another's fact is next but one, whoever asked before: its people wait for an answer."""
    pool = Database(database_url, pool_size=1)
    crowd, other = [
        (
            await create_tenant(pool, name, staff_name="S", random_bytes=secrets.token_bytes)
        ).tenant.id
        for name in ("Crowd", "Other")
    ]
    done, gate = [], asyncio.Event()

    async def write(tenant_id):
        async with pool.unit_of_work(tenant_id):
            await gate.wait()
            done.append(tenant_id)

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for tenant_id in (*[crowd] * 20, other):
            group.create_task(write(tenant_id))
        await until(lambda: pool._turns.waiting() == 20)
        gate.set()
    assert done.index(other) == 2
    await pool.close()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_no_tenant_has_every_connection_that_writes(database, tenant, other_tenant):
    """What waits for a lock has one for ten seconds: a room and a request of another are served."""
    crowd, other = tenant.tenant.id, other_tenant.tenant.id
    gate = asyncio.Event()

    async def room():
        async with database.unit_of_work(crowd):
            await gate.wait()

    async def request():
        async with (
            database.request_turns.take(crowd, "key"),
            database.unit_of_work(crowd, in_turn=True),
        ):
            await gate.wait()

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for _ in range(12):
            group.create_task(room())
            group.create_task(request())
        await until(lambda: database.waiting() == 24 - 4 - 3)
        async with database.unit_of_work(other):
            pass
        async with (
            database.request_turns.take(other, "key"),
            database.unit_of_work(other, in_turn=True),
        ):
            await database.check_writable()
        gate.set()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_whatever_is_asked_for_has_an_end_to_its_waits(database, tenant):
    """A tenant's, one that sees no tenant, and the look for whose key it is."""
    for name, limit in PATIENCE.items():
        show = sa.text(f"SELECT extract(epoch FROM current_setting('{name}')::interval)")
        for tenant_id in (tenant.tenant.id, None):
            async with database.unit_of_work(tenant_id) as unit:
                connection = await unit.session.connection()
                assert await connection.scalar(show) == int(limit[:-1])
        async with database.without_tenant() as connection:
            assert await connection.scalar(show) == int(limit[:-1])


async def test_who_gets_no_turn_in_time_is_told_so(database, tenant, monkeypatch):
    """And takes nobody's away."""
    monkeypatch.setattr("storage.database._TURN_SECONDS", 0.05)
    async with contextlib.AsyncExitStack() as held:
        for number in range(database._turns._free):
            await held.enter_async_context(database._turns.take(number, None))
        with pytest.raises(sa.exc.TimeoutError):
            await database.unit_of_work(tenant.tenant.id).__aenter__()
    async with asyncio.timeout(10), database.unit_of_work(tenant.tenant.id):
        pass


async def test_two_may_open_a_new_sqlite_file_at_once(tmp_path):
    """SQLite lets nobody wait for who is about to write while the journal's mode changes."""
    path = tmp_path / "new.db"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    asyncio.get_running_loop().call_later(0.1, other.rollback)
    pool = Database(f"sqlite:///{path}")
    async with pool.readers.connect() as connection:
        assert await connection.scalar(sa.text("PRAGMA journal_mode")) == "wal"
    await pool.close()
    other.close()


async def test_errors_hold_no_values_of_rows(database):
    """What a statement carried may be personal or secret, and errors are logged."""
    with pytest.raises(sa.exc.DBAPIError) as error:
        async with database.without_tenant() as connection:
            await connection.execute(sa.text("SELECT nonsense(:v)"), {"v": "CanaryValue"})
    assert "Canary" not in str(error.value)


async def test_every_sqlite_connection_keeps_its_promises(sqlite_url):
    """A commit survives a power cut, references hold, readers and the writer do not wait."""
    pool = Database(sqlite_url)
    for engine in (pool.readers, pool.writers):
        async with engine.connect() as connection:
            told = [
                await connection.scalar(sa.text(f"PRAGMA {name}"))
                for name in ("synchronous", "foreign_keys", "journal_mode")
            ]
        assert told == [2, 1, "wal"]  # 2 is FULL
    await pool.close()
