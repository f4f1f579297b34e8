"""Keys alone: join, admit, mute, chat, leave, end."""

import pytest
from playwright.async_api import Page, expect

from tests.support.meetings import book, shows
from tests.support.person import ANA, JANE, Person

pytestmark = pytest.mark.asyncio(loop_scope="module")

MOST_STOPS = 60


async def focused(page: Page) -> str:
    """The accessible name of what has the focus."""
    return await page.evaluate(
        "() => { const e = document.activeElement; return e?.getAttribute('aria-label')"
        " ?? e?.labels?.[0]?.textContent ?? e?.textContent ?? ''; }"
    )


async def tab_to(page: Page, name: str, key: str = "Tab") -> None:
    """Press Tab until this name has the focus."""
    seen = []
    for _ in range(MOST_STOPS):
        await page.keyboard.press(key)
        here = (await focused(page)).strip()
        if here == name:
            return
        seen.append(here)
    raise AssertionError(f"no Tab stop {name!r}; there are {seen}")


async def test_a_meeting_by_keys_alone(server, browser):
    """Host and guest never touch a pointer, from the link to the end for all."""
    links = await book(server)
    host = await Person.arrive(browser, ANA)
    guest = await Person.arrive(browser, JANE)
    for person, link in ((host, links.host), (guest, links.guest)):
        await person.page.goto(link)
        await shows(person, "prejoin")
        await tab_to(person.page, "Unmute")
        await person.page.keyboard.press("Enter")
        await expect(person.button("Mute")).to_be_focused()
        await tab_to(person.page, "Your name")
        await person.page.keyboard.press("ControlOrMeta+A")
        await person.page.keyboard.type(person.look.name)
    await tab_to(host.page, "Join now")
    await host.page.keyboard.press("Space")
    await shows(host, "live")
    await expect(host.button("Mute")).to_be_focused()
    await guest.page.keyboard.press("Enter")
    await shows(guest, "waiting")

    await expect(host.button(f"Admit {JANE.name}")).to_be_visible()
    await expect(host.button("Mute")).to_be_focused()  # nobody's knock moves the focus
    await tab_to(host.page, f"Admit {JANE.name}", "Shift+Tab")
    await host.page.keyboard.press("Enter")
    await shows(guest, "live")

    await guest.page.keyboard.press("Control+d")
    await expect(guest.button("Unmute")).to_be_visible()
    await guest.page.keyboard.press("Control+d")
    await expect(guest.button("Mute")).to_be_visible()

    # Arrow keys move along the toolbar, too.
    await expect(guest.button("Mute")).to_be_focused()
    await guest.page.keyboard.press("End")
    await expect(guest.button("Leave")).to_be_focused()
    await guest.page.keyboard.press("ArrowLeft")
    await expect(guest.button("More")).to_be_focused()

    await guest.page.keyboard.press("Control+Alt+c")
    message = guest.page.get_by_role("textbox", name="Message")
    await expect(message).to_be_focused()
    await guest.page.keyboard.type("By keys")
    await guest.page.keyboard.press("Enter")
    await expect(guest.page.get_by_role("log", name="Messages")).to_contain_text("By keys")
    await expect(host.button("Chat, 1 unread")).to_be_visible()
    await guest.page.keyboard.press("Escape")
    await expect(guest.button("More")).to_be_focused()
    await guest.page.keyboard.press("End")
    await guest.page.keyboard.press("Enter")
    await shows(guest, "left")

    await tab_to(host.page, "Leave")
    await host.page.keyboard.press("Enter")
    await expect(host.page.get_by_role("menuitem", name="Leave meeting")).to_be_focused()
    await host.page.keyboard.press("ArrowDown")
    await host.page.keyboard.press("Enter")
    dialog = host.page.get_by_role("dialog", name="End meeting for all?")
    await expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    await host.page.keyboard.press("Tab")
    await host.page.keyboard.press("Enter")
    await shows(host, "ended")
    await host.close()
    await guest.close()
