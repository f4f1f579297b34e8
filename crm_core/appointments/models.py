"""Tables of scheduling.

An appointment says what was agreed; a booking says whose time it takes. Only bookings carry the
rule that nothing overlaps: an exclusion constraint on PostgreSQL, triggers on SQLite
(``storage/migrations``), so that holds, time off and outside calendars obey it too.
"""

from datetime import datetime
from decimal import Decimal
from typing import ClassVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from storage.base import (
    Base,
    Extensible,
    SoftDeleted,
    Stamped,
    TenantRow,
    check,
    ix,
    one_of,
    ref,
    unique,
)

from ..context import Contextual
from .states import APPOINTMENT_STATES, OUTCOMES

LOCATION_KINDS = ("video", "phone", "in_person", "site")
SERVICE_ASSIGNMENTS = ("manual", "round_robin", "effort_based")
ATTENDEE_ROLES = ("host", "cohost", "guest", "optional")
RESPONSES = ("pending", "accepted", "declined", "tentative")
BOOKING_KINDS = ("appointment", "hold", "time_off", "external", "crew", "equipment")


class Service(TenantRow, Stamped, SoftDeleted, Extensible, Base):
    """Something that can be booked, with its length and rules."""

    __tablename__ = "services"

    name: Mapped[str]
    description: Mapped[str | None]
    duration_minutes: Mapped[int]
    price: Mapped[Decimal | None]
    currency: Mapped[str | None]
    buffer_before_minutes: Mapped[int] = mapped_column(default=0)
    buffer_after_minutes: Mapped[int] = mapped_column(default=0)
    slot_minutes: Mapped[int | None]
    min_notice_minutes: Mapped[int] = mapped_column(default=120)
    max_days_ahead: Mapped[int] = mapped_column(default=60)
    capacity: Mapped[int] = mapped_column(default=1)
    location_kind: Mapped[str] = mapped_column(default="video")
    requires_confirmation: Mapped[bool] = mapped_column(default=False)
    assignment: Mapped[str] = mapped_column(default="manual")
    is_active: Mapped[bool] = mapped_column(default=True)

    __table_args__ = (
        unique("external_id"),
        check("duration", "duration_minutes > 0"),
        one_of("location_kind", LOCATION_KINDS),
        one_of("assignment", SERVICE_ASSIGNMENTS),
    )


class Appointment(TenantRow, Stamped, SoftDeleted, Extensible, Contextual, Base):
    """An agreed time between staff and a customer (seed: appointments)."""

    __tablename__ = "appointments"
    __context_time__: ClassVar[str] = "starts_at"

    service_id: Mapped[UUID | None] = ref("services")
    staff_id: Mapped[UUID | None] = ref("staff", index_with=("starts_at",))
    kind: Mapped[str] = mapped_column(default="consultation")
    title: Mapped[str | None]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    timezone: Mapped[str | None]
    status: Mapped[str] = mapped_column(default="scheduled")
    location_kind: Mapped[str] = mapped_column(default="video")
    location: Mapped[str | None]
    join_url: Mapped[str | None]
    video_room_id: Mapped[UUID | None] = ref("video_rooms")
    notes: Mapped[str | None]
    confirmed_at: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]
    cancel_reason: Mapped[str | None]
    outcome: Mapped[str | None]
    outcome_evidence: Mapped[str | None]
    outcome_confirmed_by_id: Mapped[UUID | None] = ref("staff")
    rescheduled_from_id: Mapped[UUID | None] = ref("appointments")
    calendar_uid: Mapped[str | None]
    calendar_sequence: Mapped[int] = mapped_column(default=0)
    calendar_event_id: Mapped[str | None]
    source: Mapped[str | None]

    __table_args__ = (
        check("ends_after_start", "ends_at > starts_at"),
        one_of("status", APPOINTMENT_STATES),
        one_of("outcome", OUTCOMES),
        one_of("location_kind", LOCATION_KINDS),
        unique("external_id"),
        unique("calendar_uid"),
        ix("starts_at"),
        ix("status", "starts_at"),
        ix("updated_at"),
    )


class AppointmentAttendee(TenantRow, Base):
    """Somebody expected at an appointment."""

    __tablename__ = "appointment_attendees"

    appointment_id: Mapped[UUID] = ref("appointments", on_delete="cascade")
    person_id: Mapped[UUID | None] = ref("people")
    staff_id: Mapped[UUID | None] = ref("staff")
    email: Mapped[str | None]
    name: Mapped[str | None]
    role: Mapped[str] = mapped_column(default="guest")
    response: Mapped[str] = mapped_column(default="pending")
    is_no_show: Mapped[bool] = mapped_column(default=False)

    __table_args__ = (one_of("role", ATTENDEE_ROLES), one_of("response", RESPONSES))


class Booking(TenantRow, Base):
    """A stretch of a staff member's time; blocking ones may not overlap."""

    __tablename__ = "bookings"

    kind: Mapped[str]
    staff_id: Mapped[UUID] = ref("staff", on_delete="cascade", index_with=("starts_at",))
    appointment_id: Mapped[UUID | None] = ref("appointments", on_delete="cascade")
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    is_blocking: Mapped[bool] = mapped_column(default=True)
    expires_at: Mapped[datetime | None]
    external_ref: Mapped[str | None]
    created_at: Mapped[datetime]

    __table_args__ = (
        check("ends_after_start", "ends_at > starts_at"),
        one_of("kind", BOOKING_KINDS),
        ix("expires_at", where="kind = 'hold'"),
        ExcludeConstraint(
            (sa.column("tenant_id"), "="),
            (sa.column("staff_id"), "="),
            (sa.text("tstzrange(starts_at, ends_at)"), "&&"),
            where=sa.text("is_blocking"),
            using="gist",
            name="ex_bookings_staff",
        ).ddl_if(dialect="postgresql"),
    )
