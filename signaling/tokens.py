"""Join tokens and resume secrets: what lets a WebSocket say who it is.

A link's secret is traded over HTTP for a *join token*: good once, for 60 s, for one room. The
hello that uses it gets a *resume secret*, bound to the participant, the sitting and the number of
that connection (`conn_epoch`), which the room's journal keeps: the next connection makes the last
secret stale, without a store of secrets, and across a restart of the server. Which join tokens were
used is remembered by the process that issued them; they are signed for its life alone, so that none
works a second time after a restart. A token has one kind (`IssuerClass`) with one algorithm, and no
code path tries two. Nothing here asks the database.
"""

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeVar

import jwt
import msgspec
from msgspec import Struct

from rooms.ids import ParticipantId

from .clock import Clock
from .errors import RequestError
from .roomkey import RoomKey

JOIN_LIFETIME: Final = 60
"""Seconds in which a join token must be used."""
RESUME_LIFETIME: Final = 24 * 3600
LEEWAY: Final = 30
"""Seconds by which clocks of nodes may differ; added to no join token's life on the same node."""
MAX_USED: Final = 100_000
KEY_BYTES: Final = 32


class IssuerClass(NamedTuple):
    """How tokens of one kind are signed and what they must say."""

    typ: str
    issuer: str
    algorithm: str
    once: bool
    lifetime: int
    required: tuple[str, ...]


JOIN: Final = IssuerClass(
    "sunup-join", "sunup", "HS256", True, JOIN_LIFETIME, ("iss", "aud", "exp", "iat", "jti", "sub")
)
RESUME: Final = IssuerClass(
    "sunup-resume", "sunup", "HS256", False, RESUME_LIFETIME, ("iss", "aud", "exp", "iat", "sub")
)


class JoinGrant(Struct, frozen=True):
    """What a join token says: who may ask to enter which room, and as what."""

    tenant_id: str
    room_id: str
    link_id: str
    role: str
    kind: str
    """``staff``, ``person`` or ``guest``: what the first device on the link is."""
    subject: str
    """The staff or person id; empty for a bare guest link."""
    device: str
    """The hash of the client-kept device id: tells a reload from another guest."""
    lobby: bool
    name: str | None = None


class ResumeGrant(Struct, frozen=True):
    """What a resume secret says: which connection of whom it continues."""

    tenant_id: str
    room_id: str
    session_no: int
    participant: str
    identity: str
    conn_epoch: int


def join_key(key: bytes, life: bytes) -> bytes:
    """The key of join tokens in one life of a process; those of another life do not verify."""
    return hmac.digest(key, b"sunup-join" + life, "sha256")


class Tokens:
    """Issues and verifies; holds the key of this installation and the used join tokens.

    Args:
        key: signs resume secrets, which outlive the process.
        life: stands for the life of this process; random when None.
    """

    def __init__(self, key: bytes, *, life: bytes | None = None) -> None:
        if len(key) < KEY_BYTES:
            raise ValueError("the token key has at least 32 bytes")
        life = secrets.token_bytes(KEY_BYTES) if life is None else life
        self._keys = {JOIN: join_key(key, life), RESUME: key}
        self._used: OrderedDict[str, float] = OrderedDict()

    def issue_join(self, grant: JoinGrant, now: float) -> str:
        """A join token; `now` is Unix time."""
        claims = {"sub": f"{grant.kind}:{grant.subject}", "jti": secrets.token_urlsafe(16)}
        return self._issue(JOIN, grant, now, claims)

    def redeem_join(self, token: str, now: float) -> JoinGrant:
        """Use a join token up.

        Raises:
            RequestError: ``unauthorized``, whatever is wrong with it; ``unavailable`` when more
                were used in their time than can be remembered.
        """
        claims = self._verify(JOIN, token, now)
        self._use_up(str(claims["jti"]), float(claims["exp"]), now)
        return _grant(claims, JoinGrant)

    def issue_resume(self, grant: ResumeGrant, now: float) -> str:
        """A resume secret; `now` is Unix time."""
        claims = {"sub": grant.identity}
        return self._issue(RESUME, grant, now, claims)

    def read_resume(self, secret: str, now: float) -> ResumeGrant:
        """What the secret says, when it is ours; whether it is the newest is the room's to say.

        Raises:
            RequestError: ``unauthorized``, whatever is wrong with it.
        """
        claims = self._verify(RESUME, secret, now)
        return _grant(claims, ResumeGrant)

    def _issue(
        self,
        issuer: IssuerClass,
        grant: JoinGrant | ResumeGrant,
        now: float,
        extra: Mapping[str, object],
    ) -> str:
        claims = {
            "iss": issuer.issuer,
            "aud": f"{grant.tenant_id}/{grant.room_id}",
            "iat": now,
            "exp": now + issuer.lifetime,
            "g": msgspec.to_builtins(grant),
            **extra,
        }
        return jwt.encode(claims, self._keys[issuer], issuer.algorithm, {"typ": issuer.typ})

    def _verify(self, issuer: IssuerClass, token: str, now: float) -> dict[str, Any]:
        try:
            if jwt.get_unverified_header(token).get("typ") != issuer.typ:
                raise RequestError("unauthorized", "another kind of token")
            claims: dict[str, Any] = jwt.decode(
                token,
                self._keys[issuer],
                algorithms=[issuer.algorithm],
                issuer=issuer.issuer,
                options={
                    "require": list(issuer.required),
                    # Time and audience are checked below: time is an argument here, and the
                    # audience is in the grant itself.
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_aud": False,
                },
            )
            expires, issued = float(claims["exp"]), float(claims["iat"])
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise RequestError("unauthorized", "the token cannot be verified") from error
        if not issued - LEEWAY <= now <= expires:
            raise RequestError("unauthorized", "the token has expired")
        return claims

    def _use_up(self, jti: str, expires: float, now: float) -> None:
        while self._used and next(iter(self._used.values())) < now - LEEWAY:
            self._used.popitem(last=False)
        if jti in self._used:
            raise RequestError("unauthorized", "the token was used already")
        if len(self._used) >= MAX_USED:
            raise RequestError("unavailable", retry_ms=1000)
        self._used[jti] = expires


G = TypeVar("G", JoinGrant, ResumeGrant)


def _grant(claims: Mapping[str, Any], kind: type[G]) -> G:
    try:
        grant = msgspec.convert(claims.get("g"), kind)
    except msgspec.ValidationError as error:
        raise RequestError("unauthorized", "the token cannot be read") from error
    if claims["aud"] != f"{grant.tenant_id}/{grant.room_id}":
        raise RequestError("unauthorized", "the token is for another room")
    return grant


class ResumeSecrets:
    """`entrance.Secrets` over `Tokens`."""

    def __init__(self, tokens: Tokens, clock: Clock) -> None:
        self._tokens = tokens
        self._clock = clock

    def resume_secret(
        self, key: RoomKey, session_no: int, participant: ParticipantId, identity: str, epoch: int
    ) -> str:
        """See `entrance.Secrets`."""
        grant = ResumeGrant(key.tenant_id, key.room_id, session_no, participant, identity, epoch)
        return self._tokens.issue_resume(grant, self._clock.wall())
