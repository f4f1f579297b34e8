"""Appointments over HTTP: the room, its links, double booking, moving and cancelling."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from crm_core.errors import LinkRefused, RoomOver
from crm_core.meetings.models import VideoRoom
from crm_core.meetings.service import MeetingService
from crm_core.metadata import metadata
from crm_core.tenants.models import Tenant

NINE = datetime(2026, 12, 1, 9, tzinfo=UTC)


def _at(minutes):
    return (NINE + timedelta(minutes=minutes)).isoformat()


def _code_and_secret(url):
    code, _, secret = url.partition("/m/")[2].partition("#k=")
    return code, secret


async def test_a_video_appointment_answers_with_a_room_and_two_links(rest, database, tenant):
    """The answer carries the room and both links; a later read carries no secret."""
    person = await rest.make("people", first_name="Jane", last_name="Doe")
    lead = await rest.make("leads", person_id=person.id)
    made = await rest.make(
        "appointments",
        person_id=person.id,
        lead_id=lead.id,
        location_kind="video",
        starts_at=_at(0),
        ends_at=_at(30),
    )
    room = (await rest.get(f"/v1/video_rooms/{made.json['video_room_id']}")).json
    assert (room["type"], room["capacity"], room["status"]) == ("consultation", 4, "scheduled")
    read = (await rest.get(f"/v1/appointments/{made.id}")).json
    assert not {"host_url", "guest_url"} & set(read)
    meetings = MeetingService(database)
    host = await meetings.resolve_link(*_code_and_secret(made.json["host_url"]))
    guest = await meetings.resolve_link(*_code_and_secret(made.json["guest_url"]))
    assert (host.role, host.staff_id, host.lobby) == ("host", tenant.staff.id, False)
    assert (guest.role, guest.person_id, guest.lobby) == ("participant", UUID(person.id), True)
    assert guest.display_name == "Jane Doe"
    assert {host.tenant_id, guest.tenant_id} == {tenant.tenant.id}


async def test_a_wrong_secret_an_absent_room_and_a_revoked_link_are_the_same(rest, database):
    """Who knows no secret learns nothing about what exists."""
    made = await rest.make("appointments", starts_at=_at(0))
    code, secret = _code_and_secret(made.json["guest_url"])
    other = await rest.make("appointments", starts_at=_at(60))
    other_code, _ = _code_and_secret(other.json["guest_url"])
    fresh = await rest.post(f"/v1/appointments/{made.id}:links")
    meetings = MeetingService(database)
    assert await meetings.resolve_link(*_code_and_secret(fresh.json["guest_url"]))
    refusals = set()
    for pair in ((code, secret), (code, "x"), ("nowhere", secret), (other_code, secret)):
        with pytest.raises(LinkRefused) as refused:
            await meetings.resolve_link(*pair)
        refusals.add(str(refused.value))
    assert len(refusals) == 1


async def test_secrets_are_nowhere_in_the_database(rest, database, tenant):
    """Neither link secrets nor API keys can be read from any row of any table."""
    made = await rest.make("appointments", starts_at=_at(0))
    await rest.post("/v1/appointments", {"starts_at": _at(60)}, Idempotency_Key="with-secrets")
    again = await rest.post(
        "/v1/appointments", {"starts_at": _at(60)}, Idempotency_Key="with-secrets"
    )
    secrets = [tenant.api_key_secret]
    for answer in (made, again):
        secrets += [_code_and_secret(answer.json[name])[1] for name in ("host_url", "guest_url")]
    async with database.unit_of_work(tenant.tenant.id, read_only=True) as unit:
        assert await unit.session.scalar(select(Tenant.name)) == "Sun Works"
        connection = await unit.session.connection()
        for table in metadata.sorted_tables:
            for row in await connection.execute(select(table)):
                for secret in secrets:
                    assert secret not in repr(tuple(row)), table.name


async def test_the_room_is_called_off_with_the_appointment(rest, database):
    """After cancel the time is free, the room is cancelled and its links open nothing."""
    made = await rest.make("appointments", starts_at=_at(0))
    cancelled = await rest.post(f"/v1/appointments/{made.id}:cancel", {"reason": "rain"})
    assert (cancelled.json["status"], cancelled.json["outcome"]) == ("cancelled", "cancelled")
    room = (await rest.get(f"/v1/video_rooms/{made.json['video_room_id']}")).json
    assert room["status"] == "cancelled"
    with pytest.raises(RoomOver):
        await MeetingService(database).resolve_link(*_code_and_secret(made.json["host_url"]))
    assert (await rest.post(f"/v1/appointments/{made.id}:links")).status == 409
    assert (await rest.post(f"/v1/appointments/{made.id}:cancel")).json[
        "code"
    ] == "illegal_transition"
    await rest.make("appointments", starts_at=_at(0))


async def test_who_is_gone_gets_into_no_meeting(rest, database):
    """Links of a deleted person, and of staff who left or were deleted, open nothing."""
    meetings = MeetingService(database)
    ended = datetime.now(UTC) - timedelta(minutes=10)
    times = {"starts_at": (ended - timedelta(hours=1)).isoformat(), "ends_at": ended.isoformat()}
    person = await rest.make("people", first_name="Jane")
    for gone in ("deleted", "inactive"):
        staff = await rest.make("staff", name="Kim Park")
        made = await rest.make("appointments", staff_id=staff.id, person_id=person.id, **times)
        host = _code_and_secret(made.json["host_url"])
        guest = _code_and_secret(made.json["guest_url"])
        assert await meetings.resolve_link(*host)
        if gone == "deleted":
            answer = await rest.call("DELETE", f"/v1/staff/{staff.id}", If_Match=staff.etag)
        else:
            answer = await rest.patch(f"/v1/staff/{staff.id}", {"is_active": False}, staff.etag)
        assert answer.status in {200, 204}
        with pytest.raises(LinkRefused):
            await meetings.resolve_link(*host)
        assert await meetings.resolve_link(*guest)
    await rest.call("DELETE", f"/v1/people/{person.id}", If_Match=person.etag)
    with pytest.raises(LinkRefused):
        await meetings.resolve_link(*guest)


async def test_who_has_an_appointment_ahead_is_not_deleted(rest):
    """Neither the person nor the member of staff, until it is cancelled; the answer names it."""
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    person = await rest.make("people", first_name="Jane")
    staff = await rest.make("staff", name="Kim Park")
    made = await rest.make(
        "appointments", staff_id=staff.id, person_id=person.id, starts_at=tomorrow
    )
    for path, record in (("people", person), ("staff", staff)):
        refused = await rest.call("DELETE", f"/v1/{path}/{record.id}", If_Match=record.etag)
        assert (refused.status, refused.json["code"]) == (409, "contradiction")
        assert refused.json["appointment_id"] == made.id
    assert (await rest.post(f"/v1/appointments/{made.id}:cancel")).status == 200
    for path, record in (("people", person), ("staff", staff)):
        gone = await rest.call("DELETE", f"/v1/{path}/{record.id}", If_Match=record.etag)
        assert gone.status == 204


async def test_an_appointment_about_a_lead_is_with_its_person(rest):
    """Who names the lead alone means the person it is about."""
    person = await rest.make("people", first_name="Jane")
    lead = await rest.make("leads", person_id=person.id)
    made = await rest.make("appointments", lead_id=lead.id, starts_at=_at(0))
    assert made.json["person_id"] == person.id


async def test_an_appointment_of_months_is_a_slip(rest):
    """Longer than any visit: refused with the field that is wrong."""
    made = await rest.post("/v1/appointments", {"starts_at": _at(0), "ends_at": _at(60 * 24 * 32)})
    assert (made.status, made.json["code"], made.json["field"]) == (409, "contradiction", "ends_at")


async def test_changing_the_person_changes_the_link(rest, database):
    """PATCH of person_id: the old guest link is void, and a fresh one is the new person's."""
    people = [await rest.make("people", first_name=name) for name in ("Jane", "Kim")]
    made = await rest.make("appointments", person_id=people[0].id, starts_at=_at(0))
    changed = await rest.patch(
        f"/v1/appointments/{made.id}", {"person_id": people[1].id}, made.etag
    )
    assert changed.status == 200
    meetings = MeetingService(database)
    with pytest.raises(LinkRefused):
        await meetings.resolve_link(*_code_and_secret(made.json["guest_url"]))
    fresh = await rest.post(f"/v1/appointments/{made.id}:links")
    guest = await meetings.resolve_link(*_code_and_secret(fresh.json["guest_url"]))
    assert (str(guest.person_id), guest.display_name) == (people[1].id, "Kim")
    attendees = (await rest.get(f"/v1/appointments/{made.id}?include=attendees")).json
    expected = [each["person_id"] for each in attendees["included"]["appointment_attendees"]]
    assert sorted(filter(None, expected)) == [people[1].id]


async def test_moving_an_appointment_moves_booking_and_room(rest):
    """Reschedule keeps the length, frees the old time and needs a new confirmation."""
    made = await rest.make("appointments", starts_at=_at(0), ends_at=_at(45))
    confirmed = await rest.post(f"/v1/appointments/{made.id}:confirm")
    assert confirmed.json["status"] == "confirmed"
    moved = await rest.post(f"/v1/appointments/{made.id}:reschedule", {"starts_at": _at(120)})
    assert (moved.json["status"], moved.json["calendar_sequence"]) == ("scheduled", 1)
    assert moved.json["ends_at"] == "2026-12-01T11:45:00.000000Z"
    room = (await rest.get(f"/v1/video_rooms/{made.json['video_room_id']}")).json
    assert room["starts_at"] == moved.json["starts_at"]
    blocker = await rest.make("appointments", starts_at=_at(0))
    taken = await rest.post(f"/v1/appointments/{made.id}:reschedule", {"starts_at": _at(15)})
    assert (taken.status, taken.json["conflict"]["appointment_id"]) == (409, blocker.id)


async def test_thirty_callers_want_overlapping_times(rest):
    """Of 30 concurrent bookings on overlapping, unequal intervals one wins; the rest are told why."""
    answers = await asyncio.gather(
        *(
            rest.post(
                "/v1/appointments",
                {"starts_at": _at(index), "ends_at": _at(60 + 2 * index)},
            )
            for index in range(30)
        )
    )
    won = [answer for answer in answers if answer.status == 201]
    refused = [answer for answer in answers if answer.status == 409]
    assert (len(won), len(refused)) == (1, 29)
    for answer in refused:
        assert answer.json["code"] == "slot_taken"
        assert answer.json["conflict"]["appointment_id"] == won[0].id
        assert answer.json["conflict"]["starts_at"] == won[0].json["starts_at"]
        assert answer.json["conflict"]["ends_at"] == won[0].json["ends_at"]
    rooms = (await rest.get("/v1/video_rooms")).json["items"]
    assert len(rooms) == 1


async def test_back_to_back_appointments_do_not_overlap(rest):
    """An interval includes its start and not its end."""
    await rest.make("appointments", starts_at=_at(0), ends_at=_at(30))
    await rest.make("appointments", starts_at=_at(30), ends_at=_at(60))


async def test_buffers_of_a_service_are_booked_too(rest):
    """A service's buffers keep the time around the appointment free."""
    service = await rest.make(
        "services", name="Visit", duration_minutes=30, buffer_after_minutes=15
    )
    made = await rest.make("appointments", service_id=service.id, starts_at=_at(0))
    assert made.json["ends_at"] == "2026-12-01T09:30:00.000000Z"
    assert (await rest.post("/v1/appointments", {"starts_at": _at(40)})).status == 409
    await rest.make("appointments", starts_at=_at(45))


async def test_somebody_must_be_booked(rest):
    """With two bookable staff members and a key of neither, the appointment must say whose it is."""
    bo = await rest.make("staff", name="Bo Lee")
    mine = await rest.make("appointments", starts_at=_at(0))
    assert mine.json["staff_id"] != bo.id
    theirs = await rest.make("appointments", starts_at=_at(0), staff_id=bo.id)
    assert theirs.json["staff_id"] == bo.id


async def test_times_in_the_wrong_order_are_refused(rest):
    """An appointment ends after it starts."""
    refused = await rest.post("/v1/appointments", {"starts_at": _at(30), "ends_at": _at(30)})
    assert (refused.status, refused.json["field"]) == (409, "ends_at")


async def test_a_deleted_appointment_takes_nobodys_time_and_opens_no_room(rest, database):
    """Deleting one that was to take place calls it off first: its time is free, its links are void."""
    made = await rest.make("appointments", starts_at=_at(0))
    answer = await rest.call("DELETE", f"/v1/appointments/{made.id}", If_Match=made.etag)
    assert answer.status == 204
    room = (await rest.get(f"/v1/video_rooms/{made.json['video_room_id']}")).json
    assert room["status"] == "cancelled"
    for name in ("host_url", "guest_url"):
        with pytest.raises(RoomOver):
            await MeetingService(database).resolve_link(*_code_and_secret(made.json[name]))
    await rest.make("appointments", starts_at=_at(0))


async def test_an_appointment_whose_people_meet_stays_and_is_with_whom_it_was(
    rest, database, tenant
):
    """Also when it was moved meanwhile; one that was called off is nothing to those who meet."""
    made = await rest.make("appointments", starts_at=_at(0))
    shared = {"starts_at": _at(0), "video_room_id": made.json["video_room_id"]}
    other = await rest.make("appointments", **shared)
    phone = await rest.make("appointments", starts_at=_at(60), location_kind="phone")
    somebody = await rest.make("people", first_name="Somebody")

    async def become(status):
        async with database.unit_of_work(tenant.tenant.id) as unit:
            (room,) = await unit.session.scalars(select(VideoRoom))
            room.status = status

    async def call(method, row, **body):
        etag = (await rest.get(f"/v1/appointments/{row.id}")).etag
        return await rest.call(method, f"/v1/appointments/{row.id}", **body, If_Match=etag)

    async def delete(row):
        return await call("DELETE", row)

    async def give_to_somebody(row):
        return await call("PATCH", row, body={"person_id": somebody.id})

    await rest.post(f"/v1/appointments/{other.id}:cancel", {})
    await become("lobby_open")  # who waits is no other, too
    assert (await give_to_somebody(made)).status == 409
    for status in ("live", "ending"):
        await become(status)
        for refused in (await delete(made), await give_to_somebody(made)):
            assert (refused.status, refused.json["room_status"]) == (409, status)
        assert (await call("PATCH", made, body={"notes": status})).status == 200
    assert [(await give_to_somebody(row)).status for row in (other, phone)] == [200, 200]
    assert [(await delete(row)).status for row in (other, phone)] == [204, 204]
    await become("scheduled")
    assert (await give_to_somebody(made)).json["person_id"] == somebody.id
    assert (await delete(made)).status == 204
