"""``/v1/{resource}``: listing and creating."""

from typing import Any

import aiohttp.web

from crm_core.resources import store
from crm_core.resources.query import parse_list
from storage.database import Unit

from . import idempotency
from .body import read_json
from .endpoint import Call, json_answer
from .idempotency import Replay


async def list_records(call: Call) -> aiohttp.web.Response:
    """``GET``: a page, newest first unless told otherwise."""
    query = parse_list(call.resource, call.api.resources, call.request.query.items())
    async with call.reading() as unit:
        page = await store.list_page(unit, call.resource, call.api.resources, query)
    answer: dict[str, Any] = {"items": page.items, "next": page.next}
    if query.includes:
        answer |= included_members(page.included)
    return json_answer(answer)


def included_members(included: store.Included) -> dict[str, Any]:
    """What ``include=`` adds to an answer."""
    members: dict[str, Any] = {"included": included.records}
    if included.cut:
        members["included_cut"] = sorted(included.cut)
    return members


async def create_record(call: Call) -> aiohttp.web.Response:
    """``POST``: a new record."""
    body, raw = await read_json(call)

    async def work(unit: Unit) -> aiohttp.web.Response:
        outcome = await store.create(unit, call.resource, body, call.caller)
        row = outcome.row
        fields = tuple(call.resource.fields.values())
        return json_answer(
            {**store.encode(row, fields), **outcome.extra},
            status=201,
            version=row.version if call.resource.is_versioned else None,
            location=f"/v1/{call.resource.name}/{row.id}",
        )

    return await in_unit(call, raw, work)


async def in_unit(call: Call, raw: bytes, work: Any) -> aiohttp.web.Response:
    """Run a POST's work in one transaction, once per Idempotency-Key.

    Args:
        call: the request.
        raw: its body.
        work: unit → answer.
    """
    key = idempotency.read_key(call)
    try:
        async with call.writing() as unit:
            if key is None:
                response: aiohttp.web.Response = await work(unit)
                return response
            remembered = await idempotency.begin(
                unit, call, key, idempotency.request_hash(call, raw)
            )
            response = await work(unit)
            idempotency.remember(call, remembered, response)
            return response
    except Replay as replay:
        return replay.response
