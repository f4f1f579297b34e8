"""What a meeting leaves in the CRM: outcome, attendance, exactly one communications row."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from crm_core.appointments.models import Appointment, AppointmentAttendee
from crm_core.appointments.service import cancel, confirm, reschedule
from crm_core.changes.models import OutboxEvent
from crm_core.communications.models import Communication, CommunicationParticipant
from crm_core.communications.service import log_communication, timeline
from crm_core.errors import Contradiction
from crm_core.meetings import lifecycle
from crm_core.meetings.lifecycle import message_id, sitting_ended
from crm_core.meetings.models import (
    RoomLink,
    VideoRoom,
    VideoRoomInterval,
    VideoRoomParticipant,
    VideoRoomSession,
)
from crm_core.meetings.projection import project
from crm_core.meetings.rooms import reopen_room
from crm_core.people.models import Person
from tests.crm_core.meetings.support import START, book_meeting


async def _all(meeting, model):
    async with meeting.database.unit_of_work(meeting.tenant_id, read_only=True) as unit:
        return list(await unit.session.scalars(sa.select(model)))


async def _hold(meeting):
    """Host and customer meet for 60 s; the customer is out from 20 to 30."""
    epoch = await meeting.claim()
    host = meeting.enter(f"staff:{meeting.staff_id}", "host", 0, "Ana Diaz")
    meeting.event("room.state", 0, state="live")
    jane = meeting.enter(f"person:{meeting.person_id}", "participant", 5, "Jane Doe")
    meeting.leave(jane, 20, joined=5)
    for state in ("admitted", "joining", "active"):
        meeting.move(jane, state, 30)
    meeting.event(
        "interval.opened", 30, participant=jane, scope="main", joined_at="2026-12-01T09:00:30Z"
    )
    await meeting.commit(epoch)
    meeting.event("room.state", 60, state="ended")
    meeting.end(60, by=host)
    return epoch


async def test_who_stayed_away_from_a_meeting_that_was_held_is_marked(database, tenant):
    """The customer came, the second invited person did not."""
    meeting = await book_meeting(database, tenant)
    async with meeting.database.unit_of_work(meeting.tenant_id) as unit:
        (appointment,) = await unit.session.scalars(sa.select(Appointment))
        absent = Person(id=unit.ids(), first_name="Kim", last_name="Park")
        await unit.add(
            absent,
            AppointmentAttendee(
                id=unit.ids(), appointment_id=appointment.id, person_id=absent.id, role="guest"
            ),
        )
    await meeting.commit(await _hold(meeting))
    marked = {each.person_id: each.is_no_show for each in await _all(meeting, AppointmentAttendee)}
    assert marked[absent.id] is True
    assert marked[meeting.person_id] is False


async def _guest_link(meeting):
    """The id of the guest link of the meeting's person."""
    async with meeting.database.unit_of_work(meeting.tenant_id, read_only=True) as unit:
        return await unit.session.scalar(
            sa.select(RoomLink.id).where(RoomLink.person_id == meeting.person_id)
        )


async def test_who_was_let_in_on_another_device_came(database, tenant):
    """The laptop knocked and went away, the phone was let in by the same link: the person came."""
    meeting = await book_meeting(database, tenant)
    link = await _guest_link(meeting)
    epoch = await meeting.claim()
    host = meeting.enter(f"staff:{meeting.staff_id}", "host", 0, "Ana Diaz")
    meeting.event("room.state", 0, state="live")
    meeting.knock(
        f"person:{meeting.person_id}", str(database.ids()), second=2, name="Jane Doe", link=link
    )
    phone = meeting.enter(f"guest:{database.ids()}", second=5, name="Jane Doe", link=link)
    meeting.event("room.state", 60, state="ended")
    meeting.end(60, by=host)
    await meeting.commit(epoch)
    assert not any(each.is_no_show for each in await _all(meeting, AppointmentAttendee))
    (row,) = await _all(meeting, Communication)
    jane = [each for each in row.attendees if each["name"] == "Jane Doe"]
    assert [(each["participant_id"], each["admitted"], each["seconds"]) for each in jane] == [
        (phone, True, 55.0)
    ]
    assert jane[0]["person_id"] == str(meeting.person_id)
    took_part = [
        each.person_id
        for each in await _all(meeting, CommunicationParticipant)
        if each.role == "attendee"
    ]
    assert took_part == [meeting.person_id]


async def test_the_story_is_on_the_timelines(database, tenant):
    """One row with context, participants, intervals and duration; appointment and room are closed."""
    meeting = await book_meeting(database, tenant)
    await meeting.commit(await _hold(meeting))
    (row,) = await _all(meeting, Communication)
    assert row.message_id == f"room:{meeting.room_id}:1"
    assert (row.channel, row.status, row.duration_seconds) == ("meeting", "completed", 60)
    assert (row.person_id, row.lead_id, row.staff_id) == (
        meeting.person_id,
        meeting.lead_id,
        meeting.staff_id,
    )
    assert (row.occurred_at, (row.completed_at - START).seconds) == (START, 60)
    jane = next(each for each in row.attendees if each["name"] == "Jane Doe")
    assert jane["seconds"] == 45.0
    assert [(i["joined_at"][17:19], i["left_at"][14:19], i["reason"]) for i in jane["intervals"]] == [
        ("05", "00:20", "left"), ("30", "01:00", "ended"),
    ]  # fmt: skip
    roles = {(each.role, each.name) for each in await _all(meeting, CommunicationParticipant)}
    assert roles == {("host", "Ana Diaz"), ("attendee", "Jane Doe")}
    (appointment,) = await _all(meeting, Appointment)
    assert (appointment.status, appointment.outcome, appointment.outcome_evidence) == (
        "completed", "held", row.message_id,
    )  # fmt: skip
    (room,) = await _all(meeting, VideoRoom)
    assert (room.status, room.end_reason, room.peak_participants) == ("ended", "host", 2)
    assert all(each.left_at for each in await _all(meeting, VideoRoomInterval))
    assert {each.status for each in await _all(meeting, VideoRoomParticipant)} == {"left"}
    async with database.unit_of_work(meeting.tenant_id, read_only=True) as unit:
        for subject, subject_id in (("person", meeting.person_id), ("lead", meeting.lead_id)):
            entries, _ = await timeline(unit, subject, subject_id, limit=10)
            assert row.id in [entry.row.id for entry in entries if entry.kind == "communication"]


async def test_the_grace_of_the_end_is_no_part_of_the_meeting(database, tenant):
    """Rows carry the moment of the host's end, not that of the grace running out."""
    meeting = await book_meeting(database, tenant)
    epoch = await meeting.claim()
    host = meeting.enter(f"staff:{meeting.staff_id}", "host", 0, "Ana Diaz")
    meeting.event("room.state", 0, state="live")
    meeting.event("room.state", 50, host, state="ending", reason="host", ends_in_ms=10000)
    meeting.event("room.state", 60, state="ended", reason="host")
    meeting.leave(host, 50, reason="ended", noticed=60)
    meeting.end(50, by=host, noticed=60)
    await meeting.commit(epoch)
    end = START + timedelta(seconds=50)
    (room,) = await _all(meeting, VideoRoom)
    (sitting,) = await _all(meeting, VideoRoomSession)
    (row,) = await _all(meeting, Communication)
    (interval,) = await _all(meeting, VideoRoomInterval)
    (participant,) = await _all(meeting, VideoRoomParticipant)
    assert {
        room.ended_at, sitting.ended_at, row.completed_at, interval.left_at, participant.left_at
    } == {end}  # fmt: skip
    assert (row.duration_seconds, str(sitting.ended_by_id)) == (50, host)


async def test_nobody_was_there_after_the_end(database, tenant):
    """Who came or left while the end could be undone: no time of theirs is beyond it."""
    meeting = await book_meeting(database, tenant)
    epoch = await meeting.claim()
    host = meeting.enter(f"staff:{meeting.staff_id}", "host", 0, "Ana Diaz")
    meeting.event("room.state", 0, state="live")
    left = meeting.enter(f"guest:{database.ids()}", second=5, name="Left")
    late = meeting.enter(f"guest:{database.ids()}", second=55, name="Late")
    meeting.leave(left, 57, joined=5)
    meeting.leave(late, 58, joined=55)
    meeting.leave(host, 50, reason="ended", noticed=60)
    meeting.end(50, by=host, noticed=60)
    await meeting.commit(epoch)
    end = START + timedelta(seconds=50)
    found = {each.display_name: each for each in await _all(meeting, VideoRoomParticipant)}
    assert (found["Left"].joined_at, found["Left"].left_at) == (START + timedelta(seconds=5), end)
    assert (found["Late"].joined_at, found["Late"].left_at) == (end, end)
    stays = {
        str(each.participant_id): each.left_at for each in await _all(meeting, VideoRoomInterval)
    }
    assert stays == {host: end, left: end}
    (row,) = await _all(meeting, Communication)
    assert {each["name"]: each["seconds"] for each in row.attendees} == {
        "Ana Diaz": 50.0, "Left": 45.0, "Late": 0.0,
    }  # fmt: skip


async def _look_in_early(meeting, between=None, *, confirmed=False):
    """The host is there alone two days before the appointment."""
    async with meeting.database.unit_of_work(meeting.tenant_id) as unit:
        (appointment,) = await unit.session.scalars(sa.select(Appointment))
        await reschedule(unit, appointment, START + timedelta(days=2))
        if confirmed:
            await confirm(unit, appointment)
    epoch = await meeting.claim()
    host = meeting.enter(f"staff:{meeting.staff_id}", "host", 0, "Ana Diaz")
    meeting.event("room.state", 0, state="live")
    await meeting.commit(epoch)
    if between is not None:
        async with meeting.database.unit_of_work(meeting.tenant_id) as unit:
            (appointment,) = await unit.session.scalars(sa.select(Appointment))
            await between(unit, appointment)
    meeting.event("room.state", 50, state="ending", reason="host", ends_in_ms=10000)
    await meeting.commit(epoch)
    room = await meeting.service.load_room(meeting.tenant_id, meeting.room_id)
    meeting.event("room.state", 60, state="ended", reason="host")
    meeting.end(60, by=host)
    await meeting.commit(epoch)
    return room.status


@pytest.mark.parametrize(
    ("reason", "status", "outcome", "room_status"),
    [("host", "completed", "held", "ended"), ("empty", "scheduled", None, "scheduled")],
)
async def test_who_met_before_the_door_opened_have_met_when_the_host_ends_it(
    database, tenant, reason, status, outcome, room_status
):
    """All who just left may have tried their cameras: their links open at the time agreed."""
    meeting = await book_meeting(database, tenant)
    async with database.unit_of_work(meeting.tenant_id) as unit:
        (appointment,) = await unit.session.scalars(sa.select(Appointment))
        await reschedule(unit, appointment, START + timedelta(hours=1))
    epoch = await meeting.claim()
    host = meeting.enter(f"staff:{meeting.staff_id}", "host", 0, "Ana Diaz")
    meeting.event("room.state", 0, state="live")
    meeting.enter(f"person:{meeting.person_id}", "participant", 5, "Jane Doe")
    meeting.event("room.state", 60, state="ended", reason=reason)
    meeting.end(60, by=host, reason=reason)
    await meeting.commit(epoch)
    (appointment,) = await _all(meeting, Appointment)
    assert (appointment.status, appointment.outcome) == (status, outcome)
    room = await meeting.service.load_room(meeting.tenant_id, meeting.room_id)
    assert room.status == room_status
    (row,) = await _all(meeting, Communication)
    assert (row.status, row.appointment_id) == ("completed", meeting.appointment_id)


@pytest.mark.parametrize("confirmed", [False, True])
async def test_a_look_in_leaves_the_appointment_as_it_was(database, tenant, confirmed):
    """Confirmed if it was: nothing has happened to what was agreed."""
    meeting = await book_meeting(database, tenant)
    assert await _look_in_early(meeting, confirmed=confirmed) == "ending"
    (appointment,) = await _all(meeting, Appointment)
    assert appointment.status == ("confirmed" if confirmed else "scheduled")


async def test_what_was_cancelled_during_a_look_in_stays_so(database, tenant):
    """From that moment on, whatever the room says; there is no next sitting, and no link opens."""
    meeting = await book_meeting(database, tenant)
    assert await _look_in_early(meeting, cancel) == "cancelled"
    room = await meeting.service.load_room(meeting.tenant_id, meeting.room_id)
    assert (room.status, room.session_no) == ("ended", 1)
    (appointment,) = await _all(meeting, Appointment)
    assert (appointment.status, appointment.outcome) == ("cancelled", "cancelled")
    (row,) = await _all(meeting, Communication)
    assert (row.status, row.person_id) == ("cancelled", meeting.person_id)


async def test_a_start_that_was_under_way_when_it_was_cancelled(database, tenant):
    """The room stays cancelled, and nobody began anything."""
    meeting = await book_meeting(database, tenant)
    epoch = await meeting.claim()
    async with database.unit_of_work(meeting.tenant_id) as unit:
        (appointment,) = await unit.session.scalars(sa.select(Appointment))
        await cancel(unit, appointment)
    meeting.event("room.state", 0, state="live")
    meeting.event("room.state", 5, state="ended", reason="host")
    meeting.end(5)
    await meeting.commit(epoch)
    room = await meeting.service.load_room(meeting.tenant_id, meeting.room_id)
    assert (room.status, room.started_at, room.session_no) == ("cancelled", None, 1)
    (sitting,) = await _all(meeting, VideoRoomSession)
    assert sitting.status == "cancelled"
    assert await _all(meeting, Communication) == []


async def test_the_appointment_is_in_progress_while_the_room_is_live(database, tenant):
    """The first host makes the room live and the appointment in progress."""
    meeting = await book_meeting(database, tenant)
    epoch = await meeting.claim()
    meeting.event("room.state", 3, state="live")
    await meeting.commit(epoch)
    assert [row.status for row in await _all(meeting, Appointment)] == ["in_progress"]
    room = await meeting.service.load_room(meeting.tenant_id, meeting.room_id)
    assert (room.status, (room.started_at - START).seconds) == ("live", 3)


async def test_ended_twice_is_still_one_row(database, tenant):
    """A second end event, and a replay of the first after a takeover, add nothing."""
    meeting = await book_meeting(database, tenant)
    epoch = await _hold(meeting)
    batch = await meeting.commit(epoch)
    await meeting.service.append(meeting.tenant_id, meeting.room_id, epoch, batch)
    again = await meeting.claim()
    meeting.end(61, by=None)
    await meeting.commit(again)
    assert len(await _all(meeting, Communication)) == 1
    assert len(await _all(meeting, CommunicationParticipant)) == 2
    assert [row.status for row in await _all(meeting, Appointment)] == ["completed"]


async def test_ended_twice_is_told_once_and_keeps_its_time(database, tenant):
    """Neither a second end event nor closing the closed books moves a time or tells anybody."""
    meeting = await book_meeting(database, tenant)
    await meeting.commit(await _hold(meeting))

    async def ends():
        (room,) = await _all(meeting, VideoRoom)
        (sitting,) = await _all(meeting, VideoRoomSession)
        topics = [row.topic for row in await _all(meeting, OutboxEvent)]
        told = topics.count("meeting.ended")
        return room.ended_at, sitting.ended_at, sitting.ended_by_id is not None, told

    end = START + timedelta(seconds=60)
    assert await ends() == (end, end, True, 1)
    again = await meeting.claim()
    meeting.end(90, by=None)
    await meeting.commit(again)
    assert await ends() == (end, end, True, 1)
    async with database.unit_of_work(meeting.tenant_id) as unit:
        projection = await project(unit, meeting.room_id, meeting.session_no, [])
        await sitting_ended(projection, end + timedelta(seconds=30))
    assert await ends() == (end, end, True, 1)


async def test_an_end_that_fails_leaves_nothing_half_done(database, tenant, monkeypatch):
    """When the log cannot be written, the event is not committed either; a retry does all of it."""
    meeting = await book_meeting(database, tenant)
    epoch = await _hold(meeting)

    async def fail(*_args, **_kwargs):
        raise ConnectionError

    batch = list(meeting.batch)
    with monkeypatch.context() as patch:
        patch.setattr(lifecycle, "_log_meeting", fail)
        with pytest.raises(ConnectionError):
            await meeting.commit(epoch)
    assert await _all(meeting, Communication) == []
    assert [row.status for row in await _all(meeting, Appointment)] == ["in_progress"]
    await meeting.service.append(meeting.tenant_id, meeting.room_id, epoch, batch)
    assert len(await _all(meeting, Communication)) == 1


async def test_a_customer_who_was_made_a_host_came(database, tenant):
    """The meeting handed over to them was held all the same."""
    meeting = await book_meeting(database, tenant)
    epoch = await meeting.claim()
    host = meeting.enter(f"staff:{meeting.staff_id}", "host")
    jane = meeting.enter(f"person:{meeting.person_id}", second=5)
    meeting.event("participant.role", 9, host, participant=jane, role="host", was="participant")
    meeting.end(60, by=jane)
    await meeting.commit(epoch)
    assert [row.outcome for row in await _all(meeting, Appointment)] == ["held"]


async def test_a_customer_who_was_never_admitted_is_a_no_show(database, tenant):
    """Knocking is not meeting: without an admission the appointment is a no-show."""
    meeting = await book_meeting(database, tenant)
    epoch = await meeting.claim()
    meeting.enter(f"staff:{meeting.staff_id}", "host")
    meeting.knock(f"person:{meeting.person_id}", str(database.ids()), second=5)
    meeting.end(60, by=None)
    await meeting.commit(epoch)
    (appointment,) = await _all(meeting, Appointment)
    assert (appointment.status, appointment.outcome) == ("no_show", "no_show")
    (row,) = await _all(meeting, Communication)
    assert row.status == "no_show"
    assert [each["admitted"] for each in row.attendees] == [True, False]


async def test_guests_who_were_not_let_in_are_counted_and_not_listed(database, tenant):
    """However many devices knock by one link: their names are no part of the story."""
    meeting = await book_meeting(database, tenant)
    link = await _guest_link(meeting)
    epoch = await meeting.claim()
    host = meeting.enter(f"staff:{meeting.staff_id}", "host", 0, "Ana Diaz")
    meeting.knock(f"person:{meeting.person_id}", str(database.ids()), name="Jane Doe", link=link)
    for number in range(30):
        who = str(database.ids())
        meeting.knock(f"guest:{database.ids()}", who, second=5, name=f"Spam {number}", link=link)
    meeting.enter(f"guest:{database.ids()}", second=9, name="Bob")
    meeting.end(60, by=host)
    await meeting.commit(epoch)
    (row,) = await _all(meeting, Communication)
    assert [(each["name"], each["admitted"]) for each in row.attendees] == [
        ("Ana Diaz", True), ("Jane Doe", False), ("Bob", True),
    ]  # fmt: skip
    assert row.meta["waited"] == 30


async def test_a_room_nobody_came_to_expires_without_a_row(database, tenant):
    """An expired room is a no-show and no conversation."""
    meeting = await book_meeting(database, tenant)
    epoch = await meeting.claim()
    meeting.event("room.state", 60, state="expired")
    await meeting.commit(epoch)
    assert [row.status for row in await _all(meeting, Appointment)] == ["no_show"]
    assert await _all(meeting, Communication) == []


async def test_a_second_sitting_is_a_second_row(database, tenant):
    """A room used again has another number, its own journal and its own row."""
    meeting = await book_meeting(database, tenant)
    await meeting.commit(await _hold(meeting))
    async with database.unit_of_work(meeting.tenant_id) as unit:
        number = await reopen_room(unit, meeting.room_id)
    assert number == 2
    meeting.session_no, meeting.seq = number, 0
    epoch = await meeting.claim()
    meeting.enter(f"person:{meeting.person_id}", second=100)
    meeting.end(130, by=None)
    await meeting.commit(epoch)
    keys = {row.message_id for row in await _all(meeting, Communication)}
    assert keys == {f"room:{meeting.room_id}:1", f"room:{meeting.room_id}:2"}
    assert {row.person_id for row in await _all(meeting, Communication)} == {meeting.person_id}
    peaks = {row.session_no: row.peak_participants for row in await _all(meeting, VideoRoomSession)}
    assert peaks == {1: 2, 2: 1}
    assert [row.peak_participants for row in await _all(meeting, VideoRoom)] == [2]


async def test_a_meeting_whose_appointment_was_moved_away_is_one_row_and_it_waits(database, tenant):
    """What was said is logged for those who came; the appointment is held at its new time."""
    meeting = await book_meeting(database, tenant)
    epoch = await _hold(meeting)
    end, meeting.batch = meeting.batch, []
    later = START + timedelta(days=2)
    async with database.unit_of_work(meeting.tenant_id) as unit:
        (appointment,) = await unit.session.scalars(sa.select(Appointment))
        await reschedule(unit, appointment, later)
    meeting.batch = end
    await meeting.commit(epoch)
    (appointment,) = await _all(meeting, Appointment)
    assert (appointment.status, appointment.outcome, appointment.starts_at) == (
        "scheduled", None, later,
    )  # fmt: skip
    assert not any(each.is_no_show for each in await _all(meeting, AppointmentAttendee))
    (row,) = await _all(meeting, Communication)
    assert (row.status, row.person_id, row.lead_id, row.appointment_id, row.duration_seconds) == (
        "completed", meeting.person_id, meeting.lead_id, meeting.appointment_id, 60,
    )  # fmt: skip
    room = await meeting.service.load_room(meeting.tenant_id, meeting.room_id)
    assert (room.status, room.session_no, room.ended_at) == ("scheduled", 2, None)

    meeting.session_no, meeting.seq = 2, 0
    epoch = await meeting.claim()
    there = timedelta(days=2).total_seconds()
    host = meeting.enter(f"staff:{meeting.staff_id}", "host", there, "Ana Diaz")
    meeting.event("room.state", there, state="live")
    meeting.enter(f"person:{meeting.person_id}", "participant", there + 5, "Jane Doe")
    meeting.end(there + 60, by=host)
    await meeting.commit(epoch)
    (appointment,) = await _all(meeting, Appointment)
    assert (appointment.status, appointment.outcome, appointment.outcome_evidence) == (
        "completed", "held", message_id(meeting.room_id, 2),
    )  # fmt: skip
    rows = {each.message_id: each.occurred_at for each in await _all(meeting, Communication)}
    assert rows == {message_id(meeting.room_id, 1): START, message_id(meeting.room_id, 2): later}


async def test_the_world_is_told_in_the_same_commit(database, tenant):
    """The outbox has the admission, the start, the end and the appointment's outcome."""
    meeting = await book_meeting(database, tenant)
    await meeting.commit(await _hold(meeting))
    topics = [row.topic for row in await _all(meeting, OutboxEvent)]
    for topic in (
        "meeting.started",
        "meeting.ended",
        "appointment.completed",
        "communication.created",
    ):
        assert topics.count(topic) == 1
    assert topics.count("meeting.participant_admitted") == 2


async def test_nobody_else_writes_the_row_of_a_sitting(database, tenant):
    """Its key is refused from outside; a meeting held elsewhere may be logged."""
    meeting = await book_meeting(database, tenant)
    async with database.unit_of_work(meeting.tenant_id) as unit:
        with pytest.raises(Contradiction):
            await log_communication(
                unit, {"channel": "meeting", "message_id": message_id(meeting.room_id, 1)}
            )
        await log_communication(unit, {"channel": "meeting", "message_id": "elsewhere:1"})
        await log_communication(unit, {"channel": "email", "message_id": "room:1@mail"})


async def test_a_row_that_is_there_already_does_not_stop_the_end(database, tenant):
    """A row with the sitting's key, however it came there, is found, not written twice."""
    meeting = await book_meeting(database, tenant)
    async with database.unit_of_work(meeting.tenant_id) as unit:
        await unit.add(
            Communication(
                id=unit.ids(),
                channel="meeting",
                message_id=message_id(meeting.room_id, 1),
                occurred_at=unit.now,
            )
        )
    await meeting.commit(await _hold(meeting))
    assert len(await _all(meeting, Communication)) == 1
    assert [row.status for row in await _all(meeting, Appointment)] == ["completed"]
