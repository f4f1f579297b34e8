"""``/v1/{resource}/{id}``: reading, changing, deleting, use cases, timeline."""

import base64
import binascii
from datetime import datetime
from typing import Any
from uuid import UUID

import aiohttp.web
import msgspec

from crm_core.communications.service import TimelineEntry, timeline
from crm_core.errors import InvalidInput
from crm_core.resources import store
from crm_core.resources.declaration import Resource, Verb
from crm_core.resources.fields import TIMESTAMP, UUID_KIND, encode_timestamp
from crm_core.resources.query import DEFAULT_LIMIT, MAX_LIMIT, parse_fields, parse_includes
from storage.database import Unit

from .body import read_json
from .collection import in_unit, included_members
from .endpoint import Call, Handler, etag, if_match, json_answer, not_modified

_SOURCES = {
    "communication": "communications",
    "appointment": "appointments",
    "pipeline_event": "pipeline_events",
}


async def get_record(call: Call) -> aiohttp.web.StreamResponse:
    """``GET``: one record, with its ETag."""
    parameters = _only(call, "include", "fields")
    includes = parse_includes(call.resource, parameters.get("include"))
    fields = parse_fields(call.resource, parameters.get("fields"))
    async with call.reading() as unit:
        row = await store.get(unit, call.resource, call.row_id())
        answer = store.encode(row, fields)
        if includes:
            answer |= included_members(
                await store.load_includes(unit, call.api.resources, includes, [row])
            )
        version = row.version if call.resource.is_versioned else None
    # What comes along has no part in the record's version.
    if version is not None and not includes and not_modified(call, version):
        return aiohttp.web.Response(status=304, headers={"ETag": etag(version)})
    return json_answer(answer, version=None if includes else version)


async def update_record(call: Call) -> aiohttp.web.StreamResponse:
    """``PATCH``: merge fields into the version that If-Match names."""
    body, _ = await read_json(call)
    row_id, versions = call.row_id(), if_match(call, required=True)
    async with call.writing() as unit:
        row = await store.get(unit, call.resource, row_id)
        store.require_version(call.resource, row, versions)
        extra = await store.update(unit, call.resource, row, body, call.caller)
        return _answer(call.resource, row, extra)


async def delete_record(call: Call) -> aiohttp.web.StreamResponse:
    """``DELETE``: the version that If-Match names."""
    row_id, versions = call.row_id(), if_match(call, required=True)
    async with call.writing() as unit:
        row = await store.get(unit, call.resource, row_id)
        store.require_version(call.resource, row, versions)
        await store.remove(unit, call.resource, row, call.caller)
    return aiohttp.web.Response(status=204)


def run_verb(verb: Verb) -> Handler:
    """``POST …:{verb}``: a use case on one record."""

    async def handle(call: Call) -> aiohttp.web.StreamResponse:
        body, raw = await read_json(call)
        row_id, versions = call.row_id(), if_match(call, required=False)

        async def work(unit: Unit) -> aiohttp.web.Response:
            row = await store.get(unit, call.resource, row_id)
            store.require_version(call.resource, row, versions)
            extra = await store.run_verb(unit, verb, row, body, call.caller)
            return _answer(call.resource, row, extra)

        return await in_unit(call, raw, work)

    return handle


async def get_timeline(call: Call) -> aiohttp.web.StreamResponse:
    """``GET …/timeline``: what happened, newest first."""
    parameters = _only(call, "limit", "after")
    limit = _limit(parameters.get("limit"))
    before = _decode_cursor(parameters.get("after"))
    async with call.reading() as unit:
        row = await store.get(unit, call.resource, call.row_id())
        shown, more = await timeline(
            unit,
            call.resource.noun,  # type: ignore[arg-type]  # only these three have timelines
            row.id,
            limit=limit,
            before=before,
        )
    return json_answer(
        {
            "items": [_entry(call, entry) for entry in shown],
            "next": _encode_cursor(shown[-1]) if more else None,
        }
    )


def _answer(resource: Resource, row: Any, extra: dict[str, Any]) -> aiohttp.web.Response:
    fields = tuple(resource.fields.values())
    version = row.version if resource.is_versioned else None
    return json_answer({**store.encode(row, fields), **extra}, version=version)


def _entry(call: Call, entry: TimelineEntry) -> dict[str, Any]:
    resource = call.api.resources[_SOURCES[entry.kind]]
    return {
        "kind": entry.kind,
        "at": encode_timestamp(entry.at),
        "id": str(entry.row.id),
        "record": store.encode(entry.row, tuple(resource.fields.values())),
    }


def _only(call: Call, *names: str) -> dict[str, str]:
    """The query's parameters, which may be `names` and each once.

    Raises:
        InvalidInput: another name, or one twice.
    """
    found: dict[str, str] = {}
    for name, value in call.request.query.items():
        if name not in names:
            raise InvalidInput(f"{name} is no parameter here", field=name, allowed=sorted(names))
        if name in found:
            raise InvalidInput(f"{name} is given twice", field=name)
        found[name] = value
    return found


def _limit(value: str | None) -> int:
    if value is None:
        return DEFAULT_LIMIT
    if not (
        value.isascii() and value.isdigit() and len(value) < 5 and 1 <= int(value) <= MAX_LIMIT
    ):
        raise InvalidInput(f"limit is a number from 1 to {MAX_LIMIT}", field="limit")
    return int(value)


def _encode_cursor(entry: TimelineEntry) -> str:
    parts = [encode_timestamp(entry.at), str(entry.row.id)]
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).rstrip(b"=").decode()


def _decode_cursor(value: str | None) -> tuple[datetime, UUID] | None:
    if value is None:
        return None
    try:
        padded = value.encode() + b"=" * (-len(value) % 4)
        at, row_id = msgspec.json.decode(base64.urlsafe_b64decode(padded), type=tuple[str, str])
        return TIMESTAMP.decode(at), UUID_KIND.decode(row_id)
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise InvalidInput("after is not a cursor of this timeline", field="after") from None
