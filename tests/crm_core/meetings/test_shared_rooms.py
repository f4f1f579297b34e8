"""A training that several appointments share: one room and time, links and outcomes of their own."""

import asyncio
from datetime import timedelta

import pytest
import sqlalchemy as sa

from crm_core.appointments import video
from crm_core.appointments.models import Appointment, AppointmentAttendee, Booking
from crm_core.appointments.service import book, cancel, change_person, fresh_links, reschedule
from crm_core.communications.models import Communication
from crm_core.communications.service import timeline
from crm_core.errors import Contradiction, IllegalTransition, LinkRefused, RoomOver, SlotTaken
from crm_core.leads.service import create_lead
from crm_core.meetings import lifecycle
from crm_core.meetings.links import LinkUrls
from crm_core.meetings.models import RoomLink, VideoRoom
from crm_core.meetings.plans import load_plans
from crm_core.meetings.service import MeetingService
from crm_core.people.models import Person
from crm_core.tenants.models import Staff
from tests.crm_core.meetings.support import START, Meeting, knock_by_every_link
from tests.support.databases import LINKS


class Training:
    """Bookings of one staff member that share the room of the first."""

    def __init__(self, database, tenant):
        self.database = database
        self.tenant = tenant
        self.room_id = None

    def unit(self, **options):
        return self.database.unit_of_work(self.tenant.tenant.id, **options)

    async def book(self, first_name, **changes):
        """One person's appointment, with a lead; returns (booked, person id, lead id)."""
        async with self.unit() as unit:
            person = Person(id=unit.ids(), first_name=first_name)
            await unit.add(person)
            lead = await create_lead(unit, {"person_id": person.id})
            values = {
                "kind": "training",
                "title": "Heat pumps",
                "staff_id": self.tenant.staff.id,
                "person_id": person.id,
                "lead_id": lead.id,
                "starts_at": START,
                "video_room_id": self.room_id,
                **changes,
            }
            booked = await book(unit, values, LINKS)
        self.room_id = self.room_id or booked.appointment.video_room_id
        return booked, person.id, lead.id

    async def run(self, use_case, booked, *arguments):
        """A use case on the appointment."""
        async with self.unit() as unit:
            row = await unit.session.get(
                Appointment, (self.tenant.tenant.id, booked.appointment.id)
            )
            return await use_case(unit, row, *arguments)

    async def all(self, model):
        async with self.unit(read_only=True) as unit:
            return list(await unit.session.scalars(sa.select(model).order_by(model.id)))

    async def opens(self, url):
        """What the link opens."""
        code, _, secret = url.partition("/m/")[2].partition("#k=")
        return await MeetingService(self.database).resolve_link(code, secret)

    async def blocking(self):
        return [row.appointment_id for row in await self.all(Booking) if row.is_blocking]


@pytest.fixture
def training(database, tenant):
    return Training(database, tenant)


async def test_who_shares_a_room_has_links_of_their_own(training):
    """Each opens the same room as its own person, and the staff member's time is taken once."""
    jane, jane_id, _ = await training.book("Jane")
    kim, kim_id, _ = await training.book("Kim")
    grants = [await training.opens(each.links.guest_url) for each in (jane, kim)]
    assert {grant.room_id for grant in grants} == {training.room_id}
    assert [grant.person_id for grant in grants] == [jane_id, kim_id]
    assert (await training.opens(kim.links.host_url)).staff_id == training.tenant.staff.id
    assert kim.appointment.ends_at == jane.appointment.ends_at
    assert await training.blocking() == [jane.appointment.id]


async def test_fresh_links_of_one_leave_the_others(training):
    """Only the appointment's own earlier links are void."""
    jane, _, _ = await training.book("Jane")
    kim, _, _ = await training.book("Kim")
    fresh = await training.run(fresh_links, kim, LINKS)
    for url in (jane.links.host_url, jane.links.guest_url, fresh.host_url, fresh.guest_url):
        await training.opens(url)
    for url in (kim.links.host_url, kim.links.guest_url):
        with pytest.raises(LinkRefused):
            await training.opens(url)


async def test_the_room_is_called_off_with_the_last_that_shares_it(training):
    """Cancelling one hands its time over and closes its links; the room goes with the last."""
    jane, _, _ = await training.book("Jane")
    kim, _, _ = await training.book("Kim")
    await training.run(cancel, jane)
    with pytest.raises(LinkRefused):
        await training.opens(jane.links.guest_url)
    await training.opens(kim.links.guest_url)
    assert await training.blocking() == [kim.appointment.id]
    with pytest.raises(SlotTaken):
        await training.book("Lee", video_room_id=None, starts_at=START + timedelta(minutes=10))
    await training.run(cancel, kim)
    with pytest.raises(RoomOver):
        await training.opens(kim.links.guest_url)
    assert await training.blocking() == []
    with pytest.raises(Contradiction, match="cancelled"):
        await training.book("Lee")


async def test_time_is_handed_over_within_one_calendar(training):
    """Jane's time with Ana goes on to Lee, who is with Ana, not to Kim, who came first and is not."""
    jane, _, _ = await training.book("Jane")
    async with training.unit() as unit:
        other = Staff(id=unit.ids(), name="Bo Lee")
        await unit.add(other)
    kim, _, _ = await training.book("Kim", staff_id=other.id)
    lee, _, _ = await training.book("Lee")
    assert set(await training.blocking()) == {jane.appointment.id, kim.appointment.id}
    await training.run(cancel, jane)
    assert set(await training.blocking()) == {kim.appointment.id, lee.appointment.id}


async def test_who_is_not_expected_any_more_by_a_link(training):
    """A cancelled appointment's guest is not, its host is who has another; new links void the old."""
    jane, jane_id, _ = await training.book("Jane")
    kim, kim_id, _ = await training.book("Kim")

    async def plan():
        async with training.unit() as unit:
            await knock_by_every_link(unit, training.room_id)
            found = (await load_plans(unit, [training.room_id]))[training.room_id]
        links = {link.id: link for link in await training.all(RoomLink)}
        return [
            sorted((links[each].role, links[each].person_id) for each in some)
            for some in (found.closed_links, found.void_links)
        ]

    assert await plan() == [[], []]
    await training.run(fresh_links, kim, LINKS)
    assert await plan() == [[], [("host", None), ("participant", kim_id)]]
    await training.run(cancel, jane)
    assert await plan() == [
        [("participant", jane_id)],
        [("host", None), ("host", None), ("participant", kim_id)],
    ]
    async with training.unit() as unit:
        other = Staff(id=unit.ids(), name="Bo Lee")
        await unit.add(other)
    lee, lee_id, _ = await training.book("Lee", staff_id=other.id)
    await training.run(cancel, lee)
    assert (await plan())[0] == sorted(
        [("host", None), ("participant", jane_id), ("participant", lee_id)],
        key=lambda each: (each[0], each[1] or jane_id),
    )


async def test_two_who_share_a_room_are_cancelled_at_once(training):
    """Neither inherits the time of the other, and the room is called off."""
    for _ in range(8):
        training.room_id = None
        both = [(await training.book(name))[0] for name in ("Jane", "Kim")]
        await asyncio.gather(*(training.run(cancel, each) for each in both))
        assert await training.blocking() == []
    assert {room.status for room in await training.all(VideoRoom)} == {"cancelled"}


async def test_fresh_links_made_at_once_leave_two(training):
    """Whoever asked last has the links that work."""
    jane, _, _ = await training.book("Jane")
    await asyncio.gather(*(training.run(fresh_links, jane, LINKS) for _ in range(6)))
    async with training.unit(read_only=True) as unit:
        is_open = sa.select(sa.func.count(RoomLink.id)).where(RoomLink.revoked_at.is_(None))
        assert await unit.session.scalar(is_open) == 2


async def test_another_time_is_no_way_to_share_a_room(training):
    """Neither booked nor moved to; the sentence says when the room's meeting is."""
    jane, _, _ = await training.book("Jane")
    with pytest.raises(Contradiction) as refused:
        await training.book("Kim", starts_at=START + timedelta(hours=8))
    assert refused.value.extra["room"]["starts_at"] == "2026-12-01T09:00:00.000000Z"
    with pytest.raises(Contradiction):
        await training.book("Kim", location_kind="phone")
    await training.book("Kim")
    with pytest.raises(Contradiction, match="share"):
        await training.run(reschedule, jane, START + timedelta(hours=8))
    assert {row.starts_at for row in await training.all(Appointment)} == {START}


async def test_the_time_of_a_training_is_taken_from_others(training):
    """In another room the staff member is still booked, whatever part of it is overlapped."""
    await training.book("Jane")
    for minutes in (0, 10):
        with pytest.raises(SlotTaken):
            await training.book(
                "Kim", video_room_id=None, starts_at=START + timedelta(minutes=minutes)
            )


async def test_each_is_settled_by_who_came(training):
    """Jane came and Kim did not; one row tells it, on Jane's timeline and that of her lead."""
    jane, jane_id, jane_lead = await training.book("Jane")
    kim, kim_id, kim_lead = await training.book("Kim")
    meeting = Meeting(
        training.database, training.tenant.tenant.id, training.room_id, jane.appointment.id,
        jane_id, jane_lead, training.tenant.staff.id,
    )  # fmt: skip
    epoch = await meeting.claim()
    host = meeting.enter(f"staff:{meeting.staff_id}", "host", 0, "Ana Diaz")
    meeting.event("room.state", 0, state="live")
    meeting.enter(f"person:{jane_id}", "participant", 5, "Jane")
    meeting.event("room.state", 60, state="ended")
    meeting.end(60, by=host)
    await meeting.commit(epoch)
    outcomes = {row.id: (row.status, row.outcome) for row in await training.all(Appointment)}
    assert outcomes == {
        jane.appointment.id: ("completed", "held"),
        kim.appointment.id: ("no_show", "no_show"),
    }
    (row,) = await training.all(Communication)
    assert (row.person_id, row.lead_id, row.appointment_id) == (None, None, None)
    assert (row.status, row.subject) == ("completed", "Heat pumps")
    async with training.unit(read_only=True) as unit:
        for subject, subject_id, expected in (
            ("person", jane_id, [row.id]), ("lead", jane_lead, [row.id]),
            ("person", kim_id, []), ("lead", kim_lead, []),
        ):  # fmt: skip
            entries, _ = await timeline(unit, subject, subject_id, limit=10)
            told = [entry.row.id for entry in entries if entry.kind == "communication"]
            assert told == expected, subject
    assert await training.blocking() == [], "the staff member's time is free again"
    (room,) = await training.all(VideoRoom)
    assert room.status == "ended"


async def test_many_are_settled_by_as_few_statements_as_one(training, statements):
    """And nothing is read of an appointment but what is asked of it: each may have a megabyte."""
    counts = []
    for sharers in (1, 8):
        training.room_id = None
        for number in range(sharers):
            at = START + timedelta(days=sharers)
            booked, *whom = await training.book(f"Person {number}", starts_at=at)
        meeting = Meeting(
            training.database, training.tenant.tenant.id, training.room_id, booked.appointment.id,
            *whom, training.tenant.staff.id,
        )  # fmt: skip
        epoch = await meeting.claim()
        day = sharers * 86_400
        host = meeting.enter(f"staff:{training.tenant.staff.id}", "host", day, "Ana Diaz")
        meeting.event("room.state", day, state="live")
        meeting.event("room.state", day + 60, state="ended")
        meeting.end(day + 60, by=host)
        statements.clear()
        await meeting.commit(epoch)
        about = [
            text for text in statements if "bookings" in text or "appointment_attendees" in text
        ]
        counts.append(len(about))
        assert not any(
            "custom_fields" in text for text in statements if "FROM appointments" in text
        )
    assert counts == [2, 2]
    assert {row.status for row in await training.all(Appointment)} == {"no_show"}


async def test_a_room_is_shared_by_so_many(training, monkeypatch):
    """All of them begin and end in one transaction; who was cancelled does not count."""
    monkeypatch.setattr(video, "MAX_SHARING", 2)
    jane, _, _ = await training.book("Jane")
    await training.book("Kim")
    with pytest.raises(Contradiction, match="at most 2"):
        await training.book("Lee")
    await training.run(cancel, jane)
    await training.book("Lee")


@pytest.mark.parametrize("came", [1, 2])
async def test_a_training_that_is_tried_early_is_ahead_until_all_have_met(training, came):
    """An hour before, with one of two, and ended by the host: the other comes at the time."""
    at = START + timedelta(hours=1)
    booked = [await training.book(name, starts_at=at) for name in ("Jane", "Kim")]
    jane, *whom = booked[0]
    meeting = Meeting(
        training.database, training.tenant.tenant.id, training.room_id, jane.appointment.id,
        *whom, training.tenant.staff.id,
    )  # fmt: skip
    epoch = await meeting.claim()
    host = meeting.enter(f"staff:{meeting.staff_id}", "host", 0, "Ana Diaz")
    meeting.event("room.state", 0, state="live")
    for _, person_id, _ in booked[:came]:
        meeting.enter(f"person:{person_id}", "participant", 5, "Somebody")
    meeting.event("room.state", 60, state="ended")
    meeting.end(60, by=host)
    await meeting.commit(epoch)
    (room,) = await training.all(VideoRoom)
    outcomes = {(row.status, row.outcome) for row in await training.all(Appointment)}
    if came == 2:
        assert (room.status, outcomes) == ("ended", {("completed", "held")})
    else:
        assert (room.status, outcomes) == ("scheduled", {("scheduled", None)})
        await training.opens(booked[1][0].links.guest_url)
    (told,) = await training.all(Communication)
    assert told.status == "completed"


async def test_of_closed_appointments_so_many_are_read(training, monkeypatch):
    """Any number may have been booked in a room and cancelled; nothing of them is settled again."""
    monkeypatch.setattr(lifecycle, "MAX_SHARING", 2)
    jane, *whom = await training.book("Jane")
    for name in ("Kim", "Lee", "Bo"):
        await training.run(cancel, (await training.book(name))[0])
    meeting = Meeting(
        training.database, training.tenant.tenant.id, training.room_id, jane.appointment.id,
        *whom, training.tenant.staff.id,
    )  # fmt: skip
    epoch = await meeting.claim()
    meeting.event("room.state", 0, state="live")
    meeting.enter(f"person:{whom[0]}", second=5)
    await meeting.commit(epoch)
    await training.run(cancel, jane)
    meeting.end(60)
    read = []

    def note(row, _context):
        read.append(row)

    sa.event.listen(Appointment, "load", note)
    try:
        await meeting.commit(epoch)
    finally:
        sa.event.remove(Appointment, "load", note)
    assert len(read) == 2
    (told,) = await training.all(Communication)
    assert told.subject == "Heat pumps"


async def test_on_another_device_the_own_appointment_was_kept(training):
    """Kim was let in as a guest by Kim's link: that one was held, and Jane's was missed."""
    jane, jane_id, jane_lead = await training.book("Jane")
    kim, kim_id, _ = await training.book("Kim")
    (link,) = [each.id for each in await training.all(RoomLink) if each.person_id == kim_id]
    meeting = Meeting(
        training.database, training.tenant.tenant.id, training.room_id, jane.appointment.id,
        jane_id, jane_lead, training.tenant.staff.id,
    )  # fmt: skip
    epoch = await meeting.claim()
    meeting.enter(f"guest:{training.database.ids()}", second=5, name="Kim", link=link)
    meeting.end(60)
    await meeting.commit(epoch)
    outcomes = {row.id: row.outcome for row in await training.all(Appointment)}
    assert outcomes == {jane.appointment.id: "no_show", kim.appointment.id: "held"}
    marked = {row.person_id: row.is_no_show for row in await training.all(AppointmentAttendee)}
    assert (marked[jane_id], marked[kim_id]) == (True, False)


async def test_an_appointment_given_to_another_person(training):
    """Who had its guest link is not who it is with: the link is void, and a new one is theirs."""
    jane, _, _ = await training.book("Jane")
    kim, kim_id, _ = await training.book("Kim")
    await training.run(change_person, jane, kim_id)
    with pytest.raises(LinkRefused):
        await training.opens(jane.links.guest_url)
    for url in (jane.links.host_url, kim.links.guest_url):
        await training.opens(url)
    fresh = await training.run(fresh_links, jane, LINKS)
    grant = await training.opens(fresh.guest_url)
    assert (grant.person_id, grant.display_name) == (kim_id, "Kim")
    await training.run(change_person, jane, None)
    await training.run(change_person, jane, kim_id)
    roles = [
        (row.role, row.person_id)
        for row in await training.all(AppointmentAttendee)
        if row.appointment_id == jane.appointment.id
    ]
    assert sorted(roles, key=str) == [("guest", kim_id), ("host", None)]


async def test_who_is_expected_in_another_role_stays_so(training):
    """The appointment is with somebody else; that Jane may listen was said apart from that."""
    jane, jane_id, _ = await training.book("Jane")
    _, kim_id, _ = await training.book("Kim")
    async with training.unit() as unit:
        await unit.add(
            AppointmentAttendee(
                id=unit.ids(),
                appointment_id=jane.appointment.id,
                person_id=jane_id,
                role="optional",
            )
        )
    await training.run(change_person, jane, kim_id)
    expected = {
        (row.role, row.person_id)
        for row in await training.all(AppointmentAttendee)
        if row.appointment_id == jane.appointment.id and row.person_id
    }
    assert expected == {("guest", kim_id), ("optional", jane_id)}


async def test_no_links_for_who_is_gone(training):
    """Neither for a deleted person nor for staff who left, nor is anything booked with those."""
    jane, jane_id, _ = await training.book("Jane")
    async with training.unit() as unit:
        person = await unit.session.get(Person, (training.tenant.tenant.id, jane_id))
        person.deleted_at = unit.now
    with pytest.raises(Contradiction, match="deleted"):
        await training.run(fresh_links, jane, LINKS)
    kim, _, _ = await training.book("Kim")
    async with training.unit() as unit:
        staff = await unit.session.get(Staff, (training.tenant.tenant.id, training.tenant.staff.id))
        staff.is_active = False
    with pytest.raises(Contradiction, match="any more"):
        await training.run(fresh_links, kim, LINKS)
    with pytest.raises(Contradiction, match="any more"):
        await training.book("Lee")


async def test_who_waits_for_a_cancellation_gets_no_links(training):
    """Asked for while the cancellation was being written, links are refused when it is."""
    jane, _, _ = await training.book("Jane")
    await training.book("Kim")
    outcomes = await asyncio.gather(
        training.run(cancel, jane),
        *(training.run(fresh_links, jane, LINKS) for _ in range(4)),
        return_exceptions=True,
    )
    assert outcomes[0] is None
    assert {type(each) for each in outcomes[1:]} <= {LinkUrls, IllegalTransition}
    async with training.unit(read_only=True) as unit:
        open_links = await unit.session.scalars(
            sa.select(RoomLink).where(
                RoomLink.appointment_id == jane.appointment.id, RoomLink.revoked_at.is_(None)
            )
        )
        assert open_links.all() == []
