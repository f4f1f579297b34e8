"""Offer in, answer out, for one transport: sans-I/O, no engine call, no socket, no clock.

A `Negotiation` belongs to one peer connection and takes an offer at any time, with m-sections in
any order. `receive_offer` says what the engine must do (`Plan.operations`) and changes nothing;
`answer` takes what the engine made of it (SSRCs, ICE credentials), commits the plan and prints
the text. A section that we cannot use is refused by itself, the others live on. Ids, payload
types and order are the offer's; a slot keeps its SSRC, msid and place for life (RFC 8829,
RFC 9143). Only the answering role exists; an offering one would fit beside `receive_offer`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from .codecs import (
    FEEDBACK,
    SLOT_EXTENSIONS,
    TRACK_EXTENSIONS,
    pick_codecs,
    pick_extensions,
    pick_payloads,
)
from .engine import ICECredentials, MediaKind, SlotIds, SlotParams, TrackParams
from .errors import NegotiationError
from .labels import Label, SlotLabel, TrackLabel, parse_label
from .sdp import (
    MSID,
    RID,
    Candidate,
    Fingerprint,
    MediaDescription,
    SessionDescription,
    SSRCGroup,
    format_sdp,
)
from .sdp_parser import parse_sdp

MAX_MESSAGE_SIZE = 64 * 1024
"""Bytes of one data channel message that we take, and say so (RFC 8841)."""

_RTP_PROTOCOL = "UDP/TLS/RTP/SAVPF"
_SCTP_PROTOCOL = "UDP/DTLS/SCTP"
_HASHES = ("sha-256", "sha-384", "sha-512")


@dataclass(frozen=True, slots=True)
class AddTrack:
    """The peer publishes on this section from now on."""

    mid: str
    label: TrackLabel
    params: TrackParams


@dataclass(frozen=True, slots=True)
class AddSlot:
    """The peer receives on this section from now on."""

    mid: str
    label: SlotLabel
    params: SlotParams


@dataclass(frozen=True, slots=True)
class RemoveTrack:
    """The section went inactive or changed; its track ends."""

    mid: str
    label: TrackLabel


@dataclass(frozen=True, slots=True)
class RemoveSlot:
    """The section went inactive or changed; its slot ends."""

    mid: str
    label: SlotLabel


@dataclass(frozen=True, slots=True)
class RestartICE:
    """The peer's ICE credentials changed: make new ones of ours (RFC 8445 section 9)."""


Operation: TypeAlias = AddTrack | AddSlot | RemoveTrack | RemoveSlot | RestartICE


@dataclass(frozen=True, slots=True)
class Remote:
    """What the offer says about the peer's transport.

    Attributes:
        dtls_role: Ours: "server" (we answer passive) unless the peer insists on being it.
        sctp_port: The peer's; 0 when it offered no data channels.
        max_message_size: That the peer takes, in bytes; 0 means any.
    """

    ice: ICECredentials
    fingerprints: tuple[Fingerprint, ...]
    dtls_role: Literal["server", "client"]
    sctp_port: int = 0
    max_message_size: int = 0


@dataclass(frozen=True, slots=True)
class _Section:
    """One m-section as last agreed: what it is for and what the answer says about it."""

    offered: MediaDescription
    label: Label | None = None
    params: TrackParams | SlotParams | None = None
    refusal: str = ""

    @property
    def mid(self) -> str:
        return self.offered.mid


@dataclass(frozen=True, slots=True)
class Plan:
    """What one offer asks for.

    Attributes:
        operations: In the order in which to apply them, removals first.
        remote: The peer's transport.
        refused: mid → why the section was refused.
    """

    operations: tuple[Operation, ...]
    remote: Remote
    refused: Mapping[str, str]
    offer: SessionDescription
    sections: tuple[_Section, ...]
    based_on: int


class Negotiation:
    """The state of one peer connection's negotiation, in the answering role.

    Args:
        session_id: A random number below 2**62, for the o-line (RFC 8829 section 5.2.1).
        fingerprints: Of our DTLS certificate.
        candidates: Where we are reached; ICE-lite, so they are all there is.
    """

    def __init__(
        self,
        session_id: int,
        fingerprints: Iterable[Fingerprint],
        candidates: Iterable[Candidate],
    ) -> None:
        self._session_id = session_id
        self._fingerprints = tuple(fingerprints)
        self._candidates = tuple(candidates)
        self._version = 0
        self._sections: tuple[_Section, ...] = ()
        self._slots: dict[str, SlotIds] = {}
        self._remote: Remote | None = None

    def receive_offer(self, sdp: str, labels: Mapping[str, str]) -> Plan:
        """Say what an offer asks for; nothing is changed until `answer`.

        Args:
            sdp: The offer.
            labels: mid → label (see `sfu.labels`), for all or some of the sections.

        Raises:
            SDPError: The text is no SDP.
            NegotiationError: It cannot be answered as a whole.
        """
        offer = parse_sdp(sdp)
        remote = self._check_transport(offer)
        self._check_order(offer)
        named = _read_labels(offer, labels)
        sections = tuple(self._plan_section(offer, media, named) for media in offer.media)
        if all(section.refusal for section in sections):
            raise NegotiationError("no m-section of the offer can be used")
        restart = self._remote is not None and self._remote.ice != remote.ice
        return Plan(
            operations=((RestartICE(),) if restart else ()) + self._operations(sections),
            remote=remote,
            refused={
                section.mid: section.refusal
                for section in sections
                if section.refusal and section.offered.port
            },
            offer=offer,
            sections=sections,
            based_on=self._version,
        )

    def answer(self, plan: Plan, ice: ICECredentials, slots: Mapping[str, SlotIds]) -> str:
        """Commit a plan and print its answer.

        Args:
            plan: The last one that `receive_offer` returned.
            ice: Our credentials, new ones if the plan restarts ICE.
            slots: mid → ids, for every `AddSlot` of the plan.
        """
        if plan.based_on != self._version:
            raise RuntimeError("the plan was made before another answer was committed")
        self._version += 1
        self._sections = plan.sections
        self._remote = plan.remote
        self._slots.update(slots)
        for operation in plan.operations:
            if isinstance(operation, RemoveSlot) and operation.mid not in slots:
                del self._slots[operation.mid]
        used = {section.mid for section in plan.sections if not section.refusal}
        bundle = tuple(mid for mid in plan.offer.bundle if mid in used)
        media = [self._answer_section(section) for section in plan.sections]
        # Only the tagged section carries the transport (RFC 9143 section 7.3).
        tagged = next(
            index
            for index, part in enumerate(media)
            if (part.mid == bundle[0] if bundle else part.port)
        )
        media[tagged] = replace(
            media[tagged],
            ice_ufrag=ice.ufrag,
            ice_pwd=ice.pwd,
            candidates=self._candidates,
            end_of_candidates=True,
            fingerprints=self._fingerprints,
            setup="passive" if plan.remote.dtls_role == "server" else "active",
        )
        return format_sdp(
            SessionDescription(
                session_id=self._session_id,
                version=self._version,
                media=tuple(media),
                bundle=bundle,
                ice_lite=True,
                extmap_allow_mixed=plan.offer.extmap_allow_mixed,
            )
        )

    # ---------------------------------------------------------------- checks of the whole

    def _check_transport(self, offer: SessionDescription) -> Remote:
        tag = offer.bundle[0] if offer.bundle else offer.media[0].mid
        tagged = next(media for media in offer.media if media.mid == tag)
        data = next((m for m in offer.media if m.kind == "application" and m.port), None)
        ice = ICECredentials(tagged.ice_ufrag or offer.ice_ufrag, tagged.ice_pwd or offer.ice_pwd)
        if not ice.ufrag or not ice.pwd:
            raise NegotiationError("the offer has no ICE credentials")
        fingerprints = tagged.fingerprints or offer.fingerprints
        if not any(fingerprint.algorithm in _HASHES for fingerprint in fingerprints):
            raise NegotiationError(f"the offer has no fingerprint of {', '.join(_HASHES)}")
        setup = tagged.setup or offer.setup or "actpass"
        if setup == "holdconn":
            raise NegotiationError("a=setup:holdconn makes no connection")
        remote = Remote(
            ice=ice,
            fingerprints=fingerprints,
            dtls_role="client" if setup == "passive" else "server",
            sctp_port=(data.sctp_port or 5000) if data else 0,
            max_message_size=_message_size(data),
        )
        known = self._remote
        if known is not None:
            if known.fingerprints != remote.fingerprints:
                raise NegotiationError("the DTLS fingerprint changed; open a new connection")
            # A re-offer says actpass again; the association keeps the roles it has (RFC 8842).
            if setup == "actpass":
                remote = replace(remote, dtls_role=known.dtls_role)
            elif known.dtls_role != remote.dtls_role:
                raise NegotiationError("the DTLS role changed; open a new connection")
        return remote

    def _check_order(self, offer: SessionDescription) -> None:
        if len(offer.media) < len(self._sections):
            raise NegotiationError("the offer has fewer m-sections than the last one")
        for before, now in zip(self._sections, offer.media, strict=False):
            reusable = before.offered.port == 0 or bool(before.refusal)
            if now.mid != before.mid and not reusable:
                raise NegotiationError(f"m-section {before.mid} is not where it was")

    # ---------------------------------------------------------------- one section

    def _plan_section(
        self, offer: SessionDescription, media: MediaDescription, named: Mapping[str, Label]
    ) -> _Section:
        refusal = _refusal(offer, media)
        if refusal or media.kind == "application":
            return _Section(media, refusal=refusal)
        label = named.get(media.mid)
        if label is None:
            return _Section(media, refusal="no label says what it is for")
        codecs = pick_codecs(media.kind, media.payloads)
        if not codecs:
            return _Section(media, refusal="no codec that we know")
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
        return _Section(media, label, params)

    def _operations(self, sections: tuple[_Section, ...]) -> tuple[Operation, ...]:
        before = {section.mid: section for section in self._sections if section.params}
        now = {section.mid: section for section in sections if section.params}
        removed: list[Operation] = []
        added: list[Operation] = []
        for mid, section in before.items():
            if mid not in now or now[mid].params != section.params:
                removed.append(_removal(section))
            elif now[mid].label != section.label:
                raise NegotiationError(f"m-section {mid} cannot become {now[mid].label}")
        added = [
            _addition(section)
            for mid, section in now.items()
            if mid not in before or before[mid].params != section.params
        ]
        return (*removed, *added)

    # ---------------------------------------------------------------- the answer's sections

    def _answer_section(self, section: _Section) -> MediaDescription:
        offered = section.offered
        if section.refusal:
            return _refused_section(offered)
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
        payloads = pick_payloads(
            codecs, offered.payloads, () if is_slot else FEEDBACK[offered.kind]
        )
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
            return _slot_section(answer, str(section.label), self._slots[section.mid])
        return answer


def _slot_section(answer: MediaDescription, name: str, ids: SlotIds) -> MediaDescription:
    """Fill in what a slot sends: its own msid, its SSRC, and FID with its RTX SSRC."""
    ssrcs = (ids.ssrc, ids.rtx_ssrc) if ids.rtx_ssrc else (ids.ssrc,)
    return replace(
        answer,
        direction="sendonly",
        # One stream per slot: browsers lip-sync what shares a stream, and would delay one
        # person's picture by the clock error of another's sound.
        msid=MSID(name, name),
        ssrcs=tuple((ssrc, name) for ssrc in ssrcs),
        ssrc_groups=(SSRCGroup("FID", ssrcs),) if ids.rtx_ssrc else (),
    )


def _refused_section(offered: MediaDescription) -> MediaDescription:
    """Refuse by port 0; the offer's own first format keeps the m-line well-formed."""
    return MediaDescription(
        kind=offered.kind,
        port=0,
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


def _read_labels(offer: SessionDescription, labels: Mapping[str, str]) -> dict[str, Label]:
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


def _message_size(data: MediaDescription | None) -> int:
    if data is None or data.max_message_size is None:
        return MAX_MESSAGE_SIZE  # RFC 8841 section 6: 64 KiB when nothing is said
    return data.max_message_size


def _removal(section: _Section) -> Operation:
    if isinstance(section.label, TrackLabel):
        return RemoveTrack(section.mid, section.label)
    assert isinstance(section.label, SlotLabel)  # noqa: S101 - params imply a label
    return RemoveSlot(section.mid, section.label)


def _addition(section: _Section) -> Operation:
    if isinstance(section.label, TrackLabel) and isinstance(section.params, TrackParams):
        return AddTrack(section.mid, section.label, section.params)
    assert isinstance(section.label, SlotLabel)  # noqa: S101 - the other of two cases
    assert isinstance(section.params, SlotParams)  # noqa: S101 - the other of two cases
    return AddSlot(section.mid, section.label, section.params)
