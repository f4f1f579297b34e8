"""``python -m tests.soak``: the long runs behind ``make soak``, with their results on record.

Each part is a test of ``make test`` with larger numbers and a fresh seed. What a part printed about
itself, its seed and its end are appended to ``benchmarks/results/soak.txt``; a failure shows its
whole output and makes the run fail.
"""

import argparse
import datetime as dt
import os
import secrets
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.machine import facts
from benchmarks.table import record
from tests.support import services

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT = 3600


@dataclass(frozen=True)
class Part:
    """One run of pytest."""

    name: str
    target: str
    settings: dict[str, str] = field(default_factory=dict)


def parts(arguments: argparse.Namespace) -> list[Part]:
    """All parts, the cheapest first."""
    rounds = {"SUNUP_HARD_ROUNDS": str(arguments.rounds)}
    histories = {"SUNUP_HISTORIES": str(arguments.histories)}
    return [
        Part("SDP parser", "sfu/test_sdp_parser.py"),
        Part("room histories", "rooms/test_histories.py", histories),
        Part("resume storm", "hard/test_resume_storm.py", {"SUNUP_HARD_CUTS": str(arguments.cuts)}),
        Part("datagrams", "hard/test_datagrams.py", rounds),
        Part("REST bodies and heads", "hard/test_rest.py", rounds),
        Part("frames", "hard/test_frames.py", rounds),
        Part("SDPs", "hard/test_sdp.py", rounds),
        Part("kill -9", "hard/soak_kills.py", {"SUNUP_SOAK_KILLS": str(arguments.kills)}),
    ]


def main() -> int:
    """Run all parts, record what they said; 0 when every one passed."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20_000, help="inputs of each kind")
    parser.add_argument("--kills", type=int, default=200, help="on each database")
    parser.add_argument("--histories", type=int, default=5000, help="random lives of a room")
    parser.add_argument("--cuts", type=int, default=600, help="cuts of the resume storm")
    parser.add_argument("--seed", type=int, default=None, help="repeat an earlier run")
    parser.add_argument("--only", default="", help="parts whose name contains this")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else secrets.randbelow(2**31)
    lines = []
    failed = 0
    with services.postgres() as postgres_url, services.redis() as redis_url:
        environment = {
            **os.environ,
            "SUNUP_TEST_POSTGRES_URL": postgres_url,
            "SUNUP_TEST_REDIS_URL": redis_url,
            "SUNUP_HARD_SEED": str(seed),
        }
        for part in parts(arguments):
            if arguments.only not in part.name:
                continue
            passed, said = run(part, environment)
            failed += not passed
            lines += said
            print("\n".join(said), flush=True)
    about = {**facts(), "seed": str(seed)}
    file = record("soak", about, "\n".join(lines), now=dt.datetime.now(dt.UTC))
    print(f"\nappended to {file.relative_to(ROOT)}")
    return 1 if failed else 0


def run(part: Part, environment: dict[str, str]) -> tuple[bool, list[str]]:
    """Whether a part passed, and what it said about itself."""
    started = time.monotonic()
    argv = [
        sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider",
        f"--timeout={TIMEOUT}", "--hypothesis-profile=search",
        f"--hypothesis-seed={environment['SUNUP_HARD_SEED']}", f"tests/{part.target}",
    ]  # fmt: skip
    done = subprocess.run(
        argv, cwd=ROOT, env={**environment, **part.settings}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    passed = done.returncode == 0
    if not passed:
        print(done.stdout[-20_000:], done.stderr[-2000:], sep="\n")
    seconds = time.monotonic() - started
    verdict = "passed" if passed else "FAILED"
    said = [f"{part.name}: {verdict} in {seconds:.0f} s"]
    said += [f"    {line.lstrip('.')}" for line in done.stdout.splitlines() if telling(line)]
    return passed, said


def telling(line: str) -> bool:
    """Whether a test printed this as a result."""
    starts = ("SUNUP_HARD_SEED", "Counter(", "the server's memory", "kills ", "seed ")
    return line.lstrip(".").startswith(starts) or line.endswith(("were answered", "started anew"))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except services.MissingService as missing:
        sys.exit(f"make soak: {missing}")
