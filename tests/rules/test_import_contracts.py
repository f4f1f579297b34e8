"""The import directions of the layout are checked, and the check itself is checked."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("signaling", "rooms", "sfu", "crm_core", "storage")
PURE = {"collections", "enum", "typing", "zlib", "msgspec"}
"""What `rooms` may import: a list of what it may not is never complete."""


def lint_imports(folder):
    program = Path(sys.executable).parent / "lint-imports"
    return subprocess.run(
        [program, "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path):
    """A copy of the five packages with the contracts, to plant violations in."""
    for package in PACKAGES:
        ignore = shutil.ignore_patterns("__pycache__", "*.so")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_tree_keeps_its_contracts():
    """No module of the tree imports against the layout."""
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("sfu/planted.py", "import rooms", "Layers:"),
        ("storage/planted.py", "import crm_core", "Layers:"),
        ("rooms/planted.py", "import asyncio", "rooms is sans-I/O"),
        ("rooms/planted.py", "from random import choice", "rooms is sans-I/O"),
        ("rooms/planted.py", "import storage.errors", "rooms is sans-I/O"),
        ("sfu/planted.py", "import sqlalchemy", "sfu stores nothing"),
        ("crm_core/planted.py", "import aiohttp", "serve no network"),
    ],
)
def test_a_planted_violation_is_caught(copy, module, line, contract):
    """Each contract has teeth: a planted import breaks it by name."""
    (copy / module).write_text(f'"""Planted."""\n\n{line}\n')
    result = lint_imports(copy)
    assert result.returncode == 1, result.stdout
    unwrapped = " ".join(result.stdout.split())  # long contract names are wrapped
    verdict = unwrapped.split(contract, 1)[1].split(" KEPT")[0]
    assert "BROKEN" in verdict, result.stdout


def impure(source):
    """The top-level modules that a module of `rooms` imports and should not."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(str(node.module).partition(".")[0])
    return found - PURE


def test_rooms_is_made_of_pure_parts_alone():
    """Nothing that reads a clock, a file or a socket is even in reach."""
    assert {
        path.name: bad for path in ROOT.glob("rooms/*.py") if (bad := impure(path.read_text()))
    } == {}


@pytest.mark.parametrize(
    ("line", "bad"),
    [
        ("import subprocess, zlib", {"subprocess"}),
        ("def f():\n    from urllib.request import urlopen", {"urllib"}),
        ("import storage.errors", {"storage"}),
        ("from .state import State\nfrom collections.abc import Callable", set()),
    ],
)
def test_an_impure_import_is_seen(line, bad):
    """In every spelling, wherever it stands."""
    assert impure(line) == bad
