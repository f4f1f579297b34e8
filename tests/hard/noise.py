"""Hostile values from a seed: what generators of bodies, frames, SDPs and datagrams are made of.

`Noise` invents values (`value`), and spoils good ones (`spoil`, `spoil_text`, `spoil_bytes`): good
input with one thing wrong reaches deeper than junk does. The same seed gives the same values; the
seed is printed, so that a failure can be repeated with SUNUP_HARD_SEED.
"""

import os
import random
from typing import Any

ROUNDS = int(os.environ.get("SUNUP_HARD_ROUNDS", "2000"))
"""Inputs of each kind."""

TEXTS = (
    "", " ", "\x00", "a\x00b", "\ud800", "\udfff\ud800", "\u202e", "\ufeff", "0", "-1", "null",
    "true", "NaN", "' OR 1=1 --", '"; DROP TABLE people; --', "%s%n%x", "{{7*7}}", "${7*7}",
    "../../../../etc/passwd", "<script>alert(1)</script>", "\r\nSet-Cookie: a=b", "a=b\r\na=c",
    "\U0001d56c" * 40, "é" * 300, "x" * 6000, "x" * 70_000, "[" * 500, "2026-13-45T99:99:99Z",
    "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2026-01-01T00:00:00", "1e309",
    "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
)  # fmt: skip
NUMBERS = (
    0, 1, -1, 2, 255, 256, 65_535, 65_536, 2**31 - 1, 2**31, -(2**31) - 1, 2**32, 2**53, 2**53 + 1,
    2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**30, 0.0, -0.0, 0.1, 1e308, 5e-324,
)  # fmt: skip
KEYS = ("", "id", "p", "m", "__proto__", "constructor", "tenant_id", "version", "\x00", "k" * 300)
MAX_DEPTH = 4


def seeded(name: str) -> "Noise":
    """The noise of one test; prints its seed."""
    seed = os.environ.get("SUNUP_HARD_SEED", "20261125")
    print(f"SUNUP_HARD_SEED={seed} SUNUP_HARD_ROUNDS={ROUNDS} ({name})")
    return Noise(random.Random(f"{seed} {name}"))


class Noise:
    """A source of hostile values."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def chance(self, probability: float) -> bool:
        """Whether to do something that happens so often."""
        return self.rng.random() < probability

    def text(self) -> str:
        """A string that somebody has tripped over before, or a random one."""
        if self.chance(0.8):
            return self.rng.choice(TEXTS)
        return "".join(chr(self.rng.randrange(1, 0x300)) for _ in range(self.rng.randrange(40)))

    def blob(self, longest: int = 200) -> bytes:
        """Random bytes."""
        return self.rng.randbytes(self.rng.randrange(longest))

    def value(self, depth: int = 0) -> Any:
        """Any JSON value."""
        kind = self.rng.randrange(8 if depth < MAX_DEPTH else 5)
        if kind == 0:
            return self.rng.choice((None, True, False))
        if kind in {1, 2}:
            return self.rng.choice(NUMBERS)
        if kind in {3, 4}:
            return self.text()
        if kind == 5:
            return [self.value(depth + 1) for _ in range(self.rng.randrange(5))]
        if kind == 6:
            return self.nested(self.rng.choice((5, 20, 100)))
        return {self.key(): self.value(depth + 1) for _ in range(self.rng.randrange(5))}

    def key(self) -> str:
        """A member's name."""
        return self.rng.choice(KEYS) if self.chance(0.5) else self.text()[:400]

    def nested(self, depth: int) -> Any:
        """Arrays or objects, one in the other."""
        value: Any = 0
        for _ in range(depth):
            value = [value] if self.chance(0.5) else {"a": value}
        return value

    def spoil(self, value: Any, depth: int = 0) -> Any:
        """The value with one node replaced, dropped, doubled or added."""
        if isinstance(value, dict) and value and not self.chance(0.15):
            key = self.rng.choice(list(value))
            spoilt = dict(value)
            action = self.rng.randrange(6)
            if action == 0:
                del spoilt[key]
            elif action == 1:
                spoilt[self.key()] = self.value(depth + 1)
            else:
                spoilt[key] = self.spoil(value[key], depth + 1)
            return spoilt
        if isinstance(value, list) and value and not self.chance(0.3):
            at = self.rng.randrange(len(value))
            if self.chance(0.2):
                return value * self.rng.choice((0, 2, 300))
            return [*value[:at], self.spoil(value[at], depth + 1), *value[at + 1 :]]
        if isinstance(value, str) and self.chance(0.4):
            return self.spoil_text(value)
        return self.value(depth)

    def spoil_text(self, text: str) -> str:
        """The text with a piece cut out, doubled, swapped or put in."""
        at = self.rng.randrange(len(text) + 1)
        end = min(len(text), at + self.rng.choice((1, 1, 2, 8, 40)))
        piece = self.rng.choice(
            ("", text[at:end] * 2, self.text(), str(self.rng.choice(NUMBERS)), "\x00", "\r\n")
        )
        return text[:at] + piece + text[end:]

    def spoil_bytes(self, data: bytes) -> bytes:
        """The bytes with some flipped, cut, doubled or put in."""
        spoilt = bytearray(data)
        for _ in range(self.rng.choice((1, 1, 1, 2, 5))):
            at = self.rng.randrange(len(spoilt) + 1)
            action = self.rng.randrange(5)
            if action == 0 and spoilt:
                spoilt[at % len(spoilt)] ^= 1 << self.rng.randrange(8)
            elif action == 1:
                del spoilt[at : at + self.rng.choice((1, 2, 4, 16, 400))]
            elif action == 2:
                spoilt[at:at] = self.blob(20)
            elif action == 3:
                spoilt[at : at + 2] = self.rng.choice((b"\xff\xff", b"\x00\x00", b"\x80\x00"))
            else:
                spoilt[at:at] = spoilt[at : at + 8]
        return bytes(spoilt)
