"""What a noun says about itself to become a REST resource; everything else is derived.

A `Resource` names its model and what differs from the defaults. Fields come from the columns,
filters and sort keys from the indexes that the tenant's key leads, includes from the keys to other
tables. ``registry.py`` lists all resources; ``store.py`` serves them.
"""

import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

import sqlalchemy as sa

from storage.base import Base, SoftDeleted, Stamped
from storage.database import Unit

from ..appointments.video import LinkMaker
from ..references import references_of
from .fields import UUID_KIND, Field, kind_of

STAMPS = frozenset(
    {"tenant_id", "id", "created_at", "updated_at", "created_by", "version", "deleted_at"}
)
ALL_OPERATIONS = frozenset({"list", "get", "create", "update", "delete"})
READ_ONLY = frozenset({"list", "get"})


@dataclass(frozen=True)
class Caller:
    """What a use case may need to know beside its input."""

    staff_id: UUID | None
    links: LinkMaker


@dataclass(frozen=True)
class Outcome:
    """What a use case made: a row, and members that the answer carries beside its fields."""

    row: Any
    extra: dict[str, Any] = field(default_factory=dict)


Create = Callable[[Unit, dict[str, Any], Caller], Awaitable[Outcome]]
Change = Callable[[Unit, Any, dict[str, Any], Caller], Awaitable[dict[str, Any]]]


@dataclass(frozen=True)
class Verb:
    """A use case on one record: ``POST /v1/{resource}/{id}:{name}``."""

    name: str
    summary: str
    run: Change
    """Called with the row and the decoded body; returns extra members of the answer."""
    body: tuple[Field, ...] = ()
    extra: tuple[Field, ...] = ()
    """What `run` returns, for the document."""


@dataclass(frozen=True)
class Include:
    """Records that can come along with a page of this resource."""

    name: str
    resource: str
    local: str
    """Attribute of this model."""
    remote: str = "id"
    """Attribute of the included model; other than ``id`` it may match many."""


@dataclass(frozen=True)
class Resource:
    """One noun of the API."""

    model: type[Base]
    noun: str
    """Singular, for messages and operation ids."""
    summary: str
    operations: frozenset[str] = ALL_OPERATIONS
    hidden: frozenset[str] = frozenset()
    """Columns that never leave."""
    owned: dict[str, str] = field(default_factory=dict)
    """Columns that only a verb or the system changes, and the sentence that says who."""
    fixed: frozenset[str] = frozenset()
    """Columns that are set at creation and then stay."""
    moved: dict[str, str] = field(default_factory=dict)
    """Columns that are set at creation and then only by a verb, and the sentence that says which."""
    long_texts: frozenset[str] = frozenset()
    cheap: frozenset[str] = frozenset()
    """Further filters that some index serves."""
    choices: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    """What the document says of columns whose name does not say it."""
    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    """Not-null columns that the use case fills when the caller does not."""
    children: tuple[Include, ...] = ()
    verbs: tuple[Verb, ...] = ()
    create: Create | None = None
    create_extra: tuple[Field, ...] = ()
    changed: Change | None = None
    """Called with the row and the patch before it is applied."""
    removed: Callable[[Unit, Any, Caller], Awaitable[None]] | None = None
    has_timeline: bool = False

    @property
    def name(self) -> str:
        """Plural; path segment, key of includes, and the table's name."""
        name: str = self.model.__tablename__
        return name

    @property
    def is_versioned(self) -> bool:
        """Whether answers carry an ETag."""
        return issubclass(self.model, Stamped)

    @property
    def is_soft_deleted(self) -> bool:
        """Whether deleting keeps the row."""
        return issubclass(self.model, SoftDeleted)

    @functools.cached_property
    def fields(self) -> dict[str, Field]:
        """All readable fields by name."""
        found = {}
        for attribute in sa.inspect(self.model).column_attrs:
            column = attribute.columns[0]
            if column.name in self.hidden or column.name in ("tenant_id", "deleted_at"):
                continue
            name = str(column.name)  # a plain str, without SQL quoting rules
            required = (
                name in self.required
                or not (
                    column.nullable or column.default is not None or column.computed is not None
                )
            ) and name not in self.optional
            found[name] = Field(
                name,
                kind_of(column, long_text=name in self.long_texts, filled=required),
                nullable=bool(column.nullable) and name not in self.required,
                required=required,
                choices=self.choices.get(name),
                attribute=attribute.key,
                description=self.notes.get(name),
            )
        return found

    @functools.cached_property
    def create_fields(self) -> dict[str, Field]:
        """Fields of a creating body."""
        return {
            name: each
            for name, each in self.fields.items()
            if name not in STAMPS and name not in self.owned and not _is_computed(self.model, each)
        }

    @functools.cached_property
    def update_fields(self) -> dict[str, Field]:
        """Fields of a changing body."""
        return {
            name: each
            for name, each in self.create_fields.items()
            if name not in self.fixed and name not in self.moved
        }

    @functools.cached_property
    def includes(self) -> dict[str, Include]:
        """What ``include=`` may name: the rows its keys point at, and its children."""
        found = {}
        for attribute, reference in references_of(self.model).items():
            if attribute in self.fields:
                name = attribute.removesuffix("_id")
                found[name] = Include(name, reference.table, attribute)
        found.update({child.name: child for child in self.children})
        return found

    @functools.cached_property
    def filters(self) -> dict[str, Field]:
        """Fields that a list may filter by: those that lead an index, and the cheap ones."""
        names = {"id"} | self.cheap | _leading_columns(self.model)
        return {name: each for name, each in self.fields.items() if name in names}

    @functools.cached_property
    def sort_keys(self) -> dict[str, Field]:
        """Fields that a list may sort by: never null, and leading an index."""
        return {
            name: each
            for name, each in self.filters.items()
            if not each.nullable
            and name not in self.cheap
            and each.kind.name in ("uuid", "text", "timestamp", "integer", "date")
            and (name == "id" or each.kind is not UUID_KIND)
        }


def _is_computed(model: type[Base], each: Field) -> bool:
    column = sa.inspect(model).column_attrs[each.key].columns[0]
    return column.computed is not None


def _leading_columns(model: type[Base]) -> set[str]:
    """Columns that lead an index or unique key, right behind the tenant."""
    table = cast("sa.Table", model.__table__)  # models map tables here, not selects
    keys: list[list[str]] = [
        [column.name for column in key.columns]
        for key in (*table.indexes, *table.constraints)
        if isinstance(key, sa.Index | sa.UniqueConstraint | sa.PrimaryKeyConstraint)
    ]
    found = set()
    for key in keys:
        columns = key[1:] if key and key[0] == "tenant_id" else key
        if columns:
            found.add(columns[0])
    return found
