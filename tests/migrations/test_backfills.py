"""Migrations that fill columns, taken back and run again over rows that were there before."""

import secrets

import alembic.command
import pytest
import sqlalchemy as sa

from crm_core.appointments.service import book
from crm_core.meetings.models import RoomLink, VideoRoomParticipant
from crm_core.tenants.models import Staff
from crm_core.tenants.service import create_tenant
from storage import schema
from storage.database import Database
from storage.engines import open_engine
from tests.crm_core.meetings.support import START
from tests.support.databases import LINKS


@pytest.fixture(params=["sqlite", "postgresql"])
def url_of_owner(request, tmp_path):
    """An empty database, on PostgreSQL of an owner who is subject to row-level security."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/empty.db"
    return request.getfixturevalue("plain_owner")


async def test_links_learn_whose_they_are(url_of_owner):
    """Links from before 0011 belong to the appointment that opened their room, in every tenant."""
    database = Database(await schema.prepare(url_of_owner, app_password="unused"))
    expected = {}
    for name in ("Sun Works", "Roof Right"):
        tenant = await create_tenant(
            database, name, staff_name="Ana Diaz", random_bytes=secrets.token_bytes
        )
        async with database.unit_of_work(tenant.tenant.id) as unit:
            values = {"staff_id": tenant.staff.id, "starts_at": START}
            made = await book(unit, values, LINKS)
            room_id = made.appointment.video_room_id
            other = Staff(id=unit.ids(), name="Kim Park")
            await unit.add(other)
            # Shared later on, so that one room has appointments to choose from.
            await book(unit, {**values, "staff_id": other.id, "video_room_id": room_id}, LINKS)
            # Somebody came by a link: what points at links must not be in the way.
            link = await unit.session.scalar(
                sa.select(RoomLink.id).where(RoomLink.appointment_id == made.appointment.id)
            )
            await unit.add(
                VideoRoomParticipant(
                    id=unit.ids(), room_id=room_id, session_no=1, identity="guest:1",
                    display_name="Jane", link_id=link,
                )
            )  # fmt: skip
        expected[tenant.tenant.id] = {made.appointment.id}
    await database.close()

    def again(connection):
        config = schema.alembic_config(connection)
        alembic.command.downgrade(config, "0010")
        alembic.command.upgrade(config, "head")

    engine = open_engine(url_of_owner)
    async with engine.begin() as connection:
        await connection.run_sync(again)
    await engine.dispose()
    database = Database(await schema.prepare(url_of_owner, app_password="unused"))
    for tenant_id, appointments in expected.items():
        async with database.unit_of_work(tenant_id, read_only=True) as unit:
            found = (await unit.session.scalars(sa.select(RoomLink.appointment_id))).all()
        assert len(found) == 4
        assert set(found) == appointments
    await database.close()
