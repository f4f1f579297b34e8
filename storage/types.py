"""Column types that mean the same on PostgreSQL and on SQLite.

Migrations import this module, so a type's stored form never changes; a new form is a new type.
Read ``base.py`` next for the mixins that use them.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import DDLCompiler

MONEY_SCALE = 4
_MONEY_UNIT = Decimal(10) ** MONEY_SCALE


class Money(sa.TypeDecorator[Decimal]):
    """NUMERIC(18, 4); on SQLite, which has no decimals, an integer of ten-thousandths."""

    impl = sa.Numeric(18, MONEY_SCALE)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[Any]:
        """The stored type."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(sa.BigInteger())
        return dialect.type_descriptor(sa.Numeric(18, MONEY_SCALE))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """Decimal to the stored form."""
        if value is None or dialect.name != "sqlite":
            return value
        return int(value * _MONEY_UNIT)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """The stored form to Decimal."""
        if value is None or dialect.name != "sqlite":
            return None if value is None else Decimal(value)
        return Decimal(value) / _MONEY_UNIT


class UtcTimestamp(sa.TypeDecorator[datetime]):
    """timestamptz; on SQLite ISO-8601 UTC text of fixed width, so that text order is time order.

    Naive datetimes are refused: a time without a zone is a bug of ours.
    """

    impl = sa.TIMESTAMP(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[Any]:
        """The stored type."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(sa.String(27))
        return dialect.type_descriptor(sa.TIMESTAMP(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """An aware datetime to the stored form."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone: {value!r}")
        if dialect.name == "sqlite":
            return iso_utc(value)
        return value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """The stored form to an aware datetime in UTC."""
        if value is None:
            return None
        if dialect.name == "sqlite":
            return datetime.fromisoformat(value)
        return value.astimezone(UTC) if isinstance(value, datetime) else None


def iso_utc(value: datetime) -> str:
    """``2026-05-01T09:30:00.000000Z``: always UTC, always six digits of a second."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f").zfill(26) + "Z"


class _Jsonb(sa.TypeDecorator[Any]):
    """JSONB that is decoded with its row.

    The driver would decode it as it comes, fifty rows at a time, and a row may have ten thousand values.
    Connections must hand on its text (`engines.open_engine`).
    """

    impl = JSONB(none_as_null=True)
    cache_ok = True

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002
        """The text to what it says."""
        return None if value is None else msgspec.json.decode(value)


def json_type() -> sa.types.TypeEngine[Any]:
    """JSONB on PostgreSQL, JSON text on SQLite; SQL NULL and JSON null are one."""
    return sa.JSON(none_as_null=True).with_variant(_Jsonb(), "postgresql")


class JsonArray(sa.JSON):
    """JSON that is always an array; stored like any other."""


def json_array_type() -> sa.types.TypeEngine[Any]:
    """As `json_type`, for arrays."""
    return JsonArray(none_as_null=True).with_variant(_Jsonb(), "postgresql")


_SET_NULL_COLUMN = re.compile(r"SET NULL \(\w+\)")


@compiles(sa.ForeignKeyConstraint, "sqlite")
def _foreign_key_on_sqlite(
    constraint: sa.ForeignKeyConstraint, compiler: DDLCompiler, **kw: Any
) -> str:
    """SQLite has no ``SET NULL (column)``: there the row stays protected (NO ACTION).

    The whole-key form would try to null the tenant as well.
    """
    ondelete = constraint.ondelete
    if ondelete is None or not _SET_NULL_COLUMN.fullmatch(ondelete):
        return compiler.visit_foreign_key_constraint(constraint, **kw)
    constraint.ondelete = None
    try:
        return compiler.visit_foreign_key_constraint(constraint, **kw)
    finally:
        constraint.ondelete = ondelete
