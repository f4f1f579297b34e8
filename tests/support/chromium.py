"""A headless Chromium with fake devices, for tests that need a real browser.

The browser comes from the distribution; Playwright drives it. Pages are served by Playwright's
own routing, so no test needs an HTTP server.
"""

import contextlib
import pathlib
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


def chromium_path() -> str:
    """Return the distribution's Chromium.

    Raises:
        MissingBrowser: When there is none.
    """
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None or not pathlib.Path(path).exists():
        raise MissingBrowser("Chromium is missing: install the package 'chromium'")
    return path


@contextlib.asynccontextmanager
async def chromium(*extra: str) -> AsyncIterator[Browser]:
    """Run one browser; `extra` are further command-line switches."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium_path(), args=[*_ARGUMENTS, *extra]
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
