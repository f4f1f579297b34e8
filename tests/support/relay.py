"""A UDP relay between WebRTC clients and the media port: seeded loss, delay, and cut paths.

The kernel of the test machine has no network emulation, so the relay stands in process. Each
client address gets a socket of its own towards the server, as a NAT would give it one; `rebind`
throws those mappings away, so that the client's old 5-tuple is dead.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Relay(asyncio.DatagramProtocol):
    """Forwards datagrams between its own port and ``127.0.0.1:target``."""

    def __init__(
        self, target: int, *, loss: float = 0.0, delay: float = 0.0, seed: int = 1
    ) -> None:
        self.target = target
        self.loss = loss
        self.delay = delay
        self.random = random.Random(seed)
        self.forwarded = 0
        self.dropped = 0
        self.blocked: set[tuple[str, int]] = set()
        self.transport: asyncio.DatagramTransport | None = None
        self._upstream: dict[tuple[str, int], asyncio.DatagramTransport] = {}
        self._opening: dict[tuple[str, int], list[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """Where clients send to."""
        assert self.transport
        return int(self.transport.get_extra_info("sockname")[1])

    @property
    def clients(self) -> list[tuple[str, int]]:
        """The client addresses that have a path right now."""
        return list(self._upstream)

    def block(self) -> None:
        """Drop every present 5-tuple for good, both ways; new client addresses work."""
        self.blocked.update(self._upstream)
        self._forget()

    def rebind(self) -> None:
        """Give every client a new address towards the server, as a NAT that restarted."""
        self._forget()

    def _forget(self) -> None:
        for upstream in self._upstream.values():
            upstream.close()
        self._upstream.clear()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, client: tuple[str, int]) -> None:
        if client in self.blocked:
            self.dropped += 1
            return
        upstream = self._upstream.get(client)
        if upstream:
            self._pass(data, upstream, None)
        elif client in self._opening:
            self._opening[client].append(data)
        else:
            self._opening[client] = [data]
            task = asyncio.ensure_future(self._open(client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _open(self, client: tuple[str, int]) -> None:
        upstream, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Upstream(self, client), remote_addr=("127.0.0.1", self.target)
        )
        self._upstream[client] = upstream
        for data in self._opening.pop(client):
            self._pass(data, upstream, None)

    def to_client(self, data: bytes, client: tuple[str, int]) -> None:
        """A datagram of the server for `client`."""
        if client not in self.blocked and self.transport:
            self._pass(data, self.transport, client)

    def _pass(
        self, data: bytes, via: asyncio.DatagramTransport, to: tuple[str, int] | None
    ) -> None:
        if self.loss and self.random.random() < self.loss:
            self.dropped += 1
            return
        self.forwarded += 1
        if self.delay:
            asyncio.get_running_loop().call_later(self.delay, _send, via, data, to)
        else:
            _send(via, data, to)

    def close(self) -> None:
        """Close every socket."""
        self._forget()
        if self.transport:
            self.transport.close()


class _Upstream(asyncio.DatagramProtocol):
    def __init__(self, relay: Relay, client: tuple[str, int]) -> None:
        self.relay = relay
        self.client = client

    def datagram_received(self, data: bytes, _: tuple[str, int]) -> None:
        self.relay.to_client(data, self.client)


def _send(transport: asyncio.DatagramTransport, data: bytes, to: tuple[str, int] | None) -> None:
    if not transport.is_closing():
        transport.sendto(data, to)


@asynccontextmanager
async def relay(
    target: int, *, loss: float = 0.0, delay: float = 0.0, seed: int = 1
) -> AsyncIterator[Relay]:
    """A relay on a free port of the loopback interface, closed when the block ends."""
    _, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Relay(target, loss=loss, delay=delay, seed=seed), local_addr=("127.0.0.1", 0)
    )
    try:
        yield protocol
    finally:
        protocol.close()
