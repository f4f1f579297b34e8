"""The bench of one test."""

import pytest_asyncio

from tests.signaling.media.bench import Bench


@pytest_asyncio.fixture
async def bench():
    made = Bench()
    yield made
    await made.media.close()
    await made.hub.close()
