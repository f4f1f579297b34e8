"""Shapes of the OpenAPI document: a resource's records and bodies, and what is HTTP's own."""

from collections.abc import Iterable, Mapping
from typing import Any

from crm_core.resources.declaration import Resource
from crm_core.resources.fields import Field


def schemas_of(resource: Resource, nouns: Mapping[str, str]) -> dict[str, Any]:
    """The schemas by name: the record, the same with members left out, and what may be sent.

    Args:
        resource: whose.
        nouns: what a record of each resource is called.
    """
    found = {
        resource.noun: object_of(resource.fields.values(), all_there=True),
        f"{resource.noun}_members": object_of(resource.fields.values(), partial=True),
    }
    if resource.includes:
        targets = sorted({include.resource for include in resource.includes.values()})
        found[f"{resource.noun}_included"] = {
            "type": "object",
            "properties": {name: array_of(nouns[name]) for name in targets},
            "additionalProperties": False,
        }
    if "create" in resource.operations:
        found[f"{resource.noun}_new"] = object_of(resource.create_fields.values())
    if "update" in resource.operations:
        found[f"{resource.noun}_patch"] = object_of(resource.update_fields.values(), partial=True)
    return found


def included_members(resource: Resource) -> dict[str, Any]:
    """The members that ``include=`` adds to an answer."""
    if not resource.includes:
        return {}
    return {
        "included": ref(f"{resource.noun}_included"),
        "included_cut": {"type": "array", "items": {"enum": sorted(resource.includes)}},
    }


def object_of(
    fields: Iterable[Field], *, all_there: bool = False, partial: bool = False
) -> dict[str, Any]:
    """Schema of an object with exactly these members."""
    listed = list(fields)
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {each.name: each.schema() for each in listed},
        "additionalProperties": False,
    }
    required = [each.name for each in listed if all_there or (each.required and not partial)]
    if required:
        schema["required"] = required
    return schema


def with_extra(resource: Resource, extra: tuple[Field, ...], *, required: bool) -> dict[str, Any]:
    """The record's schema with the members that this answer alone carries."""
    if not extra:
        return ref(resource.noun)
    schema = object_of(resource.fields.values(), all_there=True)
    schema["properties"].update({each.name: each.schema() for each in extra})
    if required:
        schema["required"].extend(each.name for each in extra)
    return schema


def filter_schema(each: Field) -> dict[str, Any]:
    """A filter's value stands in a query string, so it is never null."""
    return Field(each.name, each.kind, choices=each.choices).schema()


def ref(schema: str) -> dict[str, Any]:
    """A schema of the document, by its name."""
    return {"$ref": f"#/components/schemas/{schema}"}


def array_of(schema: str) -> dict[str, Any]:
    """An array of such values."""
    return {"type": "array", "items": ref(schema)}


PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "field": {"type": "string"},
        "ref": {"type": "string", "description": "With internal: names the line in the log"},
        "conflict": {
            "type": "object",
            "description": "With slot_taken: what is in the way",
            "properties": {
                "starts_at": {"type": "string", "format": "date-time"},
                "ends_at": {"type": "string", "format": "date-time"},
                "appointment_id": {"type": ["string", "null"], "format": "uuid"},
            },
        },
    },
}
TIMELINE_ENTRY: dict[str, Any] = {
    "type": "object",
    "required": ["kind", "at", "id", "record"],
    "additionalProperties": False,
    "properties": {
        "kind": {"enum": ["communication", "appointment", "pipeline_event"]},
        "at": {"type": "string", "format": "date-time"},
        "id": {"type": "string", "format": "uuid"},
        "record": {
            "anyOf": [
                ref("communication"),
                ref("appointment"),
                ref("pipeline_event"),
            ]
        },
    },
}
