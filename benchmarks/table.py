"""Results as plain text: for the eye, and for ``benchmarks/results/``."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True)
class Table:
    """A title, a head, and rows of cells."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def text(self) -> str:
        """Columns aligned, the first to the left, numbers to the right."""
        lines = [list(self.head), *map(list, self.rows)]
        widths = [max(len(line[at]) for line in lines) for at in range(len(self.head))]
        rendered = [
            "  ".join(
                cell.ljust(width) if at == 0 else cell.rjust(width)
                for at, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        return "\n".join([self.title, *rendered])


def record(
    kind: str, facts: Mapping[str, str], body: str, *, now: dt.datetime, folder: Path = RESULTS
) -> Path:
    """Append a dated section to the results of `kind`; nothing written before is touched."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{kind}.txt"
    head = [f"=== {now:%Y-%m-%d %H:%M} UTC", *(f"{key}: {value}" for key, value in facts.items())]
    with file.open("a", encoding="utf-8") as opened:
        opened.write("\n".join([*head, "", body, "", ""]))
    return file
