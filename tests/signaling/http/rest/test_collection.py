"""Lists over HTTP: filters, order, pages; and creating once per Idempotency-Key."""

import asyncio
import os
import random
from datetime import timedelta

import pytest
import sqlalchemy as sa

from crm_core.changes.models import IdempotencyKey
from crm_core.tenants.service import create_api_key
from signaling.http.rest.idempotency import SWEPT
from tests.signaling.http.rest.support import Rest


async def _people(rest, count):
    return [
        await rest.make("people", first_name=f"P{index:02}", email=f"p{index}@x.example")
        for index in range(count)
    ]


async def _walk(rest, path, cursor=None):
    """All ids of a list from `cursor` on, following `next`."""
    seen, after = [], f"&after={cursor}" if cursor else ""
    while True:
        page = (await rest.get(path + after)).json
        seen += [item["id"] for item in page["items"]]
        if page["next"] is None:
            return seen
        after = f"&after={page['next']}"


@pytest.mark.parametrize(
    "sort", ["id", "-id", "full_name", "-full_name", "updated_at", "-updated_at"]
)
async def test_pages_neither_repeat_nor_skip(rest, sort):
    """Following `next` sees every record once, in order, whatever the order is."""
    made = [person.id for person in await _people(rest, 7)]
    walked = await _walk(rest, f"/v1/people?limit=3&sort={sort}")
    assert walked == (list(reversed(made)) if sort.startswith("-") else made)


async def test_equal_sort_values_do_not_lose_rows(rest):
    """Rows that are equal in the sort key are kept apart by their ids."""
    made = {(await rest.make("people", first_name="Same")).id for _ in range(5)}
    walked = await _walk(rest, "/v1/people?limit=2&sort=full_name")
    assert (set(walked), len(walked)) == (made, 5)


async def test_rows_that_come_and_go_between_pages_do_not_disturb(rest):
    """A row inserted or deleted on a page already seen moves no later page."""
    seed = 20261125
    print("seed", seed)
    chance = random.Random(seed)
    made = [person.id for person in await _people(rest, 12)]
    first = (await rest.get("/v1/people?limit=5")).json
    shown = [item["id"] for item in first["items"]]
    await rest.make("people", first_name="New")
    await rest.call("DELETE", f"/v1/people/{chance.choice(shown)}", If_Match="*")
    rest_of_them = await _walk(rest, "/v1/people?limit=5", first["next"])
    assert shown + rest_of_them == list(reversed(made))


async def test_filters_have_operators(rest):
    """Each operator answers the rows it describes."""
    people = await _people(rest, 4)
    ids = [person.id for person in people]

    async def found(query):
        return sorted(
            ids.index(item["id"]) for item in (await rest.get(f"/v1/people?{query}")).json["items"]
        )

    assert await found("email_norm=p1@x.example") == [1]
    assert await found("email_norm[ne]=p1@x.example") == [0, 2, 3]
    assert await found("full_name[gte]=P02") == [2, 3]
    assert await found("full_name[lt]=P02&full_name[gt]=P00") == [1]
    assert await found("full_name[in]=P00,P03") == [0, 3]
    assert await found("full_name[nin]=P00,P03") == [1, 2]
    assert await found("email_norm[like]=P2@*") == [2]
    assert await found("email_norm[like]=p_@x.example") == []
    assert await found("phone[null]=true") == [0, 1, 2, 3]
    assert await found("phone[null]=false") == []
    assert await found(f"id={ids[2]}") == [2]


async def test_a_filter_reaches_one_hop(rest):
    """`relation.name` filters by a field of the row a key points at."""
    jane, _ = await _people(rest, 2)
    lead = await rest.make("leads", person_id=jane.id)
    hit = (await rest.get("/v1/leads?person.email_norm=p0@x.example")).json["items"]
    miss = (await rest.get("/v1/leads?person.email_norm=p1@x.example")).json["items"]
    assert ([row["id"] for row in hit], miss) == ([lead.id], [])


async def test_what_no_index_serves_is_refused_with_what_is_allowed(rest):
    """A filter, sort key, include or field that is not offered answers the list of those that are."""
    for query, field, status in (
        ("notes=x", "notes", 400),
        ("email_norm[regex]=x", "email_norm[regex]", 422),
        ("sort=notes", "sort", 422),
        ("include=secrets", "include", 422),
        ("fields=password", "fields", 422),
    ):
        answer = await rest.get(f"/v1/people?{query}")
        assert (answer.status, answer.json["field"]) == (status, field), query
        assert answer.json["allowed"], query


async def test_fields_choose_what_an_item_has(rest):
    """`fields` leaves the rest out; the id is always there."""
    await _people(rest, 1)
    (item,) = (await rest.get("/v1/people?fields=full_name")).json["items"]
    assert set(item) == {"id", "full_name"}


async def test_a_cursor_of_another_order_is_refused(rest):
    """`after` belongs to the sort it was made for; junk is no cursor."""
    await _people(rest, 3)
    cursor = (await rest.get("/v1/people?limit=1&sort=full_name")).json["next"]
    for query in (f"sort=-full_name&after={cursor}", f"after={cursor}", "after=AAAA", "after=%00"):
        assert (await rest.get(f"/v1/people?{query}")).status == 422


async def test_a_key_makes_a_post_happen_once(rest):
    """The same key and request do nothing again and get the first answer, ETag and all."""
    body = {"first_name": "Once"}
    first = await rest.post("/v1/people", body, Idempotency_Key="k1")
    again = await rest.post("/v1/people", body, Idempotency_Key="k1")
    assert (first.status, again.status) == (201, 201)
    assert again.json == first.json
    assert again.etag == first.etag
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len((await rest.get("/v1/people")).json["items"]) == 1


async def test_a_key_belongs_to_one_request(rest):
    """The same key with another body or path answers 422 and does nothing."""
    await rest.post("/v1/people", {"first_name": "A"}, Idempotency_Key="k1")
    other = await rest.post("/v1/people", {"first_name": "B"}, Idempotency_Key="k1")
    path = await rest.post("/v1/organizations", {"name": "A"}, Idempotency_Key="k1")
    assert (other.status, other.json["code"]) == (422, "idempotency_key_reused")
    assert path.status == 422
    assert len((await rest.get("/v1/people")).json["items"]) == 1


async def test_another_api_key_cannot_take_the_answer(rest, database, tenant):
    """An answer is sealed with the key that asked: to another key of the tenant it is reused."""
    async with database.unit_of_work(tenant.tenant.id) as unit:
        secret = await create_api_key(unit, name="second", staff_id=None, random_bytes=os.urandom)
    await rest.post("/v1/people", {"first_name": "A"}, Idempotency_Key="k1")
    other = await Rest(rest.http, secret).post(
        "/v1/people", {"first_name": "A"}, Idempotency_Key="k1"
    )
    assert (other.status, other.json["code"]) == (422, "idempotency_key_reused")


async def test_a_sealed_answer_is_one_keys_alone(rest, database, tenant):
    """Who may write the table cannot have one request answered with what another was."""
    for name in ("A", "B"):
        await rest.post("/v1/people", {"first_name": name}, Idempotency_Key=name)
    async with database.unit_of_work(tenant.tenant.id) as unit:
        one, other = (
            await unit.session.scalars(sa.select(IdempotencyKey).order_by(IdempotencyKey.key))
        ).all()
        one.response = other.response
    answer = await rest.post("/v1/people", {"first_name": "A"}, Idempotency_Key="A")
    assert (answer.status, answer.json["code"]) == (500, "internal")


async def test_a_key_is_kept_for_a_day(rest, database):
    """A minute before, it is the first request again; a minute after, it is free."""
    body = {"first_name": "Once"}
    first = await rest.post("/v1/people", body, Idempotency_Key="k1")
    clock = database.clock
    for minutes, same in ((24 * 60 - 1, True), (24 * 60 + 1, False)):
        database.clock = lambda: clock() + timedelta(minutes=minutes)  # noqa: B023
        again = await rest.post("/v1/people", body, Idempotency_Key="k1")
        assert (again.status, again.id == first.id) == (201, same)


async def test_keys_of_yesterday_go_a_few_at_a_time(rest, database, tenant):
    """The first request of a day does not pay for the day before."""
    async with database.unit_of_work(tenant.tenant.id) as unit:
        for number in range(2 * SWEPT):
            await unit.add(
                IdempotencyKey(
                    key=f"old-{number}",
                    request_hash=b"",
                    created_at=unit.now,
                    expires_at=unit.now - timedelta(seconds=2 * SWEPT - number),
                )
            )
    youngest = f"old-{2 * SWEPT - 1}"
    for own, left in ((youngest, SWEPT - 1), ("new", 0)):  # the own one is free, be it the youngest
        made = await rest.post("/v1/people", {"first_name": "Once"}, Idempotency_Key=own)
        assert made.status == 201
        async with database.unit_of_work(tenant.tenant.id) as unit:
            keys = (await unit.session.scalars(sa.select(IdempotencyKey.key))).all()
        assert len([key for key in keys if key.startswith("old-")]) == left + 1


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_an_old_key_that_another_request_removes_holds_nobody_up(rest, database, tenant):
    """Its row is locked until that request is done; SQLite has one writer anyway."""
    async with database.unit_of_work(tenant.tenant.id) as unit:
        await unit.add(
            IdempotencyKey(key="old", request_hash=b"", created_at=unit.now, expires_at=unit.now)
        )
    async with database.unit_of_work(tenant.tenant.id) as unit:
        await unit.session.execute(sa.select(IdempotencyKey).with_for_update())
        async with asyncio.timeout(10):
            made = await rest.post("/v1/people", {"first_name": "A"}, Idempotency_Key="new")
    assert made.status == 201


async def test_a_refused_request_leaves_its_key_free(rest):
    """What was rolled back is not remembered: the corrected request may use the key."""
    refused = await rest.post("/v1/people", {}, Idempotency_Key="k1")
    made = await rest.post("/v1/people", {"first_name": "A"}, Idempotency_Key="k1")
    assert (refused.status, made.status) == (422, 201)


async def test_simultaneous_twins_make_one_record(rest):
    """Ten requests with one key at once: one record, ten equal answers."""
    answers = await asyncio.gather(
        *(
            rest.post("/v1/people", {"first_name": "Twin"}, Idempotency_Key="twins")
            for _ in range(10)
        )
    )
    assert {(answer.status, answer.id) for answer in answers} == {(201, answers[0].id)}
    assert len((await rest.get("/v1/people")).json["items"]) == 1


async def test_a_taken_unique_value_names_its_field(rest):
    """409 with the field, the same on both databases."""
    await rest.make("organizations", name="A", email="a@x.example", external_id="7")
    for body, field in (
        ({"name": "B", "external_id": "7"}, "external_id"),
        ({"name": "B", "email": "A@X.example"}, "email_norm"),
    ):
        refused = await rest.post("/v1/organizations", body)
        assert (refused.status, refused.json["field"]) == (409, field)


async def test_a_reference_to_nothing_is_refused_by_name(rest, rival):
    """A key that points nowhere, to a deleted row or into another tenant is one and the same."""
    gone = await rest.make("people", first_name="Gone")
    await rest.call("DELETE", f"/v1/people/{gone.id}", If_Match="*")
    foreign = await rival.make("people", first_name="Foreign")
    absent = "01900000-0000-7000-8000-000000000000"
    answers = [
        await rest.post("/v1/leads", {"person_id": key}) for key in (absent, gone.id, foreign.id)
    ]
    assert {answer.status for answer in answers} == {409}
    assert {answer.json["code"] for answer in answers} == {"no_such_reference"}
    assert {answer.json["field"] for answer in answers} == {"person_id"}
