"""Every HTTP route that is not REST, in one table, and what goes round all handlers."""

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from signaling.errors import RequestError
from signaling.gateway import forwarded_for
from signaling.logs import internal_error

from .dev import DevLinks
from .health import Health, Metrics
from .join import JoinEndpoint
from .pages import Pages
from .problems import problem

log: Final = logging.getLogger("sunup.http")
MAX_BODY: Final = 1024 * 1024


def make_application(trusted_proxies: tuple[str, ...]) -> web.Application:
    """An application without routes; unexpected exceptions become a 500 with a reference."""
    application = web.Application(client_max_size=MAX_BODY, middlewares=[_catch])
    application[PROXIES] = frozenset(trusted_proxies)
    return application


def add_shell_routes(
    application: web.Application,
    *,
    join: JoinEndpoint,
    pages: Pages,
    health: Health,
    metrics: Metrics,
    dev: DevLinks | None,
) -> None:
    """Mount everything but REST; the pages' catch-all comes last."""
    router = application.router
    router.add_get("/healthz", health)
    router.add_get("/metrics", metrics)
    router.add_post("/m/{code:[A-Za-z0-9_-]{1,64}}/join", join)
    router.add_get("/m/{code:[A-Za-z0-9_-]{1,64}}", pages.meet)
    router.add_get("/ws", _not_an_upgrade)
    if dev is not None:
        router.add_get("/", dev.page)
        router.add_get("/dev/links", dev.json)
    router.add_get("/{path:.*}", pages.file)


PROXIES: Final = web.AppKey("proxies", frozenset)


def address_of(request: web.Request) -> str:
    """The visitor's address: the peer's, or what a trusted proxy says."""
    peer = request.remote or ""
    if peer in request.app[PROXIES]:
        return forwarded_for(request.headers.getall("X-Forwarded-For", []), peer)
    return peer


def websocket_url(base_url: str) -> Callable[[web.Request], str]:
    """The WebSocket's address under the host that the visitor used: same origin as the page."""
    scheme = "wss" if base_url.startswith("https:") else "ws"

    def of(request: web.Request) -> str:
        return f"{scheme}://{request.host}/ws"

    return of


async def _not_an_upgrade(_request: web.Request) -> web.Response:
    return web.Response(text="This is a WebSocket.\n", status=426, headers={"Upgrade": "websocket"})


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def _catch(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException:
        raise
    except ConnectionError as error:
        if request.transport is None:
            # The client hung up in the middle of its request: nobody is there to be answered,
            # and nothing is wrong here.
            return web.Response(status=400)
        refusal = internal_error("http", error)
        return problem(refusal.code, **refusal.extras)
    except RequestError as error:
        return problem(error.code, error.detail, **error.extras)
    except Exception as error:  # noqa: BLE001 our bug: logged with the reference the client gets
        refusal = internal_error("http", error)
        return problem(refusal.code, **refusal.extras)
