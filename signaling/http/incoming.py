"""Reading a request's body from somebody who may send too much, too slowly, or not to its end.

What the bytes mean is the callers' business: `join` and ``rest/body``.
"""

import asyncio
from typing import Final

from aiohttp import StreamReader
from aiohttp.web import BaseRequest, RequestPayloadError

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


class GarbledError(BodyError):
    """It is not what its head announced."""


class EncodedError(BodyError):
    """It is compressed; nothing here inflates what a stranger sends."""


async def read_plain_body(request: BaseRequest, limit: int) -> bytes:
    """All bytes of the request's body.

    Raises:
        EncodedError: it has a Content-Encoding.
        BodyError: as `read_body`.
    """
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise EncodedError("send the body as it is, without Content-Encoding")
    return await read_body(request.content, limit)


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
        GarbledError: its chunks are none.
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
    except RequestPayloadError as error:
        raise GarbledError(f"the body cannot be read: {error}") from None
    return bytes(data)
