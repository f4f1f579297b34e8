"""Text to `SessionDescription`: a bounded parser that raises `SDPError` and nothing else.

Whatever a client sends, the answer is a typed description or one sentence with a line number.
Work and memory are bounded before a line is looked at: 64 KiB, 2,000 lines, 64 m-sections, 64
candidates. Unknown attributes and line types are skipped, so that a newer browser is not turned
away; what we do read must be exact. What a good description means is `sfu.negotiation`'s matter.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from .engine import Extension
from .errors import SDPError
from .sdp import (
    DIRECTIONS,
    MSID,
    RID,
    SETUPS,
    Candidate,
    Direction,
    Fingerprint,
    MediaDescription,
    PayloadFormat,
    SessionDescription,
    Setup,
    SSRCGroup,
)

MAX_BYTES = 64 * 1024
MAX_LINES = 2_000
MAX_MEDIA = 64
MAX_CANDIDATES = 64
MAX_SSRCS = 64
"""SSRCs, RIDs, extensions and fingerprints of one section are each held to this."""
RESERVED_EXTENSION_ID = 15
"""RFC 8285 section 4.2: a one-byte element with it ends the block."""

Item = TypeVar("Item")

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`{|}~0-9A-Za-z]{1,64}")  # RFC 8866 "token"
_RID = re.compile(r"[A-Za-z0-9_-]{1,16}")  # RFC 8851; RFC 8852 sends at most 16 bytes
_ICE = re.compile(r"[A-Za-z0-9+/]{1,256}")  # RFC 8839 "ice-char"
_DIGEST = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){15,63}")
_MSID = re.compile(r"[!#$%&'*+\-.^_`{|}~0-9A-Za-z]{1,64}")
_NUMBER = re.compile(r"[0-9]{1,20}")
_PRINTABLE = re.compile(r"[\x20-\x7e\x80-\U0010ffff]*")  # no control characters inside a line


def parse_sdp(text: str) -> SessionDescription:
    """Parse one description.

    Raises:
        SDPError: For every text that is not one, or is larger than the bounds above.
    """
    session = _Session()
    for number, line in _lines(text):
        try:
            _parse_line(session, line[0], line[2:])
        except SDPError as error:
            raise SDPError(str(error), number) from None
    return session.build()


def _parse_line(session: "_Session", kind: str, value: str) -> None:
    section = session.media[-1] if session.media else None
    if kind == "m":
        if len(session.media) == MAX_MEDIA:
            raise SDPError(f"more than {MAX_MEDIA} m-sections")
        session.media.append(_parse_m_line(value))
    elif kind == "o" and section is None:
        _parse_origin(session, value)
    elif kind == "a":
        name, _, rest = value.partition(":")
        if section is None:
            if name in _SESSION_ATTRIBUTES:
                _SESSION_ATTRIBUTES[name](session, rest)
        elif name in _MEDIA_ATTRIBUTES:
            _MEDIA_ATTRIBUTES[name](section, rest)


# ---------------------------------------------------------------- what is being collected


@dataclass(slots=True)
class _Transport:
    """Attributes that may stand in the session part or in a section."""

    ice_ufrag: str = ""
    ice_pwd: str = ""
    fingerprints: list[Fingerprint] = field(default_factory=list)
    setup: Setup | None = None


@dataclass(slots=True)
class _Payload:
    name: str = ""
    clock_rate: int = 0
    channels: int = 1
    parameters: str = ""
    feedback: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Media(_Transport):
    kind: str = ""
    port: int = 0
    protocol: str = ""
    formats: tuple[str, ...] = ()
    mid: str = ""
    direction: Direction | None = None
    payloads: dict[int, _Payload] = field(default_factory=dict)
    extensions: list[Extension] = field(default_factory=list)
    rids: list[RID] = field(default_factory=list)
    simulcast: dict[str, tuple[str, ...]] = field(default_factory=dict)
    msid: MSID | None = None
    ssrcs: dict[int, str] = field(default_factory=dict)
    ssrc_groups: list[SSRCGroup] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)
    sctp_port: int = 0
    max_message_size: int | None = None

    def build(self, default: Direction) -> MediaDescription:
        payloads = tuple(
            PayloadFormat(number, p.name, p.clock_rate, p.channels, p.parameters, tuple(p.feedback))
            for number, p in self.payloads.items()
            if p.name
        )
        return MediaDescription(
            kind=self.kind,
            port=self.port,
            protocol=self.protocol,
            formats=self.formats,
            mid=self.mid,
            direction=self.direction or default,
            payloads=payloads,
            extensions=tuple(self.extensions),
            rids=tuple(self.rids),
            simulcast_send=self.simulcast.get("send", ()),
            simulcast_recv=self.simulcast.get("recv", ()),
            msid=self.msid,
            ssrcs=tuple(self.ssrcs.items()),
            ssrc_groups=tuple(self.ssrc_groups),
            ice_ufrag=self.ice_ufrag,
            ice_pwd=self.ice_pwd,
            candidates=tuple(self.candidates),
            end_of_candidates="end-of-candidates" in self.flags,
            fingerprints=tuple(self.fingerprints),
            setup=self.setup,
            rtcp_mux="rtcp-mux" in self.flags,
            rtcp_rsize="rtcp-rsize" in self.flags,
            sctp_port=self.sctp_port,
            max_message_size=self.max_message_size,
        )


@dataclass(slots=True)
class _Session(_Transport):
    session_id: int = 0
    version: int = 0
    has_origin: bool = False
    bundle: tuple[str, ...] = ()
    direction: Direction = "sendrecv"
    flags: set[str] = field(default_factory=set)
    media: list[_Media] = field(default_factory=list)

    def build(self) -> SessionDescription:
        if not self.has_origin:
            raise SDPError("there is no o= line")
        if not self.media:
            raise SDPError("there is no m= line")
        mids = [media.mid for media in self.media if media.mid]
        if len(mids) != len(set(mids)):
            raise SDPError("two m-sections have the same mid")
        if len(self.bundle) != len(set(self.bundle)) or not set(self.bundle) <= set(mids):
            raise SDPError("the BUNDLE group names a mid twice or one that is not there")
        if sum(len(media.candidates) for media in self.media) > MAX_CANDIDATES:
            raise SDPError(f"more than {MAX_CANDIDATES} candidates")
        return SessionDescription(
            session_id=self.session_id,
            version=self.version,
            media=tuple(media.build(self.direction) for media in self.media),
            bundle=self.bundle,
            ice_lite="ice-lite" in self.flags,
            extmap_allow_mixed="extmap-allow-mixed" in self.flags,
            fingerprints=tuple(self.fingerprints),
            ice_ufrag=self.ice_ufrag,
            ice_pwd=self.ice_pwd,
            setup=self.setup,
        )


# ---------------------------------------------------------------- lines


def _lines(text: str) -> list[tuple[int, str]]:
    """Split into numbered lines of the form "x=…", within the bounds."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise SDPError("the text is not valid Unicode") from None
    if size > MAX_BYTES:
        raise SDPError(f"larger than {MAX_BYTES} bytes")
    lines = text.split("\n")
    if len(lines) > MAX_LINES:
        raise SDPError(f"more than {MAX_LINES} lines")
    numbered = []
    for number, raw in enumerate(lines, 1):
        line = raw.removesuffix("\r")
        if not line:
            continue
        if line[1:2] != "=" or not _PRINTABLE.fullmatch(line):
            raise SDPError('a line is not of the form "x=value"', number)
        numbered.append((number, line))
    if not numbered or numbered[0][1] != "v=0":
        raise SDPError('the first line is not "v=0"', 1)
    return numbered


def _parse_origin(session: _Session, value: str) -> None:
    fields = value.split(" ")
    if len(fields) != 6:
        raise SDPError("o= needs six fields")
    session.session_id = _integer(fields[1], 0, 2**64 - 1)
    session.version = _integer(fields[2], 0, 2**64 - 1)
    session.has_origin = True


def _parse_m_line(value: str) -> _Media:
    fields = value.split(" ")
    if len(fields) < 4:
        raise SDPError("m= needs a kind, a port, a protocol and formats")
    kind, port, protocol, *formats = fields
    media = _Media(
        kind=_match(_TOKEN, kind, "media kind"),
        port=_integer(port.partition("/")[0], 0, 65535),
        protocol="/".join(_match(_TOKEN, part, "protocol") for part in protocol.split("/")),
        formats=tuple(_match(_TOKEN, item, "format") for item in formats),
    )
    if kind in ("audio", "video"):
        for item in formats:
            number = _integer(item, 0, 127)
            if number in media.payloads:
                raise SDPError(f"payload type {number} twice")
            media.payloads[number] = _Payload()
    return media


# ---------------------------------------------------------------- attributes


def _parse_group(session: _Session, value: str) -> None:
    semantics, *mids = value.split(" ")
    if semantics == "BUNDLE" and not session.bundle:
        session.bundle = tuple(_match(_TOKEN, mid, "mid") for mid in mids if mid)


def _parse_ice_ufrag(part: _Transport, value: str) -> None:
    part.ice_ufrag = _match(_ICE, value, "ice-ufrag")
    if len(value) < 4:
        raise SDPError("ice-ufrag is shorter than 4 characters")


def _parse_ice_pwd(part: _Transport, value: str) -> None:
    part.ice_pwd = _match(_ICE, value, "ice-pwd")
    if len(value) < 22:
        raise SDPError("ice-pwd is shorter than 22 characters")


def _parse_fingerprint(part: _Transport, value: str) -> None:
    algorithm, _, digest = value.partition(" ")
    _append(
        part.fingerprints,
        Fingerprint(
            _match(_TOKEN, algorithm, "hash function").lower(),
            _match(_DIGEST, digest.strip(), "fingerprint").upper(),
        ),
        "fingerprints",
    )


def _parse_setup(part: _Transport, value: str) -> None:
    for setup in SETUPS:
        if value == setup:
            part.setup = setup
            return
    raise SDPError("setup is none of actpass, active, passive, holdconn")


def _parse_mid(media: _Media, value: str) -> None:
    if media.mid:
        raise SDPError("a second mid in one section")
    media.mid = _match(_TOKEN, value, "mid")


def _parse_rtpmap(media: _Media, value: str) -> None:
    payload, rest = _payload(media, value)
    if payload is None:
        return
    if payload.name:
        raise SDPError("a second rtpmap for one payload type")
    parts = rest.split("/")
    if len(parts) not in (2, 3):
        raise SDPError("rtpmap needs an encoding name and a clock rate")
    name, rate, *channels = parts
    payload.name = _match(_TOKEN, name, "encoding name")
    payload.clock_rate = _integer(rate, 1, 10**9)
    if channels:
        payload.channels = _integer(channels[0], 1, 255)


def _parse_fmtp(media: _Media, value: str) -> None:
    payload, rest = _payload(media, value)
    if payload is not None:
        payload.parameters = rest


def _parse_rtcp_fb(media: _Media, value: str) -> None:
    number, _, rest = value.partition(" ")
    if number == "*":
        targets = list(media.payloads.values())
    else:
        payload, rest = _payload(media, value)
        targets = [payload] if payload else []
    for target in targets:
        _append(target.feedback, rest, "rtcp-fb lines")


def _parse_extmap(media: _Media, value: str) -> None:
    number, uri, *_ = [*value.split(" "), ""]
    identifier = _integer(number.partition("/")[0], 1, 255)  # RFC 8285; 256 and up are offers' own
    if identifier == RESERVED_EXTENSION_ID:
        raise SDPError(f"extension id {identifier} is reserved")
    if not uri or len(uri) > 256:
        raise SDPError("extmap without a usable URI")
    if any(extension.id == identifier for extension in media.extensions):
        raise SDPError(f"extension id {identifier} twice in one section")
    _append(media.extensions, Extension(identifier, uri), "extensions")


def _parse_rid(media: _Media, value: str) -> None:
    identifier, direction, *_ = [*value.split(" "), ""]
    rid = _match(_RID, identifier, "rid")
    declared = {"send": RID(rid, "send"), "recv": RID(rid, "recv")}.get(direction)
    if declared is None:
        raise SDPError("rid is neither send nor recv")
    if declared in media.rids:
        raise SDPError(f"rid {rid} twice in one section")
    # Pion offers again with what the last answer said beside what it sends: the latter counts.
    media.rids = [known for known in media.rids if known.id != rid or known.direction == "send"]
    if all(known.id != rid for known in media.rids):
        _append(media.rids, declared, "rids")


def _parse_simulcast(media: _Media, value: str) -> None:
    words = value.strip().split(" ")
    if len(words) not in (2, 4):
        raise SDPError("simulcast needs one or two directions, each with its rids")
    for direction, streams in zip(words[::2], words[1::2], strict=True):
        if direction not in ("send", "recv") or direction in media.simulcast:
            raise SDPError("simulcast direction is neither send nor recv, or comes twice")
        # "a,b;~c": alternatives after a comma are not used, "~" marks a paused start (RFC 8853).
        media.simulcast[direction] = tuple(
            _match(_RID, stream.partition(",")[0].removeprefix("~"), "simulcast rid")
            for stream in streams.split(";")
        )


def _parse_msid(media: _Media, value: str) -> None:
    stream, _, track = value.partition(" ")
    if media.msid is None:
        media.msid = MSID(
            _match(_MSID, stream, "msid"), _match(_MSID, track, "msid") if track else ""
        )


def _parse_ssrc(media: _Media, value: str) -> None:
    number, _, attribute = value.partition(" ")
    ssrc = _integer(number, 0, 2**32 - 1)
    if ssrc not in media.ssrcs and len(media.ssrcs) == MAX_SSRCS:
        raise SDPError(f"more than {MAX_SSRCS} SSRCs")
    cname = attribute.removeprefix("cname:")
    media.ssrcs[ssrc] = cname if cname != attribute else media.ssrcs.get(ssrc, "")


def _parse_ssrc_group(media: _Media, value: str) -> None:
    semantics, *numbers = value.split(" ")
    ssrcs = tuple(_integer(number, 0, 2**32 - 1) for number in numbers)
    _append(
        media.ssrc_groups, SSRCGroup(_match(_TOKEN, semantics, "semantics"), ssrcs), "ssrc-groups"
    )


def _parse_candidate(media: _Media, value: str) -> None:
    fields = value.split(" ")
    if len(fields) < 8 or fields[6] != "typ":
        raise SDPError("a candidate needs eight fields")
    _append(
        media.candidates,
        Candidate(
            foundation=_match(_ICE, fields[0], "foundation"),
            component=_integer(fields[1], 1, 256),
            protocol=_match(_TOKEN, fields[2], "candidate protocol").lower(),
            priority=_integer(fields[3], 0, 2**32 - 1),
            address=_match(re.compile(r"[0-9A-Za-z.:_-]{1,255}"), fields[4], "candidate address"),
            port=_integer(fields[5], 0, 65535),
            type=_match(_TOKEN, fields[7], "candidate type"),
        ),
        "candidates",
    )


def _parse_sctp_port(media: _Media, value: str) -> None:
    media.sctp_port = _integer(value, 0, 65535)


def _parse_max_message_size(media: _Media, value: str) -> None:
    media.max_message_size = _integer(value, 0, 2**64 - 1)


def _flag(name: str) -> Callable[[_Session | _Media, str], None]:
    def parse(part: _Session | _Media, _value: str) -> None:
        part.flags.add(name)

    return parse


def _direction(direction: Direction) -> Callable[[_Session | _Media, str], None]:
    def parse(part: _Session | _Media, _value: str) -> None:
        part.direction = direction

    return parse


_SESSION_ATTRIBUTES: dict[str, Callable[[_Session, str], None]] = {
    "group": _parse_group,
    "ice-ufrag": _parse_ice_ufrag,
    "ice-pwd": _parse_ice_pwd,
    "fingerprint": _parse_fingerprint,
    "setup": _parse_setup,
    "ice-lite": _flag("ice-lite"),
    "extmap-allow-mixed": _flag("extmap-allow-mixed"),
    **{direction: _direction(direction) for direction in DIRECTIONS},
}
_MEDIA_ATTRIBUTES: dict[str, Callable[[_Media, str], None]] = {
    "mid": _parse_mid,
    "ice-ufrag": _parse_ice_ufrag,
    "ice-pwd": _parse_ice_pwd,
    "fingerprint": _parse_fingerprint,
    "setup": _parse_setup,
    "rtpmap": _parse_rtpmap,
    "fmtp": _parse_fmtp,
    "rtcp-fb": _parse_rtcp_fb,
    "extmap": _parse_extmap,
    "rid": _parse_rid,
    "simulcast": _parse_simulcast,
    "msid": _parse_msid,
    "ssrc": _parse_ssrc,
    "ssrc-group": _parse_ssrc_group,
    "candidate": _parse_candidate,
    "sctp-port": _parse_sctp_port,
    "max-message-size": _parse_max_message_size,
    "rtcp-mux": _flag("rtcp-mux"),
    "rtcp-rsize": _flag("rtcp-rsize"),
    "end-of-candidates": _flag("end-of-candidates"),
    **{direction: _direction(direction) for direction in DIRECTIONS},
}


# ---------------------------------------------------------------- words


def _integer(text: str, low: int, high: int) -> int:
    """Read decimal ASCII digits; `int` alone would take "+1", " 1", "1_0" and "٣" too."""
    if not _NUMBER.fullmatch(text) or not low <= int(text) <= high:
        raise SDPError(f"not a number from {low} to {high}: {text[:32]!r}")
    return int(text)


def _match(pattern: re.Pattern[str], text: str, what: str) -> str:
    if not pattern.fullmatch(text):
        raise SDPError(f"bad {what}: {text[:32]!r}")
    return text


def _payload(media: _Media, value: str) -> tuple[_Payload | None, str]:
    """Find the payload type that a line is about; one that the m-line lacks is skipped."""
    number, _, rest = value.partition(" ")
    return media.payloads.get(_integer(number, 0, 127)), rest


def _append(items: list[Item], item: Item, what: str) -> None:
    if len(items) == MAX_SSRCS:
        raise SDPError(f"more than {MAX_SSRCS} {what} in one section")
    items.append(item)
