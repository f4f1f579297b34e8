"""One product and one browser for all tests of a file."""

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser

from tests.support.chromium import chromium
from tests.support.meetings import built
from tests.support.server import Server, running
from tests.support.zygote import Zygote


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory, nest: Zygote) -> AsyncIterator[Server]:
    """The whole product on SQLite, with the built pages; no page may make it fail."""
    built()
    data = tmp_path_factory.mktemp("product") / "data"
    async with running(Server(data, spawn=nest.spawn)) as product:
        yield product


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """A headless Chromium."""
    async with chromium() as instance:
        yield instance


@pytest_asyncio.fixture(loop_scope="module")
async def emptied(browser: Browser) -> AsyncIterator[Browser]:
    """The file's browser, whose pages of this test are closed at its end."""
    yield browser
    for context in browser.contexts:
        await context.close()
