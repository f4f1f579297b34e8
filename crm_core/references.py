"""Checking that the rows a record points at exist, before the database would refuse it.

Foreign keys are the rule; this only turns their refusal into a sentence with the field's name, the
same on both databases. A row of another tenant does not exist, and neither does a deleted one.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from storage.base import Base, Reference, SoftDeleted
from storage.database import Unit

from .errors import NoSuchReference


def references_of(model: type[Base]) -> dict[str, Reference]:
    """The model's keys to rows of the same tenant, by attribute name."""
    found = {}
    for attribute in sa.inspect(model).column_attrs:
        reference = attribute.columns[0].info.get("ref")
        if reference is not None:
            found[attribute.key] = reference
    return found


async def require_references(
    unit: Unit, model: type[Base], values: dict[str, Any], names: Iterable[str] | None = None
) -> None:
    """Look up every key among `values` in one statement.

    Args:
        unit: where.
        model: whose keys they are.
        values: by attribute name; None points nowhere and is fine.
        names: only these attributes; all when None.

    Raises:
        NoSuchReference: names the first key that points at nothing.
    """
    wanted: dict[str, tuple[Any, UUID]] = {}
    for name, reference in references_of(model).items():
        value = values.get(name)
        if value is not None and (names is None or name in names):
            wanted[name] = (model_of(reference.table), value)
    if not wanted:
        return
    columns = [
        sa.exists(_live(target).where(target.id == key)).label(name)
        for name, (target, key) in wanted.items()
    ]
    row = (await unit.session.execute(sa.select(*columns))).one()
    for name, (target, key) in wanted.items():
        if not getattr(row, name):
            raise NoSuchReference(f"no such {target.__tablename__}: {key}", field=name)


def model_of(table: str) -> type[Base]:
    """The class mapped to a table."""
    for mapper in Base.registry.mappers:
        if mapper.class_.__tablename__ == table:
            return mapper.class_
    raise KeyError(table)


def _live(model: type[Base]) -> sa.Select[Any]:
    statement = sa.select(sa.literal(1)).select_from(model)
    if issubclass(model, SoftDeleted):
        statement = statement.where(model.deleted_at.is_(None))
    return statement
