"""The declarative base, the mixins and the few words every model is written with.

Every tenant table has the primary key ``(tenant_id, id)`` and every foreign key between tenant
tables carries the tenant (`ref`), so a row cannot point into another tenant even where row-level
security is off. Indexes and unique keys are led by the tenant as well (`ix`, `unique`). Read
``tenancy.py`` next for how a session is bound to one tenant.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar, Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedColumn, declared_attr, mapped_column
from sqlalchemy.orm.interfaces import MapperProperty

from .types import Money, UtcTimestamp, json_array_type, json_type

JsonObject = dict[str, Any]
JsonArray = list[Any]

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


@dataclass(frozen=True)
class Reference:
    """A column that points at another row of the same tenant."""

    table: str
    on_delete: Literal["null", "cascade", "restrict"]
    index_with: tuple[str, ...] | None
    """Columns that follow it in its index; None: another index of the table already leads it."""


class Base(DeclarativeBase):
    """Base of every model; turns `ref` columns into composite keys and their indexes."""

    metadata = sa.MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: sa.Text(),
        int: sa.Integer(),
        bool: sa.Boolean(),
        float: sa.Double(),
        date: sa.Date(),
        datetime: UtcTimestamp(),
        Decimal: Money(),
        UUID: sa.Uuid(),
        JsonObject: json_type(),
        JsonArray: json_array_type(),
        bytes: sa.LargeBinary(),
    }
    # RETURNING costs a fifth to three quarters of bulk write speed; writers refresh when they
    # need computed columns.
    __mapper_args__: Any = {"eager_defaults": False}

    @classmethod
    def __table_cls__(
        cls, name: str, metadata: sa.MetaData, *args: Any, **kw: Any
    ) -> sa.Table:  # the hook SQLAlchemy documents for this purpose
        """Build the table, with one composite foreign key and index for each `ref` column."""
        extra: list[Any] = []
        for column in args:
            reference = column.info.get("ref") if isinstance(column, sa.Column) else None
            if reference is not None:
                extra.extend(_reference_items(column, reference))
        return sa.Table(name, metadata, *args, *extra, **kw)


def _reference_items(column: sa.Column[Any], reference: Reference) -> Iterable[Any]:
    on_delete = {
        "null": f"SET NULL ({column.name})",
        "cascade": "CASCADE",
        "restrict": None,
    }[reference.on_delete]
    yield sa.ForeignKeyConstraint(
        ["tenant_id", column.name],
        [f"{reference.table}.tenant_id", f"{reference.table}.id"],
        ondelete=on_delete,
    )
    if reference.index_with is not None:
        where = f"{column.name} IS NOT NULL" if column.nullable else None
        yield ix(column.name, *reference.index_with, where=where)


def ref(
    table: str,
    *,
    on_delete: Literal["null", "cascade", "restrict"] = "null",
    index_with: tuple[str, ...] | None = (),
    **kw: Any,
) -> MappedColumn[Any]:
    """A key to `table` within the tenant; indexed, partially when it may be empty."""
    reference = Reference(table, on_delete, index_with)
    return mapped_column(sa.Uuid(), info={"ref": reference}, **kw)


def ix(*columns: str, where: str | None = None, name: str | None = None) -> sa.Index:
    """An index led by the tenant; `where` makes it partial on both databases."""
    condition = None if where is None else sa.text(where)
    return sa.Index(name, "tenant_id", *columns, postgresql_where=condition, sqlite_where=condition)


def unique(*columns: str, where: str | None = None, name: str | None = None) -> Any:
    """A unique key within the tenant; with `where` (and then a `name`) a partial unique index."""
    if where is None:
        return sa.UniqueConstraint("tenant_id", *columns, name=name)
    condition = sa.text(where)
    return sa.Index(
        name,
        "tenant_id",
        *columns,
        unique=True,
        postgresql_where=condition,
        sqlite_where=condition,
    )


def one_of(column: str, values: Iterable[str]) -> sa.CheckConstraint:
    """A closed set of words. Native enums are not leakproof, so text and CHECK it is."""
    words = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({words})", name=column)


def check(name: str, condition: str) -> sa.CheckConstraint:
    """A named rule over one row."""
    return sa.CheckConstraint(condition, name=name)


class TenantScoped:
    """Mixin of every table whose rows belong to one tenant: the first half of its key."""

    tenant_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True, sort_order=-30
    )


class TenantRow(TenantScoped):
    """Mixin T: a tenant's row with its own id."""

    id: Mapped[UUID] = mapped_column(primary_key=True, sort_order=-29)


class TenantLedgerRow(TenantScoped):
    """Mixin L: written once, never changed, outlives what it speaks of; no key to tenants."""

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True, sort_order=-30)
    id: Mapped[UUID] = mapped_column(primary_key=True, sort_order=-29)


class Stamped:
    """Mixin S: when, by whom, and the version that is row lock, ETag and event order at once."""

    created_at: Mapped[datetime] = mapped_column(sort_order=100)
    updated_at: Mapped[datetime] = mapped_column(sort_order=101)
    created_by: Mapped[UUID | None] = mapped_column(sort_order=102)
    version: Mapped[int] = mapped_column(sort_order=103)

    @declared_attr.directive
    @classmethod
    def __mapper_args__(cls) -> dict[str, Any]:
        """A write against a stale version matches no row and raises ``StaleDataError``."""
        column: Any = cls.version
        if isinstance(column, MapperProperty):
            column = column.columns[0]
        return {"eager_defaults": False, "version_id_col": column}


class SoftDeleted:
    """Mixin D: deleting keeps the row; repositories leave it out."""

    deleted_at: Mapped[datetime | None] = mapped_column(sort_order=104)


class Extensible:
    """Mixin X: the caller's own key and the tenant's own fields."""

    external_id: Mapped[str | None] = mapped_column(sort_order=90)
    custom_fields: Mapped[JsonObject] = mapped_column(default=dict, sort_order=91)
