"""The demo over days: links that work, and nobody twice."""

from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
import sqlalchemy as sa

from crm_core.appointments.models import Appointment
from crm_core.appointments.service import book, cancel
from crm_core.demo import CONSULTANT_EMAIL, LENGTH, create_demo, meet_again
from crm_core.meetings.service import MeetingService
from crm_core.tenants.models import Staff
from storage.database import Database
from tests.support.databases import LINKS


class Days:
    """A clock that a test moves on."""

    now = datetime(2026, 12, 1, 9, tzinfo=UTC)


@pytest.fixture
def days():
    return Days()


@pytest_asyncio.fixture
async def database(database_url, days):
    """A pool by the test's clock."""
    pool = Database(database_url, clock=lambda: days.now)
    yield pool
    await pool.close()


async def _consultants(database, tenant_id):
    async with database.unit_of_work(tenant_id, read_only=True) as unit:
        found = await unit.session.scalars(
            sa.select(Staff).where(Staff.email == CONSULTANT_EMAIL).order_by(Staff.id)
        )
        return list(found)


async def _opens(database, urls):
    code, _, secret = urls.guest_url.partition("/m/")[2].partition("#k=")
    return await MeetingService(database).resolve_link(code, secret)


async def test_the_same_consultant_meets_again(database, days):
    """After the appointment passed and after it was cancelled: the links work, staff stay two."""
    demo = await create_demo(database, LINKS)
    days.now += LENGTH + timedelta(hours=1)
    await meet_again(database, LINKS, demo.api_key)
    async with database.unit_of_work(demo.tenant_id) as unit:
        row = await unit.session.scalar(
            sa.select(Appointment).order_by(Appointment.starts_at.desc()).limit(1)
        )
        await cancel(unit, row)
    urls = await meet_again(database, LINKS, demo.api_key)
    assert (await _opens(database, urls)).tenant_id == demo.tenant_id
    assert len(await _consultants(database, demo.tenant_id)) == 1


@pytest.mark.parametrize("why", ["busy", "inactive", "deleted"])
async def test_a_consultant_who_cannot_is_stood_in_for(database, days, why):
    """Once: whoever stood in is who meets again the next time."""
    demo = await create_demo(database, LINKS)
    days.now += LENGTH + timedelta(hours=1)
    (ana,) = await _consultants(database, demo.tenant_id)
    async with database.unit_of_work(demo.tenant_id) as unit:
        if why == "busy":
            at = days.now + timedelta(hours=5)
            await book(unit, {"staff_id": ana.id, "starts_at": at, "location_kind": "phone"}, LINKS)
        else:
            row = await unit.session.get(Staff, (demo.tenant_id, ana.id))
            row.is_active = why != "inactive"
            row.deleted_at = unit.now if why == "deleted" else None
    for _ in range(2):
        urls = await meet_again(database, LINKS, demo.api_key)
        assert (await _opens(database, urls)).tenant_id == demo.tenant_id
        days.now += LENGTH
    assert len(await _consultants(database, demo.tenant_id)) == 2
