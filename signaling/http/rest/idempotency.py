"""Idempotency-Key: a POST that is sent again does nothing again and gets the first answer.

The key is written in the transaction of what the request does, so both happen or neither. A second
request with the key waits for the first to commit. Answers may hold link secrets, which are stored
nowhere else: they are sealed under the caller's own API key, which the database does not know.
"""

import base64
import hashlib
import secrets
from datetime import timedelta
from typing import Any

import aiohttp.web
import msgspec
import sqlalchemy as sa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy.exc import IntegrityError

from crm_core.changes.models import IdempotencyKey
from storage.database import Unit

from .endpoint import Call
from .problems import HttpProblem

MAX_KEY = 255
LIFETIME = timedelta(hours=24)
SWEPT = 5
"""Keys whose day is over that a request removes: it leaves one, so these do not pile up, and the answer of
each may be some megabytes."""
REPLAYED = "Idempotency-Replayed"


class Replay(Exception):  # control flow: the answer exists already
    """The request was done before; carries its answer."""

    def __init__(self, response: aiohttp.web.Response) -> None:
        super().__init__("replayed")
        self.response = response


def read_key(call: Call) -> str | None:
    """The request's key.

    Raises:
        HttpProblem: 400, it is empty, too long or not printable ASCII.
    """
    key = call.request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 1 <= len(key) <= MAX_KEY or not key.isascii() or not key.isprintable():
        raise HttpProblem(
            400,
            "bad_idempotency_key",
            f"Idempotency-Key is 1 to {MAX_KEY} printable ASCII characters",
        )
    return key


def request_hash(call: Call, body: bytes) -> bytes:
    """What must be equal for two requests to be one."""
    request = call.request
    # Another API key could not open the sealed answer, so its request is another one.
    who = call.grant.api_key_id.bytes
    parts = (who, request.method.encode(), request.path.encode(), body)
    return hashlib.sha256(b"\0".join(parts)).digest()


async def begin(unit: Unit, call: Call, key: str, fingerprint: bytes) -> IdempotencyKey:
    """Take the key for this transaction.

    Raises:
        Replay: the request was done before.
        HttpProblem: 422, the key belongs to another request.
    """
    await _sweep(unit, key)
    row = IdempotencyKey(
        key=key, request_hash=fingerprint, created_at=unit.now, expires_at=unit.now + LIFETIME
    )
    found = await _find(unit, key)
    if found is None:
        try:
            # A request with this key that is under way makes this wait for its commit.
            async with unit.session.begin_nested():
                await unit.add(row)
        except IntegrityError:
            found = await _find(unit, key)
            if found is None:
                raise
        else:
            return row
    if found.request_hash != fingerprint:
        raise HttpProblem(
            422, "idempotency_key_reused", "this Idempotency-Key was used for another request"
        )
    raise Replay(_open(call, found))


def remember(call: Call, row: IdempotencyKey, response: aiohttp.web.Response) -> None:
    """Keep the answer with the key; it becomes durable with what the request did."""
    answer = {
        "body": bytes(response.body or b"").decode(),  # type: ignore[arg-type]  # ours are bytes
        "headers": {
            name: response.headers[name]
            for name in ("ETag", "Location")
            if name in response.headers
        },
    }
    nonce = secrets.token_bytes(12)
    sealed = _cipher(call).encrypt(nonce, msgspec.json.encode(answer), _bound_to(call, row))
    row.status = response.status
    row.response = {"sealed": base64.b64encode(nonce + sealed).decode()}


def _open(call: Call, row: IdempotencyKey) -> aiohttp.web.Response:
    """The remembered answer."""
    blob = base64.b64decode((row.response or {})["sealed"])
    answer: dict[str, Any] = msgspec.json.decode(
        _cipher(call).decrypt(blob[:12], blob[12:], _bound_to(call, row))
    )
    return aiohttp.web.Response(
        status=row.status or 200,
        body=answer["body"].encode(),
        content_type="application/json",
        headers={**answer["headers"], "Cache-Control": "no-cache", REPLAYED: "true"},
    )


def _cipher(call: Call) -> AESGCM:
    return AESGCM(hashlib.sha256(b"sunup idempotency\0" + call.secret.encode()).digest())


def _bound_to(call: Call, row: IdempotencyKey) -> bytes:
    return call.grant.tenant_id.bytes + row.key.encode()


async def _sweep(unit: Unit, key: str) -> None:
    """Remove this key if its day is over, and some others: never many, never waiting for a twin."""
    old = IdempotencyKey.expires_at <= unit.now
    some = sa.select(IdempotencyKey.key).where(old).order_by(IdempotencyKey.expires_at)
    for which in (
        IdempotencyKey.key == key,
        IdempotencyKey.key.in_(some.limit(SWEPT).with_for_update(skip_locked=True)),
    ):
        await unit.session.execute(
            sa.delete(IdempotencyKey).where(old, which).execution_options(synchronize_session=False)
        )


async def _find(unit: Unit, key: str) -> IdempotencyKey | None:
    return await unit.session.scalar(
        sa.select(IdempotencyKey)
        .where(IdempotencyKey.key == key)
        .execution_options(populate_existing=True)
    )
