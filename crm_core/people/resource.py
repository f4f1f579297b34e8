"""People as a resource."""

from typing import Any

from storage.database import Unit

from ..appointments.parties import person_goes
from ..resources.declaration import Caller, Resource
from .models import Person


async def _removed(unit: Unit, row: Any, _caller: Caller) -> None:
    await person_goes(unit, row.id)


PEOPLE = Resource(
    Person,
    "person",
    "Humans the tenant deals with",
    owned={"user_id": "set by an invitation"},
    long_texts=frozenset({"notes", "goals", "special_requirements"}),
    removed=_removed,
    has_timeline=True,
)
