"""The database's refusals as errors of the API.

Services look before they write, so these are races and rules that only the database checks. The
two databases report differently: PostgreSQL names the constraint, SQLite names the columns of a
unique key, the name of a CHECK or of the overlap trigger, and nothing for a foreign key.
"""

import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from storage.base import Base
from storage.overlap import OVERLAP_CONSTRAINT

from ..errors import Conflict, CrmError, NoSuchReference, SlotTaken

_SQLITE_UNIQUE = re.compile(r"UNIQUE constraint failed: (?:index '(?P<index>\w+)'|(?P<columns>.+))")
_SQLITE_CHECK = re.compile(r"CHECK constraint failed: (?P<name>\w+)")


def explain(error: IntegrityError) -> CrmError:
    """What the caller is told; an unknown refusal is a plain `Conflict`."""
    constraint, columns = _constraint(error)
    text = str(error.orig)
    field = columns[-1] if columns else None
    if OVERLAP_CONSTRAINT in (constraint, text):
        return SlotTaken()
    if constraint.startswith("fk_") or "FOREIGN KEY" in text:
        return NoSuchReference(
            "a record it points at is gone, or others still point at it", field=field
        )
    if columns:
        return Conflict(f"{', '.join(columns)}: taken by another record", field=field)
    return Conflict("a rule of the data forbids this", rule=constraint or None)


def _constraint(error: IntegrityError) -> tuple[str, list[str]]:
    """The constraint's name and its columns without the tenant, as far as they are known."""
    text = str(error.orig)
    # With row-level security PostgreSQL gives the constraint's name and keeps the values to itself.
    name = getattr(getattr(error.orig, "__cause__", None), "constraint_name", None)
    unique = _SQLITE_UNIQUE.search(text)
    if not name and unique is not None:
        if unique["columns"]:
            columns = [part.strip().rpartition(".")[2] for part in unique["columns"].split(",")]
            return "", [column for column in columns if column != "tenant_id"]
        name = unique["index"]
    check = _SQLITE_CHECK.search(text)
    if not name and check is not None:
        name = check["name"]
    return name or "", _columns(name) if name else []


def _columns(name: str) -> list[str]:
    """The columns of the unique or foreign key with this name; none for a CHECK."""
    for table in Base.metadata.tables.values():
        keys: list[Any] = [*table.constraints, *table.indexes]
        for key in keys:
            if key.name is not None and str(key.name) == name:
                if isinstance(key, sa.CheckConstraint):
                    return []
                return [column.name for column in key.columns if column.name != "tenant_id"]
    return []
