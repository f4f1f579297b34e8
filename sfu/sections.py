"""One m-section at a time: what an offered section is for, and how it is answered.

Pure functions over `sfu.sdp` structs. They refuse what we cannot carry, section by section, find
the label of a section that has none, and fill in what a slot's answer must say so that browsers
repair its losses and keep it apart from other people's. The order of sections, the transport and
the life of a negotiation are `sfu.negotiation`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from .codecs import (
    FEEDBACK,
    SLOT_EXTENSIONS,
    TRACK_EXTENSIONS,
    pick_codecs,
    pick_extensions,
    pick_payloads,
)
from .engine import MediaKind, SlotIds, SlotParams, TrackParams
from .errors import NegotiationError
from .labels import Label, SlotLabel, TrackLabel, parse_label
from .params import check_params
from .sdp import MSID, RID, MediaDescription, SessionDescription, SSRCGroup

MAX_MESSAGE_SIZE = 64 * 1024
"""Bytes of one data channel message that we take, and say so (RFC 8841)."""

_RTP_PROTOCOL = "UDP/TLS/RTP/SAVPF"
_SCTP_PROTOCOL = "UDP/DTLS/SCTP"


@dataclass(frozen=True, slots=True)
class Section:
    """One m-section as planned or agreed.

    Attributes:
        offered: As the peer described it last.
        label: What it is for; None for data and for what is refused.
        params: For the engine; None when nothing flows on it.
        refusal: Why we do not use it, "" when we do.
    """

    offered: MediaDescription
    label: Label | None = None
    params: TrackParams | SlotParams | None = None
    refusal: str = ""

    @property
    def mid(self) -> str:
        """The section's mid."""
        return self.offered.mid

    def settled(self) -> "Section":
        """Return what the next offer is compared with, without what only the answer needed.

        The formats of a class of 200 would be a million objects for each garbage collection to walk.
        """
        offered = self.offered
        bare = MediaDescription(offered.kind, offered.port, offered.protocol, (), offered.mid)
        return replace(self, offered=bare)


def read_labels(offer: SessionDescription, labels: Mapping[str, str]) -> dict[str, Label]:
    """Read the client's labels, and give one to each section that has none."""
    by_mid = {media.mid: media for media in offer.media}
    named: dict[str, Label] = {}
    for mid, text in labels.items():
        if mid not in by_mid:
            raise NegotiationError(f"a label names mid {mid[:32]!r}, which is not in the offer")
        try:
            label = parse_label(text)
        except ValueError as error:
            raise NegotiationError(str(error)) from None
        if by_mid[mid].kind != ("audio" if label.kind == "audio" else "video"):
            raise NegotiationError(f"m-section {mid} is {by_mid[mid].kind}, not {label}")
        if label in named.values():
            raise NegotiationError(f"two m-sections are labelled {label}")
        named[mid] = label
    taken = set(named.values())
    for media in offer.media:
        if media.mid not in named and media.port and media.kind in ("audio", "video"):
            default = _default_label(media, taken)
            if default is not None:
                named[media.mid] = default
                taken.add(default)
    return named


def plan_section(
    offer: SessionDescription, media: MediaDescription, named: Mapping[str, Label]
) -> Section:
    """Decide what one offered section is for: a track, a slot, data, or nothing.

    Raises:
        NegotiationError: The engine would refuse the track or slot.
    """
    refusal = _refusal(offer, media)
    if refusal or media.kind == "application":
        return Section(media, refusal=refusal)
    label = named.get(media.mid)
    if label is None:
        return Section(media, refusal="no label says what it is for")
    codecs = pick_codecs(media.kind, media.payloads)
    if not codecs:
        return Section(media, refusal="no codec that we know")
    sends = media.direction in ("sendrecv", "sendonly")
    receives = media.direction in ("sendrecv", "recvonly")
    params: TrackParams | SlotParams | None = None
    if isinstance(label, TrackLabel) and sends:
        params = TrackParams(
            kind=label.kind,
            mid=media.mid,
            codecs=codecs,
            extensions=pick_extensions(TRACK_EXTENSIONS[media.kind], media.extensions),
            rids=_rids(media),
            ssrcs=_ssrcs(media),
        )
    elif isinstance(label, SlotLabel) and receives:
        params = SlotParams(
            kind=label.kind,
            mid=media.mid,
            codecs=codecs,
            extensions=pick_extensions(SLOT_EXTENSIONS, media.extensions),
            auto=label.kind == "audio",
        )
    if params is not None:
        check_params(params)
    return Section(media, label, params)


def answer_section(
    section: Section, slots: Mapping[str, SlotIds], *, tagged: bool
) -> MediaDescription:
    """Describe our side of one section.

    Args:
        section: As planned.
        slots: mid → ids, for the sections that are slots.
        tagged: Whether the section carries the transport of the offer.
    """
    offered = section.offered
    if section.refusal:
        return _refused_section(offered, tagged=tagged)
    if offered.kind == "application":
        return MediaDescription(
            kind=offered.kind,
            port=9,
            protocol=offered.protocol,
            formats=offered.formats,
            mid=offered.mid,
            sctp_port=5000,
            max_message_size=MAX_MESSAGE_SIZE,
        )
    params = section.params
    is_slot = isinstance(section.label, SlotLabel)
    codecs = params.codecs if params else pick_codecs(offered.kind, offered.payloads)
    payloads = pick_payloads(codecs, offered.payloads, () if is_slot else FEEDBACK[offered.kind])
    answer = MediaDescription(
        kind=offered.kind,
        port=9,
        protocol=offered.protocol,
        formats=tuple(str(payload.payload_type) for payload in payloads),
        mid=offered.mid,
        direction="inactive",
        payloads=payloads,
        extensions=params.extensions if params else (),
        rtcp_mux=True,
        rtcp_rsize=offered.rtcp_rsize,
    )
    if isinstance(params, TrackParams):
        return replace(
            answer,
            direction="recvonly",
            rids=tuple(RID(rid, "recv") for rid in params.rids),
            simulcast_recv=params.rids,
        )
    if isinstance(params, SlotParams):
        return _slot_section(answer, str(section.label), slots[section.mid])
    return answer


def _slot_section(answer: MediaDescription, name: str, ids: SlotIds) -> MediaDescription:
    """Fill in what a slot sends: its own msid, its SSRC, FID with its RTX SSRC, their CNAME."""
    ssrcs = (ids.ssrc, ids.rtx_ssrc) if ids.rtx_ssrc else (ids.ssrc,)
    return replace(
        answer,
        direction="sendonly",
        # One stream per slot: browsers lip-sync what shares a stream, and would delay one
        # person's picture by the clock error of another's sound.
        msid=MSID(name, name),
        ssrcs=tuple((ssrc, ids.cname) for ssrc in ssrcs),
        ssrc_groups=(SSRCGroup("FID", ssrcs),) if ids.rtx_ssrc else (),
    )


def _refused_section(offered: MediaDescription, *, tagged: bool) -> MediaDescription:
    """Refuse by port 0; the offer's own first format keeps the m-line well-formed.

    A section that carries the offer's transport is kept inactive instead where that is possible:
    RFC 9143 lets the transport move on to the next section, but Chromium then fails on it.
    """
    carries = tagged and bool(offered.port) and not _rtp_refusal(offered)
    return MediaDescription(
        kind=offered.kind,
        port=9 if carries else 0,
        protocol=offered.protocol,
        formats=offered.formats[:1],
        mid=offered.mid,
        direction="inactive",
        payloads=tuple(
            replace(payload, feedback=())
            for payload in offered.payloads
            if str(payload.payload_type) == offered.formats[0]
        ),
        rtcp_mux=offered.kind != "application",
    )


def _refusal(offer: SessionDescription, media: MediaDescription) -> str:
    """Return why a section cannot be used whatever it is for, or ""."""
    if media.port == 0:
        return "not used"
    if len(offer.media) > 1 and not media.mid:
        return "no mid"
    if len(offer.media) > 1 and media.mid not in offer.bundle:
        return "not in the BUNDLE group; all sections share one transport"
    return _data_refusal(offer, media) if media.kind == "application" else _rtp_refusal(media)


def _data_refusal(offer: SessionDescription, media: MediaDescription) -> str:
    first = next(m for m in offer.media if m.kind == "application" and m.port)
    if media is not first or media.protocol != _SCTP_PROTOCOL:
        return f"one data section over {_SCTP_PROTOCOL} is answered"
    return "" if media.formats == ("webrtc-datachannel",) else "no data channels"


def _rtp_refusal(media: MediaDescription) -> str:
    if media.kind not in ("audio", "video") or media.protocol != _RTP_PROTOCOL:
        return f"not audio, video or data over {_RTP_PROTOCOL}"
    return "" if media.rtcp_mux else "rtcp-mux is needed"


def _default_label(media: MediaDescription, taken: set[Label]) -> Label | None:
    if media.direction in ("sendrecv", "sendonly"):
        label = TrackLabel("mic" if media.kind == "audio" else "camera")
        return None if label in taken else label
    kind: MediaKind = "audio" if media.kind == "audio" else "video"
    free = (SlotLabel(kind, number) for number in range(100))
    return next((label for label in free if label not in taken), None)


def _rids(media: MediaDescription) -> tuple[str, ...]:
    """Return the simulcast layers in the peer's order, each declared by a=rid."""
    declared = {rid.id for rid in media.rids if rid.direction == "send"}
    return tuple(dict.fromkeys(rid for rid in media.simulcast_send if rid in declared))


def _ssrcs(media: MediaDescription) -> tuple[tuple[int, int], ...]:
    """Return (ssrc, rtx ssrc or 0) as signalled by a=ssrc and FID groups (RFC 5576)."""
    pairs = {
        group.ssrcs[0]: group.ssrcs[1]
        for group in media.ssrc_groups
        if group.semantics == "FID" and len(group.ssrcs) == 2
    }
    repairs = set(pairs.values())
    return tuple((ssrc, pairs.get(ssrc, 0)) for ssrc, _ in media.ssrcs if ssrc not in repairs)
