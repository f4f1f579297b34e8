"""Tables of conversations: one row per event, whatever the channel, and who took part."""

from datetime import datetime
from decimal import Decimal
from typing import ClassVar
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from storage.base import (
    Base,
    Extensible,
    JsonArray,
    JsonObject,
    Stamped,
    TenantRow,
    ix,
    one_of,
    ref,
    unique,
)

from ..context import Contextual

DIRECTIONS = ("inbound", "outbound", "internal")
PARTICIPANT_ROLES = ("from", "to", "cc", "bcc", "host", "attendee")


class Communication(TenantRow, Stamped, Extensible, Contextual, Base):
    """One call, mail, message or meeting (seed: communications).

    ``message_id`` is unique per channel: importing or closing twice finds the first row.
    """

    __tablename__ = "communications"
    __context_time__: ClassVar[str] = "occurred_at"

    channel: Mapped[str]
    direction: Mapped[str] = mapped_column(default="outbound")
    status: Mapped[str] = mapped_column(default="completed")
    occurred_at: Mapped[datetime]
    subject: Mapped[str | None]
    body: Mapped[str | None]
    summary: Mapped[str | None]
    notes: Mapped[str | None]
    staff_id: Mapped[UUID | None] = ref("staff", index_with=("occurred_at",))
    from_address: Mapped[str | None]
    to_address: Mapped[str | None]
    message_id: Mapped[str | None]
    thread_id: Mapped[str | None]
    reply_to_id: Mapped[UUID | None] = ref("communications")
    campaign_id: Mapped[UUID | None] = ref("campaigns")
    campaign_ref: Mapped[str | None]
    template_ref: Mapped[str | None]
    batch_id: Mapped[UUID | None]
    scheduled_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    read_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    duration_seconds: Mapped[int | None]
    location: Mapped[str | None]
    is_opened: Mapped[bool | None]
    is_clicked: Mapped[bool | None]
    is_replied: Mapped[bool | None]
    replied_at: Mapped[datetime | None]
    reply_text: Mapped[str | None]
    reply_minutes: Mapped[int | None]
    action_needed: Mapped[bool] = mapped_column(default=False)
    sentiment: Mapped[str | None]
    ai_score: Mapped[Decimal | None]
    appointment_id: Mapped[UUID | None] = ref("appointments")
    video_room_id: Mapped[UUID | None] = ref("video_rooms")
    recording_url: Mapped[str | None]
    transcript: Mapped[str | None]
    personalization: Mapped[JsonObject] = mapped_column(default=dict)
    # "metadata" is the base class's own word.
    meta: Mapped[JsonObject] = mapped_column("metadata", default=dict)
    attendees: Mapped[JsonArray] = mapped_column(default=list)

    __table_args__ = (
        unique("channel", "message_id"),
        unique("external_id"),
        one_of("direction", DIRECTIONS),
        ix("occurred_at"),
        ix("channel", "occurred_at"),
        ix("thread_id", where="thread_id IS NOT NULL"),
        ix("batch_id", where="batch_id IS NOT NULL"),
        ix("scheduled_at", where="status = 'scheduled'"),
    )


class CommunicationParticipant(TenantRow, Base):
    """Somebody who took part in a conversation."""

    __tablename__ = "communication_participants"

    communication_id: Mapped[UUID] = ref("communications", on_delete="cascade")
    role: Mapped[str]
    address: Mapped[str | None]
    name: Mapped[str | None]
    person_id: Mapped[UUID | None] = ref("people")
    staff_id: Mapped[UUID | None] = ref("staff")
    organization_id: Mapped[UUID | None] = ref("organizations")
    joined_at: Mapped[datetime | None]
    left_at: Mapped[datetime | None]

    __table_args__ = (one_of("role", PARTICIPANT_ROLES),)
