"""Room time: never back, and not behind after a sleep."""

import pytest

from signaling.clock import JUMP, SystemClock


class Machine:
    """Its two clocks."""

    def __init__(self):
        self.wall = 1_800_000_000.0
        self.steady = 50.0
        self.clock = SystemClock(lambda: self.wall, lambda: self.steady)

    def run(self, seconds):
        self.wall += seconds
        self.steady += seconds


@pytest.fixture
def machine():
    return Machine()


def test_room_time_runs_with_the_monotonic_clock(machine):
    began = machine.clock.now()
    machine.run(90.0)
    assert machine.clock.now() == began + 90


def test_after_a_sleep_it_is_as_late_as_everywhere(machine):
    """The monotonic clock stands still while a machine sleeps, or its hypervisor pauses it."""
    machine.clock.now()
    felt = machine.clock.pulse()
    machine.wall += 3600
    machine.run(1.0)
    assert machine.clock.now() == machine.wall
    assert machine.clock.pulse() - felt == pytest.approx(3601, abs=0.001)


@pytest.mark.parametrize("step", [0.5 - JUMP, JUMP - 0.1])
def test_a_correction_is_not_followed(machine, step):
    began = machine.clock.now()
    machine.wall += step
    machine.run(10.0)
    assert machine.clock.now() == pytest.approx(began + 10)
    assert machine.clock.wall() == machine.wall


def test_a_clock_that_was_set_back_is_waited_for(machine):
    """Room time goes on, at half speed, until the wall clock has caught up; it never goes back."""
    machine.clock.now()
    machine.wall += 60  # a mistake
    ahead = machine.clock.now()
    machine.wall -= 60
    before = ahead
    for _ in range(130):
        machine.run(1.0)
        now = machine.clock.now()
        assert before < now <= before + 1
        before = now
    assert now - machine.wall == pytest.approx(JUMP, abs=1)
