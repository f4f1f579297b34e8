"""Every refusal that a caller of the CRM can cause, each with a stable code.

The codes are API: HTTP answers carry them (``signaling.http.rest.problems`` maps each class to a
status), and the meeting server reads them. Our own bugs are ordinary exceptions.

    CrmError
      NotFound            not_found           no such row in this tenant
      InvalidInput        invalid             a field, filter or body that cannot be accepted
        UnknownFilter     unknown_filter      a list cannot be asked by that; `allowed` says by what
      Conflict            conflict            a unique key is taken, or another row forbids it
        NoSuchReference   no_such_reference   the record points at nothing in this tenant
        Contradiction     contradiction       fields contradict each other or the record
        SlotTaken         slot_taken          the staff member is booked at that time
        IllegalTransition illegal_transition  the record's state has no such step
      StaleVersion        stale_version       somebody else changed the record
      LinkRefused         link_refused        absent, wrong, revoked: one answer for all
      RoomOver            room_over           the link is good, the meeting has ended or was cancelled
      Fenced              fenced              another node owns the room now
      RoomOwned           room_owned          another node holds the room's lease
      OutOfSequence       out_of_sequence     the journal's numbers have a gap
"""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from storage.types import iso_utc


def one(noun: str) -> str:
    """The noun with its article."""
    return f"{'an' if noun[:1] in 'aeio' else 'a'} {noun}"


class CrmError(Exception):
    """Base of all refusals.

    Args:
        detail: one sentence for a human.
        field: the input at fault, when one is.
        extra: further members of the answer, JSON-ready.
    """

    code: ClassVar[str] = "crm_error"

    def __init__(self, detail: str, *, field: str | None = None, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.extra = extra


class NotFound(CrmError):
    """No such row in this tenant; rows of other tenants do not exist either."""

    code = "not_found"

    def __init__(self, what: str, key: object = None) -> None:
        super().__init__(f"no such {what}" if key is None else f"no {what} {key}")


class InvalidInput(CrmError):
    """The input cannot be accepted, whatever the state of the database."""

    code = "invalid"


class UnknownFilter(InvalidInput):
    """Nothing is filtered by that."""

    code = "unknown_filter"


class Conflict(CrmError):
    """Another row forbids it."""

    code = "conflict"


class NoSuchReference(Conflict):
    """A key points at no row of this tenant; rows of other tenants do not exist either."""

    code = "no_such_reference"


class Contradiction(Conflict):
    """Each field is fine by itself; together, or with the record, they make no sense."""

    code = "contradiction"


class SlotTaken(Conflict):
    """The staff member has a blocking booking that overlaps."""

    code = "slot_taken"

    def __init__(
        self,
        starts_at: datetime | None = None,
        ends_at: datetime | None = None,
        appointment_id: UUID | None = None,
    ) -> None:
        conflict = None
        if starts_at is not None and ends_at is not None:
            conflict = {
                "starts_at": iso_utc(starts_at),
                "ends_at": iso_utc(ends_at),
                "appointment_id": None if appointment_id is None else str(appointment_id),
            }
        super().__init__(
            "the staff member is booked at that time", field="starts_at", conflict=conflict
        )


class IllegalTransition(Conflict):
    """The record's state has no such step."""

    code = "illegal_transition"

    def __init__(self, what: str, status: str, action: str) -> None:
        super().__init__(
            f"{one(what)} that is {status} cannot {action}",
            field="status",
            status_now=status,
        )


class StaleVersion(CrmError):
    """The record was changed since the caller read it."""

    code = "stale_version"


class LinkRefused(CrmError):
    """The link opens nothing; the answer is the same whatever the reason."""

    code = "link_refused"

    def __init__(self) -> None:
        super().__init__("this link does not open a meeting")


class RoomOver(CrmError):
    """The link is good, but the meeting is over or was cancelled."""

    code = "room_over"

    def __init__(self, status: str) -> None:
        super().__init__(f"this meeting is {status}", room_status=status)
        self.status = status


class Fenced(CrmError):
    """Another node owns the room now; this one must stop writing."""

    code = "fenced"


class RoomOwned(CrmError):
    """Another node holds the room's lease."""

    code = "room_owned"

    def __init__(self, node: str, lease_until: datetime) -> None:
        super().__init__(f"node {node} owns the room", node=node, lease_until=lease_until)
        self.node = node
        self.lease_until = lease_until


class OutOfSequence(CrmError):
    """The journal's numbers do not follow the last committed one."""

    code = "out_of_sequence"
