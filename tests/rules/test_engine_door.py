"""The compiled engine is reached through one module."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("signaling", "rooms", "sfu", "crm_core", "storage")
DOOR = "sfu/native.py"


def imports_engine(source: str) -> bool:
    """Whether the source imports ``sfu._engine`` in any spelling."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            if any(alias.name.startswith("sfu._engine") for alias in node.names):
                return True
        elif isinstance(node, ast.ImportFrom):
            names = {alias.name for alias in node.names}
            if "_engine" in (node.module or "").split(".") or "_engine" in names:
                return True
    return False


@pytest.mark.parametrize(
    "planted",
    ["import sfu._engine", "from sfu import _engine", "from . import _engine",
     "from ._engine import Engine", "from sfu._engine import Engine"],
)  # fmt: skip
def test_every_spelling_is_seen(planted):
    """The rule below would notice each way to write the import."""
    assert imports_engine(planted)


def test_only_the_native_port_imports_the_engine():
    """No module but the port touches the compiled module, so it can be faked at one seam."""
    importers = {
        str(file.relative_to(ROOT))
        for package in PACKAGES
        for file in (ROOT / package).rglob("*.py")
        if imports_engine(file.read_text())
    }
    assert importers <= {DOOR}
