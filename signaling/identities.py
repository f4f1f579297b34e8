"""Who somebody is in a room, from what their join token says.

A staff link is always that staff member. The first device on a person's link is that person; the
same link opened on another device is another guest, as is each device on a bare guest link. The
same device is the same participant again, whatever happens to its connection. Nothing is stored
for this: the row of a person carries the device that it came from, and a guest's identity follows
from link and device.
"""

import uuid
from collections.abc import Callable
from typing import Final

from rooms.commands import Enter
from rooms.ids import Identity, LinkId
from rooms.policy import IdentityKind, Role
from rooms.text import fit_name

from .errors import RequestError
from .tokens import JoinGrant

DEVICE: Final = "device"
"""The attribute of a row that holds the hash of the device it came from."""
_GUESTS: Final = uuid.UUID("6f2a3c1e-52d7-4c55-9e0b-0b6f3a1d7c4e")


def enter_command(
    grant: JoinGrant, name: str | None, device_of: Callable[[Identity], str | None]
) -> Enter:
    """The room's command for this token.

    Args:
        grant: what the token says.
        name: what the person typed, if anything.
        device_of: the device of an identity that the room knows already, or None.

    Raises:
        RequestError: ``bad_request``: neither the link nor hello gives a name.
    """
    shown = fit_name(name or grant.name or "")
    if not shown:
        raise RequestError("bad_request", "a name is needed", need="name")
    identity, kind = _identity(grant, device_of)
    return Enter(
        identity=identity,
        identity_kind=kind,
        name=shown,
        role=Role.HOST if grant.role == "host" else Role.PARTICIPANT,
        verified=kind is not IdentityKind.GUEST,
        lobby=grant.lobby,
        link=LinkId(grant.link_id),
        attributes={DEVICE: grant.device},
    )


def _identity(
    grant: JoinGrant, device_of: Callable[[Identity], str | None]
) -> tuple[Identity, IdentityKind]:
    if grant.kind == "staff":
        return Identity(f"staff:{grant.subject}"), IdentityKind.STAFF
    if grant.kind == "person":
        person = Identity(f"person:{grant.subject}")
        if device_of(person) in {None, grant.device}:
            return person, IdentityKind.PERSON
    guest = uuid.uuid5(_GUESTS, f"{grant.link_id}:{grant.device}")
    return Identity(f"guest:{guest}"), IdentityKind.GUEST
