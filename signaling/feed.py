"""How a room's events get from its writer to the clients: at once, or through the bus.

A `Feed` takes *deliveries* in order. With no Redis a delivery happens at once (`LocalFeed`). With
Redis, what has an event in it is published first, and happens when it comes back from the bus
(`BusFeed`), so that every node sees the same order; other processes can follow the room by
subscribing to the same key. A bus that is gone or slow is passed by: what waits is delivered
locally, in order, and nothing committed is lost. A delivery with a defect is our bug, and no reason
to blame the bus: it is reported, and what follows it still happens.
"""

import asyncio
import contextlib
import functools
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec

from storage.bus import Bus, BusError, pack, unpack

from .envelope import Event
from .logs import internal_error

log: Final = logging.getLogger("sunup.feed")
PATIENCE: Final = 0.3
"""Seconds that a delivery waits for its echo before it happens without the bus."""
RETRY: Final = 1.0
"""Seconds between attempts to use a bus that was lost."""


class Delivery(NamedTuple):
    """One step of delivering: send an event, a reply, attach a client."""

    happen: Callable[[], None]
    event: Event | None = None
    """What other nodes must hear of it, too; None for a step that concerns one client here."""


class Feed(Protocol):
    """See the module."""

    def deliver(self, deliveries: Sequence[Delivery]) -> None:
        """Carry out in order, now or soon; a defect of what happens now may be raised here."""

    def report_to(self, failed: Callable[[Exception], None]) -> None:
        """Whom to tell of a defect in a delivery that happens later."""

    async def close(self) -> None:
        """Carry out what waits, then stop."""


class LocalFeed:
    """The feed of a single process."""

    def deliver(self, deliveries: Sequence[Delivery]) -> None:
        """See `Feed.deliver`."""
        for delivery in deliveries:
            delivery.happen()

    def report_to(self, failed: Callable[[Exception], None]) -> None:
        """See `Feed.report_to`; nothing happens later here."""

    async def close(self) -> None:
        """See `Feed.close`."""


class BusFeed:
    """The feed over a bus; one per room and epoch.

    Args:
        bus: where envelopes go.
        key: the room's key on the bus.
        epoch: the room's epoch, part of every envelope.
    """

    def __init__(self, bus: Bus, key: str, epoch: int) -> None:
        self._bus = bus
        self._key = key
        self._epoch = epoch
        self._waiting: deque[tuple[int, Delivery]] = deque()
        """Deliveries, each with the number of the envelope that must come back before it."""
        self._unpublished: list[bytes] = []
        self._numbered = 0
        self._echoed = 0
        self._through_bus = False
        """Whether deliveries wait for the bus; while not, nothing waits and all happens at once."""
        self._work = asyncio.Event()
        self._publisher = asyncio.create_task(self._publish_loop())
        self._reader: asyncio.Task[None] | None = None
        self._timers: set[asyncio.TimerHandle] = set()
        self._failed: Callable[[Exception], None] = _unheard
        self._missed = False
        """Whether the bus was lost, and nothing came through it since."""
        self._closed = False

    async def start(self) -> None:
        """Begin to read; returns when the bus answered, or was found to be down."""
        ready = asyncio.Event()
        self._reader = asyncio.create_task(self._read(ready))
        await ready.wait()

    def deliver(self, deliveries: Sequence[Delivery]) -> None:
        """See `Feed.deliver`."""
        for delivery in deliveries:
            if self._through_bus and delivery.event is not None:
                self._numbered += 1
                self._unpublished.append(self._envelope(delivery.event))
            self._waiting.append((self._numbered, delivery))
        if self._unpublished:
            self._work.set()
        self._happen()

    def report_to(self, failed: Callable[[Exception], None]) -> None:
        """See `Feed.report_to`."""
        self._failed = failed

    async def close(self) -> None:
        """See `Feed.close`."""
        self._closed = True
        self._pass_by()
        for timer in self._timers:
            timer.cancel()
        tasks = [task for task in (self._publisher, self._reader) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _envelope(self, event: Event) -> bytes:
        return pack({"ep": self._epoch, "n": self._numbered, "e": msgspec.to_builtins(event)})

    def _happen(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._echoed:
            try:
                self._waiting.popleft()[1].happen()
            except Exception as defect:  # noqa: BLE001 whoever made the delivery logs it
                self._failed(defect)

    async def _publish_loop(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            bodies, self._unpublished = self._unpublished, []
            last = self._numbered
            if not bodies:
                continue
            try:
                await self._bus.publish(self._key, bodies)
            except BusError as error:
                self._lost(error)
            except Exception as defect:  # noqa: BLE001 logged; the feed goes on without the bus
                internal_error("bus publisher", defect)
                self._lost(defect)
            else:
                self._later(PATIENCE, functools.partial(self._expect_echo, last))

    async def _read(self, ready: asyncio.Event) -> None:
        try:
            after = await self._bus.tail(self._key)
            self._through_bus = True
            ready.set()
            async with contextlib.aclosing(self._bus.subscribe(self._key, after)) as envelopes:
                async for envelope in envelopes:
                    self._echo(envelope.body)
        except BusError as error:
            self._lost(error)
        except Exception as defect:  # noqa: BLE001 logged; the feed goes on without the bus
            internal_error("bus reader", defect)
            self._lost(defect)
        finally:
            ready.set()

    def _echo(self, body: bytes) -> None:
        envelope = unpack(body)
        if isinstance(envelope, dict) and envelope.get("ep") == self._epoch:
            self._echoed = max(self._echoed, int(envelope["n"]))
            if self._missed:
                self._missed = False
                log.warning("the bus is back", extra={"key": self._key})
            self._happen()

    def _expect_echo(self, number: int) -> None:
        if self._echoed < number and self._through_bus:
            self._lost(TimeoutError("no echo"))

    def _lost(self, why: Exception) -> None:
        """Go on without the bus, and try again later."""
        if self._closed or not (self._through_bus or self._reader_is_done()):
            return
        if not self._missed:  # said once, however often it is tried
            self._missed = True
            log.warning("the bus is passed by", extra={"key": self._key, "why": str(why)})
        self._pass_by()
        self._later(RETRY, self._try_again)

    def _pass_by(self) -> None:
        self._through_bus = False
        self._unpublished.clear()
        self._echoed = self._numbered
        self._happen()

    def _try_again(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
        self._reader = asyncio.create_task(self._read(asyncio.Event()))

    def _reader_is_done(self) -> bool:
        """Whether the current reader reports its own failure."""
        return self._reader is asyncio.current_task()

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()

        def run() -> None:
            self._timers.discard(handle)
            call()

        handle = loop.call_later(seconds, run)
        self._timers.add(handle)


def _unheard(defect: Exception) -> None:
    internal_error("delivery", defect)
