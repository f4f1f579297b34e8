"""Who is on the page that a member looks at: order, steadiness, speaker view. Pure policy.

A page is settled when it is drawn: people do not jump about because somebody turned a camera on.
What moves it: the viewer (layout, page, pins), the hosts (spotlight), a leaver (a hole for two
seconds, then the grid closes once), a joiner (at the end), and a speaker off the page (one swap
per three seconds, for whoever spoke longest ago). You are never on your own page: the self view
is the client's. Which slot shows whom is `sfu.subscriptions`; time is an argument.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, TypeAlias

HOLE_SECONDS = 2.0
SWAP_SECONDS = 3.0

Layout: TypeAlias = Literal["grid", "speaker"]


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody in the viewer's scope, as far as pictures go.

    Attributes:
        id: The participant's public id.
        joined: Any number that orders members by when they came.
        camera: Engine track of the camera, 0 while it is off.
        screen: Engine track of a shared screen, 0 without one.
        hand: When the hand went up; None while it is down.
    """

    id: str
    joined: float
    camera: int = 0
    screen: int = 0
    hand: float | None = None


@dataclass(frozen=True)
class Stage:
    """What is the same for all viewers of a scope; what follows from it is worked out once for all.

    Attributes:
        members: Everybody in it.
        spotlight: Chosen by the hosts, in order.
        video_only: Only members with video get a tile (the training preset).
        dominant: Who holds the floor (`sfu.speakers`).
        spoke_at: Member → when last heard.
    """

    members: tuple[Member, ...]
    spotlight: tuple[str, ...] = ()
    video_only: bool = False
    dominant: str | None = None
    spoke_at: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def by_id(self) -> Mapping[str, Member]:
        """Everybody in it, in the order in which they came."""
        by_time = sorted(self.members, key=lambda member: (member.joined, member.id))
        return {member.id: member for member in by_time}

    @cached_property
    def queue(self) -> Mapping[str, Member]:
        """All who may have a tile, in order: spotlight, hands, people with video, the rest."""
        shown = {
            who: member
            for who, member in self.by_id.items()
            if member.camera or not self.video_only
        }
        hands = sorted(
            (member for member in shown.values() if member.hand is not None),
            key=lambda member: (member.hand or 0.0, member.joined),
        )
        wanted = [
            *self.spotlight,
            *(member.id for member in hands),
            *(who for who, member in shown.items() if member.camera),
            *shown,
        ]
        return {who: shown[who] for who in wanted if who in shown}

    @cached_property
    def sharers(self) -> tuple[str, ...]:
        """All who share a screen, in order: spotlight, then who came first."""
        wanted = dict.fromkeys((*self.spotlight, *self.by_id))
        return tuple(who for who in wanted if who in self.by_id and self.by_id[who].screen)


@dataclass(frozen=True, slots=True)
class View:
    """What one viewer asked for (`view.set`).

    Attributes:
        me: The viewer.
        layout: "grid", or "speaker": one on the stage, the others in a strip.
        page: From 0.
        page_size: Tiles on a page, the stage among them; at least 1.
        pins: The viewer's own, in order.
    """

    me: str
    layout: Layout = "grid"
    page: int = 0
    page_size: int = 25
    pins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """A settled page.

    Attributes:
        drawn_for: What it was drawn for; when that changes, it is drawn anew.
        tiles: Members in their places; None is a hole. In speaker view the first is the stage.
        screen: Whose shared screen is shown, if any.
        holes_since: When the oldest hole appeared; None without holes.
        swapped_at: When a speaker last took somebody's place; None if never.
    """

    drawn_for: tuple[object, ...]
    tiles: tuple[str | None, ...]
    screen: str | None = None
    holes_since: float | None = None
    swapped_at: float | None = None

    def next_timeout(self) -> float | None:
        """Return when to arrange again though nothing happened; None if never.

        A speaker who waits for the next swap needs no timer: speaking brings reports.
        """
        return None if self.holes_since is None else self.holes_since + HOLE_SECONDS


def arrange(before: Page | None, stage: Stage, view: View, now: float) -> Page:
    """Return the page that the viewer sees now, as like the one before as the rules allow."""
    queue = order(stage, view)
    screen = shown_screen(stage, view)
    drawn_for = (view.layout, view.page, view.page_size, view.pins, stage.spotlight)
    if before is None or before.drawn_for != drawn_for:
        tiles: list[str | None] = [*_slice(queue, view)]
        page = Page(drawn_for, tuple(tiles), screen)
    else:
        page = _close_holes(_mark_leavers(before, queue, now), now)
        page = _append(replace(page, screen=screen), queue, view)
    if view.layout == "speaker":
        return _put_on_stage(page, stage, view)
    return _swap_in_speaker(page, stage, view, queue, now)


def order(stage: Stage, view: View) -> list[str]:
    """Return all who may have a tile: spotlight, own pins, hands, people with video, the rest."""
    wanted = (
        dict.fromkeys((*stage.spotlight, *view.pins, *stage.queue)) if view.pins else stage.queue
    )
    return [member for member in wanted if member in stage.queue and member != view.me]


def shown_screen(stage: Stage, view: View) -> str | None:
    """Return whose screen is shown: a spotlighted sharer's, else the first who shares.

    The viewer's own is not shown to them.
    """
    return next((member for member in stage.sharers if member != view.me), None)


def on_stage(page: Page, stage: Stage, view: View) -> str | None:
    """Return who belongs on the stage of a speaker view; None leaves it as it is.

    Spotlight, else a shared screen (then no person is moved there), else the viewer's pin, else
    the dominant speaker.
    """

    def first(wanted: Iterable[str | None]) -> str | None:
        return next((who for who in wanted if who in stage.by_id and who != view.me), None)

    spotlighted = first(stage.spotlight)
    if spotlighted is not None or page.screen is not None:
        return spotlighted
    return first((*view.pins, stage.dominant))


def _slice(queue: list[str], view: View) -> list[str]:
    start = view.page * view.page_size
    return queue[start : start + view.page_size]


def _mark_leavers(page: Page, queue: list[str], now: float) -> Page:
    present = set(queue)
    tiles = tuple(tile if tile in present else None for tile in page.tiles)
    if None not in tiles:
        return replace(page, tiles=tiles, holes_since=None)
    since = page.holes_since if page.holes_since is not None else now
    return replace(page, tiles=tiles, holes_since=since)


def _close_holes(page: Page, now: float) -> Page:
    if page.holes_since is None or now < page.holes_since + HOLE_SECONDS:
        return page
    kept = tuple(tile for tile in page.tiles if tile is not None)
    return replace(page, tiles=kept, holes_since=None)


def _append(page: Page, queue: list[str], view: View) -> Page:
    """Fill free places at the end, with those who are on no earlier page."""
    free = view.page_size - len(page.tiles)
    if free <= 0:
        return page
    candidates = queue if view.page == 0 else queue[view.page * view.page_size :]
    fresh = [member for member in candidates if member not in page.tiles]
    return replace(page, tiles=(*page.tiles, *fresh[:free]))


def _swap_in_speaker(page: Page, stage: Stage, view: View, queue: list[str], now: float) -> Page:
    speaker = stage.dominant
    if speaker not in queue or speaker in page.tiles or not page.tiles:
        return page
    if page.swapped_at is not None and now < page.swapped_at + SWAP_SECONDS:
        return page
    place = _longest_silent(page, stage, view, keep=())
    if place is None:
        return page
    return replace(page, tiles=_with(page.tiles, place, speaker), swapped_at=now)


def _put_on_stage(page: Page, stage: Stage, view: View) -> Page:
    """Exchange places with whoever is on the stage, so that nobody else moves."""
    wanted = on_stage(page, stage, view)
    if wanted is None or not page.tiles or page.tiles[0] == wanted:
        return page
    leaving = page.tiles[0]
    if wanted in page.tiles:
        place: int | None = page.tiles.index(wanted)
    else:
        place = _longest_silent(page, stage, view, keep=(leaving,))
    tiles = page.tiles if place in (None, 0) else _with(page.tiles, place, leaving)
    return replace(page, tiles=_with(tiles, 0, wanted))


def _longest_silent(
    page: Page, stage: Stage, view: View, keep: tuple[str | None, ...]
) -> int | None:
    """Return the place of the tile that spoke longest ago, later places first among equals."""
    fixed = {*stage.spotlight, *view.pins, *keep, None}
    places = [place for place, tile in enumerate(page.tiles) if tile not in fixed]
    return min(
        places,
        key=lambda place: (stage.spoke_at.get(page.tiles[place] or "", float("-inf")), -place),
        default=None,
    )


def _with(
    tiles: tuple[str | None, ...], place: int | None, member: str | None
) -> tuple[str | None, ...]:
    return tuple(member if index == place else tile for index, tile in enumerate(tiles))
