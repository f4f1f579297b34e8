"""The migration chain: from empty on both databases, down again, one head, no drift."""

import asyncio
import pathlib
import re
import sys

import alembic.command
import alembic.util
import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from crm_core.metadata import metadata
from storage import schema
from storage.database import Database
from storage.engines import open_engine
from storage.errors import SchemaOutOfDate, UnsupportedDatabase
from tests.support.databases import create_postgres_database, drop_postgres_database

VERSIONS = pathlib.Path(schema.__file__).parent / "migrations" / "versions"


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request, tmp_path):
    """URL of an empty database of either kind, for its owner."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/empty.db"
        return
    url = request.getfixturevalue("postgres_url")
    name = create_postgres_database(url)
    yield url.rpartition("/")[0] + "/" + name
    drop_postgres_database(url, name)


async def _inspect(url, work):
    engine = open_engine(url)
    async with engine.begin() as connection:
        answer = await connection.run_sync(work)
    await engine.dispose()
    return answer


async def test_up_from_empty_and_again(empty_url):
    """The chain makes every table of the models; running it twice changes nothing."""
    await schema.migrate(empty_url)
    await schema.migrate(empty_url)
    tables = await _inspect(empty_url, lambda c: set(sa.inspect(c).get_table_names()))
    assert tables == set(metadata.tables) | {"alembic_version"}


async def test_down_to_empty(empty_url):
    """Every step can be taken back, and taken again."""
    await schema.migrate(empty_url)
    await _inspect(empty_url, lambda c: alembic.command.downgrade(schema.alembic_config(c), "base"))
    tables = await _inspect(empty_url, lambda c: set(sa.inspect(c).get_table_names()))
    assert tables == {"alembic_version"}
    await schema.migrate(empty_url)


async def test_the_models_and_the_schema_are_one(empty_url):
    """Autogenerate finds nothing to change."""
    await schema.migrate(empty_url)

    def differences(connection):
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "include_object": _comparable(connection)}
        )
        return compare_metadata(context, metadata)

    assert await _inspect(empty_url, differences) == []


def _comparable(connection):
    """SQLite cannot say ON DELETE SET NULL (column), so keys are compared on PostgreSQL."""
    on_sqlite = connection.dialect.name == "sqlite"

    def include(_object, _name, kind, _reflected, _compare_to):
        return not (on_sqlite and kind == "foreign_key_constraint")

    return include


def test_the_chain_and_the_models_build_the_same_catalogue(postgres_url):
    """Every constraint and index of a migrated database is the one that the models would make."""
    names = [create_postgres_database(postgres_url) for _ in range(2)]
    migrated, modelled = [postgres_url.rpartition("/")[0] + "/" + name for name in names]
    try:
        asyncio.run(schema.migrate(migrated))

        async def create():
            engine = open_engine(modelled)
            async with engine.begin() as connection:
                await connection.exec_driver_sql("CREATE EXTENSION btree_gist")
                await connection.run_sync(metadata.create_all)
            await engine.dispose()

        asyncio.run(create())
        assert _catalogue(migrated) == _catalogue(modelled)
    finally:
        for name in names:
            drop_postgres_database(postgres_url, name)


def _catalogue(url):
    with psycopg.connect(url) as connection:
        return {
            (table, name): definition
            for table, name, definition in connection.execute(
                """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
                   FROM pg_constraint WHERE connamespace = 'public'::regnamespace
                   UNION ALL
                   SELECT tablename, indexname, indexdef FROM pg_indexes
                   WHERE schemaname = 'public'
                   UNION ALL
                   SELECT table_name, column_name, data_type || is_nullable
                          || coalesce(generation_expression, '')
                   FROM information_schema.columns WHERE table_schema = 'public'"""
            ).fetchall()
            if "alembic" not in table
        }


def test_the_chain_is_one_line():
    """One head, and every revision but the first follows exactly one other."""
    script = ScriptDirectory.from_config(schema.alembic_config())
    assert script.get_heads() == [schema.head()]
    revisions = list(script.walk_revisions())
    assert [each.down_revision for each in revisions] == [
        each.revision for each in revisions[1:]
    ] + [None]


def test_two_heads_are_refused(tmp_path, monkeypatch):
    """A second head stops the program before it touches a database."""
    for source in VERSIONS.glob("*.py"):
        (tmp_path / "versions").mkdir(exist_ok=True)
        (tmp_path / "versions" / source.name).write_text(source.read_text())
    last = max((tmp_path / "versions").glob("*.py"))
    fork = re.sub(r'^revision = "\w+"', 'revision = "fork"', last.read_text(), flags=re.MULTILINE)
    (tmp_path / "versions" / "fork.py").write_text(fork)
    monkeypatch.setattr(schema, "_MIGRATIONS", tmp_path)
    with pytest.raises(alembic.util.CommandError, match="multiple heads"):
        schema.head()


async def test_two_processes_may_migrate_at_once(empty_url):
    """Both wait their turn and both end well."""
    program = (
        "import asyncio, sys; from storage import schema; asyncio.run(schema.migrate(sys.argv[1]))"
    )
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", program, empty_url)
        for _ in range(2)
    ]
    assert [await process.wait() for process in processes] == [0, 0]
    tables = await _inspect(empty_url, lambda c: set(sa.inspect(c).get_table_names()))
    assert set(metadata.tables) < tables


async def test_an_old_schema_is_refused(app_url, owner_url):
    """A server that may not migrate refuses a schema that is not its own, naming both."""
    with psycopg.connect(owner_url) as owner:
        owner.execute("UPDATE alembic_version SET version_num = '0001'")
    with pytest.raises(SchemaOutOfDate, match="0001"):
        await schema.prepare(app_url, app_password="unused")


async def test_one_owner_url_serves_a_whole_installation(postgres_url, tmp_path):
    """`prepare` migrates as the owner and answers the URL of a login that may serve."""
    name = create_postgres_database(postgres_url)
    try:
        owner = postgres_url.rpartition("/")[0] + "/" + name
        password = schema.read_or_create_password(tmp_path / "secrets" / "database")
        assert schema.read_or_create_password(tmp_path / "secrets" / "database") == password
        assert (tmp_path / "secrets" / "database").stat().st_mode & 0o777 == 0o600
        url = await schema.prepare(owner, app_password=password)
        assert password in url
        assert await schema.prepare(owner, app_password=password) == url
        assert await schema.prepare(url, app_password="ignored") == url
        pool = Database(url)
        await pool.check()
        await pool.close()
    finally:
        drop_postgres_database(postgres_url, name)
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(f"DROP ROLE IF EXISTS sunup_app_{name}")


@pytest.mark.parametrize(
    "url", ["mysql://x/y", "postgresql+psycopg://x/y", "nonsense", "sqlite+pysqlite:///x"]
)
async def test_other_databases_are_refused_with_a_sentence(url):
    """Only PostgreSQL and SQLite, by our drivers."""
    with pytest.raises(UnsupportedDatabase):
        await schema.migrate(url)
