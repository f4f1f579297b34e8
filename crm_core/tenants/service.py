"""Making tenants and recognising their API keys."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa

from storage.database import Database, Unit

from ..errors import CrmError
from ..leads.models import Pipeline, PipelineStage
from .models import ApiKey, Role, Staff, StaffRole, Tenant

KEY_PREFIX = "sk_"
KEY_BYTES = 32
_SHOWN_PREFIX = 8

# What a new tenant starts with; all of it can be renamed or replaced.
DEFAULT_ROLES = ("Owner", "Consultant", "Setter", "Trainer")
DEFAULT_STAGES = {
    "lead": ("New", "Contacted", "Qualified"),
    "project": ("Design", "Permitting", "Installation", "Inspection", "Complete"),
}

RandomBytes = Callable[[int], bytes]


class Unauthorized(CrmError):
    """No API key, or one that opens nothing; the answer does not say which."""

    code = "unauthorized"

    def __init__(self) -> None:
        super().__init__("this needs a valid API key: Authorization: Bearer sk_…")


@dataclass(frozen=True)
class ApiGrant:
    """Who calls."""

    tenant_id: UUID
    api_key_id: UUID
    staff_id: UUID | None
    """For whom the key acts; appointments it books are theirs unless they say otherwise."""


@dataclass(frozen=True)
class NewTenant:
    """A tenant with its first staff member; the key's secret is shown this once."""

    tenant: Tenant
    staff: Staff
    api_key_secret: str


async def create_tenant(
    database: Database,
    name: str,
    *,
    staff_name: str,
    staff_email: str | None = None,
    random_bytes: RandomBytes,
    timezone: str = "UTC",
) -> NewTenant:
    """A tenant, its owner on the staff, default roles and pipelines, and an API key."""
    tenant_id = database.ids()
    async with database.unit_of_work(tenant_id) as unit:
        tenant = Tenant(id=tenant_id, name=name, timezone=timezone)
        staff = Staff(id=unit.ids(), name=staff_name, email=staff_email)
        roles = [Role(id=unit.ids(), name=role, is_system=True) for role in DEFAULT_ROLES]
        await unit.add(tenant, staff, *roles)
        await unit.add(
            StaffRole(staff_id=staff.id, role_id=roles[0].id, granted_at=unit.now),
            *_default_pipelines(unit),
        )
        secret = await create_api_key(
            unit, name="first key", staff_id=staff.id, random_bytes=random_bytes
        )
    return NewTenant(tenant, staff, secret)


async def create_api_key(
    unit: Unit, *, name: str, staff_id: UUID | None, random_bytes: RandomBytes
) -> str:
    """Make a key for the unit's tenant; returns its secret, which cannot be had again."""
    secret = KEY_PREFIX + random_bytes(KEY_BYTES).hex()
    await unit.add(
        ApiKey(
            id=unit.ids(),
            name=name,
            prefix=secret[: len(KEY_PREFIX) + _SHOWN_PREFIX],
            key_hash=key_hash(secret),
            staff_id=staff_id,
        )
    )
    return secret


async def authenticate(database: Database, secret: str) -> ApiGrant:
    """Who holds this API key.

    A key has 256 random bits, so looking its hash up in an index gives nothing away.

    Raises:
        Unauthorized: unknown, revoked or expired key, or an inactive tenant.
    """
    async with database.without_tenant() as connection:
        row = (await connection.execute(_find_key(database.dialect, key_hash(secret)))).first()
    if row is None or (row.expires_at is not None and row.expires_at <= database.clock()):
        raise Unauthorized
    return ApiGrant(row.tenant_id, row.id, row.staff_id)


def key_hash(secret: str) -> bytes:
    """What is known of a key without it: 32 bytes, of any text."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _default_pipelines(unit: Unit) -> list[object]:
    rows: list[object] = []
    for entity, stages in DEFAULT_STAGES.items():
        pipeline = Pipeline(
            id=unit.ids(), name=f"{entity.capitalize()}s", entity=entity, is_default=True
        )
        rows.append(pipeline)
        rows.extend(
            PipelineStage(
                id=unit.ids(),
                pipeline_id=pipeline.id,
                name=stage,
                position=position,
                kind="won" if stage == "Complete" else "open",
            )
            for position, stage in enumerate(stages, start=1)
        )
    return rows


def _find_key(dialect: str, key_hash: bytes) -> sa.Select[tuple[object, ...]]:
    """The live key with this hash, with the columns of ``find_api_key``."""
    keys, tenants = ApiKey.__table__, Tenant.__table__
    if dialect == "postgresql":
        found = sa.func.find_api_key(key_hash).table_valued(
            *(
                sa.column(name, keys.c[name].type)
                for name in ("tenant_id", "id", "staff_id", "expires_at")
            )
        )
        return sa.select(*found.c)
    return (
        sa.select(keys.c.tenant_id, keys.c.id, keys.c.staff_id, keys.c.expires_at)
        .join_from(keys, tenants, tenants.c.id == keys.c.tenant_id)
        .where(keys.c.key_hash == key_hash, keys.c.revoked_at.is_(None), tenants.c.is_active)
    )
