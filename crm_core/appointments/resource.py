"""Services, appointments and attendees as resources."""

from typing import Any

from storage.database import Unit

from ..errors import IllegalTransition
from ..meetings.rooms import SEATS
from ..resources.declaration import READ_ONLY, Caller, Include, Outcome, Resource, Verb
from ..resources.fields import SHORT, TIMESTAMP, Field, text_kind
from . import service, video
from .models import (
    ATTENDEE_ROLES,
    LOCATION_KINDS,
    RESPONSES,
    SERVICE_ASSIGNMENTS,
    Appointment,
    AppointmentAttendee,
    Service,
)
from .states import APPOINTMENT_STATES, OPEN_STATES, OUTCOMES

_URL = text_kind(2_048)
_LINKS = (
    Field("host_url", _URL, description="Opens the meeting as its host; shown this once"),
    Field("guest_url", _URL, description="Asks to enter as the customer; shown this once"),
)


async def _create(unit: Unit, values: dict[str, Any], caller: Caller) -> Outcome:
    booked = await service.book(unit, values, caller.links, default_staff_id=caller.staff_id)
    if booked.links is None:
        return Outcome(booked.appointment)
    return Outcome(
        booked.appointment,
        {"host_url": booked.links.host_url, "guest_url": booked.links.guest_url},
    )


async def _confirm(
    unit: Unit, row: Any, _values: dict[str, Any], _caller: Caller
) -> dict[str, Any]:
    await service.confirm(unit, row)
    return {}


async def _reschedule(
    unit: Unit, row: Any, values: dict[str, Any], _caller: Caller
) -> dict[str, Any]:
    await service.reschedule(unit, row, values["starts_at"], values.get("ends_at"))
    return {}


async def _cancel(unit: Unit, row: Any, values: dict[str, Any], _caller: Caller) -> dict[str, Any]:
    await service.cancel(unit, row, values.get("reason"))
    return {}


async def _links(unit: Unit, row: Any, _values: dict[str, Any], caller: Caller) -> dict[str, Any]:
    links = await service.fresh_links(unit, row, caller.links)
    return {"host_url": links.host_url, "guest_url": links.guest_url}


async def _changed(unit: Unit, row: Any, values: dict[str, Any], _caller: Caller) -> dict[str, Any]:
    if "person_id" in values:
        await service.change_person(unit, row, values["person_id"])
    return {}


async def _removed(unit: Unit, row: Any, _caller: Caller) -> None:
    """A deleted appointment takes nobody's time and opens no room.

    One whose people meet now stays, also where it was moved meanwhile: what they do is about it.
    """
    if row.status == "in_progress":
        raise IllegalTransition("appointment", row.status, "be deleted")
    if row.status in OPEN_STATES:
        await video.require_nobody_meets(unit, row)
        await service.cancel(unit, row, "deleted")


_RESCHEDULE = "changed by POST /v1/appointments/{id}:reschedule"
_CANCEL = "changed by POST /v1/appointments/{id}:cancel"
_MEETING = "set when the meeting ends"
_KIND = (
    "What it is, in a word of yours. It says how many seats the room of a video appointment has:"
    " {training[0]} for kind training, {training[1]} of them kept for hosts and co-hosts; else"
    " {consultation[0]}, {consultation[1]} of them kept. Who finds none free waits"
).format_map(SEATS)

SERVICES = Resource(
    Service,
    "service",
    "What can be booked",
    choices={"location_kind": LOCATION_KINDS, "assignment": SERVICE_ASSIGNMENTS},
    long_texts=frozenset({"description"}),
)
APPOINTMENTS = Resource(
    Appointment,
    "appointment",
    "Agreed times between staff and customers",
    optional=frozenset({"ends_at"}),
    long_texts=frozenset({"notes"}),
    fixed=frozenset({"staff_id", "service_id", "kind", "location_kind", "video_room_id"}),
    owned={
        "status": "changed by POST /v1/appointments/{id}:confirm, :reschedule and :cancel",
        "confirmed_at": "set by POST /v1/appointments/{id}:confirm",
        "cancelled_at": _CANCEL,
        "cancel_reason": _CANCEL,
        "outcome": _MEETING,
        "outcome_evidence": _MEETING,
        "outcome_confirmed_by_id": _MEETING,
        "calendar_sequence": _RESCHEDULE,
        "join_url": "never stored: POST /v1/appointments/{id}:links makes fresh links",
    },
    moved={"starts_at": _RESCHEDULE, "ends_at": _RESCHEDULE},
    choices={
        "status": APPOINTMENT_STATES,
        "location_kind": LOCATION_KINDS,
        "outcome": OUTCOMES,
    },
    notes={
        "kind": _KIND,
        "staff_id": (
            "In whose calendar it is; without it, that of whoever the key belongs to, and with a key of"
            " nobody's that of the only one who can be booked"
        ),
    },
    children=(Include("attendees", "appointment_attendees", "id", "appointment_id"),),
    create=_create,
    create_extra=_LINKS,
    changed=_changed,
    removed=_removed,
    verbs=(
        Verb("confirm", "Say that it will take place", _confirm),
        Verb(
            "reschedule",
            "Move it to another time",
            _reschedule,
            body=(
                Field("starts_at", TIMESTAMP, required=True),
                Field("ends_at", TIMESTAMP),
            ),
        ),
        Verb(
            "cancel",
            "Call it off; its links open nothing any more",
            _cancel,
            body=(Field("reason", SHORT, nullable=True),),
        ),
        Verb(
            "links",
            "Make fresh links; its earlier ones are void",
            _links,
            extra=tuple(
                Field(each.name, each.kind, required=True, description=each.description)
                for each in _LINKS
            ),
        ),
    ),
)
ATTENDEES = Resource(
    AppointmentAttendee,
    "appointment_attendee",
    "Who is expected at an appointment",
    operations=READ_ONLY,
    choices={"role": ATTENDEE_ROLES, "response": RESPONSES},
)
