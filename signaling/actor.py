"""One live room: its single writer, from a command to everybody's screen.

The actor feeds a ``rooms.Room`` with commands, timeouts and the shell's inputs, and carries out
what comes back in one order: facts are committed, adapters (media) are told, the asker gets the
reply, the audience gets the events, connections that must go are closed, snapshots are sent. All
deciding happens in synchronous steps on the event loop, so there is one writer by construction.
When the room in memory is ahead of the truth it is opened anew (``tenure``), and every client gets a
fresh snapshot. No meeting rule is here; they are in ``rooms``.
"""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol

from crm_core.meetings.service import RoomPlan
from rooms.commands import Arrived, Disconnected, Input, Request, Restarted
from rooms.commands import Enter as EnterRoom
from rooms.commands import Resume as ResumeRoom
from rooms.errors import RoomError
from rooms.events import Body
from rooms.ids import EPHEMERAL, JOURNAL, Ids, ParticipantId, RequestId
from rooms.outcome import Outcome
from rooms.room import History, Room

from . import messages
from .adapter import Adapter
from .client import Client
from .clock import Clock, stamp
from .committer import Committer, Unit
from .connection import Perform
from .envelope import Reply
from .errors import CloseCode, RequestError
from .fanout import Members
from .feed import Delivery, Feed
from .journal import AT_ONCE, Journal, Opened
from .limits import (
    CONNECTION_BURST,
    CONNECTION_RATE,
    DOOR_BURST,
    DOOR_RATE,
    RoomLimiter,
)
from .logs import internal_error
from .outbound import Outbound
from .roomconfig import config_of, news
from .roomkey import RoomKey
from .tenure import OpenRoom, Tenure
from .tokens import ResumeGrant

log: Final = logging.getLogger("sunup.room")
SOON: Final = 120.0
"""Seconds for which a room with nobody in it is kept for what falls due in it, as the notices of
an end and of a lost host; who may come back keeps it, too (`Room.keeps_a_place`). What is due later
needs nobody's memory: whoever comes opens the room, and `Conductor.close_overdue` one whose time is
past; kept, it is a lease to renew all that time."""


class Secrets(Protocol):
    """Makes resume secrets."""

    def resume_secret(
        self, key: RoomKey, session_no: int, participant: ParticipantId, identity: str, epoch: int
    ) -> str:
        """The secret by which the next connection of this participant proves itself."""


class RoomActor:
    """See the module.

    Args:
        key: which room.
        journal: where its facts go.
        clock: the time.
        ids: new ids.
        secrets: makes resume secrets.
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
        self._secrets = secrets
        self._open_feed = open_feed
        self._adapter = make_adapter(self.notify, self.tell)
        self._gone = gone
        self._connections = RoomLimiter(CONNECTION_RATE, CONNECTION_BURST)
        self._at_the_door = RoomLimiter(DOOR_RATE, DOOR_BURST)
        self._timer: asyncio.TimerHandle | None = None
        self._tenure = Tenure(
            key.room_id,
            journal,
            clock,
            restore=self._restore,
            opened=self._opened,
            heed=self._heed,
            lost=self._lose_room,
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
        if self._timer is not None:
            self._timer.cancel()
        await self._adapter.close()

    @property
    def idle(self) -> bool:
        """Whether nobody is connected or about to be, and the room waits for nobody and nothing soon."""
        if self._live is None or len(self.members) or self._live.committer.busy:
            return False
        room = self._live.room
        due = room.next_timeout()
        return not room.keeps_a_place and (due is None or due > self._clock.now() + SOON)

    @property
    def over(self) -> bool:
        """Whether the sitting has ended and nobody is connected any more."""
        return self._live is not None and self._live.room.state.over and not len(self.members)

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
        self._timeout()  # what fell due while nobody had the room, and the next timer

    def _reconcile(self, opened: Opened) -> None:
        """Bring the connections that are there, the calendar and the room that was read together."""
        room = self.room
        attached = list(self.members)
        for client in attached:
            row = room.participant(client.participant) if client.participant else None
            if row is None or row.conn_epoch != client.conn_epoch or not row.connected:
                client.close(CloseCode.INTERNAL, "reconnect")
            else:
                self._submit(Outcome({}, resync=(row.id,)))
        # Before the calendar and whatever fell due may end the meeting: attendance ends with the
        # connections, and those were gone first.
        if not attached and opened.facts:
            self._tell(Restarted(lost_at=opened.last_alive), what_is_due=False)
        else:
            for row in list(room.state.participants.values()):
                there = self.members.get(row.id)
                if row.connected and (there is None or there.closing):
                    self._tell(Disconnected(row.id, row.conn_epoch), what_is_due=False)
        if self._live is not None:  # telling it may have shown a defect
            self._heed(opened.record.plan)

    def _lose_room(self) -> None:
        for client in self.members:
            client.close(CloseCode.DRAINING)
        self._gone(self)

    # ----------------------------------------------------------------------------- inputs

    async def enter(
        self, client: Client, request_id: str, command: Callable[[], EnterRoom]
    ) -> None:
        """Let somebody with a good token to the door; `command` may look at the room.

        Raises:
            RequestError: refused; nothing happened.
        """
        await self._tenure.until_ready()
        self._check_there(client)
        entering = command()
        known = self.room.state.by_identity.get(entering.identity)
        if known is not None:
            self._count_connection(known)
        outcome = self._decide(entering)
        await self._attach(client, request_id, outcome, None)

    async def resume(
        self,
        client: Client,
        request_id: str,
        grant: ResumeGrant,
        positions: Mapping[str, tuple[int, int]],
    ) -> None:
        """Continue somebody's connection; with what they missed, or a snapshot.

        Raises:
            RequestError: refused; ``stale_epoch`` when a later connection exists.
        """
        await self._tenure.until_ready()
        self._check_there(client)
        row = self.room.participant(ParticipantId(grant.participant))
        if row is None or grant.session_no != self._open.session_no:
            raise RequestError("unauthorized", "the secret is of another sitting")
        if row.conn_epoch != grant.conn_epoch:
            raise RequestError("stale_epoch", "a later connection of this participant exists")
        self._count_connection(row.id)
        outcome = self._decide(ResumeRoom(row.id))
        await self._attach(client, request_id, outcome, positions)

    async def perform(self, client: Client, request: Perform) -> None:
        """Carry out what a participant asks; the reply is sent after the commit.

        Raises:
            RequestError: refused; nothing happened.
        """
        await self._tenure.until_ready()
        if client.participant is None:
            raise RequestError("unauthorized", "not attached")
        request_id = RequestId(request.request_id)
        if isinstance(request.action, messages.SHELL_METHODS):
            async with self._adapter.turn(client.participant, request.action):
                self._check_still_there(client)
                answer = await self._adapter.perform(client.participant, request.action)
            client.send_frame(Reply(request_id, answer))
            return
        outcome = self._decide(
            Request(
                client.participant, client.conn_epoch, request_id, request.action, request.if_rev
            )
        )
        answered = asyncio.get_running_loop().create_future()

        def reply(seq: int) -> None:
            if answered.done():  # told that it takes too long; the same id gets this answer
                return
            if outcome.committed:
                client.send_frame(Reply(request_id, outcome.reply, committed=True, seq=seq))
            elif outcome.repeated and self._is_journaled(client, request_id):
                client.send_frame(Reply(request_id, outcome.reply, committed=True))
            else:
                client.send_frame(Reply(request_id, outcome.reply))
            answered.set_result(None)

        self._submit(outcome, reply=reply, fail=_fail(answered))
        await answered

    def heard(self, client: Client) -> None:
        """The client has sent something since it was attached."""
        if self._live is not None and client.participant is not None:
            self._tell(Arrived(client.participant, client.conn_epoch))

    def lost(self, client: Client) -> None:
        """The client's connection is gone."""
        self.members.detach(client)
        if self._live is not None and client.participant is not None:
            self._tell(Disconnected(client.participant, client.conn_epoch))

    def tell(self, command: Input) -> None:
        """An input of the shell: who speaks, the appointment moved, it was cancelled.

        Raises:
            RequestError: the room refuses it.
        """
        if self._live is not None:
            self._submit(self._decide(command))

    def notify(self, participant: ParticipantId, body: Body) -> None:
        """Tell one participant something passing, if they are connected."""
        client = self.members.get(participant)
        if client is not None and self._live is not None:
            self._live.outbound.tell(client, body)

    def dismiss(self, reconnect_in_ms: Callable[[], int]) -> None:
        """Send everybody away to connect again, each after their own time."""
        for client in self.members:
            if self._live is not None:
                self._live.outbound.tell(client, messages.Draining(reconnect_in_ms()))
            client.close(CloseCode.DRAINING)

    # --------------------------------------------------------------------------- outcomes

    @property
    def _live(self) -> OpenRoom | None:
        return self._tenure.current

    @property
    def _open(self) -> OpenRoom:
        if self._live is None:
            raise RequestError("unavailable", retry_ms=1000)
        return self._live

    @property
    def room(self) -> Room:
        """The room as decided so far; for questions only.

        Raises:
            RequestError: ``unavailable`` while it is being opened anew.
        """
        return self._open.room

    @staticmethod
    def _check_there(client: Client) -> None:
        """Refuse who hung up meanwhile: `lost` ran before anybody knew whom it was about."""
        if client.closing:
            raise RequestError("superseded", "the connection has ended")

    def _check_still_there(self, client: Client) -> None:
        """Refuse what has waited while the room was lost, or the page was replaced or closed."""
        if self._live is None:
            raise RequestError("unavailable", retry_ms=1000)
        there = client.participant is not None and self.members.get(client.participant) is client
        if not there or client.closing:
            raise RequestError("stale_epoch", "a newer connection has taken over")

    def _count_connection(self, participant: ParticipantId) -> None:
        """Refuse who comes back too often: each time is facts that every later opening reads."""
        now, row = self._clock.now(), self.room.participant(participant)
        wait = self._connections.take(participant, now)
        if not wait and row is not None and not row.admitted:
            wait = self._at_the_door.take(row.link or "", now)
        if wait:
            raise RequestError("rate", "too many connections", retry_ms=int(wait * 1000) + 1)

    def _is_journaled(self, client: Client, request_id: RequestId) -> bool:
        """Whether the answer to this request was stored with the facts it made."""
        row = self.room.participant(client.participant) if client.participant else None
        replies = self.room.state.replies.by_identity
        return row is not None and request_id in replies.get(row.identity, {})

    def _decide(self, command: Input, *, what_is_due: bool = True) -> Outcome:
        """One decision of the room, after whatever is due.

        Args:
            command: The input.
            what_is_due: False decides it before, as what is due may depend on it.

        Raises:
            RequestError: refused; ``internal`` for a defect of the room, which is thrown away.
        """
        self._tenure.check_pulse()
        room, now = self.room, self._clock.now()
        try:
            due = room.next_timeout() if what_is_due else None
            if due is not None and due <= now:
                self._submit(room.handle_timeout(now))
            return room.handle(command, now)
        except RoomError as error:
            raise RequestError(error.code.value, error.detail, **error.extras) from error
        except Exception as defect:
            self._tenure.throw_away("a defect of the room")
            raise internal_error("room", defect) from defect

    def _heed(self, plan: RoomPlan) -> None:
        """Tell the room what the calendar decided, before anything falls due by what it did not."""
        for command in news(plan, self.room):
            self._tell(command, what_is_due=False)

    def _tell(self, command: Input, *, what_is_due: bool = True) -> None:
        """An input that the room cannot refuse for a reason that matters to anybody."""
        try:
            self._submit(self._decide(command, what_is_due=what_is_due))
        except RequestError as error:
            log.info("input refused", extra={"code": error.code})

    async def _attach(
        self,
        client: Client,
        request_id: str,
        outcome: Outcome,
        positions: Mapping[str, tuple[int, int]] | None,
    ) -> None:
        entered = outcome.entered
        if entered is None:
            raise RuntimeError("an entry without an answer")
        client.participant = participant = entered.participant
        client.conn_epoch = entered.conn_epoch
        attached = asyncio.get_running_loop().create_future()
        live = self._open
        streams = live.room.streams(participant)
        missed_at = functools.partial(live.outbound.missed, participant)
        resumable = positions is not None and missed_at(positions, streams) is not None

        def attach(_seq: int) -> None:
            if client.closing or attached.done():
                attached.cancel()
                return
            missed = missed_at(positions or {}, streams) if resumable else None
            client.connection.accepted(self._clock.now())
            self.members.attach(client, streams)
            if positions is None:
                self._adapter.entered(participant)
            else:
                self._adapter.resumed(participant)
            reply = self._hello_reply(client, participant, resumed=missed is not None)
            client.send_frame(Reply(request_id, reply, committed=True))
            if missed is not None:
                live.outbound.replay(client, participant, missed)
            elif resumable:  # forgotten while the commit ran
                self._submit(Outcome({}, resync=(participant,)))
            attached.set_result(None)

        resync = () if resumable else (participant,)
        self._submit(outcome, attach=attach, fail=_fail(attached), resync=resync)
        await attached

    def _hello_reply(
        self, client: Client, participant: ParticipantId, *, resumed: bool
    ) -> messages.HelloReply:
        live = self._open
        row = live.room.state.participants[participant]
        secret = self._secrets.resume_secret(
            self.key, live.session_no, row.id, row.identity, client.conn_epoch
        )
        return messages.HelloReply(
            participant=row.id,
            role=row.role,
            state=row.state,
            epoch=live.epoch,
            resume=messages.ResumeSecret(secret),
            resumed=resumed,
            limits=messages.LIMITS,
            now=stamp(self._clock.wall()),
        )

    def _submit(
        self,
        outcome: Outcome,
        *,
        reply: Callable[[int], None] | None = None,
        attach: Callable[[int], None] | None = None,
        fail: Callable[[RequestError], None] | None = None,
        resync: Sequence[ParticipantId] = (),
    ) -> None:
        """Turn an outcome into deliveries and queue them behind the commit of its facts."""
        live = self._open
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

    # ------------------------------------------------------------------------------ timer

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = None if self._live is None else self._live.room.next_timeout()
        if due is not None:
            delay = min(max(0.0, due - self._clock.now()), 3600.0)
            self._timer = asyncio.get_running_loop().call_later(delay, self._timeout)

    def _timeout(self) -> None:
        self._tenure.check_pulse()
        live = self._live
        if live is None:
            return
        try:
            outcome = live.room.handle_timeout(self._clock.now())
        except Exception as defect:  # noqa: BLE001 logged; the room is opened anew
            internal_error("room timer", defect)
            self._tenure.throw_away("a defect of the room")
        else:
            self._submit(outcome)


def _fail(future: "asyncio.Future[None]") -> Callable[[RequestError], None]:
    def fail(error: RequestError) -> None:
        if not future.done():
            future.set_exception(error)

    return fail
