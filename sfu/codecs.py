"""Which codecs and header extensions we speak, and how one is picked out of an offer.

Three codecs: Opus (RFC 7587), VP8 (RFC 7741) and H.264 constrained baseline with
packetization-mode 1 (RFC 6184), each video codec with its retransmission format (RFC 4588).
Everything else in a section (RED, FEC, telephone-event, VP9 …) is left out of the answer. Pure
functions over `sfu.sdp` structs; `sfu.negotiation` uses them.
"""

from collections.abc import Iterable

from .engine import Codec, Extension
from .sdp import PayloadFormat

MID_URI = "urn:ietf:params:rtp-hdrext:sdes:mid"
RID_URI = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
REPAIRED_RID_URI = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
AUDIO_LEVEL_URI = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
TRANSPORT_CC_URI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
ABS_SEND_TIME_URI = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"

TRACK_EXTENSIONS = {
    "audio": {MID_URI, AUDIO_LEVEL_URI, TRANSPORT_CC_URI, ABS_SEND_TIME_URI},
    "video": {MID_URI, RID_URI, REPAIRED_RID_URI, TRANSPORT_CC_URI, ABS_SEND_TIME_URI},
}
SLOT_EXTENSIONS = {MID_URI, TRANSPORT_CC_URI}
"""Few on purpose: each costs about 75 bytes of answer in every slot."""
FEEDBACK = {
    "audio": ("transport-cc",),
    "video": ("transport-cc", "ccm fir", "nack", "nack pli"),
}
"""What we answer in sections that the peer publishes on, when it offered it (RFC 4585)."""


def pick_codecs(kind: str, payloads: Iterable[PayloadFormat]) -> tuple[Codec, ...]:
    """Return the codecs that both sides know, in the offer's order; empty when there is none."""
    payloads = tuple(payloads)
    return tuple(
        Codec(
            payload.payload_type,
            payload.name.lower(),
            payload.clock_rate,
            _rtx_payload_type(payload, payloads),
        )
        for payload in payloads
        if _is_known(kind, payload)
    )


def pick_payloads(
    codecs: Iterable[Codec], payloads: Iterable[PayloadFormat], feedback: Iterable[str]
) -> tuple[PayloadFormat, ...]:
    """Return the offer's payload formats for `codecs` and their RTX, as an answer states them."""
    by_number = {payload.payload_type: payload for payload in payloads}
    feedback = tuple(feedback)
    answer = []
    for codec in codecs:
        offered = by_number[codec.payload_type]
        kept = tuple(value for value in offered.feedback if value in feedback)
        answer.append(_with_feedback(offered, kept))
        if codec.rtx_payload_type:
            answer.append(_with_feedback(by_number[codec.rtx_payload_type], ()))
    return tuple(answer)


def pick_extensions(known: set[str], offered: Iterable[Extension]) -> tuple[Extension, ...]:
    """Return the offered extensions that we know, with the offer's ids, each URI once.

    In the order of their ids: the order of the lines means nothing (RFC 8285 section 5), and some
    clients list them differently in each offer.
    """
    picked: dict[str, Extension] = {}
    for extension in offered:
        if extension.uri in known:
            picked.setdefault(extension.uri, extension)
    return tuple(sorted(picked.values(), key=lambda extension: extension.id))


def is_constrained_baseline(profile_level_id: str) -> bool:
    """Tell whether an H.264 profile-level-id means constrained baseline (RFC 6184 table 5)."""
    try:
        profile, constraints = bytes.fromhex(profile_level_id)[:2]
    except ValueError:
        return False
    return (
        (profile == 0x42 and bool(constraints & 0x40))
        or (profile == 0x4D and bool(constraints & 0x80))
        or (profile == 0x58 and constraints & 0xC0 == 0xC0)
    )


def _is_known(kind: str, payload: PayloadFormat) -> bool:
    name = payload.name.lower()
    if kind == "audio":
        return name == "opus" and payload.clock_rate == 48000 and payload.channels == 2
    if payload.clock_rate != 90000:
        return False
    if name == "h264":
        return payload.parameter("packetization-mode") == "1" and is_constrained_baseline(
            payload.parameter("profile-level-id") or ""
        )
    return name == "vp8"


def _rtx_payload_type(payload: PayloadFormat, payloads: Iterable[PayloadFormat]) -> int:
    for other in payloads:
        if (
            other.name.lower() == "rtx"
            and other.clock_rate == payload.clock_rate
            and other.parameter("apt") == str(payload.payload_type)
        ):
            return other.payload_type
    return 0


def _with_feedback(payload: PayloadFormat, feedback: tuple[str, ...]) -> PayloadFormat:
    return PayloadFormat(
        payload.payload_type,
        payload.name,
        payload.clock_rate,
        payload.channels,
        payload.parameters,
        feedback,
    )
