"""Session-wide services; each package's conftest builds on them."""

import os
from collections.abc import Iterator

import pytest

from tests.support import services

pytest_plugins = ["tests.support.databases"]


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The superuser URL of a real PostgreSQL that this run owns."""
    given = os.environ.get("SUNUP_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    with services.postgres() as url:
        yield url


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The URL of a real Redis that this run owns."""
    given = os.environ.get("SUNUP_TEST_REDIS_URL")
    if given:
        yield given
        return
    with services.redis() as url:
        yield url
