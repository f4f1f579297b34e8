"""Fresh databases of both kinds for the tests that store something, and a room that is open."""

import pytest_asyncio

import crm_core.metadata  # noqa: F401  # every table must be known before the first query
from tests.signaling.fakes import Stage
from tests.support.databases import (  # noqa: F401  # fixtures work by being imported
    app_url,
    database,
    database_url,
    other_tenant,
    owner_url,
    postgres_database,
    postgres_template,
    sqlite_template,
    sqlite_url,
    tenant,
)


@pytest_asyncio.fixture
async def stage():
    """One open room over fakes."""
    made = Stage()
    await made.actor.open()
    yield made
    await made.actor.close()
