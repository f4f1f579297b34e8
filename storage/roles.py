"""What a PostgreSQL server and login must be, and must not, to serve with them."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from .errors import UnsafeDatabaseRole, UnsupportedDatabase
from .rls import APP_ROLE

MINIMUM_POSTGRESQL = 150000


async def check_postgresql_version(connection: AsyncConnection) -> None:
    """Raise `UnsupportedDatabase` for a server older than PostgreSQL 15."""
    number = int((await connection.execute(sa.text("SHOW server_version_num"))).scalar_one())
    if number < MINIMUM_POSTGRESQL:
        raise UnsupportedDatabase(
            f"PostgreSQL {number // 10000} is too old: Sunup needs 15 or newer"
        )


async def check_member(connection: AsyncConnection) -> None:
    """Raise `UnsafeDatabaseRole` for a login without the rights of the app role.

    Says nothing of a database in whose cluster that role was never made.
    """
    statement = sa.text(
        "SELECT current_user FROM pg_roles"
        " WHERE rolname = :role AND NOT pg_has_role(current_user, oid, 'USAGE')"
    )
    name = (await connection.execute(statement, {"role": APP_ROLE})).scalar_one_or_none()
    if name is not None:
        raise UnsafeDatabaseRole(
            f"the database role {name!r} has no rights on the tables: as their owner, "
            f"GRANT {APP_ROLE} TO {name} (docs/decisions/0005-database-roles.md)"
        )


async def check_role(connection: AsyncConnection) -> None:
    """Raise `UnsafeDatabaseRole` for a login that tenants are not kept apart for."""
    row = (
        await connection.execute(
            sa.text(
                """SELECT current_user AS name, rolsuper OR rolbypassrls AS bypasses,
                   (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                     WHERE n.nspname = 'public' AND pg_has_role(c.relowner, 'MEMBER')) AS owned
                   FROM pg_roles WHERE rolname = current_user"""
            )
        )
    ).one()
    if row.bypasses:
        raise UnsafeDatabaseRole(
            f"the database role {row.name!r} bypasses row-level security; "
            "serve with a member of sunup_app (docs/decisions/0005-database-roles.md)"
        )
    if row.owned:
        raise UnsafeDatabaseRole(
            f"the database role {row.name!r} owns {row.owned} tables; "
            "serve with a member of sunup_app (docs/decisions/0005-database-roles.md)"
        )
