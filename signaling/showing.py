"""What the people of a room send, and what each of them is shown of it.

`Showing` knows whose every track and slot is, lets pass what is switched on, asks the policies of
``sfu`` who is in which slot, and tells clients. Whether somebody may have a transport at all is ``media``'s
matter.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from rooms.commands import Input, Speakers
from rooms.events import Body
from rooms.ids import ParticipantId
from rooms.policy import Source
from rooms.room import Room
from sfu import engine, pages, speakers
from sfu.transport import MediaTransport

from .errors import RequestError
from .mediahub import MediaHub
from .messages import SlotBind, SlotSize, SlotWhy, ViewSet
from .seats import DEFAULT_SIZES, Seat, fill

SILENCE_PASSES: Final = 0.15
"""Seconds for which sound still passes after its owner muted it: what comes is silence. Without it
receivers would stretch the last of the voice to conceal a loss, for up to half a second."""
SETTLE_DELAY: Final = 0.05
"""Seconds in which changes gather before slots are filled anew."""
Notify = Callable[[ParticipantId, Body], None]
Tell = Callable[[Input], None]


class Showing:
    """See the module.

    Args:
        hub: the node's media.
        notify: tells one participant something passing.
        tell: tells the room something.
    """

    def __init__(self, hub: MediaHub, notify: Notify, tell: Tell) -> None:
        self._hub = hub
        self._engine = hub.engine
        self._notify = notify
        self._tell = tell
        self._room: Room | None = None
        self._on: dict[tuple[ParticipantId, Source], bool] = {}
        self._seats: dict[ParticipantId, Seat] = {}
        self._bindings: dict[ParticipantId, int] = {}
        """The highest binding that somebody was told of, kept beyond the seat: an old one must look
        old."""
        self._owner: dict[int, tuple[ParticipantId, Source]] = {}
        """engine track → whose, and which source."""
        self._viewer: dict[int, tuple[ParticipantId, str]] = {}
        """engine slot → whose, and its mid."""
        self._floor = speakers.Floor()
        self._settle_timer: asyncio.TimerHandle | None = None
        self._hole_timer: asyncio.TimerHandle | None = None

    def follow(self, room: Room) -> None:
        """The room is so now; its slots are filled anew soon."""
        self._room = room
        self.settle_soon()

    def close(self) -> None:
        """Fill no slots any more."""
        for timer in (self._settle_timer, self._hole_timer):
            if timer is not None:
                timer.cancel()

    # -------------------------------------------------------------------------- switches

    def switch(
        self, participant: ParticipantId, source: Source, *, on: bool, own: bool = False
    ) -> None:
        """Follow a source; `own` says that its owner turned it off, and has sent silence since."""
        self._on[participant, source] = on
        if on or not own:
            self._follow_switch(participant, source)
        else:
            loop = asyncio.get_running_loop()
            loop.call_later(SILENCE_PASSES, self._follow_switch, participant, source)

    def _follow_switch(self, participant: ParticipantId, source: Source) -> None:
        seat = self._seats.get(participant)
        if seat is not None and source in seat.tracks:
            paused = not self._on.get((participant, source), False)
            self._engine.pause_track(seat.tracks[source], paused)

    def switch_off(self, participant: ParticipantId) -> None:
        """The room turned all their sources off without a word."""
        for source in Source:
            self._on.pop((participant, source), None)

    # ----------------------------------------------------------------------------- seats

    def seated(self) -> list[ParticipantId]:
        """Who has a seat."""
        return list(self._seats)

    def seat(self, participant: ParticipantId) -> Seat:
        """Their seat; a new one has neither transport nor slots."""
        seat = self._seats.get(participant)
        if seat is None:
            seat = self._seats[participant] = Seat()
        return seat

    def missed(self, participant: ParticipantId) -> None:
        """They may have missed what they were told of their slots: it is told again."""
        seat = self._seats.get(participant)
        if seat is not None:
            seat.missed = True
            self.settle_soon()

    def view(self, participant: ParticipantId, view: ViewSet) -> None:
        """Show them what they ask for."""
        seat = self.seat(participant)
        seat.view = view
        for size in view.slots:
            self._size(seat, size)
        self.settle_soon()

    def _size(self, seat: Seat, size: SlotSize) -> None:
        if size.slot not in seat.slots:
            return  # named before the answer, or not ours
        if seat.sizes.get(size.slot) != (size.w, size.h):
            seat.sizes[size.slot] = (size.w, size.h)
            self._engine.set_slot_size(seat.slots[size.slot], size.w, size.h)

    def take_seat(self, participant: ParticipantId, seat: Seat) -> None:
        """From now on `seat` is theirs; the one before was left."""
        self._seats[participant] = seat

    def answered(
        self,
        participant: ParticipantId,
        seat: Seat,
        tracks: Mapping[str, int],
        slots: Mapping[str, int],
    ) -> None:
        """Take over which tracks and slots, by label, the seat's transport has after an answer."""
        for track in seat.tracks.values():
            self._owner.pop(track, None)
        seat.tracks = {Source(label): track for label, track in tracks.items()}
        for source, track in seat.tracks.items():
            self._owner[track] = (participant, source)
            self._engine.pause_track(track, not self._on.get((participant, source), False))
        by_label = {label: mid for mid, label in seat.labels.items()}
        before = seat.slots
        seat.slots = {by_label[label]: slot for label, slot in slots.items() if label in by_label}
        for mid, slot in seat.slots.items():
            if before.get(mid) == slot:
                continue
            self._viewer[slot] = (participant, mid)
            self._hub.add_slot(slot, self)
            seat.bindings[mid] = self._bindings.get(participant, 0)
            kind = seat.labels[mid].partition("-")[0]
            size = seat.sizes.pop(mid, DEFAULT_SIZES.get(kind))
            if size is not None:
                self._size(seat, SlotSize(mid, *size))
        for mid, slot in before.items():
            if seat.slots.get(mid) == slot:
                continue
            # Gone, or another in its place, on which nothing is yet.
            self._viewer.pop(slot, None)
            self._hub.remove_slot(slot)
            seat.assignment = None
            seat.bound.pop(mid, None)
            seat.why.pop(mid, None)
        self.settle_soon()

    def leave_seat(self, participant: ParticipantId) -> MediaTransport | None:
        """Forget what somebody has; the transport, which is to be closed."""
        seat = self._seats.pop(participant, None)
        if seat is None or seat.transport is None:
            return None
        transport = seat.transport
        self.forget(participant, seat)
        self.settle_soon()
        return transport

    def forget(self, participant: ParticipantId, seat: Seat) -> None:
        """The seat's transport is gone, with all that was on it."""
        seat.transport = None
        for track in seat.tracks.values():
            self._owner.pop(track, None)
        for slot in seat.slots.values():
            self._viewer.pop(slot, None)
            self._hub.remove_slot(slot)
        seat.tracks, seat.slots, seat.labels = {}, {}, {}
        seat.sizes, seat.page, seat.assignment = {}, None, None
        seat.why, seat.bound, seat.bindings = {}, {}, {}
        self._floor = speakers.left(self._floor, participant, self._hub.clock.now())

    # ------------------------------------------------------------------------- from below

    def speaking(self, tracks: Sequence[int]) -> None:
        """The engine says who speaks, loudest first."""
        who = [self._owner[track][0] for track in tracks if track in self._owner]
        now = self._hub.clock.now()
        before = self._floor.dominant
        self._floor = speakers.heard(self._floor, who, now)
        with contextlib.suppress(RequestError):  # a room that is over has no speakers
            self._tell(Speakers(list(dict.fromkeys(who))))
        if self._floor.dominant != before or who:
            self.settle_soon()

    def slot_bound(self, event: engine.SlotBound) -> None:
        """The first packet of another track left on a slot, or the slot is empty now."""
        viewer = self._viewer.get(event.slot)
        if viewer is None:
            return
        participant, mid = viewer
        seat = self._seats[participant]
        who, source = self._owner.get(event.track, (None, None))
        rtp = None if who is None else event.rtp_timestamp
        bound = SlotBind(mid, who, source, seat.bindings[mid] + event.binding, rtp)
        self._bindings[participant] = max(self._bindings.get(participant, 0), bound.binding)
        seat.bound[mid] = bound
        self._notify(participant, bound)

    def slot_why(self, slot: int, reason: str) -> None:
        """Why a slot shows nothing, or less than it could."""
        viewer = self._viewer.get(slot)
        if viewer is None:
            return
        participant, mid = viewer
        seat = self._seats.get(participant)
        if seat is not None and seat.why.get(mid) != reason:
            seat.why[mid] = reason
            self._notify(participant, SlotWhy(mid, reason))

    # --------------------------------------------------------------------- filling slots

    def settle_soon(self) -> None:
        """Fill all slots anew, once for all that changes within `SETTLE_DELAY`."""
        if self._settle_timer is None:
            loop = asyncio.get_running_loop()
            self._settle_timer = loop.call_later(SETTLE_DELAY, self._settle)

    def _settle(self) -> None:
        self._settle_timer = None
        if self._room is None:
            return
        now = self._hub.clock.now()
        stage = self._stage(self._room)
        due: list[float] = []
        for participant, seat in self._seats.items():
            if seat.missed:
                self._tell_again(participant, seat)
            if seat.transport is None or not seat.slots:
                continue
            self._fill(participant, seat, stage, now)
            if seat.page is not None and (when := seat.page.next_timeout()) is not None:
                due.append(when)
        if (when := self._floor.next_timeout()) is not None:
            due.append(when)
        self._arm(due, now)

    def _tell_again(self, participant: ParticipantId, seat: Seat) -> None:
        seat.missed = False
        for bound in seat.bound.values():
            self._notify(participant, bound)
        for mid, reason in seat.why.items():
            self._notify(participant, SlotWhy(mid, reason))

    def _arm(self, due: list[float], now: float) -> None:
        if self._hole_timer is not None:
            self._hole_timer.cancel()
            self._hole_timer = None
        if due:
            loop = asyncio.get_running_loop()
            self._hole_timer = loop.call_later(max(0.0, min(due) - now) + 0.01, self._timeout)

    def _timeout(self) -> None:
        self._hole_timer = None
        self._floor = speakers.settle(self._floor, self._hub.clock.now())
        self._settle()

    def _stage(self, room: Room) -> pages.Stage:
        members = tuple(
            pages.Member(
                id=row.id,
                joined=float(row.join_order),
                camera=self._track(row.id, Source.CAMERA),
                screen=self._track(row.id, Source.SCREEN),
                hand=None if row.hand is None else float(row.hand),
            )
            for row in room.state.present()
        )
        return pages.Stage(
            members=members,
            video_only=room.state.config.type == "training",
            dominant=self._floor.dominant,
            spoke_at=dict(self._floor.spoke_at),
        )

    def _track(self, participant: ParticipantId, source: Source) -> int:
        """The engine track of a source that is on, else 0."""
        seat = self._seats.get(participant)
        if seat is None or not self._on.get((participant, source), False):
            return 0
        return seat.tracks.get(source, 0)

    def _fill(self, participant: ParticipantId, seat: Seat, stage: pages.Stage, now: float) -> None:
        by_label = {seat.labels[mid]: slot for mid, slot in seat.slots.items()}
        changes, reasons = fill(seat, participant, stage, now)
        for change in changes:
            slot = by_label.get(change.slot)
            if slot is not None:
                self._engine.bind_slot(slot, change.shown.track if change.shown else 0)
        for label, reason in reasons.items():
            if label in by_label:
                self.slot_why(by_label[label], reason)
