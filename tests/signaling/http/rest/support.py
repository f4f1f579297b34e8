"""A client of the REST API that knows its manners: keys, ETags, cursors."""

from dataclasses import dataclass
from typing import Any

import aiohttp.web
from aiohttp.test_utils import TestClient, TestServer

from crm_core.resources.fields import LONG_TEXT
from signaling.http.rest import RestTurns, add_routes
from storage.database import Database
from tests.support.databases import BASE_URL

ADDRESS = "192.0.2.1"
"""Every visitor's."""
LONG_PERSON = dict.fromkeys(("notes", "goals", "special_requirements"), "x" * LONG_TEXT)
"""A person's texts that make any answer with them a large one."""


@dataclass
class Answer:
    """A response, read."""

    status: int
    json: Any
    headers: Any

    @property
    def id(self) -> str:
        """The record's id."""
        return str(self.json["id"])

    @property
    def etag(self) -> str:
        """The record's version, for If-Match."""
        return str(self.headers["ETag"])


@dataclass
class Rest:
    """One API key's view of the API."""

    http: TestClient[Any, Any]
    key: str

    async def call(self, method: str, path: str, *, body: Any = None, **headers: str) -> Answer:
        """Any request; header names are written with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            named.setdefault("Content-Type", "application/json")
        kwargs = {"json": body} if not isinstance(body, bytes) else {"data": body}
        async with self.http.request(
            method,
            path,
            headers={"Authorization": f"Bearer {self.key}", **named},
            **(kwargs if body is not None else {}),
        ) as response:
            text = await response.read()
            is_json = "json" in response.headers.get("Content-Type", "")
            return Answer(
                response.status,
                await response.json(content_type=None) if text and is_json else None,
                response.headers,
            )

    async def get(self, path: str, **headers: str) -> Answer:
        """Read."""
        return await self.call("GET", path, **headers)

    async def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        """Create or run a verb."""
        return await self.call("POST", path, body={} if body is None else body, **headers)

    async def patch(self, path: str, body: Any, etag: str) -> Answer:
        """Change the version `etag`."""
        return await self.call("PATCH", path, body=body, If_Match=etag)

    async def make(self, resource: str, **body: Any) -> Answer:
        """Create, and insist that it worked."""
        answer = await self.post(f"/v1/{resource}", body)
        assert answer.status == 201, answer
        return answer


def application(turns: RestTurns) -> aiohttp.web.Application:
    """An aiohttp application that has the API and nothing else."""
    app = aiohttp.web.Application()
    add_routes(app, turns=turns, address_of=lambda _request: ADDRESS, base_url=BASE_URL)
    return app


class Server(TestServer):
    """One that cancels no handler when its client hangs up, as the product's does not."""

    __test__ = False

    async def _make_runner(self, **settings: Any) -> aiohttp.web.AppRunner:
        return aiohttp.web.AppRunner(self.app, **{**settings, "handler_cancellation": False})


def client_of(database: Database, turns: RestTurns | None = None) -> TestClient[Any, Any]:
    """A client with a server of its own on a free port."""
    return TestClient(Server(application(turns or RestTurns(database))))
