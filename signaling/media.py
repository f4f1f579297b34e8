"""Where rooms and packets meet: transports for who was admitted, slots for what they look at.

`MediaHub` is the node's: it owns the media server and brings each engine event to its room.
`RoomMedia` is one room's: it follows the room's *committed* facts, opens a transport only for
somebody whose admission is among them, pauses and resumes tracks, fills slots by the policies of
``sfu``, and tells clients who is in a slot. It decides no right (``rooms`` does) and sees no packet.
"""

import asyncio
import contextlib
import logging
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

from rooms.commands import Action, Input, Speakers
from rooms.events import Body, Event, ParticipantMoved, RoomEnded, TrackState
from rooms.ids import ParticipantId
from rooms.policy import Source
from rooms.room import Room
from rooms.states import SEATED
from sfu import engine, pages, speakers
from sfu.dtls import DTLSCertificate
from sfu.errors import EngineDiedError, MediaError, TransportClosedError
from sfu.media import MediaServer
from sfu.transport import MediaState, MediaTransport

from .clock import Clock
from .errors import RequestError
from .limits import (
    CROWD_NEGOTIATION_BURST,
    CROWD_NEGOTIATION_RATE,
    NEGOTIATION_BURST,
    NEGOTIATION_RATE,
    RoomLimiter,
)
from .messages import MediaClose, MediaOffer, SlotBind, SlotSize, SlotWhy, ViewSet
from .sdptext import answer_like, offered_sdp, session_id
from .seats import DEFAULT_SIZES, Seat, fill, labels_of
from .turns import Turns

log: Final = logging.getLogger("sunup.media")
SILENCE_PASSES: Final = 0.15
"""Seconds for which sound still passes after its owner muted it: what comes is silence. Without it
receivers would stretch the last of the voice to conceal a loss, for up to half a second."""
SETTLE_DELAY: Final = 0.05
"""Seconds in which changes gather before slots are filled anew."""
Notify = Callable[[ParticipantId, Body], None]
Tell = Callable[[Input], None]


class MediaHub:
    """The media of all rooms of this node.

    Args:
        packet_engine: bound, not yet started.
        addresses: IP addresses under which clients reach it.
        clock: the time.
    """

    def __init__(
        self, packet_engine: engine.Engine, addresses: Sequence[str], clock: Clock
    ) -> None:
        self.engine = packet_engine
        self.clock = clock
        self.turns = Turns(pauses=True)
        """Of all negotiations of this node: each holds up every room for milliseconds."""
        self.server = MediaServer(
            packet_engine,
            addresses=addresses,
            certificate=DTLSCertificate.generate(),
            session_ids=lambda: secrets.randbits(61),
            on_event=self._dispatch,
        )
        self._rooms: dict[int, RoomMedia] = {}
        self._slots: dict[int, RoomMedia] = {}
        self._death: str | None = None
        self._died = asyncio.Event()

    def start(self) -> None:
        """Take events from the engine on the running loop."""
        self.server.start()

    async def close(self) -> None:
        """Close every transport and the engine."""
        await self.server.close()

    async def check(self) -> None:
        """Raise unless the engine works.

        Raises:
            EngineDiedError: its worker has ended.
        """
        if self._death is not None:
            raise EngineDiedError(self._death)

    async def died(self) -> None:
        """Wait until the engine's worker has ended by itself; nothing here can start another."""
        await self._died.wait()

    def room(self, tenant: str, notify: Notify, tell: Tell) -> "RoomMedia":
        """The media of a tenant's room: how to reach its participants, and the room itself."""
        return RoomMedia(self, tenant, notify, tell)

    def create_room(self, media: "RoomMedia") -> int:
        """An engine room whose events go to `media`."""
        room = self.engine.create_room()
        self._rooms[room] = media
        return room

    def close_room(self, room: int) -> None:
        """Forget an engine room."""
        self._rooms.pop(room, None)
        self.engine.close_room(room)

    def add_slot(self, slot: int, media: "RoomMedia") -> None:
        """From now on events of `slot` go to `media`."""
        self._slots[slot] = media

    def remove_slot(self, slot: int) -> None:
        """The slot is gone."""
        self._slots.pop(slot, None)

    def _dispatch(self, event: engine.Event) -> None:
        if isinstance(event, engine.Speakers):
            media = self._rooms.get(event.room)
            if media is not None:
                media.speaking([track for track, _ in event.levels])
        elif isinstance(event, engine.SlotBound):
            media = self._slots.get(event.slot)
            if media is not None:
                media.slot_bound(event)
        elif isinstance(event, engine.SlotLayer):
            media = self._slots.get(event.slot)
            if media is not None:
                media.slot_why(event.slot, event.reason)
        elif isinstance(event, engine.EngineDied):
            self._death = event.reason
            self._died.set()


class RoomMedia:
    """The media of one room; an `actor.Adapter`. See the module."""

    def __init__(self, hub: MediaHub, tenant: str, notify: Notify, tell: Tell) -> None:
        self._hub = hub
        self._tenant = tenant
        self._engine = hub.engine
        self._notify = notify
        self._tell = tell
        self._room: Room | None = None
        self._engine_room: int | None = None
        self._admitted: set[ParticipantId] = set()
        """Whose admission is committed: only they may have a transport."""
        self._on: dict[tuple[ParticipantId, Source], bool] = {}
        self._seats: dict[ParticipantId, Seat] = {}
        self._negotiations = RoomLimiter(NEGOTIATION_RATE, NEGOTIATION_BURST)
        """Kept beyond the seat: who closes and opens again has negotiated twice."""
        self._crowds = RoomLimiter(CROWD_NEGOTIATION_RATE, CROWD_NEGOTIATION_BURST)
        """Of all whom one link brought."""
        self._offering: Counter[ParticipantId] = Counter()
        """How many offers of each wait for their turn, or have it."""
        self._bindings: dict[ParticipantId, int] = {}
        """The highest binding that somebody was told of, likewise: an old one must look old."""
        self._owner: dict[int, tuple[ParticipantId, Source]] = {}
        """engine track → whose, and which source."""
        self._viewer: dict[int, tuple[ParticipantId, str]] = {}
        """engine slot → whose, and its mid."""
        self._floor = speakers.Floor()
        self._settle_timer: asyncio.TimerHandle | None = None
        self._hole_timer: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()

    # ------------------------------------------------------------------ following the room

    def committed(self, room: Room, facts: Sequence[Event]) -> None:
        """See `actor.Adapter`: called before any client hears of the facts."""
        self._room = room
        for fact in facts:
            body = fact.body
            if isinstance(body, ParticipantMoved):
                self._moved(body.participant, admitted=body.state in SEATED)
            elif isinstance(body, TrackState):
                own = body.reason == "self" and body.source is Source.MIC
                self._switch(body.participant, body.source, on=body.on, own=own)
            elif isinstance(body, RoomEnded):
                for participant in list(self._seats):
                    self._moved(participant, admitted=False)
        self._settle_soon()

    def reopened(self, room: Room) -> None:
        """See `actor.Adapter`: the room as it is in the journal is the truth."""
        self._room = room
        rows = room.state.participants
        self._admitted = {row.id for row in rows.values() if row.state in SEATED}
        for participant in list(self._seats):
            self._moved(participant, admitted=participant in self._admitted)
        for row in rows.values():
            for source in Source:
                self._switch(row.id, source, on=row.publishes(source))
        self._settle_soon()

    def entered(self, participant: ParticipantId) -> None:
        """See `actor.Adapter`: a new page took over; what the old one had is closed."""
        self._drop(participant)

    def resumed(self, participant: ParticipantId) -> None:
        """See `actor.Adapter`: bindings are passing events, so those of the gap are told anew."""
        seat = self._seats.get(participant)
        if seat is not None:
            seat.missed = True
            self._settle_soon()

    async def close(self) -> None:
        """See `actor.Adapter`; nothing is opened afterwards, whatever still waits for its turn."""
        self._admitted.clear()
        for timer in (self._settle_timer, self._hole_timer):
            if timer is not None:
                timer.cancel()
        for participant in list(self._seats):
            self._drop(participant)
        if self._closing:
            await asyncio.wait(self._closing)
        if self._engine_room is not None:
            self._hub.close_room(self._engine_room)
            self._engine_room = None

    def _moved(self, participant: ParticipantId, *, admitted: bool) -> None:
        if admitted:
            self._admitted.add(participant)
            return
        self._admitted.discard(participant)
        for source in Source:
            self._on.pop((participant, source), None)  # the room turned them off without a word
        self._drop(participant)

    def _switch(
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

    # ---------------------------------------------------------------------------- requests

    @contextlib.asynccontextmanager
    async def turn(self, participant: ParticipantId, action: Action) -> AsyncIterator[None]:
        """See `actor.Adapter`: offers wait for each other, and what closes them waits behind them.

        Raises:
            RequestError: refused before it waits; ``rate`` for too many.
        """
        self.require_admission(participant)
        row = self._room.participant(participant) if self._room else None
        link = (row.link if row else None) or ""
        asker = self._tenant, self, link
        if isinstance(action, MediaOffer):
            self._count_negotiation(participant, link)
            self._offering[participant] += 1
            try:
                async with self._hub.turns.take(*asker):
                    yield
            finally:
                self._offering -= Counter([participant])  # which keeps no zeros
        elif isinstance(action, MediaClose) and participant in self._offering:
            async with self._hub.turns.take(*asker):
                yield
        else:
            yield

    async def perform(self, participant: ParticipantId, action: Action) -> Any:
        """Carry out ``media.offer``, ``media.close`` or ``view.set``.

        Raises:
            RequestError: refused; ``forbidden`` for somebody who was not admitted.
        """
        self.require_admission(participant)
        if isinstance(action, MediaOffer):
            return await self._offer(participant, action)
        if isinstance(action, ViewSet):
            self._view(participant, action)
        elif isinstance(action, MediaClose):
            self._drop(participant)
        else:
            raise RequestError("unsupported", action.method)
        return {}

    def require_admission(self, participant: ParticipantId) -> None:
        """Refuse whoever's admission is not committed: no transport, no ICE credential leaves."""
        if participant not in self._admitted:
            raise RequestError("forbidden", "not admitted", need="admission")

    async def _offer(self, participant: ParticipantId, offer: MediaOffer) -> Any:
        sdp = offered_sdp(offer)
        seat = before = self._seat(participant)
        session = session_id(sdp)
        if before.transport is None or session != before.session:
            # A new peer connection of the same client, which may still hear of the one before.
            seat = Seat(view=before.view)
        labels = labels_of(seat, offer)
        transport = seat.transport or self._open(participant, seat)
        try:
            answer = await transport.handle_offer(sdp, labels)
        except Exception as error:
            if seat is not before:
                seat.transport = None
                self._close(transport)
            if not isinstance(error, MediaError):
                raise
            code = "closed" if isinstance(error, TransportClosedError) else "bad_request"
            raise RequestError(code, str(error)) from error
        if seat is not before:
            self._drop(participant)
            self._seats[participant] = seat
        seat.session, seat.labels = session, labels
        # What was said before the reply is about the connection before; of this one it is told again.
        seat.missed = seat is before
        self._follow(participant, seat, answer.tracks, answer.slots)
        self._settle_soon()
        return answer_like(offer, answer.sdp)

    def _open(self, participant: ParticipantId, seat: Seat) -> MediaTransport:
        if self._engine_room is None:
            self._engine_room = self._hub.create_room(self)

        def state_changed(state: MediaState, reason: str) -> None:
            log.info(
                "media transport", extra={"participant": participant, "why": f"{state}: {reason}"}
            )
            if state is MediaState.CLOSED and seat.transport is transport:
                self._forget(participant, seat)

        transport = self._hub.server.open_transport(self._engine_room, on_state=state_changed)
        seat.transport = transport
        return transport

    def _view(self, participant: ParticipantId, view: ViewSet) -> None:
        seat = self._seat(participant)
        seat.view = view
        for size in view.slots:
            self._size(seat, size)
        self._settle_soon()

    def _size(self, seat: Seat, size: SlotSize) -> None:
        if size.slot not in seat.slots:
            return  # named before the answer, or not ours
        if seat.sizes.get(size.slot) != (size.w, size.h):
            seat.sizes[size.slot] = (size.w, size.h)
            self._engine.set_slot_size(seat.slots[size.slot], size.w, size.h)

    # ------------------------------------------------------------------------ bookkeeping

    def _seat(self, participant: ParticipantId) -> Seat:
        seat = self._seats.get(participant)
        if seat is None:
            seat = self._seats[participant] = Seat()
        return seat

    def _count_negotiation(self, participant: ParticipantId, link: str) -> None:
        now = self._hub.clock.now()
        wait = self._crowds.wait(link, now) or self._negotiations.take(participant, now)
        if wait:
            raise RequestError("rate", "too many negotiations", retry_ms=int(wait * 1000) + 1)
        self._crowds.take(link, now)

    def _follow(
        self,
        participant: ParticipantId,
        seat: Seat,
        tracks: "dict[str, int] | Any",
        slots: "dict[str, int] | Any",
    ) -> None:
        """Take over which tracks and slots the transport has after an answer."""
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

    def _drop(self, participant: ParticipantId) -> None:
        """Close somebody's transport and forget what was on it."""
        seat = self._seats.pop(participant, None)
        if seat is None or seat.transport is None:
            return
        transport = seat.transport
        self._forget(participant, seat)
        self._close(transport)
        self._settle_soon()

    def _close(self, transport: MediaTransport) -> None:
        task = asyncio.create_task(transport.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _forget(self, participant: ParticipantId, seat: Seat) -> None:
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
            self._settle_soon()

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

    def _settle_soon(self) -> None:
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
