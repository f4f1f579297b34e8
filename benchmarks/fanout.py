"""CPU of one chat message to 200 WebSocket clients, beside a bare asyncio write of its bytes.

The whole server runs as in production on SQLite: a message is decoded, judged, committed with its
row, encoded once and queued for 200 connections. The baseline writes as many bytes to 200 sockets
and does nothing else, so the ratio says what all the rest costs. Both run on the same core, a
message at a time, the next only after everybody has the one before.
"""

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import client
from tests.support.api import Api
from tests.support.server import Server

from .machine import ROOT, favour, pinned, process_cpu_ns, two_cores
from .statistics import Spread, ratios
from .table import Table

TITLE = "Signaling: one chat message of {body} characters to n clients over WebSocket"
HEAD = ("server", "n", "CPU ms/broadcast", "times bare asyncio write", "bytes/client", "µs/client")
BODY = "How much is the fish? " * 4
SENDERS = 20
JOINS_AT_ONCE = 20
TIMEOUT = 30.0


@dataclass(frozen=True)
class Size:
    """Rounds of so many messages to so many clients."""

    clients: int = 200
    rounds: int = 5
    messages: int = 40


@dataclass
class Row:
    """CPU milliseconds per broadcast for each round, and the bytes of one client's copy."""

    clients: int
    ours: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    bytes: int = 0

    @property
    def times_bare(self) -> Spread:
        """Our CPU as a multiple of the bare write's."""
        return ratios(self.ours, self.bare)

    def cells(self) -> list[str]:
        """For the table."""
        ours = Spread.of(self.ours)
        return [
            "Sunup, JSON", str(self.clients), ours.text(), self.times_bare.text(1),
            str(self.bytes), f"{ours.median * 1000 / self.clients:.1f}",
        ]  # fmt: skip


async def run(size: Size) -> Row:
    """Measure both, A B A B.

    Raises:
        RuntimeError: The server did not start or a client was refused.
        TimeoutError: A client did not get a message.
    """
    core, _ = two_cores()
    row = Row(size.clients)
    async with _meeting(size.clients, core) as meeting, _bare(size.clients, core) as bare:
        for _ in range(size.rounds):
            before = process_cpu_ns(meeting.pid)
            for _ in range(size.messages):
                await meeting.broadcast()
            row.ours.append((process_cpu_ns(meeting.pid) - before) / size.messages / 1e6)
            row.bytes = meeting.bytes
            before = process_cpu_ns(bare.pid)
            for _ in range(size.messages):
                await bare.broadcast(row.bytes)
            row.bare.append((process_cpu_ns(bare.pid) - before) / size.messages / 1e6)
    return row


def table(row: Row) -> Table:
    """The row as text."""
    return Table(TITLE.format(body=len(BODY)), HEAD, [row.cells()])


class _Meeting:
    """A training session with everybody in it."""

    def __init__(self, pid: int, everybody: list[client.Peer]) -> None:
        self.pid = pid
        self.bytes = 0
        self._everybody = everybody
        self._count = 0

    async def broadcast(self) -> None:
        """One message, by the next sender, seen by all."""
        sender = self._everybody[self._count % SENDERS]
        listener = self._everybody[-1]
        before = listener.raw_bytes
        self._count += 1
        await sender.ask("chat.send", {"body": BODY})
        for peer in self._everybody:
            await peer.next("chat.msg", count=self._count, timeout=TIMEOUT)
        # Server frames above 125 bytes have a head of four (RFC 6455 section 5.2).
        self.bytes = listener.raw_bytes - before + 4


@asynccontextmanager
async def _meeting(clients: int, core: int) -> AsyncIterator[_Meeting]:
    with tempfile.TemporaryDirectory(prefix="sunup-bench-") as folder:
        server = Server(Path(folder), {"SUNUP_ANNOUNCED_ADDRESSES": "127.0.0.1"})
        await server.start()
        everybody: list[client.Peer] = []
        try:
            assert server.process
            favour(server.process.pid, core)
            booked = await Api(server.url, server.dev["api_key"]).book(kind="training")
            everybody.append(await client.enter(booked["host_url"], device="host-" + "0" * 16))
            limit = asyncio.Semaphore(JOINS_AT_ONCE)
            everybody += await asyncio.gather(
                *(_guest(booked["guest_url"], number, limit) for number in range(clients - 1))
            )
            await _admit_all(everybody)
            yield _Meeting(server.process.pid, everybody)
        finally:
            for peer in everybody:
                await peer.close()
            await server.stop()


async def _guest(link: str, number: int, limit: asyncio.Semaphore) -> client.Peer:
    async with limit:
        return await client.enter(
            link, name=f"Guest {number}", device=f"guest-{number:016}", wait_for_snapshot=False
        )


async def _admit_all(everybody: list[client.Peer]) -> None:
    """Let everybody in: an order admits those whom the host's list shows, so it is repeated."""
    host = everybody[0]
    async with asyncio.timeout(TIMEOUT):
        while not all("room" in peer.positions for peer in everybody):
            with contextlib.suppress(client.RefusedError):
                version = host.of("lobby.list")[-1]["ver"]
                await host.ask("lobby.admit", {"all": True, "ver": version})
            await asyncio.sleep(0.1)


class _Bare:
    """The bare writer and its receivers."""

    def __init__(
        self, process: asyncio.subprocess.Process, readers: list[asyncio.StreamReader]
    ) -> None:
        self.pid = process.pid
        self._process = process
        self._readers = readers

    async def broadcast(self, size: int) -> None:
        """One write to all, received by all."""
        assert self._process.stdin
        self._process.stdin.write(f"{size}\n".encode())
        async with asyncio.timeout(TIMEOUT):
            for reader in self._readers:
                await reader.readexactly(size)


@asynccontextmanager
async def _bare(clients: int, core: int) -> AsyncIterator[_Bare]:
    process = await asyncio.create_subprocess_exec(
        *pinned(core, [sys.executable, "-m", "benchmarks.bare_writer"]),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    try:
        assert process.stdout
        port = int(await process.stdout.readline())
        links = [await asyncio.open_connection("127.0.0.1", port) for _ in range(clients)]
        yield _Bare(process, [reader for reader, _ in links])
        for _, writer in links:
            writer.close()
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
