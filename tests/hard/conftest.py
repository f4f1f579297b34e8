"""A whole server on SQLite for each storm."""

import pathlib
from collections.abc import AsyncIterator

import pytest_asyncio

from tests.support.server import Server
from tests.support.zygote import Zygote


@pytest_asyncio.fixture
async def server(tmp_path: pathlib.Path, nest: Zygote) -> AsyncIterator[Server]:
    """Started as `make run` starts it; must end in good order and without a traceback."""
    environment = {"SUNUP_ANNOUNCED_ADDRESSES": "127.0.0.1"}
    made = Server(tmp_path / "data", environment, spawn=nest.spawn)
    await made.start()
    try:
        yield made
    finally:
        code = await made.stop()
    assert code == 0, made.log[-4000:]
    assert not made.traceback, made.traceback
