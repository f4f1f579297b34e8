"""Session descriptions as typed structs, and how they are printed.

The subset of SDP (RFC 8866) that WebRTC uses (RFC 8829, RFC 9143 BUNDLE, RFC 8851 RID, RFC 8853
simulcast, RFC 8285 extensions, RFC 8841 data channels). Unknown attributes are not kept: this is
no editor of other people's SDP. Parsing is in `sfu.sdp_parser`, what to answer in
`sfu.negotiation`. Printing a struct and parsing the text gives an equal struct.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from .engine import Extension

Direction: TypeAlias = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
Setup: TypeAlias = Literal["actpass", "active", "passive", "holdconn"]

DIRECTIONS: tuple[Direction, ...] = ("sendrecv", "sendonly", "recvonly", "inactive")
SETUPS: tuple[Setup, ...] = ("actpass", "active", "passive", "holdconn")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The digest of a DTLS certificate (RFC 8122): "sha-256" and upper-case hex pairs."""

    algorithm: str
    value: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """An ICE candidate (RFC 8839 section 5.1); `address` is an IP address or an mDNS name."""

    foundation: str
    component: int
    protocol: str
    priority: int
    address: str
    port: int
    type: str


@dataclass(frozen=True, slots=True)
class PayloadFormat:
    """One RTP payload type of a section.

    Attributes:
        payload_type: 0 to 127.
        name: The encoding name as written ("opus", "VP8", "rtx"); compare without case.
        clock_rate: In Hz.
        channels: 1 unless the rtpmap says otherwise.
        parameters: The text of its fmtp line, "" without one.
        feedback: The values of its rtcp-fb lines ("nack pli"), in order (RFC 4585).
    """

    payload_type: int
    name: str
    clock_rate: int
    channels: int = 1
    parameters: str = ""
    feedback: tuple[str, ...] = ()

    def parameter(self, name: str) -> str | None:
        """Return one parameter of the fmtp line, e.g. "apt", or None."""
        for part in self.parameters.split(";"):
            key, equals, value = part.strip().partition("=")
            if equals and key.lower() == name:
                return value.strip()
        return None


@dataclass(frozen=True, slots=True)
class RID:
    """A restriction id (RFC 8851) and the direction it was declared for."""

    id: str
    direction: Literal["send", "recv"]


@dataclass(frozen=True, slots=True)
class SSRCGroup:
    """SSRCs that belong together (RFC 5576), e.g. "FID": a stream and its retransmission."""

    semantics: str
    ssrcs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MSID:
    """The stream and track ids of a section (RFC 8830); stream "-" means no stream."""

    stream: str
    track: str = ""


@dataclass(frozen=True, slots=True)
class MediaDescription:
    """One m-section. Empty tuples, "" and 0 mean that the line is not there.

    Attributes:
        kind: "audio", "video" or "application"; others are kept to be refused.
        port: 0 when the section is refused or no longer used.
        protocol: For instance "UDP/TLS/RTP/SAVPF".
        formats: The rest of the m-line as written.
        ssrcs: (ssrc, cname) in order.
        sctp_port: RFC 8841; 0 for a section that is no data channel.
        max_message_size: In bytes; 0 means any size, None that nothing is said.
    """

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    mid: str = ""
    direction: Direction = "sendrecv"
    payloads: tuple[PayloadFormat, ...] = ()
    extensions: tuple[Extension, ...] = ()
    rids: tuple[RID, ...] = ()
    simulcast_send: tuple[str, ...] = ()
    simulcast_recv: tuple[str, ...] = ()
    msid: MSID | None = None
    ssrcs: tuple[tuple[int, str], ...] = ()
    ssrc_groups: tuple[SSRCGroup, ...] = ()
    ice_ufrag: str = ""
    ice_pwd: str = ""
    candidates: tuple[Candidate, ...] = ()
    end_of_candidates: bool = False
    fingerprints: tuple[Fingerprint, ...] = ()
    setup: Setup | None = None
    rtcp_mux: bool = False
    rtcp_rsize: bool = False
    sctp_port: int = 0
    max_message_size: int | None = None


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A whole description: the session part and its m-sections in order.

    Attributes:
        session_id: From the o-line; stays for the life of a negotiation.
        version: Rises by one with each description of the same side.
        bundle: The mids that share one transport, the tagged one first (RFC 9143).
        media: At least one section.
    """

    session_id: int
    version: int
    media: tuple[MediaDescription, ...]
    bundle: tuple[str, ...] = ()
    ice_lite: bool = False
    extmap_allow_mixed: bool = False
    fingerprints: tuple[Fingerprint, ...] = ()
    ice_ufrag: str = ""
    ice_pwd: str = ""
    setup: Setup | None = None


def format_sdp(description: SessionDescription) -> str:
    """Print a description; every line ends in CR LF (RFC 8866 section 5)."""
    lines = [
        "v=0",
        f"o=- {description.session_id} {description.version} IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
    ]
    if description.bundle:
        lines.append("a=group:BUNDLE " + " ".join(description.bundle))
    if description.ice_lite:
        lines.append("a=ice-lite")
    if description.extmap_allow_mixed:
        lines.append("a=extmap-allow-mixed")
    lines.append("a=msid-semantic: WMS *")
    lines += _transport_lines(description)
    for media in description.media:
        lines += _media_lines(media)
    return "\r\n".join(lines) + "\r\n"


def _transport_lines(part: SessionDescription | MediaDescription) -> list[str]:
    lines = []
    if part.ice_ufrag:
        lines.append(f"a=ice-ufrag:{part.ice_ufrag}")
    if part.ice_pwd:
        lines.append(f"a=ice-pwd:{part.ice_pwd}")
    lines += [f"a=fingerprint:{f.algorithm} {f.value}" for f in part.fingerprints]
    if part.setup:
        lines.append(f"a=setup:{part.setup}")
    return lines


def _media_lines(media: MediaDescription) -> list[str]:
    lines = [
        f"m={media.kind} {media.port} {media.protocol} {' '.join(media.formats)}",
        "c=IN IP4 0.0.0.0",
    ]
    lines += [_candidate_line(candidate) for candidate in media.candidates]
    if media.end_of_candidates:
        lines.append("a=end-of-candidates")
    lines += _transport_lines(media)
    if media.mid:
        lines.append(f"a=mid:{media.mid}")
    return lines + (_sctp_lines(media) if media.kind == "application" else _rtp_lines(media))


def _sctp_lines(media: MediaDescription) -> list[str]:
    lines = [f"a={media.direction}"] if media.direction != "sendrecv" else []
    if media.sctp_port:
        lines.append(f"a=sctp-port:{media.sctp_port}")
    if media.max_message_size is not None:
        lines.append(f"a=max-message-size:{media.max_message_size}")
    return lines


def _rtp_lines(media: MediaDescription) -> list[str]:
    lines = []
    if media.rtcp_mux:
        lines.append("a=rtcp-mux")
    if media.rtcp_rsize:
        lines.append("a=rtcp-rsize")
    lines.append(f"a={media.direction}")
    lines += [f"a=extmap:{extension.id} {extension.uri}" for extension in media.extensions]
    for payload in media.payloads:
        lines += _payload_lines(payload)
    lines += [f"a=rid:{rid.id} {rid.direction}" for rid in media.rids]
    lines += _simulcast_lines(media)
    if media.msid:
        lines.append(f"a=msid:{media.msid.stream} {media.msid.track}".rstrip())
    lines += [f"a=ssrc:{ssrc} cname:{cname}" for ssrc, cname in media.ssrcs]
    lines += [
        f"a=ssrc-group:{group.semantics} {' '.join(map(str, group.ssrcs))}"
        for group in media.ssrc_groups
    ]
    return lines


def _simulcast_lines(media: MediaDescription) -> list[str]:
    parts = [
        f"{direction} {';'.join(ids)}"
        for direction, ids in (("send", media.simulcast_send), ("recv", media.simulcast_recv))
        if ids
    ]
    return ["a=simulcast:" + " ".join(parts)] if parts else []


def _payload_lines(payload: PayloadFormat) -> list[str]:
    number = payload.payload_type
    channels = f"/{payload.channels}" if payload.channels != 1 else ""
    lines = [f"a=rtpmap:{number} {payload.name}/{payload.clock_rate}{channels}"]
    if payload.parameters:
        lines.append(f"a=fmtp:{number} {payload.parameters}")
    lines += [f"a=rtcp-fb:{number} {value}" for value in payload.feedback]
    return lines


def _candidate_line(candidate: Candidate) -> str:
    return (
        f"a=candidate:{candidate.foundation} {candidate.component} {candidate.protocol} "
        f"{candidate.priority} {candidate.address} {candidate.port} typ {candidate.type}"
    )
