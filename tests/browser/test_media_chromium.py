"""Chromium through the media shell and the compiled engine: slots, layers, loss, a blocked Python.

Every publisher has a colour of its own, so a frame tells whose it is; the bind events say whose
it should be. Frames are logged in the page by requestVideoFrameCallback, with the RTP timestamp
that the wire carried.
"""

import ctypes
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser

from sfu.engine import SlotBound
from sfu.transport import MediaState
from tests.support.media_lab import MediaLab, Seat, media_lab
from tests.support.peers import ChromiumPeer
from tests.support.relay import relay
from tests.support.wait import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

COLOURS = {"ana": (200, 32, 32), "bo": (32, 32, 200), "cy": (32, 180, 32), "di": (200, 180, 32)}
TONES = {"ana": 440, "bo": 1000, "cy": 2000, "di": 3000}
HALF = 100
"""Of the two hundred switches; each viewer makes one half."""


def css(name: str) -> str:
    """The member's colour for a page."""
    return "#" + bytes(COLOURS[name]).hex()


def whose(frame: list[float]) -> str:
    """The member whose colour a logged frame has."""
    distance = {
        name: sum(abs(a - b) for a, b in zip(frame[1:4], colour, strict=True))
        for name, colour in COLOURS.items()
    }
    name = min(distance, key=lambda name: distance[name])
    assert distance[name] < 120, f"a mixed picture: {frame}"
    return name


@asynccontextmanager
async def call(
    browser: Browser, *names: str, video: int = 3, **options: object
) -> AsyncIterator[tuple[MediaLab, list[ChromiumPeer], list[Seat]]]:
    """Pages that have joined one room, each with its colour and tone."""
    async with media_lab() as lab:
        pages = [await ChromiumPeer.open(browser, name) for name in names]
        seats = []
        for page in pages:
            await page.publish(colour=css(page.name), tone=TONES[page.name], **options)
            await page.receive(audio=3, video=video, screen=1)
            seats.append(await lab.join(page))
        yield lab, pages, seats


async def shows(
    page: ChromiumPeer, slot: str, name: str, *, frames: int = 5, timeout: float = 20
) -> None:
    """Wait until a slot has shown so many more frames and the last is this member's."""
    start = len(await page.frames(slot))

    async def shown() -> bool:
        seen = await page.frames(slot, start)
        return len(seen) >= frames and whose(seen[-1]) == name

    await until(shown, timeout=timeout, every=0.1)


async def test_two_pages_see_and_hear_each_other(emptied: Browser) -> None:
    """One video and one audio are forwarded each way, on the slots that were bound."""
    async with call(emptied, "ana", "bo") as (lab, (ana, bo), (first, second)):
        lab.bind(first, "video-1", second)
        lab.bind(second, "video-0", first)
        await shows(ana, "video-1", "bo")
        await shows(bo, "video-0", "ana")
        assert await ana.frames("video-0") == []

        async def heard() -> bool:
            levels = [
                await ana.hear(f"audio-{lane}", [TONES["bo"], TONES["ana"]]) for lane in range(3)
            ]
            return any(theirs > -60 and own < theirs - 30 for theirs, own in levels)

        await until(heard, timeout=20, every=0.1)


async def test_the_third_join_changes_no_sdp(emptied: Browser) -> None:
    """A newcomer appears on a slot that was there from the first offer."""
    async with media_lab() as lab:
        pages = {name: await ChromiumPeer.open(emptied, name) for name in ("ana", "bo", "cy")}
        seats = {}
        for name, page in pages.items():
            await page.publish(colour=css(name), tone=TONES[name])
            await page.receive(audio=3, video=3)
            await page.page.evaluate(
                "() => { peer.needed = 0; peer.pc.onnegotiationneeded = () => peer.needed++; }"
            )
            seats[name] = await lab.join(page)
            if name != "cy":
                await page.page.evaluate("() => { peer.needed = 0; }")
        before = await pages["ana"].page.evaluate("() => peer.pc.remoteDescription.sdp")
        lab.bind(seats["ana"], "video-0", seats["bo"])
        lab.bind(seats["ana"], "video-2", seats["cy"])
        await shows(pages["ana"], "video-2", "cy")
        await shows(pages["ana"], "video-0", "bo")
        assert seats["ana"].answers == seats["bo"].answers == 1
        assert await pages["ana"].page.evaluate("() => peer.needed") == 0
        assert await pages["ana"].page.evaluate("() => peer.pc.remoteDescription.sdp") == before


def owner_by_timestamp(events: list[SlotBound], timestamp: float) -> int:
    """The track of the last bind event at or before an RTP timestamp (32-bit wrap)."""
    track = 0
    for event in events:
        if (int(timestamp) - event.rtp_timestamp) % 2**32 < 2**31:
            track = event.track
    return track


@pytest.mark.timeout(400)  # a key frame per publisher and half second bounds the pace
async def test_two_hundred_switches_without_one_wrong_name(emptied: Browser) -> None:
    """Each frame's owner by its RTP timestamp is the owner of its colour, from the first frame.

    Two viewers switch at a time, so that a key frame serves both.
    """
    async with call(emptied, *COLOURS, width=160, height=90, rate=15) as (lab, pages, seats):
        ana, bo, cy, di = seats
        names = {seat.track("camera"): name for name, seat in lab.seats.items()}

        def shown(viewer: Seat) -> int:
            bindings = lab.bindings(viewer, "video-0")
            return bindings[-1].track if bindings else 0

        for owners in itertools.islice(itertools.cycle(((cy, cy), (di, di), (bo, ana))), HALF):
            for viewer, owner in zip((ana, bo), owners, strict=True):
                lab.bind(viewer, "video-0", owner)
            wanted = [owner.track("camera") for owner in owners]
            await until(lambda wanted=wanted: [shown(ana), shown(bo)] == wanted, timeout=20)
        for page, viewer in zip(pages, (ana, bo), strict=False):
            events = [event for event in lab.bindings(viewer, "video-0") if event.track]
            await shows(page, "video-0", names[events[-1].track])
            frames = await page.frames("video-0")
            wrong = [f for f in frames if names[owner_by_timestamp(events, f[0])] != whose(f)]
            assert len(events) >= HALF
            assert [event.binding for event in events] == sorted({e.binding for e in events})
            print(f"{page.name}: {len(frames)} pictures over {len(events)} switches")
            assert {whose(frame) for frame in frames} >= {names[event.track] for event in events}
            assert wrong == []


async def test_five_percent_loss_is_repaired(emptied: Browser) -> None:
    """With 5 % seeded loss both ways at least 80 % of the frames arrive, by retransmission."""
    async with (
        media_lab() as lab,
        relay(lab.engine.port, loss=0.0, seed=5) as path,
    ):
        lab.announced_port = path.port
        pages = [await ChromiumPeer.open(emptied, name) for name in ("ana", "bo")]
        for page in pages:
            await page.publish(colour=css(page.name), tone=TONES[page.name])
            await page.receive(audio=3, video=2)
        ana, bo = [await lab.join(page) for page in pages]
        lab.bind(ana, "video-0", bo)
        await shows(pages[0], "video-0", "bo")

        async def frames() -> tuple[int, int]:
            sending = (await pages[1].stats("outbound-rtp"))["camera"]
            receiving = (await pages[0].stats("inbound-rtp"))["video-0"]
            return sending["framesEncoded"], receiving["framesDecoded"]

        sent_before, arrived_before = await frames()
        path.loss = 0.05
        sent = arrived = 0

        async def enough() -> bool:
            nonlocal sent, arrived
            sent, arrived = await frames()
            sent, arrived = sent - sent_before, arrived - arrived_before
            return sent >= 250 and path.dropped > 50

        await until(enough, timeout=60, every=0.5)
        print(f"{arrived} of {sent} frames arrived, {path.dropped} datagrams were dropped")
        assert arrived >= 0.8 * sent, f"{arrived} of {sent} frames"
        receiving = (await pages[0].stats("inbound-rtp"))["video-0"]
        assert receiving["retransmittedPacketsReceived"] > 0
        assert lab.engine.slot_stats(ana.slot("video-0"))["retransmitted_packets"] > 0


@pytest.mark.parametrize("h264", [False, True], ids=["vp8", "h264"])
async def test_a_tiles_size_chooses_the_layer_both_ways(emptied: Browser, h264: bool) -> None:
    """A small tile gets a small layer, a large one the full picture, and back."""
    async with media_lab() as lab:
        pages = [await ChromiumPeer.open(emptied, name) for name in ("ana", "bo")]
        viewer, publisher = pages
        await viewer.page.evaluate("h264 => { peer.h264 = h264; }", h264)
        await viewer.receive(video=1)
        await publisher.publish(
            colour=css("bo"), width=1280, height=720, rate=15, simulcast=True, h264=h264
        )
        if h264:
            await publisher.page.evaluate(
                """() => peer.camera.setCodecPreferences(RTCRtpSender.getCapabilities("video").codecs
                  .filter((codec) => codec.mimeType === "video/rtx" || (codec.mimeType === "video/H264"
                    && /packetization-mode=1.*profile-level-id=42e0/.test(codec.sdpFmtpLine))))"""
            )
        first, second = await lab.join(viewer), await lab.join(publisher)
        lab.resize(first, "video-0", 320, 180)
        lab.bind(first, "video-0", second)

        async def width() -> float:
            frames = await viewer.frames("video-0")
            return frames[-1][4] if frames else 0

        async def reaches(wanted: int) -> None:
            async def reached() -> bool:
                return await width() == wanted

            await until(reached, timeout=20, every=0.1)

        await reaches(320)
        lab.resize(first, "video-0", 1280, 720)
        await reaches(1280)
        # Told before the next wish: of two changes at once only the newer is told.
        await until(lambda: lab.layers(first, "video-0")[-1].width == 1280)
        lab.resize(first, "video-0", 320, 180)
        await reaches(320)
        await until(lambda: lab.layers(first, "video-0")[-1].width == 320)


async def test_a_blocked_python_freezes_nobody(emptied: Browser) -> None:
    """With the interpreter blocked for five seconds the pictures go on: no packet passes Python.

    Both pages note their own counts meanwhile, so an encoder that gets little of the machine is
    compared with the decoder of what it sent.
    """
    async with call(emptied, "ana", "bo", width=320, height=180) as (
        lab,
        (ana, bo),
        (first, second),
    ):
        lab.bind(first, "video-0", second)
        lab.bind(second, "video-0", first)
        await shows(ana, "video-0", "bo")
        await shows(bo, "video-0", "ana")
        await ana.note_counts("video-0")
        await bo.note_counts("video-0")
        since = time.time() * 1000
        ctypes.PyDLL(None).sleep(5)  # PyDLL does not release the interpreter lock
        till = time.time() * 1000

        async def rate(page: ChromiumPeer, count: str) -> float:
            """Frames in a millisecond of the block."""
            noted = [at for at in await page.counts(count) if since <= at[0] <= till]
            (start, first), (end, last) = noted[0], noted[-1]
            return (last - first) / (end - start)

        for sender, receiver in ((ana, bo), (bo, ana)):
            sent, arrived = await rate(sender, "sent"), await rate(receiver, "arrived")
            print(f"{arrived * 1000:.1f} of {sent * 1000:.1f} frames a second")
            assert sent > 0
            assert arrived >= 0.8 * sent


async def test_a_call_of_three_makes_few_calls_into_the_engine(emptied: Browser) -> None:
    """In a running three-person call Python makes at most 100 calls a second, whatever flows."""
    async with call(emptied, "ana", "bo", "cy", width=320, height=180) as (lab, pages, seats):
        for viewer in seats:
            others = [seat for seat in seats if seat is not viewer]
            for number, other in enumerate(others):
                lab.bind(viewer, f"video-{number}", other)
        await shows(pages[0], "video-0", "bo")
        await shows(pages[0], "video-1", "cy")
        before, began = lab.engine.stats(), time.monotonic()

        def grown(figure: str) -> int:
            return lab.engine.stats()[figure] - before[figure]

        await until(lambda: grown("packets_in") > 1000, timeout=60, every=0.5)
        assert grown("api_calls") <= 100 * (time.monotonic() - began)


async def test_the_speakers_are_named(emptied: Browser) -> None:
    """Who makes a sound is reported, loudest first; who falls silent leaves the list."""
    async with call(emptied, "ana", "bo", width=320, height=180) as (lab, (_, bo), (first, second)):
        tracks = {first.track("mic"), second.track("mic")}
        await until(
            lambda: any({t for t, _ in event.levels} == tracks for event in lab.speakers()),
            timeout=20,
        )
        await bo.page.evaluate("() => peer.oscillator.stop()")
        await until(
            lambda: [t for t, _ in lab.speakers()[-1].levels] == [first.track("mic")], timeout=20
        )


async def test_a_dead_path_is_repaired_by_an_ice_restart(emptied: Browser) -> None:
    """When a client's 5-tuple is dropped for good, an ICE restart brings the same tracks back."""
    async with media_lab() as lab, relay(lab.engine.port) as path:
        ana, bo = [await ChromiumPeer.open(emptied, name) for name in ("ana", "bo")]
        await bo.publish(colour=css("bo"), tone=TONES["bo"], width=320, height=180)
        publisher = await lab.join(bo)
        lab.announced_port = path.port
        await ana.receive(video=1)
        viewer = await lab.join(ana)
        lab.bind(viewer, "video-0", publisher)
        await shows(ana, "video-0", "bo")
        slots = dict(viewer.answer.slots) if viewer.answer else {}
        path.block()
        frozen = len(await ana.frames("video-0"))
        await ana.page.evaluate("() => peer.pc.restartIce()")
        await lab.negotiate(viewer)
        await shows(ana, "video-0", "bo")
        assert len(await ana.frames("video-0")) > frozen
        assert viewer.answer is not None
        assert viewer.answer.slots == slots
        assert viewer.transport.state is MediaState.CONNECTED
