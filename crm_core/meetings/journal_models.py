"""Tables of the room journal: who owns a room, and every durable event in its order.

``seq`` is contiguous within a sitting: the write that inserts events moves ``last_seq`` of the
owner's row in the same transaction, under the owner's epoch. A node that lost the room can
therefore neither write nor leave a gap. ``journal.py`` is the one writer.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from storage.base import Base, JsonObject, TenantScoped, ref


class RoomOwner(TenantScoped, Base):
    """The node that may write a room, until when, and how far it has written."""

    __tablename__ = "room_owners"

    room_id: Mapped[UUID] = ref(
        "video_rooms", on_delete="cascade", index_with=None, primary_key=True
    )
    node: Mapped[str]
    epoch: Mapped[int]
    lease_until: Mapped[datetime]
    alive_at: Mapped[datetime | None]
    """The owner's last sign of life: it claimed, renewed or released; None before the first."""
    session_no: Mapped[int]
    last_seq: Mapped[int] = mapped_column(default=0)


class RoomEvent(TenantScoped, Base):
    """One committed event of a sitting; never changed."""

    __tablename__ = "room_events"

    room_id: Mapped[UUID] = ref(
        "video_rooms", on_delete="cascade", index_with=None, primary_key=True
    )
    session_no: Mapped[int] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    epoch: Mapped[int]
    kind: Mapped[str]
    audience: Mapped[str]
    body: Mapped[JsonObject] = mapped_column(default=dict)
    at: Mapped[datetime]
