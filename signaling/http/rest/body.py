"""Reading a JSON body that nobody has checked yet: its size, its type, its depth."""

from typing import Any

import aiohttp.web
import msgspec

from crm_core.resources.fields import MAX_JSON_ITEMS, check_json

from ..incoming import BodyError, EncodedError, TooLargeError, TooSlowError, read_plain_body
from .endpoint import Call
from .problems import HttpProblem

MAX_BODY = 1024 * 1024
SMALL_BODY = 16 * 1024
"""Larger ones are milliseconds of the loop, for which their callers take turns."""
_MEDIA_TYPES = ("application/json", "application/merge-patch+json")


async def read_json(call: Call) -> tuple[Any, bytes]:
    """The decoded body and its bytes; no body counts as ``{}``.

    Raises:
        HttpProblem: 413 too large, 415 another media type or compressed, 408 too slow, 400 no JSON, too deep,
            cut off or garbled, 429 too many wait, or too many large ones are there.
    """
    length = call.request.content_length
    if call.request.body_exists and (length is None or length > SMALL_BODY):
        call.hold_body()
    raw = await _read(call.request)
    if not raw:
        return {}, raw
    if call.request.content_type not in _MEDIA_TYPES:
        raise HttpProblem(415, "unsupported_media_type", "send application/json")
    if len(raw) <= SMALL_BODY:
        return _decode(raw), raw
    async with call.decoding():
        return _decode(raw), raw


def _decode(raw: bytes) -> Any:
    if _has_too_many_values(raw):
        raise HttpProblem(400, "bad_json", "the body cannot be used: too many values")
    try:
        value = msgspec.json.decode(raw)
        check_json(value)
    except msgspec.DecodeError as error:
        raise HttpProblem(400, "bad_json", f"the body is not JSON: {error}") from None
    except UnicodeDecodeError:
        raise HttpProblem(400, "bad_json", "the body is not UTF-8") from None
    except RecursionError:
        raise HttpProblem(400, "bad_json", "the body is nested too deeply") from None
    except ValueError as error:
        raise HttpProblem(400, "bad_json", f"the body cannot be used: {error}") from None
    return value


def _has_too_many_values(raw: bytes) -> bool:
    """Whether `check_json` would refuse it for certain, told before anything is made of it.

    A megabyte of empty lists is a sixth of a second of decoding. What stands in strings counts
    nothing: they are between quotes that no backslash escapes (RFC 8259 section 7).
    """
    plain = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    if plain.count(b'"') > 4 * MAX_JSON_ITEMS:  # a name and a text for each
        return True
    outside = b"".join(plain.split(b'"')[::2])
    return sum(outside.count(mark) for mark in (b",", b"[", b"{")) > 2 * MAX_JSON_ITEMS


async def _read(request: aiohttp.web.Request) -> bytes:
    """The body's bytes, never more than `MAX_BODY` of them in memory."""
    too_large = HttpProblem(413, "too_large", f"a body has at most {MAX_BODY} bytes")
    if request.content_length is not None and request.content_length > MAX_BODY:
        raise too_large
    try:
        return await read_plain_body(request, MAX_BODY)
    except TooLargeError:
        raise too_large from None
    except EncodedError as error:
        headers = {"Accept-Encoding": "identity"}  # RFC 9110 section 12.5.3
        raise HttpProblem(415, "unsupported_media_type", str(error), headers=headers) from None
    except TooSlowError as error:
        raise HttpProblem(408, "timeout", str(error)) from None
    except BodyError as error:
        raise HttpProblem(400, "bad_request", str(error)) from None
