"""One public port: pages, REST, WebSocket, and what an anonymous host can and cannot do to it."""

import asyncio
import contextlib
import gzip
import json
import os
import re
import socket
import stat
import subprocess
import sys

import aiohttp
import pytest
from websockets.exceptions import InvalidStatus

from tests.support import client
from tests.support.api import Api
from tests.support.ports import free_port
from tests.support.server import ROOT
from tests.support.wait import until


async def raw(port, *pieces):
    """Send bytes on a bare connection; everything that comes back until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        return await asyncio.wait_for(reader.read(), 15)
    finally:
        writer.close()


async def reading(server, name):
    """One number of /metrics."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{server.url}/metrics") as answer,
    ):
        found = re.search(rf"^sunup_signaling_{name} (\S+)$", await answer.text(), re.MULTILINE)
    return float(found[1])


async def test_clients_that_hang_do_not_hold_up_the_end(sqlite_server):
    """Half a body, a socket that never answers a goodbye, a member who reads nothing: it ends."""
    server = sqlite_server
    half = (
        b"POST /m/abc/join HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
        b"Content-Length: 100\r\n\r\n{"
    )
    upgrade = (
        b"GET /ws HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Protocol: sunup.v1.json\r\n\r\n"
    )
    _, poster = await asyncio.open_connection("127.0.0.1", server.port)
    poster.write(half)
    reader, upgraded = await asyncio.open_connection("127.0.0.1", server.port)
    upgraded.write(upgrade)
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    booked = await Api(server.url, server.dev["api_key"]).book()
    member = await client.enter(booked["host_url"])
    member.paused.clear()
    async with asyncio.timeout(15):  # a body has 20 s while the server serves
        assert await server.stop() == 0, server.log[-4000:]
    assert not server.traceback, server.traceback
    member.paused.set()
    for writer in (poster, upgraded):
        writer.close()


async def test_everything_is_on_one_port(sqlite_server):
    """Health, metrics, REST, the first page and the WebSocket share an address."""
    async with aiohttp.ClientSession() as session:
        for path, status, holds in (
            ("/healthz", 200, "ok"),
            ("/metrics", 200, "sunup_signaling_connections"),
            *(
                ("/metrics", 200, f"sunup_signaling_{name}_waiting 0.0")
                for name in ("turns", "requests", "rest", "writes")
            ),
            ("/metrics", 200, "sunup_signaling_shed_frames_total 0.0"),
            ("/openapi.json", 200, '"openapi"'),
            ("/v1/people", 401, "unauthorized"),
            ("/", 200, "host-link"),
            ("/ws", 426, "WebSocket"),
            ("/no/such/page", 404, "No such page"),
            ("/%2e%2e/%2e%2e/etc/passwd", 404, "No such page"),
        ):
            async with session.get(sqlite_server.url + path) as answer:
                assert answer.status == status, path
                assert holds in await answer.text(), path
        links = await (await session.get(f"{sqlite_server.url}/dev/links")).json()
    assert links == {name: sqlite_server.dev[name] for name in ("host_url", "guest_url")}
    peer = await client.enter(links["host_url"])
    await peer.close()


async def test_the_demos_links_are_told_under_our_own_names_alone(sqlite_server):
    """A site that points its name here cannot read them from its visitors' browsers."""
    port = sqlite_server.port
    hosts = {
        "evil.example": 421,
        f"127.0.0.1.evil.example:{port}": 421,
        f"localhost:{port}": 200,
        "192.0.2.7": 200,
        f"[::1]:{port}": 200,
    }
    async with aiohttp.ClientSession() as session:
        for path in ("/", "/dev/links"):
            for host, status in hosts.items():
                async with session.get(sqlite_server.url + path, headers={"Host": host}) as answer:
                    assert answer.status == status, (path, host)


async def test_pages_carry_a_fresh_nonce_and_a_strict_policy(sqlite_server):
    """Each answer has its own nonce, in the policy and in the page; nothing is framed."""
    nonces = set()
    async with aiohttp.ClientSession() as session:
        for _ in range(2):
            async with session.get(f"{sqlite_server.url}/") as answer:
                policy = answer.headers["Content-Security-Policy"]
                text = await answer.text()
                assert answer.headers["Cache-Control"] == "no-cache"
            nonce = re.search(r"'nonce-([^']+)'", policy)[1]
            assert f'nonce="{nonce}"' in text
            nonces.add(nonce)
            for directive in (
                "default-src 'none'", "script-src 'self'", "object-src 'none'",
                "frame-ancestors 'none'", "require-trusted-types-for 'script'",
            ):  # fmt: skip
                assert directive in policy
            assert "unsafe" not in policy
    assert len(nonces) == 2


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("{own}", None),
        (None, None),
        ("https://evil.example", 403),
        ("null", 403),
        ("{own}.evil.example", 403),
        ("http://127.0.0.1", 403),
        ("file://", 403),
    ],
)
async def test_only_our_own_pages_may_open_the_websocket(sqlite_server, origin, status):
    """Exact origins; clients that are no browsers send none."""
    shown = origin and origin.format(own=sqlite_server.url)
    ws = sqlite_server.url.replace("http", "ws") + "/ws"
    if status is None:
        async with client.connected(ws, origin=shown) as peer:
            await peer.ping()
        return
    with pytest.raises(InvalidStatus) as refused:
        await client.open_socket(ws, origin=shown)
    assert refused.value.response.status_code == status


async def test_a_websocket_needs_the_right_path_and_subprotocol(sqlite_server):
    """Another path is 404, an unknown subprotocol 400, and the answer says which there are."""
    base = sqlite_server.url.replace("http", "ws")
    with pytest.raises(InvalidStatus) as refused:
        await client.open_socket(f"{base}/other")
    assert refused.value.response.status_code == 404
    with pytest.raises(InvalidStatus) as refused:
        await client.open_socket(f"{base}/ws", subprotocol="other.v1")
    assert refused.value.response.status_code == 400
    assert client.JSON.encode() in refused.value.response.body


async def test_large_bodies_and_kept_connections_reach_http(sqlite_server):
    """The sniffing gives the whole connection away: bodies and later requests are whole."""
    async with aiohttp.ClientSession() as session:
        for _ in range(3):
            async with session.post(
                f"{sqlite_server.url}/v1/people", data=b"x" * 200_000
            ) as answer:
                assert answer.status == 401
                await answer.read()
        assert len(session.connector._conns) <= 1


async def test_a_kept_connection_may_become_a_websocket(sqlite_server):
    """Proxies and clients reuse connections: the upgrade may be a later request on one."""
    server = sqlite_server
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
        for _ in range(2):
            async with session.get(f"{server.url}/healthz") as answer:
                assert await answer.text() == "ok\n"
        assert len(session.connector._conns) == 1
        (kept,) = next(iter(session.connector._conns.values()))
        number = kept[0].transport.get_extra_info("sockname")
        async with session.ws_connect(f"{server.url}/ws", protocols=[client.JSON]) as socket:
            assert socket.get_extra_info("sockname") == number
            await socket.send_json({"ping": 7})
            assert (await socket.receive_json(timeout=10))["pong"] == 7
            await until(lambda: counted(server, 2))  # the other one is who asks for the number
    await until(lambda: counted(server, 1))


async def counted(server, number):
    """Whether so many sockets are nobody's."""
    return await reading(server, "anonymous_sockets") == number


async def test_a_late_upgrade_is_checked_like_an_early_one(sqlite_server):
    """Another site's page is refused on a kept connection, too, and the connection ends."""
    first = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    upgrade = (
        b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Origin: https://evil.example\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", sqlite_server.port)
    writer.write(first)
    assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
    writer.write(upgrade)
    assert b" 403 " in await asyncio.wait_for(reader.read(), 15)
    writer.close()


async def test_heads_that_are_too_large_or_no_http_are_refused(sqlite_server):
    """16 KiB of head is the limit; noise gets an answer or a close, never a hang."""
    port = sqlite_server.port
    assert b"431" in await raw(port, b"GET / HTTP/1.1\r\nX: " + b"a" * 20_000)
    assert b"400" in await raw(port, b"nonsense\r\n\r\n")
    assert b"400" in await raw(port, b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{sqlite_server.url}/healthz") as answer,
    ):
        assert answer.status == 200


async def test_a_body_that_was_compressed_is_refused_as_it_is(sqlite_server):
    """Nothing inflates it: a megabyte from a stranger could be a gigabyte of work."""
    bodies = {"gzip": gzip.compress(b"{}"), "deflate": b"garbage", "br": b""}
    key = {"Authorization": f"Bearer {sqlite_server.dev['api_key']}"}
    async with aiohttp.ClientSession() as session:
        for path, status in (("/v1/people", 415), ("/m/abc/join", 400), ("/healthz", 405)):
            for encoding, body in bodies.items():
                headers = {**key, "Content-Encoding": encoding, "Content-Type": "application/json"}
                url = sqlite_server.url + path
                async with session.post(url, data=body, headers=headers) as answer:
                    assert answer.status == status, (path, encoding, await answer.text())
    assert not sqlite_server.traceback


async def test_a_head_that_comes_one_byte_at_a_time_is_whole(sqlite_server):
    """A slow but honest client is served."""
    pieces = [
        bytes([byte]) for byte in b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    ]
    assert b"200 OK" in await raw(sqlite_server.port, *pieces)


@pytest.mark.parametrize("setting", ["SUNUP_PORT", "SUNUP_MEDIA_PORT"])
async def test_a_taken_port_is_one_clear_line(sqlite_server, tmp_path, setting):
    """TCP or UDP: exit code 2, what is taken, and which setting to change; no traceback."""
    ports = {"SUNUP_PORT": str(free_port()), "SUNUP_MEDIA_PORT": str(free_port())}
    taken = {"SUNUP_PORT": sqlite_server.port, "SUNUP_MEDIA_PORT": sqlite_server.media_port}
    ports[setting] = str(taken[setting])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "signaling", "dev",
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SUNUP_DATA_DIR": str(tmp_path / "o"), **ports},
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    lines = output.decode().strip().splitlines()
    assert len(lines) == 1, lines
    assert setting in lines[0]
    assert process.returncode == 2


@pytest.mark.parametrize("host", ["999.1.1.1", "192.0.2.1"])
async def test_an_address_that_is_not_here_is_one_clear_line(tmp_path, host):
    """No address at all, or another machine's (RFC 5737): the line names the setting."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "signaling", "dev",
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={
            **os.environ, "PYTHONPATH": str(ROOT), "SUNUP_DATA_DIR": str(tmp_path / "o"),
            "SUNUP_HOST": host, "SUNUP_PORT": str(free_port()),
            "SUNUP_MEDIA_PORT": str(free_port()),
        },
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    (line,) = output.decode().strip().splitlines()
    assert re.match(rf"sunup: host: {re.escape(host)}: [\w ]+; set SUNUP_HOST$", line), line
    assert process.returncode == 2


async def test_a_second_start_keeps_data_and_links(make_server):
    """The same links and key after a restart, also under another port; dev.json is private."""
    server = make_server()
    await server.start()
    first = server.dev
    assert stat.S_IMODE((server.data / "dev.json").stat().st_mode) == 0o600
    assert set(first) == {"url", "api_key", "host_url", "guest_url"}
    host = await client.enter(first["host_url"])
    await host.ask("chat.send", {"body": "kept"})
    assert await server.stop() == 0
    assert await host.closed() == 4503
    assert host.events[-1]["t"] == "draining"
    server.port = free_port()
    await server.start()
    second = server.dev
    assert second["api_key"] == first["api_key"]
    assert second["guest_url"].partition("/m/")[2] == first["guest_url"].partition("/m/")[2]
    assert second["host_url"].startswith(server.url)
    again = await client.enter(second["host_url"])
    assert [message["body"] for message in again.snapshot["chat"]] == ["kept"]
    await again.close()
    assert await server.stop() == 0
    assert not server.traceback, server.traceback


async def test_a_start_after_the_end_books_again_in_the_same_tenant(make_server):
    """When the demo's meeting is over, the next start has links that work and the same key."""
    server = make_server()
    await server.start()
    first = server.dev
    person = await Api(server.url, first["api_key"]).create("/v1/people", {"first_name": "Kept"})
    host = await client.enter(first["host_url"])
    await host.ask("room.end")
    await host.closed()
    assert await server.stop() == 0
    for _ in range(2):  # and it stays with that
        await server.start()
        again = server.dev
        assert again["api_key"] == first["api_key"]
        assert again["host_url"] != first["host_url"]
        host = await client.enter(again["host_url"])
        await host.close()
        assert await Api(server.url, again["api_key"]).get(f"/v1/people/{person['id']}")
        assert await server.stop() == 0


async def test_the_first_page_leads_to_a_meeting_that_can_be_entered(make_server):
    """Once the demo's meeting is over, the page and dev.json hold the links of another one."""
    server = make_server()
    await server.start()
    first = server.dev
    host = await client.enter(first["host_url"])
    await host.ask("room.end")
    await host.closed()
    async with aiohttp.ClientSession() as session:
        pages = await asyncio.gather(*(_json(session, f"{server.url}/dev/links") for _ in range(5)))
    again = json.loads((server.data / "dev.json").read_text())
    assert again["api_key"] == first["api_key"]
    assert again["host_url"] != first["host_url"]
    assert pages == [{name: again[name] for name in ("host_url", "guest_url")}] * 5
    host = await client.enter(again["host_url"])
    await host.close()
    assert await server.stop() == 0


async def _json(session, url):
    async with session.get(url) as answer:
        assert answer.status == 200
        return await answer.json()


async def test_nothing_secret_is_logged(sqlite_server):
    """Tokens, link and resume secrets, names, chat and SDP stand in no log line."""
    host = await client.enter(sqlite_server.dev["host_url"], name="CanaryName")
    await host.ask("chat.send", {"body": "CanaryBody"})
    assert " hello client=" in sqlite_server.log
    with pytest.raises(client.RefusedError):
        await host.ask("media.offer", {"sdp": "v=0 CanarySdp"})
    again = await client.resume(host)
    await again.ask("room.end")
    await again.closed()
    log = sqlite_server.log
    for secret in ("CanaryName", "CanaryBody", "CanarySdp", host.hello_reply["resume"]["secret"]):
        assert secret not in log
    banner, _, rest = log.partition("Press Ctrl-C")
    assert sqlite_server.dev["host_url"].partition("#k=")[2] not in rest
    assert json.dumps(host.hello_reply)[:20] not in banner


async def test_an_impatient_upgrade_leaves_no_traceback(sqlite_server):
    """Frames before the answer, or the end of the stream: the connection ends, and nothing else."""
    heads = [
        f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        for path in ("/no/such/page", "/ws")
    ]
    for number in range(60):
        with socket.create_connection(("127.0.0.1", sqlite_server.port)) as connection:
            connection.sendall(heads[number % 2] + b"\xff" * (number % 3 * 10))
            if number % 4 == 0:
                connection.shutdown(socket.SHUT_WR)
            connection.settimeout(5)
            with contextlib.suppress(ConnectionResetError):
                await asyncio.to_thread(connection.recv, 100)
    assert not sqlite_server.traceback, sqlite_server.traceback
