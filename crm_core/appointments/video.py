"""The room of a video appointment: opened with it or shared with others, its links, its end.

Appointments that share a room, for instance of a training, take place in it at one time. Each has
links of its own: what happens to one appointment leaves the others' alone.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from storage.database import Unit
from storage.types import iso_utc

from ..errors import Contradiction
from ..meetings import rooms
from ..meetings.links import LinkRole, LinkUrls, RandomBytes, issue_link, revoke_links
from ..meetings.models import RoomLink, VideoRoom
from ..meetings.states import ROOM_JOINABLE
from ..people.models import Person
from ..tenants.models import Staff
from .bookings import is_shared, open_in
from .models import Appointment

MAX_SHARING: Final = 500
"""Open appointments in one room: they begin and end together, in the transaction of that."""


@dataclass(frozen=True)
class LinkMaker:
    """What it takes to make links: where the product is served, and randomness."""

    base_url: str
    random_bytes: RandomBytes


async def find_shared(unit: Unit, values: dict[str, Any]) -> VideoRoom | None:
    """The room that a new appointment is to share; None when it gets its own or needs none.

    Args:
        unit: the caller's.
        values: the appointment's; without an end it ends with the room.

    Raises:
        Contradiction: it is no video meeting, the room's meeting is over, or too many share it.
        NotFound: no such room.
    """
    room_id = values.get("video_room_id")
    if room_id is None:
        return None
    if values.get("location_kind", "video") != "video":
        raise Contradiction("only a video appointment has a room", field="video_room_id")
    room = await rooms.get_room(unit, room_id, lock=True)
    if room.status not in ROOM_JOINABLE:
        raise Contradiction(
            f"that room's meeting is {room.status}", field="video_room_id", room_status=room.status
        )
    sharing = open_in(room.id).limit(MAX_SHARING).subquery()
    counted = sa.select(sa.func.count()).select_from(sharing)
    if (await unit.session.scalar(counted) or 0) >= MAX_SHARING:
        raise Contradiction(
            f"at most {MAX_SHARING} appointments share a room", field="video_room_id"
        )
    return room


async def require_nobody_meets(unit: Unit, appointment: Appointment) -> None:
    """See that no meeting runs in the appointment's room.

    Raises:
        Contradiction: one does.
    """
    await _refuse_while(
        unit, appointment, ("live", "ending"), "people meet in its room now: end the meeting first"
    )


async def require_nobody_came(unit: Unit, appointment: Appointment) -> None:
    """See that nobody meets in the appointment's room, nor has come to its door.

    Raises:
        Contradiction: somebody has.
    """
    await _refuse_while(
        unit,
        appointment,
        ("lobby_open", "live", "ending"),
        "somebody has come to its room: cancel it, or wait for the end",
    )


async def _refuse_while(
    unit: Unit, appointment: Appointment, states: tuple[str, ...], why: str
) -> None:
    room = await locked_room(unit, appointment)
    if room is not None and room.status in states:
        raise Contradiction(why, field="video_room_id", room_status=room.status)


def require_same_time(room: VideoRoom, starts_at: datetime, ends_at: datetime) -> None:
    """Refuse to share a room that is for another time.

    Raises:
        Contradiction: says when the room's meeting is.
    """
    if room.starts_at is None or room.ends_at is None:
        return
    if (room.starts_at, room.ends_at) != (starts_at, ends_at):
        raise Contradiction(
            "those who share a room meet in it at one time",
            field="starts_at",
            room={"starts_at": iso_utc(room.starts_at), "ends_at": iso_utc(room.ends_at)},
        )


async def open_room(
    unit: Unit, appointment: Appointment, staff: Staff, random_bytes: RandomBytes
) -> VideoRoom:
    """A room for this appointment, which others may share later."""
    room = await rooms.create_room(
        unit,
        name=appointment.title or f"Meeting with {staff.name}",
        room_type="training" if appointment.kind == "training" else "consultation",
        random_bytes=random_bytes,
        host_id=staff.id,
        starts_at=appointment.starts_at,
        ends_at=appointment.ends_at,
    )
    appointment.video_room_id = room.id
    return room


async def issue_links(
    unit: Unit, room: VideoRoom, appointment: Appointment, staff: Staff, links: LinkMaker
) -> LinkUrls:
    """The appointment's two links; those it had before are void.

    Raises:
        Contradiction: its person was deleted.
    """
    await _revoke(unit, appointment)
    guest_name = ""
    if appointment.person_id is not None:
        guest_name = await _name_of(unit, appointment.person_id)

    async def link(role: LinkRole, name: str, **whose: UUID | None) -> str:
        return await issue_link(
            unit,
            room,
            appointment_id=appointment.id,
            role=role,
            display_name=name,
            lobby=role != "host",
            base_url=links.base_url,
            random_bytes=links.random_bytes,
            **whose,
        )

    return LinkUrls(
        host_url=await link("host", staff.name, staff_id=staff.id),
        guest_url=await link("participant", guest_name, person_id=appointment.person_id),
    )


async def revoke_guest_link(unit: Unit, appointment: Appointment) -> None:
    """Who has it is not who the appointment is with any more."""
    await revoke_links(
        unit,
        sa.and_(RoomLink.appointment_id == appointment.id, RoomLink.role == "participant"),
    )


async def locked_room(unit: Unit, appointment: Appointment) -> VideoRoom | None:
    """The appointment's room, if it has one, kept from others until the commit.

    Asked for before the appointment is written: who shares a room waits for each other here, and a
    meeting that starts or ends writes in this order, too.
    """
    if appointment.video_room_id is None:
        return None
    return await rooms.get_room(unit, appointment.video_room_id, lock=True)


async def move_room(
    unit: Unit, room: VideoRoom, appointment: Appointment, starts_at: datetime, ends_at: datetime
) -> None:
    """The appointment's room is for another time.

    Raises:
        Contradiction: others share it.
    """
    if await is_shared(unit, appointment):
        raise Contradiction(
            "others share its room; cancel it, and book another time anew", field="starts_at"
        )
    room.starts_at, room.ends_at = starts_at, ends_at


async def leave_room(unit: Unit, room: VideoRoom, appointment: Appointment, reason: str) -> None:
    """Its links open nothing any more; the room itself is closed with the last that shared it."""
    if await is_shared(unit, appointment):
        await _revoke(unit, appointment)
    else:
        await rooms.cancel_room(unit, room.id, reason=reason)


async def _revoke(unit: Unit, appointment: Appointment) -> None:
    await revoke_links(unit, RoomLink.appointment_id == appointment.id)


async def _name_of(unit: Unit, person_id: UUID) -> str:
    name = await unit.session.scalar(
        sa.select(Person.full_name).where(Person.id == person_id, Person.deleted_at.is_(None))
    )
    if name is None:
        raise Contradiction("its person was deleted", field="person_id")
    return name
