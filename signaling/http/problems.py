"""Refusals over HTTP: ``application/problem+json`` (RFC 9457) from the one table of errors."""

import json
from typing import Any

from aiohttp import web

from signaling.errors import FAULTS


def problem(code: str, detail: str = "", **extras: Any) -> web.Response:
    """The answer for an error code; ``retry_ms`` also becomes a Retry-After header."""
    fault = FAULTS[code]
    body = {
        "type": "about:blank",
        "title": fault.meaning,
        "status": fault.status,
        "code": code,
        "detail": detail or fault.meaning,
        **extras,
    }
    headers = {"Cache-Control": "no-store"}
    if "retry_ms" in extras:
        headers["Retry-After"] = str(max(1, -(-int(extras["retry_ms"]) // 1000)))
    return web.Response(
        text=json.dumps(body),
        status=fault.status,
        content_type="application/problem+json",
        headers=headers,
    )
