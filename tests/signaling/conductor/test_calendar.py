"""What the CRM decides about an appointment, and who is in or out of its room by that."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from crm_core.appointments.models import Appointment
from crm_core.appointments.service import book, cancel, fresh_links, reschedule
from crm_core.communications.models import Communication
from crm_core.meetings.journal_models import RoomOwner
from crm_core.meetings.models import RoomLink, VideoRoomParticipant
from crm_core.people.models import Person
from crm_core.tenants.models import Staff, Tenant
from rooms.ids import LinkId
from rooms.policy import IdentityKind, Role
from signaling.errors import CloseCode, RequestError
from signaling.journal import CrmJournal, find_overdue
from signaling.tokens import JoinGrant
from tests.signaling.conductor.node import TOKENS, Node, decide, left_at, outcome, rows
from tests.signaling.fakes import ManualClock, Stage, events, hello, request, wire
from tests.support.databases import LINKS
from tests.support.wait import until

HOUR = 3600.0


async def test_a_cancellation_over_the_crm_closes_the_waiting_room(
    database, booked, clock, monkeypatch
):
    """Who waits is told; room and appointment are cancelled and stay so; no meeting is logged."""
    monkeypatch.setattr("signaling.tenure.LEASE", 0.03)
    node = Node(database, clock)
    jane = await node.enter(booked, IdentityKind.PERSON, booked.person_id, lobby=True)
    await decide(database, booked, cancel, "ill")
    await until(lambda: wire(jane).closed)
    assert wire(jane).closed == (CloseCode.ENDED, "cancelled")
    await node.conductor.close()
    assert await outcome(database, booked) == ("cancelled", "cancelled", 0)
    assert {row.status for row in await rows(database, booked, VideoRoomParticipant)} == {"left"}


@pytest.mark.parametrize("came", [True, False])
async def test_a_meeting_that_is_cancelled_while_it_runs(
    database, booked, clock, monkeypatch, came
):
    """It ends for everybody, and its books are closed; the appointment is cancelled."""
    monkeypatch.setattr("signaling.tenure.LEASE", 0.03)
    node = Node(database, clock)
    host = await node.enter(booked, IdentityKind.STAFF, booked.staff_id, Role.HOST)
    if came:
        await node.enter(booked, IdentityKind.PERSON, booked.person_id)
    clock.time += 60
    await decide(database, booked, cancel, "ill")
    await until(lambda: wire(host).closed)
    assert wire(host).closed == (CloseCode.ENDED, "cancelled")
    await node.conductor.close()
    assert await outcome(database, booked) == ("ended", "cancelled", 1)
    assert None not in await left_at(database, booked)
    (log,) = await rows(database, booked, Communication)
    assert log.person_id == booked.person_id
    assert log.status == ("completed" if came else "cancelled")


async def test_a_meeting_that_was_cancelled_when_its_server_was_gone(database, booked, clock):
    """The next look closes its books."""
    node = Node(database, clock)
    await node.both(booked)
    await node.kill()
    async with database.unit_of_work(booked.tenant_id) as unit:
        row = await unit.session.get(Appointment, (booked.tenant_id, booked.id))
        await cancel(unit, row, "ill")
        await unit.session.execute(
            sa.update(RoomOwner).values(lease_until=datetime.fromtimestamp(clock.time, UTC))
        )
    second = Node(database, clock)
    await second.conductor.close_overdue()
    assert await outcome(database, booked) == ("ended", "cancelled", 1)
    await second.conductor.close()


async def test_an_appointment_is_moved_while_its_host_waits(database, booked, clock, monkeypatch):
    """The customer calls: the appointment has another time and is settled by who comes then."""
    monkeypatch.setattr("signaling.tenure.LEASE", 0.03)
    node = Node(database, clock)
    host = await node.enter(booked, IdentityKind.STAFF, booked.staff_id, Role.HOST)
    await decide(database, booked, reschedule, booked.starts_at + timedelta(days=1))
    assert await outcome(database, booked) == ("live", "scheduled", 0)
    await until(lambda: events(host, "room.changed"))
    await (await node.actor(booked)).perform(host, request("room.end"))
    assert await outcome(database, booked) == ("scheduled", "scheduled", 1)
    await node.conductor.close()


async def test_a_rescheduled_appointment_is_overdue_by_its_new_times(
    database, booked, clock, monkeypatch
):
    """An open room is told of them; a room that slept is not closed by the old ones."""
    monkeypatch.setattr("signaling.tenure.LEASE", 0.03)
    node = Node(database, clock)
    jane = await node.enter(booked, IdentityKind.PERSON, booked.person_id, lobby=True)
    until_then = booked.ends_at + timedelta(days=1)
    clock.time += 2
    await decide(database, booked, reschedule, booked.starts_at + timedelta(days=1))
    await until(lambda: events(jane, "lobby.state"))
    await node.conductor.close()
    assert await find_overdue(node.meetings, booked.ends_at.timestamp() + 2 * HOUR, 9) == []
    assert len(await find_overdue(node.meetings, until_then.timestamp() + 2 * HOUR, 9)) == 1


async def test_staff_who_are_let_go_are_out_of_the_meeting(database, booked, clock, monkeypatch):
    """The host by link is put out within a renewal, and nobody comes back by that link."""
    monkeypatch.setattr("signaling.tenure.LEASE", 0.03)
    node = Node(database, clock)
    async with database.unit_of_work(booked.tenant_id) as unit:
        link = await unit.session.scalar(
            sa.select(RoomLink.id).where(RoomLink.staff_id == booked.staff_id)
        )
    by_link = {"role": Role.HOST, "link": LinkId(str(link))}
    host = await node.enter(booked, IdentityKind.STAFF, booked.staff_id, **by_link)
    jane = await node.enter(booked, IdentityKind.PERSON, booked.person_id)
    async with database.unit_of_work(booked.tenant_id) as unit:
        staff = await unit.session.get(Staff, (booked.tenant_id, booked.staff_id))
        staff.is_active = False
    await until(lambda: wire(host).closed)
    assert wire(host).closed == (CloseCode.REMOVED, "remove")
    with pytest.raises(RequestError) as refused:
        await node.enter(booked, IdentityKind.STAFF, booked.staff_id, **by_link)
    assert refused.value.code == "forbidden"
    assert not wire(jane).closed
    await node.conductor.close()


async def _newest_link(database, appointment, role="participant"):
    """The newest link of the appointment with this role, as a hello names it."""
    async with database.unit_of_work(appointment.tenant_id, read_only=True) as unit:
        found = await unit.session.scalar(
            sa.select(RoomLink.id)
            .where(RoomLink.appointment_id == appointment.id, RoomLink.role == role)
            .order_by(RoomLink.id.desc())
        )
    return LinkId(str(found))


async def test_who_shared_a_room_is_out_when_their_appointment_is_cancelled(
    database, booked, clock, monkeypatch
):
    """In or at the door, within a renewal; the others and the host go on."""
    monkeypatch.setattr("signaling.tenure.LEASE", 0.03)
    others = []
    for name in ("Kim", "Lee"):
        async with database.unit_of_work(booked.tenant_id) as unit:
            person = Person(id=unit.ids(), first_name=name)
            await unit.add(person)
            values = {
                "staff_id": booked.staff_id, "person_id": person.id,
                "starts_at": booked.starts_at, "video_room_id": booked.video_room_id,
            }  # fmt: skip
            others.append((await book(unit, values, LINKS)).appointment)
    node = Node(database, clock)
    host = await node.enter(booked, IdentityKind.STAFF, booked.staff_id, Role.HOST)
    jane = await node.enter(booked, IdentityKind.PERSON, booked.person_id)
    kim, lee = [
        await node.enter(
            booked,
            IdentityKind.PERSON,
            each.person_id,
            lobby=waits,
            link=await _newest_link(database, each),
        )
        for each, waits in zip(others, (False, True), strict=True)
    ]
    for each in others:
        await decide(database, each, cancel, "ill")
    await until(lambda: wire(kim).closed and wire(lee).closed)
    assert wire(kim).closed == (CloseCode.REMOVED, "remove")
    assert wire(lee).closed == (CloseCode.DENIED, "deny")
    assert not wire(host).closed
    assert not wire(jane).closed
    await node.conductor.close()


async def test_who_waits_by_a_link_that_was_replaced_is_not_offered_to_the_host(
    database, booked, clock, monkeypatch
):
    """Within a renewal; who was let in by it stays, and by the new link one waits as ever."""
    monkeypatch.setattr("signaling.tenure.LEASE", 0.03)
    renewals, renew = [], CrmJournal.renew

    async def counted(journal, epoch):
        renewals.append(await renew(journal, epoch))
        return renewals[-1]

    monkeypatch.setattr(CrmJournal, "renew", counted)
    node = Node(database, clock)
    old = await _newest_link(database, booked)
    await node.enter(booked, IdentityKind.STAFF, booked.staff_id, Role.HOST)
    inside = await node.enter(booked, IdentityKind.GUEST, uuid.uuid4(), link=old)
    waiting = {"lobby": True, "link": old}
    jane = await node.enter(booked, IdentityKind.PERSON, booked.person_id, **waiting)
    await decide(database, booked, fresh_links, LINKS)
    await until(lambda: wire(jane).closed)
    assert wire(jane).closed == (CloseCode.DENIED, "deny")
    waiting["link"] = await _newest_link(database, booked)
    jane = await node.enter(booked, IdentityKind.PERSON, booked.person_id, **waiting)
    actor = await node.actor(booked)
    (row,) = [each for each in actor.room.state.participants.values() if each.waiting]
    assert row.link == waiting["link"]
    before = len(renewals)
    await until(lambda: len(renewals) > before + 2)
    assert row.waiting
    assert not wire(jane).closed
    assert not wire(inside).closed
    await node.conductor.close()
    (stored,) = [
        each for each in await rows(database, booked, VideoRoomParticipant) if each.person_id
    ]
    assert str(stored.link_id) == waiting["link"]


async def _renew_links(database, booked):
    await decide(database, booked, fresh_links, LINKS)


async def _switch_tenant_off(database, booked):
    async with database.unit_of_work(booked.tenant_id) as unit:
        (await unit.session.get(Tenant, booked.tenant_id)).is_active = False


async def _cancel(database, booked):
    await decide(database, booked, cancel, "called off")


async def _let_staff_go(database, booked):
    async with database.unit_of_work(booked.tenant_id) as unit:
        (await unit.session.get(Staff, (booked.tenant_id, booked.staff_id))).is_active = False


async def _delete_person(database, booked):
    async with database.unit_of_work(booked.tenant_id) as unit:
        (await unit.session.get(Person, (booked.tenant_id, booked.person_id))).deleted_at = unit.now


async def _cancel_one_of_two(database, booked):
    async with database.unit_of_work(booked.tenant_id) as unit:
        values = {"staff_id": booked.staff_id, "starts_at": booked.starts_at}
        await book(unit, {**values, "video_room_id": booked.video_room_id}, LINKS)
    await decide(database, booked, cancel, "called off")


async def _meet_and_end(database, booked):
    node = Node(database, ManualClock(booked.starts_at.timestamp()))
    host, _ = await node.both(booked)
    await (await node.actor(booked)).perform(host, request("room.end"))
    await node.conductor.close()


@pytest.mark.parametrize(
    ("role", "shut", "age", "refusal"),
    [
        ("participant", _renew_links, 30, "not_found"),
        ("participant", None, 30, None),
        ("participant", _renew_links, 1, "not_found"),
        ("participant", _switch_tenant_off, 1, "not_found"),
        ("participant", _delete_person, 1, "not_found"),
        ("participant", _cancel_one_of_two, 1, "not_found"),
        ("participant", _cancel, 1, "cancelled"),
        ("participant", _meet_and_end, 1, "ended"),
        ("host", _renew_links, 1, "not_found"),
        ("host", _switch_tenant_off, 1, "not_found"),
        ("host", _let_staff_go, 1, "not_found"),
        ("host", _cancel, 1, "cancelled"),
        ("host", _meet_and_end, 1, "ended"),
        ("host", None, 1, None),
    ],
)
async def test_a_token_that_was_kept_opens_nothing_once_its_link_opens_nothing(
    database, booked, clock, role, shut, age, refusal
):
    """Else whoever drew one before links were renewed or tenants switched off is in for good."""
    node = Node(database, clock)
    link = await _newest_link(database, booked, role)
    room = (str(booked.tenant_id), str(booked.video_room_id))
    grant = JoinGrant(*room, link, role, "guest", "", "d", lobby=False, name="Mal")
    token = TOKENS.issue_join(grant, clock.wall())
    if shut:
        await shut(database, booked)
    clock.time += age
    client = Stage().client()
    coming = node.conductor.enter(client, hello(client, token=token))
    if refusal is None:
        await coming
        assert client.participant is not None
    else:
        with pytest.raises(RequestError) as refused:
            await coming
        assert refused.value.code == refusal
        assert not node.conductor.actors
    await node.conductor.close()


async def test_nobody_waits_on_once_their_tenant_was_switched_off(
    database, booked, clock, monkeypatch
):
    """Within a renewal; there is no room any more into which a host could let them."""
    monkeypatch.setattr("signaling.tenure.LEASE", 0.03)
    node = Node(database, clock)
    link = await _newest_link(database, booked)
    jane = await node.enter(booked, IdentityKind.PERSON, booked.person_id, lobby=True, link=link)
    await _switch_tenant_off(database, booked)
    await until(lambda: wire(jane).closed)
    assert wire(jane).closed == (CloseCode.DENIED, "deny")
    await node.conductor.close()
