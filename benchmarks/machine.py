"""What the benchmark runs on: cores, ports, CPU clocks, and facts for the head of a table."""

import functools
import os
import platform
import socket
import subprocess
from pathlib import Path

# The lowest real-time priority is above all ordinary work; loads are bounded in time.
REAL_TIME = ["chrt", "--fifo", "1"]
ROOT = Path(__file__).resolve().parent.parent


def two_cores() -> tuple[int, int]:
    """(the server's core, everybody else's core).

    Raises:
        RuntimeError: There is only one.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise RuntimeError("a benchmark needs two cores: one for the server, one for the load")
    return cores[0], cores[-1]


@functools.cache
def real_time() -> bool:
    """Whether this machine lets us run ahead of its other work, so that it does not disturb."""
    probe = [*REAL_TIME, "true"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def pinned(core: int, argv: list[str]) -> list[str]:
    """The command kept on one core, undisturbed if possible; it ends with us, however we end."""
    first = REAL_TIME if real_time() else []
    return [
        "setpriv", "--pdeathsig", "TERM", "taskset", "--cpu-list", str(core), *first, *argv
    ]  # fmt: skip


def favour(pid: int, core: int) -> None:
    """Treat a process that is running already, all its threads, as `pinned` treats a new one."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {core})
        if real_time():
            os.sched_setscheduler(int(task.name), os.SCHED_FIFO, os.sched_param(1))


def free_port(address: str = "127.0.0.1") -> int:
    """A TCP port of `address` that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def process_cpu_ns(pid: int) -> int:
    """CPU nanoseconds that all threads of a process have used."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


def facts() -> dict[str, str]:
    """Machine and source, for whoever reads the table later."""
    return {
        "cpu": _cpu_model(),
        "cores": str(len(os.sched_getaffinity(0))),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "commit": _commit(),
        "scheduling": "real-time" if real_time() else "ordinary",
        "load average before": f"{os.getloadavg()[0]:.2f}",
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _commit() -> str:
    argv = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=10"]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip() or "?"
