"""The look for meetings that should be over does not read every meeting there ever was."""

import sqlite3
from contextlib import closing

import psycopg
from sqlalchemy.dialects import sqlite

from crm_core.meetings import overdue

ARGUMENTS = ("ended_before", "silent_since", "free_since", "at_most")
INDEX = "ix_video_rooms_to_end"
A_TENANTS_PAST = """
    INSERT INTO video_rooms (tenant_id, id, name, code, type, status, capacity, reserved_seats,
        features, policy, settings_rev, is_locked, session_no, peak_participants, custom_fields,
        created_at, updated_at, version, ends_at, ended_at)
    SELECT '00000000-0000-0000-0000-000000000001', gen_random_uuid(), '', i::text, 'consultation',
        CASE i % 100 WHEN 0 THEN 'live' WHEN 1 THEN 'cancelled' ELSE 'ended' END, 4, 0,
        '{}', '{}', 1, false, 1, 0, '{}', now(), now(), 1, now(),
        CASE WHEN i % 100 > 1 THEN now() END
    FROM generate_series(1, 3000) i;
    INSERT INTO room_owners (tenant_id, room_id, node, epoch, lease_until, session_no, last_seq)
    SELECT tenant_id, id, 'node', 1, now(), 1, 0 FROM video_rooms;
    ANALYZE video_rooms, room_owners
"""


def test_postgresql_reads_only_rooms_whose_books_are_open(owner_url):
    """Of 3,000 rooms, 60 of them open, the look-up fetches those by their index."""
    with psycopg.connect(owner_url) as connection:
        connection.execute("SET session_replication_role = replica")  # no tenant for the rooms
        connection.execute(A_TENANTS_PAST)
        source = connection.execute(
            "SELECT prosrc FROM pg_proc WHERE proname = 'find_rooms_to_end'"
        ).fetchone()[0]
        for argument in ARGUMENTS:
            source = source.replace(argument, "9" if argument == "at_most" else "now()")
        plan = connection.execute(f"EXPLAIN {source}").fetchall()
    assert INDEX in str(plan)
    assert "Seq Scan on video_rooms" not in str(plan)


def test_sqlite_reads_only_rooms_whose_books_are_open(sqlite_url):
    """SQLite takes a partial index only for a query that repeats its condition word for word."""
    query = overdue._overdue("sqlite").params(**dict.fromkeys(ARGUMENTS, None))
    statement = query.compile(
        dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True, "render_postcompile": True}
    )
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
    assert any(INDEX in step for *_, step in plan), plan
