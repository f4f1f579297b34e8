"""Generated WebSocket frames in both encodings: spoilt requests, hostile values, plain junk.

`good_requests` has one valid request of every method that a client may send, so that spoilt ones
reach each method's own checks. ``room.end``, ``leave`` and the like are among them: the meetings
of the storm are there to be broken.
"""

import json
from typing import Any

import msgpack

from tests.support.client import JSON

from .noise import Noise

PARTICIPANT = "01a2110f-54e7-770e-892a-82a4a721302d"


def good_requests(me: str, other: str) -> dict[str, dict[str, Any]]:
    """Parameters by method; `me` and `other` are participants of the room."""
    return {
        "hello": {"proto": 1, "token": "a.b.c", "name": "Eve", "client": "storm"},
        "leave": {},
        "name.set": {"name": "Eve"},
        "lobby.admit": {"ids": [other]},
        "lobby.deny": {"ids": [other], "ban": False},
        "lobby.say": {"to": other, "text": "one moment"},
        "role.set": {"who": other, "role": "presenter"},
        "remove": {"who": other, "ban": False},
        "room.lock": {"on": True},
        "room.policy": {"patch": {"chat": "all"}},
        "room.end": {"grace_s": 5},
        "room.end.undo": {},
        "mute": {"who": other, "source": "mic", "except": [me]},
        "unmute.ask": {"who": other},
        "track.set": {"source": "mic", "on": True},
        "hand.set": {"up": True},
        "hand.lower": {"all": True},
        "react": {"emoji": "👍"},
        "chat.send": {"body": "hello", "to": other},
        "chat.page": {"before": 10, "n": 50},
        "media.offer": {
            "sdp": "v=0\r\n",
            "tracks": [{"mid": "0", "source": "mic"}],
            "slots": [{"mid": "1", "kind": "audio"}],
        },
        "media.close": {},
        "view.set": {
            "layout": "grid",
            "page": 0,
            "pins": [other],
            "slots": [{"slot": "1", "w": 320, "h": 180}],
        },
        "stats.report": {},
        "no.such.method": {},
    }


def frame(noise: Noise, requests: dict[str, dict[str, Any]], number: int) -> Any:
    """One frame as a value: mostly a request with something wrong."""
    kind = noise.rng.randrange(20)
    if kind == 0:
        return noise.value()
    if kind == 1:
        return {noise.rng.choice(("ping", "pong")): noise.value()}
    method = noise.rng.choice(list(requests))
    request = {"id": f"storm{number}", "m": method, "p": requests[method]}
    if kind == 2:
        return noise.spoil(request)
    if kind == 3:
        return {**request, noise.rng.choice(("if", "re", "ok", "batch", "st", "s")): noise.value()}
    if kind == 4:
        return {**request, "p": noise.value()}
    if kind in {5, 6}:
        return request
    return {**request, "p": noise.spoil(request["p"])}


def encoded(noise: Noise, value: Any, subprotocol: str) -> str | bytes:
    """The frame on the wire; one in twelve is broken below the level of values."""
    if subprotocol == JSON:
        text = as_json(value)
        if noise.chance(1 / 12):
            text = noise.spoil_text(text) if noise.chance(0.8) else noise.text()
        # A lone surrogate cannot be sent as text at all: it goes out as an escape.
        text = text.encode("utf-8", "surrogatepass").decode("utf-8", "backslashreplace")
        return text if noise.chance(0.98) else text.encode()
    data = as_msgpack(value)
    if noise.chance(1 / 12):
        data = noise.spoil_bytes(data) if noise.chance(0.8) else noise.blob()
    return data if noise.chance(0.98) else "text"


def as_json(value: Any) -> str:
    """JSON, now and then with what other parsers would let pass."""
    return json.dumps(value, ensure_ascii=False)


def as_msgpack(value: Any) -> bytes:
    """MessagePack; what it cannot hold is replaced by a string."""
    return msgpack.packb(
        value, default=str, unicode_errors="surrogatepass", use_bin_type=True, strict_types=False
    )


def packable(value: Any) -> Any:
    """The value with integers beyond 64 bits as floats, since MessagePack has none."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else float(value)
    if isinstance(value, list):
        return [packable(item) for item in value]
    if isinstance(value, dict):
        return {key: packable(item) for key, item in value.items()}
    return value
