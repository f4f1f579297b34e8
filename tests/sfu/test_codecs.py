"""Which codecs and extensions are picked out of an offer."""

import pytest

from sfu.codecs import (
    FEEDBACK,
    MID_URI,
    SLOT_EXTENSIONS,
    TRACK_EXTENSIONS,
    TRANSPORT_CC_URI,
    is_constrained_baseline,
    pick_codecs,
    pick_extensions,
    pick_payloads,
)
from sfu.engine import Codec, Extension
from sfu.sdp import PayloadFormat
from sfu.sdp_parser import parse_sdp

from .offers import DEFAULT

MIC, CAMERA = parse_sdp(DEFAULT).media[:2]


def test_audio_is_opus_alone() -> None:
    """RED, G.722, PCM and telephone-event of a browser's default offer are left out."""
    assert [codec.name for codec in pick_codecs("audio", MIC.payloads)] == ["opus"]


def test_video_is_vp8_and_constrained_baseline_with_their_retransmission() -> None:
    """VP9, AV1, other H.264 profiles, RED and FEC are left out; each codec has its own RTX."""
    codecs = pick_codecs("video", CAMERA.payloads)
    by_number = {payload.payload_type: payload for payload in CAMERA.payloads}
    assert {codec.name for codec in codecs} == {"vp8", "h264"}
    for codec in codecs:
        rtx = by_number[codec.rtx_payload_type]
        assert rtx.name == "rtx"
        assert rtx.parameter("apt") == str(codec.payload_type)
        if codec.name == "h264":
            assert by_number[codec.payload_type].parameter("packetization-mode") == "1"


@pytest.mark.parametrize(
    ("profile_level_id", "expected"),
    [
        ("42e01f", True), ("42C00B", True), ("42001f", False), ("4d801f", True),
        ("4d001f", False), ("58c01f", True), ("58801f", False), ("640c1f", False),
        ("", False), ("4", False), ("zz", False), ("42", False),
    ],
)  # fmt: skip
def test_constrained_baseline_by_rfc_6184_table_5(profile_level_id: str, expected: bool) -> None:
    """Each spelling of constrained baseline is known, and nothing else is."""
    assert is_constrained_baseline(profile_level_id) is expected


def test_payloads_keep_the_offers_numbers_and_drop_unknown_feedback() -> None:
    """The answer echoes payload types and fmtp; goog-remb, which we do not send, goes."""
    codecs = pick_codecs("video", CAMERA.payloads)
    payloads = pick_payloads(codecs, CAMERA.payloads, FEEDBACK["video"])
    offered = {payload.payload_type: payload for payload in CAMERA.payloads}
    for payload in payloads:
        assert payload.parameters == offered[payload.payload_type].parameters
        assert "goog-remb" not in payload.feedback
        assert (payload.name == "rtx") == (not payload.feedback)


def test_the_order_of_extensions_means_nothing() -> None:
    """Clients may list them differently in each offer; a slot's parameters stay the same."""
    offered = [Extension(9, MID_URI), Extension(3, TRANSPORT_CC_URI)]
    known = SLOT_EXTENSIONS
    assert len(pick_extensions(known, offered)) == 2
    assert pick_extensions(known, offered) == pick_extensions(known, reversed(offered))


def test_an_extension_offered_twice_is_taken_once() -> None:
    """The first id of a URI wins and unknown URIs are left out."""
    offered = [Extension(3, "urn:unknown"), Extension(4, MID_URI), Extension(5, MID_URI)]
    assert pick_extensions(TRACK_EXTENSIONS["audio"], offered) == (Extension(4, MID_URI),)


def test_rtx_of_another_payload_type_is_not_taken() -> None:
    """A retransmission format counts for the payload type in its apt only."""
    payloads = [
        PayloadFormat(96, "VP8", 90000),
        PayloadFormat(97, "rtx", 90000, parameters="apt=98"),
    ]
    assert pick_codecs("video", payloads) == (Codec(96, "vp8", 90000),)
