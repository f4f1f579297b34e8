"""On a phone everything that can be pressed is on the screen, however long titles and names are."""

import re

import pytest
from playwright.async_api import expect

from tests.support.api import Api
from tests.support.crowd import crowd
from tests.support.meetings import book, covered, shows
from tests.support.person import JANE, Look, Person
from tests.support.wait import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

PHONE = {"width": 390, "height": 844}
TITLE = "Roof review of the Donaudampfschifffahrtselektrizitätenhauptbetriebswerk"
HOST = Look("Ana Diaz", "#c02020", "#604000", 700)
GUEST = Look("maximiliana.featherstonehaugh@roofs.example.org", "#20a020", "#406000", 1300)
OUTSIDE = """() => [...document.querySelectorAll("button, input, select, [role=tab]")]
  .filter((element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true }))
  .filter((element) => {
    const { left, right } = element.getBoundingClientRect();
    return left < 0 || right > innerWidth;
  })
  .map((element) => element.ariaLabel || element.textContent)"""

CAUGHT = """() => {
  const leave = [...document.querySelectorAll("button")].find((button) => button.textContent === "Leave");
  leave.style.animation = "none";
  leave.getBoundingClientRect();
  leave.style.animation = "";
  const [arrival] = leave.getAnimations();
  arrival.pause();
  return [500, 650].map((moment) => {
    arrival.currentTime = moment;
    return getComputedStyle(leave).pointerEvents;
  });
}"""


async def test_nothing_is_pushed_off_a_phone(server, browser):
    """Before, at and behind the door, and in each panel, every control is within the width.

    Who asks to join by a double tap does not leave by the second: it meets nothing.
    """
    links = await book(server, TITLE)
    host, guest = await Person.arrive(browser, HOST), await Person.arrive(browser, GUEST)

    async def fits(person: Person, where: str) -> None:
        assert await person.page.evaluate(OUTSIDE) == [], where
        wide = await person.page.evaluate("() => document.documentElement.scrollWidth")
        assert wide <= PHONE["width"], where

    for person in (host, guest):
        await person.page.set_viewport_size(PHONE)
    await host.open(links.host)
    await fits(host, "prejoin")
    await host.enter()
    await host.in_the_room()
    await guest.join(links.guest)
    await shows(guest, "waiting")
    await fits(guest, "waiting")
    assert await guest.page.evaluate(CAUGHT) == ["none", "auto"]
    await guest.press("Turn camera off")
    await expect(guest.page.get_by_text(GUEST.name)).to_be_visible()
    await fits(guest, "waiting without a picture")
    await guest.press("Turn camera on")
    await expect(host.button(f"Admit {GUEST.name}")).to_be_visible()
    await fits(host, "somebody waits")
    await host.press("People, 1")
    await expect(host.page.get_by_role("region", name="Participants")).to_be_visible()
    await fits(host, "queue")
    await host.press(f"Admit {GUEST.name}")
    await guest.in_the_room()
    await host.sees(GUEST)
    await guest.press("Raise hand")
    await expect(host.button(f"Lower {GUEST.name}'s hand")).to_be_visible()
    await fits(host, "people")
    await host.press("Chat, 0 unread")
    await host.page.get_by_role("tab", name="Private").click()
    await expect(host.page.get_by_role("combobox", name="Send to")).to_be_visible()
    await fits(host, "private chat")
    await host.press("Close chat")
    await fits(host, "live")
    for person in (host, guest):
        await person.close()


async def test_on_the_smallest_phone_nothing_covers_a_control(server, browser):
    """At 360 pixels Admit and Deny stand side by side, and a note lies over no control.

    Nor does one with more room, beside an open panel.
    """
    links = await book(server)
    host, guest = await Person.arrive(browser, HOST), await Person.arrive(browser, JANE)
    for person in (host, guest):
        await person.page.set_viewport_size({"width": 360, "height": 640})
    await host.join(links.host)
    await host.in_the_room()
    await guest.join(links.guest)
    await shows(guest, "waiting")
    admit = await host.button(f"Admit {JANE.name}").bounding_box(timeout=15_000)
    deny = await host.button(f"Deny {JANE.name}").bounding_box()
    assert admit and deny and abs(admit["y"] - deny["y"]) < 1, (admit, deny)
    toast = host.page.get_by_role("region", name="Notes").get_by_role("listitem")
    for panel, width in ((None, 360), ("Chat, 0 unread", 360), ("", 1000)):
        await host.page.set_viewport_size({"width": width, "height": 640})
        if panel:
            await host.press(panel)
        await guest.page.get_by_role("textbox", name="Write to the host").fill("I am early")
        await guest.press("Send")
        await expect(toast.first).to_be_visible()
        assert await covered(host) == [], (panel, width)
        await host.page.get_by_role("button", name="Close message").first.click()
    for person in (host, guest):
        await person.close()


async def test_a_phone_on_its_side_shows_more_than_the_preview(server, browser):
    """The own picture takes at most half of the height, and the way in is near."""
    links = await book(server)
    host = await Person.arrive(browser, HOST)
    await host.page.set_viewport_size({"width": 844, "height": 390})
    await host.open(links.host)
    await host.devices_on()
    picture = await host.page.locator("video").bounding_box()
    assert picture and picture["height"] <= 390 / 2, picture
    way_in = await host.button("Join now").bounding_box()
    assert way_in and way_in["y"] < 2 * 390, way_in
    await host.close()


CUT_OFF = """() => [...document.querySelectorAll("[data-region=waiting], [data-region=waiting] *")]
  .flatMap((part) => [...part.getClientRects()].map((at) => [part, at]))
  .filter(([, { left, right, top, bottom }]) => left < 0 || right > innerWidth || top < 0 || bottom > innerHeight)
  .map(([part, { left, right }]) => `${part.localName} from ${left} to ${right}: ${part.textContent.slice(0, 40)}`)"""
SHORTENED = """() => [...document.querySelectorAll("[data-region=waiting] button")]
  .filter((button) => button.scrollWidth > button.clientWidth)
  .map((button) => button.ariaLabel || button.textContent)"""
WIDE = "W" * 80


async def test_who_waits_under_a_long_name_is_seen_whole(server, emptied):
    """Two wait, one with a name without a space: all of the banner is on the screen, and works.

    Only the button that bears the name is shortened. So it is with that one alone, whose buttons
    bear none; on a small phone there is some stage beside it, too.
    """
    links = await book(server)
    host = await Person.arrive(emptied, HOST)
    await host.join(links.host)
    await host.in_the_room()
    stage = host.page.get_by_role("region", name="Stage")

    async def whole(buttons: int, *shortened: str) -> None:
        for width, height in ((1280, 720), (390, 844), (320, 568)):
            await host.page.set_viewport_size({"width": width, "height": height})
            await host.page.evaluate(PAGE_SIZE)
            banner = host.page.get_by_role("region", name="Waiting")
            assert await banner.get_by_role("button").count() == buttons
            assert await host.page.evaluate(CUT_OFF) == [], (width, buttons)
            assert await host.page.evaluate(OUTSIDE) == [], (width, buttons)
            assert await host.page.evaluate(SHORTENED) == [*shortened], (width, buttons)
            box = await stage.bounding_box()
            assert box and box["height"] >= 100, (width, buttons, box)

    async with crowd(links.guest, WIDE, JANE.name):
        await expect(host.page.get_by_text(f"{WIDE} and {JANE.name} are waiting")).to_be_visible()
        await whole(3, f"Admit {WIDE}")
        await host.press(f"Admit {JANE.name}", timeout=5)
        await expect(host.page.get_by_text(f"{WIDE} is waiting")).to_be_visible()
        await whole(2)
        await host.press(f"Admit {WIDE}", timeout=5)
        await expect(host.button("People, 3")).to_be_visible()
    await host.close()


UNDER_THE_OWN_PICTURE = """() => {
  const own = document.querySelector("[data-testid=self-view]");
  const { left, right, top, bottom } = own.getBoundingClientRect();
  return [...document.querySelectorAll("button, [data-testid=tile] .tile-label")]
    .filter((part) => !own.contains(part) && !part.closest("[inert]") && part.checkVisibility())
    .filter((part) => {
      const at = part.getBoundingClientRect();
      return at.left < right - 1 && left < at.right - 1 && at.top < bottom - 1 && top < at.bottom - 1;
    })
    .map((part) => part.ariaLabel || part.textContent);
}"""
INITIALS_UNDER_A_NAME = """() => [...document.querySelectorAll("[data-testid=tile]")]
  .filter((tile) => {
    const initials = document.createRange();
    initials.selectNodeContents(tile.querySelector(".tile-avatar"));
    const name = tile.querySelector(".tile-label").getBoundingClientRect();
    return initials.getBoundingClientRect().bottom > name.top;
  })
  .map((tile) => `initials of ${tile.ariaLabel}`)"""
PAGE_SIZE = """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
  const { scrollWidth, scrollHeight } = document.documentElement;
  done([scrollWidth, scrollHeight]);
})))"""
SIZES = [(1280, 720), (1920, 1080), (360, 640), (320, 480), (390, 844), (844, 390), (640, 360)]


async def test_the_own_picture_covers_nothing_and_nobody_is_left_out(server, emptied):
    """With ten others, at every size: no control nor name under it, and nothing to scroll.

    Nor are a tile's initials under the name, however small it is.
    The pager of a phone works, and beside a large picture "+6" tells of who is not in the strip.
    """
    links = await Api(server.url, server.dev["api_key"]).book(kind="training")
    host = await Person.arrive(emptied, HOST)
    await host.join(links["host_url"])
    await host.in_the_room()
    page = host.page
    tiles = page.get_by_test_id("tile")
    more = page.get_by_role("button", name=re.compile(r"^\+\d+ more (person|people)$"))

    async def fits(*where: object) -> None:
        covered: list[str] = []

        async def free() -> bool:
            covered[:] = await page.evaluate(UNDER_THE_OWN_PICTURE)
            covered.extend(await page.evaluate(INITIALS_UNDER_A_NAME))
            return not covered

        try:
            await until(free, timeout=3)
        except TimeoutError:
            raise AssertionError(f"under the own picture or a name: {covered} {where}") from None

    async with crowd(links["guest_url"], *(f"Guest {number}" for number in range(10))):
        # The first comes in without asking: it is the one who is invited.
        await expect(page.get_by_text("9 people are waiting")).to_be_visible()
        await host.press("Admit all")
        await expect(tiles).to_have_count(10)
        for size in SIZES:
            await page.set_viewport_size({"width": size[0], "height": size[1]})
            assert await page.evaluate(PAGE_SIZE) == list(size)
            phone = size[0] < 600
            await expect(tiles).to_have_count(8 if phone else 10)
            await fits("grid", size)
            if phone:
                await host.press("Next page", timeout=5)
                await expect(host.button("Previous page")).to_be_focused()
                await expect(tiles).to_have_count(2)
                await fits("second page", size)
                await host.press("Previous page", timeout=5)
        await host.press("More")
        await page.get_by_role("menuitem", name="Speaker view").click()
        for size in SIZES:
            await page.set_viewport_size({"width": size[0], "height": size[1]})
            await page.evaluate(PAGE_SIZE)
            await fits("speaker view", size)
            shown = await tiles.count()
            assert shown >= 2, size
            await expect(more).to_have_text(f"+{10 - shown}")
        await more.click()
        await expect(page.get_by_role("heading", name="People 11")).to_be_focused()
    await host.close()
