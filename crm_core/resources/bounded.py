"""Rows of a statement, as many as make an answer of some megabytes.

A record may hold a megabyte of text and a page has up to 200 of them: whoever asked for such pages
would fill the memory and keep everybody waiting. So rows are read in small steps, and no more of them
than `MAX_BYTES`. It encodes nothing; a weight is an estimate.
"""

from typing import Any, Final

import msgspec
import sqlalchemy as sa

from storage.database import Unit

MAX_BYTES: Final = 2 * 1024 * 1024
"""Of texts and JSON in the rows of one answer; the last row may exceed it."""
STEP: Final = 20
"""Rows that are read at a time."""


async def take(unit: Unit, select: sa.Select[Any]) -> tuple[list[Any], bool]:
    """The first rows of `select`, one at least if there is one, and whether others were left for size."""
    rows: list[Any] = []
    size = 0
    found = await unit.session.stream_scalars(select.execution_options(yield_per=STEP))
    try:
        async for row in found:
            if size > MAX_BYTES:
                return rows, True
            rows.append(row)
            size += weight(row)
    finally:
        await found.close()
    return rows, False


def weight(row: Any) -> int:
    """About how many bytes a row's texts and JSON are."""
    total = 0
    for value in vars(row).values():
        if isinstance(value, str):
            total += len(value)
        elif isinstance(value, dict | list):
            total += len(msgspec.json.encode(value))
    return total
