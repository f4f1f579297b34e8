"""The bus between processes: envelopes per room, in order, with a bounded replay.

One port, `Bus`, with two implementations that pass the same contract test: `MemoryBus` for one
process, `RedisBus` for many. A room's feed is a Redis stream, so a process that was away reads on
from where it stopped as long as the entry is still there; what was trimmed is told by `GapError`,
never skipped silently. Redis is transport, never authority: facts are in the database before they
are published, and a publisher carries on when the bus is gone (`BusDownError`).
"""

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any, Final, NamedTuple, Protocol

import msgpack
import redis.asyncio as redis_asyncio
from redis.exceptions import RedisError

MAX_ENVELOPES: Final = 2000
"""Envelopes that a room's stream keeps for replay."""
FEED_LIFETIME: Final = 3600
"""Seconds that a feed without writer and reader is kept."""
READ_BLOCK_MS: Final = 2000
MAX_ENVELOPE: Final = 256 * 1024


class BusError(Exception):
    """Base of what the bus raises."""


class BusDownError(BusError):
    """The bus cannot be reached now; nothing durable depends on it."""


class GapError(BusError):
    """Envelopes between the asked position and now are gone: the reader must start afresh."""


class Envelope(NamedTuple):
    """One message of a room's feed."""

    position: str
    """Opaque; pass it to `Bus.subscribe` to read on after this envelope."""
    body: bytes
    """msgpack, made by the publisher; the bus does not look inside."""


class Bus(Protocol):
    """Feeds by key, each an ordered and bounded sequence of envelopes."""

    async def publish(self, key: str, bodies: Sequence[bytes]) -> list[str]:
        """Append in order and return the positions.

        Raises:
            BusDownError: not, or perhaps not, published.
        """

    def subscribe(self, key: str, after: str | None = None) -> AsyncGenerator[Envelope, None]:
        """Envelopes after the position, then new ones for ever; None starts at what comes next.

        Raises:
            GapError: the position was trimmed (from the iterator).
            BusDownError: the bus was lost (from the iterator).
        """

    async def tail(self, key: str) -> str:
        """The position of the newest envelope, to subscribe from."""

    async def ping(self) -> None:
        """Raise BusDownError unless the bus answers."""

    async def close(self) -> None:
        """Let go of connections; iterators end with BusDownError."""


class MemoryBus:
    """The bus of a single process."""

    def __init__(self, *, max_envelopes: int = MAX_ENVELOPES) -> None:
        self._max = max_envelopes
        self._feeds: dict[str, _MemoryFeed] = {}
        self._closed = False

    async def publish(self, key: str, bodies: Sequence[bytes]) -> list[str]:
        """See `Bus.publish`."""
        self._check_open()
        feed = self._feed(key)
        first = feed.last + 1
        feed.bodies.extend(bodies)
        feed.last += len(bodies)
        feed.changed.set()
        feed.changed = asyncio.Event()
        return [_position(feed.epoch, number) for number in range(first, feed.last + 1)]

    async def subscribe(self, key: str, after: str | None = None) -> AsyncGenerator[Envelope, None]:
        """See `Bus.subscribe`."""
        self._check_open()
        feed = self._feed(key)
        last = feed.last
        if after is not None:
            epoch, last = _parsed(after)
            if epoch != feed.epoch or last > feed.last:
                raise GapError(f"{key} is not the feed that {after} is of")
        while True:
            changed = feed.changed
            while last < feed.last:
                oldest = feed.last - len(feed.bodies) + 1
                if last + 1 < oldest:
                    raise GapError(f"{key} begins at {oldest} now, after {last}")
                last += 1
                yield Envelope(_position(feed.epoch, last), feed.bodies[last - oldest])
            await changed.wait()
            self._check_open()

    async def tail(self, key: str) -> str:
        """See `Bus.tail`."""
        self._check_open()
        feed = self._feed(key)
        return _position(feed.epoch, feed.last)

    async def ping(self) -> None:
        """See `Bus.ping`."""
        self._check_open()

    async def close(self) -> None:
        """See `Bus.close`."""
        self._closed = True
        for feed in self._feeds.values():
            feed.changed.set()

    def _feed(self, key: str) -> "_MemoryFeed":
        feed = self._feeds.get(key)
        if feed is None:
            feed = self._feeds[key] = _MemoryFeed(self._max)
        return feed

    def _check_open(self) -> None:
        if self._closed:
            raise BusDownError("the bus is closed")


class _MemoryFeed:
    def __init__(self, max_envelopes: int) -> None:
        self.epoch = secrets.token_hex(4)
        self.bodies: deque[bytes] = deque(maxlen=max_envelopes)
        self.last = 0
        self.changed = asyncio.Event()


# Entries are numbered 1, 2, 3 ... by the script, so that a reader sees a hole; the epoch tells a
# feed from its successor after Redis lost its memory.
_PUBLISH: Final = """
local epoch = redis.call('GET', KEYS[2])
if not epoch then
  epoch = ARGV[3]
  redis.call('SET', KEYS[2], epoch)
  redis.call('DEL', KEYS[1])
end
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local number = 0
if newest[1] then number = tonumber(string.match(newest[1][1], '^%d+')) end
local first = number + 1
for i = 4, #ARGV do
  number = number + 1
  redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[1], number .. '-0', 'e', epoch, 'b', ARGV[i])
end
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[2])
return {epoch, first}
"""

_LOST: Final = (RedisError, OSError, TimeoutError)


class RedisBus:
    """The bus of many processes: one Redis stream per feed.

    Every command has a time limit; a lost or slow Redis is `BusDownError` within `timeout`
    seconds and never a hanging publisher. Each subscriber holds one connection.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "sunup:",
        timeout: float = 0.5,
        max_envelopes: int = MAX_ENVELOPES,
    ) -> None:
        self._prefix = prefix
        self._timeout = timeout
        self._max = max_envelopes
        # Any: the client's annotations promise str or bytes, by a flag they cannot see.
        self._client: Any = redis_asyncio.Redis.from_url(
            url, socket_connect_timeout=timeout, socket_timeout=timeout
        )
        self._readers: Any = redis_asyncio.Redis.from_url(
            url,
            socket_connect_timeout=timeout,
            socket_timeout=timeout + READ_BLOCK_MS / 1000,
        )
        self._publish = self._client.register_script(_PUBLISH)
        self._closed = False

    async def publish(self, key: str, bodies: Sequence[bytes]) -> list[str]:
        """See `Bus.publish`."""
        arguments: list[int | str | bytes] = [
            self._max,
            FEED_LIFETIME,
            secrets.token_hex(4),
            *bodies,
        ]
        with _unavailable("publish"):
            async with asyncio.timeout(self._timeout):
                epoch, first = await self._publish(keys=list(self._names(key)), args=arguments)
        return [_position(epoch.decode(), first + index) for index in range(len(bodies))]

    async def subscribe(self, key: str, after: str | None = None) -> AsyncGenerator[Envelope, None]:
        """See `Bus.subscribe`."""
        stream, _ = self._names(key)
        tail = await self.tail(key)
        epoch, last = _parsed(tail if after is None else after)
        fresh = epoch == "" and last == 0  # the tail of a feed that had no envelope yet
        if not fresh and (epoch != _parsed(tail)[0] or last > _parsed(tail)[1]):
            raise GapError(f"{key} is not the feed that {after} is of")
        while True:
            with _unavailable("subscribe"):
                found = await self._readers.xread(
                    {stream: f"{last}-0"}, count=512, block=READ_BLOCK_MS
                )
            if self._closed:
                raise BusDownError("the bus is closed")
            for position, fields in found[0][1] if found else ():
                number = int(position.partition(b"-")[0])
                if number != last + 1 or fields[b"e"].decode() != (epoch or fields[b"e"].decode()):
                    raise GapError(f"{key} goes from {last} to {number}")
                epoch, last = fields[b"e"].decode(), number
                yield Envelope(_position(epoch, last), fields[b"b"])
            if not found:
                await self._keep(key, epoch)

    async def tail(self, key: str) -> str:
        """See `Bus.tail`."""
        stream, epoch_name = self._names(key)
        with _unavailable("tail"):
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.get(epoch_name)
                pipe.xrevrange(stream, count=1)
                epoch, newest = await pipe.execute()
        number = int(newest[0][0].partition(b"-")[0]) if newest else 0
        return _position(epoch.decode() if epoch else "", number)

    async def ping(self) -> None:
        """See `Bus.ping`."""
        with _unavailable("ping"):
            async with asyncio.timeout(self._timeout):
                await self._client.ping()

    async def close(self) -> None:
        """See `Bus.close`."""
        self._closed = True
        with contextlib.suppress(*_LOST):
            await self._client.aclose()
            await self._readers.aclose()

    async def _keep(self, key: str, epoch: str) -> None:
        """A feed with a reader does not expire; one that was replaced is a gap."""
        stream, epoch_name = self._names(key)
        with _unavailable("subscribe"):
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.get(epoch_name)
                pipe.expire(stream, FEED_LIFETIME)
                pipe.expire(epoch_name, FEED_LIFETIME)
                current, *_ = await pipe.execute()
        if epoch and (current is None or current.decode() != epoch):
            raise GapError(f"{key} was lost")

    def _names(self, key: str) -> tuple[str, str]:
        return f"{self._prefix}feed:{{{key}}}", f"{self._prefix}feed-epoch:{{{key}}}"


@contextlib.contextmanager
def _unavailable(what: str) -> Iterator[None]:
    try:
        yield
    except _LOST as error:
        raise BusDownError(f"{what}: {error or type(error).__name__}") from error


def _position(epoch: str, number: int) -> str:
    return f"{epoch}.{number}"


def _parsed(position: str) -> tuple[str, int]:
    epoch, dot, number = position.rpartition(".")
    if not dot or not number.isdigit():
        raise GapError(f"{position!r} is no position")
    return epoch, int(number)


def pack(value: object) -> bytes:
    """The body of an envelope between nodes.

    Raises:
        ValueError: over 256 KiB.
    """
    body: bytes = msgpack.packb(value, use_bin_type=True)
    if len(body) > MAX_ENVELOPE:
        raise ValueError(f"an envelope of {len(body)} bytes is over {MAX_ENVELOPE}")
    return body


def unpack(body: bytes) -> object:
    """What `pack` packed; a malformed body is a ValueError."""
    return msgpack.unpackb(body, raw=False, strict_map_key=True)


def open_bus(url: str | None) -> Bus:
    """The bus for SUNUP_REDIS_URL: in process when it is unset."""
    return MemoryBus() if url is None else RedisBus(url)
