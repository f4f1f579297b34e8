"""Real PostgreSQL and Redis for tests: private, on free ports, gone when the run ends.

``tests/run_all.py`` starts them for each of its lanes and hands their addresses to pytest by
SUNUP_TEST_POSTGRES_URL and SUNUP_TEST_REDIS_URL; a bare ``pytest`` starts its own through the
fixtures in ``tests/conftest.py``.
"""

import contextlib
import functools
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator

from .ports import free_port

POSTGRES_BINARIES = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


class MissingService(RuntimeError):
    """A server program that the tests need is not installed; the message names the package."""


def _wait_until_ready(
    ready: Callable[[], bool], process: subprocess.Popen[bytes], log: pathlib.Path
) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended early:\n{log.read_text()[-2000:]}")
        if ready():
            return
        time.sleep(0.02)
    raise TimeoutError(f"{process.args!r} is not ready:\n{log.read_text()[-2000:]}")


def _succeeds(argv: list[str]) -> bool:
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


@contextlib.contextmanager
def _server(
    argv: list[str], ready: Callable[[], bool], log: pathlib.Path, **options: object
) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(argv, stdout=output, stderr=output, **options)  # type: ignore[call-overload]
    try:
        _wait_until_ready(ready, process, log)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _postgres_bin() -> pathlib.Path:
    on_path = [pathlib.Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep)]
    for folder in (*POSTGRES_BINARIES, *on_path):
        if all((folder / name).exists() for name in ("initdb", "postgres", "pg_isready")):
            return folder
    raise MissingService("PostgreSQL is missing: install the package 'postgresql'")


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """A fresh cluster; yields the superuser's URL, ``postgresql://owner@127.0.0.1:port/postgres``.

    The server refuses to run as root, so root hands its folder to the distribution's ``postgres``
    account and starts it under that identity.
    """
    bin_dir = _postgres_bin()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sunup-pg-"))
    account: dict[str, object] = {}
    if os.geteuid() == 0:
        entry = pwd.getpwnam("postgres")
        os.chown(folder, entry.pw_uid, entry.pw_gid)
        account = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    data = folder / "data"
    try:
        subprocess.run(
            [
                bin_dir / "initdb",
                "-D",
                data,
                "-U",
                "owner",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--no-sync",
            ],
            check=True,
            capture_output=True,
            cwd=folder,
            **account,  # type: ignore[call-overload]
        )
        port = free_port()
        argv = [
            str(bin_dir / "postgres"), "-D", str(data), "-p", str(port),
            "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}",
            "-c", "max_connections=200", "-c", "shared_buffers=64MB",
            "-c", "fsync=off",  # tests kill our server, never this one or its machine
        ]  # fmt: skip
        probe = [str(bin_dir / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
        ready = functools.partial(_succeeds, probe)
        with _server(argv, ready, folder / "log.txt", cwd=folder, **account):
            yield f"postgresql://owner@127.0.0.1:{port}/postgres"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _answers_ping(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2) as link:
        link.sendall(b"PING\r\n")
        return link.recv(16).startswith(b"+PONG")
    return False


@contextlib.contextmanager
def redis() -> Iterator[str]:
    """A Redis without persistence; yields ``redis://127.0.0.1:port/0``."""
    binary = shutil.which("redis-server")
    if binary is None:
        raise MissingService("Redis is missing: install the package 'redis-server'")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sunup-redis-"))
    port = free_port()
    argv = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    try:
        ready = functools.partial(_answers_ping, port)
        with _server(argv, ready, folder / "log.txt"):
            yield f"redis://127.0.0.1:{port}/0"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
