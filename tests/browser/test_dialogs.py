"""A click does what it was meant for: it answers a question, and selects no picture."""

import datetime as dt

import pytest
from playwright.async_api import Page, expect

from tests.support.meetings import book, no_complaints, shows
from tests.support.person import ANA, Person

pytestmark = pytest.mark.asyncio(loop_scope="module")

WHAT_IS_HIT = """(button) => {
  const { x, y, width, height } = button.getBoundingClientRect();
  return button.contains(document.elementFromPoint(x + width / 2, y + height / 2));
}"""


async def test_a_double_click_opens_a_question_and_neither_closes_nor_answers_it(server, emptied):
    """The second click closes nothing and ends nothing; a later one beside the question means no.

    The page's clock stands still meanwhile: on a busy machine, too, this is a double click.
    """
    links = await book(server)
    host = await Person.arrive(emptied, ANA)
    clock = host.page.clock
    await clock.install()
    await host.join(links.host)
    await shows(host, "live")  # before, nobody knows that this is a host
    item = host.page.get_by_role("menuitem", name="End meeting for all")
    dialog = host.page.get_by_role("dialog", name="End meeting for all?")
    yes = dialog.get_by_role("button", name="End for all")
    await host.press("Leave")
    await expect(item).to_be_visible()
    await stop(host.page)
    await item.dblclick()
    await expect(dialog).to_be_visible()
    await clock.run_for(400)
    assert not await yes.evaluate(WHAT_IS_HIT)
    await clock.resume()
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(dialog).to_have_count(0)
    await host.press("Leave")
    await item.click()
    await dialog.get_by_role("button", name="Cancel").hover()
    await host.page.mouse.click(5, 5)
    await expect(dialog).to_have_count(0)
    await shows(host, "live")
    no_complaints(host)


async def test_a_double_click_on_the_stage_selects_nothing(server, emptied):
    """As the second click of one on "Join now" would: the own picture stood there tinted."""
    links = await book(server)
    host = await Person.arrive(emptied, ANA)
    await host.join(links.host)
    await shows(host, "live")
    await expect(host.page.get_by_text("You're the first one here.")).to_be_visible()
    await host.page.get_by_text("You're the first one here.").dblclick(force=True)
    assert await host.page.evaluate("getSelection().toString()") == ""
    no_complaints(host)


async def stop(page: Page) -> None:
    """Let a page's timers stand still where they are.

    `pause_at` goes forward to a moment, and refuses one that has passed: so time is fixed first.
    """
    now = dt.datetime.now(dt.UTC)
    await page.clock.set_fixed_time(now)
    await page.clock.pause_at(now)
