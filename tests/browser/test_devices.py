"""Cameras that come, go and refuse in the middle of a meeting: what their owner reads, and others see."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.support import person
from tests.support.meetings import book, covered, meet, no_complaints
from tests.support.person import ANA, JANE, Person

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEVICES = (Path(person.__file__).parent / "plugged_devices.js").read_text()
OTHER = replace(JANE, camera="#c0a020")
"""Jane as her other camera shows her."""


async def test_a_camera_that_comes_goes_or_refuses_is_said_and_seen(server, emptied):
    """The chosen one stays the wish, what works stays on, and the menu shows what others see."""
    links = await book(server)
    (host,) = await meet(emptied, links, ANA)
    guest = await Person.arrive(emptied, JANE)
    cameras = {"Cam A": JANE.camera, "Cam B": OTHER.camera}
    await guest.context.add_init_script(f"const PLUGGED = {json.dumps(cameras)};\n{DEVICES}")
    page = guest.page
    notes = page.get_by_role("region", name="Notes")
    menu = page.get_by_role("combobox", name="Camera")

    await guest.open(links.guest)
    await guest.devices_on()
    await menu.select_option(label="Cam B")
    await page.evaluate("__plugged.unplug('Cam B')")
    await expect(notes).to_contain_text("Cam B isn't plugged in. Cam A is used now.")
    await expect(menu).to_have_value("Cam A")
    for width, height in ((360, 640), (1280, 720)):
        await page.set_viewport_size({"width": width, "height": height})
        assert await covered(guest) == [], width
    await page.evaluate("__plugged.plug('Cam B')")
    await expect(menu).to_have_value("Cam B")

    await guest.enter()
    await host.press(f"Admit {JANE.name}")
    await guest.in_the_room()
    await host.sees(OTHER)
    await guest.press("Picture devices")

    await page.evaluate("__plugged.unplug('Cam B')")
    await expect(notes).to_contain_text("Cam B isn't plugged in. Cam A is used now.")
    await expect(menu).to_have_value("Cam A")
    await host.sees(JANE)

    await page.evaluate("__plugged.plug('Cam B')")
    await expect(notes).to_contain_text("Cam B is back and used again.")
    await expect(menu).to_have_value("Cam B")
    await host.sees(OTHER)

    await page.evaluate("__plugged.busy = 'Cam A'")
    await menu.select_option(label="Cam A")
    await expect(menu).to_have_accessible_description(
        "Another program is using Cam A. Cam B stays in use."
    )
    await expect(menu).to_have_value("Cam B")
    await host.sees(OTHER)

    await page.evaluate("__plugged.busy = null; __plugged.unplug('Cam A', 'Cam B')")
    await expect(page.get_by_text("No camera found.")).to_be_visible()
    await expect(guest.button("Turn camera on")).to_be_attached()
    await page.evaluate("__plugged.plug('Cam A')")
    await expect(page.get_by_text("No camera found.")).to_have_count(0)
    await host.sees(JANE)
    no_complaints(host, guest)
