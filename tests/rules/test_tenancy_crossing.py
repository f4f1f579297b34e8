"""Nobody crosses from one tenant into another, by any route that the running router has."""

import re

import aiohttp.web
import pytest
import sqlalchemy as sa

from crm_core.metadata import metadata
from crm_core.resources.registry import RESOURCES
from crm_core.tenants.models import Role, Staff, Tenant, User
from signaling.http.rest import RestTurns, add_routes
from storage.base import Base, TenantScoped
from storage.errors import TenantMismatch, UnscopedStatement
from tests.crm_core.meetings.support import book_meeting
from tests.signaling.http.rest.support import Rest, client_of

STARTS = "2026-12-01T09:00:00Z"


async def _fill(rest, database, tenant):
    """At least one record of every resource; returns their ids by resource."""
    await _sign_up(database, tenant)
    await _hold_a_meeting(database, tenant)
    person = await rest.make("people", first_name="Jane")
    organization = await rest.make("organizations", name="ABC")
    await rest.make("organization_members", organization_id=organization.id, person_id=person.id)
    await rest.make("campaigns", name="Spring")
    await rest.make("services", name="Visit", duration_minutes=30)
    lead = await rest.make("leads", person_id=person.id)
    project = await rest.make("projects", name="Roof")
    await rest.make("project_contacts", project_id=project.id, person_id=person.id)
    await rest.make("communications", channel="call", person_id=person.id)
    await rest.make("appointments", lead_id=lead.id, person_id=person.id, starts_at=STARTS)
    found = {}
    for resource in RESOURCES:
        items = (await rest.get(f"/v1/{resource.name}?limit=1")).json["items"]
        assert items, f"there is nothing in {resource.name}"
        found[resource.name] = items[0]["id"]
    return found


async def _sign_up(database, tenant):
    """A user who works for the tenant."""
    async with database.unit_of_work(tenant.tenant.id) as unit:
        user = User(id=unit.ids(), email=f"{tenant.staff.id}@example.org")
        await unit.add(user)
        await unit.session.execute(
            sa.update(Staff).where(Staff.id == tenant.staff.id).values(user_id=user.id)
        )


async def _hold_a_meeting(database, tenant):
    """One with attendance, which leaves a communication with its people."""
    meeting = await book_meeting(database, tenant)
    epoch = await meeting.claim()
    host = meeting.enter(f"staff:{meeting.staff_id}", "host", 0, "Ana Diaz")
    meeting.event("room.state", 0, state="live")
    meeting.enter(f"person:{meeting.person_id}", "participant", 5, "Jane Doe")
    meeting.end(60, by=host)
    await meeting.commit(epoch)


def _routes(app):
    """Every route of the running router but the catch-alls: method and path pattern."""
    for route in app.router.routes():
        pattern = route.resource.canonical
        if pattern.startswith("/v1/") and route.method != "*":
            yield route.method, pattern


async def test_every_route_hides_another_tenants_records(database, tenant, other_tenant):
    """With another tenant's id in the path, every route answers 404 and changes nothing."""
    async with client_of(database) as http:
        mine = Rest(http, tenant.api_key_secret)
        rival = Rest(http, other_tenant.api_key_secret)
        await _fill(mine, database, tenant)
        theirs = await _fill(rival, database, other_tenant)
        before = [(await rival.get(f"/v1/{name}")).json for name in theirs]
        tried = 0
        for method, pattern in _routes(http.server.app):
            name = re.match(r"/v1/(\w+)", pattern)[1]
            if "{id}" not in pattern:
                continue
            path = pattern.replace("{id}", theirs[name])
            body = _body(pattern, theirs) if method in ("POST", "PATCH") else None
            answer = await mine.call(method, path, body=body, If_Match="*")
            assert answer.status == 404, (method, pattern, answer)
            tried += 1
        assert tried >= 80
        assert [(await rival.get(f"/v1/{name}")).json for name in theirs] == before


def _body(pattern, ids):
    """A body that would succeed within the tenant, so that only the tenant is in the way."""
    if pattern.endswith(":assign"):
        return {"staff_id": ids["staff"]}
    if pattern.endswith(":move"):
        return {"stage_id": ids["pipeline_stages"]}
    if pattern.endswith(":reschedule"):
        return {"starts_at": STARTS}
    return {}


async def test_no_list_shows_another_tenants_records(database, tenant, other_tenant):
    """Lists, filters by the other's ids and includes never show a row of another tenant."""
    async with client_of(database) as http:
        mine = Rest(http, tenant.api_key_secret)
        rival = Rest(http, other_tenant.api_key_secret)
        await _fill(rival, database, other_tenant)
        await _fill(mine, database, tenant)
        for resource in RESOURCES:
            listed = {
                row["id"]
                for row in (await mine.get(f"/v1/{resource.name}?limit=200")).json["items"]
            }
            rivals = {
                row["id"]
                for row in (await rival.get(f"/v1/{resource.name}?limit=200")).json["items"]
            }
            assert not listed & rivals, resource.name
            for foreign in rivals:
                answer = await mine.get(f"/v1/{resource.name}?id={foreign}")
                assert answer.json["items"] == [], resource.name


async def test_no_body_can_point_at_another_tenants_records(database, tenant, other_tenant):
    """Every key of every creatable resource refuses the other tenant's id."""
    async with client_of(database) as http:
        mine = Rest(http, tenant.api_key_secret)
        rival = Rest(http, other_tenant.api_key_secret)
        own, theirs = (
            await _fill(mine, database, tenant),
            await _fill(rival, database, other_tenant),
        )
        tried = 0
        for resource in RESOURCES:
            if "create" not in resource.operations:
                continue
            for include in resource.includes.values():
                if include.local == "id" or include.local not in resource.create_fields:
                    continue
                body = _valid(resource, own)
                body[include.local] = theirs[include.resource]
                answer = await mine.post(f"/v1/{resource.name}", body)
                assert answer.status == 409, (resource.name, include.local, answer)
                assert answer.json["code"] == "no_such_reference"
                tried += 1
        assert tried >= 25


def _valid(resource, ids):
    values = {"text": "x", "integer": 1, "timestamp": "2027-01-01T00:00:00Z"}
    body = {}
    for field in resource.create_fields.values():
        if field.required:
            include = next(
                (each for each in resource.includes.values() if each.local == field.name), None
            )
            body[field.name] = ids[include.resource] if include else values[field.kind.name]
    if resource.name == "leads":
        body["person_id"] = ids["people"]
    return body


async def test_without_a_tenant_every_table_is_empty(database, tenant, other_tenant):
    """A unit of work without a tenant sees no row of any mapped class."""
    async with client_of(database) as http:
        await _fill(Rest(http, tenant.api_key_secret), database, tenant)
    async with database.unit_of_work(None, read_only=True) as unit:
        for mapper in Base.registry.mappers:
            rows = (await unit.session.execute(sa.select(mapper.class_).limit(1))).all()
            assert rows == [], mapper.class_


async def test_two_tenants_in_turn_each_see_their_own(database, tenant, other_tenant):
    """Statement caching never serves one tenant's criteria to another."""
    for made, name in ((tenant, "Ana Diaz"), (other_tenant, "Bo Lee")) * 3:
        async with database.unit_of_work(made.tenant.id, read_only=True) as unit:
            assert (await unit.session.scalars(sa.select(Staff.name))).all() == [name]
            assert (await unit.session.scalars(sa.select(Tenant.id))).all() == [made.tenant.id]


async def test_updates_and_deletes_are_scoped_too(database, tenant, other_tenant):
    """A bulk statement of one tenant reaches no row of another."""
    async with database.unit_of_work(tenant.tenant.id) as unit:
        await unit.session.execute(sa.update(Staff).values(name="Changed"))
    async with database.unit_of_work(other_tenant.tenant.id) as unit:
        assert (await unit.session.scalars(sa.select(Staff.name))).all() == ["Bo Lee"]


async def test_a_row_of_another_tenant_cannot_be_written(database, tenant, other_tenant):
    """Adding a row with a foreign tenant_id is refused before it reaches the database."""
    with pytest.raises(TenantMismatch):
        async with database.unit_of_work(tenant.tenant.id) as unit:
            await unit.add(Role(tenant_id=other_tenant.tenant.id, id=unit.ids(), name="Spy"))


async def test_a_statement_that_escapes_the_criteria_is_refused(database, tenant):
    """SQL without a mapped class cannot be sent through a tenant's session."""
    people = metadata.tables["people"]
    for statement in (sa.select(people), sa.text("SELECT * FROM people")):
        with pytest.raises(UnscopedStatement):
            async with database.unit_of_work(tenant.tenant.id) as unit:
                await unit.session.execute(statement)


def test_every_model_is_tenant_scoped_or_scoped_globally():
    """A table without tenant_id is one of the two that say by themselves who sees what."""
    unscoped = {
        mapper.class_.__tablename__
        for mapper in Base.registry.mappers
        if not issubclass(mapper.class_, TenantScoped)
    }
    assert unscoped == {"tenants", "users"}


def test_the_application_has_no_route_outside_the_list(database):
    """Guard of the test above: routes come from the registry, all under /v1."""
    app = aiohttp.web.Application()
    add_routes(
        app,
        turns=RestTurns(database),
        address_of=lambda _request: "192.0.2.1",
        base_url="https://x.example",
    )
    names = {re.match(r"/v1/(\w+)", pattern)[1] for _, pattern in _routes(app)}
    assert names == {resource.name for resource in RESOURCES}
