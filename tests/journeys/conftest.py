"""One product per database and one browser for the journeys."""

import uuid

import psycopg
import pytest
from tests.support.chromium import chromium

from tests.support.server import running


@pytest.fixture(params=["sqlite", "postgresql"])
async def server(request, tmp_path):
    """The whole product on each database; on PostgreSQL in a database of its own."""
    environment = {}
    if request.param == "postgresql":
        owner_url = request.getfixturevalue("postgres_url")
        name = f"journey_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(owner_url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        environment["SUNUP_DATABASE_URL"] = owner_url.rsplit("/", 1)[0] + f"/{name}"
    async with running(tmp_path / "data", **environment) as product:
        yield product


@pytest.fixture
async def browser():
    """A headless Chromium that ends with the test."""
    async with chromium() as instance:
        yield instance
