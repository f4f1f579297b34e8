"""Tenants and their API keys."""

import secrets
from datetime import timedelta

import pytest
import sqlalchemy as sa

from crm_core.appointments.models import Appointment
from crm_core.appointments.service import fresh_links
from crm_core.demo import create_demo
from crm_core.errors import LinkRefused
from crm_core.leads.models import PipelineStage
from crm_core.meetings.service import MeetingService
from crm_core.tenants.models import ApiKey, Role, StaffRole, Tenant
from crm_core.tenants.service import Unauthorized, authenticate, create_api_key
from storage.database import Database
from tests.crm_core.meetings.support import book_meeting
from tests.support.databases import LINKS


async def test_a_new_tenant_can_work_at_once(database, tenant):
    """It has its owner with a role, default pipelines, and a key that acts for the owner."""
    grant = await authenticate(database, tenant.api_key_secret)
    assert (grant.tenant_id, grant.staff_id) == (tenant.tenant.id, tenant.staff.id)
    async with database.unit_of_work(tenant.tenant.id, read_only=True) as unit:
        assert (
            await unit.session.scalar(
                sa.select(Role.name).join(StaffRole, Role.id == StaffRole.role_id)
            )
            == "Owner"
        )
        stages = set(await unit.session.scalars(sa.select(PipelineStage.name)))
    assert {"New", "Design", "Permitting"} <= stages


async def test_keys_that_open_nothing_are_all_the_same(database, tenant):
    """Unknown, revoked and expired keys, and keys of an inactive tenant, answer alike."""
    later = Database(
        database.readers.url.render_as_string(hide_password=False),
        clock=lambda: database.clock() + timedelta(days=2),
    )
    async with database.unit_of_work(tenant.tenant.id) as unit:
        made = [
            await create_api_key(unit, name=name, staff_id=None, random_bytes=secrets.token_bytes)
            for name in ("revoked", "expires")
        ]
        for key in await unit.session.scalars(sa.select(ApiKey)):
            if key.name == "revoked":
                key.revoked_at = unit.now
            if key.name == "expires":
                key.expires_at = unit.now + timedelta(days=1)
    assert await authenticate(database, made[1])
    for pool, secret in ((database, "sk_unknown"), (database, made[0]), (later, made[1])):
        with pytest.raises(Unauthorized) as refused:
            await authenticate(pool, secret)
        assert str(refused.value) == str(Unauthorized())
    await later.close()


async def test_an_inactive_tenants_keys_and_links_are_dead(database, tenant):
    """Switching a tenant off closes the API for it, and its links open no room."""
    meeting = await book_meeting(database, tenant)
    async with database.unit_of_work(tenant.tenant.id) as unit:
        appointment = await unit.session.scalar(sa.select(Appointment))
        links = await fresh_links(unit, appointment, LINKS)
    doors = [url.partition("/m/")[2].split("#k=") for url in (links.host_url, links.guest_url)]
    for code, secret in doors:
        assert (await meeting.service.resolve_link(code, secret)).room_id == meeting.room_id
    async with database.unit_of_work(tenant.tenant.id) as unit:
        row = await unit.session.scalar(sa.select(Tenant))
        row.is_active = False
    with pytest.raises(Unauthorized):
        await authenticate(database, tenant.api_key_secret)
    for code, secret in doors:
        assert await meeting.service.find_room(code) is None
        with pytest.raises(LinkRefused):
            await meeting.service.resolve_link(code, secret)


async def test_the_demo_is_ready_to_meet(database):
    """Its links open the room as Ana Diaz and as Jane Doe, its key opens the API."""
    demo = await create_demo(database, LINKS)
    meetings = MeetingService(database)
    grants = [
        await meetings.resolve_link(*url.partition("/m/")[2].split("#k="))
        for url in (demo.host_url, demo.guest_url)
    ]
    assert [grant.display_name for grant in grants] == ["Ana Diaz", "Jane Doe"]
    assert {grant.room_id for grant in grants} == {demo.video_room_id}
    assert (await authenticate(database, demo.api_key)).tenant_id == demo.tenant_id
    room = await meetings.load_room(demo.tenant_id, demo.video_room_id)
    assert (room.host_name, room.person_name, room.appointment_id) == (
        "Ana Diaz",
        "Jane Doe",
        demo.appointment_id,
    )
