"""UUIDv7s: layout of RFC 9562, and order within a process."""

from datetime import UTC, datetime, timedelta
from uuid import RFC_4122

from storage.ids import MonotonicIds, uuid7


def test_the_layout_is_that_of_rfc_9562():
    """The example of RFC 9562 appendix A.6, bit for bit."""
    made = uuid7(0x017F22E279B0, (0xCC3 << 62) | 0x18C4DC0C0C07398F)
    assert str(made) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
    assert (made.version, made.variant) == (7, RFC_4122)


def test_ids_rise_even_when_the_clock_stands_or_steps_back():
    """Every id is greater than the one before, whatever the clock does."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    times = [start] * 50 + [start - timedelta(seconds=5)] * 50 + [start + timedelta(seconds=1)]
    clock = iter(times)
    ids = MonotonicIds(clock=lambda: next(clock), randbits=lambda bits: (1 << bits) - 1)
    made = [ids() for _ in times]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
