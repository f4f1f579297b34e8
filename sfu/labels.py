"""What an m-section is for, as one word.

"mic", "camera" and "screen" are tracks that the client publishes; "audio-0", "video-3" and
"screen-0" are slots that it receives on, counted by kind. The words stay on the server (as msid
they stand in the answer): clients call sections and slots by their mid, and `signaling.seats` turns
the sources and kinds that an offer names into words. Sections without a label get one by their
direction, so that a plain WebRTC client needs none. Used by `sfu.negotiation`.
"""

import re
from dataclasses import dataclass
from typing import TypeAlias

from .engine import MediaKind

_SLOT = re.compile(r"(audio|video|screen)-(0|[1-9][0-9]?)")


@dataclass(frozen=True, slots=True)
class TrackLabel:
    """A source that the client publishes: "mic", "camera" or "screen"."""

    name: str

    @property
    def kind(self) -> MediaKind:
        """The engine's kind for this source."""
        return _TRACK_KINDS[self.name]

    def __str__(self) -> str:
        """Return the word."""
        return self.name


@dataclass(frozen=True, slots=True)
class SlotLabel:
    """A place that the client receives on: a kind and a number from 0 to 99."""

    kind: MediaKind
    number: int

    def __str__(self) -> str:
        """Return the word, also used as msid."""
        return f"{self.kind}-{self.number}"


Label: TypeAlias = TrackLabel | SlotLabel

_TRACK_KINDS: dict[str, MediaKind] = {"mic": "audio", "camera": "video", "screen": "screen"}
_SLOT_KINDS: dict[str, MediaKind] = {"audio": "audio", "video": "video", "screen": "screen"}


def parse_label(text: str) -> Label:
    """Read a label.

    Raises:
        ValueError: When the text is none.
    """
    if text in _TRACK_KINDS:
        return TrackLabel(text)
    slot = _SLOT.fullmatch(text)
    if slot is None:
        raise ValueError(f"not a label: {text[:32]!r}")
    return SlotLabel(_SLOT_KINDS[slot[1]], int(slot[2]))
