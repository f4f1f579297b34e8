"""A list request compiled to one statement: filters, order, page and what comes along.

The language is small and closed: ``name=value``, ``name[op]=value``, ``relation.name[op]=value``
(one hop), ``sort``, ``limit``, ``after``, ``include``, ``fields``. Only names that an index serves
are accepted, so no caller can start a scan by accident; a refusal lists what is allowed.
"""

import base64
import binascii
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa

from ..errors import InvalidInput, UnknownFilter
from .declaration import Include, Resource
from .fields import UUID_KIND, Field

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
MAX_IN = 100
MAX_CONDITIONS = 20
"""Of one request; each is tried on rows of the tenant."""
MAX_LIKE = 2
"""Of these: a pattern that begins with anything is tried on every row."""
OPERATORS = ("eq", "ne", "lt", "lte", "gt", "gte", "in", "nin", "like", "null")
RESERVED = frozenset({"sort", "limit", "after", "include", "fields"})
_PARAMETER = re.compile(r"(?P<path>[a-z_0-9.]+)(\[(?P<op>[a-z]+)\])?")
_ORDER = {"lt": operator.lt, "lte": operator.le, "gt": operator.gt, "gte": operator.ge}
_ORDERED = frozenset({"integer", "number", "money", "date", "timestamp", "uuid", "text"})


@dataclass(frozen=True)
class ListQuery:
    """A list request that is known to be well formed."""

    conditions: tuple[sa.ColumnElement[bool], ...]
    sort: Field
    descending: bool
    limit: int
    after: "Cursor | None"
    includes: tuple[Include, ...]
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Cursor:
    """The last row of a page: where the next one starts."""

    sort: str
    value: Any
    id: Any


def parse_list(
    resource: Resource, resources: Mapping[str, Resource], parameters: Iterable[tuple[str, str]]
) -> ListQuery:
    """Understand the query string of a list request.

    Args:
        resource: what is listed.
        resources: all resources by name, for one-hop filters.
        parameters: decoded names and values, in order.

    Raises:
        InvalidInput: an unknown or repeated parameter, or a value that does not fit.
    """
    conditions = []
    patterns = 0
    reserved: dict[str, str] = {}
    for name, value in parameters:
        if name in RESERVED:
            if name in reserved:
                raise InvalidInput(f"{name} is given twice", field=name)
            reserved[name] = value
        else:
            conditions.append(_condition(resource, resources, name, value))
            patterns += name.endswith("[like]")
            if len(conditions) > MAX_CONDITIONS or patterns > MAX_LIKE:
                raise InvalidInput(
                    f"at most {MAX_CONDITIONS} filters, {MAX_LIKE} of them with [like]", field=name
                )
    sort, descending = _sort(resource, reserved.get("sort"))
    return ListQuery(
        conditions=tuple(conditions),
        sort=sort,
        descending=descending,
        limit=_limit(reserved.get("limit")),
        after=_cursor(sort, descending, reserved.get("after")),
        includes=parse_includes(resource, reserved.get("include")),
        fields=parse_fields(resource, reserved.get("fields")),
    )


def parse_includes(resource: Resource, value: str | None) -> tuple[Include, ...]:
    """The relations that ``include`` names.

    Raises:
        InvalidInput: names one that does not exist; lists those that do.
    """
    found = []
    for name in dict.fromkeys(_names("include", value)):
        include = resource.includes.get(name)
        if include is None:
            raise InvalidInput(
                f"{name} cannot be included", field="include", allowed=sorted(resource.includes)
            )
        found.append(include)
    return tuple(found)


def parse_fields(resource: Resource, value: str | None) -> tuple[Field, ...]:
    """The fields to answer with: all, or those that ``fields`` names and the id.

    Raises:
        InvalidInput: names one that does not exist; lists those that do.
    """
    if value is None:
        return tuple(resource.fields.values())
    names = dict.fromkeys(["id", *_names("fields", value)])
    for name in names:
        if name not in resource.fields and name != "id":
            raise InvalidInput(
                f"{name} is no field", field="fields", allowed=sorted(resource.fields)
            )
    return tuple(resource.fields[name] for name in names if name in resource.fields)


def statement(resource: Resource, query: ListQuery) -> sa.Select[Any]:
    """The page's statement; it asks for one row more than the page, to know whether more follow."""
    model = resource.model
    key: Any = getattr(model, query.sort.key)
    row_id: Any = model.id  # type: ignore[attr-defined]  # every resource has an id
    select = sa.select(model).where(*query.conditions)
    if resource.is_soft_deleted:
        select = select.where(model.deleted_at.is_(None))  # type: ignore[attr-defined]  # as said
    if query.after is not None:
        select = select.where(_behind(key, row_id, query, query.after))
    if query.sort.name == "id":
        order = [row_id.desc() if query.descending else row_id]
    else:
        order = [key.desc(), row_id.desc()] if query.descending else [key, row_id]
    return select.order_by(*order).limit(query.limit + 1)


def next_cursor(query: ListQuery, last: Any) -> str:
    """Where the page after the row `last` starts."""
    parts = [
        ("-" if query.descending else "") + query.sort.name,
        query.sort.encode(getattr(last, query.sort.key)),
        str(last.id),
    ]
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).rstrip(b"=").decode()


def _behind(key: Any, row_id: Any, query: ListQuery, cursor: Cursor) -> sa.ColumnElement[bool]:
    if query.sort.name == "id":
        return _later(row_id, cursor.id, query)
    return sa.and_(
        # Redundant, but what lets the index start at the right place.
        key <= cursor.value if query.descending else key >= cursor.value,
        sa.or_(
            _later(key, cursor.value, query),
            sa.and_(key == cursor.value, _later(row_id, cursor.id, query)),
        ),
    )


def _later(column: Any, value: Any, query: ListQuery) -> sa.ColumnElement[bool]:
    condition: sa.ColumnElement[bool] = column < value if query.descending else column > value
    return condition


def _names(parameter: str, value: str | None) -> list[str]:
    """A comma-separated list, which is not empty when it is there."""
    if value is None:
        return []
    if not value:
        raise InvalidInput(f"{parameter} names nothing", field=parameter)
    return value.split(",")


def _limit(value: str | None) -> int:
    if value is None:
        return DEFAULT_LIMIT
    if not re.fullmatch(r"[0-9]{1,4}", value, re.ASCII) or not 1 <= int(value) <= MAX_LIMIT:
        raise InvalidInput(f"limit is a number from 1 to {MAX_LIMIT}", field="limit")
    return int(value)


def _sort(resource: Resource, value: str | None) -> tuple[Field, bool]:
    """Newest first, unless told otherwise."""
    if value is None:
        return resource.fields["id"], True
    name = value.removeprefix("-")
    sort = resource.sort_keys.get(name)
    if sort is None:
        raise InvalidInput(
            f"cannot sort by {name}", field="sort", allowed=sorted(resource.sort_keys)
        )
    return sort, value.startswith("-")


def _cursor(sort: Field, descending: bool, value: str | None) -> Cursor | None:
    if value is None:
        return None
    wrong = InvalidInput("after is not a cursor of this list and order", field="after")
    try:
        padded = value.encode() + b"=" * (-len(value) % 4)
        parts = msgspec.json.decode(base64.urlsafe_b64decode(padded), type=tuple[str, Any, str])
        if parts[0] != ("-" if descending else "") + sort.name:
            raise wrong
        return Cursor(sort.name, sort.decode(parts[1]), UUID_KIND.decode(parts[2]))
    except (ValueError, binascii.Error, msgspec.MsgspecError, RecursionError, InvalidInput):
        raise wrong from None


def _condition(
    resource: Resource, resources: Mapping[str, Resource], name: str, value: str
) -> sa.ColumnElement[bool]:
    match = _PARAMETER.fullmatch(name)
    if match is None:
        raise _unknown(resource, name)
    path, op = match["path"], match["op"] or "eq"
    if "." in path:
        return _through(resource, resources, path=path, op=op, name=name, value=value)
    field = resource.filters.get(path)
    if field is None:
        raise _unknown(resource, name)
    return _compare(getattr(resource.model, field.key), field, op, name, value)


def _through(
    resource: Resource,
    resources: Mapping[str, Resource],
    *,
    path: str,
    op: str,
    name: str,
    value: str,
) -> sa.ColumnElement[bool]:
    """A condition on the row that a key points at."""
    relation, _, leaf = path.rpartition(".")
    include = resource.includes.get(relation)
    target = resources.get(include.resource) if include is not None else None
    field = target.filters.get(leaf) if target is not None else None
    if include is None or target is None or field is None:
        raise _unknown(resource, name)
    condition = _compare(getattr(target.model, field.key), field, op, name, value)
    found = sa.select(getattr(target.model, include.remote)).where(condition)
    return getattr(resource.model, include.local).in_(found)  # type: ignore[no-any-return]  # columns are Any here


def _unknown(resource: Resource, name: str) -> UnknownFilter:
    return UnknownFilter(
        f"{name} is no filter of {resource.name}",
        field=name,
        allowed=sorted(resource.filters) + sorted(RESERVED),
    )


def _compare(column: Any, field: Field, op: str, name: str, value: str) -> sa.ColumnElement[bool]:
    """One comparison.

    Raises:
        InvalidInput: an operator that does not fit, or a value that is none of the field's.
    """
    if op in _SPECIAL:
        return _SPECIAL[op](column, field, name, value)
    if op not in OPERATORS:
        raise InvalidInput(f"{op} is no operator", field=name, allowed=list(OPERATORS))
    operand = _value(field, name, value)
    condition: sa.ColumnElement[bool]
    if op == "eq":
        condition = column == operand
    elif op == "ne":
        condition = column.is_distinct_from(operand)
    elif field.kind.name in _ORDERED:
        condition = _ORDER[op](column, operand)
    else:
        raise InvalidInput(f"{op} does not fit {field.name}", field=name)
    return condition


def _null(column: Any, _field: Field, name: str, value: str) -> sa.ColumnElement[bool]:
    if value not in ("true", "false"):
        raise InvalidInput("null is true or false", field=name)
    condition: sa.ColumnElement[bool] = column.is_(None) if value == "true" else column.is_not(None)
    return condition


def _in(column: Any, field: Field, name: str, value: str) -> sa.ColumnElement[bool]:
    parts = value.split(",")
    if len(parts) > MAX_IN:
        raise InvalidInput(f"at most {MAX_IN} values", field=name)
    condition: sa.ColumnElement[bool] = column.in_([_value(field, name, part) for part in parts])
    return condition


def _not_in(column: Any, field: Field, name: str, value: str) -> sa.ColumnElement[bool]:
    return sa.or_(column.is_(None), sa.not_(_in(column, field, name, value)))


def _like(column: Any, field: Field, name: str, value: str) -> sa.ColumnElement[bool]:
    if field.kind.name != "text":
        raise InvalidInput("like is for text", field=name)
    text = _value(field, name, value)
    for special in "\\%_":
        text = text.replace(special, "\\" + special)
    condition: sa.ColumnElement[bool] = column.ilike(text.replace("*", "%"), escape="\\")
    return condition


_SPECIAL: dict[str, Callable[[Any, Field, str, str], sa.ColumnElement[bool]]] = {
    "null": _null,
    "in": _in,
    "nin": _not_in,
    "like": _like,
}


def _value(field: Field, name: str, text: str) -> Any:
    """The text of a query string as a value of the field."""
    value: Any = text
    if field.kind.name == "boolean":
        value = {"true": True, "false": False}.get(text, text)
    elif field.kind.name == "integer" and re.fullmatch(r"-?[0-9]{1,20}", text, re.ASCII):
        value = int(text)
    elif field.kind.name == "number":
        try:
            value = float(text)
        except ValueError:
            value = text
    try:
        decoded = field.kind.decode(value)
    except ValueError as error:
        raise InvalidInput(f"{name}: {error}", field=name) from None
    if field.choices is not None and decoded not in field.choices:
        raise InvalidInput(f"{name} is one of {', '.join(field.choices)}", field=name)
    return decoded
