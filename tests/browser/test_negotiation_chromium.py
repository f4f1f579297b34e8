"""Our answers in a real browser: accepted as they are, at any time, whatever was refused."""

import pytest
import pytest_asyncio

from sfu.sdp_parser import parse_sdp
from sfu.transport import MediaState
from tests.support.media_lab import MediaLab, Seat, media_lab
from tests.support.peers import ChromiumPeer
from tests.support.wait import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def lab():
    """An engine with one room."""
    async with media_lab() as lab:
        yield lab


@pytest_asyncio.fixture(loop_scope="module")
async def page(emptied):
    """A browser page with a peer that has not published yet."""
    return await ChromiumPeer.open(emptied, "ana")


async def join(lab: MediaLab, page: ChromiumPeer, video: int = 8) -> Seat:
    """Publish and open the native client's slots, and connect."""
    await page.publish(colour="#c82020", tone=440, simulcast=True, h264=True)
    await page.receive(audio=3, video=video, screen=1)
    return await lab.join(page)


async def test_the_native_offer_is_answered_and_accepted(lab: MediaLab, page: ChromiumPeer) -> None:
    """Tracks, three lanes, eight slots and a screen: one answer of at most 9 kB, and connected."""
    seat = await join(lab, page)
    assert seat.answer is not None
    assert seat.answer.refused == {}
    assert list(seat.answer.tracks) == ["mic", "camera"]
    assert len(seat.answer.slots) == 12
    assert len(seat.answer.sdp) <= 9_000
    await until(page.connection_state)
    assert await page.connection_state() == "connected"

    async def all_sent() -> bool:
        return {"camera:f", "camera:h", "camera:q", "mic"} <= set(await page.stats("outbound-rtp"))

    await until(all_sent)


async def test_a_refused_section_does_not_disturb_the_others(
    lab: MediaLab, page: ChromiumPeer
) -> None:
    """A camera with VP9 alone is refused by port 0; the browser takes the answer and connects."""
    await page.publish(tone=440)
    await page.page.evaluate(
        """() => {
          const transceiver = peer.add("camera", "video", { direction: "sendonly" });
          transceiver.setCodecPreferences(RTCRtpSender.getCapabilities("video").codecs
            .filter((codec) => codec.mimeType === "video/VP9"));
        }"""
    )
    await page.receive(audio=1, video=1)
    seat = await lab.join(page)
    assert seat.answer is not None
    assert list(seat.answer.refused.values()) == ["no codec that we know"]
    assert list(seat.answer.tracks) == ["mic"]
    state = "() => peer.labels.find(([label]) => label === 'camera')[1].currentDirection"
    assert await page.page.evaluate(state) in ("stopped", "inactive")


async def test_the_first_section_may_be_the_refused_one(lab: MediaLab, page: ChromiumPeer) -> None:
    """The section that carries the transport stays, inactive, and the browser connects."""
    await page.page.evaluate(
        """() => {
          const transceiver = peer.add("camera", "video", { direction: "sendonly" });
          transceiver.setCodecPreferences(RTCRtpSender.getCapabilities("video").codecs
            .filter((codec) => codec.mimeType === "video/VP9"));
        }"""
    )
    await page.publish(tone=440)
    seat = await lab.join(page)
    assert seat.answer is not None
    assert list(seat.answer.tracks) == ["mic"]


async def test_slots_grow_in_batches_without_touching_the_old_ones(
    lab: MediaLab, page: ChromiumPeer
) -> None:
    """A second offer with more slots keeps every SSRC, stream and place of the first answer."""
    seat = await join(lab, page, video=4)
    assert seat.answer is not None
    first = parse_sdp(seat.answer.sdp)
    slots = dict(seat.answer.slots)
    await page.receive(video=9, **{"from": 4})
    await lab.negotiate(seat)
    assert seat.answer.slots.items() >= slots.items()
    assert len(seat.answer.slots) == len(slots) + 9
    assert parse_sdp(seat.answer.sdp).media[1 : len(first.media)] == first.media[1:]
    assert await page.page.evaluate("() => peer.pc.signalingState") == "stable"
    assert seat.transport.state is MediaState.CONNECTED


async def test_an_ice_restart_moves_the_path_and_keeps_everything_else(
    lab: MediaLab, page: ChromiumPeer
) -> None:
    """After restartIce the browser checks with new credentials over the same DTLS association."""
    seat = await join(lab, page)
    before = lab.engine.transport_stats(seat.transport.id)
    await page.page.evaluate("() => peer.pc.restartIce()")
    await lab.negotiate(seat)
    assert seat.answer is not None
    assert len(seat.answer.slots) == 12

    def more_packets() -> bool:
        stats = lab.engine.transport_stats(seat.transport.id)
        return (
            stats["checks_answered"] > before["checks_answered"] + 2
            and stats["srtp_packets_in"] > before["srtp_packets_in"] + 20
        )

    await until(more_packets, timeout=20, every=0.1)
    assert seat.transport.state is MediaState.CONNECTED
    assert await page.connection_state() == "connected"


async def test_a_stopped_section_is_let_go(lab: MediaLab, page: ChromiumPeer) -> None:
    """transceiver.stop() in the browser ends the slot here and keeps the call."""
    seat = await join(lab, page)
    assert seat.answer is not None
    await page.page.evaluate("() => peer.labels.find(([label]) => label === 'video-3')[1].stop()")
    await lab.negotiate(seat)
    assert "video-3" not in seat.answer.slots
    assert len(seat.answer.slots) == 11
    assert seat.transport.state is MediaState.CONNECTED


async def test_data_channels_of_a_browser(lab: MediaLab, page: ChromiumPeer) -> None:
    """A browser's channel opens, and its text reaches us whole whatever the alphabet."""
    await page.page.evaluate(
        """() => {
          peer.channel = peer.pc.createDataChannel("grüße");
          peer.channel.onopen = () => peer.channel.send("héllo");
        }"""
    )
    seat = await join(lab, page)
    await until(lambda: seat.messages == ["héllo"])
    await page.page.evaluate("() => peer.channel.send('x'.repeat(65536))")
    await until(lambda: len(seat.messages) == 2)
    assert seat.messages[1] == "x" * 65536


async def test_closing_the_page_ends_the_transport(lab: MediaLab, page: ChromiumPeer) -> None:
    """pc.close() says goodbye by DTLS, and the transport is gone without a timeout."""
    seat = await join(lab, page)
    await page.page.evaluate("() => peer.pc.close()")
    await until(lambda: seat.transport.state is MediaState.CLOSED)
    assert seat.states[-1][1] == "the peer closed it"
