"""The timeline: everything that is about somebody, once, newest first, without reading the rest."""

import json
import secrets
from datetime import UTC, datetime, timedelta

import psycopg
import sqlalchemy as sa

from crm_core.appointments.models import Appointment
from crm_core.communications.models import Communication, CommunicationParticipant
from crm_core.communications.service import timeline
from crm_core.people.models import Person
from crm_core.tenants.service import create_tenant
from storage.database import Database

START = datetime(2026, 12, 1, 9, tzinfo=UTC)


def _communication(unit, minute, **fields):
    return Communication(
        id=unit.ids(), channel="meeting", occurred_at=START + timedelta(minutes=minute), **fields
    )


async def _jane(unit):
    """A person whom four meetings concern: named, taken part in, settled by, and all of these."""
    jane = Person(id=unit.ids(), first_name="Jane")
    named = _communication(unit, 1, person_id=jane.id)
    joined = _communication(unit, 2)
    settled = _communication(unit, 3, message_id="room:x:1")
    all_of_it = _communication(unit, 3, message_id="room:y:1", person_id=jane.id)
    missed = _communication(unit, 4, message_id="room:z:1")
    await unit.add(jane, named, joined, settled, all_of_it, missed)
    for each, outcome in ((settled, "held"), (all_of_it, "held"), (missed, "no_show")):
        await unit.add(
            Appointment(
                id=unit.ids(),
                person_id=jane.id,
                starts_at=START - timedelta(days=1),
                ends_at=START,
                outcome=outcome,
                outcome_evidence=each.message_id,
            )
        )
    for each in (joined, all_of_it):
        await unit.add(
            CommunicationParticipant(
                id=unit.ids(), communication_id=each.id, role="attendee", person_id=jane.id
            )
        )
    last, second = sorted((settled.id, all_of_it.id), reverse=True)
    return jane.id, [last, second, joined.id, named.id]


async def test_each_meeting_is_told_once_page_by_page(database, tenant):
    """Whatever makes it theirs; not the one that they missed."""
    async with database.unit_of_work(tenant.tenant.id) as unit:
        jane, expected = await _jane(unit)
    async with database.unit_of_work(tenant.tenant.id, read_only=True) as unit:
        for size in (1, 2, 3, 50):
            told, before = [], None
            more = True
            while more:
                page, more = await timeline(unit, "person", jane, limit=size, before=before)
                told += [each.row.id for each in page if each.kind == "communication"]
                before = (page[-1].at, page[-1].row.id)
            assert told == expected, size


async def test_nobody_elses_communications_are_read(app_url, owner_url):
    """However many a tenant has: each way of being about somebody is answered from an index."""
    database = Database(app_url)
    tenant = await create_tenant(
        database, "Sun Works", staff_name="Ana Diaz", random_bytes=secrets.token_bytes
    )
    async with database.unit_of_work(tenant.tenant.id) as unit:
        jane, _ = await _jane(unit)
        others = [Person(id=unit.ids(), first_name="Kim") for _ in range(500)]
        await unit.add(*others)
        rows = [
            _communication(unit, 10 + number, person_id=others[number % 500].id)
            for number in range(3_000)
        ]
        unit.session.add_all(rows)
        await unit.session.flush()
        unit.session.add_all(
            CommunicationParticipant(
                id=unit.ids(), communication_id=row.id, role="attendee", person_id=row.person_id
            )
            for row in rows
        )
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute("ANALYZE")
    statements = []
    async with database.unit_of_work(tenant.tenant.id, read_only=True) as unit:
        connection = await unit.session.connection()

        def note(_connection, _cursor, statement, parameters, *_):
            statements.append((statement, parameters))

        sa.event.listen(connection.sync_connection, "before_cursor_execute", note)
        await timeline(unit, "person", jane, limit=50)
        sa.event.remove(connection.sync_connection, "before_cursor_execute", note)
        for statement, parameters in statements:
            found = await connection.exec_driver_sql(
                f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters
            )
            plan = found.scalar()
            assert _read(plan if isinstance(plan, list) else json.loads(plan)) < 50, plan
    assert len(statements) == 3
    await database.close()


def _read(plan):
    """How many rows the node of the plan that touched most has read."""
    if isinstance(plan, list):
        return max((_read(each) for each in plan), default=0)
    if not isinstance(plan, dict):
        return 0
    here = 0
    if "Scan" in plan.get("Node Type", ""):
        here = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
    return max([here, *(_read(each) for each in plan.values())])
