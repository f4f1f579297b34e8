"""Reading a request's body from somebody who may send too much, too slowly, or not to its end.

What the bytes mean is the callers' business: `join` and ``rest/body``.
"""

import asyncio
from typing import Final

from aiohttp import StreamReader

WITHIN: Final = 20.0
"""Seconds in which a body must be here."""


class BodyError(Exception):
    """The body cannot be had; the text is a sentence for whoever sent it."""


class TooLargeError(BodyError):
    """It is longer than allowed."""


class TooSlowError(BodyError):
    """It did not come in time."""


class CutOffError(BodyError):
    """The caller hung up in the middle of it."""


async def read_body(content: StreamReader, limit: int, *, within: float = WITHIN) -> bytes:
    """All bytes of the body, never more than `limit` of them in memory.

    Args:
        content: of the request.
        limit: bytes at the most.
        within: seconds.

    Raises:
        TooLargeError: it has more.
        TooSlowError: it is not complete within the time.
        CutOffError: the connection ended before it did; nobody reads the answer.
    """
    data = bytearray()
    try:
        async with asyncio.timeout(within):
            async for chunk in content.iter_any():
                data += chunk
                if len(data) > limit:
                    raise TooLargeError(f"a body has at most {limit} bytes")
    except TimeoutError:
        raise TooSlowError(f"the body did not come within {within:g} seconds") from None
    except ConnectionError:
        raise CutOffError("the connection ended within the body") from None
    return bytes(data)
