"""What becomes of appointments and their links when somebody they are for goes.

A person or a member of staff with an appointment ahead is not deleted: it is cancelled or handed
over first, by somebody who decides it. What is over stays as it was, and its links open nothing.
"""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from storage.database import Unit

from ..errors import Contradiction
from ..meetings.links import revoke_links
from ..meetings.models import RoomLink
from .models import Appointment
from .states import OPEN_STATES


async def person_goes(unit: Unit, person_id: UUID) -> None:
    """A person is to be deleted.

    Raises:
        Contradiction: names an appointment that is still ahead.
    """
    await _require_none_ahead(unit, Appointment.person_id == person_id)
    await revoke_links(unit, RoomLink.person_id == person_id)


async def staff_goes(unit: Unit, staff_id: UUID) -> None:
    """A member of staff is to be deleted.

    Raises:
        Contradiction: names an appointment that is still ahead.
    """
    await _require_none_ahead(unit, Appointment.staff_id == staff_id)
    await staff_leaves(unit, staff_id)


async def staff_leaves(unit: Unit, staff_id: UUID) -> None:
    """Who does not work here any more hosts no meeting."""
    await revoke_links(unit, RoomLink.staff_id == staff_id)


async def _require_none_ahead(unit: Unit, whose: Any) -> None:
    ahead = await unit.session.scalar(
        sa.select(Appointment.id)
        .where(
            whose,
            Appointment.status.in_(sorted(OPEN_STATES)),
            Appointment.ends_at > unit.now,
            Appointment.deleted_at.is_(None),
        )
        .order_by(Appointment.starts_at)
        .limit(1)
    )
    if ahead is not None:
        raise Contradiction(
            "an appointment is still ahead: cancel it first", appointment_id=str(ahead)
        )
