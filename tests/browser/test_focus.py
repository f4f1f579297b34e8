"""The keyboard's focus is never lost: what had it goes, and the next of its kind has it.

The people around the one page are hand-made clients, who are cheap and leave when they are told.
"""

import pytest
from playwright.async_api import expect

from tests.support.crowd import crowd, leave
from tests.support.meetings import book, meet, no_complaints
from tests.support.person import ANA

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_who_is_let_in_or_sent_away_hands_the_focus_on(server, emptied):
    """After Admit, Deny and Remove the next row's same control has it, at last the heading."""
    links = await book(server)
    (host,) = await meet(emptied, links, ANA)
    heading = host.page.get_by_role("heading", name="People")
    async with crowd(links.guest, "Ann", "Bo", "Cy", "Di", "Ed") as waiting:
        await host.press("People, 1")
        await expect(heading).to_be_focused()
        await host.button("Admit Ann").focus()
        await host.page.keyboard.press("Enter")
        await expect(host.button("Admit Bo")).to_be_focused()
        await host.press("Admit Bo")
        await expect(host.button("Admit Cy")).to_be_focused()
        await host.button("Deny Di").focus()
        await host.page.keyboard.press("Enter")
        await expect(host.button("Deny Ed")).to_be_focused()
        await host.press("Deny Ed")
        await expect(host.button("Deny Cy")).to_be_focused()
        await waiting["Cy"].close()  # somebody goes: no press of ours, and the focus is not lost
        await expect(heading).to_be_focused()
        await expect(host.button("More for Bo")).to_be_visible()

        question = host.page.get_by_role("dialog", name="Remove Ann?")
        await host.button("More for Ann").focus()
        await host.page.keyboard.press("Enter")
        await host.page.keyboard.press("End")
        await host.page.keyboard.press("Enter")
        await question.get_by_role("button", name="Remove").focus()
        await host.page.keyboard.press("Enter")
        await expect(host.button("More for Bo")).to_be_focused()
        await host.press("More for Bo")
        await host.page.get_by_role("menuitem", name="Remove").click()
        await host.page.get_by_role("dialog").get_by_role("button", name="Remove").click()
        await expect(host.button("More for Bo")).to_have_count(0)
        await expect(heading).to_be_focused()
        await host.press("Close people")
    async with crowd(links.guest, "Flo", "Gus") as guests:
        await host.press("Admit Flo")
        await expect(host.button("Admit Gus")).to_be_focused()
        await host.press("Admit Gus")
        await expect(host.button("People, 3")).to_be_focused()
        await host.button("Mute").focus()
        await leave(guests["Flo"])  # what comes and goes elsewhere moves nothing
        await expect(host.button("People, 2")).to_be_visible()
        await expect(host.button("Mute")).to_be_focused()
    no_complaints(host)


async def focused_after(page, key):
    """The name of what has the focus after a key."""
    await page.keyboard.press(key)
    return await page.evaluate("document.activeElement.getAttribute('aria-label')")


async def test_who_leaves_hands_the_focus_to_the_next_tile(server, emptied):
    """Keys go from tile to tile; whose owner leaves gives the focus to the next, the last to the stage."""
    links = await book(server)
    (host,) = await meet(emptied, links, ANA)
    async with crowd(links.guest, "Ann", "Bo", "Cy") as guests:
        await expect(host.page.get_by_text("3 people are waiting")).to_be_visible()
        await host.press("Admit all")
        for name in guests:
            await expect(host.button(f"Options for {name}")).to_be_attached()
        await host.button("Options for Bo").focus()
        stops = [await focused_after(host.page, key) for key in ("Home", "ArrowRight", "ArrowLeft")]
        assert stops[0] == stops[2] != stops[1], stops
        assert set(stops) < {f"Options for {name}" for name in guests}
        await host.button("Options for Bo").focus()
        await leave(guests["Ann"])
        await expect(host.button("Options for Ann")).to_have_count(0)
        await expect(host.button("Options for Bo")).to_be_focused()
        await leave(guests["Bo"])
        await expect(host.button("Options for Cy")).to_be_focused()
        await leave(guests["Cy"])
        await expect(host.page.get_by_role("region", name="Stage")).to_be_focused()
    no_complaints(host)


async def test_regions_and_dialogs(server, emptied):
    """F6 goes round the regions from anywhere, both ways; a closed dialog gives the focus back."""
    links = await book(server)
    (host,) = await meet(emptied, links, ANA)
    page = host.page
    async with crowd(links.guest, "Ann", "Bo"):
        await host.press("Admit Ann")
        await expect(host.button("Options for Ann")).to_be_attached()
        await host.button("Deny Bo").wait_for()
        mute = host.button("Mute")
        stops = [host.button("Admit Bo"), host.button("Options for Ann"), mute]
        await host.button("Leave").focus()
        for key, around in (("F6", stops), ("Shift+F6", [*stops[1::-1], mute])):
            for stop in around:
                await page.keyboard.press(key)
                await expect(stop).to_be_focused()
        await host.press("Chat, 0 unread")
        await expect(page.get_by_role("textbox", name="Message")).to_be_focused()
        await page.keyboard.press("F6")
        await expect(mute).to_be_focused()
        await page.keyboard.press("Shift+F6")
        await expect(page.get_by_role("heading", name="Chat")).to_be_focused()
        await page.set_viewport_size({"width": 800, "height": 600})  # the panel covers the stage
        await page.keyboard.press("Shift+F6")
        await expect(host.button("Admit Bo")).to_be_focused()
        await page.keyboard.press("F6")
        await expect(page.get_by_role("heading", name="Chat")).to_be_focused()
        await host.press("Close chat")

        await host.press("Deny Bo")
        for name in ("Settings", "Keys"):
            dialog = page.get_by_role("dialog", name=name)
            for way in ("Escape", f"Close {name.lower()}"):
                await host.press("More")
                await page.get_by_role("menuitem", name=name).click()
                await expect(dialog).to_be_visible()
                if way == "Escape":
                    await page.keyboard.press("F6")  # there are no regions under a question
                    await expect(dialog.locator(":scope:focus, :focus")).to_have_count(1)
                    await page.keyboard.press(way)
                else:
                    await dialog.get_by_role("button", name=way).click()
                await expect(dialog).to_have_count(0)
                await expect(host.button("More")).to_be_focused()
    no_complaints(host)
