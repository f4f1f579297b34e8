"""A server process as far as rooms go, and what its database says afterwards."""

import uuid

import sqlalchemy as sa

from crm_core.appointments.models import Appointment
from crm_core.communications.models import Communication
from crm_core.meetings.models import VideoRoom, VideoRoomInterval
from crm_core.meetings.service import MeetingService
from rooms.commands import Enter
from rooms.ids import Identity
from rooms.policy import IdentityKind, Role
from signaling.actor import RoomActor
from signaling.clock import TextIds
from signaling.conductor import Conductor
from signaling.feed import LocalFeed
from signaling.journal import CrmJournal, find_overdue, open_leases
from signaling.links import CrmLinks
from signaling.roomkey import RoomKey
from signaling.tokens import ResumeSecrets, Tokens
from storage.turns import Turns
from tests.signaling.fakes import RecordingAdapter, Stage, hello

TOKENS = Tokens(b"k" * 32)


class Node:
    """A server process, as far as rooms go."""

    def __init__(self, database, clock, name="node-a", **settings):
        self.database, self.clock, self.name = database, clock, name
        self.meetings = MeetingService(database)
        self.leases = open_leases(self.meetings)
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
            CrmJournal(self.meetings, self.leases, *room, self.name),
            clock=self.clock,
            ids=TextIds(),
            secrets=ResumeSecrets(TOKENS, self.clock),
            turns=Turns(),
            open_feed=open_feed,
            make_adapter=RecordingAdapter,
            gone=gone,
        )

    async def actor(self, appointment):
        return await self.conductor.actor(
            RoomKey.of(appointment.tenant_id, appointment.video_room_id)
        )

    async def enter(self, appointment, kind, who, role=Role.PARTICIPANT, *, lobby=False, link=None):
        """Somebody comes in by a link."""
        key = RoomKey.of(appointment.tenant_id, appointment.video_room_id)
        actor = await self.conductor.sitting(key)
        client = Stage().client()
        hello(client, token="t")
        command = Enter(
            Identity(f"{kind}:{who}"), kind, str(who), role=role, lobby=lobby, link=link
        )
        await actor.entrance.enter(client, "h", lambda: command)
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
            actor._writer.timeout()
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
