"""Who may go while appointments are ahead."""

from datetime import timedelta

import pytest

from crm_core.appointments.models import Appointment
from crm_core.appointments.parties import person_goes, staff_goes
from crm_core.errors import Contradiction
from crm_core.people.models import Person


@pytest.mark.parametrize(
    ("changes", "stays"),
    [({}, True), ({"status": "cancelled"}, False), ({"is_deleted": True}, False)],
)
async def test_an_appointment_ahead_keeps_who_it_is_for(database, tenant, changes, stays):
    """Unless it was called off or deleted."""
    changes = dict(changes)
    async with database.unit_of_work(tenant.tenant.id) as unit:
        person = Person(id=unit.ids(), first_name="Jane")
        await unit.add(person)
        deleted_at = unit.now if changes.pop("is_deleted", False) else None
        await unit.add(
            Appointment(
                id=unit.ids(),
                person_id=person.id,
                staff_id=tenant.staff.id,
                starts_at=unit.now + timedelta(days=1),
                ends_at=unit.now + timedelta(days=1, hours=1),
                location_kind="phone",
                deleted_at=deleted_at,
                **changes,
            )
        )
        for goes, who in ((person_goes, person.id), (staff_goes, tenant.staff.id)):
            if stays:
                with pytest.raises(Contradiction, match="ahead"):
                    await goes(unit, who)
            else:
                await goes(unit, who)
