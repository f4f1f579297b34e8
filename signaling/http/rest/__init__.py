"""The REST API under ``/v1``: the CRM's resources over HTTP.

`add_routes` puts it into an aiohttp application. What resources exist and what they do is declared
in ``crm_core``; here are the things that are HTTP's own: keys and ETags, idempotency, problem
answers, the OpenAPI document. Read ``endpoint.py`` for what surrounds every request,
``collection.py`` and ``record.py`` for the operations.
"""

import secrets
from collections.abc import Callable

import aiohttp.web

from crm_core.appointments.video import LinkMaker
from crm_core.resources.registry import BY_NAME, RESOURCES
from signaling.limits import network

from . import sending
from .collection import create_record, list_records
from .endpoint import AiohttpHandler, Api, endpoint, method_not_allowed, not_found
from .openapi import document
from .problems import HttpProblem, answer_for
from .record import delete_record, get_record, get_timeline, run_verb, update_record
from .turns import RestTurns

__all__ = ["RestTurns", "add_routes"]


def add_routes(
    app: aiohttp.web.Application,
    *,
    turns: RestTurns,
    base_url: str,
    address_of: Callable[[aiohttp.web.Request], str],
) -> None:
    """Serve ``/v1/…`` and ``/openapi.json``.

    Args:
        app: gets the routes; nothing else of it is touched.
        turns: the database, as REST may use it.
        base_url: where browsers reach the product; stands in links.
        address_of: the visitor's address.
    """
    api = Api(turns, BY_NAME, LinkMaker(base_url, secrets.token_bytes), address_of)
    router = app.router
    described = document(RESOURCES, base_url)

    async def openapi(request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        response = aiohttp.web.json_response(body=described)
        try:
            with turns.publishing(network(address_of(request))):
                await sending.send(request, response)
        except HttpProblem as error:
            return answer_for(error)
        return response

    router.add_get("/openapi.json", openapi)
    for resource in RESOURCES:
        collection = router.add_resource(f"/v1/{resource.name}", name=resource.name)
        record = router.add_resource(f"/v1/{resource.name}/{{id:[^/:]+}}")
        for target, operation, method, handler in (
            (collection, "list", "GET", list_records),
            (collection, "create", "POST", create_record),
            (record, "get", "GET", get_record),
            (record, "update", "PATCH", update_record),
            (record, "delete", "DELETE", delete_record),
        ):
            if operation in resource.operations:
                _add(target, method, endpoint(api, resource, handler))
        for verb in resource.verbs:
            route = router.add_resource(f"/v1/{resource.name}/{{id:[^/:]+}}:{verb.name}")
            route.add_route("POST", endpoint(api, resource, run_verb(verb)))
            route.add_route("*", method_not_allowed("POST"))
        if resource.has_timeline:
            route = router.add_resource(f"/v1/{resource.name}/{{id:[^/:]+}}/timeline")
            _add(route, "GET", endpoint(api, resource, get_timeline))
            route.add_route("*", method_not_allowed("GET", "HEAD"))
        for target in (collection, record):
            target.add_route("*", method_not_allowed(*sorted(r.method for r in target)))
    router.add_route("*", "/v1/{rest:.*}", not_found)


def _add(target: aiohttp.web.Resource, method: str, handler: AiohttpHandler) -> None:
    """What answers GET answers HEAD, too (RFC 9110 section 9.1); aiohttp keeps the body back."""
    target.add_route(method, handler)
    if method == "GET":
        target.add_route("HEAD", handler)
