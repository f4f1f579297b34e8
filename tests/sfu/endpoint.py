"""Our side of a negotiation for tests: `Negotiation` with ids as an engine would make them."""

import itertools
from dataclasses import replace

from sfu.engine import ICECredentials, SlotIds
from sfu.negotiation import AddSlot, Negotiation, Operation, RestartICE
from sfu.sdp import Candidate, Fingerprint, SessionDescription, format_sdp
from sfu.sdp_parser import parse_sdp

from .offers import TRIMMED

FINGERPRINT = Fingerprint("sha-256", ":".join(["AB"] * 32))
CANDIDATE = Candidate("1", 1, "udp", 2130706431, "192.0.2.1", 7882, "host")
OFFER = parse_sdp(TRIMMED)


class Endpoint:
    """Our side: a negotiation and the ids that an engine would have made."""

    def __init__(self) -> None:
        self.negotiation = Negotiation(7, [FINGERPRINT], [CANDIDATE])
        self.ids = itertools.count(1)
        self.operations: tuple[Operation, ...] = ()
        self.refused: dict[str, str] = {}
        self.restarts = 0
        self.text = ""

    def offer(
        self, offer: SessionDescription | str, named: dict[str, str] | None = None
    ) -> SessionDescription:
        """Answer an offer and return the answer, parsed."""
        text = offer if isinstance(offer, str) else format_sdp(offer)
        plan = self.negotiation.receive_offer(text, named or {})
        self.operations, self.refused = plan.operations, dict(plan.refused)
        self.restarts += sum(isinstance(op, RestartICE) for op in plan.operations)
        slots = {}
        for operation in plan.operations:
            if isinstance(operation, AddSlot):
                slot = next(self.ids)
                rtx = 5000 + slot if operation.params.codecs[0].rtx_payload_type else 0
                slots[operation.mid] = SlotIds(slot, 1000 + slot, rtx, f"cname{slot}")
        ice = ICECredentials(f"ufrag{self.restarts}", "p" * 24)
        self.text = self.negotiation.answer(plan, ice, slots)
        return parse_sdp(self.text)


def change(offer: SessionDescription, which: str, /, **fields: object) -> SessionDescription:
    """Return the offer with one section changed."""
    media = tuple(replace(m, **fields) if m.mid == which else m for m in offer.media)
    return replace(offer, media=media)
