"""One read for all who ask at the same time.

Two hundred people open the same link at nine o'clock, and each needs the same few rows. Whoever
asks while a read runs shares the next one with everybody else who does: an answer is never older
than its question, and nothing is kept between reads. It does not know what is read.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class SharedReads(Generic[K, V]):
    """Reads by key.

    Args:
        read: the read itself; what it raises goes to everybody who shares it.
    """

    def __init__(self, read: Callable[[K], Awaitable[V]]) -> None:
        self._read = read
        self._next: dict[K, asyncio.Task[V]] = {}
        """Reads that have not begun: others may still join them."""
        self._last: dict[K, asyncio.Task[V]] = {}
        """The newest read of each key that has begun and not ended."""

    async def get(self, key: K) -> V:
        """The answer of a read that begins after this call."""
        task = self._next.get(key)
        if task is None:
            task = self._next[key] = asyncio.create_task(self._turn(key, self._last.get(key)))
        # One who gives up takes nothing from the others.
        return await asyncio.shield(task)

    async def _turn(self, key: K, before: "asyncio.Task[V] | None") -> V:
        if before is not None:
            await asyncio.wait([before])
        task = self._last[key] = self._next.pop(key)
        try:
            return await self._read(key)
        finally:
            if self._last.get(key) is task:
                del self._last[key]
