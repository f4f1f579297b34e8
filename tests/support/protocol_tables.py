"""The field tables of ``docs/reference/protocol.md``, as the structs of the code have them.

`table` renders a struct's fields as (field, type, need); `read_tables` reads the same triples out of
the document. A test compares them in both directions. ``python -m tests.support.protocol_tables``
prints the tables, to start a new section from.
"""

import re
from typing import Any

import msgspec
from msgspec import inspect

Row = tuple[str, str, str]


def table(struct: type[Any]) -> list[Row]:
    """Every field of a struct: name on the wire, type, ``required`` or ``optional``."""
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    return [
        (field.encode_name, render(field.type), "required" if field.required else "optional")
        for field in info.fields
    ]


def render(kind: inspect.Type) -> str:
    """A type in the document's words."""
    match kind:
        case inspect.UnionType(types):
            shown = [render(one) for one in types if not isinstance(one, inspect.NoneType)]
            null = any(isinstance(one, inspect.NoneType) for one in types)
            return " or ".join([*shown, *(["null"] if null else [])])
        case inspect.StrType():
            return "string" + _bounds(kind.min_length, kind.max_length)
        case inspect.BoolType():
            return "boolean"
        case inspect.IntType():
            return "integer" + _bounds(kind.ge, kind.le)
        case inspect.FloatType():
            return "number" + _bounds(kind.ge, kind.le)
        case inspect.LiteralType(values):
            return " or ".join(
                f'"{value}"' if isinstance(value, str) else str(value) for value in values
            )
        case inspect.EnumType(cls):
            return " or ".join(f'"{member.value}"' for member in cls)
        case inspect.ListType():
            return f"list{_bounds(kind.min_length, kind.max_length)} of {render(kind.item_type)}"
        case inspect.TupleType(types):
            return f"[{', '.join(render(one) for one in types)}]"
        case inspect.DictType():
            if isinstance(kind.value_type, inspect.AnyType):
                return "object"
            return f"object of {render(kind.value_type)}"
        case inspect.StructType(cls):
            return cls.__name__
        case inspect.AnyType():
            return "any"
    raise TypeError(f"no words for {kind}")


def _bounds(low: float | None, high: float | None) -> str:
    if high == 2**53:
        high = None
    if low is None and high is None:
        return ""
    if high is None:
        return f" (at least {low})"
    return f" ({low or 0} to {high})"


_HEADING = re.compile(r"^#{3,4} `?(?P<name>[A-Za-z.]+)`?\s*$")


def read_tables(text: str) -> dict[str, list[Row]]:
    """Heading → the rows of the field table below it; a heading without one has no fields."""
    found: dict[str, list[Row]] = {}
    current: list[Row] | None = None
    for line in text.splitlines():
        heading = _HEADING.match(line)
        if heading:
            current = found.setdefault(heading["name"], [])
        elif line.startswith("#"):
            current = None
        elif current is not None and line.startswith("| `"):
            cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
            if len(cells) == 4:
                current.append((cells[0].strip("`"), cells[1], cells[2]))
    return found


def markdown(struct: type[Any], meanings: dict[str, str]) -> str:
    """A table with the given meanings, for starting a section."""
    rows = table(struct)
    if not rows:
        return ""
    lines = ["| field | type | | meaning |", "|---|---|---|---|"]
    lines += [
        f"| `{name}` | {kind} | {need} | {meanings.get(name, '')} |" for name, kind, need in rows
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    from signaling.messages import EVENTS, METHODS

    for name, struct in {**METHODS, **EVENTS}.items():
        print(f"### `{name}`\n\n{msgspec.structs.fields(struct) and markdown(struct, {})}")
