"""What waits to be written to one client: bounded in bytes, shed by class, merged where it can be.

A client that reads slowly must not cost memory or delay others. While frames wait, those that
show a moment are dropped, roster deltas that follow each other are merged into one, and at 1 MiB the
client is given up (`SlowClientError`): it reconnects and resumes. A snapshot does not count towards
that, as it would be sent again after each return.
Sans-I/O; `gateway` does the writing.
"""

import enum
from collections import deque
from typing import Any, Final

import msgspec
from msgspec import UNSET

from rooms.events import ParticipantView, ReactSum, RosterDelta, SpeakersChanged
from rooms.ids import ParticipantId

from .envelope import Codec, Encoded, Event
from .messages import SNAPSHOT, SlotWhy

MAX_BYTES: Final = 1024 * 1024
EPHEMERAL_BYTES: Final = 64 * 1024
"""Frames that show a moment are dropped while more than this waits."""
MOMENTS: Final = frozenset(body.event for body in (SpeakersChanged, ReactSum, SlotWhy))
"""What a client can do without. Whose picture is in a slot, that it has resumed, that it is sent away:
these are of the stream ``eph``, too, and are told once."""


class SlowClientError(Exception):
    """1 MiB waits: close with `slow`."""


class FrameClass(enum.Enum):
    """How much a frame matters to a client that cannot keep up."""

    NORMAL = "normal"
    EPHEMERAL = "ephemeral"
    DELTA = "delta"


def classify(encoded: Encoded) -> FrameClass:
    """The class of a frame."""
    frame = encoded.frame
    if isinstance(frame, Event):
        if frame.t in MOMENTS:
            return FrameClass.EPHEMERAL
        if isinstance(frame.p, RosterDelta):
            return FrameClass.DELTA
    return FrameClass.NORMAL


class Outbox:
    """The queue of one client, whose frames are in one codec."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._queue: deque[tuple[Encoded, bytes]] = deque()
        self.size = 0
        """Bytes that wait here; the gateway adds what waits in the socket's buffer."""
        self.shed = 0
        """Ephemeral frames dropped, for the metrics."""
        self._snapshot = 0
        """Bytes of the largest snapshot so far: so much more than 1 MiB may wait."""

    def __len__(self) -> int:
        return len(self._queue)

    def note(self, encoded: Encoded) -> None:
        """This frame is sent, here or at once: a snapshot alone makes no client a slow one."""
        if isinstance(encoded.frame, Event) and encoded.frame.t == SNAPSHOT:
            self._snapshot = max(self._snapshot, len(encoded.to(self._codec)))

    def push(self, encoded: Encoded, *, buffered: int = 0) -> None:
        """Add a frame behind what waits.

        Raises:
            SlowClientError: the frame would make it more than 1 MiB and a snapshot with `buffered`.
        """
        kind = classify(encoded)
        if kind is FrameClass.EPHEMERAL and self.size + buffered > EPHEMERAL_BYTES:
            self.shed += 1
            return
        frame = encoded.frame
        if kind is FrameClass.DELTA and isinstance(frame, Event) and self._merge(frame):
            return
        self.note(encoded)
        data = encoded.to(self._codec)
        limit = MAX_BYTES + self._snapshot
        if self.size + buffered + len(data) > limit and not self._shed_ephemeral():
            raise SlowClientError
        if self.size + buffered + len(data) > limit:
            raise SlowClientError
        self._queue.append((encoded, data))
        self.size += len(data)

    def pop(self) -> bytes | None:
        """The next frame to write, or None."""
        if not self._queue:
            return None
        _, data = self._queue.popleft()
        self.size -= len(data)
        return data

    def _shed_ephemeral(self) -> bool:
        kept = deque(
            (encoded, data)
            for encoded, data in self._queue
            if classify(encoded) is not FrameClass.EPHEMERAL
        )
        dropped = len(self._queue) - len(kept)
        self._queue = kept
        self.size = sum(len(data) for _, data in kept)
        self.shed += dropped
        return dropped > 0

    def _merge(self, newer: Event) -> bool:
        """Merge a delta into the newest waiting event of its stream, if that is one too."""
        for index in range(len(self._queue) - 1, -1, -1):
            older, data = self._queue[index]
            frame = older.frame
            if not isinstance(frame, Event) or _independent(frame, newer):
                continue
            if not _follows(frame, newer):
                return False
            merged = Encoded(merge_events(frame, newer))
            self._queue[index] = (merged, merged.to(self._codec))
            self.size += len(self._queue[index][1]) - len(data)
            return True
        return False


def _independent(older: Event, newer: Event) -> bool:
    """Whether a client that applies the delta `newer` before `older` ends up with the same room.

    A person may move from one stream's roster to the other's, and a snapshot replaces everything.
    """
    if older.st == newer.st or older.t == SNAPSHOT:
        return False
    return not isinstance(older.p, RosterDelta) or _subjects(older.p).isdisjoint(_subjects(newer.p))


def _follows(older: Event, newer: Event) -> bool:
    """Whether both are deltas of one stream with no number between them."""
    return (
        isinstance(older.p, RosterDelta)
        and (older.st, older.ep) == (newer.st, newer.ep)
        and older.s is not UNSET
        and newer.s is not UNSET
        and older.s + _count(newer) == newer.s
    )


def _count(event: Event) -> int:
    return 1 if event.n is UNSET else event.n


def _subjects(delta: RosterDelta) -> set[str]:
    return {
        *(view.id for view in delta.add),
        *(fields["id"] for fields in delta.upd),
        *delta.del_,
    }


def merge_events(older: Event, newer: Event) -> Event:
    """One event that stands for two deltas in a row: ``n`` says for how many."""
    merged = merge_deltas(older.p, newer.p)
    return msgspec.structs.replace(newer, p=merged, n=_count(older) + _count(newer))


def merge_deltas(older: RosterDelta, newer: RosterDelta) -> RosterDelta:
    """One delta with the effect of both."""
    added = {view.id: view for view in older.add}
    changed = {_id_of(fields): fields for fields in older.upd}
    gone = dict.fromkeys(older.del_)
    for who in newer.del_:
        added.pop(who, None)
        changed.pop(who, None)
        gone[who] = None
    for view in newer.add:
        gone.pop(view.id, None)
        changed.pop(view.id, None)
        added[view.id] = view
    for fields in newer.upd:
        who = _id_of(fields)
        if who in added:
            whole = {**msgspec.to_builtins(added[who]), **fields}
            added[who] = msgspec.convert(whole, ParticipantView)
        else:
            changed[who] = {**changed.get(who, {}), **fields}
    return RosterDelta(newer.rev, list(added.values()), list(changed.values()), list(gone))


def _id_of(fields: dict[str, Any]) -> ParticipantId:
    return ParticipantId(fields["id"])
