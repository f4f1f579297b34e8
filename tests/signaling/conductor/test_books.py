"""The rooms of a node over the real database: books are closed, whoever comes back or does not."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from crm_core.appointments.models import Appointment
from crm_core.appointments.service import book, reschedule
from crm_core.communications.models import Communication
from crm_core.meetings.journal_models import RoomOwner
from crm_core.meetings.models import (
    VideoRoom,
    VideoRoomInterval,
    VideoRoomParticipant,
    VideoRoomSession,
)
from crm_core.meetings.service import JournalRecord, MeetingService
from rooms.policy import IdentityKind, Role
from rooms.timers import AFTER_END_S, EMPTY_S, HOST_LEFT_GRACE_S, RECONNECT_S, SHOW_LOST_S
from signaling.actor import SOON
from signaling.conductor import Conductor
from signaling.journal import SILENCE, find_overdue
from signaling.links import CrmLinks
from tests.signaling.conductor.node import TOKENS, Node, decide, left_at, outcome, rows
from tests.signaling.fakes import request
from tests.support.databases import LINKS
from tests.support.wait import until

HOUR = 3600.0


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
    (meeting,) = await rows(database, booked, Communication)
    assert (meeting.duration_seconds, meeting.completed_at.timestamp()) == (1200, gone)


@pytest.mark.parametrize("met", [True, False])
async def test_a_room_that_was_let_go_is_closed_when_its_time_is_past(database, booked, clock, met):
    """Its last timer is half an hour ahead: nobody keeps it for that, and the look finds it."""
    node = Node(database, clock, idle_after=0.02)
    clock.time = booked.ends_at.timestamp() - 60
    if met:
        clients = await node.both(booked)
    else:
        guest = {"lobby": True, "link": None}
        clients = [await node.enter(booked, IdentityKind.PERSON, booked.person_id, **guest)]
    actor = await node.actor(booked)
    for client in clients:
        await actor.perform(client, request("leave"))
        actor.lost(client)
    await node.pass_time(booked, HOST_LEFT_GRACE_S)
    assert HOUR > actor.room.next_timeout() - clock.time > SOON
    await node.conductor.start()

    def let_go():
        clock.time += 1
        return actor._adapter.closed  # last of all, when the lease has been given back

    await until(let_go)
    assert node.conductor.actors == []
    assert clock.time < booked.ends_at.timestamp() + AFTER_END_S - SOON
    clock.time = booked.ends_at.timestamp() + AFTER_END_S - 1
    await node.conductor.close_overdue()
    assert await outcome(database, booked) == (
        ("live", "in_progress", 0) if met else ("lobby_open", "scheduled", 0)
    )
    clock.time += 1
    await node.conductor.close_overdue()
    assert await outcome(database, booked) == (
        ("ended", "completed", 1) if met else ("expired", "no_show", 0)
    )
    assert node.conductor.actors == []
    await node.conductor.close()


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


async def test_who_meets_early_has_met_when_the_host_ends_it(database, booked, clock):
    """An hour before the time: the appointment is held, and nobody is expected then."""
    node = Node(database, clock)
    await decide(database, booked, reschedule, booked.starts_at + timedelta(hours=1))
    host, _ = await node.both(booked)
    clock.time += 60
    await (await node.actor(booked)).perform(host, request("room.end"))
    assert await outcome(database, booked) == ("ended", "completed", 1)
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
