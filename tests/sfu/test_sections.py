"""Single sections: refused by themselves, labelled, and answered so that browsers repair losses."""

from dataclasses import replace

import pytest

from sfu.errors import NegotiationError
from sfu.negotiation import AddSlot, AddTrack

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
