"""Room codes and link secrets: how they are made, kept and recognised.

A link is ``{base}/m/{code}#k={secret}``. The code names the room, the secret one link of it; the
secret stands in the fragment, so no server log and no Referer carries it, and only its SHA-256 is
stored. A secret has 256 random bits, so a plain hash is enough and comparison is constant-time.
"""

import base64
import functools
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa

from storage.database import Database, Unit

from ..errors import LinkRefused, RoomOver
from ..tenants.models import Tenant
from .models import RoomLink, VideoRoom
from .states import ROOM_OVER

CODE_BYTES = 16
SECRET_BYTES = 32

RandomBytes = Callable[[int], bytes]
LinkRole = Literal["host", "participant"]


@dataclass(frozen=True)
class LinkGrant:
    """What a link opens, for whom."""

    tenant_id: UUID
    room_id: UUID
    link_id: UUID
    role: LinkRole
    staff_id: UUID | None
    person_id: UUID | None
    display_name: str
    lobby: bool
    """Whether its holder waits for a host."""


@dataclass(frozen=True)
class RoomLinks:
    """Every open link of one room."""

    tenant_id: UUID
    room_id: UUID
    status: str
    """The room's."""
    links: tuple[tuple[bytes, LinkGrant], ...]
    """Each with the hash of its secret."""

    def open(self, secret: str) -> LinkGrant:
        """What the link with this secret opens.

        Raises:
            LinkRefused: no open link has it.
            RoomOver: the secret is right and the meeting is over or cancelled.
        """
        wanted = hash_secret(secret)
        found = None
        for kept, grant in self.links:
            # No early exit: the time says nothing about which link was nearly right.
            if hmac.compare_digest(kept, wanted):
                found = grant
        if found is None:
            raise LinkRefused
        if self.status in ROOM_OVER:
            raise RoomOver(self.status)
        return found


@dataclass(frozen=True)
class LinkUrls:
    """The two links of an appointment's room, as they are shown once.

    Nothing keeps their secrets, but for dev mode, which writes those of its demo into ``dev.json``.
    """

    host_url: str
    guest_url: str


def random_text(random_bytes: RandomBytes, size: int) -> str:
    """`size` random bytes as URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(random_bytes(size)).rstrip(b"=").decode()


def hash_secret(secret: str) -> bytes:
    """What is stored of a secret."""
    return hashlib.sha256(secret.encode()).digest()


def link_url(base_url: str, code: str, secret: str) -> str:
    """The address a human opens."""
    return f"{base_url.rstrip('/')}/m/{code}#k={secret}"


async def revoke_links(unit: Unit, whose: sa.ColumnElement[bool]) -> None:
    """Close every open link that `whose` says, a condition on `RoomLink`."""
    await unit.session.execute(
        sa.update(RoomLink)
        .where(whose, RoomLink.revoked_at.is_(None))
        .values(revoked_at=unit.now)
        .execution_options(synchronize_session=False)
    )


async def issue_link(
    unit: Unit,
    room: VideoRoom,
    *,
    appointment_id: UUID,
    role: LinkRole,
    display_name: str,
    lobby: bool,
    base_url: str,
    random_bytes: RandomBytes,
    staff_id: UUID | None = None,
    person_id: UUID | None = None,
) -> str:
    """Make one link and return its URL, which cannot be had again."""
    secret = random_text(random_bytes, SECRET_BYTES)
    await unit.add(
        RoomLink(
            id=unit.ids(),
            room_id=room.id,
            appointment_id=appointment_id,
            role=role,
            secret_hash=hash_secret(secret),
            staff_id=staff_id,
            person_id=person_id,
            display_name=display_name,
            lobby=lobby,
            created_at=unit.now,
        )
    )
    return link_url(base_url, room.code, secret)


async def find_links(database: Database, code: str) -> RoomLinks | None:
    """The open links of a room, before any tenant is known; None when the room has none."""
    async with database.without_tenant() as connection:
        rows = (await connection.execute(_find_links(database.dialect), {"code": code})).all()
    if not rows:
        return None
    first = rows[0]
    return RoomLinks(
        tenant_id=first.tenant_id,
        room_id=first.room_id,
        status=first.room_status,
        links=tuple((bytes(row.secret_hash), _grant(row)) for row in rows),
    )


def _grant(row: Any) -> LinkGrant:
    return LinkGrant(
        tenant_id=row.tenant_id,
        room_id=row.room_id,
        link_id=row.id,
        role=row.role,
        staff_id=row.staff_id,
        person_id=row.person_id,
        display_name=row.display_name,
        lobby=row.lobby,
    )


@functools.cache
def _find_links(dialect: str) -> sa.Select[tuple[object, ...]]:
    """All open links of the room named ``:code``, with the columns of ``find_room_links``.

    Built once: everybody who joins asks this, and building it costs more than running it.
    """
    code = sa.bindparam("code", type_=sa.Text())
    if dialect == "postgresql":
        uuid = sa.Uuid()
        links = sa.func.find_room_links(code).table_valued(
            sa.column("tenant_id", uuid),
            sa.column("room_id", uuid),
            sa.column("id", uuid),
            sa.column("secret_hash", sa.LargeBinary()),
            sa.column("role", sa.Text()),
            sa.column("staff_id", uuid),
            sa.column("person_id", uuid),
            sa.column("display_name", sa.Text()),
            sa.column("lobby", sa.Boolean()),
            sa.column("room_status", sa.Text()),
        )
        return sa.select(*links.c)
    room, link, tenant = VideoRoom.__table__, RoomLink.__table__, Tenant.__table__
    return (
        sa.select(
            room.c.tenant_id,
            room.c.id.label("room_id"),
            link.c.id,
            link.c.secret_hash,
            link.c.role,
            link.c.staff_id,
            link.c.person_id,
            link.c.display_name,
            link.c.lobby,
            room.c.status.label("room_status"),
        )
        .join_from(
            room, link, sa.and_(link.c.tenant_id == room.c.tenant_id, link.c.room_id == room.c.id)
        )
        .join(tenant, tenant.c.id == room.c.tenant_id)
        .where(room.c.code == code, link.c.revoked_at.is_(None), tenant.c.is_active)
    )
