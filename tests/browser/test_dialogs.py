"""A question is answered by a click that was meant for it."""

import pytest
from playwright.async_api import expect

from tests.support.meetings import book, no_complaints, shows
from tests.support.person import ANA, Person

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOTE_WHAT_IS_HIT = """() => new MutationObserver((_, observer) => {
  const buttons = [...document.querySelectorAll("[role=dialog] button")];
  const button = buttons.find(({ textContent }) => textContent === "End for all");
  if (!button) return;
  observer.disconnect();
  setTimeout(() => {
    const { x, y, width, height } = button.getBoundingClientRect();
    window.hit = button.contains(document.elementFromPoint(x + width / 2, y + height / 2));
  }, 100);
}).observe(document.body, { childList: true, subtree: true })"""


async def test_a_double_click_opens_a_question_and_neither_closes_nor_answers_it(server, emptied):
    """The second click closes nothing and ends nothing; a later one beside the question means no."""
    links = await book(server)
    host = await Person.arrive(emptied, ANA)
    await host.join(links.host)
    await shows(host, "live")  # before, nobody knows that this is a host
    item = host.page.get_by_role("menuitem", name="End meeting for all")
    dialog = host.page.get_by_role("dialog", name="End meeting for all?")
    await host.page.evaluate(NOTE_WHAT_IS_HIT)
    await host.press("Leave")
    await item.dblclick()
    await host.page.wait_for_function("() => window.hit === false")
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(dialog).to_have_count(0)
    await host.press("Leave")
    await item.click()
    await dialog.get_by_role("button", name="Cancel").hover()
    await host.page.mouse.click(5, 5)
    await expect(dialog).to_have_count(0)
    await shows(host, "live")
    no_complaints(host)
