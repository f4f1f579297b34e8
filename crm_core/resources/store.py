"""Reading and writing the rows of any resource inside the caller's unit of work.

Use cases come first: a resource with its own ``create`` or verbs is written by them, all others by
the generic code here. Either way the answer is the row as the database has it afterwards.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from storage.database import Unit

from ..changes.service import announce
from ..errors import InvalidInput, NotFound, StaleVersion
from ..references import require_references
from .bounded import Allowance
from .declaration import Caller, Include, Outcome, Resource, Verb
from .fields import Field, decode_body
from .integrity import explain
from .query import ListQuery, next_cursor, statement

MAX_CHILDREN = 1_000
"""Rows of one to-many include in one answer."""


@dataclass(frozen=True)
class Included:
    """What comes along, in JSON's terms."""

    records: dict[str, list[dict[str, Any]]]
    """By resource, each once."""
    cut: dict[str, int]
    """The includes of which there is more than an answer may hold, and how many came."""


@dataclass(frozen=True)
class Page:
    """One page of a list, in JSON's terms."""

    items: list[dict[str, Any]]
    included: Included
    next: str | None


async def get(unit: Unit, resource: Resource, row_id: UUID) -> Any:
    """The row.

    Raises:
        NotFound: not in this tenant, or deleted.
    """
    model: Any = resource.model
    select = sa.select(model).where(model.id == row_id)
    if resource.is_soft_deleted:
        select = select.where(model.deleted_at.is_(None))
    row = await unit.session.scalar(select)
    if row is None:
        raise NotFound(resource.noun, row_id)
    return row


async def list_page(
    unit: Unit, resource: Resource, resources: Mapping[str, Resource], query: ListQuery
) -> Page:
    """One page and all that was to come along with it.

    It is shorter than asked for when its records, or those that come along, are large or many. With a
    single record of which that is true comes what an answer may hold.
    """
    rows, cut = await Allowance().take(unit, statement(resource, query))
    page, included = await _with_all_that_comes_along(
        unit, resources, query.includes, rows[: query.limit]
    )
    more = cut or len(page) < len(rows)
    return Page(
        items=[encode(row, query.fields) for row in page],
        included=included,
        next=next_cursor(query, page[-1]) if more else None,
    )


async def _with_all_that_comes_along(
    unit: Unit, resources: Mapping[str, Resource], includes: Sequence[Include], rows: Sequence[Any]
) -> tuple[Sequence[Any], Included]:
    """As many of the rows as all comes of that they name, and that; one row in any case."""
    included = await load_includes(unit, resources, includes, rows)
    while included.cut and len(rows) > 1:
        # As many as came of the relation that is cut soonest: seldom too many, and never all again.
        rows = rows[: min(len(rows) // 2, *included.cut.values())]
        included = await load_includes(unit, resources, includes, rows)
    return rows, included


async def load_includes(
    unit: Unit,
    resources: Mapping[str, Resource],
    includes: Sequence[Include],
    rows: Sequence[Any],
) -> Included:
    """The records that `includes` name: one statement per relation.

    Of each relation `MAX_CHILDREN` at the most, of all together no more than is allowed, and of each one
    in any case.
    """
    found: dict[str, dict[UUID, dict[str, Any]]] = {}
    cut: dict[str, int] = {}
    allowance = Allowance()
    for include in includes:
        target = resources[include.resource]
        model: Any = target.model
        keys = {getattr(row, include.local) for row in rows} - {None}
        records = found.setdefault(target.name, {})
        if not keys:
            continue
        select = (
            sa.select(model)
            .where(getattr(model, include.remote).in_(keys))
            .order_by(model.id)
            .limit(MAX_CHILDREN + 1)
        )
        if target.is_soft_deleted:
            select = select.where(model.deleted_at.is_(None))
        children, was_cut = await allowance.take(unit, select)
        if was_cut or len(children) > MAX_CHILDREN:
            children = children[:MAX_CHILDREN]
            cut[include.name] = len(children)
        for row in children:
            records[row.id] = encode(row, tuple(target.fields.values()))
    return Included({name: list(records.values()) for name, records in found.items()}, cut)


async def create(unit: Unit, resource: Resource, body: Any, caller: Caller) -> Outcome:
    """Make a row from a JSON body.

    Raises:
        InvalidInput: the body does not fit.
        Conflict: another row is in the way, or a key points at nothing.
    """
    values = decode_body(resource.create_fields, body)
    try:
        if resource.create is not None:
            outcome = await resource.create(unit, values, caller)
        else:
            await require_references(unit, resource.model, values)
            outcome = Outcome(resource.model(id=unit.ids(), **values))
            await unit.add(outcome.row)
        await unit.session.flush()
    except IntegrityError as error:
        raise explain(error) from error
    await _settle(unit, resource, outcome.row, "created")
    return outcome


async def update(
    unit: Unit, resource: Resource, row: Any, body: Any, caller: Caller
) -> dict[str, Any]:
    """Merge a JSON body into the row; returns extra members of the answer.

    Raises:
        InvalidInput: the body does not fit, or names a field that a verb owns.
        Conflict: another row is in the way, or a key points at nothing.
    """
    _refuse_owned(resource, body)
    values = decode_body(resource.update_fields, body, creating=False)
    await require_references(unit, resource.model, values)
    extra: dict[str, Any] = {}
    try:
        if resource.changed is not None:
            extra = await resource.changed(unit, row, values, caller)
        for name, value in values.items():
            setattr(row, name, value)
        await unit.session.flush()
    except IntegrityError as error:
        raise explain(error) from error
    await _settle(unit, resource, row, "updated")
    return extra


async def remove(unit: Unit, resource: Resource, row: Any, caller: Caller) -> None:
    """Delete the row: softly where its kind is kept.

    Raises:
        Conflict: other rows still need it.
    """
    if resource.removed is not None:
        await resource.removed(unit, row, caller)
    try:
        if resource.is_soft_deleted:
            row.deleted_at = unit.now
        else:
            await unit.session.delete(row)
        await unit.session.flush()
    except IntegrityError as error:
        raise explain(error) from error
    announce(unit, f"{resource.noun}.deleted", resource.noun, row.id)


async def run_verb(unit: Unit, verb: Verb, row: Any, body: Any, caller: Caller) -> dict[str, Any]:
    """Run a use case on the row; returns extra members of the answer.

    Raises:
        InvalidInput: the body does not fit.
        Conflict: the record's state or another row forbids it.
    """
    values = decode_body({each.name: each for each in verb.body}, body)
    try:
        extra = await verb.run(unit, row, values, caller)
        await unit.session.flush()
    except IntegrityError as error:
        raise explain(error) from error
    await unit.session.refresh(row)
    return extra


def require_version(resource: Resource, row: Any, versions: Sequence[int] | None) -> None:
    """Compare with If-Match: the versions it lists, or None for ``*``.

    Raises:
        StaleVersion: none of them is the row's.
    """
    if resource.is_versioned and versions is not None and row.version not in versions:
        raise StaleVersion(
            f"the {resource.noun} is at version {row.version}", current=f'"v{row.version}"'
        )


def encode(row: Any, fields: Sequence[Field]) -> dict[str, Any]:
    """The row's JSON."""
    return {each.name: each.encode(getattr(row, each.key)) for each in fields}


def _refuse_owned(resource: Resource, body: Any) -> None:
    """Say who changes a field that a patch may not."""
    if not isinstance(body, dict):
        return
    for name in body:
        who = resource.owned.get(name) or resource.moved.get(name)
        if who is not None:
            raise InvalidInput(f"{name} is {who}", field=name)


async def _settle(unit: Unit, resource: Resource, row: Any, what: str) -> None:
    """Read back what the database computed, and tell the world."""
    await unit.session.refresh(row)
    announce(
        unit,
        f"{resource.noun}.{what}",
        resource.noun,
        row.id,
        version=getattr(row, "version", None),
    )
