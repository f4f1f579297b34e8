"""A database that nobody shares, and an appointment in it that begins now."""

import time
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from crm_core.appointments.service import book
from crm_core.people.models import Person
from storage.ids import MonotonicIds
from tests.signaling.fakes import ManualClock
from tests.support.databases import LINKS


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """Askers wait for a slow disk: these tests are about books, not about who is told in time."""
    monkeypatch.setattr("signaling.committer.ANSWER_WITHIN", 60.0)


@pytest.fixture
def clock():
    """Starts now, as PostgreSQL's leases run by its own clock."""
    return ManualClock(float(int(time.time())))


@pytest.fixture(params=["placed_sqlite_url", "placed_app_url"])
def database_url(request):
    """A database of either kind that nobody shares: the look for overdue rooms crosses tenants."""
    return request.getfixturevalue(request.param)


@pytest_asyncio.fixture
async def database(database, clock):
    """A pool by the test's clock."""
    database.clock = lambda: datetime.fromtimestamp(clock.time, UTC)
    database.ids = MonotonicIds(database.clock)
    return database


@pytest_asyncio.fixture
async def booked(database, tenant, clock):
    """An appointment of an hour that begins now, with Ana Diaz and Jane Doe."""
    starts_at = datetime.fromtimestamp(clock.time, UTC)
    async with database.unit_of_work(tenant.tenant.id) as unit:
        person = Person(id=unit.ids(), first_name="Jane", last_name="Doe")
        await unit.add(person)
        values = {
            "title": "Roof review", "staff_id": tenant.staff.id, "person_id": person.id,
            "starts_at": starts_at, "ends_at": starts_at + timedelta(hours=1),
            "location_kind": "video",
        }  # fmt: skip
        made = await book(unit, values, LINKS)
    return made.appointment
