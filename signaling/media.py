"""Media of one room."""

from collections.abc import Sequence

from rooms.room import Room

from rooms.events import Event


class NoMedia:
    """A room without media."""

    def committed(self, room: Room, facts: Sequence[Event]) -> None:
        """See `actor.Adapter`."""

    def reopened(self, room: Room) -> None:
        """See `actor.Adapter`."""

    async def close(self) -> None:
        """See `actor.Adapter`."""
