"""Audience streams of one room: numbers, a short memory, and exact resume.

Every sequenced event belongs to one stream (``room``, ``scope:main``, ``hosts``,
``self:<participant>``, ``lobby:<participant>``) and has a number in it, contiguous within the
room's epoch. The newest events of each stream are kept, so that a client which was away gets
exactly what it missed, in the order of all streams together, as a person may move from one to
another; when that is no longer possible it gets nothing here, and a snapshot instead: never a part.
Numbers are given when the room decides, events are kept when they are delivered, in the same order.
What can be told to nobody any more, by age or by size, is let go, and so is a stream that nobody
follows, so that a crowd which came and went costs no memory. Time is an argument.
"""

import itertools
import operator
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from rooms.ids import EPHEMERAL

from .envelope import CODECS, Encoded

RING_EVENTS: Final = 300
RING_SECONDS: Final = 300.0
REPLAY_BYTES: Final = 512 * 1024
"""More than this is not replayed: it would fill the queue of a client that has just come back."""
ROOM_BYTES: Final = 8 * 1024 * 1024
"""What all streams of a room keep, in JSON; in memory two to ten times as much. Without it whoever
comes by one link after the other, says much in private and leaves, would leave it all behind."""
_JSON: Final = CODECS["sunup.v1.json"]
"""Its form of a frame is the larger one, and the one that most clients get."""


class _Kept(NamedTuple):
    number: int
    place: int
    """Among what was delivered on all streams."""
    at: float
    size: int
    encoded: Encoded


class Shelf:
    """What the streams of a room keep, in the order of delivery, bounded together."""

    def __init__(self) -> None:
        self._places = itertools.count()
        self._oldest: deque[tuple[StreamLog, int]] = deque()
        """Stream and number of what is kept, and of some that is not any more."""
        self.size = 0

    def place(self, log: "StreamLog", number: int, size: int) -> int:
        """The place of an event that `log` keeps from now on."""
        self._oldest.append((log, number))
        self.size += size
        return next(self._places)

    def bound(self) -> None:
        """Let go what was delivered first, of whatever stream, while all is too much."""
        while self._oldest:
            log, number = self._oldest[0]
            if self.size <= ROOM_BYTES and log.keeps(number):
                return
            self._oldest.popleft()
            log.forget_to(number)


class StreamLog:
    """One stream.

    Args:
        shelf: what all streams of the room keep.
        first: the number before the first event's.
    """

    __slots__ = ("_ring", "_shelf", "_size", "delivered", "needed_at", "numbered")

    def __init__(self, shelf: Shelf, first: int = 0) -> None:
        self._shelf = shelf
        self.needed_at: float | None = None
        """When somebody was last seen to follow it."""
        self.numbered = first
        """The last number given out."""
        self.delivered = first
        """The last number kept; behind `numbered` while a commit is under way."""
        self._ring: deque[_Kept] = deque()
        self._size = 0

    def number(self) -> int:
        """The number of the next event."""
        self.numbered += 1
        return self.numbered

    def keep(self, number: int, encoded: Encoded, now: float) -> None:
        """Remember a delivered event.

        Raises:
            RuntimeError: not the next one: events would be lost or doubled for resuming clients.
        """
        if number != self.delivered + 1:
            raise RuntimeError(f"event {number} delivered after {self.delivered}")
        self.delivered = number
        size = len(encoded.to(_JSON))
        self._ring.append(_Kept(number, self._shelf.place(self, number, size), now, size, encoded))
        self._size += size
        while len(self._ring) > RING_EVENTS or self._size > REPLAY_BYTES:
            self._forget()
        self.expire(now)
        self._shelf.bound()

    def expire(self, now: float) -> None:
        """Let go what is too old to be told."""
        while self._ring and now - self._ring[0].at > RING_SECONDS:
            self._forget()

    def keeps(self, number: int) -> bool:
        """Whether this event is kept still."""
        return bool(self._ring) and self._ring[0].number <= number

    def forget_to(self, number: int) -> None:
        """Let go up to this event."""
        while self.keeps(number):
            self._forget()

    def _forget(self) -> None:
        size = self._ring.popleft().size
        self._size -= size
        self._shelf.size -= size

    def since(self, number: int, now: float) -> list[_Kept] | None:
        """What was delivered after `number`; None when that cannot be told exactly."""
        if number > self.delivered:
            return None
        missed = [kept for kept in self._ring if kept.number > number]
        if len(missed) != self.delivered - number:
            return None
        if missed and now - missed[0].at > RING_SECONDS:
            return None
        return missed


class Streams:
    """All streams of a room in one epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self._logs: dict[str, StreamLog] = {}
        self._shelf = Shelf()
        self._highest = 0
        """The highest number of a stream that was let go: if it comes again, it counts on from here,
        so that no number stands for two events."""
        self._tidied = 0.0
        self._told: dict[str, dict[str, tuple[int, int]]] = {}
        """Own stream → where the newest snapshot of its owner stands."""

    def log(self, stream: str) -> StreamLog:
        """The log of a stream; made on first use.

        Raises:
            ValueError: for the ephemeral stream, which has neither numbers nor memory.
        """
        if stream == EPHEMERAL:
            raise ValueError("the ephemeral stream is not sequenced")
        found = self._logs.get(stream)
        if found is None:
            found = self._logs[stream] = StreamLog(self._shelf, self._highest)
        return found

    def tidy(self, now: float, followed: Callable[[str], bool]) -> None:
        """Now and then, let go what is too old, and streams that nobody has followed for so long."""
        if now - self._tidied <= RING_SECONDS / 5:
            return
        self._tidied = now
        for stream, log in list(self._logs.items()):
            log.expire(now)
            if log.needed_at is None or followed(stream):
                log.needed_at = now
            elif now - log.needed_at > RING_SECONDS and log.delivered == log.numbered:
                self._highest = max(self._highest, log.numbered)
                log.forget_to(log.numbered)
                del self._logs[stream]
                self._told.pop(stream, None)

    def positions(self, streams: Iterable[str]) -> dict[str, tuple[int, int]]:
        """Stream → (epoch, last number given out): where a snapshot made now stands."""
        return {
            stream: (self.epoch, self.log(stream).numbered)
            for stream in streams
            if stream != EPHEMERAL
        }

    def tell(self, own: str, positions: dict[str, tuple[int, int]]) -> None:
        """A snapshot is made for the owner of a stream: what came before is theirs only by it."""
        self._told[own] = positions

    def may_have(self, own: str, positions: Mapping[str, tuple[int, int]]) -> bool:
        """Whether a client can be where it says it is: not before its newest snapshot.

        Else a newcomer who claims to have heard nothing would be told what was said, and taken
        back, before they were let in.
        """
        told = self._told.get(own, {})
        return all(stream in told and at >= told[stream] for stream, at in positions.items())

    def replay(
        self,
        positions: Mapping[str, tuple[int, int]],
        streams: Sequence[str],
        now: float,
    ) -> list[Encoded] | None:
        """Everything missed, as it was delivered, or None when a snapshot is needed or cheaper.

        Args:
            positions: what the client has, by stream.
            streams: what the client may see now; a stream without a position needs a snapshot
                unless nothing was ever sent on it.
            now: for the age of what was kept.
        """
        missed: list[_Kept] = []
        if not set(positions) <= set(streams):
            return None  # the client was on a stream that it may not see any more: it was put out
        for stream in streams:
            if stream == EPHEMERAL:
                continue
            log = self.log(stream)
            known = positions.get(stream)
            if known is None:
                if log.delivered:
                    return None  # the client was never on it: events alone would not tell all
                continue
            epoch, number = known
            if epoch != self.epoch:
                return None
            found = log.since(number, now)
            if found is None:
                return None
            missed += found
        if sum(kept.size for kept in missed) > REPLAY_BYTES:
            return None
        missed.sort(key=operator.attrgetter("place"))
        return [kept.encoded for kept in missed]
