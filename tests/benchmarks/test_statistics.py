"""A ratio is taken round by round."""

import pytest

from benchmarks.statistics import Spread, ratios


def test_each_round_is_divided_by_its_own_baseline():
    """A machine that slows down for one round, for both alike, does not change the ratio."""
    assert ratios([10.0, 40.0, 12.0], [10.0, 20.0, 10.0]) == Spread(1.2, 1.0, 2.0)
    assert ratios([10.0, 40.0, 12.0], [10.0, 20.0, 10.0]).text() == "1.20 (1.00-2.00)"


def test_rounds_without_their_baseline_are_refused():
    """A missing baseline is an error, not a shorter list."""
    with pytest.raises(ValueError, match="shorter"):
        ratios([1.0, 2.0], [1.0])
