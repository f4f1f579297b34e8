"""``python -m benchmarks``: measure, print the tables, append them to ``benchmarks/results/``."""

import argparse
import asyncio
import datetime as dt
import subprocess
import sys

from . import fanout, forwarding, janus, machine, network
from .load import PROGRAM
from .table import record

QUICK_FANOUT = fanout.Size(rounds=2, messages=20)
QUICK = forwarding.Size(subscribers=(50,), rounds=2, seconds=1)


def main() -> int:
    """Run what the arguments ask for; 0 when every row was measured."""
    arguments = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    arguments.add_argument("--quick", action="store_true", help="one size, two short rounds")
    arguments.add_argument("--without-janus", action="store_true", help="measure ourselves only")
    arguments.add_argument("--no-record", action="store_true", help="print, write no file")
    asked = arguments.parse_args()
    network.enter("benchmarks", sys.argv[1:])
    build()
    facts = machine.facts()
    for key, value in facts.items():
        print(f"{key}: {value}")
    body = asyncio.run(measure(asked))
    if not asked.no_record:
        kind = "quick" if asked.quick else "benchmarks"
        file = record(kind, facts, body, now=dt.datetime.now(dt.UTC))
        print(f"\nappended to {file.relative_to(machine.ROOT)}")
    return 0


def build() -> None:
    """Bring the load program up to its sources.

    Raises:
        CalledProcessError: It does not compile; cargo has said why.
    """
    argv = ["cargo", "build", "-q", "--locked", "--release", "-p", "sunup-engine-load"]
    subprocess.run(argv, cwd=machine.ROOT / "engine", check=True)
    if not PROGRAM.exists():
        raise FileNotFoundError(f"{PROGRAM} is missing: is CARGO_TARGET_DIR set?")


async def measure(asked: argparse.Namespace) -> str:
    """The tables as text; rows are shown as they come."""
    size = QUICK if asked.quick else forwarding.Size()
    address = network.address()
    notes = []
    with_janus = not asked.without_janus
    if with_janus and address is None:
        notes.append("Janus: not measured, this machine allows no private network")
        with_janus = False
    if with_janus:
        try:
            janus.version()
        except janus.JanusError as missing:
            notes.append(f"Janus: not measured, {missing}")
            with_janus = False
    rows = []
    async for row in forwarding.run(address or "127.0.0.1", size, with_janus=with_janus):
        rows.append(row)
        print("  ".join(row.cells()), flush=True)
    fan = await fanout.run(QUICK_FANOUT if asked.quick else fanout.Size())
    body = "\n".join([forwarding.table(rows).text(), *notes, "", fanout.table(fan).text()])
    print(f"\n{body}")
    return body


if __name__ == "__main__":
    sys.exit(main())
