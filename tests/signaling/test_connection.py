"""What may come when on one connection, without a socket."""

import json

import pytest

from rooms.commands import ChatSend
from signaling.connection import (
    HELLO_TIMEOUT,
    PING_INTERVAL,
    SILENCE_TIMEOUT,
    TRANSITIONS,
    Connection,
    Enter,
    Hang,
    Perform,
    Send,
    State,
)
from signaling.envelope import CODECS, Ping, Pong, Refusal
from signaling.errors import CloseCode, RequestError
from signaling.limits import FRAME_BURST, FRAME_FLOOD, HELLO_BURST

CODEC = CODECS["sunup.v1.json"]


def frame(method, params=None, request_id="a1", **more):
    return json.dumps({"id": request_id, "m": method, "p": params or {}, **more})


def joined(now=0.0):
    connection = Connection(CODEC, now)
    connection.receive(frame("hello", {"proto": 1, "token": "t"}), now)
    connection.accepted(now)
    return connection


def test_every_state_has_a_row_and_only_known_targets():
    """The table is whole: each state can end, and CLOSED leads nowhere else."""
    assert set(TRANSITIONS) == set(State)
    for row in TRANSITIONS.values():
        assert set(row.values()) <= set(State)
    assert set(TRANSITIONS[State.CLOSED].values()) == {State.CLOSED}


def test_hello_with_a_token_is_passed_on():
    """The first frame goes to the door, once."""
    connection = Connection(CODEC, 0.0)
    (enter,) = connection.receive(frame("hello", {"proto": 1, "token": "t", "name": "Jane"}), 1.0)
    assert isinstance(enter, Enter)
    assert (enter.request_id, enter.hello.token, enter.hello.name) == ("a1", "t", "Jane")
    assert connection.state is State.JOINING


def test_hello_with_a_resume_is_passed_on():
    """A resume goes the same way through its own state."""
    connection = Connection(CODEC, 0.0)
    (enter,) = connection.receive(
        frame("hello", {"proto": 1, "resume": {"secret": "s", "streams": {"room": [1, 4]}}}), 1.0
    )
    assert enter.hello.resume.streams == {"room": (1, 4)}
    assert connection.state is State.RESUMING


@pytest.mark.parametrize(
    "params",
    [
        {"proto": 1},
        {"proto": 1, "token": "t", "resume": {"secret": "s"}},
        {"proto": 2, "token": "t"},
        {"proto": 1, "token": "t", "name": ""},
        {"proto": 1, "token": "t", "more": 1},
        {"proto": 1, "resume": {"secret": "s", "streams": {"room": [1]}}},
    ],
)
def test_a_bad_hello_is_refused_and_may_be_repeated(params):
    """The refusal names the field; the connection still waits for its hello."""
    connection = Connection(CODEC, 0.0)
    (refusal,) = connection.receive(frame("hello", params), 0.0)
    assert refusal.frame.err["code"] == "bad_request"
    assert connection.state is State.HELLO


def test_nothing_comes_before_hello():
    """Any other request first is a protocol violation."""
    connection = Connection(CODEC, 0.0)
    (hang,) = connection.receive(frame("chat.send", {"body": "x"}), 0.0)
    assert hang == Hang(CloseCode.PROTOCOL, "hello comes first")
    assert connection.receive(frame("leave"), 0.0) == []


def test_a_request_while_the_hello_is_decided_is_a_violation():
    """Between hello and its answer nothing may come."""
    connection = Connection(CODEC, 0.0)
    connection.receive(frame("hello", {"proto": 1, "token": "t"}), 0.0)
    (hang,) = connection.receive(frame("leave"), 0.0)
    assert hang.code is CloseCode.PROTOCOL


def test_a_second_hello_is_a_violation():
    """Who is in is in."""
    (hang,) = joined().receive(frame("hello", {"proto": 1, "token": "t"}), 0.0)
    assert hang.code is CloseCode.PROTOCOL


def test_a_request_is_typed_and_passed_on():
    """Parameters reach the door as the room's own struct, with the expected revision."""
    (perform,) = joined().receive(frame("chat.send", {"body": "hi"}, **{"if": 4}), 0.0)
    assert perform == Perform("a1", ChatSend("hi"), 4)


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("no.such", {}, "unsupported"),
        ("chat.send", {}, "bad_request"),
        ("chat.send", {"body": 3}, "bad_request"),
        ("chat.send", {"body": "x", "more": 1}, "bad_request"),
        ("media.offer", {"sdp": "x" * 60_001}, "too_large"),
        ("view.set", {"layout": "circle"}, "bad_request"),
    ],
)
def test_a_bad_request_is_refused_and_the_connection_goes_on(method, params, code):
    """An error never disconnects."""
    connection = joined()
    (refusal,) = connection.receive(frame(method, params), 0.0)
    assert isinstance(refusal.frame, Refusal)
    assert refusal.frame.err["code"] == code
    assert connection.state is State.JOINED


def test_a_refused_hello_says_why_and_closes():
    """The reply comes first, then the close with the code of the table."""
    for code, close in {
        "unauthorized": CloseCode.UNAUTHORIZED,
        "ended": CloseCode.ENDED,
        "draining": CloseCode.DRAINING,
        "forbidden": CloseCode.DENIED,
        "full": CloseCode.UNAUTHORIZED,
    }.items():
        connection = Connection(CODEC, 0.0)
        connection.receive(frame("hello", {"proto": 1, "token": "t"}), 0.0)
        reply, hang = connection.refused("a1", RequestError(code))
        assert reply.frame.err["code"] == code
        assert hang.code is close
        assert connection.state is State.CLOSED


def test_pings_are_answered_in_every_state():
    """A ping comes back, also before hello."""
    connection = Connection(CODEC, 0.0)
    assert connection.receive('{"ping": 5}', 0.0) == [Send(Pong(5))]
    assert joined().receive('{"ping": 5}', 0.0) == [Send(Pong(5))]
    assert joined().receive('{"pong": 5}', 0.0) == []


def test_hello_must_come_in_time():
    """Without a hello within 10 s the connection is closed, pings or not."""
    connection = Connection(CODEC, 100.0)
    assert connection.next_timeout() == 100.0 + HELLO_TIMEOUT
    assert connection.handle_timeout(105.0) == []
    connection.receive('{"ping": 5}', 109.0)
    (hang,) = connection.handle_timeout(110.0)
    assert hang.code is CloseCode.TIMEOUT
    assert connection.next_timeout() is None


def test_silence_is_pinged_and_then_given_up():
    """A ping each 15 s; after 30 s without any frame the connection is closed."""
    connection = joined(0.0)
    assert connection.next_timeout() == PING_INTERVAL
    assert connection.handle_timeout(PING_INTERVAL) == [Send(Ping(15000))]
    connection.receive('{"pong": 15000}', 16.0)
    assert connection.handle_timeout(30.0) == [Send(Ping(30000))]
    assert connection.next_timeout() == 45.0
    assert connection.handle_timeout(45.0) == [Send(Ping(45000))]
    (hang,) = connection.handle_timeout(16.0 + SILENCE_TIMEOUT)
    assert hang.code is CloseCode.TIMEOUT
    assert connection.handle_timeout(99.0) == []


def test_too_many_frames_are_refused_and_a_flood_is_closed():
    """Beyond the burst each request is answered `rate` with a time; a flood ends the connection."""
    connection = joined(0.0)
    answers = [connection.receive(frame("hand.set", {"up": True}), 0.0) for _ in range(140)]
    performed = [a for (a,) in answers if isinstance(a, Perform)]
    refused = [a.frame.err for (a,) in answers if isinstance(a, Send)]
    assert len(performed) == FRAME_BURST
    assert refused[0]["code"] == "rate"
    assert refused[0]["retry_ms"] > 0
    for _ in range(FRAME_FLOOD):
        connection.receive('{"ping": 1}', 0.0)
    assert connection.state is State.CLOSED


def test_large_frames_count_as_many():
    """One of 40 KiB as 41: what a frame costs to read grows with it."""
    connection = joined(0.0)
    large = frame("chat.send", {"body": "x" * 40 * 1024})
    answers = [connection.receive(large, 0.0)[0] for _ in range(4)]
    assert [isinstance(answer, Perform) for answer in answers] == [True, True, False, False]
    assert answers[2].frame.err["code"] == "rate"
    for _ in range(int(FRAME_FLOOD / 41)):
        connection.receive(large, 0.0)
    assert connection.state is State.CLOSED


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ('{"ping": 1}', HELLO_BURST),
        (frame("hello", {"proto": 1}), HELLO_BURST),
        (frame("hello", {"proto": 1, "token": "t" * 7 * 1024}), HELLO_BURST // 8),
    ],
    ids=["pings", "bad hellos", "large ones"],
)
def test_who_has_not_said_hello_may_send_little(sent, kept):
    """Nobody knows who they are: beyond that the connection ends without an answer."""
    connection = Connection(CODEC, 0.0)
    for _ in range(int(kept)):
        (answer,) = connection.receive(sent, 0.0)
        assert isinstance(answer, Send)
    (hang,) = connection.receive(sent, 0.0)
    assert hang.code is CloseCode.RATE


def test_what_cannot_be_answered_closes():
    """Garbage ends the connection with the protocol code."""
    (hang,) = joined().receive("garbage", 0.0)
    assert hang.code is CloseCode.PROTOCOL
    (bad,) = joined().receive('{"id":"x","m":3}', 0.0)
    assert bad.frame.err["code"] == "bad_request"


def test_ending_happens_once():
    """A second end, or a lost socket, changes nothing."""
    connection = joined()
    assert connection.end(CloseCode.ENDED, "over") == [Hang(CloseCode.ENDED, "over")]
    assert connection.end(CloseCode.REMOVED) == []
    connection.lost()
    assert connection.state is State.CLOSED
