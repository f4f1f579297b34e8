"""People as a resource."""

from ..resources.declaration import Resource
from .models import Person

PEOPLE = Resource(
    Person,
    "person",
    "Humans the tenant deals with",
    owned={"user_id": "set by an invitation"},
    long_texts=frozenset({"notes", "goals", "special_requirements"}),
    has_timeline=True,
)
