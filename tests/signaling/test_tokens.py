"""Join tokens and resume secrets: good once, in time, for one room, from us alone."""

import base64
import json

import jwt
import pytest

from signaling.errors import RequestError
from signaling.tokens import (
    JOIN_LIFETIME,
    RESUME_LIFETIME,
    JoinGrant,
    ResumeGrant,
    Tokens,
    join_key,
)

KEY = bytes(range(32))
LIFE = b"one life"
JOIN_KEY = join_key(KEY, LIFE)
NOW = 1_800_000_000.0
GRANT = JoinGrant("t1", "r1", "l1", "participant", "person", "p1", "d1", True, "Jane")
RESUME = ResumeGrant("t1", "r1", 1, "pa1", "person:p1", 3)


@pytest.fixture
def tokens():
    return Tokens(KEY, life=LIFE)


def refused(call):
    with pytest.raises(RequestError) as error:
        call()
    assert error.value.code == "unauthorized"
    return error.value.detail


def forged(claims=None, header=None, key=JOIN_KEY, algorithm="HS256"):
    """A token of the right shape with something changed."""
    base = jwt.decode(
        Tokens(KEY, life=LIFE).issue_join(GRANT, NOW),
        JOIN_KEY,
        ["HS256"],
        options={"verify_signature": False},
    )
    base |= claims or {}
    return jwt.encode(
        {name: value for name, value in base.items() if value is not None},
        key,
        algorithm,
        {"typ": "sunup-join", **(header or {})},
    )


def test_a_join_token_says_what_it_was_issued_for(tokens):
    """The grant comes back unchanged."""
    assert tokens.redeem_join(tokens.issue_join(GRANT, NOW), NOW + 5) == GRANT


def test_a_join_token_is_good_once(tokens):
    """A second use is refused, also when the first was a moment ago."""
    token = tokens.issue_join(GRANT, NOW)
    tokens.redeem_join(token, NOW)
    assert "used" in refused(lambda: tokens.redeem_join(token, NOW))


def test_a_join_token_must_be_used_in_time(tokens):
    """At 60 s it is good, a moment later it is not."""
    good = tokens.issue_join(GRANT, NOW)
    late = tokens.issue_join(GRANT, NOW)
    assert tokens.redeem_join(good, NOW + JOIN_LIFETIME) == GRANT
    assert "expired" in refused(lambda: tokens.redeem_join(late, NOW + JOIN_LIFETIME + 0.1))


def test_a_token_from_the_future_is_refused(tokens):
    """Clocks may differ by the leeway and no more."""
    token = tokens.issue_join(GRANT, NOW)
    refused(lambda: tokens.redeem_join(token, NOW - 31))
    assert tokens.redeem_join(token, NOW - 29) == GRANT


def test_a_resume_secret_says_which_connection_it_continues(tokens):
    """It may be read again: that it is the newest is the room's to say."""
    secret = tokens.issue_resume(RESUME, NOW)
    assert tokens.read_resume(secret, NOW + 5) == RESUME
    assert tokens.read_resume(secret, NOW + RESUME_LIFETIME) == RESUME
    refused(lambda: tokens.read_resume(secret, NOW + RESUME_LIFETIME + 1))


def test_one_kind_is_not_the_other(tokens):
    """A resume secret is no join token, and the other way round."""
    join, resume = tokens.issue_join(GRANT, NOW), tokens.issue_resume(RESUME, NOW)
    assert "kind" in refused(lambda: tokens.redeem_join(resume, NOW))
    assert "kind" in refused(lambda: tokens.read_resume(join, NOW))


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a.b.c",
        "..",
        forged(key=b"k" * 32),
        forged(key=KEY),
        forged(algorithm="HS512", key=JOIN_KEY * 2),
        forged(algorithm="HS384", key=JOIN_KEY * 2),
        jwt.encode({"sub": "x"}, None, "none", {"typ": "sunup-join"}),
        forged(header={"typ": "JWT"}),
        forged({"iss": "someone"}),
        forged({"aud": "t2/r1"}),
        forged({"aud": "t1/r2"}),
        forged({"aud": None}),
        forged({"exp": None}),
        forged({"iat": None}),
        forged({"jti": None}),
        forged({"sub": None}),
        forged({"iss": None}),
        forged({"exp": "soon"}),
        forged({"exp": NOW - 1}),
        forged({"g": None}),
        forged({"g": {"tenant_id": "t1"}}),
        forged({"g": {"tenant_id": "t2", "room_id": "r1"}}),
    ],
)
def test_what_we_did_not_sign_for_this_is_refused(tokens, token):
    """Algorithm confusion, other keys, audiences, kinds, missing claims: one answer for all."""
    refused(lambda: tokens.redeem_join(token, NOW))


def test_every_changed_byte_is_noticed(tokens):
    """No single flipped character of a token is accepted."""
    token = tokens.issue_join(GRANT, NOW)
    accepted = 0
    for index in range(0, len(token), 7):
        other = "A" if token[index] != "A" else "B"
        changed = token[:index] + other + token[index + 1 :]
        try:
            tokens.redeem_join(changed, NOW)
        except RequestError:
            continue
        accepted += 1
    # The last character of base64 may hold unused bits; none other may be free.
    assert accepted == 0


def test_the_grant_stands_in_the_signed_part_alone(tokens):
    """Swapping the payload of two tokens breaks both."""
    one = tokens.issue_join(GRANT, NOW).split(".")
    other = tokens.issue_join(JoinGrant("t2", "r2", "l", "host", "staff", "s", "d", False), NOW)
    mixed = ".".join([one[0], other.split(".")[1], one[2]])
    refused(lambda: tokens.redeem_join(mixed, NOW))
    payload = json.loads(base64.urlsafe_b64decode(one[1] + "=="))
    assert "secret" not in json.dumps(payload)


def test_what_the_forger_starts_from_is_good(tokens):
    """Each refusal above is for the one thing that was changed."""
    assert tokens.redeem_join(forged(), NOW) == GRANT


def test_no_join_token_works_again_after_a_restart(tokens):
    """The next process remembers no use, so it takes no token of the last; resuming goes on."""
    token, secret = tokens.issue_join(GRANT, NOW), tokens.issue_resume(RESUME, NOW)
    tokens.redeem_join(token, NOW + 1)
    next_life = Tokens(KEY)
    refused(lambda: next_life.redeem_join(token, NOW + 2))
    assert next_life.read_resume(secret, NOW + 2) == RESUME


def test_uses_are_forgotten_only_after_their_time(tokens, monkeypatch):
    """When no more can be remembered, new tokens wait; old ones do not become good again."""
    monkeypatch.setattr("signaling.tokens.MAX_USED", 2)
    made = [tokens.issue_join(GRANT, NOW) for _ in range(3)]
    for token in made[:2]:
        tokens.redeem_join(token, NOW)
    with pytest.raises(RequestError) as error:
        tokens.redeem_join(made[2], NOW)
    assert error.value.code == "unavailable"
    refused(lambda: tokens.redeem_join(made[0], NOW))
    later = NOW + JOIN_LIFETIME + 31
    assert tokens.redeem_join(tokens.issue_join(GRANT, later), later) == GRANT


def test_a_short_key_is_refused():
    """A key that could be guessed never signs."""
    with pytest.raises(ValueError, match="32 bytes"):
        Tokens(b"short")
