"""A column as an API field: its JSON form, its limits, and the way both ways.

Decoding refuses everything that either database would choke on later (NUL characters, lone
surrogates, numbers and times out of range), so that hostile input ends here with the field's name.
Each kind also says its JSON Schema, which is what the OpenAPI document shows.
"""

import functools
import math
import re
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa

from storage.types import JsonArray, Money, UtcTimestamp, iso_utc

from ..errors import InvalidInput

SHORT_TEXT = 255
"""Longest indexable text: four bytes each, two of them in one B-tree entry."""
LONG_TEXT = 100_000
MAX_JSON = 64 * 1024
"""Most bytes of an object or array in one field: a database writes a row anew with all of it."""
MAX_JSON_DEPTH = 16
MAX_JSON_ITEMS = 10_000
INT32 = 2**31 - 1
INT64 = 2**63 - 1
_MONEY = re.compile(r"-?[0-9]{1,14}(\.[0-9]{1,4})?", re.ASCII)
# Whether mail arrives is for a mail to find out; this refuses what cannot be an address.
_EMAIL_PATTERN = r"[^@\s\x00]+@[^@\s\x00]+"
_EMAIL = re.compile(_EMAIL_PATTERN)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})",
    re.ASCII,
)
_UUID = re.compile(r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}", re.ASCII)


@dataclass(frozen=True)
class Kind:
    """How one sort of value travels."""

    name: str
    schema: dict[str, Any]
    decode: Callable[[Any], Any]
    """JSON value to Python; raises ValueError with what is expected."""
    encode: Callable[[Any], Any] = lambda value: value


@dataclass(frozen=True)
class Field:
    """One member of a resource or of a verb's body."""

    name: str
    kind: Kind
    nullable: bool = False
    required: bool = False
    """At creation."""
    choices: tuple[str, ...] | None = None
    attribute: str | None = None
    """The model's attribute, when it is not `name`."""
    description: str | None = None

    @property
    def key(self) -> str:
        """The model's attribute."""
        return self.attribute or self.name

    def decode(self, value: Any) -> Any:
        """The Python value.

        Raises:
            InvalidInput: names the field and says what is expected.
        """
        if value is None:
            if self.nullable:
                return None
            raise InvalidInput(f"{self.name} may not be null", field=self.name)
        try:
            decoded = self.kind.decode(value)
        except ValueError as error:
            raise InvalidInput(f"{self.name}: {error}", field=self.name) from None
        if self.choices is not None and decoded not in self.choices:
            raise InvalidInput(
                f"{self.name} must be one of {', '.join(self.choices)}", field=self.name
            )
        return decoded

    def encode(self, value: Any) -> Any:
        """The JSON value."""
        return None if value is None else self.kind.encode(value)

    def schema(self) -> dict[str, Any]:
        """JSON Schema of the value."""
        schema: dict[str, Any] = dict(self.kind.schema)
        if self.choices is not None:
            schema = {"type": "string", "enum": list(self.choices)}
        if self.nullable:
            schema["type"] = [schema["type"], "null"]
            if "enum" in schema:
                schema["enum"] = [*schema["enum"], None]
        if self.description:
            schema["description"] = self.description
        return schema


def decode_body(fields: dict[str, Field], body: Any, *, creating: bool = True) -> dict[str, Any]:
    """A JSON object's members by model attribute.

    Args:
        fields: those that may be written, by name.
        body: the decoded JSON.
        creating: whether required fields must be there.

    Raises:
        InvalidInput: no object, an unknown or missing member, or a wrong value.
    """
    if not isinstance(body, dict):
        raise InvalidInput("the body must be a JSON object")
    for name in body:
        if name not in fields:
            raise InvalidInput(f"{name} is not a field that can be set", field=name)
    if creating:
        for field in fields.values():
            if field.required and field.name not in body:
                raise InvalidInput(f"{field.name} is required", field=field.name)
    return {fields[name].key: fields[name].decode(value) for name, value in body.items()}


# ------------------------------------------------------------------------------------ kinds


def _text(limit: int) -> Callable[[Any], str]:
    def decode(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError("expected text")  # noqa: TRY004  # decoders speak ValueError
        if len(value) > limit:
            raise ValueError(f"at most {limit} characters")
        return _clean(value)

    return decode


def _clean(value: str) -> str:
    if "\x00" in value:
        raise ValueError("the character NUL cannot be stored")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("not valid Unicode") from None
    return value


def text_kind(limit: int, *, filled: bool = False) -> Kind:
    """Text of at most `limit` characters, and at least one when `filled`."""
    schema: dict[str, Any] = {"type": "string", "maxLength": limit}
    decode = _text(limit)
    if not filled:
        return Kind("text", {**schema, "pattern": r"^[^\x00]*$"}, decode)

    def decode_filled(value: Any) -> str:
        text = decode(value)
        if not text.strip():
            raise ValueError("may not be empty")
        return text

    pattern = r"^[^\x00]*[^\s\x00][^\x00]*$"
    return Kind("text", {**schema, "minLength": 1, "pattern": pattern}, decode_filled)


def _email(value: Any) -> str:
    text = _text(SHORT_TEXT)(value)
    if not _EMAIL.fullmatch(text):
        raise ValueError("expected an e-mail address such as jane@example.com")
    return text


def _integer(bound: int) -> Callable[[Any], int]:
    def decode(value: Any) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # JSON knows one sort of number
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError("expected an integer")  # noqa: TRY004  # as above
        if not -bound - 1 <= value <= bound:
            raise ValueError("out of range")
        return value

    return decode


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("expected true or false")  # noqa: TRY004  # as above
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("expected a number")  # noqa: TRY004  # as above
    try:
        number = float(value)
    except OverflowError:
        raise ValueError("out of range") from None
    if not math.isfinite(number):
        raise ValueError("out of range")
    return number


def _money(value: Any) -> Decimal:
    if not isinstance(value, str) or not _MONEY.fullmatch(value):
        raise ValueError('expected decimal text such as "1250.00"')
    return Decimal(value)


def _date(value: Any) -> date:
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise ValueError("expected a date such as 2026-05-31")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError("expected a date such as 2026-05-31") from None


def _timestamp(value: Any) -> datetime:
    if not isinstance(value, str) or not _TIMESTAMP.fullmatch(value):
        raise ValueError("expected an RFC 3339 time such as 2026-05-31T09:30:00Z")
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("expected an RFC 3339 time such as 2026-05-31T09:30:00Z") from None


@functools.cache
def _timezones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def _timezone(value: Any) -> str:
    if not isinstance(value, str) or value not in _timezones():
        raise ValueError("expected an IANA time zone such as Europe/Berlin")
    return value


def _uuid(value: Any) -> UUID:
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise ValueError("expected a UUID")
    return UUID(value)


def check_json(value: Any) -> None:
    """Refuse a JSON value that is too deep or large, or that a database cannot hold.

    Raises:
        ValueError: says what is wrong.
    """
    pending = [(value, 1)]
    items = 0
    while pending:
        item, depth = pending.pop()
        items += 1
        if items > MAX_JSON_ITEMS:
            raise ValueError("too many values")
        if depth > MAX_JSON_DEPTH:
            raise ValueError(f"nested deeper than {MAX_JSON_DEPTH}")
        if isinstance(item, str):
            _clean(item)
        elif isinstance(item, dict):
            for name, member in item.items():
                _clean(name)
                pending.append((member, depth + 1))
        elif isinstance(item, list):
            pending.extend((member, depth + 1) for member in item)
        elif isinstance(item, int) and not -INT64 - 1 <= item <= INT64:
            raise ValueError("a number is out of range")


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("expected an object")  # noqa: TRY004  # as above
    _check_stored(value)
    return value


def _array(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("expected an array")  # noqa: TRY004  # as above
    _check_stored(value)
    return value


def _check_stored(value: Any) -> None:
    check_json(value)
    if len(msgspec.json.encode(value)) > MAX_JSON:
        raise ValueError(f"at most {MAX_JSON} bytes of JSON")


def encode_timestamp(value: datetime) -> str:
    """RFC 3339 in UTC with microseconds."""
    return iso_utc(value)


def encode_money(value: Decimal) -> str:
    """Decimal text with four digits, never an exponent."""
    return f"{value:.4f}"


SHORT = text_kind(SHORT_TEXT)
SHORT_FILLED = text_kind(SHORT_TEXT, filled=True)
LONG = text_kind(LONG_TEXT)
INTEGER = Kind(
    "integer", {"type": "integer", "minimum": -INT32 - 1, "maximum": INT32}, _integer(INT32)
)
BIG_INTEGER = Kind(
    "integer", {"type": "integer", "minimum": -INT64 - 1, "maximum": INT64}, _integer(INT64)
)
BOOLEAN = Kind("boolean", {"type": "boolean"}, _boolean)
NUMBER = Kind("number", {"type": "number"}, _number)
MONEY = Kind(
    "money",
    {"type": "string", "pattern": r"^-?[0-9]{1,14}(\.[0-9]{1,4})?$"},
    _money,
    encode_money,
)
DATE = Kind("date", {"type": "string", "format": "date"}, _date, lambda value: value.isoformat())
TIMESTAMP = Kind(
    "timestamp", {"type": "string", "format": "date-time"}, _timestamp, encode_timestamp
)
TIMEZONE = Kind(
    "timezone",
    {
        "type": "string",
        "pattern": r"^[A-Za-z0-9_+/-]{1,64}$",
        "description": "An IANA time zone, such as Europe/Berlin",
    },
    _timezone,
)
EMAIL = Kind(
    "text", {"type": "string", "maxLength": SHORT_TEXT, "pattern": f"^{_EMAIL_PATTERN}$"}, _email
)
UUID_KIND = Kind("uuid", {"type": "string", "format": "uuid"}, _uuid, str)
_JSON_LIMITS = (
    f"At most {MAX_JSON} bytes of JSON, {MAX_JSON_ITEMS} values and {MAX_JSON_DEPTH} levels"
)
OBJECT = Kind("object", {"type": "object", "description": _JSON_LIMITS}, _object)
ARRAY = Kind("array", {"type": "array", "description": _JSON_LIMITS}, _array)


# Texts whose column's name says what stands in them.
_BY_NAME = {"timezone": TIMEZONE, "email": EMAIL}


def kind_of(column: sa.ColumnElement[Any], *, long_text: bool, filled: bool) -> Kind:
    """The kind of a column's values."""
    column_type = column.type
    if isinstance(column_type, Money):
        return MONEY
    if isinstance(column_type, UtcTimestamp):
        return TIMESTAMP
    if isinstance(column_type, sa.JSON):
        return ARRAY if isinstance(column_type, JsonArray) else OBJECT
    if isinstance(column, sa.Column) and column.name in _BY_NAME:
        return _BY_NAME[column.name]
    if isinstance(column_type, sa.Text):
        return LONG if long_text else SHORT_FILLED if filled else SHORT
    for sql_type, kind in (
        (sa.Uuid, UUID_KIND),
        (sa.BigInteger, BIG_INTEGER),
        (sa.Integer, INTEGER),
        (sa.Boolean, BOOLEAN),
        (sa.Double, NUMBER),
        (sa.Date, DATE),
    ):
        if isinstance(column_type, sql_type):
            return kind
    raise TypeError(f"no API form for column {column} of type {column_type!r}")
