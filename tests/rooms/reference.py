"""The generated parts of docs/reference/rooms.md: drawn from the tables, never by hand.

``python -m tests.rooms.reference`` rewrites them in place; ``test_reference`` fails when they differ.
"""

import ast
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from rooms import events, limits, timers
from rooms.permissions import COLUMNS, RIGHTS
from rooms.states import MACHINES

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "rooms.md"


def diagrams() -> str:
    """One Mermaid state diagram per machine."""
    parts = []
    for machine in MACHINES:
        lines = [f"    [*] --> {machine.initial}"]
        lines += [
            f"    {state} --> {target}: {trigger}"
            for state, row in machine.table.items()
            for trigger, target in row.items()
        ]
        lines += [f"    {state} --> [*]" for state in machine.states if state in machine.final]
        title = machine.name.replace("_", " ")
        parts.append(
            "\n".join([f"### {title}", "", "```mermaid", "stateDiagram-v2", *lines, "```"])
        )
    return "\n\n".join(parts)


def rights() -> str:
    """The rights table."""
    lines = ["| right | " + " | ".join(COLUMNS) + " |", "|---|" + ":-:|" * len(COLUMNS)]
    for right, row in RIGHTS.items():
        lines.append(f"| `{right}` | " + " | ".join(row[c].value for c in COLUMNS) + " |")
    return "\n".join(lines)


def durations() -> str:
    """Every deadline with its meaning, and every duration."""
    lines = ["| timer | what is waited for |", "|---|---|"]
    lines += [f"| `{name.lower()}` | {text} |" for name, text in _documented(timers, "Timer")]
    lines += ["", "| duration | seconds |", "|---|--:|"]
    lines += [
        f"| `{name}` | {value:g} |"
        for name, value in vars(timers).items()
        if name.endswith("_S") and isinstance(value, float)
    ]
    return "\n".join(lines)


def bounds() -> str:
    """Every limit and rate."""
    lines = ["| limit | value |", "|---|--:|"]
    lines += [
        f"| `{name}` | {value} |"
        for name, value in vars(limits).items()
        if name.isupper() and isinstance(value, int)
    ]
    lines += ["", "| rate | of each | a second | burst |", "|---|---|--:|--:|"]
    lines += [f"| {n} | {r.per} | {r.per_s:g} | {r.burst:g} |" for n, r in limits.RATES.items()]
    return "\n".join(lines)


def kinds() -> str:
    """Every kind of event with its first sentence."""
    lines = []
    for title, bodies in (("Facts", events.FACTS), ("Projections", events.PROJECTIONS)):
        lines += [f"### {title}", "", "| kind | meaning |", "|---|---|"]
        lines += [f"| `{body.event}` | {_first_line(body)} |" for body in bodies]
        lines.append("")
    return "\n".join(lines).strip()


BLOCKS: dict[str, Callable[[], str]] = {
    "states": diagrams,
    "rights": rights,
    "timers": durations,
    "limits": bounds,
    "events": kinds,
}


def rendered(page: str) -> str:
    """The page with every generated block as the tables say now."""
    for name, block in BLOCKS.items():
        start, end = f"<!-- generated: {name} -->", f"<!-- end: {name} -->"
        pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
        page, found = pattern.subn(lambda _: f"{start}\n{block()}\n{end}", page)  # noqa: B023
        if found != 1:
            message = f"docs/reference/rooms.md has {found} blocks named {name}"
            raise ValueError(message)
    return page


def _first_line(body: type) -> str:
    return (inspect.getdoc(body) or "").split("\n")[0]


def _documented(module: ModuleType, name: str) -> list[tuple[str, str]]:
    """The members of an enum with the string that stands below each."""
    tree = ast.parse(inspect.getsource(module))
    body = next(n.body for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name)
    return [
        (member.targets[0].id, ast.literal_eval(text.value))
        for member, text in zip(body[1::2], body[2::2], strict=True)
    ]


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text()))
