"""Tenants, users and staff as resources; a tenant sees its own row alone."""

from typing import Any

from storage.database import Unit

from ..appointments.parties import staff_goes, staff_leaves
from ..resources.declaration import READ_ONLY, Caller, Resource
from .models import TENANT_KINDS, USER_STATES, Staff, Tenant, User

_BILLING = "set by billing"


async def _staff_changed(
    unit: Unit, row: Any, values: dict[str, Any], _caller: Caller
) -> dict[str, Any]:
    if values.get("is_active") is False:
        await staff_leaves(unit, row.id)
    return {}


async def _staff_removed(unit: Unit, row: Any, _caller: Caller) -> None:
    await staff_goes(unit, row.id)


TENANTS = Resource(
    Tenant,
    "tenant",
    "The company that uses Sunup: always and only the caller's own",
    operations=frozenset({"list", "get", "update"}),
    owned={
        "parent_id": "set where tenants are managed",
        "kind": "set where tenants are managed",
        "is_active": "set where tenants are managed",
        "stripe_customer_id": _BILLING,
        "subscription_tier": _BILLING,
        "subscription_status": _BILLING,
        "subscription_expires_at": _BILLING,
        "max_users": _BILLING,
        "max_leads_per_month": _BILLING,
        "max_ai_calls_per_month": _BILLING,
        "features": _BILLING,
    },
    required=frozenset({"name"}),
    choices={"kind": TENANT_KINDS},
)
USERS = Resource(
    User,
    "user",
    "People who sign in and work for this tenant",
    operations=READ_ONLY,
    hidden=frozenset(
        {
            "password_hash",
            "two_factor_secret",
            "is_super_admin",
            "failed_login_attempts",
            "locked_until",
            "last_login_ip",
        }
    ),
    choices={"status": USER_STATES},
)
STAFF = Resource(
    Staff,
    "staff",
    "Members of the tenant's staff, with or without a login",
    owned={"user_id": "set by an invitation", "last_active_at": "kept by sign-in"},
    changed=_staff_changed,
    removed=_staff_removed,
)
