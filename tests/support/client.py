"""A client of the WebSocket protocol for tests, written from ``docs/reference/protocol.md``.

It knows nothing of the server's code: frames are plain dicts, in JSON or MessagePack. It keeps
every frame it got, in order, and the positions a resume needs.
"""

import asyncio
import contextlib
import itertools
import json
import socket
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgpack
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.support.wait import PATIENCE

JSON = "sunup.v1.json"
MSGPACK = "sunup.v1.msgpack"
_numbers = itertools.count(1)


class RefusedError(Exception):
    """The server answered ``ok: false``."""

    def __init__(self, err: dict[str, Any]) -> None:
        super().__init__(f"{err.get('code')}: {err.get('detail')}")
        self.err = err
        self.code = err["code"]


class ClosedError(Exception):
    """The server closed the connection."""

    def __init__(self, code: int | None, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code


async def join_link(url: str, *, device: str | None = None) -> tuple[int, dict[str, Any]]:
    """``POST /m/{code}/join`` for a link; the status and the body."""
    parts = urlsplit(url)
    body = {"secret": parts.fragment.removeprefix("k="), "device": device}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{parts.scheme}://{parts.netloc}{parts.path}/join", json=body) as answer,
    ):
        return answer.status, await answer.json(content_type=None)


class Peer:
    """One WebSocket connection."""

    def __init__(self, connection: ClientConnection, subprotocol: str) -> None:
        self._socket = connection
        self._subprotocol = subprotocol
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._changed = asyncio.Event()
        self.frames: list[dict[str, Any]] = []
        """Every frame but pings and pongs, as it came."""
        self.raw_bytes = 0
        self.hello_reply: dict[str, Any] = {}
        self.positions: dict[str, tuple[int, int]] = {}
        self.close_code: int | None = None
        self.close_reason = ""
        self.on_frame: Any = None
        """Called with every frame as it arrives, before anything else happens."""
        self._pong = 0
        self.device = ""
        self.ws = ""
        self.paused = asyncio.Event()
        self.paused.set()
        self._reader = asyncio.create_task(self._read())

    # --- what the peer has seen

    @property
    def id(self) -> str:
        """The own participant id."""
        return self.hello_reply["participant"]

    @property
    def events(self) -> list[dict[str, Any]]:
        """Every event, in order."""
        return [frame for frame in self.frames if "t" in frame]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The bodies of the events of one type."""
        return [event["p"] for event in self.events if event["t"] == kind]

    @property
    def snapshot(self) -> dict[str, Any]:
        """The newest snapshot."""
        return self.of("snapshot")[-1]

    async def until(self, condition: Any, *, timeout: float = PATIENCE) -> Any:
        """Wait until `condition()` is truthy; it is asked after every frame."""
        async with asyncio.timeout(timeout):
            while not (value := condition()):
                if self._reader.done() and not condition():
                    self._reader.result()
                    raise ClosedError(self.close_code, self.close_reason)
                self._changed.clear()
                await self._changed.wait()
        return value

    async def next(self, kind: str, *, count: int = 1, timeout: float = PATIENCE) -> dict[str, Any]:
        """The body of the `count`-th event of this type."""
        await self.until(lambda: len(self.of(kind)) >= count, timeout=timeout)
        return self.of(kind)[count - 1]

    async def closed(self, *, timeout: float = PATIENCE) -> int | None:
        """Wait for the end; the close code."""
        async with asyncio.timeout(timeout):
            await asyncio.wait([self._reader])
        return self.close_code

    # --- what the peer says

    async def send(self, frame: dict[str, Any]) -> None:
        """Send a frame as it is."""
        if self._subprotocol == JSON:
            await self._socket.send(json.dumps(frame))
        else:
            await self._socket.send(msgpack.packb(frame))

    async def send_raw(self, data: str | bytes) -> None:
        """Send what may be no frame at all."""
        await self._socket.send(data)

    async def ask(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        *,
        request_id: str | None = None,
        timeout: float = PATIENCE,
        **more: Any,
    ) -> dict[str, Any]:
        """A request; the whole reply frame.

        Raises:
            RefusedError: ``ok`` is false.
            ClosedError: the connection ended before the reply.
        """
        request_id = request_id or f"r{next(_numbers)}"
        answer = self._waiting[request_id] = asyncio.get_running_loop().create_future()
        try:
            await self.send({"id": request_id, "m": method, "p": params or {}, **more})
        except ConnectionClosed:
            await asyncio.wait([self._reader])
            raise ClosedError(self.close_code, self.close_reason) from None
        async with asyncio.timeout(timeout):
            frame = await answer
        if not frame["ok"]:
            raise RefusedError(frame["err"])
        return frame

    async def say_hello(self, **params: Any) -> dict[str, Any]:
        """The first frame; the reply's ``p``."""
        self.hello_reply = (await self.ask("hello", {"proto": 1, **params}))["p"]
        return self.hello_reply

    def resume_params(self) -> dict[str, Any]:
        """What a later hello needs to go on from here."""
        return {
            "secret": self.hello_reply["resume"]["secret"],
            "streams": {name: list(at) for name, at in self.positions.items()},
        }

    async def close(self) -> None:
        """Close in good order."""
        await self._socket.close()
        await asyncio.wait([self._reader])

    def gone(self) -> bool:
        """Whether the connection has ended."""
        return self._reader.done()

    def cut(self) -> None:
        """Break the TCP connection without a word."""
        self._socket.transport.abort()

    # --- reading

    async def _read(self) -> None:
        try:
            async for data in self._socket:
                await self.paused.wait()
                self.raw_bytes += len(data)
                frame = json.loads(data) if isinstance(data, str) else msgpack.unpackb(data)
                await self._take(frame)
                self._changed.set()
        except ConnectionClosed:
            pass
        finally:
            self.close_code = self._socket.close_code
            self.close_reason = self._socket.close_reason or ""
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(ClosedError(self.close_code, self.close_reason))
                    answer.exception()
            self._changed.set()

    async def _take(self, frame: dict[str, Any]) -> None:
        if "ping" in frame:
            with contextlib.suppress(ConnectionClosed):
                await self.send({"pong": frame["ping"]})
            return
        if "pong" in frame:
            self._pong = max(self._pong, frame["pong"])
            self._changed.set()
            return
        if "batch" in frame:
            for event in frame["batch"]:
                await self._take(event)
            return
        self.frames.append(frame)
        if self.on_frame is not None:
            self.on_frame(frame)
        if "re" in frame:
            answer = self._waiting.pop(frame["re"], None)
            if answer is not None and not answer.done():
                answer.set_result(frame)
        elif frame["t"] == "snapshot":
            self.positions = {st: tuple(at) for st, at in frame["p"]["positions"].items()}
        elif "s" in frame:
            known = self.positions.get(frame["st"], (frame["ep"], 0))
            if known[0] == frame["ep"]:
                expected = known[1] + frame.get("n", 1)
                if frame["s"] != expected and frame["s"] > known[1]:
                    raise AssertionError(f"{frame['st']}: {frame['s']} after {known[1]}")
            self.positions[frame["st"]] = (frame["ep"], max(frame["s"], known[1]))

    async def ping(self) -> None:
        """Return when everything sent so far was read, or the connection has ended."""
        number = next(_numbers)
        await self.send({"ping": number})
        with contextlib.suppress(ClosedError):
            await self.until(lambda: self._pong >= number)


@contextlib.asynccontextmanager
async def connected(ws: str, *, subprotocol: str = JSON, **options: Any) -> AsyncIterator[Peer]:
    """An open connection that has said nothing yet."""
    peer = Peer(await open_socket(ws, subprotocol=subprotocol, **options), subprotocol)
    try:
        yield peer
    finally:
        await peer.close()


async def open_socket(
    ws: str, *, subprotocol: str = JSON, receive_buffer: int | None = None, **options: Any
) -> ClientConnection:
    """A bare WebSocket connection to the server, with a small kernel buffer if asked."""
    if receive_buffer is not None:
        parts = urlsplit(ws)
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        raw.setblocking(False)
        address = (parts.hostname, parts.port)
        await asyncio.get_running_loop().sock_connect(raw, address)
        options["sock"] = raw
    return await connect(
        ws,
        subprotocols=[subprotocol],
        compression=None,
        ping_interval=None,
        max_size=None,
        open_timeout=20,
        **options,
    )


async def enter(
    link: str,
    *,
    name: str | None = None,
    device: str | None = None,
    subprotocol: str = JSON,
    wait_for_snapshot: bool = True,
    receive_buffer: int | None = None,
) -> Peer:
    """Join a link and say hello; the caller closes the peer."""
    status, answer = await join_link(link, device=device)
    if status != 200:
        raise RefusedError(answer)
    opened = await open_socket(answer["ws"], subprotocol=subprotocol, receive_buffer=receive_buffer)
    peer = Peer(opened, subprotocol)
    peer.device = answer["device"]
    peer.ws = answer["ws"]
    try:
        await peer.say_hello(token=answer["token"], **({"name": name} if name else {}))
        if wait_for_snapshot:
            await peer.next("snapshot")
    except BaseException:
        await peer.close()
        raise
    return peer


async def resume(old: Peer, *, subprotocol: str = JSON) -> Peer:
    """A new connection that goes on where `old` stopped."""
    peer = Peer(await open_socket(old.ws, subprotocol=subprotocol), subprotocol)
    peer.device, peer.ws = old.device, old.ws
    peer.positions = dict(old.positions)
    await peer.say_hello(resume=old.resume_params())
    return peer
