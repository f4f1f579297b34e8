"""A tenant to try the product with: a consultant, a customer, a lead and a video appointment."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from storage.database import Database

from .appointments.service import LinkMaker, book
from .leads.models import Lead
from .people.models import Person
from .tenants.models import Staff
from .tenants.service import create_tenant


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
        consultant = Staff(id=unit.ids(), name="Ana Diaz", email="ana@demo.example")
        person = Person(
            id=unit.ids(),
            first_name="Jane",
            last_name="Doe",
            email="jane@customer.example",
            is_lead=True,
        )
        lead = Lead(
            id=unit.ids(), person_id=person.id, source="website", assigned_to_id=consultant.id
        )
        await unit.add(consultant, person, lead)
        booked = await book(
            unit,
            {
                "title": "Solar consultation",
                "staff_id": consultant.id,
                "person_id": person.id,
                "lead_id": lead.id,
                "starts_at": unit.now,
                # Long enough to try the links for a day without booking again.
                "ends_at": unit.now + timedelta(hours=24),
                "location_kind": "video",
            },
            links,
        )
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
