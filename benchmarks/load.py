"""Driving the load program (`engine/load`): the plan, the orders, the measurements.

The program inherits the sockets and runs on the core that the server does not use, so that what
it does costs the measured process nothing but the kernel's part.
"""

import dataclasses
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from .machine import ROOT, pinned
from .peers import Association, Publisher

PROGRAM = ROOT / "engine" / "target" / "release" / "sunup-load"


class LoadError(RuntimeError):
    """The load program ended or answered nonsense; it has said why on standard error."""


@dataclass(frozen=True)
class Measurement:
    """What one order counted; see `engine/load/src/numbers.rs`."""

    expected: int
    delivered: int
    bytes: int
    cpu_ns: int
    p50_us: int
    p95_us: int
    p99_us: int
    other: int
    feedback: int
    checks_answered: int
    refused: int
    key_requests: int

    @property
    def micros_per_packet(self) -> float:
        """CPU of the server, or of the baseline, per delivered packet."""
        if not self.delivered:
            raise LoadError(f"no packet was delivered: {self}")
        return self.cpu_ns / self.delivered / 1000

    @property
    def loss_percent(self) -> float:
        """Share of the expected packets that did not arrive."""
        return 100 * (1 - self.delivered / self.expected)

    @property
    def datagram_size(self) -> int:
        """Mean bytes of a delivered datagram."""
        return round(self.bytes / self.delivered)


class Load:
    """A running load program."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def forward(self, *, warm_up: int, seconds: int) -> Measurement:
        """Publish W1 through the server for so many seconds after a warm-up."""
        return self._order(f"forward warm_up={warm_up} seconds={seconds}")

    def baseline(self, *, seconds: int, size: int, sealed: bool = False) -> Measurement:
        """Send the same load without a server, from the server's core."""
        return self._order(f"baseline seconds={seconds} size={size} sealed={int(sealed)}")

    def _order(self, line: str) -> Measurement:
        self.write(line)
        return parse(self.read())

    def write(self, line: str) -> None:
        """Send one line of the plan or one order."""
        assert self._process.stdin
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise LoadError("the load program is gone") from error

    def read(self) -> str:
        """Wait for the answer to an order."""
        assert self._process.stdout
        answer = self._process.stdout.readline()
        if not answer:
            raise LoadError(f"the load program ended with {self._process.wait()}")
        return answer


def parse(answer: str) -> Measurement:
    """The measurement in an answer.

    Raises:
        LoadError: The answer is not one.
    """
    kind, *words = answer.split()
    values = dict(word.split("=", 1) for word in words if "=" in word)
    names = [field.name for field in dataclasses.fields(Measurement)]
    if kind != "done" or set(values) != set(names):
        raise LoadError(f"not a measurement: {answer!r}")
    return Measurement(**{name: int(values[name]) for name in names})


@contextmanager
def running(
    *, server_pid: int, server_core: int, core: int,
    publisher: Publisher, subscribers: Sequence[Association],
) -> Iterator[Load]:  # fmt: skip
    """The load program with its plan; it ends with the block.

    Raises:
        LoadError: It did not accept the plan.
    """
    associations = [publisher.association, *subscribers]
    with subprocess.Popen(
        pinned(core, [str(PROGRAM)]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=[association.socket.fileno() for association in associations],
    ) as process:
        load = Load(process)
        try:
            load.write(f"server pid={server_pid} core={server_core}")
            load.write(f"core index={core}")
            load.write(f"publisher {_peer(publisher.association)} {_video(publisher)}")
            for subscriber in subscribers:
                load.write(f"subscriber {_peer(subscriber)}")
            load.write("run")
            if load.read() != "ready\n":
                raise LoadError("the load program did not start")
            yield load
        finally:
            process.terminate()
            if process.stdin:
                with suppress(BrokenPipeError):  # it ended before it had read all of the plan
                    process.stdin.close()


def _peer(association: Association) -> str:
    host, port = association.server
    keys = association.keys
    return (
        f"fd={association.socket.fileno()} server={host}:{port}"
        f" username={association.username} password={association.password}"
        f" profile={keys.profile}"
        f" local_key={keys.local_key.hex()} local_salt={keys.local_salt.hex()}"
        f" remote_key={keys.remote_key.hex()} remote_salt={keys.remote_salt.hex()}"
    )


def _video(publisher: Publisher) -> str:
    names = [field.name for field in dataclasses.fields(Publisher)][1:]
    return " ".join(f"{name}={getattr(publisher, name)}" for name in names)
