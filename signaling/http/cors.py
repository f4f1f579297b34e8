"""Pages of other origins: which may trade a link's secret for a token, and who may read the SDK.

The Fetch standard's protocol for requests across origins (https://fetch.spec.whatwg.org, "HTTP
extensions"), for the one endpoint that such a page calls. Whether its WebSocket is let in is decided
by the gateway, from the same list of origins.
"""

import re
from collections.abc import Collection
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

ANYBODY: Final = {"Access-Control-Allow-Origin": "*"}
"""For files that are the same for all and no secret."""
_JOIN: Final = re.compile(r"/m/[A-Za-z0-9_-]{1,64}/join")
_PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "Content-Type",
    "Access-Control-Max-Age": "600",
}


def share_join(origins: Collection[str]) -> Middleware:
    """Let pages of `origins`, as browsers send them, join; no cookie is involved."""

    @web.middleware
    async def share(request: web.Request, handler: Handler) -> web.StreamResponse:
        if _JOIN.fullmatch(request.path) is None:
            return await handler(request)
        origin = request.headers.get("Origin", "")
        allowed = {"Access-Control-Allow-Origin": origin} if origin in origins else {}
        if request.method == "OPTIONS" and allowed:
            return web.Response(status=204, headers={**allowed, **_PREFLIGHT, "Vary": "Origin"})
        answer = await handler(request)
        answer.headers.update({**allowed, "Vary": "Origin"})
        return answer

    return share
