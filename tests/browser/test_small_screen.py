"""On a phone everything that can be pressed is on the screen, however long titles and names are."""

import pytest
from playwright.async_api import expect

from tests.support.meetings import book, shows
from tests.support.person import Look, Person

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
