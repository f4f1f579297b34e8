"""A tenant to try the product with: a consultant, a customer, a lead and a video appointment.

`create_demo` makes all of it once; `meet_again` gives links that work when the last ones do not any
more, so that what a visitor has put into the tenant stays in view.
"""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa

from storage.database import Database, Unit

from .appointments.models import Appointment, Booking
from .appointments.service import Booked, book, fresh_links
from .appointments.states import OPEN_STATES
from .appointments.video import LinkMaker
from .leads.models import Lead
from .meetings.links import LinkUrls
from .meetings.models import VideoRoom
from .meetings.states import ROOM_JOINABLE
from .people.models import Person
from .tenants.models import Staff
from .tenants.service import authenticate, create_tenant

CONSULTANT_EMAIL = "ana@demo.example"
CUSTOMER_EMAIL = "jane@customer.example"
# Long enough to try the links for a day without booking again.
LENGTH = timedelta(hours=24)


@dataclass(frozen=True)
class Demo:
    """What a first visitor needs; secrets are shown this once."""

    tenant_id: UUID
    appointment_id: UUID
    video_room_id: UUID
    api_key: str
    host_url: str
    guest_url: str


async def create_demo(database: Database, links: LinkMaker) -> Demo:
    """Make the demo tenant and book its appointment for now."""
    made = await create_tenant(
        database,
        "Demo Solar",
        staff_name="Sam Lee",
        staff_email="sam@demo.example",
        random_bytes=links.random_bytes,
    )
    async with database.unit_of_work(made.tenant.id, actor_id=made.staff.id) as unit:
        # Not the key's own staff member: what a visitor books with the key must not meet the
        # demo's appointment in the same calendar.
        consultant, person = _consultant(unit), _customer(unit)
        lead = Lead(
            id=unit.ids(), person_id=person.id, source="website", assigned_to_id=consultant.id
        )
        await unit.add(consultant, person, lead)
        booked = await _book(unit, links, consultant.id, person.id, lead.id)
        room_id = booked.appointment.video_room_id
    if booked.links is None or room_id is None:
        raise AssertionError("a video appointment has a room and links")
    return Demo(
        tenant_id=made.tenant.id,
        appointment_id=booked.appointment.id,
        video_room_id=room_id,
        api_key=made.api_key_secret,
        host_url=booked.links.host_url,
        guest_url=booked.links.guest_url,
    )


async def meet_again(database: Database, links: LinkMaker, api_key: str) -> LinkUrls:
    """Links that work, in the tenant that is there: of the demo's open appointment or a new one.

    Raises:
        Unauthorized: the key opens nothing any more.
    """
    grant = await authenticate(database, api_key)
    async with database.unit_of_work(grant.tenant_id, actor_id=grant.staff_id) as unit:
        person_id = await unit.session.scalar(
            sa.select(Person.id)
            .where(Person.email == CUSTOMER_EMAIL, Person.deleted_at.is_(None))
            .order_by(Person.id)
        )
        if person_id is None:
            customer = _customer(unit)
            await unit.add(customer)
            person_id = customer.id
        standing = await _standing(unit, person_id)
        if standing is not None:
            return await fresh_links(unit, standing, links)
        lead_id = await unit.session.scalar(
            sa.select(Lead.id)
            .where(Lead.person_id == person_id, Lead.deleted_at.is_(None))
            .order_by(Lead.id)
        )
        consultant_id = await _free_consultant(unit)
        if consultant_id is None:  # has something else now, or left: is stood in for
            consultant = _consultant(unit)
            await unit.add(consultant)
            consultant_id = consultant.id
        booked = await _book(unit, links, consultant_id, person_id, lead_id)
    if booked.links is None:
        raise AssertionError("a video appointment has links")
    return booked.links


def _consultant(unit: Unit) -> Staff:
    return Staff(id=unit.ids(), name="Ana Diaz", email=CONSULTANT_EMAIL)


def _customer(unit: Unit) -> Person:
    return Person(
        id=unit.ids(), first_name="Jane", last_name="Doe", email=CUSTOMER_EMAIL, is_lead=True
    )


async def _free_consultant(unit: Unit) -> UUID | None:
    """The demo's consultant, if they still work here and the time that it takes is free."""
    taken = sa.exists().where(
        Booking.staff_id == Staff.id,
        Booking.is_blocking,
        Booking.starts_at < unit.now + LENGTH,
        Booking.ends_at > unit.now,
    )
    return await unit.session.scalar(
        sa.select(Staff.id)
        .where(
            Staff.email == CONSULTANT_EMAIL,
            Staff.is_active,
            Staff.deleted_at.is_(None),
            ~taken,
        )
        .order_by(Staff.id)
        .limit(1)
    )


async def _standing(unit: Unit, person_id: UUID) -> Appointment | None:
    """The demo's appointment, if it can still be met in."""
    return await unit.session.scalar(
        sa.select(Appointment)
        .join(VideoRoom, VideoRoom.id == Appointment.video_room_id)
        .join(Staff, Staff.id == Appointment.staff_id)
        .where(
            Appointment.person_id == person_id,
            Appointment.status.in_(sorted(OPEN_STATES)),
            Appointment.ends_at > unit.now,
            Appointment.deleted_at.is_(None),
            VideoRoom.status.in_(sorted(ROOM_JOINABLE)),
            Staff.is_active,
            Staff.deleted_at.is_(None),
        )
        .order_by(Appointment.starts_at, Appointment.id)
        .limit(1)
    )


async def _book(
    unit: Unit, links: LinkMaker, staff_id: UUID, person_id: UUID, lead_id: UUID | None
) -> Booked:
    return await book(
        unit,
        {
            "title": "Solar consultation",
            "staff_id": staff_id,
            "person_id": person_id,
            "lead_id": lead_id,
            "starts_at": unit.now,
            "ends_at": unit.now + LENGTH,
            "location_kind": "video",
        },
        links,
    )
