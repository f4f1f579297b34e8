"""Printing descriptions, and what printing and parsing owe each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.engine import Extension
from sfu.sdp import (
    MSID,
    RID,
    Candidate,
    Fingerprint,
    MediaDescription,
    PayloadFormat,
    SessionDescription,
    SSRCGroup,
    format_sdp,
)
from sfu.sdp_parser import RESERVED_EXTENSION_ID, parse_sdp

from .offers import DEFAULT, TRIMMED

TOKEN = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-_.", min_size=1, max_size=12)
RID_TEXT = st.text("abcXYZ019-_", min_size=1, max_size=8)
UINT32 = st.integers(0, 2**32 - 1)
FINGERPRINT = st.binary(min_size=32, max_size=32).map(
    lambda digest: Fingerprint("sha-256", digest.hex(":").upper())
)
CANDIDATE = st.builds(
    Candidate,
    foundation=st.text("abc019", min_size=1, max_size=8),
    component=st.just(1),
    protocol=st.sampled_from(["udp", "tcp"]),
    priority=UINT32,
    address=st.sampled_from(["192.0.2.7", "2001:db8::1", "5b7f.local"]),
    port=st.integers(0, 65535),
    type=st.sampled_from(["host", "srflx"]),
)


@st.composite
def rtp_sections(draw: st.DrawFn, mid: str) -> MediaDescription:
    """Any audio or video section that can be written down."""
    numbers = draw(st.lists(st.integers(0, 127), min_size=1, max_size=6, unique=True))
    rids = draw(st.lists(RID_TEXT, max_size=3, unique=True))
    ssrcs = draw(st.lists(UINT32, max_size=4, unique=True))
    payloads = tuple(
        PayloadFormat(
            number,
            draw(TOKEN),
            draw(st.sampled_from([8000, 48000, 90000])),
            draw(st.sampled_from([1, 2])),
            draw(st.sampled_from(["", "apt=96", "minptime=10;useinbandfec=1"])),
            tuple(draw(st.lists(st.sampled_from(["nack", "nack pli", "ccm fir"]), max_size=3))),
        )
        for number in numbers
    )
    usable = st.integers(1, 255).filter(lambda number: number != RESERVED_EXTENSION_ID)
    ids = draw(st.lists(usable, max_size=6, unique=True))
    return MediaDescription(
        kind=draw(st.sampled_from(["audio", "video"])),
        port=draw(st.integers(0, 65535)),
        protocol="UDP/TLS/RTP/SAVPF",
        formats=tuple(map(str, numbers)),
        mid=mid,
        direction=draw(st.sampled_from(["sendrecv", "sendonly", "recvonly", "inactive"])),
        payloads=payloads,
        extensions=tuple(Extension(number, f"urn:x:{number}") for number in ids),
        rids=tuple(RID(rid, "send") for rid in rids),
        simulcast_send=tuple(rids),
        msid=draw(st.none() | st.builds(MSID, TOKEN, st.just("") | TOKEN)),
        ssrcs=tuple((ssrc, draw(TOKEN)) for ssrc in ssrcs),
        ssrc_groups=(SSRCGroup("FID", tuple(ssrcs)),) if ssrcs else (),
        ice_ufrag=draw(st.sampled_from(["", "abcd"])),
        ice_pwd=draw(st.sampled_from(["", "0123456789abcdefghijkl"])),
        candidates=tuple(draw(st.lists(CANDIDATE, max_size=3))),
        end_of_candidates=draw(st.booleans()),
        fingerprints=tuple(draw(st.lists(FINGERPRINT, max_size=2))),
        setup=draw(st.sampled_from([None, "actpass", "passive"])),
        rtcp_mux=draw(st.booleans()),
        rtcp_rsize=draw(st.booleans()),
    )


@st.composite
def descriptions(draw: st.DrawFn) -> SessionDescription:
    """Any description, with or without data channels."""
    mids = draw(st.lists(TOKEN, min_size=1, max_size=4, unique=True))
    media = [draw(rtp_sections(mid)) for mid in mids]
    if draw(st.booleans()):
        media.append(
            MediaDescription(
                kind="application",
                port=9,
                protocol="UDP/DTLS/SCTP",
                formats=("webrtc-datachannel",),
                mid="~data",
                sctp_port=5000,
                max_message_size=draw(st.none() | st.integers(0, 2**40)),
            )
        )
    return SessionDescription(
        session_id=draw(st.integers(0, 2**62)),
        version=draw(st.integers(0, 2**31)),
        media=tuple(media),
        bundle=tuple(mids),
        ice_lite=draw(st.booleans()),
        extmap_allow_mixed=draw(st.booleans()),
        fingerprints=tuple(draw(st.lists(FINGERPRINT, max_size=1))),
    )


@given(descriptions())
def test_parsing_what_was_printed_gives_the_same(description: SessionDescription) -> None:
    """Printing loses nothing of a description."""
    assert parse_sdp(format_sdp(description)) == description


@pytest.mark.parametrize("offer", [TRIMMED, DEFAULT], ids=["trimmed", "default"])
def test_real_offers_survive_a_round_trip(offer: str) -> None:
    """A browser's offer means the same after it was printed by us."""
    parsed = parse_sdp(offer)
    assert parse_sdp(format_sdp(parsed)) == parsed


def test_lines_end_in_cr_lf() -> None:
    """RFC 8866 section 5: each line ends in CR LF, the last one too."""
    text = format_sdp(parse_sdp(TRIMMED))
    assert text.endswith("\r\n")
    assert text.count("\n") == text.count("\r\n") == len(text.splitlines())


def test_fmtp_parameters_are_found_by_name() -> None:
    """A format parameter is read whatever its place and spacing."""
    payload = PayloadFormat(
        96, "H264", 90000, parameters="x=1; Profile-Level-ID=42e01f;packetization-mode=1"
    )
    assert payload.parameter("profile-level-id") == "42e01f"
    assert payload.parameter("packetization-mode") == "1"
    assert payload.parameter("mode") is None
