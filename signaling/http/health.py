"""``/healthz`` and ``/metrics``: is it ready, and how much is there of what."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

Check = Callable[[], Awaitable[None]]
Reading = Callable[[], Mapping[str, float]]


PATIENCE: Final = 2.0
"""Seconds that an asker waits for a check: as long as a room does with its own."""
LOOK_EVERY: Final = 1.0
"""Seconds between two looks of a `SharedCheck`, however many ask."""


class SharedCheck:
    """A check that takes something from others, as a turn to write: one look serves all who ask.

    A look that takes too long is waited for no longer, and goes on: to give it up would cost more.
    """

    def __init__(self, check: Check, now: Callable[[], float]) -> None:
        self._check = check
        self._now = now
        self._look: asyncio.Future[None] | None = None
        self._began = 0.0

    async def __call__(self) -> None:
        """Raise unless the newest look was fine."""
        if self._look is None or (self._look.done() and self._now() - self._began >= LOOK_EVERY):
            self._look = asyncio.ensure_future(self._check())
            self._look.add_done_callback(lambda look: look.cancelled() or look.exception())
            self._began = self._now()
        async with asyncio.timeout(PATIENCE):
            await asyncio.shield(self._look)


class Health:
    """Ready when every check passes; checks raise when they do not."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks

    async def get(self, _request: web.Request) -> web.Response:
        """200 with ``ok``, or 503 naming what is not ready, without details."""
        failed = []
        for name, check in self._checks.items():
            try:
                await check()
            except Exception:  # noqa: BLE001 whatever the reason: not ready
                failed.append(name)
        headers = {"Cache-Control": "no-store"}
        if failed:
            text = "not ready: " + ", ".join(failed) + "\n"
            return web.Response(text=text, status=503, headers=headers)
        return web.Response(text="ok\n", headers=headers)


_COUNTERS: Final = "_total"


class Metrics:
    """Numbers read when asked; names ending in ``_total`` only ever rise."""

    def __init__(self, readings: Mapping[str, Reading]) -> None:
        self._readings = readings
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def collect(self) -> list[Metric]:
        """What the registry asks for."""
        found: list[Metric] = []
        for prefix, reading in self._readings.items():
            for name, value in reading().items():
                full = f"sunup_{prefix}_{name}"
                kind = CounterMetricFamily if name.endswith(_COUNTERS) else GaugeMetricFamily
                found.append(kind(full, full, value=float(value)))
        return found

    async def get(self, _request: web.Request) -> web.Response:
        """The Prometheus text form."""
        return web.Response(
            body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )
