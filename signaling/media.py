"""Media for those whom a room has admitted, and for nobody else.

`RoomMedia` follows the room's *committed* facts, opens a transport only for somebody whose admission
is among them, and answers their offers, each in its turn. It decides no right (``rooms`` does); what is on
a slot is ``showing``'s matter.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from rooms.commands import Action
from rooms.events import Event, ParticipantMoved, RoomEnded, TrackState
from rooms.ids import ParticipantId
from rooms.policy import Source
from rooms.room import Room
from rooms.states import SEATED
from sfu.errors import MediaError, TransportClosedError
from sfu.transport import MediaState, MediaTransport

from .errors import RequestError
from .limits import (
    CROWD_NEGOTIATION_BURST,
    CROWD_NEGOTIATION_RATE,
    NEGOTIATION_BURST,
    NEGOTIATION_RATE,
    CrowdLimiter,
    RoomLimiter,
    counted,
)
from .mediahub import MediaHub
from .messages import MediaClose, MediaOffer, ViewSet
from .sdptext import answer_like, offered_sdp, session_id
from .seats import Seat, labels_of
from .showing import Notify, Showing, Tell

log: Final = logging.getLogger("sunup.media")


class RoomMedia:
    """The media of one room; an `adapter.Adapter`. See the module.

    Args:
        hub: the node's media.
        tenant: whose the room is.
        notify: tells one participant something passing.
        tell: tells the room something.
    """

    def __init__(self, hub: MediaHub, tenant: str, notify: Notify, tell: Tell) -> None:
        self._hub = hub
        self._tenant = tenant
        self._showing = Showing(hub, notify, tell)
        self._room: Room | None = None
        self._engine_room: int | None = None
        self._admitted: set[ParticipantId] = set()
        """Whose admission is committed: only they may have a transport."""
        self._negotiations = RoomLimiter(NEGOTIATION_RATE, NEGOTIATION_BURST)
        """Kept beyond the seat: who closes and opens again has negotiated twice."""
        self._crowds = CrowdLimiter(CROWD_NEGOTIATION_RATE, CROWD_NEGOTIATION_BURST)
        """Of all whom one link brought."""
        self._offering: Counter[ParticipantId] = Counter()
        """How many offers of each wait for their turn, or have it."""
        self._closing: set[asyncio.Task[None]] = set()

    # ------------------------------------------------------------------ following the room

    def committed(self, room: Room, facts: Sequence[Event]) -> None:
        """See `adapter.Adapter`: called before any client hears of the facts."""
        self._room = room
        for fact in facts:
            body = fact.body
            if isinstance(body, ParticipantMoved):
                self._moved(body.participant, admitted=body.state in SEATED)
            elif isinstance(body, TrackState):
                own = body.reason == "self" and body.source is Source.MIC
                self._showing.switch(body.participant, body.source, on=body.on, own=own)
            elif isinstance(body, RoomEnded):
                for participant in self._showing.seated():
                    self._moved(participant, admitted=False)
        self._showing.follow(room)

    def reopened(self, room: Room) -> None:
        """See `adapter.Adapter`: the room as it is in the journal is the truth."""
        self._room = room
        rows = room.state.participants
        self._admitted = {row.id for row in rows.values() if row.state in SEATED}
        for participant in self._showing.seated():
            self._moved(participant, admitted=participant in self._admitted)
        for row in rows.values():
            for source in Source:
                self._showing.switch(row.id, source, on=row.publishes(source))
        self._showing.follow(room)

    def entered(self, participant: ParticipantId) -> None:
        """See `adapter.Adapter`: a new page took over; what the old one had is closed."""
        self._drop(participant)

    def resumed(self, participant: ParticipantId) -> None:
        """See `adapter.Adapter`: bindings are passing events, so those of the gap are told anew."""
        self._showing.missed(participant)

    async def close(self) -> None:
        """See `adapter.Adapter`; nothing is opened afterwards, whatever still waits for its turn."""
        self._admitted.clear()
        for participant in self._showing.seated():
            self._drop(participant)
        self._showing.close()
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
        self._showing.switch_off(participant)
        self._drop(participant)

    # ---------------------------------------------------------------------------- requests

    @contextlib.asynccontextmanager
    async def turn(self, participant: ParticipantId, action: Action) -> AsyncIterator[None]:
        """See `adapter.Adapter`: offers wait for each other, and what closes them waits behind them.

        Raises:
            RequestError: refused before it waits; ``rate`` for too many.
        """
        self.require_admission(participant)
        row = self._room.participant(participant) if self._room else None
        link = (row.link if row else None) or ""
        asker = self._tenant, self, link
        if isinstance(action, MediaOffer):
            self._count_negotiation(participant, link)
            with counted(self._offering, participant):
                async with self._hub.turns.take(*asker):
                    yield
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
            self._showing.view(participant, action)
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
        seat = before = self._showing.seat(participant)
        session = session_id(sdp)
        if before.transport is None or session != before.session:
            # A new peer connection of the same client, which may still hear of the one before.
            seat = Seat(view=before.view)
        labels = labels_of(seat, offer)
        transport = seat.transport or self._open(participant, seat)
        try:
            answer = transport.handle_offer(sdp, labels)
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
            self._showing.take_seat(participant, seat)
        seat.session, seat.labels = session, labels
        # What was said before the reply is about the connection before; of this one it is told again.
        seat.missed = seat is before
        self._showing.answered(participant, seat, answer.tracks, answer.slots)
        return answer_like(offer, answer.sdp)

    def _open(self, participant: ParticipantId, seat: Seat) -> MediaTransport:
        if self._engine_room is None:
            self._engine_room = self._hub.create_room(self._showing)

        def state_changed(state: MediaState, reason: str) -> None:
            log.info(
                "media transport",
                extra={"participant": participant, "why": f"{state.value}: {reason}"},
            )
            if state is MediaState.CLOSED and seat.transport is transport:
                self._showing.forget(participant, seat)

        transport = self._hub.server.open_transport(self._engine_room, on_state=state_changed)
        seat.transport = transport
        return transport

    def _count_negotiation(self, participant: ParticipantId, link: str) -> None:
        now = self._hub.clock.now()
        wait = self._crowds.wait(link, now) or self._negotiations.take(participant, now)
        if wait:
            raise RequestError("rate", "too many negotiations", retry_ms=int(wait * 1000) + 1)
        self._crowds.take(link, now)

    def _drop(self, participant: ParticipantId) -> None:
        """Close somebody's transport and forget what was on it."""
        transport = self._showing.leave_seat(participant)
        if transport is not None:
            self._close(transport)

    def _close(self, transport: MediaTransport) -> None:
        task = asyncio.create_task(transport.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
