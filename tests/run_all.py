"""Run every check of the project and count what ran: ``make test``.

Linters, type checkers, and the Rust, web, Python and browser suites. The run fails when a check
fails, when any test was skipped, expected to fail or deselected, or when a suite ran fewer tests than
the floor in ``tests/floors.json`` says: a suite that quietly stops running is a failure too.
``--fast`` leaves out the browser and the journeys and does not look at the floors.

Lanes, each with databases of its own, run side by side, as most tests mostly wait. The plain tests take
from the first moment on what others leave of the machine, and the checks what these leave. Beside them
come the journey, which measures how soon somebody is silent, and the benchmarks' own tests; then the
other tests with pictures and sound, those that start servers, and those that move packets.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ET
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import services

ROOT = Path(__file__).resolve().parent.parent
FLOORS = ROOT / "tests" / "floors.json"
BIN = Path(sys.executable).parent
RUST_KNOWN = (1, 95)
"""The newest Rust whose lints the engine was held to; a later one may know more of them."""
SLOW = ("journeys", "browser")
PACKETS = ("hard", "sfu")
"""Folders whose tests move packets."""
JOURNEY = "tests/journeys/test_journey.py"
"""The one of its folder that drives browsers."""
OUTAGES = ["tests/browser/test_outage.py", "tests/browser/test_waiting.py"]
"""Those of their folder that wait for half a minute."""


@dataclass
class Report:
    """What ran, and what is wrong."""

    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self, suite: str, argv: list[str], *, cwd: Path = ROOT, **env: str) -> str:
        """Run one command and show its output when it ends; a failure becomes a problem."""
        started = time.monotonic()
        done = subprocess.run(
            argv,
            cwd=cwd,
            env={**os.environ, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        with self.lock:
            print(f"\n--- {suite}\n{done.stdout}", end="", flush=True)
            self.seconds[suite] = self.seconds.get(suite, 0) + time.monotonic() - started
            if done.returncode:
                self.problems.append(
                    f"{suite}: {' '.join(argv[:4])} … ended with {done.returncode}"
                )
        return done.stdout

    def lint(self, name: str, argv: list[str], *, cwd: Path = ROOT, **env: str) -> None:
        """Run a check that counts as one."""
        self.check(name, argv, cwd=cwd, **env)
        with self.lock:  # other lanes find their own problems meanwhile
            if not any(problem.startswith(f"{name}: ") for problem in self.problems):
                self.counts["lint"] += 1


def main() -> int:
    """Run, print the table, answer the exit code."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--fast", action="store_true")
    fast = arguments.parse_args().fast
    os.environ.pop("PYTEST_ADDOPTS", None)
    # A hundred processes import the same modules: compiled once, that is half a minute less.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    report = Report()
    folders = sorted(p.name for p in (ROOT / "tests").iterdir() if list(p.glob("**/test_*.py")))
    if fast:
        checks(report)
        lane(report, "python", [f"tests/{name}" for name in folders if name not in SLOW])
    else:
        apart = (*SLOW, *PACKETS, "contracts", "signaling", "benchmarks")
        plain = [f"tests/{name}" for name in folders if name not in apart]
        waiting = ["tests/journeys", f"--ignore={JOURNEY}", "tests/contracts", *OUTAGES]
        with ThreadPoolExecutor() as lanes, ThreadPoolExecutor(1, initializer=last) as checkers:
            ends = [
                lanes.submit(lane, report, "signaling", ["tests/signaling"], nice=10),
                lanes.submit(lane, report, "plain", plain, nice=10),
                checkers.submit(checks, report),
            ]
            lane(report, "alone", [JOURNEY, "tests/benchmarks"])
            others = ["tests/browser", *(f"--ignore={path}" for path in OUTAGES)]
            ends += [
                lanes.submit(lane, report, "browser", others),
                lanes.submit(lane, report, "servers", waiting),
                lanes.submit(lane, report, "packets", [f"tests/{name}" for name in PACKETS]),
            ]
        for end in ends:
            end.result()
    if not fast:
        floors(report)
    return summary(report)


def last() -> None:
    """Let what this thread starts wait for everybody else; on Linux it is the thread's own matter."""
    os.setpriority(os.PRIO_PROCESS, 0, 19)


def checks(report: Report) -> None:
    """Everything that needs no server."""
    python_lint(report)
    rust(report)
    web(report)


def python_lint(report: Report) -> None:
    """Style, format, types and import contracts."""
    report.lint("ruff check", [str(BIN / "ruff"), "check", "."])
    report.lint("ruff format", [str(BIN / "ruff"), "format", "--check", "."])
    report.lint("mypy", [str(BIN / "mypy")])
    report.lint("import contracts", [str(BIN / "lint-imports")])


def rust(report: Report) -> None:
    """Format, clippy, unit and scenario tests of the engine."""
    engine = ROOT / "engine"
    report.lint("rustfmt", ["cargo", "fmt", "--check"], cwd=engine)
    if shutil.which("cargo-clippy"):
        clippy = ["cargo", "clippy", "-q", "--locked", "--all-targets"]
        if rust_version() <= RUST_KNOWN:
            clippy += ["--", "-D", "warnings"]
        else:
            print("this Rust is newer than the lints were looked at with: warnings are shown only")
        report.lint("clippy", clippy, cwd=engine)
    else:
        print("clippy is not part of this distribution's Rust: rustc's own warnings are denied")
        plain = ["cargo", "check", "-q", "--locked", "--all-targets"]
        report.lint("clippy", plain, cwd=engine, RUSTFLAGS="-D warnings")
    count_rust(
        report, report.check("rust", ["cargo", "test", "-q", "--locked", "--workspace"], cwd=engine)
    )


def count_rust(report: Report, output: str) -> None:
    """Count what cargo's test runs say; what they left out is a problem."""
    for passed, ignored in re.findall(r"test result: ok\. (\d+) passed; \d+ failed; (\d+)", output):
        report.counts["rust"] += int(passed)
        if int(ignored):
            report.problems.append(f"rust: {ignored} tests were ignored")


def rust_version() -> tuple[int, int]:
    """Major and minor version of the compiler."""
    text = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=True).stdout
    major, minor = text.split()[1].split(".")[:2]
    return int(major), int(minor)


def web(report: Report) -> None:
    """Types, linter, unit tests and size budgets of the pages."""
    folder = ROOT / "web"
    if not (folder / "package.json").exists():
        return
    report.lint("web types and linter", ["npm", "run", "--silent", "check"], cwd=folder)
    report.lint("web budgets", ["npm", "run", "--silent", "budget"], cwd=folder)
    with tempfile.TemporaryDirectory() as scratch:
        result = Path(scratch) / "vitest.json"
        argv = ["npx", "vitest", "run", "--reporter=default", "--reporter=json"]
        report.check("web", [*argv, f"--outputFile.json={result}"], cwd=folder)
        if result.exists():
            count_web(report, json.loads(result.read_text()))
    for path in expected_failures(folder):
        report.problems.append(f"web: {path.relative_to(folder)} expects a test to fail")


def count_web(report: Report, numbers: dict[str, int]) -> None:
    """Count what vitest ran; what it left out is a problem."""
    report.counts["web"] += numbers["numPassedTests"]
    if idle := numbers["numPendingTests"] + numbers["numTodoTests"]:
        report.problems.append(f"web: {idle} tests were skipped")


def expected_failures(folder: Path) -> list[Path]:
    """Test files of the pages with a test that is to fail: in vitest's report it has passed."""
    return [
        path
        for part in ("app", "sdk", "tools")
        for path in sorted((folder / part).rglob("*.test.ts*"))
        if re.search(r"\.fails\b|\bfails\s*:", path.read_text())
    ]


def lane(report: Report, name: str, arguments: list[str], *, nice: int = 0) -> None:
    """Run pytest beside servers of its own and count per folder of ``tests`` what it ran."""
    with (
        services.postgres() as postgres_url,
        services.redis() as redis_url,
        tempfile.TemporaryDirectory() as scratch,
    ):
        result = Path(scratch) / "junit.xml"
        argv = ["nice", "-n", str(nice), sys.executable, "-m", "pytest", "-q"]
        output = report.check(
            name,
            [*argv, f"--junitxml={result}", *arguments],
            SUNUP_TEST_POSTGRES_URL=postgres_url,
            SUNUP_TEST_REDIS_URL=redis_url,
        )
        cases = list(ET.parse(result).iter("testcase")) if result.exists() else []
    count(report, name, output, cases)


def count(report: Report, name: str, output: str, cases: list[ET.Element]) -> None:
    """Count what a lane's pytest ran; what it left out is a problem."""
    with report.lock:
        if "deselected" in output:
            report.problems.append(f"{name}: tests were deselected")
        if "xpassed" in output:
            report.problems.append(f"{name}: tests were expected to fail, and passed")
        for case in cases:
            # A module of which nothing could be collected has no class, only its own name.
            folder = (case.get("classname") or case.get("name", "")).split(".")[1]
            if case.find("skipped") is not None:  # xfail is reported as skipped, too
                report.problems.append(f"{folder}: {case.get('name')} was skipped")
            elif case.find("failure") is None and case.find("error") is None:
                report.counts[folder] += 1


def floors(report: Report) -> None:
    """Compare the counts with the floors that are kept in the repository."""
    for suite, floor in json.loads(FLOORS.read_text()).items():
        if report.counts[suite] < floor:
            ran = report.counts[suite]
            report.problems.append(f"{suite}: {ran} tests passed, the floor is {floor}")


def summary(report: Report) -> int:
    """Print the numbers; 0 when nothing is wrong."""
    print("\n=== tests per suite")
    for suite, count in sorted(report.counts.items()):
        print(f"  {suite:<16} {count:>6}")
    print("=== seconds per step")
    for name, seconds in report.seconds.items():
        print(f"  {name:<24} {seconds:>8.1f}")
    for problem in report.problems:
        print(f"FAILED  {problem}")
    print(f"{sum(report.counts.values())} passed, {len(report.problems)} failed")
    return 1 if report.problems else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except services.MissingService as missing:
        sys.exit(f"make test: {missing}")
