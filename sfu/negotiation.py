"""Offer in, answer out, for one transport: sans-I/O, no engine call, no socket, no clock.

A `Negotiation` belongs to one peer connection and takes an offer at any time, with m-sections in
any order. `receive_offer` says what the engine must do (`Plan.operations`) and changes nothing;
`answer` takes what the engine made of it (SSRCs, ICE credentials), commits the plan and prints
the text. A section that we cannot use is refused by itself, the others live on. Ids, payload
types and order are the offer's; a slot keeps its SSRC, msid and place for life (RFC 8829,
RFC 9143). Only the answering role exists; an offering one would fit beside `receive_offer`. What
becomes of a single section is `sfu.sections`; `sfu.transport` applies the plan to the engine.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from .engine import ICECredentials, SlotIds, SlotParams, TrackParams
from .errors import NegotiationError
from .labels import SlotLabel, TrackLabel
from .sdp import (
    Candidate,
    Fingerprint,
    MediaDescription,
    SessionDescription,
    format_sdp,
)
from .sdp_parser import parse_sdp
from .sections import Section, answer_section, plan_section, read_labels

_UNSAID_MESSAGE_SIZE = 64 * 1024  # RFC 8841 section 6
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
    sections: tuple[Section, ...]
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
        self._sections: tuple[Section, ...] = ()
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
        named = read_labels(offer, labels)
        sections = tuple(plan_section(offer, media, named) for media in offer.media)
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
        self._sections = tuple(section.settled() for section in plan.sections)
        self._remote = plan.remote
        self._slots.update(slots)
        for operation in plan.operations:
            if isinstance(operation, RemoveSlot) and operation.mid not in slots:
                del self._slots[operation.mid]
        tag = plan.offer.bundle[:1]
        media = [
            answer_section(section, self._slots, tagged=(section.mid,) == tag)
            for section in plan.sections
        ]
        used = {part.mid for part in media if part.port}
        bundle = tuple(mid for mid in plan.offer.bundle if mid in used)
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
            if now.mid != before.mid and not before.refusal:
                raise NegotiationError(f"m-section {before.mid} is not where it was")

    def _operations(self, sections: tuple[Section, ...]) -> tuple[Operation, ...]:
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


def _message_size(data: MediaDescription | None) -> int:
    if data is None or data.max_message_size is None:
        return _UNSAID_MESSAGE_SIZE
    return data.max_message_size


def _removal(section: Section) -> Operation:
    if isinstance(section.label, TrackLabel):
        return RemoveTrack(section.mid, section.label)
    assert isinstance(section.label, SlotLabel)  # noqa: S101 - params imply a label
    return RemoveSlot(section.mid, section.label)


def _addition(section: Section) -> Operation:
    if isinstance(section.label, TrackLabel) and isinstance(section.params, TrackParams):
        return AddTrack(section.mid, section.label, section.params)
    assert isinstance(section.label, SlotLabel)  # noqa: S101 - the other of two cases
    assert isinstance(section.params, SlotParams)  # noqa: S101 - the other of two cases
    return AddSlot(section.mid, section.label, section.params)
