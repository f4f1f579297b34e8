"""The single writer of a room: one decision after another, and what comes of each.

A command, a timeout or an input of the shell is decided in one synchronous step on the event loop, so
there is one writer by construction. What comes of it is queued behind the commit of its facts, in one
order: adapters (media) are told, the asker gets the reply, the audience gets the events, connections
that must go are closed, snapshots are sent. No meeting rule is here; they are in ``rooms``. Whose
connection may ask for what is for ``actor`` and ``entrance``.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from rooms.commands import Input
from rooms.errors import RoomError
from rooms.ids import EPHEMERAL, JOURNAL, ParticipantId
from rooms.outcome import Outcome
from rooms.room import Room

from .adapter import Adapter
from .clock import Clock
from .committer import Unit
from .errors import RequestError
from .feed import Delivery
from .logs import internal_error
from .tenure import OpenRoom, Tenure

log: Final = logging.getLogger("sunup.room")


class Writer:
    """See the module.

    Args:
        tenure: this node's hold on the room.
        adapter: told of facts when they are durable.
        clock: the time.
    """

    def __init__(self, tenure: Tenure, adapter: Adapter, clock: Clock) -> None:
        self._tenure = tenure
        self._adapter = adapter
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None

    @property
    def live(self) -> OpenRoom | None:
        """None while the room is being opened anew, and in the end."""
        return self._tenure.current

    @property
    def open_room(self) -> OpenRoom:
        """What is open.

        Raises:
            RequestError: ``unavailable`` while it is being opened anew.
        """
        if self.live is None:
            raise RequestError("unavailable", retry_ms=1000)
        return self.live

    @property
    def room(self) -> Room:
        """The room as decided so far; for questions only.

        Raises:
            RequestError: ``unavailable`` while it is being opened anew.
        """
        return self.open_room.room

    async def until_ready(self) -> None:
        """Wait while the room is being opened anew.

        Raises:
            RequestError: ``unavailable``, it takes too long.
        """
        await self._tenure.until_ready()

    def decide(self, command: Input, *, what_is_due: bool = True) -> Outcome:
        """One decision of the room, after whatever is due; the caller submits it.

        Args:
            command: the input.
            what_is_due: False decides it before, as what is due may depend on it.

        Raises:
            RequestError: refused; ``internal`` for a defect of the room, which is thrown away.
        """
        self._tenure.check_pulse()
        room, now = self.room, self._clock.now()
        try:
            due = room.next_timeout() if what_is_due else None
            if due is not None and due <= now:
                self.submit(room.handle_timeout(now))
            return room.handle(command, now)
        except RoomError as error:
            raise RequestError(error.code.value, error.detail, **error.extras) from error
        except Exception as defect:
            self._tenure.throw_away("a defect of the room")
            raise internal_error("room", defect) from defect

    def submit(
        self,
        outcome: Outcome,
        *,
        reply: Callable[[int], None] | None = None,
        attach: Callable[[int], None] | None = None,
        fail: Callable[[RequestError], None] | None = None,
        resync: Sequence[ParticipantId] = (),
    ) -> None:
        """Turn an outcome into deliveries and queue them behind the commit of its facts.

        Args:
            outcome: what the room decided.
            reply: answers the asker; told the number of the last fact.
            attach: makes the asker's connection one of the room's, after the events that are older.
            fail: called instead when the commit fails.
            resync: who gets a snapshot beside those whom the outcome names.
        """
        live = self.open_room
        outbound = live.outbound
        facts = [event for event in outcome.events if event.durability == "committed"]
        seq = live.committer.last_seq + len(facts)
        deliveries: list[Delivery] = []
        if facts:
            deliveries.append(Delivery(lambda: self._adapter.committed(live.room, facts)))
        if reply is not None:
            deliveries.append(Delivery(lambda: reply(seq)))
        deliveries += [outbound.withdrawal(participant) for participant in outcome.withdraw]
        for event in outcome.events:
            if event.stream == EPHEMERAL:
                outbound.pass_on(event)
            elif event.stream != JOURNAL:
                deliveries.append(outbound.event(event))
        deliveries += [outbound.closing(close) for close in outcome.closes]
        if attach is not None:
            deliveries.append(Delivery(lambda: attach(seq)))
        for participant in dict.fromkeys((*outcome.resync, *resync)):
            deliveries.append(outbound.snapshot(participant))
        live.committer.submit(Unit(facts, deliveries, fail))
        self._arm()

    def tell(self, command: Input, *, what_is_due: bool = True) -> None:
        """An input that the room cannot refuse for a reason that matters to anybody."""
        try:
            self.submit(self.decide(command, what_is_due=what_is_due))
        except RequestError as error:
            log.info("input refused", extra={"code": error.code})

    def timeout(self) -> None:
        """Decide what is due, and look again when the next is."""
        self._tenure.check_pulse()
        live = self.live
        if live is None:
            return
        try:
            outcome = live.room.handle_timeout(self._clock.now())
        except Exception as defect:  # noqa: BLE001 logged; the room is opened anew
            internal_error("room timer", defect)
            self._tenure.throw_away("a defect of the room")
        else:
            self.submit(outcome)

    def stop(self) -> None:
        """Nothing falls due here any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        self.stop()
        due = None if self.live is None else self.live.room.next_timeout()
        if due is not None:
            delay = min(max(0.0, due - self._clock.now()), 3600.0)
            self._timer = asyncio.get_running_loop().call_later(delay, self.timeout)


def failing(future: "asyncio.Future[None]") -> Callable[[RequestError], None]:
    """What passes a failed commit on to who waits for the future."""

    def fail(error: RequestError) -> None:
        if not future.done():
            future.set_exception(error)

    return fail
