"""The API on a free port, as the backends of two tenants see it."""

from collections.abc import AsyncIterator

import pytest_asyncio

from crm_core.tenants.service import NewTenant
from storage.database import Database
from tests.signaling.http.rest.support import Rest, client_of


@pytest_asyncio.fixture
async def http(database: Database) -> AsyncIterator:
    """The API on a free port."""
    async with client_of(database) as client:
        yield client


@pytest_asyncio.fixture
async def rest(http, tenant: NewTenant) -> Rest:
    """The API as the first tenant's backend."""
    return Rest(http, tenant.api_key_secret)


@pytest_asyncio.fixture
async def rival(http, other_tenant: NewTenant) -> Rest:
    """The API as another tenant's backend."""
    return Rest(http, other_tenant.api_key_secret)
