"""The meeting speaks one language: the closed sets of the database are the states of the room."""

import re

import psycopg
import pytest

from crm_core.meetings.lifecycle import DOOR_OPENS_BEFORE
from crm_core.meetings.rooms import LOBBY, SEATS
from crm_core.meetings.states import PARTICIPANT_GONE, ROOM_OVER, ROOM_TYPES
from rooms import states
from rooms.policy import Kind, Role, preset

CLOSED_SETS = [
    ("video_rooms", "status", states.ROOM_MACHINE.states),
    ("video_room_sessions", "status", states.ROOM_MACHINE.states),
    ("video_room_participants", "status", states.PARTICIPANT_MACHINE.states),
    ("video_room_participants", "role", tuple(Role)),
    ("video_room_participants", "kind", tuple(Kind)),
    ("meeting_polls", "status", states.POLL_MACHINE.states),
    ("meeting_questions", "status", states.QUESTION_MACHINE.states),
    ("breakout_rooms", "status", states.BREAKOUT_MACHINE.states),
    ("breakout_room_assignments", "status", states.ASSIGNMENT_MACHINE.states),
    ("video_room_recordings", "status", states.RECORDING_MACHINE.states),
]


@pytest.fixture
def closed_sets(owner_url):
    """Words that a column's CHECK allows, by table and column, as PostgreSQL itself states them."""
    with psycopg.connect(owner_url) as connection:
        rows = connection.execute(
            """SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint
               WHERE contype = 'c' AND connamespace = 'public'::regnamespace"""
        ).fetchall()
    found = {}
    for table, definition in rows:
        if match := re.fullmatch(r"CHECK \(\((\w+) = ANY \(ARRAY\[(.*)\]\)\)\)", definition):
            found[table, match[1]] = set(re.findall(r"'([^']*)'", match[2]))
    return found


@pytest.mark.parametrize(("table", "column", "words"), CLOSED_SETS)
def test_the_database_allows_exactly_what_the_room_may_state(closed_sets, table, column, words):
    """A state that the room can reach can be stored, and nothing else can."""
    assert closed_sets[table, column] == {str(word) for word in words}


def test_both_sides_agree_on_what_is_over():
    """Nobody enters a room that is over, and nobody gone has an open interval, on either side."""
    assert {str(state) for state in states.OVER} == ROOM_OVER
    assert {str(state) for state in states.GONE} == PARTICIPANT_GONE


def test_both_sides_agree_on_when_the_door_opens():
    """What ends before nobody could have come to."""
    for kind in ("consultation", "training"):
        config = preset(kind, id="r", code="c", title="t", session_no=1)
        assert config.opens_before_s == DOOR_OPENS_BEFORE.total_seconds()


PRESETS = {
    "consultation": "consultation",
    "training": "training",
    "webinar": "training",
    "instant": "consultation",
}


@pytest.mark.parametrize(("room_type", "preset_type"), PRESETS.items())
def test_a_new_rooms_row_has_the_seats_and_the_lobby_of_its_preset(room_type, preset_type):
    """The row's values win over the preset's, so a change of one side alone would go unnoticed."""
    config = preset(preset_type, id="x", code="x", title="x")
    assert SEATS[room_type] == (config.capacity, config.reserved_seats)
    assert LOBBY[room_type] == config.policy.lobby


def test_every_type_of_room_has_a_preset():
    """None is forgotten above, nor where rooms are made."""
    assert set(PRESETS) == set(SEATS) == set(LOBBY) == set(ROOM_TYPES)
