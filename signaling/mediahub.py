"""The media of a node: the engine's server, whose events go to the rooms that they are about.

It decides nothing of any room; ``media`` follows one, and ``showing`` fills its slots.
"""

import asyncio
import secrets
from collections.abc import Sequence
from typing import Protocol

from sfu import engine
from sfu.dtls import DTLSCertificate
from sfu.errors import EngineDiedError
from sfu.media import MediaServer
from storage.turns import Turns

from .clock import Clock


class Listener(Protocol):
    """What hears of an engine room and of slots."""

    def speaking(self, tracks: Sequence[int]) -> None:
        """Who speaks, loudest first."""

    def slot_bound(self, event: engine.SlotBound) -> None:
        """The first packet of another track left on a slot, or the slot is empty now."""

    def slot_why(self, slot: int, reason: str) -> None:
        """Why a slot shows nothing, or less than it could."""


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
        """Of all that holds up every room for milliseconds: negotiations, and what a room tells (``committer``)."""
        self.server = MediaServer(
            packet_engine,
            addresses=addresses,
            certificate=DTLSCertificate.generate(),
            session_ids=lambda: secrets.randbits(61),
            on_event=self._dispatch,
        )
        self._rooms: dict[int, Listener] = {}
        self._slots: dict[int, Listener] = {}
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

    def create_room(self, listener: Listener) -> int:
        """An engine room whose events go to `listener`."""
        room = self.engine.create_room()
        self._rooms[room] = listener
        return room

    def close_room(self, room: int) -> None:
        """Forget an engine room."""
        self._rooms.pop(room, None)
        self.engine.close_room(room)

    def add_slot(self, slot: int, listener: Listener) -> None:
        """From now on events of `slot` go to `listener`."""
        self._slots[slot] = listener

    def remove_slot(self, slot: int) -> None:
        """The slot is gone."""
        self._slots.pop(slot, None)

    def _dispatch(self, event: engine.Event) -> None:
        if isinstance(event, engine.Speakers):
            listener = self._rooms.get(event.room)
            if listener is not None:
                listener.speaking([track for track, _ in event.levels])
        elif isinstance(event, engine.SlotBound):
            listener = self._slots.get(event.slot)
            if listener is not None:
                listener.slot_bound(event)
        elif isinstance(event, engine.SlotLayer):
            listener = self._slots.get(event.slot)
            if listener is not None:
                listener.slot_why(event.slot, event.reason)
        elif isinstance(event, engine.EngineDied):
            self._death = event.reason
            self._died.set()
