"""Rows as an administrator reads them with psql or sqlite3: plain SQL, none of the product's code.

On PostgreSQL the database is read by the cluster's superuser, whom row-level security does not
bind. Times come as aware datetimes from both; SQLite keeps ids as hexadecimal text without hyphens.
"""

import contextlib
import sqlite3
from datetime import datetime
from typing import Any

import psycopg


def read_rows(database_url: str, superuser_url: str, query: str, *values: Any) -> list[Any]:
    """What `query` finds, with ``?`` for each of `values`; rows of plain tuples."""
    if database_url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as file:
            return [_aware(row) for row in file.execute(query, values)]
    owner = f"{superuser_url.rpartition('/')[0]}/{database_url.rpartition('/')[2]}"
    with psycopg.connect(owner) as connection:
        return connection.execute(query.replace("?", "%s"), values).fetchall()


def _aware(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """SQLite keeps times as ISO 8601 text that ends in Z."""
    return tuple(
        datetime.fromisoformat(value) if isinstance(value, str) and _is_time(value) else value
        for value in row
    )


def _is_time(value: str) -> bool:
    return len(value) == 27 and value.endswith("Z") and value[10] == "T"


class Books:
    """What the rows say of one room."""

    def __init__(self, database_url: str, superuser_url: str, room_id: str) -> None:
        self._where = (database_url, superuser_url)
        self._room_id = room_id if database_url.startswith("post") else room_id.replace("-", "")

    def intervals(self, name: str) -> list[tuple[datetime, datetime | None]]:
        """Attendance of whoever bears `name`, in order."""
        return read_rows(
            *self._where,
            "SELECT i.joined_at, i.left_at FROM video_room_intervals i"
            " JOIN video_room_participants p ON p.id = i.participant_id"
            " WHERE p.room_id = ? AND p.display_name = ? ORDER BY i.joined_at",
            self._room_id,
            name,
        )

    def stamps(self, name: str) -> list[tuple[datetime, datetime, datetime, datetime]]:
        """(waiting, admitted, joined, left) of each row of `name`."""
        return read_rows(
            *self._where,
            "SELECT waiting_at, admitted_at, joined_at, left_at FROM video_room_participants"
            " WHERE room_id = ? AND display_name = ?",
            self._room_id,
            name,
        )

    def sitting(self) -> list[tuple[str, datetime, datetime, str]]:
        """(status, started, ended, reason) of each sitting."""
        return read_rows(
            *self._where,
            "SELECT status, started_at, ended_at, end_reason FROM video_room_sessions"
            " WHERE room_id = ? ORDER BY session_no",
            self._room_id,
        )

    def appointment(self) -> list[tuple[str, str]]:
        """(status, outcome) of each appointment of the room."""
        return read_rows(
            *self._where,
            "SELECT status, outcome FROM appointments WHERE video_room_id = ?",
            self._room_id,
        )

    def meetings(self) -> list[tuple[datetime, datetime]]:
        """(started, ended) of each communications row of channel ``meeting``."""
        return read_rows(
            *self._where,
            "SELECT occurred_at, completed_at FROM communications"
            " WHERE video_room_id = ? AND channel = 'meeting'",
            self._room_id,
        )
