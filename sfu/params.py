"""What the engine takes as a track or a slot, said to the client before the engine is asked.

`engine/core/src/params.rs` checks what it is given, and everything that it refuses is refused here
first, as a `NegotiationError`: what a client offers may not look like our own bug. `sfu.sections` asks
for each section that it plans; a test compares both on generated parameters.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain

from .engine import MediaKind, SlotParams, TrackParams
from .errors import NegotiationError
from .sdp_parser import RESERVED_EXTENSION_ID

MAX_LAYERS = 4
"""Encodings of one track, by rid or by SSRC; each costs the engine a history of packets."""

_NAME = re.compile(r"[!-~]{1,16}")  # what a header extension element of a MID or RID holds
_RTCP = range(64, 96)  # with rtcp-mux these payload types read as RTCP (RFC 5761 section 4)
_CODECS: dict[MediaKind, tuple[str, ...]] = {
    "audio": ("opus",),
    "video": ("vp8", "h264"),
    "screen": ("vp8", "h264"),
}


def check_params(params: TrackParams | SlotParams) -> None:
    """Refuse what the engine would refuse.

    Raises:
        NegotiationError: Says which section, and the first thing that is wrong with it.
    """
    own = _track_faults(params) if isinstance(params, TrackParams) else _slot_faults(params)
    fault = next(chain(_section_faults(params), own), None)
    if fault is not None:
        raise NegotiationError(f"m-section {params.mid[:32]!r}: {fault}")


def _section_faults(params: TrackParams | SlotParams) -> Iterator[str]:
    if not _NAME.fullmatch(params.mid):
        yield "its mid must be 1 to 16 visible ASCII characters"
    if not params.codecs:
        yield "it has no codec"
    for codec in params.codecs:
        if codec.name not in _CODECS[params.kind]:
            yield f"{codec.name} does not carry {params.kind}"
        if not 0 < codec.clock_rate < 2**32:
            yield f"clock rate {codec.clock_rate} is out of range"
    numbers = [codec.payload_type for codec in params.codecs]
    numbers += [codec.rtx_payload_type for codec in params.codecs if codec.rtx_payload_type]
    for number in numbers:
        if not 0 <= number < 128 or number in _RTCP:
            yield f"payload type {number} is not from 0 to 63 or 96 to 127"
    yield from _repeats("payload type", numbers)
    identifiers = [extension.id for extension in params.extensions]
    for identifier in identifiers:
        if not 0 < identifier < 256 or identifier == RESERVED_EXTENSION_ID:
            yield f"extension id {identifier} is out of range or reserved"
    yield from _repeats("extension id", identifiers)


def _track_faults(params: TrackParams) -> Iterator[str]:
    if len(params.rids) > MAX_LAYERS or len(params.ssrcs) > MAX_LAYERS:
        yield f"it has more than {MAX_LAYERS} encodings"
    for rid in params.rids:
        if not _NAME.fullmatch(rid):
            yield f"rid {rid[:32]!r} is not 1 to 16 visible ASCII characters"
    yield from _repeats("rid", params.rids)
    ssrcs = [ssrc for ssrc, _ in params.ssrcs] + [rtx for _, rtx in params.ssrcs if rtx]
    for ssrc in ssrcs:
        if not 0 < ssrc < 2**32:
            yield f"SSRC {ssrc} is out of range"
    yield from _repeats("SSRC", ssrcs)


def _slot_faults(params: SlotParams) -> Iterator[str]:
    if params.auto and params.kind != "audio":
        yield "only an audio slot is filled by the engine itself"


def _repeats(what: str, values: Iterable[object]) -> Iterator[str]:
    for value, count in Counter(values).items():
        if count > 1:
            yield f"{what} {value} stands twice"
