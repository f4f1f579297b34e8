"""One connected client as the conductor sees it: send, reply, close, and who it is.

It joins the sans-I/O `Connection` and `Outbox` to something that writes bytes (`Wire`, a
WebSocket in production, a list in tests). It holds no meeting state beyond who is connected.
"""

from typing import Protocol

from rooms.ids import ConnEpoch, ParticipantId

from .connection import Connection
from .envelope import Codec, Encoded, Frame
from .errors import CloseCode
from .outbox import Outbox, SlowClientError


class Wire(Protocol):
    """Where frames go."""

    def buffered(self) -> int:
        """Bytes written that the peer has not taken yet."""

    def write(self, data: bytes) -> None:
        """Write one frame now; never waits."""

    def wait_to_write(self) -> None:
        """Something waits in the outbox: write it as the peer reads."""

    def hang_up(self, code: CloseCode, reason: str) -> None:
        """Close after what was written; `code` is final."""

    def abort(self) -> None:
        """Drop the connection now; nothing more is written."""


DIRECT_BYTES = 64 * 1024
"""While less than this is unread, frames are written at once and nothing is queued."""


class Client:
    """A connection with its place in a room."""

    def __init__(self, connection: Connection, wire: Wire) -> None:
        self.connection = connection
        self.outbox = Outbox(connection.codec)
        self.participant: ParticipantId | None = None
        self.conn_epoch = ConnEpoch(0)
        self.attached = False
        """The client has had its snapshot or what it missed."""
        self.heard = False
        """It has sent something since."""
        self.closing = False
        self._wire = wire

    @property
    def codec(self) -> Codec:
        """The encoding that the client chose."""
        return self.connection.codec

    def send(self, encoded: Encoded) -> None:
        """Write now, or behind what waits; a client that is too slow is closed."""
        if self.closing:
            return
        buffered = self._wire.buffered()
        if not self.outbox and buffered < DIRECT_BYTES:
            self.outbox.note(encoded)
            self._wire.write(encoded.to(self.codec))
            return
        try:
            self.outbox.push(encoded, buffered=buffered)
        except SlowClientError:
            self.close(CloseCode.SLOW)
            return
        self._wire.wait_to_write()

    def send_frame(self, frame: Frame) -> None:
        """Write a frame that goes to this client alone."""
        self.send(Encoded(frame))

    def close(self, code: CloseCode, reason: str = "") -> None:
        """End the connection; what was sent before still goes out."""
        if self.closing:
            return
        self.closing = True
        self.connection.end(code, reason)
        self._wire.hang_up(code, reason)

    def abort(self) -> None:
        """Drop the connection; `lost` follows."""
        self.closing = True
        self._wire.abort()

    def lost(self) -> None:
        """The socket is gone: nothing more is sent, and nothing attaches this client any more."""
        self.closing = True
        self.connection.lost()
