"""The first page of dev mode: the demo appointment's two links. Not mounted by ``sunup serve``.

It asks nobody who they are, so it answers only under its own name and under addresses: a page of
another site could let the site's name lead here, and read what is written.
"""

import contextlib
import html as html_escape
import ipaddress
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from aiohttp import web
from yarl import URL

from .pages import html

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sunup: demo links</title>
<style nonce="{nonce}">
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }}
main {{ max-inline-size: 40rem; margin: 4rem auto; padding-inline: 1.5rem; }}
a {{ overflow-wrap: anywhere; }}
li {{ margin-block: 1rem; }}
</style>
</head>
<body>
<main>
<h1>Sunup is running</h1>
<p>A demo appointment is booked. Open the two links in two windows.</p>
<ul>
<li><strong>Consultant</strong><br><a id="host-link" href="{host_url}">Open the host link</a></li>
<li><strong>Customer</strong><br><a id="guest-link" href="{guest_url}">Open the guest link</a></li>
</ul>
<p>The API key for REST is in <code>dev.json</code> in the data folder.</p>
</main>
</body>
</html>
"""


class DevLinks:
    """Answers ``/`` and ``/dev/links``.

    Args:
        links: reads ``host_url`` and ``guest_url``.
        base_url: where visitors reach the pages.
    """

    def __init__(self, links: Callable[[], Awaitable[Mapping[str, str]]], base_url: str) -> None:
        self._links = links
        self._base_url = base_url

    async def page(self, request: web.Request) -> web.Response:
        """``GET /``."""
        self._check_host(request)
        nonce = secrets.token_urlsafe(16)
        links = {name: html_escape.escape(url) for name, url in (await self._shown()).items()}
        return html(_PAGE.format(nonce=nonce, **links), nonce, self._base_url)

    async def json(self, request: web.Request) -> web.Response:
        """``GET /dev/links``."""
        self._check_host(request)
        return web.json_response(await self._shown(), headers={"Cache-Control": "no-store"})

    def _check_host(self, request: web.Request) -> None:
        with contextlib.suppress(ValueError):
            host = URL(f"//{request.host}").host or ""
            if host in {"localhost", URL(self._base_url).host} or _is_address(host):
                return
        raise web.HTTPMisdirectedRequest(text="This page has another name.\n")

    async def _shown(self) -> dict[str, str]:
        links = await self._links()
        return {name: links[name] for name in ("host_url", "guest_url")}


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
