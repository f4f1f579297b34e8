"""Room events become typed rows: participants, attendance, chat, room state."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from crm_core.appointments.models import Appointment
from crm_core.appointments.service import cancel, fresh_links, reschedule
from crm_core.communications.models import Communication
from crm_core.errors import LinkRefused
from crm_core.meetings.activity import MeetingChatMessage
from crm_core.meetings.models import (
    VideoRoom,
    VideoRoomInterval,
    VideoRoomParticipant,
    VideoRoomSession,
)
from crm_core.meetings.projection import PROJECTORS
from tests.crm_core.meetings.support import START, book_meeting
from tests.support.databases import LINKS


async def _rows(meeting, model):
    async with meeting.database.unit_of_work(meeting.tenant_id, read_only=True) as unit:
        return list(await unit.session.scalars(sa.select(model).order_by(model.id)))


async def test_a_participant_walks_through_the_door(database, tenant):
    """Waiting, admitted, active, left: each with its time, by whom, and the tracks' states."""
    meeting = await book_meeting(database, tenant)
    epoch = await meeting.claim()
    host = meeting.enter(f"staff:{meeting.staff_id}", "host")
    who = str(database.ids())
    meeting.knock(f"person:{meeting.person_id}", who, second=5)
    await meeting.commit(epoch)
    meeting.move(who, "admitted", 8, by=host)
    meeting.move(who, "joining", 9)
    meeting.move(who, "active", 10)
    meeting.event(
        "interval.opened", 10, participant=who, scope="main", joined_at="2026-12-01T09:00:10.000Z"
    )
    meeting.event("participant.connected", 10, participant=who, conn_epoch=3)
    meeting.event("participant.name", 11, participant=who, name="Jane D.", was="Somebody")
    meeting.event(
        "participant.role", 12, participant=who, role="presenter", was="participant", reason="host"
    )
    meeting.event(
        "track.state", 12, participant=who, source="mic", on=True, track="t", reason="self"
    )
    meeting.event("hands", 13, rev=1, order=[host, who])
    await meeting.commit(epoch)
    row = next(row for row in await _rows(meeting, VideoRoomParticipant) if str(row.id) == who)
    assert (row.status, row.role, row.display_name) == ("active", "presenter", "Jane D.")
    assert row.person_id == meeting.person_id
    assert [
        (moment - START).seconds for moment in (row.waiting_at, row.admitted_at, row.joined_at)
    ] == [5, 8, 10]
    assert str(row.admitted_by_id) == host
    assert (row.audio_on, row.video_on, row.conn_epoch, row.hand_seq) == (True, False, 3, 2)
    meeting.event("hands", 14, rev=2, order=[])
    meeting.leave(who, 20, joined=10)
    await meeting.commit(epoch)
    row = next(row for row in await _rows(meeting, VideoRoomParticipant) if str(row.id) == who)
    assert (row.status, row.leave_reason, row.audio_on, row.hand_seq) == (
        "left",
        "left",
        False,
        None,
    )
    closed = [
        row for row in await _rows(meeting, VideoRoomInterval) if str(row.participant_id) == who
    ]
    assert [((row.joined_at - START).seconds, (row.left_at - START).seconds) for row in closed] == [
        (10, 20)
    ]


async def test_who_comes_back_has_not_left(database, tenant):
    """Same row: the CRM shows somebody who is in, since when they first were."""
    meeting = await book_meeting(database, tenant)
    epoch = await meeting.claim()
    who = meeting.enter(f"person:{meeting.person_id}", second=10)
    meeting.leave(who, 20, joined=10)
    await meeting.commit(epoch)
    (row,) = await _rows(meeting, VideoRoomParticipant)
    assert ((row.left_at - START).seconds, row.leave_reason) == (20, "left")
    meeting.move(who, "joining", 30)
    meeting.move(who, "active", 31)
    await meeting.commit(epoch)
    (row,) = await _rows(meeting, VideoRoomParticipant)
    assert (row.status, row.left_at, row.leave_reason) == ("active", None, None)
    assert (row.joined_at - START).seconds == 10


async def test_a_hand_is_up_since_it_was_raised(database, tenant):
    """Other hands change its place in the queue, not its time; raised anew, it has a new one."""
    meeting = await book_meeting(database, tenant)
    epoch = await meeting.claim()
    ana, jane = meeting.enter("guest:1"), meeting.enter("guest:2")
    queue = ((5, [ana, jane]), (9, [jane]), (12, [jane, ana]))
    for rev, (second, order) in enumerate(queue, 1):
        meeting.event("hands", second, rev=rev, order=order)
        await meeting.commit(epoch)
    hands = {
        str(row.id): (row.hand_seq, (row.hand_raised_at - START).seconds)
        for row in await _rows(meeting, VideoRoomParticipant)
    }
    assert hands == {jane: (1, 5), ana: (2, 12)}


async def test_an_admission_that_leads_straight_in_is_an_admission(database, tenant):
    """A room may tell waiting to joining in one fact: its flag says that the row was admitted."""
    meeting = await book_meeting(database, tenant)
    epoch = await meeting.claim()
    who = str(database.ids())
    meeting.knock(f"person:{meeting.person_id}", who, second=5)
    meeting.event(
        "participant.state", 8, participant=who, state="joining", was="waiting", reason="host",
        admitted=True,
    )  # fmt: skip
    await meeting.commit(epoch)
    (row,) = await _rows(meeting, VideoRoomParticipant)
    assert (row.status, (row.admitted_at - START).seconds) == ("joining", 8)


async def test_chat_is_kept_with_its_order_and_audience(database, tenant):
    """Public, private, edited, deleted and lobby lines stand as they were said."""
    meeting = await book_meeting(database, tenant)
    epoch = await meeting.claim()
    host, guest = meeting.enter("staff:" + str(meeting.staff_id), "host"), meeting.enter("guest:1")
    ids = [str(database.ids()) for _ in range(4)]
    for number, (text, to) in enumerate((("hello", None), ("psst", host), ("typo", None)), 1):
        meeting.event(
            "chat.msg",
            number,
            guest,
            id=ids[number - 1],
            no=number,
            body=text,
            at="x",
            to=to,
            **{"from": guest},
        )
    meeting.event("chat.edited", 4, guest, id=ids[2], no=3, body="fixed", at="x")
    meeting.event("chat.deleted", 5, host, id=ids[0], no=1)
    meeting.event(
        "lobby.message",
        6,
        host,
        id=ids[3],
        name="Ana",
        text="soon",
        at="x",
        to=None,
        **{"from": host},
    )
    await meeting.commit(epoch)
    meeting.event("chat.edited", 7, guest, id=ids[1], no=2, body="psst!", at="x")
    await meeting.commit(epoch)
    rows = {str(row.id): row for row in await _rows(meeting, MeetingChatMessage)}
    first, second, third, lobby = (rows[each] for each in ids)
    assert (first.body, first.deleted_at is not None, str(first.deleted_by_id)) == (
        None,
        True,
        host,
    )
    assert (second.kind, str(second.recipient_id), second.body) == ("private", host, "psst!")
    assert (third.body, third.edited_at is not None, third.order_no) == ("fixed", True, 3)
    assert (lobby.kind, lobby.body, lobby.order_no) == ("lobby", "soon", None)


async def test_the_rooms_settings_follow_the_meeting(database, tenant):
    """Locks, policies and times changed in the meeting are what the next load says."""
    meeting = await book_meeting(database, tenant)
    epoch = await meeting.claim()
    meeting.event(
        "room.changed",
        1,
        rev=4,
        patch={"locked": True, "policy": {"lobby": "off"}, "title": "New"},
    )
    await meeting.commit(epoch)
    room = await meeting.service.load_room(meeting.tenant_id, meeting.room_id)
    assert (room.is_locked, room.settings_rev, room.title) == (True, 4, "New")
    assert room.policy == {"lobby": "off"}


async def test_the_times_are_the_calendars(database, tenant):
    """What a room heard of its times late does not undo what the calendar decided since."""
    meeting = await book_meeting(database, tenant)
    epoch = await meeting.claim()
    later = START + timedelta(days=1)
    async with database.unit_of_work(meeting.tenant_id) as unit:
        appointment = await unit.session.get(
            Appointment, (meeting.tenant_id, meeting.appointment_id)
        )
        await reschedule(unit, appointment, later)
    meeting.event("room.changed", 1, rev=1, patch={"starts_at": "2026-12-01T09:00:00.000Z"})
    await meeting.commit(epoch)
    room = await meeting.service.load_room(meeting.tenant_id, meeting.room_id)
    assert room.starts_at == later


@pytest.mark.parametrize("state", ["lobby_open", "live", "ended"])
async def test_a_cancelled_room_stays_cancelled(database, tenant, state):
    """Facts that were under way when the appointment was cancelled do not bring it back."""
    meeting = await book_meeting(database, tenant)
    epoch = await meeting.claim()
    async with database.unit_of_work(meeting.tenant_id) as unit:
        appointment = await unit.session.get(
            Appointment, (meeting.tenant_id, meeting.appointment_id)
        )
        await cancel(unit, appointment, "ill")
    meeting.enter("guest:1")
    meeting.event("room.state", 1, state=state)
    if state == "ended":
        meeting.end(1)
    await meeting.commit(epoch)
    plan = await meeting.renew(epoch)
    assert plan.status == "cancelled"
    async with database.unit_of_work(meeting.tenant_id, read_only=True) as unit:
        room = (await unit.session.scalars(sa.select(VideoRoom))).one()
        sitting = (await unit.session.scalars(sa.select(VideoRoomSession))).one()
        appointment = (await unit.session.scalars(sa.select(Appointment))).one()
        assert (room.end_reason, room.started_at) == ("ill", None)
        assert (sitting.status, sitting.started_at) == ("cancelled", None)
        assert appointment.status == "cancelled"
        assert (await unit.session.scalars(sa.select(Communication))).all() == []


async def test_a_room_that_is_over_may_be_archived(database, tenant):
    """Of all states it is the one that may follow an end; the end stays what it was."""
    meeting = await book_meeting(database, tenant)
    epoch = await meeting.claim()
    meeting.event("room.state", 1, state="live")
    meeting.end(60)
    meeting.event("room.state", 90, state="archived")
    await meeting.commit(epoch)
    async with database.unit_of_work(meeting.tenant_id, read_only=True) as unit:
        room = (await unit.session.scalars(sa.select(VideoRoom))).one()
        sitting = (await unit.session.scalars(sa.select(VideoRoomSession))).one()
    assert (room.status, sitting.status) == ("archived", "archived")
    assert ((sitting.ended_at - START).seconds, sitting.end_reason) == (60, "host")


async def test_unknown_kinds_are_kept_and_need_no_row(database, tenant):
    """A kind without a projector is journaled like any other."""
    meeting = await book_meeting(database, tenant)
    epoch = await meeting.claim()
    meeting.event("poll.opened", 1, id="x")
    batch = await meeting.commit(epoch)
    assert "poll.opened" not in PROJECTORS
    assert (
        await meeting.service.room_events_since(meeting.tenant_id, meeting.room_id, 1, 0) == batch
    )


async def test_a_banned_persons_link_opens_nothing(database, tenant):
    """Banning in the meeting revokes the link in the same commit."""
    meeting = await book_meeting(database, tenant)
    async with database.unit_of_work(meeting.tenant_id) as unit:
        appointment = await unit.session.scalar(sa.select(Appointment))
        links = await fresh_links(unit, appointment, LINKS)
    code, _, secret = links.guest_url.partition("/m/")[2].partition("#k=")
    grant = await meeting.service.resolve_link(code, secret)
    epoch = await meeting.claim()
    meeting.event("link.banned", 1, link=str(grant.link_id))
    await meeting.commit(epoch)
    with pytest.raises(LinkRefused):
        await meeting.service.resolve_link(code, secret)


async def test_an_interval_never_ends_before_it_begins(database, tenant):
    """The room's clock rounds, and so do the stamps: a leave a hair too early is at the entry."""
    meeting = await book_meeting(database, tenant)
    epoch = await meeting.claim()
    who = meeting.enter(f"person:{meeting.person_id}", second=10)
    meeting.leave(who, 9.999, joined=10, noticed=10)
    await meeting.commit(epoch)
    (interval,) = await _rows(meeting, VideoRoomInterval)
    (participant,) = await _rows(meeting, VideoRoomParticipant)
    assert interval.joined_at == interval.left_at == participant.left_at
    assert (interval.left_at - START).seconds == 10
