"""What follows a room's facts without being part of it: media, later recording.

`Adapter` is all that an actor knows of it; ``media.RoomMedia`` is one.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from rooms.commands import Action
from rooms.events import Event
from rooms.ids import ParticipantId
from rooms.room import Room


class Adapter(Protocol):
    """See the module."""

    def committed(self, room: Room, facts: Sequence[Event]) -> None:
        """These facts are durable; called before any client hears of them."""

    def reopened(self, room: Room) -> None:
        """The room was opened anew: what is not in it did not happen."""

    def entered(self, participant: ParticipantId) -> None:
        """A new page of this participant took over from whatever was there."""

    def resumed(self, participant: ParticipantId) -> None:
        """The same page is back over a new connection; it missed what is not numbered."""

    def turn(self, participant: ParticipantId, action: Action) -> AbstractAsyncContextManager[None]:
        """When one of `messages.SHELL_METHODS` may be carried out; things may change until then.

        Raises:
            RequestError: refused.
        """

    async def perform(self, participant: ParticipantId, action: Action) -> Any:
        """Carry out one of `messages.SHELL_METHODS`; the reply's ``p``.

        Raises:
            RequestError: refused.
        """

    async def close(self) -> None:
        """The room leaves this node."""
