"""CPU per forwarded packet at workload W1: one video to n subscribers, us and Janus.

Every server gets the same load from the same program. A bare ``sendto`` of as many bytes to the
same sockets from the same core is measured after each round of the server (A B A B …), and what
is reported is the median of the rounds' ratios: machines differ, ratios travel.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from . import engine, janus
from .load import Measurement, running
from .machine import two_cores
from .peers import Serving
from .statistics import Spread, ratios
from .table import Table

Start = Callable[..., AbstractAsyncContextManager[Serving]]
SEALED_SECONDS = 1
WARM_UP = 1
HEAD = (
    "server", "n", "µs CPU/packet", "times bare sendto", "times sealed", "loss %",
    "p50 ms", "p95 ms", "p99 ms",
)  # fmt: skip


@dataclass(frozen=True)
class Size:
    """How long to measure: rounds of so many seconds for each n."""

    subscribers: tuple[int, ...] = (50, 200)
    rounds: int = 5
    seconds: int = 2


@dataclass(frozen=True)
class Row:
    """One server with one number of subscribers; lists have a value for each round."""

    server: str
    subscribers: int
    forward: list[Measurement]
    bare: list[Measurement]
    sealed: list[Measurement]

    @property
    def times_bare(self) -> Spread:
        """CPU per packet as a multiple of a bare ``sendto``."""
        return ratios(_micros(self.forward), _micros(self.bare))

    @property
    def times_sealed(self) -> Spread:
        """The same for a ``sendto`` of what AES-128-GCM has sealed before."""
        return ratios(_micros(self.forward), _micros(self.sealed))

    def cells(self) -> list[str]:
        """For the table."""

        def milliseconds(name: str) -> str:
            return f"{Spread.of([getattr(m, name) for m in self.forward]).median / 1000:.2f}"

        loss = Spread.of([m.loss_percent for m in self.forward])
        return [
            self.server, str(self.subscribers), Spread.of(_micros(self.forward)).text(),
            self.times_bare.text(), self.times_sealed.text(), f"{loss.high:.2f}",
            milliseconds("p50_us"), milliseconds("p95_us"), milliseconds("p99_us"),
        ]  # fmt: skip


def contenders(address: str, *, with_janus: bool) -> Iterator[tuple[str, Start, dict[str, object]]]:
    """(name, how to start it, arguments), best known configuration of each server."""
    yield "Sunup engine", engine.serving, {"address": address}
    yield "Sunup engine, RTX", engine.serving, {"address": address, "repair": True}
    if with_janus:
        version = janus.version()
        yield f"Janus {version}", janus.serving, {"address": address}
        one = {"address": address, "event_loops": 1}
        yield f"Janus {version}, one event loop", janus.serving, one


async def measure(start: Start, name: str, subscribers: int, size: Size, **how: object) -> Row:
    """One row.

    Raises:
        RuntimeError: The server or the load program failed.
    """
    server_core, core = two_cores()
    async with start(subscribers=subscribers, core=server_core, **how) as serving:
        row = Row(name, subscribers, [], [], [])
        with running(
            server_pid=serving.pid, server_core=server_core, core=core,
            publisher=serving.publisher, subscribers=serving.subscribers,
        ) as load:  # fmt: skip
            for _ in range(size.rounds):
                forward = load.forward(warm_up=WARM_UP, seconds=size.seconds)
                row.forward.append(forward)
                bytes_each = forward.datagram_size
                row.bare.append(load.baseline(seconds=size.seconds, size=bytes_each))
                row.sealed.append(
                    load.baseline(seconds=SEALED_SECONDS, size=bytes_each, sealed=True)
                )
    return row


async def run(address: str, size: Size, *, with_janus: bool) -> AsyncIterator[Row]:
    """All rows, each as soon as it is there."""
    for name, start, how in contenders(address, with_janus=with_janus):
        for subscribers in size.subscribers:
            yield await measure(start, name, subscribers, size, **how)


def table(rows: list[Row]) -> Table:
    """The rows as text."""
    title = "Forwarding, W1: one 2.5 Mb/s VP8 video, 270 packets/s of 1,200 B, to n subscribers"
    return Table(title, HEAD, [row.cells() for row in rows])


def _micros(measurements: list[Measurement]) -> list[float]:
    return [measurement.micros_per_packet for measurement in measurements]
