"""What an operator does wrong is one line on standard error and exit code 2."""

import os

import psycopg
import pytest

from signaling import installation


@pytest.fixture
def run(nest, tmp_path_factory):
    """Runs of the command line: (exit code, lines of both streams)."""
    log = tmp_path_factory.mktemp("streams") / "log"

    def once(data, *command, **settings):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("SUNUP_")}
        log.write_bytes(b"")
        code = nest.run(list(command), {**clean, "SUNUP_DATA_DIR": str(data), **settings}, log)
        return code, log.read_text().strip().splitlines()

    return once


@pytest.mark.parametrize("command", ["migrate", "serve"])
def test_a_login_without_rights_is_one_line(run, postgres_url, owner_url, tmp_path, command):
    """No traceback, no password, and what to grant to whom."""
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        owner.execute("CREATE ROLE outsider LOGIN")
    try:
        url = owner_url.replace("//owner@", "//outsider:Canary@")
        code, lines = run(
            tmp_path, command, SUNUP_DATABASE_URL=url, SUNUP_PORT="0", SUNUP_MEDIA_PORT="0"
        )
    finally:
        with psycopg.connect(postgres_url, autocommit=True) as owner:
            owner.execute("DROP ROLE outsider")
    assert (code, len(lines)) == (2, 1), lines
    assert "GRANT sunup_app TO outsider" in lines[0]
    assert "Canary" not in lines[0]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"SUNUP_DATABASE_URL": "sqlite:////proc/none/x.db"}, "unable to open database file"),
        ({"SUNUP_DATABASE_URL": "postgresql://u:Canary@nowhere.invalid/x"}, "nowhere.invalid"),
        ({"SUNUP_DATABASE_URL": "postgresql://u:Canary@h:Canary/x"}, "cannot be read"),
        ({"SUNUP_DATA_DIR": "/proc/none"}, "data_dir"),
    ],
)
def test_a_database_that_cannot_be_used_is_one_line(run, tmp_path, settings, says):
    """The reason in plain words; no traceback and no password."""
    code, lines = run(tmp_path, "migrate", **settings)
    assert (code, len(lines)) == (2, 1), lines
    assert says in lines[0]
    assert "Canary" not in lines[0]


@pytest.mark.parametrize("name", ["token.key", "database-app.password"])
def test_a_secret_that_cannot_be_read_is_one_line(run, tmp_path, name):
    """A folder in a secret's place: for anybody, root too, it cannot be read as a file."""
    (tmp_path / name).mkdir(mode=0o700)
    code, lines = run(tmp_path, "serve", SUNUP_PORT="0", SUNUP_MEDIA_PORT="0")
    assert (code, len(lines)) == (2, 1), lines
    assert str(tmp_path / name) in lines[0]


def test_a_data_folder_that_a_server_uses_is_refused(run, tmp_path):
    """Two servers in one folder would take each other's rooms: one clear line."""
    with installation.hold(tmp_path):
        code, lines = run(tmp_path, "serve", SUNUP_PORT="0", SUNUP_MEDIA_PORT="0")
    assert (code, len(lines)) == (2, 1), lines
    assert "another server uses" in lines[0]
    assert str(tmp_path) in lines[0]
