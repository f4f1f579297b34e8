"""Large answers on their way: written in their handler, to whoever takes them in time.

A finished answer that nobody reads is memory for as long as its connection lasts. Here it is known
when one has been taken; how many of a key may be under way is `turns`' business.
"""

import asyncio
from typing import Final, TypeGuard

import aiohttp.web

SMALL: Final = 256 * 1024
"""Bytes of an answer that nobody counts."""
PATIENCE: Final = 30.0
"""Seconds for which a caller need take nothing of a large answer."""
SLOWEST: Final = 64 * 1024
"""Bytes of it per second that a caller must take after that."""


def is_large(response: aiohttp.web.StreamResponse) -> TypeGuard[aiohttp.web.Response]:
    """Whether it is to be sent by `send`."""
    return isinstance(response, aiohttp.web.Response) and _size(response) > SMALL


async def send(request: aiohttp.web.Request, response: aiohttp.web.Response) -> None:
    """Write an answer until the caller has taken it, but for what the kernel holds.

    Who takes it too slowly is cut off.
    """
    try:
        async with asyncio.timeout(PATIENCE + _size(response) / SLOWEST):
            await response.prepare(request)
            await response.write_eof()
    except (TimeoutError, ConnectionError):
        if request.transport is not None:
            request.transport.abort()


def _size(response: aiohttp.web.Response) -> int:
    return len(response.body) if isinstance(response.body, bytes) else 0
