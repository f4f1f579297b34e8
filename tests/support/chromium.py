"""A headless Chromium with fake devices, for tests that need a real browser.

The browser comes from the distribution; Playwright drives it. Pages are served by Playwright's
own routing, so no test needs an HTTP server.
"""

import contextlib
import shutil
from collections.abc import AsyncIterator

from playwright.async_api import Browser, Page, async_playwright, expect

_ARGUMENTS = (
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--disable-background-networking",
    "--disable-gpu",
    "--disable-software-rasterizer",
    "--autoplay-policy=no-user-gesture-required",
    # Background tabs would slow their timers and paint nothing; tests watch several at a time.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    # Real host candidates instead of mDNS names, which nobody answers for in a test.
    "--disable-features=WebRtcHideLocalIpsWithMdns",
)
_ORIGIN = "https://meet.test"
# As long as Playwright waits for what it clicks: five seconds can be too short on a busy machine.
expect.set_options(timeout=30_000)


class MissingBrowser(RuntimeError):
    """Chromium is not installed; the message names the package."""


def chromium_path(*, windows: bool) -> str:
    """Return the distribution's Chromium; the one without windows, where it has one and may be.

    Raises:
        MissingBrowser: When there is none.
    """
    programs = ["chromium", "chromium-browser"]
    if not windows:
        programs.insert(0, "chromium-headless-shell")
    for path in filter(None, map(shutil.which, programs)):
        return path
    raise MissingBrowser("Chromium is missing: install the package 'chromium'")


@contextlib.asynccontextmanager
async def chromium(*extra: str, windows: bool = False) -> AsyncIterator[Browser]:
    """Run one browser; `extra` are further command-line switches.

    With `windows` it is the very program that people use, though nobody sees its windows;
    otherwise the same engine without them, which leaves more of the machine to the tests.
    """
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium_path(windows=windows), args=[*_ARGUMENTS, *extra]
        )
        try:
            yield browser
        finally:
            await browser.close()


async def open_page(browser: Browser, script: str = "") -> Page:
    """Open an empty page of a secure origin in a context of its own, with `script` loaded."""
    context = await browser.new_context(permissions=["camera", "microphone"])
    page = await context.new_page()
    await page.route(
        "**/*",
        lambda route: route.fulfill(
            content_type="text/html", body="<!doctype html><title>peer</title><body></body>"
        ),
    )
    await page.goto(_ORIGIN)
    if script:
        await page.add_script_tag(content=script)
    return page
