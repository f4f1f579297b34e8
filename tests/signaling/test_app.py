"""The composition root and the command line over it: what the process does when a part dies."""

import asyncio
import contextlib
import signal
import sqlite3

import aiohttp

from sfu import native
from signaling.app import serving
from signaling.config import Config
from signaling.http import health as health_module
from tests.support.broken_engine import BreakableEngine
from tests.support.ports import free_port
from tests.support.server import Server
from tests.support.wait import until


async def health(url: str) -> tuple[int, str]:
    """What the supervisor's probe sees."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/healthz") as answer:
        return answer.status, (await answer.text()).strip()


async def test_a_server_without_its_engine_is_not_ready(tmp_path, monkeypatch) -> None:
    """/healthz names the engine from the moment it is dead, and closing down still works."""
    made: list[BreakableEngine] = []

    def engine(**options: object) -> BreakableEngine:
        made.append(BreakableEngine(**options))
        return made[-1]

    monkeypatch.setattr(native, "NativeEngine", engine)
    config = Config(data_dir=str(tmp_path), port=free_port(), media_port=free_port())
    async with serving(config) as running:
        url = f"http://127.0.0.1:{running.port}"
        assert await health(url) == (200, "ok")
        made[0].break_worker()
        await asyncio.wait_for(running.media.died(), 10)
        assert await health(url) == (503, "not ready: engine")


async def test_a_server_whose_database_nobody_may_write_is_not_ready(tmp_path, monkeypatch) -> None:
    """Reading goes on, and nothing that matters does; it is ready again when the lock is gone."""
    monkeypatch.setattr(health_module, "LOOK_EVERY", 0.0)
    config = Config(data_dir=str(tmp_path), port=free_port(), media_port=free_port())
    async with serving(config) as running:
        url = f"http://127.0.0.1:{running.port}"
        assert await health(url) == (200, "ok")
        monkeypatch.setattr(health_module, "PATIENCE", 0.1)
        (path,) = tmp_path.glob("*.sqlite3")
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert await health(url) == (503, "not ready: database")
        await until(lambda: is_ready(url))


async def is_ready(url: str) -> bool:
    """Whether a supervisor would send people here."""
    return await health(url) == (200, "ok")


async def test_the_process_ends_with_1_when_its_engine_dies(tmp_path) -> None:
    """A supervisor sees a failure and starts a new one; the log says once why, without a trace."""
    server = Server(tmp_path / "data", module="tests.support.broken_engine")
    await server.start()
    assert server.process is not None
    server.process.send_signal(signal.SIGUSR1)
    try:
        assert await asyncio.wait_for(server.process.wait(), 20) == 1
    finally:
        await server.kill()
    assert server.log.count("the packet engine has died: Invalid argument (os error 22)") == 1
    assert "Traceback" not in server.log


async def test_a_redis_that_is_not_there_is_told_once_at_the_start(tmp_path, caplog) -> None:
    """The operator reads it before the first room does; meetings go on without it."""
    config = Config(
        data_dir=str(tmp_path),
        port=free_port(),
        media_port=free_port(),
        redis_url=f"redis://127.0.0.1:{free_port()}",
    )
    async with serving(config) as running:
        assert await health(f"http://127.0.0.1:{running.port}") == (200, "ok")
    told = [entry for entry in caplog.records if "redis does not answer" in entry.message]
    assert len(told) == 1
