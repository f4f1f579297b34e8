"""The rooms of a node over the real database: books are closed, whoever comes back or does not."""

import asyncio
import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
import sqlalchemy as sa

from crm_core.appointments.models import Appointment
from crm_core.appointments.service import book, cancel, fresh_links, reschedule
from crm_core.communications.models import Communication
from crm_core.meetings.journal_models import RoomOwner
from crm_core.meetings.models import (
    RoomLink,
    VideoRoom,
    VideoRoomInterval,
    VideoRoomParticipant,
    VideoRoomSession,
)
from crm_core.meetings.service import JournalRecord, MeetingService
from crm_core.people.models import Person
from crm_core.tenants.models import Staff
from rooms.commands import Enter
from rooms.ids import Identity, LinkId
from rooms.policy import IdentityKind, Role
from rooms.timers import AFTER_END_S, EMPTY_S, HOST_LEFT_GRACE_S, RECONNECT_S, SHOW_LOST_S
from signaling.actor import RoomActor
from signaling.clock import TextIds
from signaling.conductor import Conductor, ResumeSecrets, key_of
from signaling.errors import CloseCode, RequestError
from signaling.feed import LocalFeed
from signaling.journal import SILENCE, CrmJournal, find_overdue
from signaling.links import CrmLinks
from signaling.tokens import JoinGrant, Tokens
from storage.database import Database
from tests.signaling.fakes import ManualClock, RecordingAdapter, Stage, events, hello, request, wire
from tests.support.databases import LINKS
from tests.support.wait import until

HOUR = 3600.0
TOKENS = Tokens(b"k" * 32)


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """Askers wait for a slow disk: these tests are about books, not about who is told in time."""
    monkeypatch.setattr("signaling.committer.ANSWER_WITHIN", 60.0)


@pytest.fixture
def clock():
    """Starts now, as PostgreSQL's leases run by its own clock."""
    return ManualClock(float(int(time.time())))


@pytest.fixture(params=["sqlite_url", "app_url"])
def database_url(request):
    """A database of either kind that nobody shares: the look for overdue rooms crosses tenants."""
    return request.getfixturevalue(request.param)


@pytest_asyncio.fixture
async def database(database_url, clock):
    """A pool by the test's clock."""
    pool = Database(database_url, clock=lambda: datetime.fromtimestamp(clock.time, UTC))
    yield pool
    await pool.close()


@pytest_asyncio.fixture
async def booked(database, tenant, clock):
    """An appointment of an hour that begins now, with Ana Diaz and Jane Doe."""
    starts_at = datetime.fromtimestamp(clock.time, UTC)
    async with database.unit_of_work(tenant.tenant.id) as unit:
        person = Person(id=unit.ids(), first_name="Jane", last_name="Doe")
        await unit.add(person)
        values = {
            "title": "Roof review", "staff_id": tenant.staff.id, "person_id": person.id,
            "starts_at": starts_at, "ends_at": starts_at + timedelta(hours=1),
            "location_kind": "video",
        }  # fmt: skip
        made = await book(unit, values, LINKS)
    return made.appointment


class Node:
    """A server process, as far as rooms go."""

    def __init__(self, database, clock, name="node-a", **settings):
        self.database, self.clock, self.name = database, clock, name
        self.meetings = MeetingService(database)
        self.looks = 0

        async def find(wall, at_most):
            self.looks += 1
            return await find_overdue(self.meetings, wall, at_most)

        links = CrmLinks(self.meetings, clock)
        self.conductor = Conductor(TOKENS, clock, self.make_actor, links.check, find, **settings)

    def make_actor(self, key, gone):
        async def open_feed(_key, _epoch):
            return LocalFeed()

        room = (uuid.UUID(key.tenant_id), uuid.UUID(key.room_id))
        return RoomActor(
            key,
            CrmJournal(self.meetings, *room, self.name),
            clock=self.clock,
            ids=TextIds(),
            secrets=ResumeSecrets(TOKENS, self.clock),
            open_feed=open_feed,
            make_adapter=RecordingAdapter,
            gone=gone,
        )

    async def actor(self, appointment):
        return await self.conductor.actor(key_of(appointment.tenant_id, appointment.video_room_id))

    async def enter(self, appointment, kind, who, role=Role.PARTICIPANT, *, lobby=False, link=None):
        """Somebody comes in by a link."""
        key = key_of(appointment.tenant_id, appointment.video_room_id)
        actor = await self.conductor.sitting(key)
        client = Stage().client()
        hello(client, token="t")
        command = Enter(
            Identity(f"{kind}:{who}"), kind, str(who), role=role, lobby=lobby, link=link
        )
        await actor.enter(client, "h", lambda: command)
        actor.heard(client)
        return client

    async def both(self, appointment):
        """Consultant and customer meet."""
        return [
            await self.enter(appointment, IdentityKind.STAFF, appointment.staff_id, Role.HOST),
            await self.enter(appointment, IdentityKind.PERSON, appointment.person_id),
        ]

    async def kill(self):
        """The process is gone, as its database sees it."""
        for actor in self.conductor.actors:
            tenure = actor._tenure
            tenure._keeper.cancel()
            await tenure.current.committer.flush()
            await tenure.current.committer.abandon()
            tenure.current = None

    async def pass_time(self, appointment, *seconds):
        """Let time pass in steps, and the room's timers fire."""
        actor = await self.actor(appointment)
        for step in seconds:
            self.clock.time += step
            actor._timeout()
            await actor._tenure.current.committer.flush()


async def decide(database, appointment, use_case, *arguments):
    """The calendar decides something about an appointment."""
    async with database.unit_of_work(appointment.tenant_id) as unit:
        row = await unit.session.get(Appointment, (appointment.tenant_id, appointment.id))
        await use_case(unit, row, *arguments)


async def rows(database, appointment, model):
    async with database.unit_of_work(appointment.tenant_id, read_only=True) as unit:
        return list(await unit.session.scalars(sa.select(model)))


async def outcome(database, appointment):
    """Status of room and appointment, and how many communications there are."""
    (room,) = await rows(database, appointment, VideoRoom)
    (row,) = await rows(database, appointment, Appointment)
    return room.status, row.status, len(await rows(database, appointment, Communication))


async def left_at(database, appointment):
    """When each attendance ended, as room time."""
    found = await rows(database, appointment, VideoRoomInterval)
    return {None if row.left_at is None else row.left_at.timestamp() for row in found}


async def test_a_meeting_that_everybody_left_is_closed_though_nobody_returns(
    database, booked, clock
):
    """Not before its time; then once, with the attendance that was, and the room is let go."""
    first = Node(database, clock)
    clients = await first.both(booked)
    clock.time += 1200
    gone = clock.time
    actor = await first.actor(booked)
    for client in clients:
        await actor.perform(client, request("leave"))
        actor.lost(client)
    await first.pass_time(booked, HOST_LEFT_GRACE_S)
    assert actor.idle, "its next timer is far away"
    await first.conductor.close()

    second = Node(database, clock)
    clock.time = booked.ends_at.timestamp() + AFTER_END_S - 1
    await second.conductor.close_overdue()
    assert await outcome(database, booked) == ("live", "in_progress", 0)
    clock.time += 1
    for _ in range(2):
        await second.conductor.close_overdue()
        assert await outcome(database, booked) == ("ended", "completed", 1)
        assert second.conductor.actors == []
    assert await left_at(database, booked) == {gone}


async def test_a_meeting_whose_server_was_killed_is_closed_though_nobody_returns(
    database, booked, clock
):
    """Attendance ends at the dead node's last sign of life, not when its room was found."""
    first = Node(database, clock)
    await first.both(booked)
    await first.kill()
    alive = clock.time + 1500
    async with database.unit_of_work(booked.tenant_id) as unit:
        await unit.session.execute(
            sa.update(RoomOwner).values(
                alive_at=datetime.fromtimestamp(alive, UTC),
                lease_until=datetime.fromtimestamp(alive + 15, UTC),
            )
        )
    second = Node(database, clock)
    clock.time = booked.ends_at.timestamp() + AFTER_END_S
    await second.conductor.close_overdue()
    assert second.conductor.actors, "the look opened it"
    assert await outcome(database, booked) == ("live", "in_progress", 0), "they have their window"
    await second.pass_time(booked, SHOW_LOST_S, RECONNECT_S, EMPTY_S)
    assert await outcome(database, booked) == ("ended", "completed", 1)
    assert await left_at(database, booked) == {alive}
    assert {row.status for row in await rows(database, booked, VideoRoomParticipant)} == {"left"}
    assert (await second.actor(booked)).idle
    await second.conductor.close()


async def test_an_appointment_that_nobody_came_to_is_a_no_show(database, booked, clock):
    """Its room was never opened; the look at the start of any server finds it, and those later."""
    node = Node(database, clock, overdue_every=0.01)
    clock.time = booked.ends_at.timestamp() + AFTER_END_S - 1
    await node.conductor.start()
    await until(lambda: node.looks > 2)
    assert await outcome(database, booked) == ("scheduled", "scheduled", 0)
    clock.time += 1
    looks = node.looks
    await until(lambda: node.looks > looks + 2)
    assert await outcome(database, booked) == ("expired", "no_show", 0)
    assert node.conductor.actors == []
    await node.conductor.close()


async def test_a_room_that_another_node_has_is_left_alone(database, booked, clock):
    """A lease that lives keeps the room, however long its appointment is past."""
    owner, other = Node(database, clock), Node(database, clock, "node-b")
    await owner.both(booked)
    clock.time = booked.ends_at.timestamp() + AFTER_END_S + HOUR
    actor = await owner.actor(booked)
    await actor._journal.renew(actor._tenure.current.epoch)
    await other.conductor.close_overdue()
    assert other.conductor.actors == []
    assert await outcome(database, booked) == ("live", "in_progress", 0)
    await owner.conductor.close()


async def test_a_room_is_not_taken_while_its_people_may_return(database, booked, clock):
    """A node that was killed has its whole window to come back and find its rooms free."""
    node = Node(database, clock)
    await node.both(booked)
    await node.kill()
    since = clock.time = booked.ends_at.timestamp() + AFTER_END_S + HOUR
    async with database.unit_of_work(booked.tenant_id) as unit:
        await unit.session.execute(
            sa.update(RoomOwner).values(lease_until=datetime.fromtimestamp(since, UTC))
        )
    assert await find_overdue(node.meetings, since + SILENCE - 1, 9) == []
    room = (booked.tenant_id, booked.video_room_id)
    assert await find_overdue(node.meetings, since + SILENCE, 9) == [room]


async def test_a_meeting_in_its_last_seconds_is_taken_at_once(database, booked, clock):
    """Killed while ending: nobody will come back, so its books need not wait for anybody."""
    node = Node(database, clock)
    await node.both(booked)
    await node.kill()
    now = clock.time + 1
    async with database.unit_of_work(booked.tenant_id) as unit:
        await unit.session.execute(
            sa.update(RoomOwner).values(lease_until=datetime.fromtimestamp(now, UTC))
        )
        await unit.session.execute(sa.update(VideoRoom).values(status="ending"))
    assert await find_overdue(node.meetings, now - 1, 9) == []
    assert await find_overdue(node.meetings, now, 9) == [(booked.tenant_id, booked.video_room_id)]


async def test_one_room_that_cannot_be_opened_does_not_keep_the_others(
    database, booked, clock, caplog
):
    """A room that is gone, or whose journal is torn, is told in the log; the next is closed."""
    node = Node(database, clock)
    async with database.unit_of_work(booked.tenant_id) as unit:
        values = {
            "staff_id": booked.staff_id,
            "starts_at": booked.ends_at,
            "location_kind": "video",
        }
        other = (await book(unit, values, LINKS)).appointment
    torn = (booked.tenant_id, other.video_room_id)
    claim = await node.meetings.claim_room(*torn, node.name, 60)
    junk = JournalRecord(1, "nonsense", "room", {"p": {}, "by": None}, booked.ends_at, 1)
    await node.meetings.append(*torn, claim.epoch, [junk])
    clock.time = booked.ends_at.timestamp() + AFTER_END_S
    room = (booked.tenant_id, booked.video_room_id)

    async def find(_wall, _at_most):
        return [(booked.tenant_id, uuid.uuid4()), torn, room]

    make = node.make_actor
    made = []

    def make_actor(key, gone):
        actor = make(key, gone)
        made.append(actor)
        return actor

    node.conductor = Conductor(
        TOKENS, clock, make_actor, CrmLinks(node.meetings, clock).check, find
    )
    await node.conductor.close_overdue()
    assert len(made) == 3
    assert "CorruptHistory: 'nonsense'" in caplog.records[-1].why
    async with database.unit_of_work(booked.tenant_id, read_only=True) as unit:
        status = sa.select(Appointment.status).where(Appointment.id == booked.id)
        assert await unit.session.scalar(status) == "no_show"


async def test_so_many_at_most(database, booked, clock):
    """One look finds a bounded number, those without an owner for longest first."""
    meetings = MeetingService(database)
    async with database.unit_of_work(booked.tenant_id) as unit:
        later = booked.ends_at + timedelta(hours=1)
        other = await book(
            unit,
            {"staff_id": booked.staff_id, "starts_at": later, "location_kind": "video"},
            LINKS,
        )
        await unit.session.execute(
            sa.update(RoomOwner)
            .where(RoomOwner.room_id == other.appointment.video_room_id)
            .values(lease_until=booked.starts_at - timedelta(hours=1))
            .execution_options(synchronize_session=False)
        )
    wall = clock.time + 24 * HOUR
    found = await find_overdue(meetings, wall, 9)
    assert [room for _, room in found] == [other.appointment.video_room_id, booked.video_room_id]
    assert await find_overdue(meetings, wall, 1) == found[:1]


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


async def test_a_host_who_looks_in_early_settles_nothing(database, booked, clock):
    """Ended before the door opened, with nobody else: the appointment waits for the next sitting."""
    node = Node(database, clock)
    await decide(database, booked, reschedule, booked.starts_at + timedelta(days=2))
    host = await node.enter(booked, IdentityKind.STAFF, booked.staff_id, Role.HOST)
    assert await outcome(database, booked) == ("live", "in_progress", 0)
    actor = await node.actor(booked)
    clock.time += 60
    await actor.perform(host, request("room.end"))
    actor.lost(host)
    assert await outcome(database, booked) == ("scheduled", "scheduled", 1)
    (log,) = await rows(database, booked, Communication)
    assert (log.direction, log.person_id) == ("internal", None)

    clock.time += 2 * 24 * HOUR
    host, _ = await node.both(booked)
    clock.time += 600
    await (await node.actor(booked)).perform(host, request("room.end"))
    assert await outcome(database, booked) == ("ended", "completed", 2)
    await node.conductor.close()
    sittings = await rows(database, booked, VideoRoomSession)
    assert sorted((row.session_no, row.status) for row in sittings) == [(1, "ended"), (2, "ended")]
    logs = {
        row.message_id[-1]: row.person_id for row in await rows(database, booked, Communication)
    }
    assert logs == {"1": None, "2": booked.person_id}


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


async def _guest_link(database, appointment):
    """The newest guest link of the appointment, as a hello names it."""
    async with database.unit_of_work(appointment.tenant_id, read_only=True) as unit:
        found = await unit.session.scalar(
            sa.select(RoomLink.id)
            .where(RoomLink.appointment_id == appointment.id, RoomLink.role == "participant")
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
            link=await _guest_link(database, each),
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
    node = Node(database, clock)
    old = await _guest_link(database, booked)
    await node.enter(booked, IdentityKind.STAFF, booked.staff_id, Role.HOST)
    inside = await node.enter(booked, IdentityKind.GUEST, uuid.uuid4(), link=old)
    waiting = {"lobby": True, "link": old}
    jane = await node.enter(booked, IdentityKind.PERSON, booked.person_id, **waiting)
    await decide(database, booked, fresh_links, LINKS)
    await until(lambda: wire(jane).closed)
    assert wire(jane).closed == (CloseCode.DENIED, "deny")
    waiting["link"] = await _guest_link(database, booked)
    jane = await node.enter(booked, IdentityKind.PERSON, booked.person_id, **waiting)
    actor = await node.actor(booked)
    (row,) = [each for each in actor.room.state.participants.values() if each.waiting]
    assert row.link == waiting["link"]
    await asyncio.sleep(0.2)  # some renewals later
    assert row.waiting
    assert not wire(jane).closed
    assert not wire(inside).closed
    await node.conductor.close()
    (stored,) = [
        each for each in await rows(database, booked, VideoRoomParticipant) if each.person_id
    ]
    assert str(stored.link_id) == waiting["link"]


@pytest.mark.parametrize(
    ("renewed", "age", "let_in"), [(True, 30, False), (False, 30, True), (True, 1, True)]
)
async def test_a_token_that_was_kept_opens_nothing_once_its_link_was_replaced(
    database, booked, clock, renewed, age, let_in
):
    """Whoever drew one before the links were renewed would else be in as the host, for good.

    A fresh one is not asked about: two hundred who come at once would be two hundred questions.
    """
    node = Node(database, clock)
    link = await _guest_link(database, booked)
    room = (str(booked.tenant_id), str(booked.video_room_id))
    grant = JoinGrant(*room, link, "participant", "guest", "", "d", lobby=False, name="Mal")
    token = TOKENS.issue_join(grant, clock.wall())
    if renewed:
        await decide(database, booked, fresh_links, LINKS)
    clock.time += age
    client = Stage().client()
    coming = node.conductor.enter(client, hello(client, token=token))
    if let_in:
        await coming
        assert client.participant is not None
    else:
        with pytest.raises(RequestError) as refused:
            await coming
        assert refused.value.code == "not_found"
        assert not node.conductor.actors
    await node.conductor.close()


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


async def test_who_comes_back_in_the_grace_of_the_end_was_not_there_again(database, booked, clock):
    """No attendance begins after the moment for which the end was asked."""
    node = Node(database, clock)
    host, jane = await node.both(booked)
    actor = await node.actor(booked)
    clock.time += 300
    actor.lost(jane)
    await node.pass_time(booked, SHOW_LOST_S)
    asked = clock.time
    await actor.perform(host, request("room.end", grace_s=10))
    clock.time += 4
    await node.enter(booked, IdentityKind.PERSON, booked.person_id)
    await node.pass_time(booked, 6)
    assert await outcome(database, booked) == ("ended", "completed", 1)
    for row in await rows(database, booked, VideoRoomInterval):
        assert row.joined_at.timestamp() < asked
        assert row.left_at.timestamp() <= asked
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
