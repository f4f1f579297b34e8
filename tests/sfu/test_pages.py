"""Who is on the page: order, steadiness, the stage."""

import random
from dataclasses import replace

import pytest

from sfu.pages import (
    HOLE_SECONDS,
    SWAP_SECONDS,
    Member,
    Page,
    Stage,
    View,
    arrange,
    on_stage,
    order,
    shown_screen,
)


def people(*names: str, **fields: object) -> tuple[Member, ...]:
    """Members with cameras, who came in this order."""
    return tuple(
        Member(name, joined, camera=joined + 1, **fields) for joined, name in enumerate(names)
    )


VIEW = View("me", page_size=4)
SPEAKER = View("me", layout="speaker", page_size=4)


def draw(stage: Stage, view: View = VIEW, before: Page | None = None, now: float = 0.0) -> Page:
    """Arrange and return the page."""
    return arrange(before, stage, view, now)


def test_the_order_of_the_grid() -> None:
    """Spotlight, own pins, hands by time, people with video, the rest by join time."""
    members = (
        Member("rest-b", 2), Member("rest-a", 1), Member("video-b", 4, camera=9),
        Member("video-a", 3, camera=8), Member("hand-2", 5, hand=20.0), Member("hand-1", 6, hand=10.0),
        Member("pin-2", 7), Member("pin-1", 8), Member("spot", 9), Member("me", 0, camera=1),
    )  # fmt: skip
    stage = Stage(members, spotlight=("spot", "gone"))
    view = View("me", pins=("pin-1", "pin-2", "me"))
    assert order(stage, view) == [
        "spot", "pin-1", "pin-2", "hand-1", "hand-2", "video-a", "video-b", "rest-a", "rest-b",
    ]  # fmt: skip


def test_a_training_shows_people_with_video_only() -> None:
    """In a training the others are a number."""
    members = (*people("a", "b"), Member("quiet", 9))
    assert order(Stage(members, video_only=True), VIEW) == ["a", "b"]


def test_a_drawn_page_is_settled() -> None:
    """Cameras, hands and speech of those on the page move nobody."""
    stage = Stage(people("a", "b", "c"))
    page = draw(stage)
    members = (
        replace(stage.members[0], camera=0),
        replace(stage.members[2], hand=1.0),
        stage.members[1],
    )
    later = draw(Stage(members, dominant="c", spoke_at={"c": 5.0}), before=page, now=5.0)
    assert later.tiles == page.tiles == ("a", "b", "c")


@pytest.mark.parametrize(
    ("view", "stage"),
    [
        (replace(VIEW, pins=("c",)), Stage(people("a", "b", "c"))),
        (VIEW, Stage(people("a", "b", "c"), spotlight=("c",))),
    ],
    ids=["pin", "spotlight"],
)
def test_pins_and_spotlight_draw_the_page_anew(view: View, stage: Stage) -> None:
    """What the viewer or a host chose comes first at once."""
    assert draw(stage, view, draw(Stage(people("a", "b", "c")))).tiles == ("c", "a", "b")


def test_pages_follow_each_other() -> None:
    """Page n shows the n-th slice of the order; one past the end is empty."""
    stage = Stage(people(*"abcdefghij"))
    assert draw(stage, replace(VIEW, page=1)).tiles == ("e", "f", "g", "h")
    assert draw(stage, replace(VIEW, page=2)).tiles == ("i", "j")
    assert draw(stage, replace(VIEW, page=3)).tiles == ()


def test_a_leaver_leaves_a_hole_and_the_grid_closes_once() -> None:
    """Two who leave within two seconds make one move of the grid, not two."""
    full = people(*"abcdef")
    page = draw(Stage(full))
    without_b = tuple(m for m in full if m.id != "b")
    page = draw(Stage(without_b), before=page, now=10.0)
    assert page.tiles == ("a", None, "c", "d")
    assert page.next_timeout() == 10.0 + HOLE_SECONDS
    without_bc = tuple(m for m in full if m.id not in "bc")
    page = draw(Stage(without_bc), before=page, now=11.0)
    assert page.tiles == ("a", None, None, "d")
    page = draw(Stage(without_bc), before=page, now=12.0)
    assert page.tiles == ("a", "d", "e", "f")
    assert page.next_timeout() is None


def test_joiners_come_at_the_end() -> None:
    """A newcomer takes the next free place and never an earlier one, not even a hole."""
    page = draw(Stage(people("a", "b")))
    page = draw(Stage(people("a", "b", "c")), before=page)
    assert page.tiles == ("a", "b", "c")
    page = draw(
        Stage(people("a", "x", "c", "d")[0:1] + people("a", "x", "c", "d")[2:]), before=page
    )
    assert page.tiles == ("a", None, "c", "d")


def test_a_free_place_of_a_later_page_is_for_who_is_on_no_earlier_one() -> None:
    """Whoever turned the page sees the newcomer there, not again those of the page before."""
    view = replace(VIEW, page=1)
    page = draw(Stage(people(*"abcdef")), view)
    page = draw(Stage(people(*"abcdefg")), view, page)
    assert page.tiles == ("e", "f", "g")


def test_a_speaker_off_the_page_replaces_who_spoke_longest_ago() -> None:
    """One swap per three seconds; pinned and spotlighted tiles stay."""
    stage = Stage(
        people(*"abcdefg"), dominant="f", spoke_at={"b": 1.0, "c": 3.0, "d": 2.0, "f": 9.0}
    )
    view = replace(VIEW, pins=("a",))
    page = draw(stage, view, draw(replace(stage, dominant=None), view), now=10.0)
    assert page.tiles == ("a", "f", "c", "d")
    soon = draw(replace(stage, dominant="g"), view, page, now=10.0 + SWAP_SECONDS - 0.1)
    assert soon.tiles == page.tiles
    later = draw(replace(stage, dominant="g"), view, page, now=10.0 + SWAP_SECONDS)
    assert later.tiles == ("a", "f", "c", "g")


def test_of_those_who_never_spoke_the_last_makes_room() -> None:
    """The first places are whom the order put first."""
    stage = Stage(people(*"abcdef"), dominant="f", spoke_at={"f": 9.0})
    page = draw(stage, before=draw(replace(stage, dominant=None)), now=9.0)
    assert page.tiles == ("a", "b", "c", "f")


def test_speech_on_the_page_moves_nobody() -> None:
    """A speaker who is on the page stays where they are."""
    stage = Stage(people(*"abcd"), dominant="d", spoke_at={"d": 9.0})
    assert draw(stage, before=draw(stage), now=9.0).tiles == ("a", "b", "c", "d")


@pytest.mark.parametrize(
    ("spotlight", "screen", "pins", "dominant", "expected"),
    [
        (("c",), True, ("b",), "a", "c"),
        ((), True, ("b",), "a", None),
        ((), False, ("b",), "a", "b"),
        ((), False, (), "a", "a"),
        ((), False, (), None, None),
        ((), False, (), "me", None),
        (("me",), False, (), "a", "a"),
        (("gone",), False, ("gone",), "a", "a"),
    ],
)
def test_who_belongs_on_the_stage(
    spotlight: tuple[str, ...],
    screen: bool,
    pins: tuple[str, ...],
    dominant: str | None,
    expected: str | None,
) -> None:
    """Spotlight, else share, else pin, else dominant speaker; never yourself."""
    stage = Stage(people("a", "b", "c", "me"), spotlight=spotlight, dominant=dominant)
    page = Page((), (), screen="a" if screen else None)
    assert on_stage(page, stage, replace(SPEAKER, pins=pins)) == expected


def test_the_stage_exchanges_places() -> None:
    """A new dominant speaker and the old one change places; nobody else moves."""
    stage = Stage(people(*"abcd"))
    page = draw(stage, SPEAKER)
    page = draw(replace(stage, dominant="c"), SPEAKER, page)
    assert page.tiles == ("c", "b", "a", "d")
    page = draw(replace(stage, dominant="b"), SPEAKER, page)
    assert page.tiles == ("b", "c", "a", "d")


def test_a_speaker_from_another_page_takes_the_stage() -> None:
    """Whoever leaves the stage takes the place of who spoke longest ago."""
    stage = Stage(people(*"abcdef"), spoke_at={"b": 5.0, "c": 1.0, "d": 7.0})
    page = draw(replace(stage, dominant="f"), SPEAKER, draw(stage, SPEAKER))
    assert page.tiles == ("f", "b", "a", "d")


def test_a_page_of_one_shows_the_stage_alone() -> None:
    """With room for one tile the speaker view is the speaker."""
    view = replace(SPEAKER, page_size=1)
    stage = Stage(people("a", "b"))
    assert draw(replace(stage, dominant="b"), view, draw(stage, view)).tiles == ("b",)


def test_alone_you_see_nobody() -> None:
    """Your own picture is never sent back to you."""
    for view in (VIEW, SPEAKER):
        assert draw(Stage(people("me"), dominant="me"), view).tiles == ()


def test_which_screen_is_shown() -> None:
    """A spotlighted sharer's, else the first sharer's, never your own."""
    members = tuple(replace(member, screen=7) for member in people("a", "b", "me"))
    assert shown_screen(Stage(members), VIEW) == "a"
    assert shown_screen(Stage(members, spotlight=("b",)), VIEW) == "b"
    assert shown_screen(Stage(members[2:]), VIEW) is None


def test_random_meetings_keep_the_rules() -> None:
    """No member twice, nobody who is gone, never yourself, and tiles move only when they may."""
    seed = 17
    rng = random.Random(seed)
    names = [f"p{number}" for number in range(30)]
    for _ in range(60):
        view = View("p0", rng.choice(["grid", "speaker"]), rng.randrange(2), rng.randint(1, 9))
        members = {m.id: m for m in people(*rng.sample(names, 20))}
        page, now = None, 0.0
        for _ in range(60):
            now += rng.random()
            choice = rng.randrange(4)
            if choice == 0 and len(members) > 1:
                members.pop(rng.choice([*members]))
            elif choice == 1:
                name = rng.choice(names)
                members[name] = Member(name, now, camera=rng.randrange(3))
            speaker = rng.choice([*members, None])
            stage = Stage((*members.values(),), dominant=speaker, spoke_at={speaker or "": now})
            before, page = page, arrange(page, stage, view, now)
            shown = [tile for tile in page.tiles if tile is not None]
            assert len(shown) == len(set(shown)), seed
            assert set(shown) <= set(members) - {"p0"}
            assert len(page.tiles) <= view.page_size
            if before is not None and view.layout == "grid":
                closed = before.holes_since is not None and page.holes_since is None
                moved = [
                    t
                    for t in before.tiles
                    if t in page.tiles and before.tiles.index(t) != page.tiles.index(t)
                ]
                assert closed or not [t for t in moved if t is not None], seed
