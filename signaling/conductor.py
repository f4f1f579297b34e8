"""All rooms of this node, and the way from a hello to the right one.

The conductor verifies what a hello carries, finds or opens the room's actor, and passes requests
on; it is the `Door` of the gateway. Opening a room is claiming it: one node at a time may write a
room. Rooms that nobody needs leave memory; rooms that nobody has, and whose time is past, are opened
so that their timers close the books. What happens inside a room is in ``actor``, media in ``media``.
"""

import asyncio
import functools
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from uuid import UUID

from rooms.ids import Identity

from .actor import RoomActor
from .client import Client
from .clock import Clock
from .connection import Enter, Perform
from .errors import RequestError
from .identities import DEVICE, enter_command
from .journal import FencedError, JournalDownError, JournalError, RoomUnknownError
from .logs import internal_error
from .messages import Hello
from .roomkey import RoomKey
from .tokens import JoinGrant, Tokens

log: Final = logging.getLogger("sunup.conductor")
DRAIN_SPREAD_MS: Final = 5000
OVERDUE_AT_MOST: Final = 50
"""Rooms that one look for overdue ones opens."""


class Conductor:
    """See the module.

    Args:
        tokens: verifies join tokens and resume secrets.
        clock: the time.
        make_actor: builds the actor of a room; told what to call when the room is lost.
        check_link: refuses a grant whose link was voided meanwhile.
        find_overdue: tenant and room of sittings that should be over and that no node has, at a
            Unix time, so many at most.
        idle_after: seconds after which a room that nobody needs leaves memory.
        overdue_every: seconds between looks for overdue rooms.
    """

    def __init__(
        self,
        tokens: Tokens,
        clock: Clock,
        make_actor: Callable[[RoomKey, Callable[[RoomActor], None]], RoomActor],
        check_link: Callable[[JoinGrant], Awaitable[None]],
        find_overdue: Callable[[float, int], Awaitable[Sequence[tuple[UUID, UUID]]]],
        *,
        idle_after: float = 300.0,
        overdue_every: float = 30.0,
    ) -> None:
        self._tokens = tokens
        self._clock = clock
        self._make_actor = make_actor
        self._check_link = check_link
        self._find_overdue = find_overdue
        self._idle_after = idle_after
        self._overdue_every = overdue_every
        self._rooms: dict[RoomKey, asyncio.Task[RoomActor]] = {}
        self._of: dict[Client, RoomActor] = {}
        self._closing: set[asyncio.Task[None]] = set()
        """Rooms that another node has by now, on their way out."""
        self._draining = False
        self._keepers: list[asyncio.Task[None]] = []

    # ------------------------------------------------------------------------------- door

    async def enter(self, client: Client, hello: Enter) -> None:
        """See `Door.enter`."""
        if self._draining:
            raise RequestError("draining", retry_ms=self._spread())
        message = hello.hello
        if message.resume is not None:
            await self._resume(client, hello.request_id, message)
        else:
            await self._join(client, hello.request_id, message)

    async def perform(self, client: Client, request: Perform) -> None:
        """See `Door.perform`."""
        actor = self._of.get(client)
        if actor is None:
            raise RequestError("unauthorized", "this connection is in no room")
        await actor.perform(client, request)

    def heard(self, client: Client) -> None:
        """See `Door.heard`."""
        actor = self._of.get(client)
        if actor is not None:
            actor.heard(client)

    def lost(self, client: Client) -> None:
        """See `Door.lost`."""
        actor = self._of.pop(client, None)
        if actor is not None:
            actor.lost(client)

    # ------------------------------------------------------------------------------ rooms

    async def actor(self, key: RoomKey) -> RoomActor:
        """The room's actor, opened when it is not there.

        Raises:
            RequestError: ``not_found``, ``draining`` (another node has it) or ``unavailable``.
        """
        task = self._rooms.get(key)
        if task is None:
            task = self._rooms[key] = asyncio.create_task(self._open(key))
            task.add_done_callback(functools.partial(self._forget_failed, key))
        try:
            return await asyncio.shield(task)
        except RoomUnknownError:
            raise RequestError("not_found", "no such room") from None
        except FencedError:
            raise RequestError("draining", "another node has the room", retry_ms=1000) from None
        except JournalDownError:
            raise RequestError("unavailable", retry_ms=1000) from None

    async def sitting(self, key: RoomKey) -> RoomActor:
        """The actor of the room for somebody who comes: of its next sitting when one is over.

        Raises:
            RequestError: as `actor`.
        """
        actor = await self.actor(key)
        if actor.over:
            await self._let_go(actor)
            actor = await self.actor(key)
        return actor

    def running(self, key: RoomKey) -> RoomActor | None:
        """The room's actor if it is open on this node."""
        task = self._rooms.get(key)
        if task is None or not task.done() or task.cancelled() or task.exception() is not None:
            return None
        return task.result()

    @property
    def actors(self) -> list[RoomActor]:
        """Every room that is open on this node."""
        return [actor for key in list(self._rooms) if (actor := self.running(key)) is not None]

    async def start(self) -> None:
        """Begin to let go of rooms that nobody needs, and to look for those that nobody has."""
        self._keepers = [asyncio.create_task(self._sweep()), asyncio.create_task(self._look())]

    async def close(self) -> None:
        """Send everybody away to reconnect, commit what waits, let every room go."""
        self._draining = True
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        # One that is just being opened is closed like the others.
        await asyncio.gather(*self._rooms.values(), return_exceptions=True)
        for actor in self.actors:
            actor.dismiss(self._spread)
        closings = [*(actor.close() for actor in self.actors), *self._closing]
        for closed in await asyncio.gather(*closings, return_exceptions=True):
            if isinstance(closed, BaseException):
                internal_error("room closing", closed)
        self._rooms.clear()

    async def close_overdue(self) -> None:
        """Open rooms that should be over and that nobody has: their timers close the books.

        One whose last timer has run is let go at once; another stays as long as any room does.
        """
        try:
            found = await self._find_overdue(self._clock.wall(), OVERDUE_AT_MOST)
        except JournalError as error:
            log.warning("overdue rooms not looked for", extra={"why": str(error)})
            return
        for key in (RoomKey.of(*ids) for ids in found):
            try:
                actor = await self.actor(key)
            except RequestError as error:  # somebody has it by now, or the database went away
                log.info(
                    "overdue room not opened", extra={"room_id": key.room_id, "code": error.code}
                )
            except Exception as defect:  # noqa: BLE001 one bad journal must not keep the others open
                log.error(  # noqa: TRY400 said at every look, and the text says what is torn
                    "overdue room cannot be opened",
                    extra={"room_id": key.room_id, "why": f"{type(defect).__name__}: {defect}"},
                )
            else:
                if actor.over:
                    await self._let_go(actor)

    async def _look(self) -> None:
        while True:
            try:
                await self.close_overdue()
            except Exception as defect:  # noqa: BLE001 logged; the next look is taken
                internal_error("overdue rooms", defect)
            await asyncio.sleep(self._overdue_every)

    async def _open(self, key: RoomKey) -> RoomActor:
        actor = self._make_actor(key, self._lost_room)
        await actor.open()
        return actor

    def _forget_failed(self, key: RoomKey, task: "asyncio.Task[RoomActor]") -> None:
        """Whoever comes next tries anew, though nobody waited for this opening any more."""
        failed = task.cancelled() or task.exception() is not None
        if failed and self._rooms.get(key) is task:
            del self._rooms[key]

    async def _let_go(self, actor: RoomActor) -> None:
        """Close a room, unless somebody does already; whoever comes meanwhile opens it anew."""
        if self.running(actor.key) is actor:
            del self._rooms[actor.key]
            actor.dismiss(self._spread)  # nobody is there; who were would be left in a dead room
            await actor.close()

    def _lost_room(self, actor: RoomActor) -> None:
        """Another node has it: what is left here of the room goes, its media above all."""
        self._rooms.pop(actor.key, None)
        closing = asyncio.create_task(actor.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def _sweep(self) -> None:
        idle_since: dict[RoomActor, float] = {}
        while True:
            await asyncio.sleep(self._idle_after / 5)
            now = self._clock.now()
            idle_since = {actor: idle_since.get(actor, now) for actor in self.actors if actor.idle}
            for actor, since in idle_since.items():
                # Asked again: while the rooms before were let go, somebody may have come to this one.
                if now - since >= self._idle_after and actor.idle:
                    try:
                        await self._let_go(actor)
                    except Exception as defect:  # noqa: BLE001 logged; the others are still swept
                        internal_error("room closing", defect)

    # ------------------------------------------------------------------------------ hello

    async def _join(self, client: Client, request_id: str, hello: Hello) -> None:
        grant = self._tokens.redeem_join(hello.token or "", self._clock.wall())
        await self._check_link(grant)  # void since, maybe: the token outlives its link by a minute
        key = RoomKey(grant.tenant_id, grant.room_id)
        before = self.running(key)
        actor = await self.sitting(key)
        while actor is not before:  # until its door was open, the appointment could change hands
            before = actor
            await self._check_link(grant)
            actor = await self.actor(key)  # over again is over: it says so itself

        def device_of(identity: Identity) -> str | None:
            state = actor.room.state
            known = state.by_identity.get(identity)
            return None if known is None else state.participants[known].attributes.get(DEVICE, "")

        self._follow(client, actor)
        await actor.entrance.enter(
            client, request_id, lambda: enter_command(grant, hello.name, device_of)
        )

    async def _resume(self, client: Client, request_id: str, hello: Hello) -> None:
        if hello.resume is None:
            raise RuntimeError("a resume without resume")
        grant = self._tokens.read_resume(hello.resume.secret, self._clock.wall())
        actor = await self.actor(RoomKey(grant.tenant_id, grant.room_id))
        self._follow(client, actor)
        await actor.entrance.resume(client, request_id, grant, hello.resume.streams)

    def _follow(self, client: Client, actor: RoomActor) -> None:
        """Note where a client is, unless it hung up while the room was opened."""
        if not client.closing:
            self._of[client] = actor

    def _spread(self) -> int:
        """A random time, so that clients do not come back all at once."""
        return random.randrange(DRAIN_SPREAD_MS)  # noqa: S311 spreads load, guards nothing
