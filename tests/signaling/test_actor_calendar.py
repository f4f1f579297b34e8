"""What the CRM decides about a room that is open."""

from datetime import UTC, datetime

import pytest

from rooms.policy import Role
from signaling.clock import stamp
from signaling.errors import CloseCode, RequestError
from tests.signaling.fakes import START, Stage, events, wire
from tests.signaling.visits import enter
from tests.support.wait import until


def at(seconds):
    return datetime.fromtimestamp(seconds, UTC)


class TestCalendar:
    """What the CRM decides about a room that is open."""

    @pytest.fixture(autouse=True)
    def hasty(self, monkeypatch):
        """The record is looked at every few milliseconds."""
        monkeypatch.setattr("signaling.tenure.LEASE", 0.03)

    async def test_a_cancellation_reaches_who_waits(self, stage):
        """The waiting are told and closed, and the sitting is cancelled, not expired later."""
        jane = await enter(stage, "Jane", lobby=True)
        stage.store.change(status="cancelled")
        await until(lambda: wire(jane).closed)
        assert wire(jane).closed == (CloseCode.ENDED, "cancelled")
        assert events(jane)[-1]["p"] == {"reason": "cancelled"}
        assert [f.body.state for f in stage.store.facts if f.kind == "room.state"][
            -1
        ] == "cancelled"
        with pytest.raises(RequestError) as refused:
            await enter(stage, "Ben")
        assert refused.value.code == "cancelled"

    async def test_a_cancellation_that_came_with_the_start_ends_the_meeting(self, stage):
        """Live cannot become cancelled: the meeting ends, and says why."""
        host = await enter(stage, "Ana", Role.HOST)
        stage.store.change(status="cancelled")
        await until(lambda: wire(host).closed)
        assert wire(host).closed == (CloseCode.ENDED, "cancelled")
        assert stage.store.facts[-1].body.reason == "cancelled"

    async def test_other_times_reach_who_is_in(self, stage):
        """Everybody is told once, and the room lives by the new times."""
        host = await enter(stage, "Ana", Role.HOST)
        ends_at = at(START + 7200.0004567)
        stage.store.change(ends_at=ends_at)
        await until(lambda: events(host, "room.changed"))
        (changed,) = events(host, "room.changed")
        assert changed["patch"]["ends_at"] == stamp(START + 7200)
        assert stage.actor.room.state.ends_at == ends_at.timestamp()
        renewed = stage.journal.renewed
        await until(lambda: stage.journal.renewed > renewed + 3)
        assert len(events(host, "room.changed")) == 1

    async def test_a_room_that_slept_hears_it_first(self, stage):
        """New times are heard before anything falls due by the old ones; so is a cancellation."""
        jane = await enter(stage, "Jane", lobby=True)
        stage.actor.lost(jane)
        moved = START + 7 * 86400
        for changes, state in (
            ({"starts_at": at(moved), "ends_at": at(moved + 3600)}, "lobby_open"),
            ({"status": "cancelled"}, "cancelled"),
        ):
            stage.store.change(**changes)
            later = Stage(stage.store)
            later.clock.time = START + 3600 + 1801
            await later.actor.open()
            assert later.actor.room.state.state == state
            await later.actor.close()
