"""aiortc clients through the media shell and the compiled engine, over real UDP."""

from dataclasses import replace

import pytest
from aiortc import RTCDataChannel

from sfu.errors import NegotiationError
from sfu.sdp import RID, format_sdp
from sfu.sdp_parser import parse_sdp
from sfu.transport import MediaState
from tests.support.media_lab import media_lab
from tests.support.peers import AiortcPeer, closing
from tests.support.wait import until

RED, BLUE = (200, 30, 30), (30, 30, 200)


def near(colour: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether two colours are the same up to what a codec does to them."""
    return all(abs(int(a) - b) < 40 for a, b in zip(colour, wanted, strict=True))


async def test_two_clients_see_and_hear_each_other() -> None:
    """Each gets the other's colour on the slot that was bound, and the other's tone on a lane."""
    ana, bo = AiortcPeer("ana"), AiortcPeer("bo")
    ana.publish(colour=RED, tone=440.0)
    bo.publish(colour=BLUE, tone=1000.0)
    for peer in (ana, bo):
        peer.receive(audio=3, video=2)
    async with media_lab() as lab, closing(ana, bo):
        first, second = await lab.join(ana), await lab.join(bo)
        lab.bind(first, "video-1", second)
        lab.bind(second, "video-0", first)
        await until(lambda: ana.counts["video-1"] > 10 and bo.counts["video-0"] > 10, timeout=20)
        assert near(ana.colour("video-1"), BLUE)
        assert near(bo.colour("video-0"), RED)
        await until(lambda: any(ana.counts[f"audio-{n}"] > 20 for n in range(3)), timeout=20)
        lane = next(
            label for label in ana.counts if label.startswith("audio") and ana.counts[label]
        )
        await until(lambda: ana.hear(lane, [1000.0])[0] > 0.5, timeout=20)
        assert ana.hear(lane, [440.0])[0] < 0.05
        assert ana.counts["video-0"] == 0


@pytest.mark.parametrize("checked", [True, False], ids=["we refuse", "the engine refuses"])
async def test_a_refused_offer_leaves_what_flows_as_it_was(
    monkeypatch: pytest.MonkeyPatch, checked: bool
) -> None:
    """Five layers are refused; sound and picture go on, and later good offers are followed."""
    if not checked:
        monkeypatch.setattr("sfu.sections.check_params", lambda _params: None)
    ana, bo = AiortcPeer("ana"), AiortcPeer("bo")
    ana.publish(colour=RED, tone=440.0)
    bo.receive(audio=1, video=1)

    async def both_flow() -> None:
        before = dict(bo.counts)
        await until(
            lambda: all(bo.counts[label] > before[label] + 10 for label in before), timeout=20
        )

    async with media_lab() as lab, closing(ana, bo):
        first, second = await lab.join(ana), await lab.join(bo)
        lab.bind(second, "video-0", first)
        await both_flow()
        good, labels = await ana.offer()
        for bad in (five_layers(good), five_layers(one_codec(good))):
            with pytest.raises(NegotiationError):
                first.transport.handle_offer(bad, labels)
            await both_flow()
        again = first.transport.handle_offer(good, labels)
        assert again.tracks == first.answer.tracks
        await both_flow()
        first.answer = first.transport.handle_offer(one_codec(good), labels)
        assert first.answer.removed == (again.tracks["camera"],)
        lab.bind(second, "video-0", first)
        await both_flow()


def five_layers(offer: str) -> str:
    """The camera with more layers than the engine keeps."""
    return change_camera(
        offer,
        rids=tuple(RID(rid, "send") for rid in "abcde"),
        simulcast_send=tuple("abcde"),
    )


def one_codec(offer: str) -> str:
    """The camera with the first codec alone, and its retransmissions."""
    camera = next(media for media in parse_sdp(offer).media if media.kind == "video")
    return change_camera(offer, formats=camera.formats[:2], payloads=camera.payloads[:2])


def change_camera(offer: str, **fields: object) -> str:
    """The offer with another video section."""
    parsed = parse_sdp(offer)
    media = (replace(m, **fields) if m.kind == "video" else m for m in parsed.media)
    return format_sdp(replace(parsed, media=tuple(media)))


async def test_data_channels_reach_us_through_the_engine() -> None:
    """SCTP over DTLS over the engine's port carries messages both ways."""
    ana = AiortcPeer("ana")
    ana.publish(tone=440.0)
    channel: RTCDataChannel = ana.pc.createDataChannel("notes")
    async with media_lab() as lab, closing(ana):
        seat = await lab.join(ana)
        await until(lambda: channel.readyState == "open")
        channel.send("hello")
        await until(lambda: seat.messages == ["hello"])


async def test_a_client_that_says_goodbye_is_gone_at_once() -> None:
    """Closing the peer connection closes the transport without waiting for consent to expire."""
    ana = AiortcPeer("ana")
    ana.publish(tone=440.0)
    async with media_lab() as lab:
        seat = await lab.join(ana)
        # The server is the first to know; who has no keys yet cannot say goodbye.
        await until(lambda: ana.pc.connectionState == "connected")
        await ana.close()
        await until(lambda: seat.transport.state is MediaState.CLOSED)
        assert seat.states[-1][1] == "the peer closed it"
