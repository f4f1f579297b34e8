"""Single sections: refused by themselves, labelled, and answered so that browsers repair losses."""

from dataclasses import replace

import pytest

from sfu.errors import NegotiationError
from sfu.negotiation import AddSlot, AddTrack
from sfu.sdp import SSRCGroup, format_sdp

from .endpoint import OFFER, Endpoint, change
from .offers import labels


@pytest.fixture
def endpoint() -> Endpoint:
    """A fresh negotiation."""
    return Endpoint()


def test_every_slot_has_its_own_stream_and_fid(endpoint: Endpoint) -> None:
    """Streams and names are never shared (they would be lip-synced) and video repairs by RTX."""
    answer = endpoint.offer(OFFER, labels(8))
    slots = answer.media[3:]
    assert [m.msid.stream for m in slots if m.msid] == list(labels(8).values())[3:]
    assert len({ssrc for m in slots for ssrc, _ in m.ssrcs}) == 3 + 9 * 2
    for media in slots:
        group = [(g.semantics, g.ssrcs) for g in media.ssrc_groups]
        expected = [("FID", tuple(s for s, _ in media.ssrcs))] if media.kind == "video" else []
        assert group == expected
        assert {cname for _, cname in media.ssrcs} == {f"cname{media.ssrcs[0][0] - 1000}"}


def test_an_unknown_codec_refuses_its_section_alone(endpoint: Endpoint) -> None:
    """One unusable section gets port 0 and a reason; the call goes on without it."""
    camera = OFFER.media[1]
    vp7 = tuple(replace(p, name="VP7") if p.name != "rtx" else p for p in camera.payloads)
    answer = endpoint.offer(change(OFFER, "1", payloads=vp7), labels(8))
    assert answer.media[1].port == 0
    assert endpoint.refused == {"1": "no codec that we know"}
    assert "1" not in answer.bundle
    assert len([op for op in endpoint.operations if isinstance(op, AddTrack)]) == 2


def test_a_refused_tagged_section_still_carries_the_transport(endpoint: Endpoint) -> None:
    """Browsers fail when the tagged section is refused by port 0, so it is kept inactive."""
    named = tuple(replace(p, name="speex") for p in OFFER.media[0].payloads)
    answer = endpoint.offer(change(OFFER, "0", payloads=named), labels(8))
    assert endpoint.refused == {"0": "no codec that we know"}
    assert answer.bundle == OFFER.bundle
    assert (answer.media[0].port, answer.media[0].direction) == (9, "inactive")
    assert answer.media[0].ice_ufrag
    assert not [op for op in endpoint.operations if op.mid == "0"]


def test_a_tagged_section_that_cannot_carry_it_hands_the_transport_on(endpoint: Endpoint) -> None:
    """Without rtcp-mux the first section is of no use at all; the next one takes over (RFC 9143)."""
    answer = endpoint.offer(change(OFFER, "0", rtcp_mux=False), labels(8))
    assert answer.bundle[0] == "1"
    assert not answer.media[0].ice_ufrag
    assert answer.media[1].ice_ufrag
    assert answer.media[1].fingerprints


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"rtcp_mux": False}, "rtcp-mux"),
        ({"protocol": "RTP/SAVP"}, "UDP/TLS"),
        ({"kind": "text", "payloads": ()}, "not audio"),
    ],
)
def test_sections_that_we_cannot_carry_are_refused(
    endpoint: Endpoint, fields: dict[str, object], reason: str
) -> None:
    """Each other unusable section is refused with its own reason."""
    named = labels(8)
    named.pop("4")
    endpoint.offer(change(OFFER, "4", **fields), named)
    assert reason in endpoint.refused["4"]


@pytest.mark.parametrize(
    ("mid", "edits", "words"),
    [
        ("2", {"a=ssrc:5 ": "a=ssrc:0 "}, "SSRC 0 "),
        ("2", {"a=ssrc-group:FID 5 6": "a=ssrc-group:FID 5 6\r\na=ssrc-group:FID 7 6"}, "SSRC 6 "),
        ("0", {"111": "72"}, "payload type 72"),
        ("1", {"a=rid:f": "a=rid:a send\r\na=rid:b send\r\na=rid:f", "send f;": "send a;b;f;"}, "more than 4"),
        ("2", {"a=ssrc:5 ": "a=ssrc:1 x\r\na=ssrc:2 x\r\na=ssrc:3 x\r\na=ssrc:5 "}, "more than 4"),
    ],
)  # fmt: skip
def test_what_the_engine_cannot_take_is_a_reason_against_the_offer(
    endpoint: Endpoint, mid: str, edits: dict[str, str], words: str
) -> None:
    """It parses, and no engine call may be needed to find out that it cannot be used."""
    ssrcs = ((5, "x"), (6, "x"), (7, "x"))
    groups = (SSRCGroup("FID", (5, 6)),)
    text = format_sdp(change(OFFER, "2", ssrcs=ssrcs, ssrc_groups=groups))
    at = text.index(f"a=mid:{mid}\r\n")
    start, end = text.rindex("m=", 0, at), text.index("\r\nm=", at)
    section = text[start:end]
    for old, new in edits.items():
        assert old in section
        section = section.replace(old, new)
    with pytest.raises(NegotiationError, match=f"m-section '{mid}': .*{words}"):
        endpoint.offer(text[:start] + section + text[end:], labels(8))
    assert endpoint.operations == ()


@pytest.mark.parametrize("mid", ["", "x" * 20])
def test_a_mid_must_fit_the_packets_that_carry_it(endpoint: Endpoint, mid: str) -> None:
    """A header extension element has sixteen bytes; a lone section may have none at all."""
    camera = replace(OFFER.media[1], mid=mid)
    with pytest.raises(NegotiationError, match="1 to 16 visible"):
        endpoint.offer(replace(OFFER, media=(camera,), bundle=(mid,) if mid else ()))


def test_a_section_outside_the_bundle_is_refused(endpoint: Endpoint) -> None:
    """All sections share one transport; one that wants its own is refused."""
    offer = replace(OFFER, bundle=tuple(mid for mid in OFFER.bundle if mid != "5"))
    endpoint.offer(offer, labels(8))
    assert "BUNDLE" in endpoint.refused["5"]


def test_sections_without_labels_go_by_their_direction(endpoint: Endpoint) -> None:
    """A plain client's microphone, camera and receiving sections find their meaning."""
    endpoint.offer(OFFER)
    assert [str(op.label) for op in endpoint.operations if isinstance(op, AddTrack)] == [
        "mic",
        "camera",
    ]
    assert [str(op.label) for op in endpoint.operations if isinstance(op, AddSlot)][3:5] == [
        "video-0",
        "video-1",
    ]
    assert endpoint.refused == {"2": "no label says what it is for"}


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"99": "mic"}, "not in the offer"),
        ({"0": "microphone"}, "not a label"),
        ({"0": "camera"}, "audio, not camera"),
        ({"6": "video-0", "7": "video-0"}, "two m-sections"),
    ],
)
def test_wrong_labels_are_refused(endpoint: Endpoint, named: dict[str, str], words: str) -> None:
    """A label that cannot be right is an error of the whole offer, and changes nothing."""
    with pytest.raises(NegotiationError, match=words):
        endpoint.offer(OFFER, named)
    endpoint.offer(OFFER, labels(8))
    assert len(endpoint.operations) == 15
