"""What the parser reads, refuses, and never does: raise anything but SDPError."""

import random

import pytest
from aiortc.sdp import SessionDescription as AiortcDescription
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.errors import SDPError
from sfu.sdp import RID
from sfu.sdp_parser import MAX_BYTES, parse_sdp

from .offers import DEFAULT, TRIMMED

MINIMAL = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
ALPHABET = "".join(map(chr, range(32, 127))) + "\r\n\t\x00\x7f٣é\ud800"


def test_a_trimmed_offer_is_read_in_full() -> None:
    """Sections, codecs, layers, extensions and transport of a real offer come out typed."""
    offer = parse_sdp(TRIMMED)
    mic, camera, screen, *slots = offer.media
    assert offer.bundle == tuple(map(str, range(15)))
    assert offer.extmap_allow_mixed
    assert [media.direction for media in offer.media] == ["sendonly"] * 3 + ["recvonly"] * 12
    assert (mic.kind, camera.kind, screen.kind) == ("audio", "video", "video")
    assert mic.payloads[0].name == "opus"
    assert mic.payloads[0].channels == 2
    assert mic.payloads[0].parameters == "minptime=10;useinbandfec=1"
    assert camera.simulcast_send == ("f", "h", "q")
    assert [rid.id for rid in camera.rids] == ["f", "h", "q"]
    assert [payload.name for payload in camera.payloads] == ["VP8", "rtx", "H264", "rtx"]
    assert "nack pli" in camera.payloads[0].feedback
    assert camera.setup == "actpass"
    assert len(camera.fingerprints) == 1
    assert mic.candidates[0].type == "host"
    assert len(slots) == 12


@pytest.mark.parametrize("first", ["send", "recv"])
def test_layers_that_the_last_answer_named_too_are_those_that_are_sent(first: str) -> None:
    """Pion repeats the answer's lines beside its own, in one section and under the same names."""
    lines = {
        "send": "a=rid:q send\r\na=rid:h send\r\na=simulcast:send q;h\r\n",
        "recv": "a=rid:q recv\r\na=rid:h recv\r\na=simulcast:recv q;h\r\n",
    }
    second = "recv" if first == "send" else "send"
    (media,) = parse_sdp(MINIMAL + lines[first] + lines[second]).media
    assert set(media.rids) == {RID("q", "send"), RID("h", "send")}
    assert media.simulcast_send == media.simulcast_recv == ("q", "h")


def test_data_channels_are_read() -> None:
    """The application section carries its SCTP port and message size."""
    data = parse_sdp(DEFAULT).media[-1]
    assert (data.kind, data.formats, data.sctp_port) == (
        "application",
        ("webrtc-datachannel",),
        5000,
    )
    assert data.max_message_size == 262144


@pytest.mark.parametrize("offer", [TRIMMED, DEFAULT], ids=["trimmed", "default"])
def test_aiortc_reads_the_same(offer: str) -> None:
    """An independent parser agrees on every field that it knows."""
    ours, theirs = parse_sdp(offer), AiortcDescription.parse(offer)
    assert [media.mid for media in ours.media] == [media.rtp.muxId for media in theirs.media]
    for media, other in zip(ours.media, theirs.media, strict=True):
        assert (media.kind, media.port, media.protocol) == (other.kind, other.port, other.profile)
        assert (media.ice_ufrag, media.ice_pwd) == (other.ice.usernameFragment, other.ice.password)
        assert [c.address for c in media.candidates] == [c.ip for c in other.ice_candidates]
        assert [c.priority for c in media.candidates] == [c.priority for c in other.ice_candidates]
        assert {f.value for f in media.fingerprints} == {f.value for f in other.dtls.fingerprints}
        if media.kind == "application":
            continue
        assert media.direction == other.direction
        assert [(e.id, e.uri) for e in media.extensions] == [
            (e.id, e.uri) for e in other.rtp.headerExtensions
        ]
        assert [(p.payload_type, p.name, p.clock_rate) for p in media.payloads] == [
            (c.payloadType, c.mimeType.split("/")[1], c.clockRate) for c in other.rtp.codecs
        ]
        assert [ssrc for ssrc, _ in media.ssrcs] == [s.ssrc for s in other.ssrc]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "v=0"),
        ("hello", 1, "form"),
        ("v=0\r\n", 0, "o="),
        ("v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\n", 0, "m="),
        ("v=0\r\no=- one 2 IN IP4 127.0.0.1\r\n", 2, "number"),
        ("v=0\r\no=-\r\n", 2, "six"),
        (MINIMAL + "a=mid:a b\r\n", 6, "mid"),
        (MINIMAL + "a=mid:a\r\na=mid:b\r\n", 7, "second mid"),
        (MINIMAL + "m=audio 9\r\n", 6, "formats"),
        (MINIMAL + "m=audio 9 UDP/TLS/RTP/SAVPF 128\r\n", 6, "127"),
        (MINIMAL + "m=audio 9 UDP/TLS/RTP/SAVPF 1 1\r\n", 6, "twice"),
        (MINIMAL + "m=audio 65536 UDP/TLS/RTP/SAVPF 1\r\n", 6, "65535"),
        (MINIMAL + "m=audio ٣ UDP/TLS/RTP/SAVPF 1\r\n", 6, "number"),
        (MINIMAL + "a=rtpmap:111\r\n", 6, "encoding"),
        (MINIMAL + "a=rtpmap:111 opus/0\r\n", 6, "number"),
        (MINIMAL + "a=rtpmap:111 opus/1\r\na=rtpmap:111 opus/1\r\n", 7, "second rtpmap"),
        (MINIMAL + "a=extmap:0 urn:x\r\n", 6, "number"),
        (MINIMAL + "a=extmap:1\r\n", 6, "URI"),
        (MINIMAL + "a=extmap:1 urn:x\r\na=extmap:1 urn:y\r\n", 7, "twice"),
        (MINIMAL + "a=rid:q both\r\n", 6, "neither"),
        (MINIMAL + "a=rid:q send\r\na=rid:q send\r\n", 7, "twice"),
        (MINIMAL + "a=simulcast:send\r\n", 6, "simulcast"),
        (MINIMAL + "a=simulcast:send a send b\r\n", 6, "twice"),
        (MINIMAL + "a=simulcast:send a;;b\r\n", 6, "rid"),
        (MINIMAL + "a=ssrc:4294967296 cname:x\r\n", 6, "number"),
        (MINIMAL + "a=fingerprint:sha-256 00\r\n", 6, "fingerprint"),
        (MINIMAL + "a=setup:maybe\r\n", 6, "setup"),
        (MINIMAL + "a=ice-ufrag:abc\r\n", 6, "shorter"),
        (MINIMAL + "a=ice-pwd:short\r\n", 6, "shorter"),
        (MINIMAL + "a=candidate:1 1 udp 1 192.0.2.1 9\r\n", 6, "eight"),
        (MINIMAL + "a=x\x00y\r\n", 6, "form"),
        (MINIMAL + "a=mid:1\r\n" + "m=audio 9 X 1\r\na=mid:1\r\n", 0, "same mid"),
        (MINIMAL.replace("t=0 0", "a=group:BUNDLE 9"), 0, "BUNDLE"),
        (MINIMAL + "s=\ud800\r\n", 0, "Unicode"),
    ],
)  # fmt: skip
def test_each_mistake_is_named_with_its_line(text: str, line: int, words: str) -> None:
    """A broken description is refused with the line and the reason."""
    with pytest.raises(SDPError, match=words) as caught:
        parse_sdp(text)
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (MINIMAL + "a=x:" + "y" * MAX_BYTES, "bytes"),
        (MINIMAL + "a=x\r\n" * 2000, "lines"),
        (MINIMAL + "m=audio 9 UDP/TLS/RTP/SAVPF 1\r\n" * 64, "m-sections"),
        (MINIMAL + "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n" * 65, "candidates"),
        (MINIMAL + "".join(f"a=ssrc:{n} cname:x\r\n" for n in range(65)), "SSRCs"),
        (MINIMAL + "".join(f"a=extmap:{n} urn:{n}\r\n" for n in range(16, 90)), "extensions"),
    ],
    ids=["bytes", "lines", "sections", "candidates", "ssrcs", "extensions"],
)
def test_bounds_hold(text: str, words: str) -> None:
    """What is larger than the bounds is refused, not read."""
    with pytest.raises(SDPError, match=words):
        parse_sdp(text)


def test_unknown_lines_are_skipped() -> None:
    """A newer browser's attributes and line types do not turn it away."""
    text = MINIMAL + "b=AS:2000\r\na=brand-new:1 2 3\r\ni=title\r\na=rtpmap:99 none/1\r\n"
    assert parse_sdp(text).media[0].kind == "audio"


@settings(max_examples=400, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from([TRIMMED, DEFAULT]))
def test_mutated_offers_raise_nothing_but_sdp_errors(rng: random.Random, offer: str) -> None:
    """However a real offer is damaged, it is read or refused with SDPError."""
    lines = offer.split("\r\n")
    for _ in range(rng.randint(1, 8)):
        index = rng.randrange(len(lines))
        choice = rng.randrange(5)
        line = lines[index]
        if choice == 0:
            del lines[index]
        elif choice == 1:
            lines.insert(index, lines[rng.randrange(len(lines))])
        elif choice == 2 and line:
            cut = rng.randrange(len(line))
            lines[index] = line[:cut] + rng.choice(ALPHABET) + line[cut + 1 :]
        elif choice == 3 and line:
            lines[index] = line[: rng.randrange(len(line))]
        else:
            lines[index] = line + "".join(rng.choices(ALPHABET, k=5))
    try:
        parse_sdp("\r\n".join(lines))
    except SDPError as error:
        assert str(error)


@settings(max_examples=300, deadline=None)
@given(st.text() | st.text().map(lambda tail: MINIMAL + tail))
def test_any_text_raises_nothing_but_sdp_errors(text: str) -> None:
    """Text out of nowhere is refused with SDPError."""
    try:
        parse_sdp(text)
    except SDPError as error:
        assert str(error)


def test_the_reserved_extension_id_is_refused() -> None:
    """RFC 8285 section 4.2 keeps 15 for itself; the engine would not take it either."""
    with pytest.raises(SDPError, match="reserved"):
        parse_sdp(MINIMAL + "a=extmap:15 urn:ietf:params:rtp-hdrext:sdes:mid\r\n")
    (audio,) = parse_sdp(MINIMAL + "a=extmap:14 urn:ietf:params:rtp-hdrext:sdes:mid\r\n").media
    assert audio.extensions[0].id == 14
