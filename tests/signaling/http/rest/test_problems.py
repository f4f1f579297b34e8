"""What becomes of errors that no handler meant."""

import asyncio
import json
import secrets

import pytest
import sqlalchemy as sa

from crm_core.tenants.models import Role
from crm_core.tenants.service import create_tenant
from signaling.http.rest.problems import answer_for
from storage import tenancy
from storage.database import Database
from tests.support.databases import APP_LOGIN


async def _lock(unit, name):
    await unit.session.execute(sa.select(Role.id).where(Role.name == name).with_for_update())


async def test_who_loses_a_deadlock_is_told_to_try_again(app_url):
    """PostgreSQL ends one of two units that wait for each other: 503 with Retry-After, no 500."""
    database = Database(app_url)
    try:
        made = await create_tenant(database, "T", staff_name="S", random_bytes=secrets.token_bytes)
        meet = asyncio.Barrier(2)

        async def cross(first, second):
            async with database.unit_of_work(made.tenant.id) as unit:
                await _lock(unit, first)
                await meet.wait()
                await _lock(unit, second)

        async with database.unit_of_work(made.tenant.id, read_only=True) as unit:
            a, b = await unit.session.scalars(sa.select(Role.name).order_by(Role.name).limit(2))
        ends = await asyncio.gather(cross(a, b), cross(b, a), return_exceptions=True)
    finally:
        await database.close()
    (error,) = (end for end in ends if end is not None)
    answer = answer_for(error)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")


@pytest.mark.parametrize("setting", ["lock_timeout", "statement_timeout"])
async def test_who_waits_too_long_is_told_to_try_again(app_url, monkeypatch, setting):
    """Somebody at a console holds a row: a few who want it would else keep everybody's connections."""
    database = Database(app_url)
    try:
        made = await create_tenant(database, "T", staff_name="S", random_bytes=secrets.token_bytes)
        async with database.unit_of_work(made.tenant.id) as held:
            name = (await held.session.scalars(sa.select(Role.name).limit(1))).one()
            await _lock(held, name)
            monkeypatch.setitem(tenancy.PATIENCE, setting, "100ms")
            with pytest.raises(sa.exc.DBAPIError) as refused:
                async with database.unit_of_work(made.tenant.id) as unit, asyncio.timeout(30):
                    await _lock(unit, name)
    finally:
        await database.close()
    answer = answer_for(refused.value)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")


@pytest.mark.parametrize(
    ("login", "limit"),
    [("sunup_nobody", None), ("sunup_full", 0)],
    ids=["no such login", "too many connections"],
)
async def test_who_is_not_let_connect_is_told_to_try_again(app_url, superuser, login, limit):
    """As by a server that is full or just being mended: nothing is wrong with the request."""
    if limit is not None:
        superuser.execute(f"CREATE ROLE {login} LOGIN CONNECTION LIMIT {limit}")
    database = Database(app_url.replace(APP_LOGIN, login))
    try:
        with pytest.raises(Exception) as refused:  # the driver's own, of any class
            async with database.unit_of_work(None):
                pass
    finally:
        await database.close()
        if limit is not None:
            superuser.execute(f"DROP ROLE {login}")
    answer = answer_for(refused.value)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")


def test_our_own_bug_is_a_500_with_a_reference(caplog):
    """The caller gets a reference, the log gets the traceback under it, the answer no detail."""
    answer = answer_for(KeyError("secret"))
    assert answer.status == 500
    assert b"secret" not in answer.body
    assert "KeyError" in caplog.text
    assert json.loads(answer.body)["ref"] == caplog.records[0].ref
