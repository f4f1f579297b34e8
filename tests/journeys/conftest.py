"""The whole server as a child process, on either database."""

import pathlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.support.chromium import chromium
from tests.support.databases import (  # noqa: F401 fixtures
    app_url,
    database_url,
    owner_url,
    postgres_database,
    postgres_template,
    sqlite_template,
    sqlite_url,
)
from tests.support.server import Server, running
from tests.support.zygote import Zygote


@pytest.fixture
def make_server(tmp_path: pathlib.Path, database_url: str, nest: Zygote):
    """Builds servers on the test's database and data folder; the caller starts and stops them."""
    made: list[Server] = []
    yield _maker(tmp_path, database_url, made, nest)
    for server in made:
        print(server.log[-6000:])  # shown when the test failed


def _maker(tmp_path, database_url, made, nest):
    def make(**environment: str) -> Server:
        settings = {
            "SUNUP_DATABASE_URL": database_url,
            "SUNUP_ANNOUNCED_ADDRESSES": "127.0.0.1",
            **environment,
        }
        made.append(Server(tmp_path / "data", settings, spawn=nest.spawn))
        return made[-1]

    return make


@pytest_asyncio.fixture
async def server(make_server) -> AsyncIterator[Server]:
    """A started server, stopped in good order at the end."""
    async with running(make_server()) as made:
        yield made


@pytest_asyncio.fixture
async def sqlite_server(
    tmp_path: pathlib.Path,
    sqlite_url: str,
    nest: Zygote,
) -> AsyncIterator[Server]:
    """A started server on SQLite, for what does not depend on the database."""
    environment = {"SUNUP_DATABASE_URL": sqlite_url, "SUNUP_ANNOUNCED_ADDRESSES": "127.0.0.1"}
    async with running(Server(tmp_path / "data", environment, spawn=nest.spawn)) as made:
        yield made


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[Browser]:
    """The Chromium that people use; it ends with the test."""
    async with chromium(windows=True) as instance:
        yield instance
