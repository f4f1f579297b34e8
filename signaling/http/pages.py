"""The web pages: the built app under strict headers; dev mode's page of links is in ``dev``.

HTML is sent with a fresh nonce each time, in its Content-Security-Policy and in
``<meta property="csp-nonce">``, and is never cached without asking; files with a hash in their
name are immutable. Only files that were there at the start are served, by name from a table, so no
path can lead out of the folder.
"""

import hashlib
import mimetypes
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from aiohttp import web

from .cors import ANYBODY

MEET_PAGE: Final = "meet.html"
SDK: Final = "sdk/"
NONCE_PLACE: Final = "__CSP_NONCE__"
_HASHED: Final = re.compile(r"[-.][A-Za-z0-9_-]{8,}\.[a-z0-9]+\Z")
_TYPES: Final = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".html": "text/html",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".wasm": "application/wasm",
    ".woff2": "font/woff2",
    ".map": "application/json",
}
_META: Final = re.compile(
    r'<meta\s+property="csp-nonce"\s+(?:content|nonce)="[^"]*"\s*/?>', re.IGNORECASE
)


class Page(NamedTuple):
    """One file, in memory."""

    body: bytes
    content_type: str
    etag: str
    immutable: bool


def security_headers(nonce: str, base_url: str) -> dict[str, str]:
    """The headers of every page; `base_url` is where visitors reach it."""
    # Some browsers do not count ws: of the same host as 'self'.
    connect = "'self' ws" + base_url.removeprefix("http")
    policy = (
        "default-src 'none'; "
        "script-src 'self'; "
        f"style-src 'self' 'nonce-{nonce}'; "
        "img-src 'self' data: blob:; media-src 'self' blob: mediastream:; font-src 'self'; "
        f"connect-src {connect}; worker-src 'self'; manifest-src 'self'; "
        "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types sunup"
    )
    headers = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self), "
        "geolocation=(), payment=(), usb=()",
    }
    if base_url.startswith("https:"):
        headers["Strict-Transport-Security"] = "max-age=31536000"
    return headers


class Pages:
    """The files of the built web app.

    Args:
        folder: ``web/dist``; when it is missing, pages say how to build it.
        base_url: where visitors reach the pages.
    """

    def __init__(self, folder: Path, base_url: str) -> None:
        self._base_url = base_url
        self._pages = _read_all(folder)

    async def meet(self, request: web.Request) -> web.StreamResponse:
        """``GET /m/{code}``: the app; the code and the secret are read by the page itself."""
        return self._answer(request, MEET_PAGE)

    async def file(self, request: web.Request) -> web.StreamResponse:
        """Any other file of the build."""
        return self._answer(request, request.match_info["path"])

    def _answer(self, request: web.Request, name: str) -> web.StreamResponse:
        page = self._pages.get(name) or self._pages.get(f"{name.rstrip('/')}/index.html")
        if page is None:
            missing = name == MEET_PAGE
            text = "The web pages are not built: run make run.\n" if missing else "No such page.\n"
            status = 503 if missing else 404
            headers = security_headers(secrets.token_urlsafe(16), self._base_url)
            return web.Response(text=text, status=status, headers=headers)
        if page.content_type == "text/html":
            return self._html(page.body)
        headers = {
            "ETag": page.etag,
            "Cache-Control": (
                "public, max-age=31536000, immutable" if page.immutable else "no-cache"
            ),
            "X-Content-Type-Options": "nosniff",
            **(ANYBODY if name.startswith(SDK) else {}),
        }
        if page.etag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        return web.Response(body=page.body, content_type=page.content_type, headers=headers)

    def _html(self, body: bytes) -> web.Response:
        nonce = secrets.token_urlsafe(16)
        return html(with_nonce(body.decode(), nonce), nonce, self._base_url)


def html(text: str, nonce: str, base_url: str) -> web.Response:
    """An HTML answer under the page headers."""
    headers = {**security_headers(nonce, base_url), "Cache-Control": "no-cache"}
    return web.Response(text=text, content_type="text/html", charset="utf-8", headers=headers)


def with_nonce(text: str, nonce: str) -> str:
    """The page with this answer's nonce where the app and its style elements look for it."""
    text = text.replace(NONCE_PLACE, nonce)
    meta = f'<meta property="csp-nonce" content="{nonce}" nonce="{nonce}">'
    if _META.search(text):
        return _META.sub(meta, text, count=1)
    return text.replace("<head>", f"<head>{meta}", 1)


def _read_all(folder: Path) -> Mapping[str, Page]:
    found: dict[str, Page] = {}
    if not folder.is_dir():
        return found
    root = folder.resolve()
    for path in sorted(root.rglob("*")):
        if not path.is_file() or not path.resolve().is_relative_to(root):
            continue
        body = path.read_bytes()
        name = path.relative_to(root).as_posix()
        guessed = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
        found[name] = Page(
            body,
            guessed or "application/octet-stream",
            f'"{hashlib.sha256(body).hexdigest()[:32]}"',
            _HASHED.search(path.name) is not None and path.suffix != ".html",
        )
    return found
