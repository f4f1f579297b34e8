"""Generated REST bodies, and heads that are no HTTP, at a whole server."""

import asyncio
import contextlib
import gzip
import random
from collections import Counter

import aiohttp
from yarl import URL

from tests.support.api import Api

from .bodies import Request, Routes
from .bystanders import weathering
from .noise import ROUNDS, Noise, seeded

ATTACKERS = 4
HEADS = (
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01",
    b"A" * 40_000,
    (
        b"POST /v1/people HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    (
        b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ),
    (
        b"POST /m/abc/join HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 99999999999\r\n\r\n{}"
    ),
    b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
    (
        b"POST /m/abc/join HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"
    ),
    *(
        b"POST /m/abc/join HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Encoding: %s\r\nContent-Length: %d\r\n\r\n%s" % (encoding, len(body), body)
        for encoding, body in ((b"deflate", b"0123456789"), (b"gzip", gzip.compress(bytes(2**20))))
    ),
)


async def storm(
    session: aiohttp.ClientSession, base: str, routes: Routes, noise: Noise, rounds: int
) -> Counter[str]:
    """So many requests, one after the other; what came back."""
    outcomes: Counter[str] = Counter()
    for _ in range(rounds):
        request = routes.request(noise)
        outcomes[await send(session, base, request, routes)] += 1
    return outcomes


async def send(session: aiohttp.ClientSession, base: str, request: Request, routes: Routes) -> str:
    """One request; its status, checked."""
    async with session.request(
        request.method, URL(base + request.path, encoded=True), data=request.body,
        headers=request.headers, allow_redirects=False,
    ) as answer:  # fmt: skip
        body = await answer.read()
        busy = answer.status == 503 and "Retry-After" in answer.headers
        assert answer.status < 500 or busy, (request, answer.status, body[:500])
        if answer.status >= 400 and answer.content_type != "text/plain":
            assert answer.content_type == "application/problem+json", (request, body[:500])
        if answer.status == 201 and len(routes.ids) < 500:
            routes.ids.append((await answer.json())["id"])
        return str(answer.status)


async def test_no_rest_body_harms_the_server_or_anybody_in_it(server):
    """Each generated request gets a typed answer below 500; a meeting beside goes on."""
    noise = seeded("rest")
    key = server.dev["api_key"]
    async with (
        weathering(server),
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session,
    ):
        async with session.get(f"{server.url}/openapi.json") as answer:
            routes = Routes(await answer.json())
        booked = await Api(server.url, key).book()
        routes.ids += [booked["id"], booked["person"]["id"], booked["lead"]["id"]]
        storms = [
            storm(session, server.url, routes, Noise(random.Random(noise.rng.random())), share)
            for share in [ROUNDS // ATTACKERS] * ATTACKERS
        ]
        outcomes = sum(await asyncio.gather(*storms), Counter())
    print(outcomes)
    # It got through to the services, not just to the JSON parser.
    assert outcomes["201"] > ROUNDS / 100
    assert outcomes["422"] + outcomes["400"] > ROUNDS / 10


async def test_no_http_head_harms_the_server_or_anybody_in_it(server):
    """What is no HTTP, half of it or too much of it ends its own connection and nothing else."""
    noise = seeded("heads")
    cut_off = (
        b"POST /v1/people HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 100\r\nAuthorization: Bearer " + server.dev["api_key"].encode()
    ) + b'\r\n\r\n{"first_name":'
    answered = 0
    async with weathering(server):
        for _ in range(ROUNDS):
            head = noise.rng.choice((*HEADS, cut_off))
            if noise.chance(0.7):
                head = noise.spoil_bytes(head)
            answered += await shout(server.port, head)
    print(f"{answered} of {ROUNDS} heads were answered")
    assert answered > ROUNDS / 10


async def shout(port: int, head: bytes) -> bool:
    """Send raw bytes, end the sending side, and see whether an HTTP answer comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    # The server may hang up in the middle of it; that is an answer, too.
    with contextlib.suppress(ConnectionError):
        writer.write(head)
        with contextlib.suppress(OSError):  # ENOTCONN: it has hung up already
            writer.write_eof()
        async with asyncio.timeout(20):
            answer = await reader.read(4096)
    writer.close()
    status = answer[9:12]
    assert not answer or answer.startswith(b"HTTP/"), answer
    assert not status.startswith(b"5") or status == b"503", answer
    return bool(answer)
