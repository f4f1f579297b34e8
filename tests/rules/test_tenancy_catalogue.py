"""What PostgreSQL's own catalogue says about tenancy: policies, keys, owners, functions."""

import psycopg
import pytest
from psycopg.rows import dict_row

from crm_core.metadata import metadata
from storage.database import Database
from storage.errors import UnsafeDatabaseRole
from storage.rls import APP_ROLE, LOOKUP_ROLE
from tests.support.databases import APP_LOGIN

LEDGERS = {"pipeline_events", "room_events"}


@pytest.fixture
def catalogue(owner_url):
    """Runs a query as the owner and answers rows as dictionaries."""
    with psycopg.connect(owner_url, row_factory=dict_row) as connection:
        yield lambda query, **values: connection.execute(query, values).fetchall()


def test_every_table_is_protected_even_from_its_owner(catalogue):
    """Every table but Alembic's has row-level security enabled and forced, and a policy."""
    rows = catalogue(
        """SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity,
           (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid) AS policies
           FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace"""
    )
    found = {row["relname"]: row for row in rows}
    assert set(found) == set(metadata.tables) | {"alembic_version"}
    for name in metadata.tables:
        row = found[name]
        assert (row["relrowsecurity"], row["relforcerowsecurity"]) == (True, True), name
        assert row["policies"] >= 1, name


def test_every_policy_asks_for_the_current_tenant(catalogue):
    """No policy but the adding of users is without the tenant; each is an InitPlan."""
    rows = catalogue(
        """SELECT tablename, policyname, cmd, qual, with_check FROM pg_policies
           WHERE schemaname = 'public'"""
    )
    assert len(rows) >= len(metadata.tables)
    for row in rows:
        if (row["tablename"], row["policyname"]) == ("users", "added"):
            assert (row["cmd"], row["with_check"]) == ("INSERT", "true")
            continue
        assert "current_setting('app.tenant'" in row["qual"], row
        assert "SELECT" in row["qual"], row


def test_every_key_between_tenant_tables_carries_the_tenant(catalogue):
    """Foreign keys between tenant tables start with tenant_id on both sides."""
    rows = catalogue(
        """SELECT c.conname, c.conrelid::regclass::text AS child, c.confrelid::regclass::text AS parent,
           array(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY k(n, i)
                 JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.n ORDER BY i) AS cols,
           array(SELECT a.attname::text FROM unnest(c.confkey) WITH ORDINALITY k(n, i)
                 JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.n ORDER BY i) AS targets
           FROM pg_constraint c WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace"""
    )
    assert len(rows) > 100
    for row in rows:
        if row["parent"] in ("tenants", "users"):
            continue
        assert row["cols"][0] == row["targets"][0] == "tenant_id", row["conname"]


def test_every_foreign_key_is_led_by_an_index(catalogue):
    """Deleting or looking up by a key scans no table, but for a few small ones."""
    rows = catalogue(
        """SELECT c.conrelid::regclass::text || '.' || a.attname AS col
           FROM pg_constraint c
           JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[array_length(c.conkey, 1)]
           WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace
             AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.conrelid
                 AND (i.indkey::int2[])[0:1] @> ARRAY[c.conkey[1]]
                 AND (array_length(c.conkey, 1) = 1 OR (i.indkey::int2[])[0:1] @> c.conkey[1:2]))"""
    )
    assert {row["col"] for row in rows} <= {
        "staff_roles.granted_by_id",
        "api_keys.staff_id",
    }


def test_the_application_owns_nothing_and_bypasses_nothing(catalogue):
    """Both application roles are plain; only the look-up role passes by policies, and cannot log in."""
    rows = catalogue(
        "SELECT rolname, rolsuper, rolbypassrls, rolcanlogin FROM pg_roles WHERE rolname = ANY(%(names)s)",
        names=[APP_ROLE, APP_LOGIN, LOOKUP_ROLE],
    )
    found = {row["rolname"]: row for row in rows}
    for name in (APP_ROLE, APP_LOGIN):
        assert (found[name]["rolsuper"], found[name]["rolbypassrls"]) == (False, False)
    assert (found[LOOKUP_ROLE]["rolcanlogin"], found[LOOKUP_ROLE]["rolbypassrls"]) == (False, True)
    owned = catalogue(
        """SELECT c.relname FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
           WHERE r.rolname = ANY(%(names)s)""",
        names=[APP_ROLE, APP_LOGIN, LOOKUP_ROLE],
    )
    assert owned == []


def test_the_lookup_role_reads_only_what_lookups_need(catalogue):
    """It may SELECT from the tables of its four functions, and do nothing else anywhere."""
    rows = catalogue(
        """SELECT table_name, privilege_type FROM information_schema.role_table_grants
           WHERE grantee = %(role)s""",
        role=LOOKUP_ROLE,
    )
    assert {(row["table_name"], row["privilege_type"]) for row in rows} == {
        (table, "SELECT")
        for table in ("api_keys", "tenants", "video_rooms", "room_links", "room_owners")
    }


def test_lookup_functions_are_for_the_application_alone(catalogue):
    """SECURITY DEFINER functions have a fixed search path and no rights for PUBLIC."""
    rows = catalogue(
        """SELECT p.proname, p.proconfig, r.rolname AS owner,
           has_function_privilege(%(app)s, p.oid, 'EXECUTE') AS app,
           coalesce((SELECT bool_or(a.grantee = 0) FROM aclexplode(p.proacl) a), true) AS everyone
           FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner
           WHERE p.prosecdef AND p.pronamespace = 'public'::regnamespace""",
        app=APP_ROLE,
    )
    assert {row["proname"] for row in rows} == {
        "find_api_key",
        "find_room_links",
        "find_overdue_rooms",
        "find_rooms_to_end",
    }
    for row in rows:
        assert (row["owner"], row["app"], row["everyone"]) == (LOOKUP_ROLE, True, False)
        assert row["proconfig"] == ["search_path=pg_catalog, public"]


def test_ledgers_cannot_be_rewritten(catalogue):
    """The application may add to a ledger and read it, not change or empty it."""
    rows = catalogue(
        """SELECT table_name, array_agg(privilege_type::text ORDER BY privilege_type) AS rights
           FROM information_schema.role_table_grants WHERE grantee = %(role)s GROUP BY 1""",
        role=APP_ROLE,
    )
    rights = {row["table_name"]: row["rights"] for row in rows}
    for table in LEDGERS:
        assert rights[table] == ["INSERT", "SELECT"]
    assert all("TRUNCATE" not in each for each in rights.values())


def test_a_raw_session_without_a_tenant_sees_and_writes_nothing(owner_url, app_url):
    """Row-level security alone, without our code: 0 rows everywhere, foreign writes refused."""
    with psycopg.connect(owner_url) as owner:
        for name in ("A", "B"):
            owner.execute(
                """INSERT INTO tenants (id, name, kind, settings, features, timezone, currency,
                   is_active, created_at, updated_at, version)
                   VALUES (gen_random_uuid(), %s, 'tenant', '{}', '{}', 'UTC', 'USD', true, now(), now(), 1)""",
                [name],
            )
        ids = [row[0] for row in owner.execute("SELECT id FROM tenants ORDER BY name").fetchall()]
    with psycopg.connect(app_url) as app:
        for table in metadata.tables:
            assert app.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
        app.execute("SELECT set_config('app.tenant', %s, true)", [str(ids[0])])
        assert app.execute("SELECT name FROM tenants").fetchall() == [("A",)]
        role = "INSERT INTO roles (tenant_id, id, name, is_system, created_at, updated_at, version) VALUES (%s, gen_random_uuid(), 'x', false, now(), now(), 1)"
        app.execute(role, [ids[0]])
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app.execute(role, [ids[1]])
        app.rollback()
        # After a transaction the setting is '' rather than NULL: still nothing to see.
        assert app.execute("SELECT count(*) FROM tenants").fetchone() == (0,)


async def test_a_pool_of_the_owner_is_refused(owner_url):
    """A superuser's or an owner's pool must never serve requests."""
    pool = Database(owner_url)
    with pytest.raises(UnsafeDatabaseRole, match="bypasses row-level security"):
        await pool.check()
    await pool.close()


async def test_a_pool_of_a_plain_owner_is_refused(owner_url, app_url):
    """Owning a table is enough to be refused, also through membership in the owning role."""
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute(f"GRANT CREATE ON SCHEMA public TO {APP_LOGIN}")
        try:
            with psycopg.connect(app_url, autocommit=True) as app:
                app.execute("CREATE TABLE mine (id int)")
            pool = Database(app_url)
            with pytest.raises(UnsafeDatabaseRole, match="owns 1 tables"):
                await pool.check()
            await pool.close()
        finally:
            owner.execute(f"REVOKE CREATE ON SCHEMA public FROM {APP_LOGIN}")
