"""The OpenAPI document says what the server does: schemathesis compares the two."""

import asyncio
import secrets
import threading
from typing import Self

import aiohttp.web
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import positive_data_acceptance

from crm_core.meetings.rooms import SEATS
from crm_core.resources.registry import RESOURCES
from crm_core.tenants.service import create_tenant
from signaling.http.rest import RestTurns
from storage.database import Database
from tests.signaling.http.rest.support import application

EXAMPLES = 3


async def test_the_document_says_what_the_names_do_not(rest):
    """How many seats a kind has, as rooms are made, and whose calendar is meant."""
    document = (await rest.get("/openapi.json")).json
    fields = document["components"]["schemas"]["appointment"]["properties"]
    for kind in ("training", "consultation"):
        seats, kept = SEATS[kind]
        assert f"{seats}" in fields["kind"]["description"], kind
        assert f"{kept} of them kept" in fields["kind"]["description"], kind
    assert "key belongs to" in fields["staff_id"]["description"]


class _Live:
    """The API in a thread of its own, since schemathesis' client blocks."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)
        self.errors: list[BaseException] = []

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(30)
        assert not self.errors, self.errors
        return self

    def __exit__(self, *_exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        try:
            pool = Database(self._url)
            made = await create_tenant(
                pool, "Sun Works", staff_name="Ana Diaz", random_bytes=secrets.token_bytes
            )
            self.key = made.api_key_secret
            runner = aiohttp.web.AppRunner(application(RestTurns(pool)))
            await runner.setup()
            site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.port = runner.addresses[0][1]
        except BaseException as error:
            self.errors.append(error)
            raise
        finally:
            self._ready.set()
        await self._stop.wait()
        await runner.cleanup()
        await pool.close()


@pytest.fixture
def servers(sqlite_url, shared_app_url):
    """The API on both databases: what is generated for one is sent to the other as well."""
    with _Live(sqlite_url) as on_sqlite, _Live(shared_app_url) as on_postgresql:
        yield (on_sqlite, on_postgresql)


@pytest.mark.timeout(900)  # generation is CPU work; a busy machine stretches it
def test_the_server_keeps_what_the_document_says(servers):
    """Generated requests, good and bad, on every operation: statuses, schemas, headers as written."""
    print("seed: hypothesis derandomized")
    served = schemathesis.openapi.from_url(f"http://127.0.0.1:{servers[0].port}/openapi.json")
    schema = schemathesis.openapi.from_dict(_apart(served.raw_schema))
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) == _operations()
    for operation in operations:
        _exercise(operation, servers)


def _exercise(operation, servers):
    strategy = st.one_of(
        operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE),
        operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE),
    )

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def run(case):
        # A body may fit its schema and still not the data: an unknown version (412), a time that is
        # taken (409). The other checks judge those answers, this one calls them wrong.
        for server in servers:
            case.call_and_validate(
                base_url=f"http://127.0.0.1:{server.port}",
                headers={"Authorization": f"Bearer {server.key}"},
                excluded_checks=[positive_data_acceptance],
            )

    run()


def _apart(document):
    """The same document with each pattern in a schema beside that of its string's length.

    The tool makes one expression of two that stand together, and compiles it anew for each body:
    with a hundred thousand repetitions that is most of the time.
    """
    if isinstance(document, list):
        return [_apart(item) for item in document]
    if not isinstance(document, dict):
        return document
    schema = {key: _apart(value) for key, value in document.items()}
    if isinstance(schema.get("pattern"), str) and "maxLength" in schema:
        assert "allOf" not in schema
        schema["allOf"] = [{"pattern": schema.pop("pattern")}]
    return schema


def _operations() -> int:
    """How many operations the registry declares."""
    return sum(
        len(resource.operations) + len(resource.verbs) + resource.has_timeline
        for resource in RESOURCES
    )
