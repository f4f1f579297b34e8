"""Servers that start in milliseconds: one process imports everything once and forks them.

A kill test starts the server dozens of times, and nearly all of a start is imports. The zygote
reads one JSON line per start from standard input, forks a child that becomes the server, or runs
another command of it, and writes one line when it was born and one when it ended. Nothing of a
server lives in the zygote.
"""

import asyncio
import contextlib
import importlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from .server import ROOT, Server

MODULES = ("signaling.app", "signaling.cli", "sfu.native", "tests.support.reply_first")


def serve() -> None:
    """Fork on request until standard input ends."""
    for module in MODULES:
        importlib.import_module(module)
    _warm_up()
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(order)
        print(json.dumps({"pid": child}), flush=True)
        _, status = os.waitpid(child, 0)
        print(json.dumps({"ended": os.waitstatus_to_exitcode(status)}), flush=True)


def _warm_up() -> None:
    """Serve once and stop: what is worked out at the first start is there for every child."""
    signaling = importlib.import_module("signaling.app")
    config = importlib.import_module("signaling.config")
    dev = importlib.import_module("signaling.dev")

    async def start_and_stop(folder: pathlib.Path) -> None:
        settings = config.Config(data_dir=str(folder), port=0, media_port=0)
        file = dev.DevFile(folder)
        async with signaling.serving(settings, dev=file) as running:
            await file.prepare(running.database, running.base_url)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(start_and_stop(pathlib.Path(folder)))


def _become(order: dict[str, Any]) -> None:
    """Be the server that was ordered; never returns."""
    code = 1
    try:
        with (
            pathlib.Path(order["log"]).open("ab") as log,
            pathlib.Path(os.devnull).open("rb") as nothing,
        ):
            os.dup2(nothing.fileno(), 0)
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        os.environ.clear()
        os.environ.update(order["environment"])
        if order["module"] != "signaling":
            importlib.import_module(order["module"]).break_the_promise()
        code = importlib.import_module("signaling.cli").main(order["command"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


class ForkedProcess:
    """The part of `asyncio.subprocess.Process` that `Server` uses."""

    def __init__(self, pid: int, ended: "asyncio.Task[int]") -> None:
        self.pid = pid
        self._ended = ended

    @property
    def returncode(self) -> int | None:
        return self._ended.result() if self._ended.done() else None

    def send_signal(self, number: signal.Signals) -> None:
        if not self._ended.done():
            with contextlib.suppress(ProcessLookupError):  # ended, and we are about to hear of it
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        return await asyncio.shield(self._ended)


class Zygote:
    """The running zygote; one server at a time. It belongs to no event loop."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    async def spawn(self, server: Server, environment: dict[str, str]) -> ForkedProcess:
        """Start a server in place of `asyncio.create_subprocess_exec`."""
        self._order(server.module, ["dev"], environment, server.data / "server.log")
        born = await self._line()
        return ForkedProcess(born["pid"], asyncio.create_task(self._end()))

    def run(self, command: list[str], environment: dict[str, str], log: pathlib.Path) -> int:
        """Run a command of the product to its end; what it writes is in `log`."""
        assert self._process.stdout is not None
        self._order("signaling", command, environment, log)
        self._process.stdout.readline()
        return int(json.loads(self._process.stdout.readline())["ended"])

    def _order(
        self, module: str, command: list[str], environment: dict[str, str], log: pathlib.Path
    ) -> None:
        assert self._process.stdin is not None
        order = {
            "module": module,
            "command": command,
            "environment": environment,
            "log": str(log),
        }
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    async def _end(self) -> int:
        return int((await self._line())["ended"])

    async def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        return json.loads(await asyncio.to_thread(self._process.stdout.readline))


@contextlib.contextmanager
def zygote() -> Iterator[Zygote]:
    """A zygote for the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.zygote"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(pathlib.Path(ROOT))},
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "ready\n"
    try:
        yield Zygote(process)
    finally:
        process.stdin.close()
        process.wait()


if __name__ == "__main__":
    serve()
