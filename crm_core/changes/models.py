"""Tables that make effects outside the database safe: the outbox and idempotency keys."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storage.base import Base, JsonObject, TenantLedgerRow, TenantScoped, ix


class OutboxEvent(TenantLedgerRow, Base):
    """A fact for the world outside, written in the transaction of the fact itself.

    Identity order is not commit order: one relay will give committed rows their feed number.
    """

    __tablename__ = "outbox_events"

    at: Mapped[datetime]
    topic: Mapped[str]
    entity: Mapped[str]
    entity_id: Mapped[UUID]
    # Named `record_version`, as it is the subject's, not this row's.
    record_version: Mapped[int | None] = mapped_column("version")
    payload: Mapped[JsonObject] = mapped_column(default=dict)
    actor_id: Mapped[UUID | None]
    published_at: Mapped[datetime | None]

    __table_args__ = (
        ix("entity", "entity_id", "id"),
        sa.Index(
            "ix_outbox_events_unpublished",
            "id",
            postgresql_where=sa.text("published_at IS NULL"),
            sqlite_where=sa.text("published_at IS NULL"),
        ),
    )


class IdempotencyKey(TenantScoped, Base):
    """The answer to a request that carried Idempotency-Key, kept with what it did."""

    __tablename__ = "idempotency_keys"

    key: Mapped[str] = mapped_column(primary_key=True)
    request_hash: Mapped[bytes]
    status: Mapped[int | None]
    response: Mapped[JsonObject | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]

    __table_args__ = (sa.Index(None, "expires_at"),)
