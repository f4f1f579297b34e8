"""Offers that parse and are wrong in what they say, with all lines in agreement about it.

Spoiling lines of a text one by one leaves, say, an m-line and an rtpmap that contradict each other,
and that is all a parser ever sees. Here a whole section is given a reserved payload type, a long mid,
five layers, a zero SSRC. `tests.hard` sends the same to a server.
"""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from sfu.sdp import RID, MediaDescription, SessionDescription, SSRCGroup

Change: TypeAlias = Callable[[random.Random, MediaDescription], MediaDescription]
SSRCS = (0, 1, 5, 6, 7, 2**32 - 1)
PAYLOAD_TYPES = (0, 8, 35, 63, 64, 72, 95, 96, 97, 127)


def spoil(rng: random.Random, offer: SessionDescription) -> SessionDescription:
    """The offer with one or two of its sections changed, or the order of them."""
    media = list(offer.media)
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.randrange(min(len(media), 5)) if rng.random() < 0.7 else rng.randrange(len(media))
        media[at] = rng.choice(CHANGES)(rng, media[at])
    if rng.random() < 0.1:
        rng.shuffle(media)
    renamed = {old.mid: new.mid for old, new in zip(offer.media, media, strict=True)}
    bundle = tuple(dict.fromkeys(renamed[mid] for mid in offer.bundle if renamed[mid]))
    return replace(offer, media=tuple(media), bundle=bundle)


def rename(rng: random.Random, media: MediaDescription) -> MediaDescription:
    """Another mid, perhaps one that no header extension can carry."""
    return replace(media, mid=rng.choice(("x" * 16, "x" * 17, "x" * 20, "x" * 64, "new")))


def renumber(rng: random.Random, media: MediaDescription) -> MediaDescription:
    """Another payload type, in the m-line and in every attribute."""
    if not media.payloads:
        return media
    old = rng.choice(media.payloads).payload_type
    new = rng.choice(PAYLOAD_TYPES)
    if any(payload.payload_type == new for payload in media.payloads):
        return media
    payloads = tuple(
        replace(
            payload,
            payload_type=new if payload.payload_type == old else payload.payload_type,
            parameters=f"apt={new}" if payload.parameter("apt") == str(old) else payload.parameters,
        )
        for payload in media.payloads
    )
    formats = tuple(str(new) if item == str(old) else item for item in media.formats)
    return replace(media, payloads=payloads, formats=formats)


def layer(rng: random.Random, media: MediaDescription) -> MediaDescription:
    """Other simulcast layers, each declared."""
    rids = tuple("abcdefgh"[: rng.choice((0, 1, 2, 4, 5, 8))])
    return replace(media, rids=tuple(RID(rid, "send") for rid in rids), simulcast_send=rids)


def source(rng: random.Random, media: MediaDescription) -> MediaDescription:
    """Other SSRCs, and groups of them that overlap."""
    ssrcs = tuple(dict.fromkeys(rng.choice(SSRCS) for _ in range(rng.choice((1, 2, 4)))))
    if rng.random() < 0.2:
        ssrcs = tuple(range(10_000, 10_000 + rng.choice((4, 5, 62))))
    groups = tuple(
        SSRCGroup("FID", (rng.choice(SSRCS), rng.choice(SSRCS))) for _ in range(rng.randrange(3))
    )
    return replace(media, ssrcs=tuple((ssrc, "x") for ssrc in ssrcs), ssrc_groups=groups)


def renumber_extensions(rng: random.Random, media: MediaDescription) -> MediaDescription:
    """Other ids of the header extensions."""
    start = rng.choice((1, 5, 14, 15, 200, 254))
    extensions = enumerate(media.extensions, start)
    return replace(media, extensions=tuple(replace(item, id=n) for n, item in extensions))


def turn(rng: random.Random, media: MediaDescription) -> MediaDescription:
    """Another direction."""
    return replace(media, direction=rng.choice(("sendrecv", "sendonly", "recvonly", "inactive")))


def stop(rng: random.Random, media: MediaDescription) -> MediaDescription:
    """No port, no rtcp-mux, or no codec left."""
    fields = rng.choice(
        ({"port": 0}, {"rtcp_mux": False}, {"payloads": media.payloads[1:]}, {"payloads": ()})
    )
    return replace(media, **fields)


CHANGES: tuple[Change, ...] = (
    rename, renumber, renumber, layer, layer, source, source, renumber_extensions, turn, stop,
)  # fmt: skip
