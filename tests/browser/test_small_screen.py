"""On a phone everything that can be pressed is on the screen, however long titles and names are."""

import pytest
from playwright.async_api import expect

from tests.support.meetings import book, covered, shows
from tests.support.person import JANE, Look, Person

pytestmark = pytest.mark.asyncio(loop_scope="module")

PHONE = {"width": 390, "height": 844}
TITLE = "Roof review of the long building at the end of the street"
HOST = Look("Ana Diaz", "#c02020", "#604000", 700)
GUEST = Look("Maximiliana Featherstonehaugh-Cholmondeley", "#20a020", "#406000", 1300)
OUTSIDE = """() => [...document.querySelectorAll("button, input, select, [role=tab]")]
  .filter((element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true }))
  .filter((element) => {
    const { left, right } = element.getBoundingClientRect();
    return left < 0 || right > innerWidth;
  })
  .map((element) => element.ariaLabel || element.textContent)"""


async def test_nothing_is_pushed_off_a_phone(server, browser):
    """Before, at and behind the door, and in each panel, every control is within the width."""
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
