"""The set-up of a checkout: what is missing is one line, and two set-ups wait for each other."""

import asyncio
import fcntl
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BOOTSTRAP = Path(__file__).resolve().parents[2] / "deploy" / "bootstrap.py"
NO_RUST = "sunup: Rust 1.85 or newer is needed (rustc, cargo): install rustc-web cargo-web"


@pytest.fixture
def checkout(tmp_path):
    """A checkout whose virtual environment stands, on a machine with neither Rust nor apt."""
    root = tmp_path / "check out"
    (root / "deploy").mkdir(parents=True)
    shutil.copy(BOOTSTRAP, root / "deploy")
    programs = root / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (programs / "pip").touch()
    for program in programs.iterdir():
        program.chmod(0o755)
    (tmp_path / "empty").mkdir()
    return root


def environment(checkout):
    return {"PATH": str(checkout.parent / "empty"), "HOME": str(checkout.parent)}


def run(checkout, **more):
    done = subprocess.run(
        [sys.executable, "deploy/bootstrap.py", "run"],
        cwd=checkout, env=environment(checkout) | more, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, (done.stdout + done.stderr).splitlines()


def test_what_is_missing_is_named_in_one_line(checkout):
    """Without apt there is nothing that we may install."""
    code, lines = run(checkout)
    assert code == 1
    assert [line[: len(NO_RUST)] for line in lines] == [NO_RUST]


def test_a_newer_python_beside_python3_is_taken(checkout):
    """Ubuntu 22.04: `python3` is 3.10, and 3.11 can be installed beside it."""
    beside = checkout.parent / "beside"
    beside.mkdir()
    (beside / "python3.12").write_text('#!/bin/sh\necho "taken: $1 $2"\n')
    (beside / "python3.12").chmod(0o755)
    old = (
        "import runpy, sys; sys.version_info = (3, 10, 12); sys.argv = sys.argv[1:];"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )

    def lines(path):
        done = subprocess.run(
            [sys.executable, "-c", old, "deploy/bootstrap.py", "run"],
            cwd=checkout, env=environment(checkout) | {"PATH": str(path)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return (done.stdout + done.stderr).splitlines()

    assert lines(beside) == ["taken: deploy/bootstrap.py run"]
    assert lines(checkout.parent / "empty")[0].startswith("sunup: Python 3.11 or newer is needed")


def test_a_python_without_venv_is_named_in_one_line(checkout):
    """As distributions ship it, whose package for venv is another one."""
    (checkout / ".venv" / "bin" / "pip").unlink()
    broken = checkout.parent / "broken" / "ensurepip"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('not here')")
    code, lines = run(checkout, PYTHONPATH=str(broken.parent))
    assert code == 1
    assert lines[0] == "sunup: setting up virtual environment"
    assert lines[1].startswith("sunup: Python's venv module is incomplete: install python3-venv")
    assert len(lines) == 2


def test_a_checkout_that_cannot_be_written_is_one_line(checkout):
    """A file in a folder's place stands for every refusal of the system; root gets it, too."""
    (checkout / ".venv" / "stamps").touch()
    code, lines = run(checkout)
    assert code == 1
    assert [line[:46] for line in lines] == ["sunup: the set-up needs a writable checkout: ["]


async def test_two_set_ups_of_a_checkout_wait_for_each_other(checkout):
    """The second does nothing while the first works, and says so."""
    folder = os.open(checkout, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    second = await asyncio.create_subprocess_exec(
        sys.executable, "deploy/bootstrap.py", "run", cwd=checkout, env=environment(checkout),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        first_line = await asyncio.wait_for(second.stdout.readline(), 30)
        assert first_line == b"sunup: setting up after another set-up of this checkout\n"
        assert second.returncode is None
        assert not (checkout / ".venv" / "bin" / "sunup").exists()
    finally:
        os.close(folder)
    rest, _ = await asyncio.wait_for(second.communicate(), 30)
    assert rest.decode().startswith(NO_RUST)
    assert (checkout / ".venv" / "bin" / "sunup").exists()


def test_the_command_runs_this_checkout_from_any_folder(checkout):
    """Also where a folder happens to be called like a package of ours."""
    run(checkout)
    for place, says in ((checkout, "ours"), (checkout.parent, "theirs")):
        (place / "signaling").mkdir()
        (place / "signaling" / "__main__.py").write_text(
            f"import sys; print('{says}', *sys.argv[1:])"
        )
    done = subprocess.run(
        [checkout / ".venv" / "bin" / "sunup", "check-config", "a b"],
        cwd=checkout.parent, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "ours check-config a b\n"


@pytest.mark.parametrize(
    ("permission", "there", "installed"),
    [([], True, True), ([], False, False), (None, True, False)],
)
def test_the_lighter_browser_is_taken_where_it_can_be_had(
    monkeypatch, tmp_path, permission, there, installed
):
    """It is a wish: where the distribution has none, or we may not, the tests use the other."""
    found = runpy.run_path(str(BOOTSTRAP))
    asked = []
    names = found["test_services"].__globals__
    monkeypatch.setitem(names, "TEST_PACKAGES", {})
    monkeypatch.setitem(names, "allowed", lambda: permission)
    monkeypatch.setitem(names, "offered", lambda _package: there)
    monkeypatch.setitem(names, "apt", lambda *packages, why: asked.extend(packages))
    monkeypatch.setenv("PATH", str(tmp_path))
    found["test_services"]()
    assert asked == ["chromium-headless-shell"] * installed


def test_a_step_that_fails_is_done_again(tmp_path, monkeypatch):
    """Only one that ended well is stamped, with what it was made from."""
    module = runpy.run_path(str(BOOTSTRAP))
    step = module["step"]
    monkeypatch.setitem(step.__wrapped__.__globals__, "STAMPS", tmp_path)

    def stale(inputs, *, fails=False):
        with step("web", "setting up", inputs) as is_stale:
            if fails:
                raise OSError
        return is_stale

    with pytest.raises(OSError):
        stale("one", fails=True)
    assert [stale(inputs) for inputs in ("one", "one", "two", "two")] == [True, False, True, False]


def test_what_a_step_makes_is_nothing_it_is_made_from(tmp_path):
    """Or the pages, once built, would be other sources, and be built again by the next set-up."""
    tree_digest = runpy.run_path(str(BOOTSTRAP))["tree_digest"]
    (tmp_path / "app").mkdir()
    source = tmp_path / "app" / "meet.html"

    def digest():
        return tree_digest(tmp_path, ("*.html", "*.json"), skip="node_modules")

    source.write_text("a page")
    before = digest()
    for made in ("dist/meet.html", "node_modules/react/package.json"):
        file = tmp_path / made
        file.parent.mkdir(parents=True)
        file.write_text("made")
        assert digest() == before, made
    source.write_text("another page")
    assert digest() != before
