"""Roles and English names are API: every one that the implemented pages have is found by role."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.support.meetings import book, no_complaints, shows
from tests.support.person import ANA, JANE, Person

pytestmark = pytest.mark.asyncio(loop_scope="module")

PREJOIN = {
    "textbox": ["Your name"],
    "combobox": ["Camera", "Microphone", "Speaker"],
    "meter": ["Microphone level"],
    "button": ["Unmute", "Turn camera on", "Play test sound"],
}
WAITING = {
    "region": ["Waiting room"],
    "status": ["Your place"],
    "textbox": ["Write to the host"],
    "button": ["Send", "Mute", "Turn camera off", "Leave"],
}
ROOM = {
    "main": ["Meeting"],
    "toolbar": ["Meeting controls"],
    "region": ["Stage"],
    "status": ["Connection"],
    "button": [
        "Mute",
        "Turn camera off",
        "Share screen",
        "Raise hand",
        "People, 2",
        "Chat, 0 unread",
        "More",
        "Leave",
    ],
    "group": [JANE.name],
}
PERSON_MENU = [
    "Pin",
    f"Mute {JANE.name}",
    "Make co-host",
    "Make presenter",
    "Send to waiting room",
    "Remove",
]


async def finds(page: Page, names: dict[str, list[str]]) -> None:
    """Each name is on the page exactly once in its role."""
    for role, wanted in names.items():
        for name in wanted:
            found = page.get_by_role(role, name=name, exact=True)
            assert await found.count() == 1, f"{role} {name!r}: {await found.count()} of them"


async def test_every_name_of_the_implemented_pages(server, browser):
    """Pre-join, waiting room, room, panels, menus, dialogs and ends, one after the other."""
    links = await book(server)
    host = await Person.arrive(browser, ANA)
    guest = await Person.arrive(browser, JANE)
    await host.page.goto(links.host)
    await shows(host, "prejoin")
    await finds(host.page, PREJOIN | {"button": [*PREJOIN["button"], "Join now"]})
    await guest.open(links.guest)
    await finds(guest.page, PREJOIN | {"button": [*PREJOIN["button"], "Ask to join"]})
    await host.join(links.host)
    await host.in_the_room()
    await guest.devices_on()
    await guest.press("Ask to join")
    await shows(guest, "waiting")
    await finds(guest.page, WAITING)

    doors = [f"Admit {JANE.name}", f"Deny {JANE.name}"]
    await expect(host.button(doors[0])).to_be_visible()
    await finds(host.page, {"button": doors, "region": ["Waiting"]})
    await host.press("People, 1")
    await expect(host.page.get_by_role("region", name="Participants")).to_be_visible()
    # The list and the banner never stand side by side: each name is there once.
    await finds(host.page, {"button": doors, "region": ["Participants", "Waiting"]})
    await host.press(doors[0])
    await guest.in_the_room()
    await host.sees(JANE)
    await finds(host.page, ROOM | {"button": [*ROOM["button"], "Mute all", "Lock room"]})

    tile = host.page.get_by_role("group", name=JANE.name, exact=True)
    for name in ("data-participant", "data-slot", "data-frames", "data-state"):
        assert await tile.get_attribute(name), name
    assert await tile.get_attribute("data-testid") == "tile"
    assert await host.page.locator("audio[data-slot]").count() == 3
    assert await host.page.locator("html").get_attribute("data-scope") == "main"

    await tile.hover()
    await host.press(f"Options for {JANE.name}")
    await finds(host.page, {"menuitem": PERSON_MENU})
    await host.page.get_by_role("menuitem", name="Pin", exact=True).click()
    await tile.hover()
    await host.press(f"Options for {JANE.name}")
    await finds(host.page, {"menuitem": ["Unpin"]})
    await host.page.keyboard.press("Escape")

    await guest.press("Raise hand")
    await expect(guest.button("Lower hand")).to_be_visible()
    await expect(tile).to_have_accessible_description("hand 1")
    await guest.press("Mute")
    await expect(tile).to_have_accessible_description("muted, hand 1")
    await host.press(f"Lower {JANE.name}'s hand")
    await expect(guest.button("Raise hand")).to_be_visible()

    await host.press("Chat, 0 unread")
    chat = {"region": ["Chat"], "log": ["Messages"], "textbox": ["Message"]}
    await expect(host.page.get_by_role("log", name="Messages")).to_be_visible()
    await finds(host.page, chat | {"tab": ["Everyone", "Private"], "button": ["Send"]})
    await guest.press("Share screen")
    await finds(guest.page, {"button": ["Stop sharing"]})
    await guest.press("Leave")
    await shows(guest, "left")
    await finds(guest.page, {"button": ["Rejoin"]})

    await host.press("Leave")
    await finds(host.page, {"menuitem": ["Leave meeting", "End meeting for all"]})
    await host.page.get_by_role("menuitem", name="End meeting for all").click()
    dialog = {"dialog": ["End meeting for all?"], "button": ["End for all", "Cancel"]}
    await expect(host.page.get_by_role("dialog")).to_be_visible()
    await finds(host.page, dialog)
    await host.press("End for all")
    await shows(host, "ended")
    await finds(host.page, {"button": ["Undo"]})
    no_complaints(host, guest)
    await host.close()
    await guest.close()


async def test_refused_autoplay_shows_a_bar_until_sound_plays(server, browser):
    """Where the browser keeps sound back, one click on the bar's button brings it, and the bar goes."""
    links = await book(server)
    host = await Person.arrive(browser, ANA)
    await host.join(links.host)
    await host.in_the_room()
    guest = await Person.arrive(browser, JANE)
    await guest.page.add_init_script(
        """(() => {
          const play = HTMLMediaElement.prototype.play;
          let allowed = false;
          HTMLMediaElement.prototype.play = function () {
            if (this.localName !== "audio" || allowed) return play.call(this);
            this.autoplay = false;
            return Promise.reject(new DOMException("no gesture", "NotAllowedError"));
          };
          window.allowSound = () => { allowed = true; };
        })()"""
    )
    await guest.join(links.guest)
    await host.press(f"Admit {JANE.name}")
    await guest.in_the_room()
    bar = guest.page.get_by_text("Sound is off in this browser.")
    await expect(bar).to_be_visible()
    await guest.page.evaluate("() => window.allowSound()")
    await guest.press("Turn on sound")
    await expect(bar).to_have_count(0)
    await guest.hears(ANA)
    await host.close()
    await guest.close()


async def test_join_without_any_device(server, browser):
    """A refused microphone and a missing camera say what to do and never stand in the way."""
    links = await book(server)
    host = await Person.arrive(browser, ANA)
    guest = await Person.arrive(browser, JANE)
    await host.page.add_init_script(
        """navigator.mediaDevices.getUserMedia = async ({ audio }) => {
          throw new DOMException("no", audio ? "NotAllowedError" : "NotFoundError");
        };"""
    )
    await host.page.goto(links.host)
    await host.press("Unmute")
    blocked = "blocks the microphone|microphone question was closed"
    await expect(host.page.get_by_text(re.compile(blocked)).first).to_be_visible()
    await finds(host.page, {"button": ["Ask again"]})
    await host.press("Turn camera on")
    missing = host.page.get_by_text("No camera found. You can join without one.")
    await expect(missing.first).to_be_visible()
    await host.page.get_by_role("textbox", name="Your name").fill(ANA.name)
    await host.press("Join now")
    await host.in_the_room()
    await guest.join(links.guest)
    await host.press(f"Admit {JANE.name}")
    await guest.in_the_room()
    await host.sees(JANE)
    await host.hears(JANE)
    await host.close()
    await guest.close()
