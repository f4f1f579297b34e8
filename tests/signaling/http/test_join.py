"""Who asks for join tokens too often."""

import json

import pytest

from signaling.errors import RequestError
from signaling.http.join import JoinEndpoint, OpenedLink, RoomSummary
from signaling.limits import (
    JOIN_ALL_BURST,
    JOIN_BURST,
    JOIN_RATE,
    MAX_ADDRESSES,
    WRONG_SECRET_BURST,
)
from signaling.tokens import JoinGrant
from tests.signaling.fakes import ManualClock

GRANT = JoinGrant("tenant", "room", "link", "participant", "guest", "", "", lobby=True)
ROOM = RoomSummary("Roof talk", "consultation", "live", None, None, "Ana Diaz")
ONE, OTHER = "203.0.113.1", "203.0.113.2"
GUESSES = int(WRONG_SECRET_BURST)


class Links:
    """Every secret is right, unless `refusal` says otherwise."""

    def __init__(self):
        self.opened = 0
        self.refusal = None

    async def open(self, _code, _secret):
        self.opened += 1
        if self.refusal is not None:
            raise self.refusal
        return OpenedLink(GRANT, ROOM)


class Tokens:
    """One token for everybody."""

    def issue_join(self, _grant, _now):
        return "token"


class Join:
    """A request with a good body; it is its own content."""

    headers = {}

    def __init__(self, address, code="code"):
        self.address = address
        self.match_info = {"code": code}
        self.content = self

    async def iter_any(self):
        yield b'{"secret": "s"}'


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def links():
    return Links()


@pytest.fixture
def endpoint(links, clock):
    return JoinEndpoint(
        links,
        Tokens(),
        clock,
        websocket_url=lambda _request: "wss://crm.example/ws",
        address_of=lambda request: request.address,
    )


async def test_more_joins_than_the_burst_are_refused_by_address(endpoint, links, clock):
    """Even with a good secret: each costs the database; the time that is told lets one more in.

    Other rooms' people behind the address are not concerned, however many are refused.
    """
    for _ in range(int(JOIN_BURST)):
        assert (await endpoint.post(Join(ONE))).status == 200
    for _ in range(int(JOIN_ALL_BURST)):
        refused = await endpoint.post(Join(ONE))
    assert refused.status == 429
    told = json.loads(refused.body)
    assert (told["code"], told["retry_ms"]) == ("rate", int(1000 / JOIN_RATE) + 1)
    assert links.opened == JOIN_BURST
    assert (await endpoint.post(Join(OTHER))).status == 200
    assert (await endpoint.post(Join(ONE, "another"))).status == 200
    clock.time += told["retry_ms"] / 1000
    assert [(await endpoint.post(Join(ONE))).status for _ in range(2)] == [200, 429]


async def test_who_waits_for_the_door_takes_no_turn_from_who_comes_next(endpoint, links, clock):
    """Thirty behind one address ask every 12 s for half an hour, as the page of each does at most.

    All are answered, and so many come in at once when the door opens, and a class after them.
    """
    links.refusal = RequestError("early")
    for _ in range(30 * 60 // 12):
        assert {(await endpoint.post(Join(ONE))).status for _ in range(30)} == {403}
        clock.time += 12
    links.refusal = None
    assert {(await endpoint.post(Join(ONE))).status for _ in range(30 + 200)} == {200}


async def test_joins_to_all_rooms_are_limited_by_address_too(endpoint, links, clock):
    """Whoever makes rooms up is refused, whatever they call them; a moment later one more is not."""
    rooms = [f"room{number}" for number in range(int(JOIN_ALL_BURST))]
    assert {(await endpoint.post(Join(ONE, room))).status for room in rooms} == {200}
    refused = await endpoint.post(Join(ONE, "one more"))
    assert refused.status == 429
    assert links.opened == JOIN_ALL_BURST
    assert (await endpoint.post(Join(OTHER))).status == 200
    clock.time += json.loads(refused.body)["retry_ms"] / 1000
    assert (await endpoint.post(Join(ONE, "one more"))).status == 200


async def test_rooms_that_are_made_up_make_no_limit_forgotten(endpoint):
    """Ten thousand are remembered: more of them in a moment would begin the first ones anew."""
    for number in range(MAX_ADDRESSES + 1):
        await endpoint.post(Join(ONE, f"made up {number}"))
    assert len(endpoint._attempts_by_room._buckets) <= JOIN_ALL_BURST + 1


async def test_a_room_is_counted_by_what_can_be_its_code(endpoint):
    """A name is kept for each, and it may be as long as a URL."""
    long = "x" * 2000
    await endpoint.post(Join(ONE, long))
    assert list(endpoint._attempts_by_room._buckets) == [(ONE, long[:64])]


@pytest.mark.parametrize("code", ["not_found", "ended", "cancelled", "early", "unavailable"])
async def test_only_a_wrong_secret_counts_as_one(endpoint, links, clock, code):
    """Who comes too early or too late has the right link, and may ask as often as anybody."""
    links.refusal = RequestError(code)
    told = [json.loads((await endpoint.post(Join(ONE))).body)["code"] for _ in range(GUESSES + 1)]
    assert told == [code] * GUESSES + ["rate" if code == "not_found" else code]
    links.refusal = None
    for address in (ONE, OTHER):  # who guesses behind an address keeps nobody else there out
        assert (await endpoint.post(Join(address))).status == 200
