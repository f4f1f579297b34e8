"""Pages of large records, bodies of many values, requests of many filters: one caller's, nobody else's."""

import json
import random

import msgspec
import pytest
import sqlalchemy as sa

from crm_core.resources import store
from crm_core.resources.bounded import MAX_BYTES, STEP
from crm_core.resources.fields import LONG_TEXT, MAX_JSON, MAX_JSON_ITEMS, check_json
from crm_core.resources.query import MAX_CONDITIONS, MAX_LIKE
from signaling.http.rest.body import MAX_BODY, _has_too_many_values
from tests.signaling.http.rest.support import LONG_PERSON

CONVERSATION = dict.fromkeys(("body", "summary", "notes", "reply_text"), "x" * LONG_TEXT)
APPOINTMENT = {"notes": "x" * LONG_TEXT, "custom_fields": {"rest": "y" * (MAX_JSON - 20)}}
COUNT = 14


async def large(rest):
    """A person whom so many long conversations are about; their ids, oldest first."""
    person = await rest.make("people", first_name="Jane")
    await rest.make("leads", person_id=person.id)  # whose event is older, and comes behind them all
    each = {"channel": "note", "direction": "internal", "person_id": person.id, **CONVERSATION}
    return person.id, [(await rest.make("communications", **each)).id for _ in range(COUNT)]


async def pages(rest, path):
    """The items of every page, and how large the largest page is."""
    found, largest, after = [], 0, ""
    while after is not None:
        answer = await rest.get(f"{path}limit=200{after and f'&after={after}'}")
        assert answer.status == 200, answer.json
        assert answer.json["items"], "each page goes on"
        items = answer.json["items"]
        found += [item["id"] for item in items if item.get("kind") != "pipeline_event"]
        largest = max(largest, len(json.dumps(answer.json)))
        after = answer.json["next"]
    return found, largest


async def test_a_page_of_large_records_is_shorter_than_asked_for(rest):
    """Each is on one page all the same, in lists, timelines, and along with what they are about."""
    person, made = await large(rest)
    for path in (f"/v1/communications?person_id={person}&", f"/v1/people/{person}/timeline?"):
        found, largest = await pages(rest, path)
        assert found == made[::-1]
        assert largest < MAX_BYTES + MAX_BODY + 100_000


async def test_the_sources_of_a_timeline_share_what_a_page_may_hold(rest):
    """Conversations and appointments, of which either would fill most of a page."""
    person = (await rest.make("people", first_name="Jane")).id
    made = []
    for number in range(12):
        day = f"2031-01-{number + 1:02}"
        note = {"channel": "note", "direction": "internal", "person_id": person, **CONVERSATION}
        made.append(await rest.make("communications", **note, occurred_at=f"{day}T10:00:00Z"))
        times = {"starts_at": f"{day}T12:00:00Z", "ends_at": f"{day}T13:00:00Z"}
        made.append(await rest.make("appointments", person_id=person, **times, **APPOINTMENT))
    found, largest = await pages(rest, f"/v1/people/{person}/timeline?")
    assert found == [each.id for each in reversed(made)]
    assert largest < MAX_BYTES + MAX_BODY


@pytest.mark.parametrize("heavy", ["items", "people"])
async def test_all_that_a_short_page_refers_to_comes_along(rest, heavy):
    """Whether the records themselves are large or what comes along: the page ends where that does."""
    made = []
    for number in range(12):
        filling = LONG_PERSON if heavy == "people" else {}
        person = await rest.make("people", first_name=f"{number}", **filling)
        each = {"channel": "note", "direction": "internal", "person_id": person.id}
        filling = CONVERSATION if heavy == "items" else {}
        made.append((await rest.make("communications", **each, **filling)).id)
    found, after = [], ""
    while after is not None:
        answer = (
            await rest.get(f"/v1/communications?include=person{after and f'&after={after}'}")
        ).json
        people = {each["id"] for each in answer["included"]["people"]}
        assert people == {item["person_id"] for item in answer["items"]}
        assert "included_cut" not in answer
        assert len(json.dumps(answer)) < MAX_BYTES + MAX_BODY + 100_000
        found += [item["id"] for item in answer["items"]]
        after = answer["next"]
    assert found == made[::-1]


async def test_a_page_that_shrinks_is_not_read_again_and_again(rest, monkeypatch):
    """Once for what was asked for, and once for as much of it as came."""
    for number in range(40):
        person = await rest.make("people", first_name=f"{number}", **LONG_PERSON)
        each = {"channel": "note", "direction": "internal", "person_id": person.id}
        await rest.make("communications", **each)
    loads, load = [], store.load_includes

    async def counted(unit, resources, includes, rows):
        loads.append(len(rows))
        return await load(unit, resources, includes, rows)

    monkeypatch.setattr(store, "load_includes", counted)
    answer = (await rest.get("/v1/communications?include=person&limit=40")).json
    assert loads == [40, len(answer["items"])]


async def test_a_small_page_is_as_long_as_asked_for(rest):
    for number in range(30):
        await rest.make("people", first_name=f"Jane {number}")
    answer = await rest.get("/v1/people?limit=25")
    assert (len(answer.json["items"]), answer.json["next"] is None) == (25, False)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("&".join(["email_norm[like]=*a"] * MAX_LIKE), 200),
        ("&".join(["email_norm[like]=*a"] * (MAX_LIKE + 1)), 422),
        ("&".join(["email_norm=a"] * MAX_CONDITIONS), 200),
        ("&".join(["email_norm=a"] * (MAX_CONDITIONS + 1)), 422),
    ],
)
async def test_a_request_has_so_many_filters(rest, query, status):
    answer = await rest.get(f"/v1/people?{query}")
    assert answer.status == status
    if status == 422:
        assert f"at most {MAX_CONDITIONS} filters" in answer.json["detail"]


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        (b'{"zz":[' + b",".join([b"[]"] * 300_000) + b"]}", True),
        (b'{"zz":[' + b",".join([b"{}"] * 300_000) + b"]}", True),
        (b"[" + b",".join([b'""'] * 300_000) + b"]", True),
        (b"[" * 900_000, True),
        (b"{" + b",".join([b'"a":1'] * 150_000) + b"}", True),
        (b'{"body":"' + b",[{" * 300_000 + b'"}', False),
        (b'{"body":"' + rb"\",[\\" * 150_000 + b'"}', False),
        (b'{"zz":[' + b",".join([b"1"] * (MAX_JSON_ITEMS - 2)) + b"]}", False),
    ],
    ids=["lists", "objects", "texts", "depth", "names", "commas", "escapes", "many"],
)
async def test_a_body_of_too_many_values_is_refused_before_it_is_decoded(
    rest, monkeypatch, body, refused
):
    """What stands in a text counts nothing."""
    decoded = []
    decode = msgspec.json.decode
    monkeypatch.setattr(
        msgspec.json, "decode", lambda raw, **how: decoded.append(1) or decode(raw, **how)
    )
    answer = await rest.call("POST", "/v1/people", body=body)
    assert answer.status in {400, 422}
    assert (not decoded) is refused
    assert not refused or "too many values" in answer.json["detail"]


def test_what_may_be_used_is_never_refused_undecoded():
    """Random JSON with quotes and backslashes in its texts."""
    seed = random.randrange(10**9)
    print("seed", seed)
    rng = random.Random(seed)

    def value(depth):
        kind = rng.randrange(4 if depth < 6 else 2)
        if kind == 0:
            return "".join(rng.choices('\\",[]{}:a', k=rng.randrange(12)))
        if kind == 1:
            return rng.choice([None, True, 1, 2.5])
        members = [value(depth + 1) for _ in range(rng.randrange(6))]
        return (
            members
            if kind == 2
            else {f'{number}\\"': member for number, member in enumerate(members)}
        )

    for _ in range(300):
        made = [value(0) for _ in range(rng.randrange(40))]
        check_json(made)
        assert not _has_too_many_values(msgspec.json.encode(made))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_what_a_page_leaves_is_not_decoded(rest, monkeypatch):
    """PostgreSQL's driver reads ahead, and ten thousand values cost more than their bytes."""
    person = await rest.make("people", first_name="Jane")
    each = {"channel": "note", "direction": "internal", "person_id": person.id}
    for _ in range(12):
        await rest.make("communications", **each, custom_fields={"a": [[]] * 9_900})
    decoded, decode = [], msgspec.json.decode
    monkeypatch.setattr(msgspec.json, "decode", lambda raw: decoded.append(len(raw)) or decode(raw))
    answer = await rest.get("/v1/communications?limit=200")
    heavy = sum(size > 20_000 for size in decoded)
    assert len(answer.json["items"]) <= heavy <= len(answer.json["items"]) + STEP < 12


async def test_what_comes_along_comes_once(rest, database):
    """However often it is named: each time would be a statement."""
    person = await rest.make("people", first_name="Jane")
    await rest.make("leads", person_id=person.id)
    sent = []
    engine = database.readers.sync_engine
    sa.event.listen(engine, "before_cursor_execute", lambda *how: sent.append(how[2]))
    counts = []
    for times in (1, 50):
        sent.clear()
        answer = await rest.get(f"/v1/leads?include={','.join(['person'] * times)}")
        assert [each["id"] for each in answer.json["included"]["people"]] == [person.id]
        counts.append(len(sent))
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    ("heavy", "at_most"),
    [
        ({"custom_fields": {"a": [[]] * 9_900}}, 5),
        ({"body": "\x01" * 100_000}, 5),
    ],
    ids=["values", "escapes"],
)
async def test_a_record_weighs_what_it_costs(rest, heavy, at_most):
    """A short list of ten thousand values, and a text that is six times as long in JSON."""
    person = await rest.make("people", first_name="Jane")
    each = {"channel": "note", "direction": "internal", "person_id": person.id, **heavy}
    made = [(await rest.make("communications", **each)).id for _ in range(at_most + 2)]
    found, _ = await pages(rest, f"/v1/communications?person_id={person.id}&")
    first = (await rest.get("/v1/communications?limit=200")).json
    assert len(first["items"]) <= at_most
    assert first["next"] is not None
    assert found == made[::-1]
