"""Rows of a statement, as many as make an answer of some megabytes.

A record may hold a megabyte of text and a page has up to 200 of them: whoever asked for such pages
would fill the memory and keep everybody waiting. So rows are read in small steps, and no more of them
than `MAX_BYTES`. It makes no answer; a weight is an estimate.
"""

from typing import Any, Final

import msgspec
import sqlalchemy as sa

from storage.database import Unit

MAX_BYTES: Final = 2 * 1024 * 1024
"""Weight of the rows of one answer, and of those that come along; the last of each statement may
exceed it."""
VALUE_BYTES: Final = 64
"""What a value in JSON weighs beside its bytes: an object each, which costs more than its text."""
STEP: Final = 4
"""Rows that are read at a time: they are made into objects before they are weighed."""


class Allowance:
    """What an answer may still hold of one sort: what was asked for, or what comes along."""

    def __init__(self) -> None:
        self._left = MAX_BYTES

    async def take(self, unit: Unit, select: sa.Select[Any]) -> tuple[list[Any], bool]:
        """The first rows of `select`, and whether others were left for size.

        At least one is taken if there is one, as a page must go on.
        """
        rows: list[Any] = []
        found = await unit.session.stream_scalars(select.execution_options(yield_per=STEP))
        try:
            async for row in found:
                if rows and self._left < 0:
                    return rows, True
                rows.append(row)
                self._left -= weight(row)
        finally:
            await found.close()
        return rows, False


def weight(row: Any) -> int:
    """About what a row's texts and JSON are in an answer."""
    total = 0
    for value in vars(row).values():
        if isinstance(value, str):
            total += len(msgspec.json.encode(value))
        elif isinstance(value, dict | list):
            raw = msgspec.json.encode(value)
            values = raw.count(b",") + raw.count(b"[") + raw.count(b"{")
            total += len(raw) + VALUE_BYTES * values
    return total
