"""The REST API as a CRM backend uses it, for tests that begin with a booking."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp


class Api:
    """One caller with an API key."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self._headers = {"Authorization": f"Bearer {key}"}

    async def call(
        self, method: str, path: str, body: dict[str, Any] | None = None, **headers: str
    ) -> tuple[int, Any]:
        """The status and the parsed body."""
        async with (
            aiohttp.ClientSession(headers={**self._headers, **headers}) as session,
            session.request(method, f"{self.url}{path}", json=body) as answer,
        ):
            return answer.status, await answer.json(content_type=None)

    async def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST that must succeed; the new record."""
        key = {"Idempotency-Key": str(uuid.uuid4())}
        status, record = await self.call("POST", path, body, **key)
        assert status in {200, 201}, (status, record)
        return record

    async def get(self, path: str) -> Any:
        """GET that must succeed."""
        status, record = await self.call("GET", path)
        assert status == 200, (status, record)
        return record

    async def book(self, *, kind: str = "consultation", **more: Any) -> dict[str, Any]:
        """A person, a lead and a video appointment that begins now.

        The answer is the appointment's, with ``host_url`` and ``guest_url``; ``person`` and
        ``lead`` hold the other two records.
        """
        person = await self.create(
            "/v1/people",
            {"first_name": "Jane", "last_name": "Doe", "email": f"{uuid.uuid4()}@x.example"},
        )
        lead = await self.create("/v1/leads", {"person_id": person["id"]})
        # Another consultant for each booking, as all of them are for now.
        staff = await self.create("/v1/staff", {"name": "Ana Diaz"})
        starts_at = datetime.now(UTC) - timedelta(minutes=5)
        appointment = await self.create(
            "/v1/appointments",
            {
                "title": "Meeting",
                "staff_id": staff["id"],
                "person_id": person["id"],
                "lead_id": lead["id"],
                "location_kind": "video",
                "starts_at": starts_at.isoformat(),
                "ends_at": (starts_at + timedelta(hours=1)).isoformat(),
                **({} if kind == "consultation" else {"kind": kind}),
                **more,
            },
        )
        return {**appointment, "person": person, "lead": lead}
