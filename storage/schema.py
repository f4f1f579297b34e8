"""Bringing a database to the schema this program was written for, and the server's login to it.

The schema comes from the Alembic chain in ``migrations/`` and from nowhere else. One URL may serve
a whole installation: when it names the owner of the tables, `prepare` migrates with it and answers
another URL, of a login that owns nothing, for the server's pool. When it names such a login
already, somebody else migrates and `prepare` only checks. ``docs/decisions/0005-database-roles.md``
says why.
"""

import contextlib
import os
import pathlib
import secrets
import sqlite3

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import URL, Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from .engines import normalise_url, open_engine
from .errors import DatabaseRefused, SchemaOutOfDate
from .reasons import reason, refusals
from .rls import APP_ROLE
from .roles import check_member, check_postgresql_version
from .scram import verifier

_MIGRATIONS = pathlib.Path(__file__).parent / "migrations"
_MAX_IDENTIFIER = 63  # PostgreSQL's NAMEDATALEN - 1
_LOGIN_LOCK = 0x53554E56  # the number after the migrations' own lock


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
        SchemaOutOfDate: a newer program has migrated it.
    """
    engine = open_engine(url, pool_size=1)
    try:
        if engine.dialect.name == "postgresql":
            async with engine.connect() as connection:
                await check_postgresql_version(connection)
        async with engine.begin() as connection:
            await connection.run_sync(_refuse_unknown)
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
        SchemaOutOfDate: `url` may not migrate and the schema is not current, or is a newer one.
        UnsupportedDatabase: as `migrate`.
        DatabaseRefused: it cannot be reached, or does not let the login do this.
    """
    parsed = normalise_url(url)
    with refusals(parsed):
        if parsed.get_backend_name() == "sqlite":
            if parsed.database:
                _open_sqlite(pathlib.Path(parsed.database))
            await migrate(url)
            return url
        return await _prepare_postgresql(url, parsed, app_password)


def _open_sqlite(path: pathlib.Path) -> None:
    """Make the file, for its owner's eyes alone, and find out here whether it can be used.

    The driver works in a thread of its own, which may outlive the loop that should hear of a
    failure at the start.
    """
    is_new = not path.exists()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA schema_version")
    if is_new:
        path.chmod(0o600)


async def _prepare_postgresql(url: str, parsed: URL, app_password: str) -> str:
    engine = open_engine(parsed, pool_size=1)
    try:
        async with engine.connect() as connection:
            may_migrate = await _may_migrate(connection)
            if not may_migrate:
                await check_member(connection)
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


def _refuse_unknown(connection: Connection) -> None:
    found = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory(str(_MIGRATIONS)).walk_revisions()}
    if found is not None and found not in known:
        raise SchemaOutOfDate(
            f"the database is at revision {found}, which this program does not know: "
            "a newer version has migrated it, or it is another program's"
        )


async def _ensure_login(connection: AsyncConnection, url: URL, password: str) -> str:
    """A login for this one database, member of the role that holds the rights.

    Roles belong to the whole cluster, so the name carries the database's. Only what differs is
    changed, because an owner who is no superuser may not even repeat that a role is none.

    Raises:
        DatabaseRefused: the owner may not make or change the login.
    """
    name = f"{APP_ROLE}_{url.database or url.username}"[:_MAX_IDENTIFIER]
    # Two servers that change one role at once would fail with "tuple concurrently updated".
    await connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOGIN_LOCK})
    looked_up = await connection.execute(sa.text(_LOGIN), {"name": name, "role": APP_ROLE})
    found = looked_up.mappings().first()
    quoted = connection.dialect.identifier_preparer.quote_identifier(name)
    if found is None:
        verb, options = "CREATE", ["LOGIN"]
    else:
        verb, options = "ALTER", [word for word, differs in found.items() if differs]
    granted = found is not None and "MEMBER" not in options
    options = [word for word in options if word != "MEMBER"]
    # The password is hashed here: no statement, and so no log and no error, can hold it.
    words = " ".join([*options, f"PASSWORD '{verifier(password)}'"])
    try:
        await connection.exec_driver_sql(f"{verb} ROLE {quoted} {words}")
        if not granted:
            await connection.exec_driver_sql(f"GRANT {APP_ROLE} TO {quoted}")
    except sa.exc.DBAPIError as error:
        raise DatabaseRefused(
            f"the owner's login may not {verb.lower()} the login {name}: {reason(error)} "
            "(docs/decisions/0005-database-roles.md)"
        ) from None
    return name


_LOGIN = """
    SELECT NOT rolcanlogin AS "LOGIN", rolsuper AS "NOSUPERUSER", rolcreatedb AS "NOCREATEDB",
           rolcreaterole AS "NOCREATEROLE", rolbypassrls AS "NOBYPASSRLS",
           NOT EXISTS (SELECT FROM pg_auth_members AS membership
                       JOIN pg_roles AS granted ON granted.oid = membership.roleid
                       WHERE granted.rolname = :role AND membership.member = pg_roles.oid)
               AS "MEMBER"
    FROM pg_roles WHERE rolname = :name
"""
"""What differs from what the login must be, under the word that mends it."""
