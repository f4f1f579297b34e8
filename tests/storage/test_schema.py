"""Starts with all kinds of database URLs: what works again and again, and what each refusal says."""

import asyncio
import socket
import stat
import threading
import traceback

import psycopg
import pytest
import sqlalchemy as sa

from storage import schema
from storage.database import Database
from storage.engines import normalise_url, open_engine
from storage.errors import DatabaseRefused, SchemaOutOfDate, StorageError, UnsafeDatabaseRole

PASSWORD = "CanaryPassword"


def login_of(url):
    return "sunup_app_" + url.rpartition("/")[2]


async def refused(url, kind=StorageError, password=PASSWORD):
    """The one line that `prepare` and `check` give; neither it nor its traceback holds a secret."""
    with pytest.raises(kind) as caught:
        pool = Database(await schema.prepare(url, app_password=password))
        try:
            await pool.check()
        finally:
            await pool.close()
    whole = "".join(traceback.format_exception(caught.value))
    assert "Canary" not in whole
    assert "asyncpg.exceptions" not in whole
    line = str(caught.value)
    assert line
    assert "\n" not in line
    return line


async def test_a_plain_owner_may_start_again_and_again(plain_owner, superuser):
    """A role with CREATEROLE is enough, also on later starts and with a new password."""
    for password in (PASSWORD, PASSWORD, "another"):
        pool = Database(await schema.prepare(plain_owner, app_password=password))
        await pool.check()
        await pool.close()
    rights = superuser.execute(
        "SELECT rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolbypassrls"
        " FROM pg_roles WHERE rolname = %s",
        [login_of(plain_owner)],
    ).fetchone()
    assert rights == (True, False, False, False, False)


async def test_many_servers_may_start_at_once(owner_url, superuser):
    """They make and change the one login after each other, never in the same moment."""
    url = normalise_url(owner_url)

    async def start():
        engine = open_engine(url, pool_size=1)
        try:
            for _ in range(5):
                async with engine.begin() as connection:
                    await schema._ensure_login(connection, url, PASSWORD)
        finally:
            await engine.dispose()

    try:
        await asyncio.gather(*(start() for _ in range(8)))
    finally:
        superuser.execute(f"DROP ROLE IF EXISTS {login_of(owner_url)}")


async def test_a_login_with_rights_it_must_not_have_loses_them(owner_url, superuser):
    """What somebody gave it is taken back, when the owner may."""
    login = login_of(owner_url)
    superuser.execute(f"CREATE ROLE {login} LOGIN SUPERUSER CREATEDB CREATEROLE BYPASSRLS")
    try:
        pool = Database(await schema.prepare(owner_url, app_password=PASSWORD))
        await pool.check()
        await pool.close()
        assert superuser.execute(
            "SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolbypassrls"
            " FROM pg_roles WHERE rolname = %s",
            [login],
        ).fetchone() == (False,)
    finally:
        superuser.execute(f"DROP ROLE {login}")


async def test_an_owner_who_may_not_change_the_login_gets_a_line(plain_owner, superuser):
    """The refused statement held the password: nothing of it is shown."""
    superuser.execute(f"CREATE ROLE {login_of(plain_owner)} LOGIN SUPERUSER")
    line = await refused(plain_owner, DatabaseRefused)
    assert f"may not alter the login {login_of(plain_owner)}" in line


async def test_no_statement_holds_the_password(plain_owner):
    """So no log of the server and no list of running statements can show it."""
    said = []

    def listen(_connection, _cursor, statement, parameters, *_rest):
        said.append(f"{statement} {parameters}")

    sa.event.listen(sa.Engine, "before_cursor_execute", listen)
    try:
        await schema.prepare(plain_owner, app_password=PASSWORD)
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", listen)
    assert any(f'ROLE "{login_of(plain_owner)}"' in one for one in said)
    assert "Canary" not in "".join(said)


async def test_a_login_without_rights_gets_a_line(postgres_url, owner_url, superuser):
    """It says which grant is missing, and to whom."""
    superuser.execute("CREATE ROLE stranger LOGIN")
    url = owner_url.replace("//owner@", "//stranger:Canary@")
    try:
        line = await refused(url, UnsafeDatabaseRole)
    finally:
        superuser.execute("DROP ROLE stranger")
    assert "GRANT sunup_app TO stranger" in line


async def test_a_schema_of_a_newer_program_gets_a_line(owner_url):
    """The owner's URL would migrate; it cannot go to a revision that it does not know."""
    with psycopg.connect(owner_url) as owner:
        owner.execute("UPDATE alembic_version SET version_num = 'f00d'")
    assert "f00d" in await refused(owner_url, SchemaOutOfDate)


@pytest.fixture
def wrong_url(request, postgres_url, tmp_path):
    """URLs that cannot work, by what is wrong with them."""
    base = postgres_url.replace("//owner@", "//owner:Canary@")
    head, _, _ = base.rpartition("/")
    kind = request.param
    if kind == "closed port":
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            yield f"postgresql://owner:Canary@127.0.0.1:{probe.getsockname()[1]}/x"
    elif kind == "no database there":
        with socket.create_server(("127.0.0.1", 0)) as other:
            other.settimeout(30)

            def answer():
                peer, _ = other.accept()
                peer.recv(1000)
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                peer.close()

            thread = threading.Thread(target=answer)
            thread.start()
            yield f"postgresql://owner:Canary@127.0.0.1:{other.getsockname()[1]}/x"
            thread.join()
    elif kind == "not an SQLite file":
        (tmp_path / "text.db").write_text("certainly no database " * 100)
        yield f"sqlite:///{tmp_path}/text.db"
    elif kind == "a folder":
        yield f"sqlite:///{tmp_path}"
    elif kind == "no such folder":
        yield f"sqlite:///{tmp_path}/none/x.db"
    else:
        yield {
            "unknown host": "postgresql://owner:Canary@nowhere.invalid/x",
            "missing database": f"{head}/nowhere",
            "unknown user": base.replace("//owner", "//nobody"),
            "port that is no number": "postgresql://owner:Canary@127.0.0.1:Canary/x",
            "unknown option": f"{base}?keepalives=1",
            "wrong sslmode": f"{base}?sslmode=sometimes",
            "TLS that is not served": f"{base}?sslmode=require",
        }[kind]


@pytest.mark.parametrize(
    ("wrong_url", "says"),
    [
        ("closed port", "Connection refused"),
        ("no database there", "127.0.0.1"),
        ("unknown host", "nowhere.invalid"),
        ("missing database", '"nowhere" does not exist'),
        ("unknown user", '"nobody" does not exist'),
        ("port that is no number", "cannot be read"),
        ("unknown option", "'keepalives'"),
        ("wrong sslmode", "sslmode"),
        ("TLS that is not served", "SSL"),
        ("not an SQLite file", "file is not a database"),
        ("a folder", "unable to open database file"),
        ("no such folder", "unable to open database file"),
    ],
    indirect=["wrong_url"],
)
async def test_every_wrong_database_gets_a_line(wrong_url, says):
    """One line with the reason, and no secret in it or in its traceback."""
    assert says in await refused(wrong_url)


async def test_an_sqlite_file_is_its_owners_alone(tmp_path):
    """It holds the rows of all tenants; the files beside it take its mode over."""
    await schema.prepare(f"sqlite:///{tmp_path}/new.db", app_password=PASSWORD)
    assert {stat.filemode(file.stat().st_mode) for file in tmp_path.iterdir()} == {"-rw-------"}
