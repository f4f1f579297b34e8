"""The whole product as a child process, started as `make run` starts it.

Tests that kill, cut or load the server use this; they know it by its ports, its data folder and
its log, as an operator would.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from .ports import free_port
from .wait import until

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Server:
    """One server and its data folder; may be killed and started again on the same data."""

    data: Path
    environment: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    media_port: int = field(default_factory=free_port)
    process: asyncio.subprocess.Process | None = None
    module: str = "signaling"
    """What is run with ``python -m``; a test may name a server with a defence taken out."""
    spawn: Callable[..., Awaitable[Any]] | None = None
    """Starts the process in place of a fresh interpreter (`tests.support.zygote`)."""

    @property
    def url(self) -> str:
        """The base URL of the public port."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """Everything the server wrote so far, over all its starts."""
        return (self.data / "server.log").read_text()

    @property
    def traceback(self) -> str:
        """The log from its first traceback on; empty when there is none, as there should be."""
        _, found, rest = self.log.partition("Traceback")
        return f"{found}{rest[:6000]}"

    @property
    def dev(self) -> dict[str, str]:
        """The contents of dev.json."""
        return json.loads((self.data / "dev.json").read_text())

    async def start(self, *, timeout: float = 60) -> None:
        """Start it and wait until /healthz answers 200."""
        self.data.mkdir(parents=True, exist_ok=True)
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("SUNUP_")},
            "PYTHONPATH": str(ROOT),
            "SUNUP_PORT": str(self.port),
            "SUNUP_MEDIA_PORT": str(self.media_port),
            "SUNUP_DATA_DIR": str(self.data),
            **self.environment,
        }
        if self.spawn is not None:
            self.process = await self.spawn(self, environment)
            await until(self.ready, timeout=timeout, every=0.02)
            return
        with (self.data / "server.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", self.module, "dev",
                cwd=ROOT, env=environment, stdout=log, stderr=log,
            )  # fmt: skip
        await until(self.ready, timeout=timeout, every=0.05)

    async def ready(self) -> bool:
        """Whether /healthz answers 200; an early end of the process is an error with its log."""
        if self.process is None or self.process.returncode is not None:
            raise RuntimeError(f"the server ended:\n{self.log[-4000:]}")
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"{self.url}/healthz") as answer,
            ):
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def kill(self) -> None:
        """SIGKILL: no handler runs, nothing is flushed."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """SIGINT, as Ctrl-C sends it; answers the exit code."""
        return await self._end(signal.SIGINT)

    async def _end(self, how: signal.Signals) -> int:
        if self.process is None:
            return 0
        if self.process.returncode is None:
            self.process.send_signal(how)
        try:
            return await asyncio.wait_for(self.process.wait(), 20)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
            raise


@asynccontextmanager
async def running(server: Server) -> AsyncIterator[Server]:
    """`server`, started for the block; it must end in good order and without a traceback."""
    await server.start()
    try:
        yield server
    finally:
        code = await server.stop()
    assert code == 0, server.log[-4000:]
    assert not server.traceback, server.traceback
