"""A whole server on SQLite for each storm."""

import pathlib
from collections.abc import AsyncIterator

import pytest_asyncio

from tests.support.server import Server, running
from tests.support.zygote import Zygote


@pytest_asyncio.fixture
async def server(tmp_path: pathlib.Path, nest: Zygote) -> AsyncIterator[Server]:
    """Started as `make run` starts it."""
    environment = {"SUNUP_ANNOUNCED_ADDRESSES": "127.0.0.1"}
    async with running(Server(tmp_path / "data", environment, spawn=nest.spawn)) as made:
        yield made
