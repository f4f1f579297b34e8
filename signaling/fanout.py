"""Who is connected to a room, on which streams, and how one event reaches them all.

Each event is one `Encoded`: it is put into bytes once per codec, whatever the audience. A client
is on the streams that the room says it may see (`Room.streams`), and on no other; `Members` is the
only list of that.
"""

from collections.abc import Collection, Iterable, Iterator

from rooms.ids import ParticipantId

from .client import Client
from .envelope import Encoded


class Members:
    """The clients attached to one room: at most one for each participant."""

    def __init__(self) -> None:
        self._clients: dict[ParticipantId, Client] = {}
        self._streams: dict[str, set[Client]] = {}
        self._of: dict[Client, tuple[str, ...]] = {}

    def __len__(self) -> int:
        return len(self._clients)

    def __iter__(self) -> Iterator[Client]:
        return iter(list(self._clients.values()))

    def get(self, participant: ParticipantId) -> Client | None:
        """The participant's client, when one is attached."""
        return self._clients.get(participant)

    def attach(self, client: Client, streams: Iterable[str]) -> None:
        """Put a client on exactly these streams."""
        if client.participant is None:
            raise ValueError("a client without participant")
        self.detach_streams(client)
        self._clients[client.participant] = client
        self._subscribe(client, tuple(streams))

    def restrict(self, client: Client, streams: Collection[str]) -> None:
        """Take a client off every stream that is not among these."""
        kept = tuple(stream for stream in self.streams(client) if stream in streams)
        self.detach_streams(client)
        self._subscribe(client, kept)

    def detach(self, client: Client) -> None:
        """Take a client off everything; one that was replaced leaves its successor alone."""
        self.detach_streams(client)
        if client.participant is not None and self._clients.get(client.participant) is client:
            del self._clients[client.participant]

    def detach_streams(self, client: Client) -> None:
        """Let nothing more reach the client, and keep it as its participant's."""
        for stream in self._of.pop(client, ()):
            audience = self._streams[stream]
            audience.discard(client)
            if not audience:
                del self._streams[stream]

    def streams(self, client: Client) -> tuple[str, ...]:
        """What the client is on."""
        return self._of.get(client, ())

    def follows(self, stream: str) -> bool:
        """Whether anybody is on a stream."""
        return stream in self._streams

    def send(self, stream: str, encoded: Encoded) -> int:
        """Send an event to everybody on a stream; returns to how many."""
        audience = list(self._streams.get(stream, ()))
        for client in audience:
            client.send(encoded)
        return len(audience)

    def _subscribe(self, client: Client, streams: tuple[str, ...]) -> None:
        self._of[client] = streams
        for stream in streams:
            self._streams.setdefault(stream, set()).add(client)
