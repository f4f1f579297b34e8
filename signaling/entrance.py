"""The way into a live room: the first hello of somebody, and a later one that resumes.

Both are decided like everything else (``writer``); then the connection becomes one of the room's, gets
its reply, and what it missed or a snapshot. How often somebody may come back is counted here, as each
time is facts that every later opening of the room reads. Tokens and secrets are checked before
(``conductor``).
"""

import asyncio
import functools
from collections.abc import Callable, Mapping
from typing import Protocol

from rooms.commands import Enter, Resume
from rooms.ids import ParticipantId
from rooms.outcome import Outcome

from . import messages
from .adapter import Adapter
from .client import Client
from .clock import Clock, stamp
from .envelope import Reply
from .errors import RequestError
from .fanout import Members
from .limits import CONNECTION_BURST, CONNECTION_RATE, DOOR_BURST, DOOR_RATE, RoomLimiter
from .roomkey import RoomKey
from .tokens import ResumeGrant
from .writer import Writer, failing

Positions = Mapping[str, tuple[int, int]]
"""How far a client has read, by stream: epoch and number."""


class Secrets(Protocol):
    """Makes resume secrets."""

    def resume_secret(
        self, key: RoomKey, session_no: int, participant: ParticipantId, identity: str, epoch: int
    ) -> str:
        """The secret by which the next connection of this participant proves itself."""


class Entrance:
    """See the module.

    Args:
        key: which room.
        writer: its writer.
        members: the room's connections.
        adapter: told who came.
        clock: the time.
        secrets: makes resume secrets.
    """

    def __init__(
        self,
        key: RoomKey,
        writer: Writer,
        members: Members,
        adapter: Adapter,
        *,
        clock: Clock,
        secrets: Secrets,
    ) -> None:
        self._key = key
        self._writer = writer
        self._members = members
        self._adapter = adapter
        self._clock = clock
        self._secrets = secrets
        self._connections = RoomLimiter(CONNECTION_RATE, CONNECTION_BURST)
        self._at_the_door = RoomLimiter(DOOR_RATE, DOOR_BURST)

    async def enter(self, client: Client, request_id: str, command: Callable[[], Enter]) -> None:
        """Let somebody with a good token to the door; `command` may look at the room.

        Raises:
            RequestError: refused; nothing happened.
        """
        await self._writer.until_ready()
        _check_there(client)
        entering = command()
        known = self._writer.room.state.by_identity.get(entering.identity)
        if known is not None:
            self._count_connection(known)
        outcome = self._writer.decide(entering)
        await self._attach(client, request_id, outcome, None)

    async def resume(
        self, client: Client, request_id: str, grant: ResumeGrant, positions: Positions
    ) -> None:
        """Continue somebody's connection; with what they missed, or a snapshot.

        Raises:
            RequestError: refused; ``stale_epoch`` when a later connection exists.
        """
        await self._writer.until_ready()
        _check_there(client)
        live = self._writer.open_room
        row = live.room.participant(ParticipantId(grant.participant))
        if row is None or grant.session_no != live.session_no:
            raise RequestError("unauthorized", "the secret is of another sitting")
        if row.conn_epoch != grant.conn_epoch:
            raise RequestError("stale_epoch", "a later connection of this participant exists")
        self._count_connection(row.id)
        outcome = self._writer.decide(Resume(row.id))
        await self._attach(client, request_id, outcome, positions)

    def _count_connection(self, participant: ParticipantId) -> None:
        """Refuse who comes back too often."""
        now, row = self._clock.now(), self._writer.room.participant(participant)
        wait = self._connections.take(participant, now)
        if not wait and row is not None and not row.admitted:
            wait = self._at_the_door.take(row.link or "", now)
        if wait:
            raise RequestError("rate", "too many connections", retry_ms=int(wait * 1000) + 1)

    async def _attach(
        self, client: Client, request_id: str, outcome: Outcome, positions: Positions | None
    ) -> None:
        entered = outcome.entered
        if entered is None:
            raise RuntimeError("an entry without an answer")
        client.participant = participant = entered.participant
        client.conn_epoch = entered.conn_epoch
        attached = asyncio.get_running_loop().create_future()
        live = self._writer.open_room
        streams = live.room.streams(participant)
        missed_at = functools.partial(live.outbound.missed, participant)
        resumable = positions is not None and missed_at(positions, streams) is not None

        def attach(_seq: int) -> None:
            if client.closing or attached.done():
                attached.cancel()
                return
            missed = missed_at(positions or {}, streams) if resumable else None
            client.connection.accepted(self._clock.now())
            self._members.attach(client, streams)
            if positions is None:
                self._adapter.entered(participant)
            else:
                self._adapter.resumed(participant)
            reply = self._hello_reply(client, participant, resumed=missed is not None)
            client.send_frame(Reply(request_id, reply, committed=True))
            if missed is not None:
                live.outbound.replay(client, participant, missed)
            elif resumable:  # forgotten while the commit ran
                self._writer.submit(Outcome({}, resync=(participant,)))
            attached.set_result(None)

        resync = () if resumable else (participant,)
        self._writer.submit(outcome, attach=attach, fail=failing(attached), resync=resync)
        await attached

    def _hello_reply(
        self, client: Client, participant: ParticipantId, *, resumed: bool
    ) -> messages.HelloReply:
        live = self._writer.open_room
        row = live.room.state.participants[participant]
        secret = self._secrets.resume_secret(
            self._key, live.session_no, row.id, row.identity, client.conn_epoch
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


def _check_there(client: Client) -> None:
    """Refuse who hung up meanwhile: `lost` ran before anybody knew whom it was about."""
    if client.closing:
        raise RequestError("superseded", "the connection has ended")
