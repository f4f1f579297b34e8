"""Session-wide services, and how generated tests choose: the same cases in every ``make test``.

``make soak`` searches further, with a seed of its own: ``--hypothesis-profile=search``.
"""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.support import services
from tests.support.zygote import Zygote, zygote

settings.register_profile("repeatable", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("search", database=None, deadline=None, print_blob=True)
settings.load_profile("repeatable")

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


@pytest.fixture(scope="session")
def nest() -> Iterator[Zygote]:
    """What servers are forked from, in tests that start many."""
    with zygote() as made:
        yield made
