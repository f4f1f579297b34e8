"""The chat panel: what others change or delete is seen changed or deleted, live and by newcomers."""

import pytest
from playwright.async_api import expect

from tests.support.meetings import axe, book, no_complaints, shows
from tests.support.person import ANA, JANE, KIM, Person

pytestmark = pytest.mark.asyncio(loop_scope="module")

JOIN = """async ([link, name]) => {
  const { Meeting, parseInvitation } = await import("/sdk/sunup.js");
  window.meeting = new Meeting(parseInvitation(link));
  await window.meeting.join(name);
}"""
ASK = "([method, parameters]) => window.meeting.request(method, parameters)"


async def test_edited_and_deleted_messages_look_so(server, browser):
    """An edited message bears a mark, a deleted one keeps its line without its text."""
    links = await book(server)
    host, writer = await Person.arrive(browser, ANA), await Person.arrive(browser, JANE)
    await host.join(links.host)
    await host.in_the_room()
    # The app has no way to edit; a program that uses the SDK does.
    await writer.page.goto(f"{server.url}/sdk/")
    await writer.page.evaluate(JOIN, [links.guest, JANE.name])
    await host.press(f"Admit {JANE.name}")
    await writer.page.wait_for_function("() => window.meeting.state.get() === 'live'")

    async def ask(method: str, **parameters: str) -> dict:
        return await writer.page.evaluate(ASK, [method, parameters])

    first = (await ask("chat.send", body="Helo"))["message"]["id"]
    second = (await ask("chat.send", body="My card is 4242"))["message"]["id"]
    await host.press("Chat, 2 unread")
    lines = host.page.get_by_role("log", name="Messages").get_by_role("listitem")
    await expect(lines).to_have_count(2)
    await ask("chat.edit", id=first, body="Hello")
    await ask("chat.delete", id=second)
    late = await Person.arrive(browser, KIM)
    await late.join(links.guest)
    await host.press(f"Admit {KIM.name}")
    await shows(late, "live")
    await late.press("Chat, 0 unread")
    for person in (host, late):
        lines = person.page.get_by_role("log", name="Messages").get_by_role("listitem")
        await expect(lines.nth(0)).to_contain_text("Hello (edited)")
        await expect(lines.nth(1)).to_contain_text("Message deleted")
        await expect(person.page.get_by_text("4242")).to_have_count(0)
    await axe(host.page, "changed messages")
    no_complaints(host, writer, late)
    for person in (host, writer, late):
        await person.close()
