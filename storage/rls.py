"""Row-level security and database roles on PostgreSQL, as statements made from table names.

Migrations call `protect` for each tenant table they create; the policy text lives only here.
Two roles exist per cluster, made by the first migration when they are missing:

* ``sunup_app`` (no login): may read and write rows, owns nothing, is subject to every policy.
  Login roles of servers are members of it (``schema.py`` makes one per database).
* ``sunup_lookup`` (no login, BYPASSRLS, SELECT on single tables only): owns the few functions that
  find a row before its tenant is known.

On SQLite every function here does nothing; ``tenancy.py`` is the guard there.
"""

import contextlib
from collections.abc import Iterator

from alembic import op

APP_ROLE = "sunup_app"
LOOKUP_ROLE = "sunup_lookup"

CURRENT_TENANT = "(SELECT nullif(current_setting('app.tenant', true), '')::uuid)"


def on_postgresql() -> bool:
    """Whether the running migration speaks to PostgreSQL."""
    return bool(op.get_context().dialect.name == "postgresql")


def create_roles() -> None:
    """Make both roles when the cluster lacks them (roles are shared by all its databases)."""
    if not on_postgresql():
        return
    for role, options in ((APP_ROLE, "NOLOGIN"), (LOOKUP_ROLE, "NOLOGIN BYPASSRLS")):
        # Another database of the cluster may be migrating at this moment.
        op.execute(
            f"""DO $$ BEGIN
                IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
                    CREATE ROLE {role} {options};
                END IF;
            EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
            END $$"""
        )
        op.execute(f"GRANT USAGE ON SCHEMA public TO {role}")
    op.execute(f"GRANT SELECT ON alembic_version TO {APP_ROLE}")


def protect(
    table: str,
    *,
    column: str = "tenant_id",
    grants: str = "SELECT, INSERT, UPDATE, DELETE",
) -> None:
    """Confine `table` to the current tenant, for its owner too, and let the app role use it.

    Args:
        table: its name.
        column: where the tenant's id stands.
        grants: what the app role may do; a ledger gets ``SELECT, INSERT``.
    """
    if not on_postgresql():
        return
    _enable(table)
    test = f"{column} = {CURRENT_TENANT}"
    op.execute(f"CREATE POLICY tenant ON {table} USING ({test}) WITH CHECK ({test})")
    op.execute(f"GRANT {grants} ON {table} TO {APP_ROLE}")


@contextlib.contextmanager
def suspended(*tables: str) -> Iterator[None]:
    """Let their owner see every tenant's rows of `tables`, for a migration that fills a column.

    It holds to the end of the migration's transaction at the most, and nobody else sees more.
    """
    if not on_postgresql():
        yield
        return
    for table in tables:
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    yield
    for table in tables:
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")


def protect_users(table: str = "users") -> None:
    """Users are global: a tenant sees and changes only those who work for it.

    Anyone may add a user, since its first staff row can only follow it.
    """
    if not on_postgresql():
        return
    _enable(table)
    works_here = (
        f"EXISTS (SELECT FROM staff WHERE staff.user_id = {table}.id"
        f" AND staff.tenant_id = {CURRENT_TENANT})"
    )
    op.execute(f"CREATE POLICY seen_by_employer ON {table} FOR SELECT USING ({works_here})")
    op.execute(f"CREATE POLICY changed_by_employer ON {table} FOR UPDATE USING ({works_here})")
    op.execute(f"CREATE POLICY added ON {table} FOR INSERT WITH CHECK (true)")
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON {table} TO {APP_ROLE}")


def create_lookup(name: str, arguments: str, returns: str, query: str, *tables: str) -> None:
    """Make a function that reads `tables` across tenants, callable by the app role alone.

    Args:
        name: of the function.
        arguments: its parameters as SQL, for instance ``wanted text``.
        returns: the columns of its answer as SQL.
        query: one SELECT; it must find at most what the caller could prove knowledge of.
        tables: what its owner may read.
    """
    if not on_postgresql():
        return
    op.execute(
        f"""CREATE FUNCTION {name}({arguments}) RETURNS TABLE ({returns})
            LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
            AS $function$ {query} $function$"""
    )
    for table in tables:
        op.execute(f"GRANT SELECT ON {table} TO {LOOKUP_ROLE}")
    # Giving a function away needs membership, which an owner who is no superuser gives itself, and
    # CREATE on the schema for the new owner, at that moment only.
    op.execute(
        f"""DO $$ BEGIN
            IF NOT pg_has_role(current_user, '{LOOKUP_ROLE}', '{_may_become()}') THEN
                GRANT {LOOKUP_ROLE} TO CURRENT_USER;
            END IF;
        END $$"""
    )
    op.execute(f"GRANT CREATE ON SCHEMA public TO {LOOKUP_ROLE}")
    op.execute(f"ALTER FUNCTION {name} OWNER TO {LOOKUP_ROLE}")
    op.execute(f"REVOKE CREATE ON SCHEMA public FROM {LOOKUP_ROLE}")
    op.execute(f"REVOKE ALL ON FUNCTION {name} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {name} TO {APP_ROLE}")


def unprotect_users(table: str = "users") -> None:
    """Drop the policies of users, which look at staff."""
    if on_postgresql():
        op.execute(f"DROP POLICY seen_by_employer ON {table}")
        op.execute(f"DROP POLICY changed_by_employer ON {table}")


def drop_lookup(name: str) -> None:
    """Drop a look-up function."""
    if on_postgresql():
        op.execute(f"DROP FUNCTION {name}")


def drop_roles_grants() -> None:
    """Take this database's grants from both roles; the roles may serve other databases."""
    if on_postgresql():
        op.execute(f"DROP OWNED BY {APP_ROLE}")
        op.execute(f"DROP OWNED BY {LOOKUP_ROLE}")


def _may_become() -> str:
    """The privilege that lets a login hand things to a role: since PostgreSQL 16 one of its own."""
    version = op.get_bind().dialect.server_version_info or (0,)
    return "SET" if version >= (16,) else "MEMBER"


def _enable(table: str) -> None:
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
