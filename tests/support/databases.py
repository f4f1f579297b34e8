"""Migrated databases for tests: one template of each kind per run, copied where a test needs it.

``database`` runs a test twice, on SQLite and on PostgreSQL; there it connects as a login that owns
nothing and is subject to row-level security, like the server. ``tests/conftest.py`` loads this as a
plugin.
"""

import asyncio
import itertools
import os
import pathlib
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg
import pytest
import pytest_asyncio
import sqlalchemy as sa

from crm_core.appointments.video import LinkMaker
from crm_core.tenants.service import NewTenant, create_tenant
from storage import schema
from storage.database import Database

APP_LOGIN = "sunup_app_of_tests"
BASE_URL = "https://meet.example"
LINKS = LinkMaker(BASE_URL, secrets.token_bytes)

_serial = itertools.count()


def _named(url: str, database: str, user: str | None = None) -> str:
    """`url` with another database and user."""
    head, _, _ = url.rpartition("/")
    if user is not None:
        scheme, _, rest = head.partition("://")
        head = f"{scheme}://{user}@{rest.rpartition('@')[2]}"
    return f"{head}/{database}"


def create_postgres_database(url: str, template: str | None = None, name: str | None = None) -> str:
    """Make a database in the cluster of `url`; returns its name, unique to this process."""
    name = f"test_{os.getpid()}_{next(_serial) if name is None else name}"
    copy = f" TEMPLATE {template} STRATEGY FILE_COPY" if template else ""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}{copy}")
    return name


def drop_postgres_database(url: str, name: str) -> None:
    """Drop it, with whatever is still connected."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str) -> Iterator[str]:
    """The name of a migrated database that nobody connects to."""
    name = create_postgres_database(postgres_url)
    asyncio.run(schema.migrate(_named(postgres_url, name)))
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        if not connection.execute(
            "SELECT 1 FROM pg_roles WHERE rolname = %s", [APP_LOGIN]
        ).fetchone():
            connection.execute(f"CREATE ROLE {APP_LOGIN} LOGIN IN ROLE sunup_app")
    yield name
    drop_postgres_database(postgres_url, name)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A migrated file that nobody opens."""
    path = tmp_path_factory.mktemp("template") / "template.db"
    asyncio.run(schema.migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture
def postgres_database(postgres_url: str, postgres_template: str) -> Iterator[str]:
    """The name of a fresh migrated database."""
    name = create_postgres_database(postgres_url, postgres_template)
    yield name
    drop_postgres_database(postgres_url, name)


@pytest.fixture
def owner_url(postgres_url: str, postgres_database: str) -> str:
    """URL of the fresh database for its owner, who sees everything: for looking, not serving."""
    return _named(postgres_url, postgres_database)


@pytest.fixture
def app_url(postgres_url: str, postgres_database: str) -> str:
    """URL of the fresh database for the server's kind of login."""
    return _named(postgres_url, postgres_database, APP_LOGIN)


@pytest.fixture
def sqlite_url(sqlite_template: pathlib.Path, tmp_path: pathlib.Path) -> str:
    """URL of a fresh migrated file."""
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'sunup.db')}"


@pytest.fixture(scope="session")
def shared_app_url(postgres_url: str, postgres_template: str) -> Iterator[str]:
    """URL of one PostgreSQL database for the whole run: its tenants do not see each other."""
    name = create_postgres_database(postgres_url, postgres_template)
    yield _named(postgres_url, name, APP_LOGIN)
    drop_postgres_database(postgres_url, name)


@pytest.fixture
def placed_app_url(postgres_url: str, postgres_template: str) -> Iterator[str]:
    """URL of a fresh database, the same for every test, for the server's kind of login."""
    name = create_postgres_database(postgres_url, postgres_template, name="placed")
    yield _named(postgres_url, name, APP_LOGIN)
    drop_postgres_database(postgres_url, name)


@pytest.fixture
def superuser(postgres_url: str, postgres_template: str) -> Iterator[psycopg.Connection]:
    """A superuser's connection to a cluster that has Sunup's roles."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def plain_owner(postgres_url: str, superuser: psycopg.Connection) -> Iterator[str]:
    """URL of an empty database whose owner may make logins and is no superuser."""
    name = create_postgres_database(postgres_url)
    owner = f"owner_of_{name}"
    superuser.execute(f"CREATE ROLE {owner} LOGIN CREATEROLE")
    if superuser.info.server_version >= 160000:
        # What PostgreSQL itself gives since 16 to whoever made a role; before, CREATEROLE is enough.
        superuser.execute(
            f"GRANT sunup_app, sunup_lookup TO {owner} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE"
        )
    superuser.execute(f"ALTER DATABASE {name} OWNER TO {owner}")
    yield (
        postgres_url.replace("//owner@", f"//{owner}:OwnersCanary@").rpartition("/")[0] + f"/{name}"
    )
    drop_postgres_database(postgres_url, name)
    superuser.execute(f"DROP ROLE IF EXISTS sunup_app_{name}")
    superuser.execute(f"DROP OWNED BY {owner}")
    superuser.execute(f"DROP ROLE {owner}")


@pytest.fixture(scope="session")
def sqlite_place(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Where each test finds a fresh file."""
    return tmp_path_factory.mktemp("sqlite") / "sunup.db"


@pytest.fixture
def placed_sqlite_url(sqlite_template: pathlib.Path, sqlite_place: pathlib.Path) -> str:
    """URL of a fresh migrated file, the same for every test."""
    for old in sqlite_place.parent.iterdir():
        old.unlink()
    return f"sqlite:///{shutil.copy(sqlite_template, sqlite_place)}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """URL of a migrated database of either kind, as the server would connect.

    SQLite's is fresh. PostgreSQL's is shared by the run's tests, each in tenants of its own.
    """
    name = "placed_sqlite_url" if request.param == "sqlite" else "shared_app_url"
    return str(request.getfixturevalue(name))


@pytest.fixture(scope="session")
def pools() -> dict[str, Database]:
    """Pools without connections by their URLs: they keep what they have compiled, a third of a run."""
    return {}


@pytest_asyncio.fixture
async def database(database_url: str, pools: dict[str, Database]) -> AsyncIterator[Database]:
    """A pool on the database."""
    if database_url not in pools:
        pools[database_url] = Database(database_url)
        await pools[database_url].check()
    pool = pools[database_url]
    clock, ids = pool.clock, pool.ids
    yield pool
    pool.clock, pool.ids = clock, ids
    await pool.close()


@pytest.fixture
def statements(database: Database) -> Iterator[list[str]]:
    """What is sent to the database by who may write, from now on."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        sent.append(statement)

    engine = database.writers.sync_engine
    sa.event.listen(engine, "before_cursor_execute", note)
    yield sent
    sa.event.remove(engine, "before_cursor_execute", note)


@pytest_asyncio.fixture
async def tenant(database: Database) -> NewTenant:
    """A tenant with one staff member, Ana Diaz, and an API key."""
    return await create_tenant(
        database, "Sun Works", staff_name="Ana Diaz", random_bytes=secrets.token_bytes
    )


@pytest_asyncio.fixture
async def other_tenant(database: Database) -> NewTenant:
    """Another tenant on the same database."""
    return await create_tenant(
        database, "Rival Roofs", staff_name="Bo Lee", random_bytes=secrets.token_bytes
    )
