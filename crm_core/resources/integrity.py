"""The database's refusals as errors of the API.

Services look before they write, so these are races and rules that only the database checks. The
two databases report differently: PostgreSQL names the constraint, SQLite names the columns of a
unique key, the name of a CHECK or of the overlap trigger, and nothing for a foreign key.
"""

import re

from sqlalchemy.exc import IntegrityError

from storage.overlap import OVERLAP_CONSTRAINT

from ..errors import Conflict, CrmError, NoSuchReference, SlotTaken

_SQLITE_UNIQUE = re.compile(r"UNIQUE constraint failed: (?:index '(?P<index>\w+)'|(?P<columns>.+))")
_SQLITE_CHECK = re.compile(r"CHECK constraint failed: (?P<name>\w+)")


def explain(error: IntegrityError) -> CrmError:
    """What the caller is told; an unknown refusal is a plain `Conflict`."""
    constraint, columns = _constraint(error)
    text = str(error.orig)
    if OVERLAP_CONSTRAINT in (constraint, text):
        return SlotTaken()
    if constraint.startswith("fk_") or "FOREIGN KEY" in text:
        field = columns[-1] if columns else None
        return NoSuchReference(
            "a record it points at is gone, or others still point at it", field=field
        )
    if constraint.startswith(("uq_", "pk_")) or columns:
        field = columns[-1] if columns else None
        return Conflict(f"{field or 'this'} is taken by another record", field=field)
    return Conflict("a rule of the data forbids this", rule=constraint or None)


def _constraint(error: IntegrityError) -> tuple[str, list[str]]:
    """The constraint's name and its columns without the tenant, as far as they are known."""
    cause = getattr(error.orig, "__cause__", None)
    name = getattr(cause, "constraint_name", None)
    if name:
        table = getattr(cause, "table_name", "") or ""
        columns = name.removeprefix("uq_").removeprefix("fk_").removeprefix(f"{table}_")
        columns = columns.removeprefix("tenant_id_")
        return name, [columns] if name.startswith(("uq_", "fk_")) else []
    text = str(error.orig)
    unique = _SQLITE_UNIQUE.search(text)
    if unique is not None:
        if unique["index"]:
            return unique["index"], []
        columns = [part.strip().rpartition(".")[2] for part in unique["columns"].split(",")]
        return "uq_", [column for column in columns if column != "tenant_id"]
    check = _SQLITE_CHECK.search(text)
    return (check["name"], []) if check is not None else ("", [])
