"""What the engine refuses is refused before it is asked, and nothing else is."""

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeAlias

import pytest

from sfu.codecs import MID_URI, TRANSPORT_CC_URI
from sfu.engine import Codec, Extension, SlotParams, TrackParams
from sfu.errors import NegotiationError, SDPError
from sfu.native import NativeEngine
from sfu.negotiation import AddSlot, AddTrack
from sfu.params import check_params
from sfu.sdp import format_sdp

from .endpoint import OFFER, Endpoint
from .hostile import spoil
from .offers import labels

Params: TypeAlias = TrackParams | SlotParams

NAMES = ("", "0", "f" * 16, "f" * 17, "x" * 20, "a b", "é", "\x7f", "a\n", "~!", "f")
NUMBERS = (-1, 0, 1, 14, 15, 16, 35, 63, 64, 72, 95, 96, 97, 111, 127, 128, 255, 256)
WIDE = (-1, 0, 1, 2, 5, 7, 2**32 - 1, 2**32, 2**53)
CODECS = ("opus", "vp8", "h264", "vp9", "VP8", "")
EXTENSIONS = (Extension(4, MID_URI), Extension(3, TRANSPORT_CC_URI))
GOOD: tuple[Params, ...] = (
    TrackParams("audio", "0", (Codec(111, "opus", 48000),), EXTENSIONS, ssrcs=((5, 0),)),
    TrackParams("video", "1", (Codec(96, "vp8", 90000, 97),), EXTENSIONS, rids=("f", "h", "q")),
    TrackParams(
        "screen", "2", (Codec(96, "vp8", 90000, 97), Codec(98, "h264", 90000, 99)), EXTENSIONS,
        ssrcs=((5, 6), (7, 8)),
    ),
    SlotParams("audio", "3", (Codec(111, "opus", 48000),), EXTENSIONS, auto=True),
    SlotParams("video", "6", (Codec(96, "vp8", 90000, 97),), EXTENSIONS),
)  # fmt: skip


REASONS = (
    "its mid must", "no codec", "does not carry", "clock rate .* out of range",
    "payload type .* is not from", "payload type .* twice", "extension id .* or reserved",
    "extension id .* twice", "more than 4 encodings", "rid .* is not", "rid .* twice",
    "SSRC .* out of range", "SSRC .* twice", "filled by the engine", "^$",
)  # fmt: skip


@pytest.fixture(scope="module")
def accepts() -> Iterator[Callable[[Params], bool]]:
    """Whether the compiled engine takes parameters."""
    engine = NativeEngine(host="127.0.0.1", seed=1)
    transport, _ = engine.create_transport(engine.create_room())

    def accepts(params: Params) -> bool:
        try:
            if isinstance(params, TrackParams):
                engine.remove_track(engine.add_track(transport, params))
            else:
                engine.remove_slot(engine.add_slot(transport, params).slot)
        except ValueError:
            return False
        return True

    yield accepts
    engine.close()


def refusal(params: Params) -> str:
    """Our reason for refusing, or ""."""
    try:
        check_params(params)
    except NegotiationError as error:
        return str(error)
    return ""


def test_we_refuse_what_the_engine_refuses(accepts: Callable[[Params], bool]) -> None:
    """Over every field that it looks at: both agree, and every reason is frequent."""
    rng = random.Random(20261129)
    reasons: Counter[str] = Counter()
    for _ in range(20_000):
        params = rng.choice(GOOD)
        for _ in range(rng.choice((1, 1, 2))):
            params = mutate(rng, params)
        reason = refusal(params)
        assert accepts(params) == (not reason), (params, reason)
        reasons[next(pattern for pattern in REASONS if re.search(pattern, reason))] += 1
    assert all(reasons[pattern] > 50 for pattern in REASONS), reasons


def mutate(rng: random.Random, params: Params) -> Params:
    """Change one field."""
    field = rng.choice(("mid", "codec", "extension", "own", "own"))
    if field == "mid":
        return replace(params, mid=rng.choice(NAMES))
    if field == "codec":
        return replace(params, codecs=_some(rng, params.codecs, _codec(rng, params.codecs)))
    if field == "extension":
        extension = Extension(rng.choice(NUMBERS), rng.choice((MID_URI, "urn:x")))
        return replace(params, extensions=_some(rng, params.extensions, extension))
    if isinstance(params, SlotParams):
        return replace(params, auto=not params.auto)
    if rng.random() < 0.5:
        rids = rng.choice((tuple("abcde"), _some(rng, params.rids, rng.choice(NAMES))))
        return replace(params, rids=rids)
    ssrcs = (rng.choice(WIDE), rng.choice(WIDE))
    return replace(params, ssrcs=_some(rng, params.ssrcs, ssrcs))


def _codec(rng: random.Random, codecs: tuple[Codec, ...]) -> Codec:
    codec = rng.choice(codecs or GOOD[1].codecs)
    return rng.choice(
        (
            replace(codec, payload_type=rng.choice(NUMBERS)),
            replace(codec, rtx_payload_type=rng.choice(NUMBERS)),
            replace(codec, name=rng.choice(CODECS)),
            replace(codec, clock_rate=rng.choice(WIDE)),
        )
    )


def _some(rng: random.Random, items: tuple, item: object) -> tuple:
    """The items with one more, with one replaced, with one twice; or none."""
    return rng.choice(((*items, item), (*items[:-1], item), items[:1] * 2 + items[1:], ()))


def test_a_track_has_at_most_four_encodings() -> None:
    """Each keeps a history of packets; more than any browser sends is refused."""
    numbered = tuple((number, 0) for number in range(1, 6))
    assert refusal(replace(GOOD[2], ssrcs=numbered[:4])) == ""
    assert "more than 4" in refusal(replace(GOOD[2], ssrcs=numbered))
    assert "more than 4" in refusal(replace(GOOD[1], rids=tuple("abcde")))


def test_what_the_negotiation_lets_pass_the_engine_takes(
    accepts: Callable[[Params], bool],
) -> None:
    """Offers of which a section is hostile in itself: refused with a reason, or taken."""
    rng = random.Random(20261129)
    outcomes: Counter[bool] = Counter()
    for _ in range(1_000):
        endpoint = Endpoint()
        offer = spoil(rng, OFFER)
        named = {mid: name for mid, name in labels(8).items() if mid in offer.bundle}
        try:
            endpoint.offer(format_sdp(offer), named)
        except (NegotiationError, SDPError):
            outcomes[False] += 1
            continue
        outcomes[True] += 1
        for operation in endpoint.operations:
            assert isinstance(operation, AddTrack | AddSlot)
            assert accepts(operation.params), operation
    assert min(outcomes.values()) > 100, outcomes
