"""Generated ``media.offer`` requests: real browsers' offers, spoilt, and deflate tricks.

Spoilt are lines of the text (which a parser notices), whole sections (`tests.sfu.hostile`: it parses,
and what it says cannot be), and what the sections are called.
"""

import base64
import json
import zlib
from dataclasses import replace
from typing import Any

from sfu.sdp import format_sdp
from sfu.sdp_parser import parse_sdp
from tests.sfu.hostile import spoil
from tests.sfu.offers import DEFAULT, TRIMMED, labels

from .noise import Noise

MAX_PARAMETERS = 60_000
SOURCES = {"mic", "camera", "screen"}
LINES = (
    "a=mid:0", "a=group:BUNDLE 0 0 0", "m=video 9 UDP/TLS/RTP/SAVPF", "a=fingerprint:sha-256",
    "a=setup:holdconn", "a=rid:f send", "a=simulcast:send f;f;f recv f", "a=sctp-port:-1",
    "a=rtpmap:96 VP8/0", "a=rtpmap:999 VP8/90000", "a=fmtp:97 apt=97", "a=extmap:0 urn:x",
    "a=extmap:15/sendonly urn:ietf:params:rtp-hdrext:sdes:mid", "a=ssrc-group:FID 1",
    "a=candidate:1 1 udp 1 ::ffff:127.0.0.1 0 typ host", "a=ice-ufrag:", "a=ice-pwd:short",
    "a=max-message-size:99999999999999999999", "m=audio 9 UDP/TLS/RTP/SAVPF 0 0 0", "=", "a", "",
)  # fmt: skip


def offer(noise: Noise) -> dict[str, Any]:
    """The parameters of one request, fit for a frame: unfit frames are `frames`' business."""
    while True:
        parameters = _offer(noise)
        if is_fit(parameters) and len(json.dumps(parameters)) < MAX_PARAMETERS:
            return parameters


def is_fit(value: Any, depth: int = 0) -> bool:
    """Whether the frame parser lets it through to the method."""
    if depth > 8:
        return False
    if isinstance(value, str):
        return "\x00" not in value and not any(0xD800 <= ord(char) < 0xE000 for char in value)
    if isinstance(value, dict):
        return all(is_fit([name, item], depth) for name, item in value.items())
    if isinstance(value, list):
        return len(value) < 1000 and all(is_fit(item, depth + 1) for item in value)
    return not isinstance(value, int) or abs(value) < 2**53


def _offer(noise: Noise) -> dict[str, Any]:
    if noise.chance(0.15):
        return crowd(noise)
    base, video = (TRIMMED, 8) if noise.chance(0.8) else (DEFAULT, 2)
    names = labels(video)
    if noise.chance(0.4):
        spoilt = spoil(noise.rng, parse_sdp(base))
        sdp = format_sdp(spoilt)
        names = {media.mid: names[media.mid] for media in spoilt.media if media.mid in names}
    else:
        sdp = spoil_sdp(noise, base)
    parameters: dict[str, Any] = {
        "tracks": [{"mid": mid, "source": name} for mid, name in names.items() if name in SOURCES],
        "slots": [
            {"mid": mid, "kind": name.partition("-")[0]}
            for mid, name in names.items()
            if name not in SOURCES
        ],
    }
    if noise.chance(0.1):
        parameters["sdp"] = sdp[:59_000]
    if "sdp" not in parameters or noise.chance(0.02):
        parameters["sdp_z"] = deflated(noise, sdp)
    if noise.chance(0.2):
        parameters = noise.spoil(parameters)
    return parameters if isinstance(parameters, dict) else {"sdp": parameters}


def crowd(noise: Noise) -> dict[str, Any]:
    """As many slots as an offer can have, called by their own or by other mids."""
    stored = parse_sdp(TRIMMED)
    slot = next(media for media in stored.media if media.mid == "6")
    slot = replace(slot, formats=slot.formats[:1], payloads=slot.payloads[:1])
    letters = noise.rng.choices("ab", k=2)
    mids, named = ([f"{letter}{number}" for number in range(64)] for letter in letters)
    media = tuple(replace(slot, mid=mid) for mid in mids)
    crowded = replace(stored, session_id=7, media=media, bundle=tuple(mids))
    slots = [{"mid": mid, "kind": "video"} for mid in named]
    return {"sdp_z": deflated(noise, format_sdp(crowded)), "slots": slots}


def spoil_sdp(noise: Noise, sdp: str) -> str:
    """The offer with some lines dropped, doubled, moved, spoilt or put in."""
    lines = sdp.split("\r\n")
    for _ in range(noise.rng.choice((0, 1, 1, 1, 2, 2, 3, 8))):
        at = noise.rng.randrange(len(lines))
        action = noise.rng.randrange(8)
        if action == 0:
            del lines[at : at + noise.rng.choice((1, 1, 1, 5, 40))]
            lines = lines or [""]
        elif action == 1:
            lines[at:at] = [lines[at]] * noise.rng.choice((1, 1, 2, 70))
        elif action == 2:
            other = noise.rng.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        elif action == 3:
            lines.insert(at, noise.rng.choice(LINES))
        elif action == 4:
            lines[at] = noise.rng.choice(LINES)
        else:
            lines[at] = noise.spoil_text(lines[at])
    ending = "\r\n" if noise.chance(0.95) else noise.rng.choice(("\n", "\r", "\r\n\r\n"))
    return ending.join(lines)


def deflated(noise: Noise, sdp: str) -> str:
    """Raw deflate in base64; now and then cut, spoilt, or far larger inside than outside."""
    data = sdp.encode("utf-8", "surrogatepass")
    if noise.chance(0.03):
        data = bytes(noise.rng.choice((65_537, 10_000_000)))
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(data) + packer.flush()
    if noise.chance(0.1):
        packed = noise.spoil_bytes(packed)
    text = base64.b64encode(packed).decode()
    return noise.spoil_text(text) if noise.chance(0.03) else text
