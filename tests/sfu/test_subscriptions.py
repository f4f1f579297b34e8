"""Which slot shows whom, and why not more."""

import random

from sfu.pages import Member, Page
from sfu.subscriptions import Assignment, Shown, assign, changes

from .test_pages import people

BIG = dict.fromkeys([f"video-{n}" for n in range(25)] + ["screen-0"], (640, 360))


def give(
    tiles: str | tuple[str | None, ...],
    *,
    before: Assignment | None = None,
    slots: int = 4,
    screen: str | None = None,
    members: tuple[Member, ...] | None = None,
    sizes: dict[str, tuple[int, int]] | None = None,
) -> Assignment:
    """Assign slots for a page of tiles."""
    page = Page((), tuple(tiles), screen)
    everybody = members if members is not None else people(*"abcdefgh")
    by_id = {member.id: member for member in everybody}
    return assign(before, page, by_id, slots, sizes if sizes is not None else BIG)


def who(assignment: Assignment) -> dict[str, str | None]:
    """Slot → member."""
    return {label: shown.who if shown else None for label, shown in assignment.slots.items()}


def test_the_page_fills_the_slots_in_order() -> None:
    """Tiles with a camera get the slots; those without none, and no slot is wasted on them."""
    members = (Member("a", 0, camera=1), Member("b", 1), Member("c", 2, camera=3))
    after = give("abc", members=members)
    assert who(after) == {
        "video-0": "a",
        "video-1": "c",
        "video-2": None,
        "video-3": None,
        "screen-0": None,
    }
    assert after.slots["video-1"] == Shown("c", "video", 3)


def test_a_member_keeps_the_slot() -> None:
    """Leavers free slots, newcomers take the lowest free one, everybody else stays."""
    first = give("abcd")
    second = give(("a", None, "c", "d"), before=first)
    assert who(second)["video-1"] is None
    third = give("dcae", before=second)
    assert who(third) == {
        "video-0": "a",
        "video-1": "e",
        "video-2": "c",
        "video-3": "d",
        "screen-0": None,
    }
    assert [change.slot for change in changes(second, third)] == ["video-1"]


def test_a_new_track_of_the_same_member_keeps_the_place() -> None:
    """A camera that was turned off and on is bound to the slot that it had."""
    first = give("abc")
    members = (*people("a")[:1], Member("b", 1, camera=77), *people(*"abc")[2:])
    second = give("abc", before=first, members=members)
    assert second.slots["video-1"] == Shown("b", "video", 77)
    assert [(c.slot, c.shown) for c in changes(first, second)] == [
        ("video-1", Shown("b", "video", 77))
    ]


def test_a_page_flip_empties_before_it_fills() -> None:
    """Changes free slots first, so that a viewer never has two of one member."""
    flipped = give("fg", before=give("abcd"))
    steps = changes(give("abcd"), flipped)
    assert [step.shown is None for step in steps] == sorted(step.shown is None for step in steps)[
        ::-1
    ]
    assert changes(flipped, flipped) == ()
    assert {c.slot for c in changes(None, flipped)} == {"video-0", "video-1"}


def test_the_front_of_the_page_comes_first_when_there_is_too_little() -> None:
    """A shared screen takes no video slot."""
    members = (*people(*"abcdefg"), Member("h", 9, screen=99))
    after = give("abcde", slots=2, screen="h", members=members)
    assert who(after) == {"video-0": "a", "video-1": "b", "screen-0": "h"}


def test_somebody_more_important_takes_the_slot_of_the_last() -> None:
    """On the stage comes first even when all slots are taken."""
    after = give("fabcd", before=give("abcd"))
    assert who(after) == {
        "video-0": "a",
        "video-1": "b",
        "video-2": "c",
        "video-3": "f",
        "screen-0": None,
    }


def test_the_screen_has_a_slot_of_its_own() -> None:
    """A share is shown beside its owner's camera and takes no video slot."""
    members = (Member("a", 0, camera=1, screen=50), *people("a", "b")[1:])
    after = give("ab", screen="a", members=members)
    assert after.slots["screen-0"] == Shown("a", "screen", 50)
    assert who(after)["video-0"] == "a"
    ended = give("ab", before=after, members=people("a", "b"))
    assert ended.slots["screen-0"] is None


def test_every_slot_that_is_not_plainly_showing_has_a_reason() -> None:
    """Empty, paused and starting are told apart; a running slot has no reason of ours."""
    sizes = {"video-0": (640, 360), "video-1": (0, 0), "video-2": (320, 180)}
    first = give("abc", sizes=sizes)
    assert first.why == {
        "video-0": "starting", "video-1": "paused", "video-2": "starting",
        "video-3": "empty", "screen-0": "empty",
    }  # fmt: skip
    second = give("abc", before=first, sizes=sizes)
    assert second.why == {"video-1": "paused", "video-3": "empty", "screen-0": "empty"}


def test_growing_and_shrinking_the_slots() -> None:
    """New slots take who was left out; slots that are gone are not in the assignment."""
    first = give("abcdef", slots=4)
    grown = give("abcdef", before=first, slots=8)
    assert [c.slot for c in changes(first, grown)] == ["video-4", "video-5"]
    shrunk = give("abcdef", before=grown, slots=2)
    assert set(shrunk.slots) == {"video-0", "video-1", "screen-0"}


def test_random_pages_keep_the_rules() -> None:
    """Nobody twice; the first of the page are shown; who stays among them keeps the slot."""
    seed = 23
    rng = random.Random(seed)
    for _ in range(200):
        everybody = {m.id: m for m in people(*"abcdefghijklmnop")}
        before: Assignment | None = None
        for _ in range(20):
            tiles = tuple(rng.sample([*everybody], rng.randrange(12)))
            slots = rng.randint(1, 10)
            after = give(tiles, before=before, slots=slots, members=(*everybody.values(),))
            shown = {label: s.who for label, s in after.slots.items() if s is not None}
            assert len(set(shown.values())) == len(shown), seed
            assert set(shown.values()) == set(tiles[:slots]), seed
            assert set(after.why) >= {label for label, s in after.slots.items() if s is None}, seed
            if before is not None:
                for label, was in before.slots.items():
                    if was and was.who in shown.values() and label in after.slots:
                        assert shown.get(label) == was.who, seed
            before = after
