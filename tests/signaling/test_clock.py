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


@pytest.mark.parametrize("step", [-3600.0, -0.5, JUMP - 0.1])
def test_a_correction_is_not_followed(machine, step):
    """Nor is a clock that was set back: what happened before stays before."""
    began = machine.clock.now()
    machine.wall += step
    machine.run(10.0)
    assert machine.clock.now() == pytest.approx(began + 10)
    assert machine.clock.wall() == machine.wall
