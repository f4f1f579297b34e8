"""Which room, in all that a process knows: the tenant's id with the room's."""

from typing import NamedTuple
from uuid import UUID


class RoomKey(NamedTuple):
    """See the module."""

    tenant_id: str
    room_id: str

    @classmethod
    def of(cls, tenant_id: UUID, room_id: UUID) -> "RoomKey":
        """The key of a room by its row."""
        return cls(str(tenant_id), str(room_id))
