"""A tenant to try the product with: a consultant, a customer, a lead and a video appointment.

`create_demo` makes all of it once; `book_again` books the same people for another meeting when the
last one is over, so that what a visitor has put into the tenant stays in view.
"""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa

from storage.database import Database, Unit

from .appointments.models import Appointment, Booking
from .appointments.service import Booked, book
from .appointments.states import OPEN_STATES
from .appointments.video import LinkMaker
from .errors import NotFound
from .leads.models import Lead
from .meetings.links import LinkUrls
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
        consultant = Staff(id=unit.ids(), name="Ana Diaz", email=CONSULTANT_EMAIL)
        person = Person(
            id=unit.ids(),
            first_name="Jane",
            last_name="Doe",
            email=CUSTOMER_EMAIL,
            is_lead=True,
        )
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


async def book_again(database: Database, links: LinkMaker, api_key: str) -> LinkUrls:
    """Book the demo's consultant and customer for now, in the tenant that is there.

    Raises:
        Unauthorized: the key opens nothing any more.
        NotFound: somebody has deleted the demo's people.
        SlotTaken: the consultant has something else now.
    """
    grant = await authenticate(database, api_key)
    async with database.unit_of_work(grant.tenant_id, actor_id=grant.staff_id) as unit:
        consultant_id = await unit.session.scalar(
            sa.select(Staff.id).where(Staff.email == CONSULTANT_EMAIL).order_by(Staff.id)
        )
        person_id = await unit.session.scalar(
            sa.select(Person.id)
            .where(Person.email == CUSTOMER_EMAIL, Person.deleted_at.is_(None))
            .order_by(Person.id)
        )
        if consultant_id is None or person_id is None:
            raise NotFound("person", person_id)
        lead_id = await unit.session.scalar(
            sa.select(Lead.id)
            .where(Lead.person_id == person_id, Lead.deleted_at.is_(None))
            .order_by(Lead.id)
        )
        await _free_what_is_over(unit, consultant_id)
        booked = await _book(unit, links, consultant_id, person_id, lead_id)
    if booked.links is None:
        raise AssertionError("a video appointment has links")
    return booked.links


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


async def _free_what_is_over(unit: Unit, staff_id: UUID) -> None:
    """A demo meeting takes a whole day in the calendar, and is over after minutes."""
    over = sa.select(Appointment.id).where(Appointment.status.not_in(sorted(OPEN_STATES)))
    await unit.session.execute(
        sa.update(Booking)
        .where(Booking.staff_id == staff_id, Booking.is_blocking, Booking.appointment_id.in_(over))
        .values(is_blocking=False)
        .execution_options(synchronize_session=False)
    )
