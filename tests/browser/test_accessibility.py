"""axe-core finds nothing in any state that the meeting page can be in, light and dark."""

import json
import re
from urllib.parse import urlsplit

import pytest
from playwright.async_api import expect

from tests.support.meetings import axe, book, meet, no_complaints, shows
from tests.support.person import ANA, JANE, Person

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOM = {"title": "Roof", "host_name": "Ana Diaz", "starts_at": "2030-01-01T10:15:00Z"}
REFUSALS = {
    "unknown": (404, {"code": "not_found"}, "This link doesn't open a meeting"),
    "early": (403, {"code": "early", "opens_at": "2030-01-01T10:00:00Z", "room": ROOM}, "Starts"),
    "cancelled": (409, {"code": "cancelled"}, "This appointment was cancelled"),
    "ended": (409, {"code": "ended"}, "The meeting has ended"),
    "full": (409, {"code": "full", "place": 1}, "You're first in line"),
}


def refusing(status, body):
    """A handler of the join request that answers this problem."""
    return lambda route: route.fulfill(
        status=status, content_type="application/problem+json", body=json.dumps(body)
    )


async def test_every_closed_door(server, browser):
    """Each refusal of the link is one sentence in a heading that has the focus, and passes axe."""
    links = await book(server)
    visitor = await Person.arrive(browser, JANE)
    page = visitor.page
    for state, (status, body, sentence) in REFUSALS.items():
        await page.route("**/join", refusing(status, body))
        await page.goto("about:blank")
        await page.goto(links.guest)
        await shows(visitor, state)
        await expect(page.get_by_role("heading", name=sentence)).to_be_focused()
        await axe(page, state)
        await page.unroute("**/join")
    await page.route("**/join", lambda route: route.abort())
    await page.goto("about:blank")
    await page.goto(links.guest)
    await shows(visitor, "offline")
    await axe(page, "offline")
    await expect(page.locator("html")).to_have_attribute("data-theme", "light")
    await page.emulate_media(color_scheme="dark")
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    await page.unroute("**/join")
    await visitor.press("Try again")
    await shows(visitor, "prejoin")
    await visitor.close()


async def test_before_at_and_behind_the_door(server, browser):
    """Pre-join (with a missing name), waiting room, denied, and asking again pass axe."""
    links = await book(server)
    host = await Person.arrive(browser, ANA)
    await host.join(links.host)
    await host.in_the_room()
    guest = await Person.arrive(browser, JANE)
    page = guest.page
    await page.goto(links.guest)
    box = page.get_by_role("textbox", name="Your name")
    await expect(box).to_have_value(JANE.name)  # the booking knows who is invited
    await box.fill(" ")
    await guest.press("Ask to join")
    await expect(box).to_be_focused()
    await expect(page.get_by_text("Enter the name others will see.")).to_be_visible()
    await axe(page, "prejoin without a name")
    await expect(box).to_have_attribute("maxlength", "80")
    await box.fill("\u200b")  # nothing to show, though no space either
    await guest.press("Ask to join")
    await expect(
        page.get_by_text("This name can't be used. Change it and try again.")
    ).to_be_visible()
    await shows(guest, "prejoin")
    await expect(box).to_be_focused()
    await expect(box).to_have_value("\u200b")
    await axe(page, "prejoin with a refused name")
    await guest.devices_on()
    await expect(page.get_by_role("meter", name="Microphone level")).to_be_visible()
    for device in ("Camera", "Microphone", "Speaker"):
        await expect(page.get_by_role("combobox", name=device)).to_be_visible()
    await axe(page, "prejoin with devices")
    await box.fill(JANE.name)
    await guest.press("Ask to join")
    await shows(guest, "waiting")
    await expect(page.get_by_role("status", name="Your place")).to_have_text("You're next.")
    await axe(page, "waiting")
    await axe(host.page, "somebody waits")
    await host.press(f"Deny {JANE.name}")
    await shows(guest, "denied")
    await axe(page, "denied")
    await guest.press("Ask again")
    await shows(guest, "waiting")
    await guest.press("Leave")
    await shows(guest, "left")
    await axe(page, "left")
    no_complaints(host, guest)
    await host.close()
    await guest.close()


async def test_in_the_room(server, browser):
    """The room, its panels, menus and dialogs, the ways out of it, and back, pass axe."""
    links = await book(server)
    host, guest = await meet(browser, links, ANA, JANE)
    page = host.page
    await host.sees(JANE)

    async def choose(button: str, item: str) -> None:
        await host.press(button)
        await page.get_by_role("menuitem", name=item, exact=True).click()

    await choose("More", "Light room")
    await expect(page.locator("html")).to_have_attribute("data-theme", "light")
    await axe(page, "live")
    await host.press("People, 2")
    await expect(page.get_by_role("region", name="Participants")).to_be_visible()
    await expect(page.get_by_role("heading", name=re.compile("^People"))).to_be_focused()
    await axe(page, "people")
    await guest.press("Raise hand")
    await expect(page.get_by_role("button", name=f"Lower {JANE.name}'s hand")).to_be_visible()
    await axe(page, "hands")
    await host.press("Chat, 0 unread")
    await page.get_by_role("textbox", name="Message").fill("Hello <b>you</b>")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("log", name="Messages")).to_contain_text("Hello <b>you</b>")
    await axe(page, "chat")
    await page.get_by_role("tab", name="Private").click()
    await axe(page, "private chat")
    await host.press("Chat, 0 unread")
    await guest.page.get_by_role("group", name=ANA.name, exact=True).hover()
    await guest.press(f"Options for {ANA.name}")
    await axe(guest.page, "tile menu")
    await guest.page.keyboard.press("Escape")
    tile = page.get_by_role("group", name=JANE.name, exact=True)
    options = tile.get_by_role("button", name=f"Options for {JANE.name}")
    question = page.get_by_role("dialog", name=f"Remove {JANE.name}?")
    await tile.hover()
    await options.click()
    await page.get_by_role("menuitem", name="Remove").click()
    await expect(question.get_by_role("button", name="Cancel")).to_be_focused()
    await axe(page, "remove?")
    await question.get_by_role("button", name="Cancel").click()
    await expect(question).to_have_count(0)
    await expect(options).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("menuitem", name="Pin", exact=True)).to_be_visible()
    await expect(page.locator("[role=menu]:focus-within")).to_be_visible()
    await page.keyboard.press("End")
    await expect(page.get_by_role("menuitem", name="Remove")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(question.get_by_role("button", name="Cancel")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(question).to_have_count(0)
    await expect(options).to_be_focused()
    await choose("More", "Speaker view")
    await axe(page, "speaker view")
    await choose("More", "Settings")
    await expect(page.get_by_role("dialog", name="Settings")).to_be_visible()
    await axe(page, "settings")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog", name="Settings")).to_have_count(0)
    await choose("More", "Keys")
    await expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    await axe(page, "keys")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog", name="Keys")).to_have_count(0)
    await guest.press("Share screen")
    await expect(page.get_by_text(f"{JANE.name} is sharing").first).to_be_visible()
    await axe(page, "share")
    await axe(guest.page, "own share")
    await choose("Leave", "End meeting for all")
    await axe(page, "end for all?")
    await page.get_by_role("button", name="End for all").click()
    await shows(host, "ended")
    await axe(page, "ending")
    await shows(guest, "ended")
    await axe(guest.page, "ended for a guest")
    await host.press("Undo")
    await shows(host, "live")
    await shows(guest, "live")
    await host.sees(JANE)

    second = await guest.tab()
    await second.join(links.guest)
    await shows(second, "live")
    await shows(guest, "superseded")
    await axe(guest.page, "superseded")
    await guest.press("Use here")
    await shows(guest, "live")
    await shows(second, "superseded")
    await host.press("People, 2")
    await host.press(f"More for {JANE.name}")
    await page.get_by_role("menuitem", name="Remove").click()
    await question.get_by_role("button", name="Cancel").click()
    await expect(question).to_have_count(0)
    await tile.hover()
    await options.click()
    await page.get_by_role("menuitem", name="Remove").click()
    await question.get_by_role("button", name="Remove").click()
    await shows(guest, "removed")
    await axe(guest.page, "removed")
    no_complaints(host, guest, second)
    assert urlsplit(page.url).fragment == ""
    await host.close()
    await guest.close()
