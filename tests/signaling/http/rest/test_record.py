"""Records over HTTP: versions, merging, deleting, verbs, timeline."""

from datetime import UTC, datetime, timedelta

from crm_core.resources.fields import MAX_JSON

SOON = datetime(2026, 12, 1, 9, tzinfo=UTC)


async def _person(rest, **more):
    return await rest.make("people", **{"first_name": "Jane", "last_name": "Doe", **more})


async def test_a_record_reads_back_as_it_was_made(rest):
    """What is created is what is read, with defaults and computed fields filled in."""
    made = await _person(
        rest, email="Jane@Example.com", custom_fields={"roof": ["tile", None, 1.5]}
    )
    read = await rest.get(f"/v1/people/{made.id}")
    assert read.json == made.json
    assert made.json["full_name"] == "Jane Doe"
    assert made.json["email_norm"] == "jane@example.com"
    assert made.json["custom_fields"] == {"roof": ["tile", None, 1.5]}
    assert made.json["version"] == 1
    assert made.headers["Location"] == f"/v1/people/{made.id}"


async def test_json_of_a_field_has_so_many_bytes(rest):
    """Of an object and of an array, as UTF-8, whatever else the body holds; a field's, not a record's."""
    filled = MAX_JSON - len('{"x":""}')
    made = await _person(rest, custom_fields={"x": "y" * filled})
    assert made.json["custom_fields"] == {"x": "y" * filled}
    for text in ("y" * (filled + 1), "\N{EURO SIGN}" * (filled // 3 + 1)):
        value = {"custom_fields": {"x": text}}
        refused = await rest.patch(f"/v1/people/{made.id}", value, made.etag)
        assert (refused.status, refused.json["code"]) == (422, "invalid")
        assert str(MAX_JSON) in str(refused.json)
    note = {"channel": "note", "direction": "internal", "person_id": made.id}
    refused = await rest.post("/v1/communications", {**note, "attendees": ["y" * MAX_JSON]})
    assert (refused.status, "attendees" in str(refused.json)) == (422, True), refused


async def test_a_time_zone_is_one_of_those_there_are(rest):
    """A name that no calendar knows is refused with the field's name."""
    made = await _person(rest, timezone="Europe/Berlin")
    assert made.json["timezone"] == "Europe/Berlin"
    for unknown in ("Mars/Phobos", "europe/berlin ", ""):
        refused = await rest.patch(f"/v1/people/{made.id}", {"timezone": unknown}, made.etag)
        assert (refused.status, "timezone" in str(refused.json)) == (422, True), refused


async def test_an_etag_saves_the_body(rest):
    """If-None-Match with the current version answers 304 without a body."""
    made = await _person(rest)
    again = await rest.get(f"/v1/people/{made.id}", If_None_Match=made.etag)
    assert (again.status, again.json) == (304, None)
    other = await rest.get(f"/v1/people/{made.id}", If_None_Match='"v9"')
    assert other.status == 200


async def test_a_patch_needs_the_version_it_was_made_for(rest):
    """Without If-Match 428, with a stale one 412 and nothing changed, with the right one 200."""
    made = await _person(rest)
    path = f"/v1/people/{made.id}"
    assert (await rest.call("PATCH", path, body={"last_name": "Roe"})).status == 428
    changed = await rest.patch(path, {"last_name": "Roe"}, made.etag)
    assert (changed.status, changed.json["full_name"], changed.etag) == (200, "Jane Roe", '"v2"')
    stale = await rest.patch(path, {"last_name": "Poe"}, made.etag)
    assert (stale.status, stale.json["code"]) == (412, "stale_version")
    assert (await rest.get(path)).json == changed.json
    assert (await rest.patch(path, {"phone": "1"}, "*")).status == 200
    assert (await rest.patch(path, {"phone": "2"}, 'W/"v3"')).status == 412


async def test_a_patch_changes_only_what_it_names(rest):
    """Merging leaves other fields alone; null clears; what may not be null is refused by name."""
    made = await _person(rest, phone="123", notes="x")
    path = f"/v1/people/{made.id}"
    changed = await rest.patch(path, {"phone": None}, made.etag)
    assert changed.json["phone"] is None
    assert changed.json["notes"] == "x"
    refused = await rest.patch(path, {"first_name": None}, changed.etag)
    assert (refused.status, refused.json["field"]) == (422, "first_name")


async def test_a_field_that_a_verb_owns_says_so(rest):
    """PATCH of a use case's field names the verb that changes it."""
    made = await rest.make("leads", person_id=(await _person(rest)).id)
    refused = await rest.patch(f"/v1/leads/{made.id}", {"status_kind": "won"}, made.etag)
    assert refused.status == 422
    assert ":move" in refused.json["detail"]


async def test_a_deleted_record_is_gone_and_its_history_stays(rest):
    """DELETE needs the version; afterwards the record is absent from reads and lists."""
    made = await _person(rest)
    path = f"/v1/people/{made.id}"
    assert (await rest.call("DELETE", path)).status == 428
    assert (await rest.call("DELETE", path, If_Match='"v7"')).status == 412
    assert (await rest.call("DELETE", path, If_Match=made.etag)).status == 204
    assert (await rest.get(path)).status == 404
    assert made.id not in [item["id"] for item in (await rest.get("/v1/people")).json["items"]]
    assert (await rest.call("DELETE", path, If_Match="*")).status == 404


async def test_no_more_children_are_included_than_an_answer_may_hold(rest, monkeypatch):
    """The oldest first; the others are had page by page from their own list."""
    monkeypatch.setattr("crm_core.resources.store.MAX_CHILDREN", 2)
    organization = await rest.make("organizations", name="Sun Works")
    people = [await rest.make("people", first_name=name) for name in "ABC"]
    made = [
        await rest.make("organization_members", organization_id=organization.id, person_id=each.id)
        for each in people
    ]
    answer = await rest.get(f"/v1/organizations/{organization.id}?include=members")
    included = answer.json["included"]["organization_members"]
    assert [row["id"] for row in included] == [row.id for row in made[:2]]
    assert answer.json["included_cut"] == ["members"]


async def test_a_page_ends_where_all_its_children_have_come(rest, monkeypatch):
    """Of two with three children in all only one, as an answer holds two."""
    monkeypatch.setattr("crm_core.resources.store.MAX_CHILDREN", 2)
    person = await rest.make("people", first_name="Jane")
    other = await rest.make("people", first_name="Joe")
    few, many = [await rest.make("organizations", name=name) for name in ("Few", "Many")]
    for organization, who in ((few, person), (many, person), (many, other)):
        await rest.make("organization_members", organization_id=organization.id, person_id=who.id)
    after, seen = "", []
    while after is not None:
        answer = (
            await rest.get(f"/v1/organizations?include=members{after and f'&after={after}'}")
        ).json
        assert "included_cut" not in answer
        seen.append((len(answer["items"]), len(answer["included"]["organization_members"])))
        after = answer["next"]
    assert seen == [(1, 2), (1, 1)]


async def test_head_answers_what_get_does_without_the_body(rest):
    """RFC 9110 section 9.3.2: for whoever looks whether there is something, or a newer one."""
    person = await rest.make("people", first_name="Jane")
    for path in (f"/v1/people/{person.id}", "/v1/people", f"/v1/people/{person.id}/timeline"):
        got, head = await rest.get(path), await rest.call("HEAD", path)
        assert (head.status, head.json) == (200, None)
        assert head.headers["Content-Length"] == got.headers["Content-Length"]
        assert head.headers.get("ETag") == got.headers.get("ETag")
    assert (await rest.call("HEAD", "/v1/people/nobody")).status == 404


async def test_included_records_come_once(rest):
    """`include` brings the rows that keys point at, and children, by resource."""
    person = await _person(rest)
    lead = await rest.make("leads", person_id=person.id)
    answer = await rest.get(f"/v1/leads/{lead.id}?include=person,stage")
    assert [row["id"] for row in answer.json["included"]["people"]] == [person.id]
    assert answer.json["included"]["pipeline_stages"][0]["name"] == "New"
    assert (await rest.get(f"/v1/leads/{lead.id}?include=nobody")).status == 422
    # What comes along has no part in the record's version.
    again = await rest.get(f"/v1/leads/{lead.id}?include=person", If_None_Match=lead.etag)
    assert again.status == 200


async def test_what_was_deleted_does_not_come_along(rest):
    """A key may go on pointing at it; the record is as absent as from reads and lists."""
    person = await _person(rest)
    lead = await rest.make("leads", person_id=person.id)
    path = f"/v1/people/{person.id}"
    assert (await rest.call("DELETE", path, If_Match="*")).status == 204
    for found in (f"/v1/leads/{lead.id}?include=person", "/v1/leads?include=person"):
        assert (await rest.get(found)).json["included"]["people"] == []


async def test_a_changed_key_must_point_at_something(rest):
    """As a new one must: the refusal names the field."""
    organization = await rest.make("organizations", name="Doe household")
    lead = await rest.make("leads", person_id=(await _person(rest)).id)
    gone = {"organization_id": organization.id}
    path = f"/v1/organizations/{organization.id}"
    assert (await rest.call("DELETE", path, If_Match=organization.etag)).status == 204
    refused = await rest.patch(f"/v1/leads/{lead.id}", gone, lead.etag)
    assert (refused.status, refused.json.get("field")) == (409, "organization_id"), refused


async def test_a_lead_is_assigned_moved_and_converted_once(rest, tenant):
    """Assign, move and convert write the history; converting again finds the first project."""
    person = await _person(rest)
    lead = await rest.make("leads", person_id=person.id, estimated_value="12000.50")
    path = f"/v1/leads/{lead.id}"
    assert (await rest.get(f"/v1/people/{person.id}")).json["is_lead"] is True
    assigned = await rest.post(f"{path}:assign", {"staff_id": str(tenant.staff.id)})
    assert assigned.json["assigned_to_id"] == str(tenant.staff.id)
    stages = (await rest.get("/v1/pipeline_stages?pipeline.entity=lead")).json["items"]
    contacted = next(stage["id"] for stage in stages if stage["name"] == "Contacted")
    moved = await rest.post(f"{path}:move", {"stage_id": contacted, "note": "called"})
    assert moved.json["stage_id"] == contacted
    times = {"starts_at": "2031-01-01T10:00:00Z", "ends_at": "2031-01-01T11:00:00Z"}
    meeting = await rest.make("appointments", title="Roof", lead_id=lead.id, **times)
    first = await rest.post(f"{path}:convert", {"name": "Roof of Jane"})
    carried = await rest.get(f"/v1/appointments/{meeting.id}")
    assert carried.json["project_id"] == first.json["created_project_id"]
    assert carried.etag != meeting.etag
    assert carried.json["updated_at"] > meeting.json["updated_at"]
    again = await rest.post(f"{path}:convert", {"name": "Another"})
    assert first.json["status_kind"] == "won"
    assert first.json["created_project_id"] == again.json["created_project_id"]
    project = (
        await rest.get(
            f"/v1/projects/{first.json['created_project_id']}?include=contacts,organization"
        )
    ).json
    assert (project["name"], project["value"]) == ("Roof of Jane", "12000.5000")
    assert project["included"]["organizations"][0]["name"] == "Doe household"
    assert project["included"]["project_contacts"][0]["is_primary"] is True
    events = (await rest.get(f"/v1/pipeline_events?entity=lead&entity_id={lead.id}&sort=id")).json
    assert [event["kind"] for event in events["items"]] == [
        "created", "assigned", "stage", "converted",
    ]  # fmt: skip
    assert events["items"][2]["from_stage"] == "New"


async def test_a_project_moves_within_its_pipeline_only(rest):
    """A stage of another kind of record is refused; a winning stage completes the project."""
    project = await rest.make("projects", name="Roof")
    stages = (await rest.get("/v1/pipeline_stages?include=pipeline&limit=200")).json
    by_name = {stage["name"]: stage["id"] for stage in stages["items"]}
    path = f"/v1/projects/{project.id}:move"
    refused = await rest.post(path, {"stage_id": by_name["Qualified"]})
    assert (refused.status, refused.json["code"]) == (409, "contradiction")
    done = await rest.post(path, {"stage_id": by_name["Complete"]})
    assert (done.json["status"], done.json["completed_at"] is not None) == ("completed", True)


async def test_a_timeline_is_newest_first_and_pages_stay_stable(rest):
    """Entries of all kinds mix by time; a page boundary neither repeats nor skips one."""
    person = await _person(rest)
    lead = await rest.make("leads", person_id=person.id)
    for hour in range(3):
        await rest.make(
            "communications",
            channel="call",
            person_id=person.id,
            occurred_at=(SOON - timedelta(days=400, hours=hour)).isoformat(),
        )
    await rest.make(
        "appointments", person_id=person.id, lead_id=lead.id, starts_at=SOON.isoformat()
    )
    path = f"/v1/people/{person.id}/timeline"
    whole = (await rest.get(path)).json["items"]
    assert len(whole) == 5
    assert {entry["kind"] for entry in whole} == {
        "communication", "appointment", "pipeline_event",
    }  # fmt: skip
    times = [entry["at"] for entry in whole]
    assert times == sorted(times, reverse=True)
    exact = (await rest.get(f"{path}?limit=5")).json
    assert (exact["items"], exact["next"]) == (whole, None), "no empty page comes after the last"
    seen, after = [], ""
    while True:
        page = (await rest.get(f"{path}?limit=2{after}")).json
        seen += page["items"]
        # A newer entry on top moves no page below it.
        await rest.make(
            "communications",
            channel="call",
            person_id=person.id,
            occurred_at=(SOON + timedelta(days=1)).isoformat(),
        )
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert [entry["id"] for entry in seen] == [entry["id"] for entry in whole]
    of_lead = (await rest.get(f"/v1/leads/{lead.id}/timeline")).json["items"]
    assert {entry["kind"] for entry in of_lead} == {"appointment", "pipeline_event"}


async def test_money_and_times_keep_their_value(rest):
    """Decimals come back to the fourth digit, times in UTC to the microsecond."""
    person = await _person(rest, next_contact_at="2026-05-01T12:30:00.123456+02:00")
    assert person.json["next_contact_at"] == "2026-05-01T10:30:00.123456Z"
    organization = await rest.make(
        "organizations", name="ABC", annual_revenue="-12345678901234.5678"
    )
    assert organization.json["annual_revenue"] == "-12345678901234.5678"
