"""What a conversation, a meeting or a task is about: the mixin of context keys.

Four typed columns instead of a (kind, id) pair keep real foreign keys and let one timeline read
them all through partial indexes.
"""

from typing import ClassVar
from uuid import UUID

from sqlalchemy.orm import Mapped, declared_attr

from storage.base import ref


class Contextual:
    """Mixin C: person, organization, lead and project, each optional.

    A class says by `__context_time__` which of its columns follows each key in its index.
    """

    __context_time__: ClassVar[str] = "created_at"

    @declared_attr
    @classmethod
    def person_id(cls) -> Mapped[UUID | None]:
        """The person concerned."""
        return ref("people", index_with=(cls.__context_time__,), sort_order=80)

    @declared_attr
    @classmethod
    def organization_id(cls) -> Mapped[UUID | None]:
        """The organization concerned."""
        return ref("organizations", index_with=(cls.__context_time__,), sort_order=81)

    @declared_attr
    @classmethod
    def lead_id(cls) -> Mapped[UUID | None]:
        """The lead concerned."""
        return ref("leads", index_with=(cls.__context_time__,), sort_order=82)

    @declared_attr
    @classmethod
    def project_id(cls) -> Mapped[UUID | None]:
        """The project concerned."""
        return ref("projects", index_with=(cls.__context_time__,), sort_order=83)
