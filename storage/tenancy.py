"""One session serves one tenant: the hooks that make it so.

Three guards stand behind each other. The ORM adds ``tenant_id = …`` to every select, update and
delete of a tenant model and stamps it on every new row. PostgreSQL repeats the test by row-level
security on the transaction-local setting ``app.tenant``. Foreign keys carry the tenant. A session
without a tenant sees no row of any tenant table. ``rls.py`` makes the policies; ``database.py``
opens the sessions.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import ORMExecuteState, Session, SessionTransaction, with_loader_criteria

from .base import Stamped, TenantScoped
from .errors import TenantLeak, TenantMismatch, UnscopedStatement

logger = logging.getLogger(__name__)

SETTING = "app.tenant"
PATIENCE = {
    "lock_timeout": "10s",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "60s",
}
"""PostgreSQL's settings for every transaction that is about rows. What waits for a lock that somebody at a console
has, or reads without an end, has one of the few connections that all tenants wait for."""
_BOUND_WAITS = ", ".join(f"set_config('{name}', :{name}, true)" for name in PATIENCE)
_BEGIN_NOBODYS = sa.text(f"SELECT {_BOUND_WAITS}")
_BEGIN = sa.text(f"SELECT {_BOUND_WAITS}, set_config('{SETTING}', :tenant, true)")


class TenantSession(Session):
    """The synchronous session under every ``AsyncSession`` of this package.

    ``info`` carries ``tenant_id``, ``now`` and ``actor_id``; ``storage.database`` fills it.
    """


def bound_waits(connection: Connection) -> None:
    """Bound what a transaction that is nobody's may wait for; a session's own does it when it begins."""
    if connection.dialect.name == "postgresql":
        connection.execute(_BEGIN_NOBODYS, PATIENCE)


_GLOBAL: dict[type[Any], Callable[[UUID], Any]] = {}


def scope_global(model: type[Any], criterion: Callable[[UUID], Any]) -> None:
    """Say which rows of a table without ``tenant_id`` a tenant may see.

    Args:
        model: the mapped class, for instance of tenants themselves.
        criterion: tenant id → condition on the model.
    """
    _GLOBAL[model] = criterion


@event.listens_for(TenantSession, "after_begin")
def _begin(session: Session, _transaction: SessionTransaction, connection: Connection) -> None:
    """Name the tenant to row-level security for this transaction only, and bound its waits.

    Transaction-local, so that a pooled connection cannot carry it to the next caller; a pooler
    between may not know the settings either.
    """
    tenant_id = session.info.get("tenant_id")
    if tenant_id is None:
        bound_waits(connection)
    elif connection.dialect.name == "postgresql":
        connection.execute(_BEGIN, {**PATIENCE, "tenant": str(tenant_id)})


@event.listens_for(TenantSession, "do_orm_execute")
def _scope_statement(state: ORMExecuteState) -> None:
    """Add the tenant to the statement, or refuse one that cannot be scoped."""
    if not state.is_orm_statement:
        raise UnscopedStatement(
            "only statements on mapped classes carry the tenant; use a connection of "
            "Database.without_tenant() for anything else"
        )
    if state.is_column_load or state.is_insert:
        return
    tenant_id: UUID | None = state.session.info.get("tenant_id")
    state.statement = state.statement.options(
        with_loader_criteria(
            TenantScoped,
            _NO_ROW if tenant_id is None else lambda cls: cls.tenant_id == tenant_id,
            include_aliases=True,
        ),
        *(
            with_loader_criteria(
                model,
                sa.false() if tenant_id is None else criterion(tenant_id),
                include_aliases=True,
            )
            for model, criterion in _GLOBAL.items()
        ),
    )


def _NO_ROW(_cls: Any) -> Any:  # noqa: N802  # a constant that SQLAlchemy wants callable
    return sa.false()


@event.listens_for(TenantSession, "before_flush")
def _stamp(session: Session, _context: Any, _instances: Any) -> None:
    """Give new rows their tenant and stamps, changed rows their time."""
    tenant_id = session.info.get("tenant_id")
    now: datetime = session.info["now"]
    for row in session.new:
        if isinstance(row, TenantScoped):
            if row.tenant_id is None:
                row.tenant_id = tenant_id
            if row.tenant_id is None or row.tenant_id != tenant_id:
                raise TenantMismatch(
                    f"{type(row).__name__} of tenant {row.tenant_id} in the unit of work of {tenant_id}"
                )
        if isinstance(row, Stamped):
            row.created_at = row.created_at or now
            row.updated_at = row.updated_at or now
            row.created_by = row.created_by or session.info.get("actor_id")
    for row in session.dirty:
        if isinstance(row, Stamped) and session.is_modified(row):
            row.updated_at = now


def assert_no_tenant_on_return(engine: AsyncEngine) -> None:
    """Look at every connection that returns to the pool; throw away one that still has a tenant.

    Only a session-level SET can cause it, which nothing here writes; SQL injection could.
    """

    @event.listens_for(engine.sync_engine, "reset")
    def _check(dbapi_connection: Any, _record: Any, state: Any) -> None:
        if state.terminate_only or not state.asyncio_safe:
            return
        dbapi_connection.rollback()
        cursor = dbapi_connection.cursor()
        try:
            cursor.execute(f"SELECT coalesce(current_setting('{SETTING}', true), '')")
            (left_over,) = cursor.fetchone()
            dbapi_connection.rollback()
        finally:
            cursor.close()
        if left_over:
            logger.critical("a connection returned to the pool with a tenant set on it")
            # The pool answers an exception here by discarding the connection.
            raise TenantLeak("a connection returned to the pool with a tenant set on it")
