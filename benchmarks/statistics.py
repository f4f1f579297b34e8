"""Medians with their spread: a number without its noise is not a result."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """The middle of some rounds and how far they lay apart."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of at least one value."""
        return cls(statistics.median(values), min(values), max(values))

    def text(self, digits: int = 2) -> str:
        """``1.08 (1.01-1.14)``."""
        return f"{self.median:.{digits}f} ({self.low:.{digits}f}-{self.high:.{digits}f})"


def ratios(measured: Sequence[float], baseline: Sequence[float]) -> Spread:
    """Each round divided by the baseline taken right after it, then the spread of those."""
    return Spread.of([a / b for a, b in zip(measured, baseline, strict=True)])
