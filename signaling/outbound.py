"""From what a room decided to what clients get: numbered, encoded once, in one order.

An `Outbound` lives as long as the room is open in one epoch. It turns events, snapshots and
closings into *deliveries*: steps that the committer carries out once the facts behind them are
durable. Numbers in streams are given when the room decides, so that a snapshot knows which events
it includes; events are kept for resuming clients when they are delivered. It decides nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from rooms.events import Body, Event, SpeakersChanged
from rooms.ids import EPHEMERAL, ParticipantId, self_stream
from rooms.outcome import Close, CloseReason
from rooms.room import Room

from . import messages
from .client import Client
from .clock import Clock, stamp
from .envelope import Encoded, Ping
from .envelope import Event as EventFrame
from .errors import CloseCode
from .fanout import Members
from .feed import Delivery, Feed
from .streams import Streams

_CLOSINGS: Final[Mapping[CloseReason, CloseCode]] = {
    CloseReason.SUPERSEDED: CloseCode.SUPERSEDED,
    CloseReason.DENIED: CloseCode.DENIED,
    CloseReason.REMOVED: CloseCode.REMOVED,
    CloseReason.ENDED: CloseCode.ENDED,
    CloseReason.LEFT: CloseCode.NORMAL,
}


class Outbound:
    """See the module.

    Args:
        members: who is attached; outlives the epoch.
        room: whose events these are.
        epoch: the room's epoch.
        feed: how deliveries reach clients.
        clock: the time.
    """

    def __init__(self, members: Members, room: Room, epoch: int, feed: Feed, clock: Clock) -> None:
        self._members = members
        self._room = room
        self._epoch = epoch
        self._feed = feed
        self._clock = clock
        self._streams = Streams(epoch)

    def event(self, event: Event) -> Delivery:
        """Number a sequenced event now; keep and send it when delivered."""
        stream_log = self._streams.log(event.stream)
        number = stream_log.number()
        frame = EventFrame(
            event.stream, self._epoch, event.kind, event.at, event.by, event.body, number
        )
        encoded = Encoded(frame)

        def happen() -> None:
            stream_log.keep(number, encoded, self._clock.now())
            self._streams.tidy(self._clock.now(), self._members.follows)
            self._members.send(event.stream, encoded)

        return Delivery(happen, frame)

    def pass_on(self, event: Event) -> None:
        """Send a passing event; it waits for no commit."""
        frame = EventFrame(EPHEMERAL, self._epoch, event.kind, event.at, event.by, event.body)
        encoded = Encoded(frame)
        self._feed.deliver([Delivery(lambda: self._send_passing(encoded), frame)])

    def closing(self, close: Close) -> Delivery:
        """Take one connection off the room, tell it why, and close it."""

        def happen() -> None:
            client = self._members.get(close.participant)
            if client is None or client.conn_epoch != close.conn_epoch:
                return
            self._members.detach(client)
            if close.reason is CloseReason.SUPERSEDED:
                self.tell(client, messages.Superseded())
            elif close.reason is CloseReason.ENDED:
                self.tell(client, messages.Ended(close.detail or "ended"))
            client.close(_CLOSINGS[close.reason], close.detail or close.reason.value)

        return Delivery(happen)

    def withdrawal(self, participant: ParticipantId) -> Delivery:
        """Take from a participant the streams that are theirs no more, before what follows."""
        streams = self._room.streams(participant)

        def happen() -> None:
            client = self._members.get(participant)
            if client is not None:
                self._members.restrict(client, streams)

        return Delivery(happen)

    def snapshot(self, participant: ParticipantId) -> Delivery:
        """The room as it is now for one participant, with their streams; sent in its turn."""
        streams = self._room.streams(participant)
        positions = self._streams.positions(streams)
        self._streams.tell(self_stream(participant), positions)
        body = messages.snapshot_body(self._room.snapshot(participant), positions)
        at = stamp(self._clock.now())

        def happen() -> None:
            client = self._members.get(participant)
            if client is None:
                return
            self._members.attach(client, streams)
            stream = self_stream(participant)
            client.send_frame(EventFrame(stream, self._epoch, messages.SNAPSHOT, at, None, body))
            self._up_to_date(client)

        return Delivery(happen)

    def missed(
        self,
        participant: ParticipantId,
        positions: Mapping[str, tuple[int, int]],
        streams: Sequence[str],
    ) -> list[Encoded] | None:
        """What a resuming client missed; None when only a snapshot can tell."""
        if not self._streams.may_have(self_stream(participant), positions):
            return None
        return self._streams.replay(positions, streams, self._clock.now())

    def replay(self, client: Client, participant: ParticipantId, missed: Sequence[Encoded]) -> None:
        """Send what was missed, who speaks now, and say that this was all."""
        for encoded in missed:
            client.send(encoded)
        if EPHEMERAL in self._room.streams(participant):  # passing events are not kept
            self.tell(client, SpeakersChanged(list=self._room.speakers()))
        self.tell(client, messages.Resumed())
        self._up_to_date(client)

    def tell(self, client: Client, body: Body) -> None:
        """An event about one connection: unsequenced, never replayed."""
        at = stamp(self._clock.now())
        client.send_frame(EventFrame(EPHEMERAL, self._epoch, body.event, at, None, body))

    async def close(self) -> None:
        """Deliver what waits in the feed."""
        await self._feed.close()

    def _send_passing(self, encoded: Encoded) -> None:
        self._members.send(EPHEMERAL, encoded)

    def _up_to_date(self, client: Client) -> None:
        """The client's next frame, at the latest its pong, is a sign of life."""
        client.attached = True
        client.heard = False
        client.send_frame(Ping(int(self._clock.wall() * 1000)))
