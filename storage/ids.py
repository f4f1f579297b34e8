"""UUIDv7 identifiers (RFC 9562 §5.7) and the process clock.

Ids sort by the millisecond they were made in, so a tenant's primary key is also its newest-first
index. Both are handed to ``Database`` as arguments; nothing below a shell calls them by itself.
"""

import secrets
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

Clock = Callable[[], datetime]
Ids = Callable[[], UUID]

_VERSION_7 = 0x7 << 76
_VARIANT_RFC = 0b10 << 62


def utc_now() -> datetime:
    """The wall clock in UTC."""
    return datetime.now(UTC)


def uuid7(unix_ms: int, entropy: int) -> UUID:
    """Lay out one UUIDv7.

    Args:
        unix_ms: milliseconds since 1970, 48 bits.
        entropy: 74 bits: the upper 12 become ``rand_a``, the lower 62 ``rand_b``.
    """
    rand_a = (entropy >> 62) & 0xFFF
    rand_b = entropy & ((1 << 62) - 1)
    return UUID(int=(unix_ms << 80) | _VERSION_7 | (rand_a << 64) | _VARIANT_RFC | rand_b)


class MonotonicIds:
    """Makes UUIDv7s that strictly rise within this process (RFC 9562 §6.2, method 2).

    The random part of the first id of a millisecond is fresh; later ones of the same millisecond
    (or of a clock that stepped back) add a random step to it.
    """

    def __init__(
        self, clock: Clock = utc_now, randbits: Callable[[int], int] = secrets.randbits
    ) -> None:
        self._clock = clock
        self._randbits = randbits
        self._lock = threading.Lock()
        self._last_ms = -1
        self._entropy = 0

    def __call__(self) -> UUID:
        """The next id."""
        with self._lock:
            now_ms = int(self._clock().timestamp() * 1000)
            if now_ms > self._last_ms:
                self._last_ms = now_ms
                # The top bit stays free, so that steps of 32 bits cannot overflow 74 bits.
                self._entropy = self._randbits(73)
            else:
                self._entropy += 1 + self._randbits(32)
            return uuid7(self._last_ms, self._entropy)
