"""A room that is open."""

import pytest_asyncio

import crm_core.metadata  # noqa: F401  # every table must be known before the first query
from tests.signaling.fakes import Stage


@pytest_asyncio.fixture
async def stage():
    """One open room over fakes."""
    made = Stage()
    await made.actor.open()
    yield made
    await made.actor.close()
