"""Bringing a database to the schema this program was written for, and the server's login to it.

The schema comes from the Alembic chain in ``migrations/`` and from nowhere else. One URL may serve
a whole installation: when it names the owner of the tables, `prepare` migrates with it and answers
another URL, of a login that owns nothing, for the server's pool. When it names such a login
already, somebody else migrates and `prepare` only checks. ``docs/decisions/0005-database-roles.md``
says why.
"""

import os
import pathlib
import secrets

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import URL, Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from .database import check_postgresql_version, normalise_url, open_engine
from .errors import SchemaOutOfDate
from .rls import APP_ROLE

_MIGRATIONS = pathlib.Path(__file__).parent / "migrations"
_MAX_IDENTIFIER = 63  # PostgreSQL's NAMEDATALEN - 1


def alembic_config(connection: Connection | None = None, **attributes: object) -> Config:
    """Alembic's settings without an ini file; `attributes` reach ``migrations/env.py``."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes.update(connection=connection, **attributes)
    return config


def head() -> str:
    """The revision this program was written for.

    Raises:
        alembic.util.CommandError: the chain has two heads, which is a bug of ours.
    """
    revision = ScriptDirectory.from_config(alembic_config()).get_current_head()
    if revision is None:
        raise AssertionError("the migration chain is empty")
    return revision


async def migrate(url: str, revision: str = "head") -> None:
    """Bring the database at `url` to `revision`, as the owner of its tables.

    Two processes that migrate at once wait for each other; the second finds nothing to do.

    Raises:
        UnsupportedDatabase: not PostgreSQL 15 or newer, nor SQLite.
    """
    engine = open_engine(url, pool_size=1)
    try:
        if engine.dialect.name == "postgresql":
            async with engine.connect() as connection:
                await check_postgresql_version(connection)
        async with engine.begin() as connection:
            await connection.run_sync(lambda sync: command.upgrade(alembic_config(sync), revision))
    finally:
        await engine.dispose()


async def require_current(connection: AsyncConnection) -> None:
    """Refuse a schema that is older or newer than this program.

    Raises:
        SchemaOutOfDate: names both revisions.
    """
    found = await connection.run_sync(
        lambda sync: MigrationContext.configure(sync).get_current_revision()
    )
    if found != head():
        raise SchemaOutOfDate(
            f"the database is at revision {found or 'none'}, this program needs {head()}: "
            "run the migration as the owner of the tables"
        )


async def prepare(url: str, *, app_password: str) -> str:
    """Make the database ready to serve; returns the URL the server's pool must use.

    Args:
        url: SQLite, the owner's or the application's login.
        app_password: of the application's login, when this call makes or finds it
            (`read_or_create_password`).

    Raises:
        SchemaOutOfDate: `url` may not migrate and the schema is not current.
        UnsupportedDatabase: as `migrate`.
    """
    parsed = normalise_url(url)
    if parsed.get_backend_name() == "sqlite":
        await migrate(url)
        return url
    engine = open_engine(parsed, pool_size=1)
    try:
        async with engine.connect() as connection:
            may_migrate = await _may_migrate(connection)
            if not may_migrate:
                await require_current(connection)
                return url
        await migrate(url)
        async with engine.begin() as connection:
            login = await _ensure_login(connection, parsed, app_password)
    finally:
        await engine.dispose()
    return parsed.set(username=login, password=app_password).render_as_string(hide_password=False)


def read_or_create_password(path: pathlib.Path) -> str:
    """The application login's password, kept in `path` (mode 0600), made on first use."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32))
    return path.read_text().strip()


async def _may_migrate(connection: AsyncConnection) -> bool:
    """Whether the login may create tables: then it is the owner's."""
    statement = sa.text("SELECT has_schema_privilege(current_user, 'public', 'CREATE')")
    return bool((await connection.execute(statement)).scalar_one())


async def _ensure_login(connection: AsyncConnection, url: URL, password: str) -> str:
    """A login for this one database, member of the role that holds the rights.

    Roles belong to the whole cluster, so the name carries the database's.
    """
    name = f"{APP_ROLE}_{url.database or url.username}"[:_MAX_IDENTIFIER]
    exists = await connection.execute(
        sa.text("SELECT 1 FROM pg_roles WHERE rolname = :name"), {"name": name}
    )
    verb = "ALTER" if exists.first() else "CREATE"
    quote = connection.dialect.identifier_preparer.quote_identifier
    # A role's password cannot be a bound parameter; format() quotes both parts on the server.
    statement = await connection.execute(
        sa.text(
            f"SELECT format('{verb} ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS "
            "PASSWORD %L', CAST(:name AS text), CAST(:password AS text))"
        ),
        {"name": name, "password": password},
    )
    await connection.exec_driver_sql(statement.scalar_one())
    await connection.exec_driver_sql(f"GRANT {APP_ROLE} TO {quote(name)}")
    return name
