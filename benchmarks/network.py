"""A private network for the run: its own loopback and one address that nobody else can reach.

Janus offers no loopback candidates, and a benchmark must not open media ports to the outside, so
the whole run moves into a network namespace with a veth pair. What is sent to the pair's own
address goes through loopback all the same.
"""

import os
import shutil
import subprocess
import sys

ADDRESS = "10.99.0.1"
MARK = "SUNUP_BENCHMARK_NETWORK"

_SCRIPT = f"""
ip link set lo up
ip link add bench0 type veth peer name bench1
ip addr add {ADDRESS}/24 dev bench0
ip link set bench0 up
ip link set bench1 up
exec "$@"
"""


def address() -> str | None:
    """The address of the private network; None when the run is not inside one."""
    return ADDRESS if os.environ.get(MARK) else None


def enter(module: str, arguments: list[str]) -> None:
    """Start `module` anew inside a private network; returns when the machine does not allow one."""
    if address() or not shutil.which("ip") or not shutil.which("unshare"):
        return
    apart = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
    probe = [*apart, "ip", "link", "add", "bench0", "type", "veth", "peer", "name", "bench1"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        return
    os.environ[MARK] = "1"
    command = [*apart, "sh", "-ec", _SCRIPT, "sh", sys.executable, "-m", module, *arguments]
    os.execvp(command[0], command)
