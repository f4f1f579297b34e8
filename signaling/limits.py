"""How much one client, one address or one node may ask for.

Token buckets with time as an argument, and the caps of the shell as named numbers. Limits of the
meeting itself (chat, reactions, hands) belong to ``rooms``; limits of one frame to ``envelope``.
"""

import contextlib
import functools
import ipaddress
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

H = TypeVar("H", bound=Hashable)

FRAME_RATE: Final = 30.0
"""Frames per second, by `frame_weight`, that one connection may send for ever."""
FRAME_BURST: Final = 120.0
FRAME_FLOOD: Final = 300
"""Weight of refused frames after which the connection is closed as a flood."""
HELLO_RATE: Final = 1.0
"""Frames per second, by `frame_weight`, of a connection whose hello was not accepted yet."""
HELLO_BURST: Final = 16.0
"""Nobody has said who they are: beyond this the connection is closed, not answered."""
CONTROL_RATE: Final = 30.0
"""Frames per second that are no message's first: pings, pongs and continuations of RFC 6455."""
CONTROL_BURST: Final = 300.0
JOIN_RATE: Final = 4.0
"""``POST /m/{code}/join`` per second, room and address; a class of 200 behind one NAT fits the burst,
and 48 who came too early may each ask again every 12 s, as the pages do, without using it up."""
JOIN_BURST: Final = 300.0
JOIN_ALL_RATE: Final = 20.0
"""The same to all rooms together: rooms can be made up."""
JOIN_ALL_BURST: Final = 1000.0
WRONG_SECRET_RATE: Final = 0.2
"""Wrong link secrets per second and address."""
WRONG_SECRET_BURST: Final = 20.0
NEGOTIATION_RATE: Final = 1.0
"""Offers of one participant per second."""
NEGOTIATION_BURST: Final = 10.0
CROWD_NEGOTIATION_RATE: Final = 10.0
"""Offers per second of all whom one link brought to a room."""
CROWD_NEGOTIATION_BURST: Final = 600.0
"""A class of 200 comes in, looks at a larger grid, and comes back after a restart."""
CROWD_FACT_RATE: Final = 20.0
"""Requests per second of all whom one link brought that change what is kept: each is told to everybody."""
CROWD_FACT_BURST: Final = 1000.0
CROWD_RETRY: Final = 2.0
"""Seconds after which somebody of a crowd may try again: all of them would else at once."""
OWN_FACT_RATE: Final = 0.1
OWN_FACT_BURST: Final = 4.0
"""What of that a participant has before the link's is touched: a class of 200 comes in with microphone and
camera, says hello and raises a hand, all at once."""
CONNECTION_RATE: Final = 0.5
"""Connections per second by which one participant may come back; each is facts to keep for ever."""
CONNECTION_BURST: Final = 10.0
DOOR_RATE: Final = 5.0
"""Connections per second by which all whom one link brought, and who were not let in, come back to a
room: hundreds of strangers could else write a hundred facts a second, within their own rates."""
DOOR_BURST: Final = 1000.0
"""A waiting room that is full comes back at once after a restart, twice."""
MAX_IN_FLIGHT: Final = 64
"""Requests of one connection that may wait for an answer; reading stops above."""
MAX_ADDRESSES: Final = 10_000
"""Addresses remembered; the longest unseen is forgotten first."""


@dataclass(slots=True)
class TokenBucket:
    """`burst` at once, then `rate` per second."""

    rate: float
    burst: float
    tokens: float
    updated: float

    @classmethod
    def full(cls, rate: float, burst: float, now: float) -> "TokenBucket":
        """A bucket that nobody has taken from."""
        return cls(rate, burst, burst, now)

    def wait(self, now: float, amount: float = 1.0) -> float:
        """The seconds until `amount` can be taken; nothing is taken."""
        self.tokens = min(self.burst, self.tokens + max(0.0, now - self.updated) * self.rate)
        self.updated = max(self.updated, now)
        return max(0.0, amount - self.tokens) / self.rate

    def take(self, now: float, amount: float = 1.0) -> float:
        """Take `amount` and return 0.0, or take nothing and return the seconds to wait."""
        wait = self.wait(now, amount)
        if not wait:
            self.tokens -= amount
        return wait


@contextlib.contextmanager
def counted(counts: Counter[H], key: H) -> Iterator[None]:
    """One more of `key` while this lasts; `counts` has no zeros."""
    counts[key] += 1
    try:
        yield
    finally:
        counts[key] -= 1
        if not counts[key]:
            del counts[key]


def frame_weight(size: int) -> float:
    """A frame counts one, and one more for each full KiB: the large ones cost what many do."""
    return 1.0 + size // 1024


@functools.lru_cache(maxsize=4096)
def network(address: str) -> str:
    """What is counted as one visitor: an IPv4 address, or an IPv6 /64, which one host has whole."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed, 64), strict=False))


class AddressLimiter:
    """One bucket per client address, bounded in memory; more per address for what is apart."""

    def __init__(self, rate: float, burst: float, *, capacity: int = MAX_ADDRESSES) -> None:
        self._rate = rate
        self._burst = burst
        self._capacity = capacity
        self._buckets: OrderedDict[tuple[str, str], TokenBucket] = OrderedDict()

    def wait(self, address: str, now: float, *, to: str = "") -> float:
        """The seconds that `address` must wait; nothing is counted. Each `to` is counted apart."""
        return self._bucket(address, now, to).wait(now)

    def take(self, address: str, now: float, *, to: str = "") -> float:
        """Count one and return 0.0, or return the seconds that `address` must wait."""
        return self._bucket(address, now, to).take(now)

    def _bucket(self, address: str, now: float, to: str) -> TokenBucket:
        key = network(address), to
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = TokenBucket.full(self._rate, self._burst, now)
            if len(self._buckets) > self._capacity:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        return bucket


class RoomLimiter:
    """One bucket per participant, or per link, of a room, which bounds how many those are."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: dict[str, TokenBucket] = {}

    def wait(self, key: str, now: float) -> float:
        """The seconds that whoever is counted under `key` must wait; nothing is counted."""
        return self._bucket(key, now).wait(now)

    def take(self, key: str, now: float) -> float:
        """Count one and return 0.0, or return the seconds that whoever is under `key` must wait."""
        return self._bucket(key, now).take(now)

    def _bucket(self, key: str, now: float) -> TokenBucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = TokenBucket.full(self._rate, self._burst, now)
        return bucket


class CrowdLimiter(RoomLimiter):
    """One bucket per link, which all who came by it share."""

    def wait(self, key: str, now: float) -> float:
        """As `RoomLimiter.wait`, but a while: the moment is one's of them, and all are told the same."""
        wait = super().wait(key, now)
        return max(wait, CROWD_RETRY) if wait else 0.0


class AnonymousSockets:
    """Counts sockets over which nobody has said hello, by address and in all.

    Where there is no place, the socket that was silent longest gives way to the newcomer: of the
    same address above its cap, of all of them above theirs. So nobody is kept out by somebody who
    only holds sockets. A class of 200 behind one address opens its sockets within a second, so the
    cap per address is above that; each costs about 14 KiB.
    """

    def __init__(self, *, per_address: int = 512, total: int = 4000) -> None:
        self._per_address = per_address
        self._total = total
        self._by_address: dict[str, OrderedDict[SocketPlace, None]] = {}
        self._all: OrderedDict[SocketPlace, None] = OrderedDict()
        self.dropped = 0
        """Sockets that had to give way, since the start."""

    @property
    def count(self) -> int:
        """Sockets now."""
        return len(self._all)

    def enter(self, address: str | None, drop: Callable[[], None]) -> "SocketPlace":
        """A place for a new socket.

        Args:
            address: the visitor's; None while only their proxy is known, which counts in all.
            drop: closes the socket; called when it has to give way.
        """
        place = SocketPlace(self, None if address is None else network(address), drop)
        neighbours = self._neighbours(place)
        if len(neighbours) >= self._per_address:
            self._drop(next(iter(neighbours)))
        if len(self._all) >= self._total:
            self._drop(next(iter(self._all)))
        self._all[place] = None
        if place.address is not None:
            self._by_address.setdefault(place.address, neighbours)[place] = None
        return place

    def touch(self, place: "SocketPlace") -> None:
        """The socket is of use: others go first. `SocketPlace.touch` calls it."""
        if place in self._all:
            self._all.move_to_end(place)
            if place.address is not None:
                self._by_address[place.address].move_to_end(place)

    def leave(self, place: "SocketPlace") -> None:
        """Give a place back; `SocketPlace.release` calls it, as often as it likes."""
        if place not in self._all:
            return
        del self._all[place]
        if place.address is not None:
            neighbours = self._by_address[place.address]
            del neighbours[place]
            if not neighbours:
                del self._by_address[place.address]

    def _neighbours(self, place: "SocketPlace") -> "OrderedDict[SocketPlace, None]":
        if place.address is None:
            return OrderedDict()
        return self._by_address.get(place.address, OrderedDict())

    def _drop(self, place: "SocketPlace") -> None:
        self.dropped += 1
        place.release()
        place.drop()


class SocketPlace:
    """A taken place; releasing twice is harmless."""

    __slots__ = ("_owner", "address", "drop")

    def __init__(
        self, owner: AnonymousSockets, address: str | None, drop: Callable[[], None]
    ) -> None:
        self._owner = owner
        self.address = address
        self.drop = drop

    def touch(self) -> None:
        """The socket carried a request."""
        self._owner.touch(self)

    def release(self) -> None:
        """The socket's user is known, or it is gone."""
        self._owner.leave(self)
