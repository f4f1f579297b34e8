"""Waiting for a condition with a bound, instead of sleeping for a guess."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE = 30.0
"""Seconds after which a test gives up what it waits for: a busy machine makes it wait, not fail."""


async def until(
    condition: Callable[[], T | Awaitable[T]], *, timeout: float = PATIENCE, every: float = 0.01
) -> T:
    """Poll `condition` until it is truthy and return its value.

    Raises:
        TimeoutError: `condition` stayed falsy for `timeout` seconds; the message shows its last
            value, so a failed test says what it saw.
    """
    deadline = asyncio.get_running_loop().time() + timeout
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if asyncio.get_running_loop().time() > deadline:
            name = getattr(condition, "__qualname__", repr(condition))
            raise TimeoutError(f"{name} was still {value!r} after {timeout} s")
        await asyncio.sleep(every)
