"""Which track is shown on which slot of a viewer, and why not more. Pure policy.

A page (`sfu.pages`) says who has a tile; a viewer has a few slots (`video-0` … and `screen-0`).
Whoever has a slot keeps it while they are on the page, so that nothing flickers and no key frame
is asked for without need; newcomers take the lowest free one. When there are fewer slots than
tiles, the stage and the front of the page come first. Sound is no matter of this module: the engine's
lanes choose.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from .pages import Member, Page

Reason: TypeAlias = Literal["empty", "paused", "starting"]
"""Why a slot shows nothing yet; the engine's `SlotLayer` says why one shows less than it could."""

SCREEN_SLOT = "screen-0"


@dataclass(frozen=True, slots=True)
class Shown:
    """What a slot shows: whose, which kind of picture, and its engine track."""

    who: str
    kind: Literal["video", "screen"]
    track: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who is in which slot.

    Attributes:
        slots: Every slot label → what it shows, or None.
        why: Slot label → reason, for each that is empty, paused or about to start.
    """

    slots: Mapping[str, Shown | None]
    why: Mapping[str, Reason]


@dataclass(frozen=True, slots=True)
class Change:
    """One slot to bind anew; `shown` None empties it."""

    slot: str
    shown: Shown | None


def assign(
    before: Assignment | None,
    page: Page,
    members: Mapping[str, Member],
    count: int,
    sizes: Mapping[str, tuple[int, int]],
) -> Assignment:
    """Give the viewer's slots to the page, as like the last assignment as possible.

    Args:
        before: The last assignment for this viewer; None at first.
        page: Who has a tile, the most important first.
        members: By id, with their tracks; at least those on the page.
        count: How many video slots the viewer has opened.
        sizes: Slot label → pixels it is drawn with; (0, 0) or missing means not drawn.
    """
    sharer = members.get(page.screen) if page.screen is not None else None
    screen = Shown(sharer.id, "screen", sharer.screen) if sharer and sharer.screen else None
    wanted = [
        tile for tile in page.tiles if tile is not None and tile in members and members[tile].camera
    ]
    chosen = {who: Shown(who, "video", members[who].camera) for who in wanted[:count]}
    slots: dict[str, Shown | None] = {f"video-{number}": None for number in range(count)}
    known = before.slots if before is not None else {}
    for label in slots:
        was = known.get(label)
        if was is not None and was.who in chosen:
            slots[label] = chosen.pop(was.who)  # its track may be a new one: same place
    free = [label for label, shown in slots.items() if shown is None]
    slots |= dict(zip(free, chosen.values(), strict=False)) | {SCREEN_SLOT: screen}
    return Assignment(slots, _reasons(known, slots, sizes))


def changes(before: Assignment | None, after: Assignment) -> tuple[Change, ...]:
    """Return the slots to bind so that `before` becomes `after`; emptied ones first."""
    known = before.slots if before is not None else {}
    changed = [
        Change(label, shown) for label, shown in after.slots.items() if known.get(label) != shown
    ]
    return tuple(sorted(changed, key=lambda change: change.shown is not None))


def _reasons(
    before: Mapping[str, Shown | None],
    slots: Mapping[str, Shown | None],
    sizes: Mapping[str, tuple[int, int]],
) -> dict[str, Reason]:
    reasons: dict[str, Reason] = {}
    for label, shown in slots.items():
        if shown is None:
            reasons[label] = "empty"
        elif 0 in sizes.get(label, (0, 0)):
            reasons[label] = "paused"
        elif before.get(label) != shown:
            reasons[label] = "starting"
    return reasons
