"""Fresh databases of both kinds for every test of this folder."""

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
