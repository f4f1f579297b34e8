"""Tables of rooms: the room itself, its links, its sittings, and who was there when.

A room may be used for several sittings, numbered by ``session_no``; a participant's row belongs to
one sitting. What was said and decided inside is in ``activity.py``, the journal in ``journal.py``.
"""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storage.base import (
    Base,
    Extensible,
    JsonObject,
    Stamped,
    TenantRow,
    TenantScoped,
    check,
    ix,
    one_of,
    ref,
    unique,
)

from .states import (
    LINK_ROLES,
    PARTICIPANT_KINDS,
    PARTICIPANT_STATES,
    ROLES,
    ROOM_OPEN,
    ROOM_STATES,
    ROOM_TYPES,
)

# Rooms whose books are to be closed; SQLite uses the index where a query says this word for word.
TO_END = sa.text(
    f"(status IN ({', '.join(map(repr, ROOM_OPEN))})"
    " OR (status = 'cancelled' AND ended_at IS NULL))"
)


class VideoRoom(TenantRow, Stamped, Extensible, Base):
    """A place to meet (seed: videoRooms)."""

    __tablename__ = "video_rooms"

    name: Mapped[str]
    code: Mapped[str]
    """The unguessable part of its links, at least 128 random bits."""
    type: Mapped[str] = mapped_column(default="consultation")
    status: Mapped[str] = mapped_column(default="scheduled")
    host_id: Mapped[UUID | None] = ref("staff")
    capacity: Mapped[int] = mapped_column(default=4)
    reserved_seats: Mapped[int] = mapped_column(default=0)
    passcode_hash: Mapped[bytes | None]
    features: Mapped[JsonObject] = mapped_column(default=dict)
    policy: Mapped[JsonObject] = mapped_column(default=dict)
    settings_rev: Mapped[int] = mapped_column(default=1)
    is_locked: Mapped[bool] = mapped_column(default=False)
    starts_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[str | None]
    session_no: Mapped[int] = mapped_column(default=1)
    """Number of the latest sitting."""
    peak_participants: Mapped[int] = mapped_column(default=0)

    __table_args__ = (
        sa.UniqueConstraint("code"),
        unique("external_id"),
        ix("status", "starts_at"),
        sa.Index("ix_video_rooms_to_end", "ends_at", postgresql_where=TO_END, sqlite_where=TO_END),
        one_of("type", ROOM_TYPES),
        one_of("status", ROOM_STATES),
    )


class RoomLink(TenantRow, Base):
    """What a link's secret opens; the secret itself is nowhere, only its SHA-256."""

    __tablename__ = "room_links"

    room_id: Mapped[UUID] = ref("video_rooms", on_delete="cascade")
    appointment_id: Mapped[UUID | None] = ref("appointments", on_delete="cascade")
    """Whose link it is, of those that share the room."""
    role: Mapped[str]
    secret_hash: Mapped[bytes]
    staff_id: Mapped[UUID | None] = ref("staff")
    person_id: Mapped[UUID | None] = ref("people")
    display_name: Mapped[str]
    lobby: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]

    __table_args__ = (one_of("role", LINK_ROLES), sa.UniqueConstraint("secret_hash"))


class VideoRoomSession(TenantScoped, Base):
    """One sitting of a room."""

    __tablename__ = "video_room_sessions"

    room_id: Mapped[UUID] = ref(
        "video_rooms", on_delete="cascade", index_with=None, primary_key=True
    )
    session_no: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(default="scheduled")
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[str | None]
    ended_by_id: Mapped[UUID | None]
    """The participant who ended it; no key, as a purge may outlive him."""
    peak_participants: Mapped[int] = mapped_column(default=0)

    __table_args__ = (
        one_of("status", ROOM_STATES),
        ix("started_at", where="started_at IS NOT NULL"),
    )


class VideoRoomParticipant(TenantRow, Base):
    """Somebody at one sitting, one row per identity (seed: videoRoomParticipants)."""

    __tablename__ = "video_room_participants"

    room_id: Mapped[UUID] = ref("video_rooms", on_delete="cascade", index_with=None)
    session_no: Mapped[int]
    identity: Mapped[str]
    """External and unique in the sitting: ``staff:…``, ``person:…`` or a guest's own key."""
    kind: Mapped[str] = mapped_column(default="person")
    is_hidden: Mapped[bool] = mapped_column(default=False)
    staff_id: Mapped[UUID | None] = ref("staff")
    person_id: Mapped[UUID | None] = ref("people")
    link_id: Mapped[UUID | None] = ref("room_links")
    display_name: Mapped[str]
    role: Mapped[str] = mapped_column(default="participant")
    status: Mapped[str] = mapped_column(default="waiting")
    scope: Mapped[str] = mapped_column(default="main")
    waiting_at: Mapped[datetime | None]
    admitted_at: Mapped[datetime | None]
    admitted_by_id: Mapped[UUID | None]
    joined_at: Mapped[datetime | None]
    left_at: Mapped[datetime | None]
    leave_reason: Mapped[str | None]
    conn_epoch: Mapped[int] = mapped_column(default=0)
    audio_on: Mapped[bool] = mapped_column(default=False)
    video_on: Mapped[bool] = mapped_column(default=False)
    screen_on: Mapped[bool] = mapped_column(default=False)
    hand_seq: Mapped[int | None]
    hand_raised_at: Mapped[datetime | None]
    spotlight_pos: Mapped[int | None]
    consent: Mapped[str | None]
    talk_ms: Mapped[int] = mapped_column(sa.BigInteger(), default=0)
    attributes: Mapped[JsonObject] = mapped_column(default=dict)
    device: Mapped[JsonObject] = mapped_column(default=dict)
    rev: Mapped[int] = mapped_column(default=1)

    __table_args__ = (
        unique("room_id", "session_no", "identity", name="uq_video_room_participants_identity"),
        ix("room_id", "session_no", "status"),
        one_of("kind", PARTICIPANT_KINDS),
        one_of("role", ROLES),
        one_of("status", PARTICIPANT_STATES),
        check("hidden_is_service", "NOT is_hidden OR kind <> 'person'"),
    )


class VideoRoomInterval(TenantRow, Base):
    """One stretch of a participant's presence in one scope; intervals never overlap."""

    __tablename__ = "video_room_intervals"

    participant_id: Mapped[UUID] = ref(
        "video_room_participants", on_delete="cascade", index_with=("joined_at",)
    )
    scope: Mapped[str] = mapped_column(default="main")
    joined_at: Mapped[datetime]
    left_at: Mapped[datetime | None]
    leave_reason: Mapped[str | None]

    __table_args__ = (
        check("left_after_joined", "left_at IS NULL OR left_at >= joined_at"),
        # At most one open stretch: nobody is in two places.
        unique("participant_id", where="left_at IS NULL", name="uq_video_room_intervals_open"),
    )
