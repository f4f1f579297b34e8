"""Who holds the floor: the dominant speaker, steady enough to look at.

The engine reports loudness at most twice a second (`Speakers`). A cough must not take the stage,
and two people talking at once must not make it flicker, so whoever has it keeps it for
`HOLD_SECONDS`, and silence keeps the last one. Pure: state in, state out, time is an argument.
The speaker view (`sfu.pages`) shows the result; who is heard is the engine's own choice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

HOLD_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Floor:
    """The floor of one room.

    Attributes:
        dominant: Who holds it; None until somebody has spoken.
        since: When they got it.
        challenger: The loudest speaker now, if somebody else.
        spoke_at: Member → when they were last among the speakers.
    """

    dominant: str | None = None
    since: float = 0.0
    challenger: str | None = None
    spoke_at: tuple[tuple[str, float], ...] = ()

    def next_timeout(self) -> float | None:
        """Return when `settle` will change something, or None."""
        return self.since + HOLD_SECONDS if self.challenger is not None else None


def heard(floor: Floor, speakers: Sequence[str], now: float) -> Floor:
    """Take a report of who is speaking, loudest first."""
    spoke_at = dict(floor.spoke_at) | dict.fromkeys(speakers, now)
    loudest = speakers[0] if speakers else None
    challenger = loudest if loudest != floor.dominant else None
    return settle(replace(floor, challenger=challenger, spoke_at=tuple(spoke_at.items())), now)


def settle(floor: Floor, now: float) -> Floor:
    """Give the floor to the challenger once the holder has had it long enough."""
    if floor.challenger is None:
        return floor
    if floor.dominant is not None and now < floor.since + HOLD_SECONDS:
        return floor
    return replace(floor, dominant=floor.challenger, since=now, challenger=None)


def left(floor: Floor, member: str, now: float) -> Floor:
    """Forget a member; the floor passes at once if they held it."""
    floor = replace(
        floor,
        dominant=None if floor.dominant == member else floor.dominant,
        challenger=None if floor.challenger == member else floor.challenger,
        spoke_at=tuple(item for item in floor.spoke_at if item[0] != member),
    )
    return settle(floor, now)
