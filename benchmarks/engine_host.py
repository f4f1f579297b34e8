"""The packet engine alone, in a process of its own: what the forwarding benchmark measures.

It runs as ``python -m benchmarks.engine_host``. One JSON line on standard input says how many
subscribers there are; one on standard output gives the port and each transport's credentials and
keys. After that the process only drains events, as the product does, until its input ends; then
it writes the engine's counters. Keys come from here instead of from DTLS: DTLS is over before
media begins and costs no packet anything.
"""

import asyncio
import json
import os
import sys
from collections import Counter
from typing import Any

from sfu.engine import Codec, Event, Extension, SlotParams, SRTPKeys, SRTPProfile, TrackParams
from sfu.native import NativeEngine

VP8, RTX = 96, 97
SSRC = 0x5755
MID, ABS_SEND_TIME, TRANSPORT_CC = 1, 2, 3
EXTENSIONS = (
    Extension(MID, "urn:ietf:params:rtp-hdrext:sdes:mid"),
    Extension(ABS_SEND_TIME, "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"),
    Extension(
        TRANSPORT_CC,
        "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
    ),
)
KEY, SALT = 16, 12
# What a tile of the stage asks for.
WIDTH, HEIGHT = 1280, 720


def populate(engine: NativeEngine, subscribers: int, *, repair: bool) -> dict[str, Any]:
    """Make a room with one publisher and so many subscribers; what its peers have to know."""
    room = engine.create_room()
    codecs = (Codec(VP8, "vp8", 90_000, RTX if repair else 0),)
    publisher, entry = _transport(engine, room)
    track = engine.add_track(
        publisher,
        TrackParams("video", mid="0", codecs=codecs, extensions=EXTENSIONS, ssrcs=((SSRC, 0),)),
    )
    entries = []
    for _ in range(subscribers):
        subscriber, credentials = _transport(engine, room)
        slot = engine.add_slot(
            subscriber, SlotParams("video", mid="0", codecs=codecs, extensions=EXTENSIONS)
        )
        engine.set_slot_size(slot.slot, WIDTH, HEIGHT)
        engine.bind_slot(slot.slot, track)
        entries.append(credentials)
    return {"port": engine.port, "publisher": entry, "subscribers": entries}


def _transport(engine: NativeEngine, room: int) -> tuple[int, dict[str, str]]:
    transport, credentials = engine.create_transport(room)
    ours, theirs = (os.urandom(KEY), os.urandom(SALT)), (os.urandom(KEY), os.urandom(SALT))
    engine.set_keys(transport, SRTPKeys(SRTPProfile.AEAD_AES_128_GCM, *ours, *theirs))
    return transport, {
        "ufrag": credentials.ufrag,
        "password": credentials.pwd,
        "send_key": theirs[0].hex(),
        "send_salt": theirs[1].hex(),
        "receive_key": ours[0].hex(),
        "receive_salt": ours[1].hex(),
    }


async def main() -> None:
    """Serve until standard input ends."""
    request = json.loads(sys.stdin.readline())
    engine = NativeEngine(host=request["host"])
    events: Counter[str] = Counter()

    def count(event: Event) -> None:
        events[type(event).__name__] += 1

    engine.start(count)
    answer = populate(engine, request["subscribers"], repair=request["repair"])
    print(json.dumps(answer), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    print(json.dumps({**engine.stats(), "events": events}), flush=True)
    engine.close()


if __name__ == "__main__":
    asyncio.run(main())
