"""A meeting as the meeting server would journal it: a small script of room events."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import sqlalchemy as sa

from crm_core.appointments.service import book
from crm_core.leads.service import create_lead
from crm_core.meetings.models import RoomLink, VideoRoomParticipant
from crm_core.meetings.service import JournalRecord, MeetingService
from crm_core.people.models import Person
from tests.support.databases import LINKS

START = datetime(2026, 12, 1, 9, tzinfo=UTC)


@dataclass
class Meeting:
    """One sitting: collects events with contiguous numbers."""

    database: object
    tenant_id: UUID
    room_id: UUID
    appointment_id: UUID
    person_id: UUID
    lead_id: UUID
    staff_id: UUID
    session_no: int = 1
    seq: int = 0
    batch: list = field(default_factory=list)

    @property
    def service(self):
        return MeetingService(self.database)

    def event(self, kind, second=0, by=None, /, **fields):
        """Add an event of the room at START + second."""
        self.seq += 1
        self.batch.append(
            JournalRecord(
                self.seq,
                kind,
                "journal",
                {"p": fields, "by": by, "now": float(second)},
                START + timedelta(seconds=second),
                self.session_no,
            )
        )

    def enter(self, identity, role="participant", second=0, name="Somebody", link=None):
        """A new participant, admitted and active, with an open interval; returns its id."""
        who = str(self.database.ids())
        self.knock(identity, who, role, second, name, link)
        for state in ("admitted", "joining", "active"):
            self.move(who, state, second)
        self.event(
            "interval.opened",
            second,
            participant=who,
            scope="main",
            joined_at=_stamp(second),
        )
        return who

    def knock(self, identity, who, role="participant", second=0, name="Somebody", link=None):
        """A new participant who waits."""
        self.event(
            "participant.entered",
            second,
            participant=who,
            identity=identity,
            identity_kind=identity.partition(":")[0],
            kind="person",
            name=name,
            role=role,
            verified=True,
            hidden=False,
            link=None if link is None else str(link),
            attributes={},
        )
        self.move(who, "waiting", second)

    def move(self, who, state, second=0, reason="host", by=None):
        self.event(
            "participant.state",
            second,
            by,
            participant=who,
            state=state,
            was="x",
            reason=reason,
            admitted=state != "waiting",
        )

    def leave(self, who, second, joined=0, reason="left", noticed=None):
        """A participant leaves at `second`, which the room notices then or later."""
        noticed = second if noticed is None else noticed
        self.move(who, "left", noticed, reason)
        self.event(
            "interval.closed",
            noticed,
            participant=who,
            scope="main",
            joined_at=_stamp(joined),
            left_at=_stamp(second),
            seconds=float(second - joined),
            reason=reason,
        )

    def end(self, second, by=None, noticed=None, reason="host"):
        """The sitting ended at `second`; the grace for undoing it lasted until `noticed`."""
        at = second if noticed is None else noticed
        self.event("room.ended", at, by, reason=reason, by=by, ended_at=_stamp(second))

    async def commit(self, epoch):
        """Append what was collected; returns it."""
        batch, self.batch = self.batch, []
        await self.service.append(self.tenant_id, self.room_id, epoch, batch)
        return batch

    async def claim(self, node="node-1"):
        claim = await self.service.claim_room(self.tenant_id, self.room_id, node, 60)
        return claim.epoch

    async def renew(self, epoch, seconds=60):
        """What the calendar says of the room; None when the epoch has it no more."""
        ours = {self.room_id: epoch}
        return (await self.service.renew_rooms(self.tenant_id, ours, seconds)).get(self.room_id)


async def knock_by_every_link(unit, room_id):
    """Somebody comes to the door by each link of the room by which nobody has come yet."""
    came = sa.select(VideoRoomParticipant.link_id).where(VideoRoomParticipant.room_id == room_id)
    links = sa.select(RoomLink.id).where(RoomLink.room_id == room_id, RoomLink.id.not_in(came))
    for link in (await unit.session.scalars(links)).all():
        await unit.add(
            VideoRoomParticipant(
                id=unit.ids(), room_id=room_id, session_no=1, link_id=link,
                identity=f"guest:{unit.ids()}", display_name="Kim",
            )
        )  # fmt: skip


def _stamp(second):
    return (START + timedelta(seconds=second)).isoformat().replace("+00:00", "Z")


async def book_meeting(database, tenant) -> Meeting:
    """A booked video appointment of Ana Diaz with Jane Doe, about a lead."""
    async with database.unit_of_work(tenant.tenant.id, actor_id=tenant.staff.id) as unit:
        person = Person(id=unit.ids(), first_name="Jane", last_name="Doe")
        await unit.add(person)
        lead = await create_lead(unit, {"person_id": person.id})
        booked = await book(
            unit,
            {
                "title": "Roof talk",
                "person_id": person.id,
                "lead_id": lead.id,
                "staff_id": tenant.staff.id,
                "starts_at": START,
                "location_kind": "video",
            },
            LINKS,
        )
    return Meeting(
        database,
        tenant.tenant.id,
        booked.appointment.video_room_id,
        booked.appointment.id,
        person.id,
        lead.id,
        tenant.staff.id,
    )
