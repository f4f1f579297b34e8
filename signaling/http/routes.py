"""Every HTTP route that is not REST, in one table, and what goes round all handlers."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from typing import Final

from aiohttp import web

from signaling.errors import RequestError
from signaling.limits import network
from signaling.logs import internal_error
from signaling.visitors import Proxies
from storage.turns import Turns

from .cors import share_join
from .dev import DevLinks
from .health import Health, Metrics
from .join import JoinEndpoint
from .pages import Pages
from .problems import problem

log: Final = logging.getLogger("sunup.http")
MAX_BODY: Final = 1024 * 1024


Upgrade = Callable[[asyncio.Transport, bytes, str], None]
"""Makes a WebSocket of a connection: the transport, the request's head, the visitor's address."""


def make_application(proxies: Proxies, origins: Collection[str], turns: Turns) -> web.Application:
    """An application without routes; unexpected exceptions become a 500 with a reference.

    Args:
        proxies: who may say for whom they speak.
        origins: of other sites whose pages may join.
        turns: in which requests begin, by visitor. With one at once and pauses, one begins in each pass of
            the loop, however many are there: a commit takes a dozen passes, and would else wait in each
            for all of them.
    """

    @web.middleware
    async def in_turn(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not await turns.come(
            network(address_of(request)), is_there=lambda: request.transport is not None
        ):
            return web.Response(status=400)  # nobody is there to read it
        return await handler(request)

    application = web.Application(
        client_max_size=MAX_BODY, middlewares=[in_turn, _catch, share_join(frozenset(origins))]
    )
    application[PROXIES] = proxies
    return application


def add_shell_routes(
    application: web.Application,
    *,
    join: JoinEndpoint,
    pages: Pages,
    health: Health,
    metrics: Metrics,
    dev: DevLinks | None,
    upgrade: Upgrade,
) -> None:
    """Mount everything but REST; the pages' catch-all comes last."""
    router = application.router
    router.add_get("/healthz", health.get)
    router.add_get("/metrics", metrics.get)
    router.add_post("/m/{code:[A-Za-z0-9_-]{1,64}}/join", join.post)
    router.add_get("/m/{code:[A-Za-z0-9_-]{1,64}}", pages.meet)
    router.add_get("/ws", _websocket(upgrade))
    if dev is not None:
        router.add_get("/", dev.page)
        router.add_get("/dev/links", dev.json)
    router.add_get("/{path:.*}", pages.file)


PROXIES: Final = web.AppKey("proxies", Proxies)


def address_of(request: web.Request) -> str:
    """The visitor's address: the peer's, or what a trusted proxy says."""
    forwarded = request.headers.getall("X-Forwarded-For", [])
    return request.app[PROXIES].visitor(request.remote or "", forwarded)


def websocket_url(base_url: str) -> Callable[[web.Request], str]:
    """The WebSocket's address under the host that the visitor used: same origin as the page."""
    scheme = "wss" if base_url.startswith("https:") else "ws"

    def of(request: web.Request) -> str:
        return f"{scheme}://{request.host}/ws"

    return of


def _websocket(upgrade: Upgrade) -> "Handler":
    """``/ws`` on a connection that has carried HTTP before; ``signaling.port`` has the others."""

    async def handle(request: web.Request) -> web.Response:
        transport = request.transport
        if transport is None or request.headers.get("Upgrade", "").strip().lower() != "websocket":
            headers = {"Upgrade": "websocket"}
            return web.Response(text="This is a WebSocket.\n", status=426, headers=headers)
        # For aiohttp the client hangs up here: it forgets the connection, and its answer, the one
        # below, goes nowhere. The transport stays open.
        request.protocol.transport = None
        request.protocol.connection_lost(None)
        upgrade(transport, _head(request), address_of(request))
        return web.Response()

    return handle


def _head(request: web.Request) -> bytes:
    """The head of a request, as it would stand on the wire."""
    lines = [f"{request.method} {request.raw_path} HTTP/1.1".encode()]
    lines += [name + b": " + value for name, value in request.raw_headers]
    return b"\r\n".join([*lines, b"", b""])


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
