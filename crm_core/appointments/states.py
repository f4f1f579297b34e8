"""The appointment's life as a table.

`TRANSITIONS` is the whole truth: service and documents read it, `apply` is its one reader.
"""

from ..errors import IllegalTransition

APPOINTMENT_STATES = (
    "tentative",
    "scheduled",
    "confirmed",
    "in_progress",
    "completed",
    "cancelled",
    "no_show",
)
OUTCOMES = ("held", "no_show", "host_dropped", "cancelled")

TRANSITIONS: dict[tuple[str, str], str] = {
    ("tentative", "schedule"): "scheduled",
    ("tentative", "confirm"): "confirmed",
    ("scheduled", "confirm"): "confirmed",
    ("tentative", "reschedule"): "tentative",
    ("scheduled", "reschedule"): "scheduled",
    # A confirmation was given for the old time.
    ("confirmed", "reschedule"): "scheduled",
    ("tentative", "cancel"): "cancelled",
    ("scheduled", "cancel"): "cancelled",
    ("confirmed", "cancel"): "cancelled",
    # The host waits in the room, and the customer calls: both can still be done, and the room hears.
    ("in_progress", "reschedule"): "scheduled",
    ("in_progress", "cancel"): "cancelled",
    # The host looked in before the door opened and left again.
    ("in_progress", "rehearse"): "scheduled",
    # People meet whether or not somebody pressed "confirm".
    ("tentative", "start"): "in_progress",
    ("scheduled", "start"): "in_progress",
    ("confirmed", "start"): "in_progress",
    ("in_progress", "start"): "in_progress",
    ("tentative", "complete"): "completed",
    ("scheduled", "complete"): "completed",
    ("confirmed", "complete"): "completed",
    ("in_progress", "complete"): "completed",
    ("tentative", "miss"): "no_show",
    ("scheduled", "miss"): "no_show",
    ("confirmed", "miss"): "no_show",
    ("in_progress", "miss"): "no_show",
}
OPEN_STATES = frozenset({"tentative", "scheduled", "confirmed", "in_progress"})
CLOSED_STATES = frozenset({"completed", "cancelled", "no_show"})


def apply(status: str, action: str) -> str:
    """The state after `action`.

    Raises:
        IllegalTransition: the table has no such step.
    """
    try:
        return TRANSITIONS[status, action]
    except KeyError:
        raise IllegalTransition("appointment", status, action) from None
