"""The rule that one staff member's blocking bookings never overlap, as DDL of both databases.

Called by the migration that makes ``bookings``. Both forms raise an error that names
`OVERLAP_CONSTRAINT`, so one test in ``crm_core.appointments`` recognises either.
"""

from alembic import op

from .rls import on_postgresql

OVERLAP_CONSTRAINT = "ex_bookings_staff"

_EXCLUDE = f"""ALTER TABLE bookings ADD CONSTRAINT {OVERLAP_CONSTRAINT} EXCLUDE USING gist
    (tenant_id WITH =, staff_id WITH =, tstzrange(starts_at, ends_at) WITH &&)
    WHERE (is_blocking)"""

# Writers hold SQLite's one write lock from their first statement (BEGIN IMMEDIATE), so nothing
# can slip in between this look and the write.
_TRIGGER = """CREATE TRIGGER {name}_{event} BEFORE {when} ON bookings
    WHEN NEW.is_blocking
    BEGIN
        SELECT RAISE(ABORT, '{name}') WHERE EXISTS (
            SELECT 1 FROM bookings b
            WHERE b.tenant_id = NEW.tenant_id AND b.staff_id = NEW.staff_id AND b.is_blocking
              AND b.id <> NEW.id AND b.starts_at < NEW.ends_at AND b.ends_at > NEW.starts_at);
    END"""


def refuse_overlapping_bookings() -> None:
    """Add the exclusion constraint, or SQLite's pair of triggers."""
    if on_postgresql():
        # Equality of uuids inside a GiST index; a trusted extension, the owner may add it.
        op.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
        op.execute(_EXCLUDE)
        return
    for event, when in (
        ("insert", "INSERT"),
        ("update", "UPDATE OF starts_at, ends_at, is_blocking, staff_id, tenant_id"),
    ):
        op.execute(_TRIGGER.format(name=OVERLAP_CONSTRAINT, event=event, when=when))
