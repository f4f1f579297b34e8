"""Arithmetic of appointment times, refusing what no calendar has."""

from datetime import datetime, timedelta
from typing import Final

from ..errors import Contradiction

LONGEST: Final = timedelta(days=31)


def shift(moment: datetime, by: float | timedelta) -> datetime:
    """`moment` moved by minutes or a timedelta.

    Raises:
        Contradiction: the calendar ends there.
    """
    delta = by if isinstance(by, timedelta) else timedelta(minutes=by)
    try:
        return moment + delta
    except OverflowError:
        raise Contradiction("that time is outside the calendar", field="starts_at") from None


def require_order(starts_at: datetime, ends_at: datetime) -> None:
    """Refuse an appointment that ends before it starts, or never seems to.

    Raises:
        Contradiction: it does.
    """
    if ends_at <= starts_at:
        raise Contradiction("an appointment ends after it starts", field="ends_at")
    if ends_at - starts_at > LONGEST:
        raise Contradiction(
            f"an appointment lasts {LONGEST.days} days at the most", field="ends_at"
        )
