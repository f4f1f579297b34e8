"""The OpenAPI 3.1 document, generated from the same declarations that serve the requests.

Filters, includes and verbs come from the registry; which statuses an operation may answer with stands
here, and the shapes of records in ``schemas``. A test lets schemathesis compare all with the running
server.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from crm_core.errors import one
from crm_core.resources.declaration import Resource, Verb
from crm_core.resources.query import DEFAULT_LIMIT, MAX_CONDITIONS, MAX_LIKE, MAX_LIMIT

from .endpoint import ETAG
from .idempotency import MAX_KEY
from .schemas import (
    PROBLEM,
    TIMELINE_ENTRY,
    array_of,
    filter_schema,
    included_members,
    object_of,
    ref,
    schemas_of,
    with_extra,
)

JSON = "application/json"
# Statuses that any operation may answer with, beside its own.
_COMMON = ("400", "401", "404", "422", "429", "503")
_ETAG = {"ETag": {"description": "The record's version", "schema": {"type": "string"}}}
_ID = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "format": "uuid"},
}


def document(resources: Iterable[Resource], base_url: str) -> bytes:
    """The document as JSON bytes.

    Args:
        resources: what is served.
        base_url: where.
    """
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {"problem": PROBLEM, "timeline_entry": TIMELINE_ENTRY}
    listed = list(resources)
    nouns = {resource.name: resource.noun for resource in listed}
    for resource in listed:
        schemas.update(schemas_of(resource, nouns))
        paths.update(_paths(resource))
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Sunup",
                "version": "1",
                "description": _DESCRIPTION,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": base_url}],
            "security": [{"api_key": []}],
            "paths": paths,
            "components": {
                "schemas": schemas,
                "securitySchemes": {"api_key": {"type": "http", "scheme": "bearer"}},
            },
        }
    )


_DESCRIPTION = (
    "Lists take filters as `name=value` or `name[op]=value` with the operators ne, lt, lte, gt, "
    "gte, in, nin, like (with `*`) and null, on the fields named for each list, and one hop along "
    f"a relation as `person.email_norm=…`: at most {MAX_CONDITIONS} conditions, {MAX_LIKE} of them like. Pages "
    "follow `next` by `after`; one of large records is shorter than `limit`. What `include` brings is "
    "all there is, or, of a single record with more than an answer may hold, named in `included_cut`: "
    "the others are had from their own list. Records carry an ETag; changing and deleting need it in "
    "If-Match. A POST with Idempotency-Key is done once. "
    "Refusals are problem documents (RFC 9457) with a stable `code` and the `field` at fault; 429 says "
    "that too many requests of the key, or of a visitor without a good one, wait, or that too many large "
    "bodies or answers are under way."
)


def _paths(resource: Resource) -> dict[str, Any]:
    collection: dict[str, Any] = {}
    record: dict[str, Any] = {"parameters": [_ID]}
    if "list" in resource.operations:
        collection["get"] = _list(resource)
    if "create" in resource.operations:
        collection["post"] = _create(resource)
    if "get" in resource.operations:
        record["get"] = _get(resource)
    if "update" in resource.operations:
        record["patch"] = _update(resource)
    if "delete" in resource.operations:
        record["delete"] = _delete(resource)
    paths = {f"/v1/{resource.name}": collection, f"/v1/{resource.name}/{{id}}": record}
    for verb in resource.verbs:
        paths[f"/v1/{resource.name}/{{id}}:{verb.name}"] = {
            "parameters": [_ID],
            "post": _verb(resource, verb),
        }
    if resource.has_timeline:
        paths[f"/v1/{resource.name}/{{id}}/timeline"] = {
            "parameters": [_ID],
            "get": _timeline(resource),
        }
    return paths


def _operation(
    resource: Resource,
    name: str,
    summary: str,
    *,
    answers: dict[str, Any],
    more: Iterable[str] = (),
) -> dict[str, Any]:
    problems = {
        status: {
            "description": "Refused",
            "content": {"application/problem+json": {"schema": ref("problem")}},
        }
        for status in sorted({*_COMMON, *more})
    }
    return {
        "operationId": f"{name}_{resource.noun}",
        "summary": summary,
        "tags": [resource.name],
        "responses": {**answers, **problems},
    }


def _list(resource: Resource) -> dict[str, Any]:
    parameters = [
        *(_query(each.name, filter_schema(each)) for each in resource.filters.values()),
        _query("sort", {"enum": [s + n for n in sorted(resource.sort_keys) for s in ("", "-")]}),
        *_paging(),
        _include(resource),
        _fields(resource),
    ]
    answer = {
        "type": "object",
        "required": ["items", "next"],
        "properties": {
            # With `fields` an item has only the members asked for.
            "items": {
                "type": "array",
                "items": {"anyOf": [ref(resource.noun), ref(f"{resource.noun}_members")]},
            },
            "next": {"type": ["string", "null"]},
            **included_members(resource),
        },
        "additionalProperties": False,
    }
    operation = _operation(
        resource, "list", resource.summary, answers={"200": _answer("A page", answer)}
    )
    return {**operation, "parameters": [p for p in parameters if p is not None]}


def _create(resource: Resource) -> dict[str, Any]:
    operation = _operation(
        resource,
        "create",
        f"Make {one(resource.noun)}",
        answers={
            "201": _answer(
                "Made",
                with_extra(resource, resource.create_extra, required=False),
                headers={**_ETAG, "Location": {"schema": {"type": "string"}}},
            )
        },
        more=("408", "409", "413", "415"),
    )
    return {
        **operation,
        "parameters": [_IDEMPOTENCY],
        "requestBody": _body(f"{resource.noun}_new", required=True),
    }


def _get(resource: Resource) -> dict[str, Any]:
    members = object_of(resource.fields.values(), partial=True)
    members["properties"] |= included_members(resource)
    # With `fields` or `include` members are left out or added.
    answer = {"anyOf": [ref(resource.noun), members]}
    operation = _operation(
        resource,
        "get",
        f"Read {one(resource.noun)}",
        answers={
            "200": _answer("The record", answer, headers=_ETAG if resource.is_versioned else None),
            "304": {"description": "The caller has this version"},
        },
    )
    return {
        **operation,
        "parameters": [p for p in (_include(resource), _fields(resource)) if p is not None],
    }


def _update(resource: Resource) -> dict[str, Any]:
    operation = _operation(
        resource,
        "update",
        f"Change fields of {one(resource.noun)}",
        answers={"200": _answer("Changed", ref(resource.noun), headers=_ETAG)},
        more=("408", "409", "412", "413", "415", "428"),
    )
    return {
        **operation,
        "parameters": [_IF_MATCH],
        "requestBody": _body(f"{resource.noun}_patch", required=True),
    }


def _delete(resource: Resource) -> dict[str, Any]:
    operation = _operation(
        resource,
        "delete",
        f"Delete {one(resource.noun)}",
        answers={"204": {"description": "Deleted"}},
        more=("409", "412", "428"),
    )
    return {**operation, "parameters": [_IF_MATCH]}


def _verb(resource: Resource, verb: Verb) -> dict[str, Any]:
    operation = _operation(
        resource,
        verb.name,
        verb.summary,
        answers={
            "200": _answer("Done", with_extra(resource, verb.extra, required=True), headers=_ETAG)
        },
        more=("408", "409", "412", "413", "415"),
    )
    return {
        **operation,
        "parameters": [_IDEMPOTENCY, {**_IF_MATCH, "required": False}],
        "requestBody": {
            "required": any(each.required for each in verb.body),
            "content": {JSON: {"schema": object_of(verb.body)}},
        },
    }


def _timeline(resource: Resource) -> dict[str, Any]:
    answer = {
        "type": "object",
        "required": ["items", "next"],
        "properties": {
            "items": array_of("timeline_entry"),
            "next": {"type": ["string", "null"]},
        },
        "additionalProperties": False,
    }
    operation = _operation(
        resource,
        "timeline",
        f"What happened with {one(resource.noun)}, newest first",
        answers={"200": _answer("A page", answer)},
    )
    return {**operation, "parameters": _paging()}


_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": "The ETag of the version you read, or *",
    "schema": {"type": "string", "pattern": rf"^({ETAG}(, *{ETAG})*|\*)$"},
}
_IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and request within 24 hours get the first answer again",
    "schema": {"type": "string", "pattern": "^[!-~]+$", "minLength": 1, "maxLength": MAX_KEY},
}


def _query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema}


def _paging() -> list[dict[str, Any]]:
    return [
        _query(
            "limit",
            {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
        ),
        # What `next` of the page before says; any other text is refused.
        _query("after", {"type": "string", "format": "sunup-cursor"}),
    ]


def _include(resource: Resource) -> dict[str, Any] | None:
    return _names("include", sorted(resource.includes))


def _fields(resource: Resource) -> dict[str, Any] | None:
    return _names("fields", sorted(resource.fields))


def _names(name: str, allowed: list[str]) -> dict[str, Any] | None:
    if not allowed:
        return None
    schema = {"type": "array", "items": {"enum": allowed}, "minItems": 1}
    return {**_query(name, schema), "style": "form", "explode": False}


def _body(schema: str, *, required: bool) -> dict[str, Any]:
    return {
        "required": required,
        "content": {JSON: {"schema": ref(schema)}},
    }


def _answer(
    description: str, schema: dict[str, Any], headers: dict[str, Any] | None = None
) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": description, "content": {JSON: {"schema": schema}}}
    if headers:
        answer["headers"] = headers
    return answer
