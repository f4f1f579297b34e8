"""One live room, from its opening to its end: all that asks or tells it something comes here.

The room is held by a ``tenure``: when it may be ahead of the truth in memory it is opened anew, and
every client gets a fresh snapshot. What is decided in it and in which order that is carried out is in
``writer``, how a connection becomes one of the room's in ``entrance``. No meeting rule is here; they
are in ``rooms``.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Final

from crm_core.meetings.service import RoomPlan
from rooms.commands import Arrived, Disconnected, Input, Request, Restarted
from rooms.events import Body
from rooms.ids import ConnEpoch, Ids, ParticipantId, RequestId
from rooms.outcome import Outcome
from rooms.room import History, Room
from storage.turns import Turns

from . import messages
from .adapter import Adapter
from .client import Client
from .clock import Clock, stamp
from .committer import Committer
from .connection import Perform
from .crowds import Crowds
from .entrance import Entrance, Secrets
from .envelope import Reply
from .errors import CloseCode, RequestError
from .fanout import Members
from .feed import Feed
from .journal import AT_ONCE, Journal, Opened
from .outbound import Outbound
from .roomconfig import config_of, news
from .roomkey import RoomKey
from .tenure import OpenRoom, Tenure
from .writer import Writer, failing

SOON: Final = 120.0
"""Seconds for which a room with nobody in it is kept for what falls due in it, as the notices of
an end and of a lost host; who may come back keeps it, too (`Room.keeps_a_place`). What is due later
needs nobody's memory: whoever comes opens the room, and `Conductor.close_overdue` one whose time is
past; kept, it is a lease to renew all that time."""


class RoomActor:
    """See the module.

    Args:
        key: which room.
        journal: where its facts go.
        clock: the time.
        ids: new ids.
        secrets: makes resume secrets.
        turns: in which the rooms of this node do what takes milliseconds, by tenant, room and who.
        open_feed: makes the feed of an epoch.
        make_adapter: makes what follows the facts, from a way to tell one participant
            something passing, and a way to tell the room something.
        gone: called when this node may not write the room any more.
    """

    def __init__(
        self,
        key: RoomKey,
        journal: Journal,
        *,
        clock: Clock,
        ids: Ids,
        secrets: Secrets,
        turns: Turns,
        open_feed: Callable[[RoomKey, int], Awaitable[Feed]],
        make_adapter: Callable[
            [Callable[[ParticipantId, Body], None], Callable[[Input], None]], Adapter
        ],
        gone: Callable[["RoomActor"], None],
    ) -> None:
        self.key = key
        self.members = Members()
        self._journal = journal
        self._clock = clock
        self._ids = ids
        self._turns = turns
        self._crowds = Crowds()
        self._open_feed = open_feed
        self._adapter = make_adapter(self.notify, self.tell)
        self._gone = gone
        self._tenure = Tenure(
            key.room_id,
            journal,
            clock,
            restore=self._restore,
            opened=self._opened,
            heed=self._heed,
            lost=self._lose_room,
        )
        self._writer = Writer(self._tenure, self._adapter, clock)
        self.entrance = Entrance(
            key, self._writer, self.members, self._adapter, clock=clock, secrets=secrets
        )

    # ------------------------------------------------------------------ opening and closing

    async def open(self) -> None:
        """Become the room's writer.

        Raises:
            JournalError: not possible now; see `Journal.open`.
        """
        await self._tenure.begin()

    async def close(self) -> None:
        """Commit what waits and let the room go; connections are closed by the caller."""
        await self._tenure.end()
        self._writer.stop()
        await self._adapter.close()

    @property
    def idle(self) -> bool:
        """Whether nobody is connected or about to be, and the room waits for nobody and nothing soon."""
        live = self._writer.live
        if live is None or len(self.members) or live.committer.busy:
            return False
        room = live.room
        due = room.next_timeout()
        return not room.keeps_a_place and (due is None or due > self._clock.now() + SOON)

    @property
    def over(self) -> bool:
        """Whether the sitting has ended and nobody is connected any more."""
        live = self._writer.live
        return live is not None and live.room.state.over and not len(self.members)

    @property
    def room(self) -> Room:
        """The room as decided so far; for questions only.

        Raises:
            RequestError: ``unavailable`` while it is being opened anew.
        """
        return self._writer.room

    async def _restore(self, opened: Opened) -> OpenRoom:
        history = History(config_of(opened.record, opened.session_no))
        for start in range(0, len(opened.facts), AT_ONCE):
            history.fold(opened.facts[start : start + AT_ONCE])
            await asyncio.sleep(0)  # other rooms get their turns
        room = Room.of(history, self._ids, stamp)
        feed = await self._open_feed(self.key, opened.epoch)
        committer = Committer(
            functools.partial(self._journal.append, opened.epoch, opened.session_no),
            feed.deliver,
            next_seq=len(opened.facts) + 1,
            failed=lambda error: self._tenure.throw_away(str(error)),
            turn=functools.partial(self._turns.take, *self.key, None),
        )
        feed.report_to(committer.defective)
        outbound = Outbound(self.members, room, opened.epoch, feed, self._clock)
        return OpenRoom(room, opened.epoch, opened.session_no, committer, outbound)

    def _opened(self, opened: Opened, stood_still: bool) -> None:
        self._adapter.reopened(self.room)
        if stood_still:  # nobody was served: whoever is attached comes back like everybody else
            for client in list(self.members):
                self.members.detach(client)
                client.close(CloseCode.INTERNAL, "reconnect")
        self._reconcile(opened)
        self._writer.timeout()  # what fell due while nobody had the room, and the next timer

    def _reconcile(self, opened: Opened) -> None:
        """Bring the connections that are there, the calendar and the room that was read together."""
        room = self.room
        attached = list(self.members)
        for client in attached:
            row = room.participant(client.participant) if client.participant else None
            if row is None or row.conn_epoch != client.conn_epoch or not row.connected:
                client.close(CloseCode.INTERNAL, "reconnect")
            else:
                self._writer.submit(Outcome({}, resync=(row.id,)))
        # Before the calendar and whatever fell due may end the meeting: attendance ends with the
        # connections, and those were gone first.
        if not attached and opened.facts:
            self._writer.tell(Restarted(lost_at=opened.last_alive), what_is_due=False)
        else:
            for row in list(room.state.participants.values()):
                there = self.members.get(row.id)
                if row.connected and (there is None or there.closing):
                    self._writer.tell(Disconnected(row.id, row.conn_epoch), what_is_due=False)
        if self._writer.live is not None:  # telling it may have shown a defect
            self._heed(opened.record.plan)

    def _heed(self, plan: RoomPlan) -> None:
        """Tell the room what the calendar decided, before anything falls due by what it did not."""
        for command in news(plan, self.room):
            self._writer.tell(command, what_is_due=False)

    def _lose_room(self) -> None:
        for client in self.members:
            client.close(CloseCode.DRAINING)
        self._gone(self)

    # ----------------------------------------------------------------------------- inputs

    async def perform(self, client: Client, request: Perform) -> None:
        """Carry out what a participant asks; the reply is sent after the commit.

        Raises:
            RequestError: refused; nothing happened.
        """
        await self._writer.until_ready()
        participant = client.participant
        if participant is None:
            raise RequestError("unauthorized", "not attached")
        request_id = RequestId(request.request_id)
        if isinstance(request.action, messages.SHELL_METHODS):
            async with self._adapter.turn(participant, request.action):
                self._check_still_there(client)
                answer = await self._adapter.perform(participant, request.action)
            client.send_frame(Reply(request_id, answer))
            return
        outcome = self._decide(participant, client.conn_epoch, request)
        answered = asyncio.get_running_loop().create_future()

        def reply(seq: int) -> None:
            if answered.done():  # told that it takes too long; the same id gets this answer
                return
            if outcome.committed:
                client.send_frame(Reply(request_id, outcome.reply, committed=True, seq=seq))
            elif outcome.repeated and self._is_journaled(participant, request_id):
                client.send_frame(Reply(request_id, outcome.reply, committed=True))
            else:
                client.send_frame(Reply(request_id, outcome.reply))
            answered.set_result(None)

        self._writer.submit(outcome, reply=reply, fail=failing(answered))
        await answered

    def _decide(
        self, participant: ParticipantId, conn_epoch: ConnEpoch, request: Perform
    ) -> Outcome:
        """What the room makes of a request, unless too much is changed by all of one link."""
        request_id = RequestId(request.request_id)
        row, now = self.room.participant(participant), self._clock.now()
        if row is not None and not self._is_journaled(participant, request_id):
            self._crowds.check(row, request.action, now)
        outcome = self._writer.decide(
            Request(participant, conn_epoch, request_id, request.action, request.if_rev)
        )
        if row is not None and outcome.committed:
            self._crowds.count(row, now)
        return outcome

    def heard(self, client: Client) -> None:
        """The client has sent something since it was attached."""
        if self._writer.live is not None and client.participant is not None:
            self._writer.tell(Arrived(client.participant, client.conn_epoch))

    def lost(self, client: Client) -> None:
        """The client's connection is gone."""
        self.members.detach(client)
        if self._writer.live is not None and client.participant is not None:
            self._writer.tell(Disconnected(client.participant, client.conn_epoch))

    def tell(self, command: Input) -> None:
        """An input of the shell: who speaks, the appointment moved, it was cancelled.

        Raises:
            RequestError: the room refuses it.
        """
        if self._writer.live is not None:
            self._writer.submit(self._writer.decide(command))

    def notify(self, participant: ParticipantId, body: Body) -> None:
        """Tell one participant something passing, if they are connected."""
        client, live = self.members.get(participant), self._writer.live
        if client is not None and live is not None:
            live.outbound.tell(client, body)

    def dismiss(self, reconnect_in_ms: Callable[[], int]) -> None:
        """Send everybody away to connect again, each after their own time."""
        live = self._writer.live
        for client in self.members:
            if live is not None:
                live.outbound.tell(client, messages.Draining(reconnect_in_ms()))
            client.close(CloseCode.DRAINING)

    def _check_still_there(self, client: Client) -> None:
        """Refuse what has waited while the room was lost, or the page was replaced or closed."""
        if self._writer.live is None:
            raise RequestError("unavailable", retry_ms=1000)
        there = client.participant is not None and self.members.get(client.participant) is client
        if not there or client.closing:
            raise RequestError("stale_epoch", "a newer connection has taken over")

    def _is_journaled(self, participant: ParticipantId, request_id: RequestId) -> bool:
        """Whether the answer to this request was stored with the facts it made."""
        row = self.room.participant(participant)
        replies = self.room.state.replies.by_identity
        return row is not None and request_id in replies.get(row.identity, {})
