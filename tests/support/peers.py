"""WebRTC clients for tests: Chromium pages and aiortc peer connections behind one interface.

A peer publishes one colour and one tone, opens fixed slots and counts what it gets. Offers and
answers are carried by the test (`tests.support.media_lab`); no server is involved. aiortc peers
stay on the loopback interface, so that they work on a machine without a network.
"""

import asyncio
import contextlib
import fractions
import math
import pathlib
from collections.abc import AsyncIterator, Iterator
from typing import Any, Protocol
from unittest import mock

import aioice.ice
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame
from playwright.async_api import Browser, Page

from .chromium import open_page

_PEER_SCRIPT = (pathlib.Path(__file__).parent / "peer.js").read_text()
_TRANSPORT_LINES = ("a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:", "a=setup:", "a=candidate:")


class Peer(Protocol):
    """A client as the lab sees it."""

    name: str

    async def offer(self) -> tuple[str, dict[str, str]]:
        """Return an offer and the labels of its sections."""

    async def accept(self, answer: str) -> None:
        """Take the answer."""

    async def close(self) -> None:
        """End the peer connection."""


class ChromiumPeer:
    """A page of a real browser; `tests/support/peer.js` does the work."""

    def __init__(self, name: str, page: Page) -> None:
        self.name = name
        self.page = page

    @classmethod
    async def open(cls, browser: Browser, name: str) -> "ChromiumPeer":
        return cls(name, await open_page(browser, _PEER_SCRIPT))

    async def publish(self, **options: Any) -> None:
        await self.page.evaluate("options => peer.publish(options)", options)

    async def receive(self, **slots: int) -> None:
        await self.page.evaluate("slots => peer.receive(slots)", slots)

    async def offer(self) -> tuple[str, dict[str, str]]:
        offer = await self.page.evaluate("() => peer.offer()")
        return offer["sdp"], offer["labels"]

    async def accept(self, answer: str) -> None:
        await self.page.evaluate("sdp => peer.accept(sdp)", answer)

    async def frames(self, slot: str, start: int = 0) -> list[list[float]]:
        """[rtp timestamp, red, green, blue, width, time in ms] of each frame shown on a slot."""
        return await self.page.evaluate(
            "([slot, start]) => peer.frames(slot, start)", [slot, start]
        )

    async def hear(self, slot: str, frequencies: list[float]) -> list[float]:
        """Levels in dB of some frequencies on an audio slot."""
        return await self.page.evaluate(
            "([slot, list]) => peer.hear(slot, list)", [slot, frequencies]
        )

    async def stats(self, kind: str) -> dict[str, dict[str, Any]]:
        """Entries of getStats of one type, by label (and ":rid")."""
        return await self.page.evaluate("kind => peer.stats(kind)", kind)

    async def note_counts(self, slot: str) -> None:
        """Let the page note from now on, by itself, what `counts` returns."""
        await self.page.evaluate("slot => peer.noteCounts(slot)", slot)

    async def counts(self, count: str) -> list[list[float]]:
        """[Unix ms, frames] as noted: "sent" by the camera's encoder, "arrived" at the slot's decoder."""
        return await self.page.evaluate("count => peer.counts.map((all) => all[count])", count)

    async def connection_state(self) -> str:
        return await self.page.evaluate("() => peer.pc.connectionState")

    async def close(self) -> None:
        await self.page.evaluate("() => peer.pc.close()")
        await self.page.context.close()


class Tone(MediaStreamTrack):
    """A pure tone, 20 ms at a time."""

    kind = "audio"

    def __init__(self, frequency: float) -> None:
        super().__init__()
        self._frequency = frequency
        self._samples = 0
        self._started = 0.0

    async def recv(self) -> AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        await self._pace()
        phase = (np.arange(960) + self._samples) * (2 * math.pi * self._frequency / 48000)
        frame = AudioFrame.from_ndarray(
            (np.sin(phase) * 12000).astype(np.int16)[None], layout="mono"
        )
        frame.sample_rate, frame.pts, frame.time_base = (
            48000,
            self._samples,
            fractions.Fraction(1, 48000),
        )
        self._samples += 960
        return frame

    async def _pace(self) -> None:
        now = asyncio.get_running_loop().time()
        self._started = self._started or now
        await asyncio.sleep(max(0.0, self._started + self._samples / 48000 - now))


class Colour(MediaStreamTrack):
    """One colour with a moving bar, 15 frames a second."""

    kind = "video"
    rate = 15

    def __init__(self, colour: tuple[int, int, int], width: int = 320, height: int = 180) -> None:
        super().__init__()
        self._picture = np.full((height, width, 3), colour, np.uint8)
        self._count = 0
        self._started = 0.0

    async def recv(self) -> VideoFrame:
        if self.readyState != "live":
            raise MediaStreamError
        now = asyncio.get_running_loop().time()
        self._started = self._started or now
        await asyncio.sleep(max(0.0, self._started + self._count / self.rate - now))
        picture = self._picture.copy()
        left = self._count * 8 % (picture.shape[1] - 8)
        picture[:16, left : left + 8] = 255
        frame = VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = self._count * 90000 // self.rate, fractions.Fraction(1, 90000)
        self._count += 1
        return frame


class AiortcPeer:
    """An aiortc peer connection; keeps the last frame and a count per slot."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pc = RTCPeerConnection(RTCConfiguration(bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self.counts: dict[str, int] = {}
        self.last: dict[str, Any] = {}
        self._labels: list[tuple[str, Any]] = []
        self._reading: dict[str, asyncio.Task[None]] = {}

    def publish(
        self, *, colour: tuple[int, int, int] | None = None, tone: float | None = None
    ) -> None:
        if tone is not None:
            self._labels.append(("mic", self.pc.addTransceiver(Tone(tone), "sendonly")))
        if colour is not None:
            self._labels.append(("camera", self.pc.addTransceiver(Colour(colour), "sendonly")))

    def receive(self, *, audio: int = 0, video: int = 0) -> None:
        for kind, count in (("audio", audio), ("video", video)):
            for number in range(count):
                transceiver = self.pc.addTransceiver(kind, "recvonly")
                label = f"{kind}-{number}"
                self._labels.append((label, transceiver))
                self.counts[label] = 0

    async def _read(self, label: str, track: MediaStreamTrack) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                self.last[label] = await track.recv()
                self.counts[label] += 1

    async def offer(self) -> tuple[str, dict[str, str]]:
        with loopback_only():
            await self.pc.setLocalDescription(await self.pc.createOffer())
        return self.pc.localDescription.sdp, {t.mid: label for label, t in self._labels}

    async def accept(self, answer: str) -> None:
        spread = RTCSessionDescription(spread_transport(answer), "answer")
        await self.pc.setRemoteDescription(spread)
        for label, transceiver in self._labels:
            if label in self.counts and label not in self._reading:
                self._reading[label] = asyncio.ensure_future(
                    self._read(label, transceiver.receiver.track)
                )

    def colour(self, label: str) -> tuple[int, ...]:
        """The colour in the middle of the slot's last frame."""
        picture = self.last[label].to_ndarray(format="rgb24")
        return tuple(picture[picture.shape[0] // 2, picture.shape[1] // 2])

    def hear(self, label: str, frequencies: list[float]) -> list[float]:
        """Share of the last frame's energy at each frequency."""
        frame = self.last[label]
        sound = (
            frame.to_ndarray().astype(float).reshape(-1, len(frame.layout.channels)).mean(axis=1)
        )
        time = np.arange(len(sound)) / frame.sample_rate
        energy = float(np.sum(sound**2)) * len(sound) / 2 or 1.0
        return [
            float(abs(np.sum(sound * np.exp(-2j * math.pi * f * time))) ** 2) / energy
            for f in frequencies
        ]

    async def close(self) -> None:
        await self.pc.close()


@contextlib.contextmanager
def loopback_only() -> Iterator[None]:
    """Make aioice gather 127.0.0.1 alone; it would skip it otherwise."""
    with mock.patch.object(aioice.ice, "get_host_addresses", lambda **_: ["127.0.0.1"]):
        yield


def spread_transport(answer: str) -> str:
    """Repeat the tagged section's transport lines in every section, where aiortc wants them."""
    head, *sections = answer.split("\r\nm=")
    lines = [line for line in sections[0].split("\r\n") if line.startswith(_TRANSPORT_LINES)]
    spread = [
        section
        if "a=ice-ufrag:" in section
        else section.rstrip("\r\n") + "\r\n" + "\r\n".join(lines)
        for section in sections
    ]
    return "\r\nm=".join([head, *(section.rstrip("\r\n") for section in spread)]) + "\r\n"


@contextlib.asynccontextmanager
async def closing(*peers: Peer) -> AsyncIterator[None]:
    """Close peers when the block ends, however it ends."""
    try:
        yield
    finally:
        await asyncio.gather(*(peer.close() for peer in peers))
