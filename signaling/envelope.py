"""Frames: how requests, replies, events and pings look on the wire, in JSON and in MessagePack.

A `Codec` turns one WebSocket frame into a typed `Request`, `Ping` or `Pong`, and any frame struct
into bytes. It bounds what a hostile frame can cost (size, nesting, container lengths), refuses
what two parsers could read differently (duplicate keys, NaN, lone surrogates) and answers every
bad frame with a typed error. It knows no method and no event: those are in ``messages``; what may
be sent when is in ``connection``.
"""

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Protocol

import msgpack
import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from .errors import CloseCode, ConnectionEndedError, RequestError

MAX_FRAME: Final = 64 * 1024
"""Bytes of one frame from a client; the same before and after decoding, as nothing is compressed."""
MAX_DEPTH: Final = 16
MAX_ARRAY: Final = 2048
MAX_MAP: Final = 256
MAX_MEMBERS: Final = 4096
"""Members of all arrays and maps of a frame together."""

RequestId = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+\Z")]
Method = Annotated[str, Meta(min_length=1, max_length=32, pattern=r"^[a-z][a-z.]*\Z")]
Millis = Annotated[int, Meta(ge=0, le=2**53)]


class Request(Struct, frozen=True, forbid_unknown_fields=True):
    """What a client asks: ``{"id", "m", "p", "if"?}``."""

    id: RequestId
    """Made by the client, unique for its participant: the idempotency key."""
    m: Method
    p: dict[str, Any] = msgspec.field(default_factory=dict)
    if_: Annotated[int, Meta(ge=0)] | UnsetType = msgspec.field(name="if", default=UNSET)
    """The revision that the client has seen; `conflict` when it is no longer current."""


class Ping(Struct, frozen=True, forbid_unknown_fields=True):
    """``{"ping": ms}``: either side may send it; the number comes back unchanged."""

    ping: Millis


class Pong(Struct, frozen=True, forbid_unknown_fields=True):
    """``{"pong": ms, "now"?: ISO time}``: the answer; the server adds its clock."""

    pong: Millis
    now: str | UnsetType = UNSET


class Reply(Struct, frozen=True):
    """``{"re", "ok": true, "p", "committed"?, "seq"?}``."""

    re: str
    p: Any
    committed: bool | UnsetType = UNSET
    """True: the fact survives the death of every process of this server."""
    seq: int | UnsetType = UNSET
    """The journal's number of the last fact that the request made."""
    ok: bool = True


class Refusal(Struct, frozen=True):
    """``{"re", "ok": false, "err": {...}}``."""

    re: str
    err: dict[str, object]
    ok: bool = False


class Event(Struct, frozen=True):
    """``{"st", "ep", "s"?, "t", "at", "by", "p"}``."""

    st: str
    """The audience stream: ``room``, ``scope:main``, ``hosts``, ``self:..``, ``lobby:..``, ``eph``."""
    ep: int
    """The room's epoch: it changes when another writer takes over."""
    t: str
    at: str
    by: str | None
    p: Any
    s: int | UnsetType = UNSET
    """The number in the stream, contiguous from 1 in an epoch; absent on ``eph``."""
    n: int | UnsetType = UNSET
    """This event stands for the `n` events that end with `s` (merged roster deltas)."""


Incoming = Request | Ping | Pong
Frame = Request | Ping | Pong | Reply | Refusal | Event


class Codec(Protocol):
    """One encoding of frames, chosen by WebSocket subprotocol."""

    subprotocol: str
    text: bool
    """Frames are text frames (JSON) or binary frames (MessagePack)."""

    def decode(self, frame: str | bytes) -> Incoming:
        """Parse one frame from a client.

        Raises:
            ConnectionEndedError: nothing in it can be answered (not this encoding, no ``id``).
            RequestError: a request whose ``id`` is known is malformed; `id_of_error` has the id.
        """

    def encode(self, frame: Frame) -> bytes:
        """The bytes of one frame to a client."""


class BadRequestError(RequestError):
    """A request frame whose ``id`` could be read is malformed otherwise."""

    def __init__(self, request_id: str, detail: str) -> None:
        super().__init__("bad_request", detail)
        self.request_id = request_id


class JsonCodec:
    """Text frames; the default."""

    subprotocol = "sunup.v1.json"
    text = True

    def __init__(self) -> None:
        self._encoder = msgspec.json.Encoder()

    def decode(self, frame: str | bytes) -> Incoming:
        """See `Codec.decode`."""
        if isinstance(frame, bytes):
            raise ConnectionEndedError(CloseCode.PROTOCOL, "binary frame on a JSON connection")
        if len(frame) > MAX_FRAME:
            raise ConnectionEndedError(CloseCode.PROTOCOL, "frame over 64 KiB")
        value = _parsed(_load_json, frame)
        if "\\u" in frame:
            _refuse_lone_surrogates(value)
        return _typed(value)

    def encode(self, frame: Frame) -> bytes:
        """See `Codec.encode`."""
        return self._encoder.encode(frame)


class MsgpackCodec:
    """Binary frames, for clients that ask for ``sunup.v1.msgpack``."""

    subprotocol = "sunup.v1.msgpack"
    text = False

    def __init__(self) -> None:
        self._encoder = msgspec.msgpack.Encoder()

    def decode(self, frame: str | bytes) -> Incoming:
        """See `Codec.decode`."""
        if isinstance(frame, str):
            raise ConnectionEndedError(CloseCode.PROTOCOL, "text frame on a MessagePack connection")
        if len(frame) > MAX_FRAME:
            raise ConnectionEndedError(CloseCode.PROTOCOL, "frame over 64 KiB")
        return _typed(_parsed(_load_msgpack, frame))

    def encode(self, frame: Frame) -> bytes:
        """See `Codec.encode`."""
        return self._encoder.encode(frame)


CODECS: Final[Mapping[str, Codec]] = {
    codec.subprotocol: codec for codec in (JsonCodec(), MsgpackCodec())
}


class Encoded:
    """A frame that goes to many: encoded at most once per codec."""

    __slots__ = ("_bytes", "frame")

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self._bytes: dict[str, bytes] = {}

    def to(self, codec: Codec) -> bytes:
        """The bytes for `codec`, made on first use."""
        data = self._bytes.get(codec.subprotocol)
        if data is None:
            data = self._bytes[codec.subprotocol] = codec.encode(self.frame)
        return data


def _parsed(load: Callable[[Any], Any], frame: str | bytes) -> Any:
    try:
        value = load(frame)
        _refuse_size_and_nul(value)
    except (ValueError, TypeError, RecursionError, msgpack.exceptions.UnpackException) as error:
        # json and msgpack raise subclasses of ValueError for malformed input; RecursionError and
        # StackError for deep nesting; TypeError for unhashable map keys.
        raise ConnectionEndedError(CloseCode.PROTOCOL, "frame cannot be parsed") from error
    return value


def _unique(pairs: list[tuple[Any, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("duplicate key")
    if len(value) > MAX_MAP:
        raise ValueError("too many members")
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _load_json(frame: str) -> Any:
    return json.loads(frame, object_pairs_hook=_unique, parse_constant=_refuse_constant)


def _load_msgpack(frame: bytes) -> Any:
    return msgpack.unpackb(
        frame,
        raw=False,
        strict_map_key=True,
        object_pairs_hook=_unique,
        max_str_len=MAX_FRAME,
        max_bin_len=0,
        max_ext_len=0,
        max_array_len=MAX_ARRAY,
        max_map_len=MAX_MAP,
    )


def _refuse_size_and_nul(value: Any) -> None:
    """Level by level, so that a wide or deep value costs no recursion."""
    level = [value]
    seen = 0
    for _ in range(MAX_DEPTH + 1):
        if any(isinstance(member, str) and "\0" in member for member in level):
            raise ValueError("NUL in a string")  # PostgreSQL cannot store it
        level = [
            member
            for container in level
            if isinstance(container, (dict, list))
            for member in (container.values() if isinstance(container, dict) else container)
        ]
        if not level:
            return
        seen += len(level)
        if seen > MAX_MEMBERS:
            raise ValueError("too many members")
    raise ValueError("nested too deeply")


def _refuse_lone_surrogates(value: Any) -> None:
    try:
        msgspec.json.encode(value)
    except UnicodeEncodeError as error:
        raise ConnectionEndedError(CloseCode.PROTOCOL, "lone surrogate in a string") from error


def _typed(value: Any) -> Incoming:
    if not isinstance(value, dict):
        raise ConnectionEndedError(CloseCode.PROTOCOL, "a frame is an object")
    if "ping" in value or "pong" in value:
        try:
            if "ping" in value:
                return msgspec.convert(value, Ping)
            return msgspec.convert(value, Pong)
        except msgspec.ValidationError as error:
            raise ConnectionEndedError(CloseCode.PROTOCOL, f"bad ping: {error}"[:120]) from error
    try:
        return msgspec.convert(value, Request)
    except msgspec.ValidationError as error:
        try:
            request_id = msgspec.convert(value.get("id"), RequestId)
        except msgspec.ValidationError:
            raise ConnectionEndedError(CloseCode.PROTOCOL, "a request has an id") from error
        raise BadRequestError(request_id, str(error)) from error
