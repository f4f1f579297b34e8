"""Every error that the media shell raises on purpose, as one tree.

A `MediaError` is something that a client, a network or an operator caused: it is answered or
logged, and one transport at most suffers. Our own bugs are plain exceptions and stay loud.
Codes are stable: `signaling.errors` maps them to replies. It holds no logic; start at
`sfu.transport` to see the errors at work.

    MediaError
    ├── SDPError              the text is no SDP, or breaks a bound
    ├── NegotiationError      good SDP that cannot be accepted as it is
    ├── DTLSError             the handshake or its peer's certificate failed
    ├── DataChannelError      a data channel cannot be opened or written to
    ├── TransportClosedError  the transport was closed before or during the call
    └── EngineError           the packet engine cannot be used here
        ├── StaleEngineError  built from other sources than those beside it
        ├── PortTakenError    the media port belongs to another program
        └── EngineDiedError   its worker has ended by itself
"""


class MediaError(Exception):
    """The base: a stable `code`, and whether the same request may succeed later (`retry`)."""

    code = "media"
    retry = False


class SDPError(MediaError):
    """The text is not the SDP of RFC 8866, or larger than we read.

    Attributes:
        line: The line that was refused, counted from 1; 0 when the whole text is meant.
    """

    code = "sdp"

    def __init__(self, reason: str, line: int = 0) -> None:
        self.line = line
        super().__init__(f"line {line}: {reason}" if line else reason)


class NegotiationError(MediaError):
    """The offer is well-formed but cannot be answered at all (RFC 8829, RFC 9429)."""

    code = "negotiation"


class DTLSError(MediaError):
    """The DTLS association could not be made or has died (RFC 5764, RFC 8827)."""

    code = "dtls"
    retry = True


class DataChannelError(MediaError):
    """A data channel could not be opened, or its buffer is full (RFC 8831)."""

    code = "data_channel"
    retry = True


class TransportClosedError(MediaError):
    """The transport was closed before or while the call ran."""

    code = "transport_closed"


class EngineError(MediaError):
    """The packet engine cannot be used; the text says what to do."""

    code = "engine"


class StaleEngineError(EngineError):
    """The compiled engine was built from other sources than those that stand beside it."""

    code = "engine_stale"


class PortTakenError(EngineError):
    """The media port cannot be bound."""

    code = "media_port"


class EngineDiedError(EngineError):
    """The engine's worker has ended by itself; only a new process brings media back."""

    code = "engine_died"
