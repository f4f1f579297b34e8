"""What one participant has of media, and what a view of the room puts into it.

A `Seat` is a transport with its tracks and slots, and the view that the client asked for. `labels`
gives the sections of an offer their words, `fill` asks the policies of ``sfu`` who is in which slot.
No engine is called here; ``showing`` does that.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from rooms.ids import ParticipantId
from rooms.policy import Source
from sfu import pages, subscriptions
from sfu.transport import MediaTransport

from .errors import RequestError
from .messages import MediaOffer, SlotBind, ViewSet

MAX_SLOTS: Final = 100
"""Of one kind, in all offers of a peer connection: the words of ``sfu.labels`` have two digits."""
DEFAULT_SIZES: Final = {"video": (640, 360), "screen": (1920, 1080)}
"""How large a slot counts as drawn until the client says."""


@dataclass(slots=True)
class Seat:
    """What one participant has of media: a transport, tracks on it, slots, a view."""

    transport: MediaTransport | None = None
    session: str = ""
    """The o-line number of the client's peer connection."""
    tracks: dict[Source, int] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    """mid → the word of ``sfu.labels``; a slot keeps its word."""
    slots: dict[str, int] = field(default_factory=dict)
    """mid → engine slot."""
    view: ViewSet = field(default_factory=lambda: ViewSet(layout="grid"))
    bindings: dict[str, int] = field(default_factory=dict)
    """mid → what is added to the engine's count of the slot's bindings."""
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    page: pages.Page | None = None
    assignment: subscriptions.Assignment | None = None
    why: dict[str, str] = field(default_factory=dict)
    bound: dict[str, SlotBind] = field(default_factory=dict)
    """mid → what the client was last told of it."""
    missed: bool = False
    """The client may have been told while it could not hear."""


def fill(
    seat: Seat, participant: ParticipantId, stage: pages.Stage, now: float
) -> tuple[Sequence[subscriptions.Change], dict[str, str]]:
    """Settle the seat's page; what to bind anew, and the reason of each slot, by label."""
    labels = [seat.labels[mid] for mid in seat.slots]
    count = sum(1 for label in labels if label.startswith("video-"))
    view = pages.View(
        me=participant,
        layout=seat.view.layout,
        page=seat.view.page,
        page_size=max(1, count),
        pins=tuple(seat.view.pins),
    )
    sizes = {seat.labels[mid]: size for mid, size in seat.sizes.items() if mid in seat.labels}
    seat.page = pages.arrange(seat.page, stage, view, now)
    before = seat.assignment
    seat.assignment = subscriptions.assign(before, seat.page, stage.by_id, count, sizes)
    return subscriptions.changes(before, seat.assignment), dict(seat.assignment.why)


def labels_of(seat: Seat, offer: MediaOffer) -> dict[str, str]:
    """Mid → word of ``sfu.labels``; a slot that had one keeps it, new ones count on.

    Raises:
        RequestError: ``bad_request``: one mid is two things, or there are too many slots.
    """
    labels = dict(seat.labels)
    named = {track.mid: track.source.value for track in offer.tracks}
    if len(named) != len(offer.tracks):
        raise RequestError("bad_request", "a mid is named twice in tracks")
    labels.update(named)
    seen = set(named)
    for slot in offer.slots:
        if slot.mid in seen:
            raise RequestError("bad_request", f"mid {slot.mid!r} is named twice")
        seen.add(slot.mid)
        word = labels.get(slot.mid, "")
        if word.partition("-")[0] != slot.kind:
            labels[slot.mid] = _free_word(slot.kind, set(labels.values()))
    return labels


def _free_word(kind: str, taken: Collection[str]) -> str:
    """The first word of this kind that no other section has."""
    words = (f"{kind}-{number}" for number in range(MAX_SLOTS))
    word = next((word for word in words if word not in taken), None)
    if word is None:
        raise RequestError("bad_request", f"too many slots: at most {MAX_SLOTS} of a kind")
    return word
