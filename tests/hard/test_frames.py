"""Generated WebSocket frames in JSON and in MessagePack, before and after hello."""

import asyncio
import json
import random
from collections import Counter
from typing import Any

import msgpack
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.support import client
from tests.support.api import Api

from .bystanders import ask, enter, weathering
from .frames import encoded, frame, good_requests, packable
from .noise import ROUNDS, Noise, seeded

SENT_PER_CONNECTION = 100
"""Below the burst of frames that one connection may send, so that each frame is looked at."""
ATTACKERS = 5
BEFORE_HELLO = 0.1
ACCEPTABLE_CLOSES = {1000, 1002, 1007, 1009, 4400, 4401, 4403, 4404, 4409, 4410, 4429}
"""RFC 6455's own refusals, and ours that a client can cause; never 1011 or 4500."""


class Attacker:
    """Somebody with a good link and bad manners; takes another seat when thrown out."""

    def __init__(self, server: Any, noise: Noise, subprotocol: str) -> None:
        self.api = Api(server.url, server.dev["api_key"])
        self.noise = noise
        self.subprotocol = subprotocol
        self.outcomes: Counter[str] = Counter()
        self._serial = 0
        self._socket: Any = None
        self._requests: dict[str, dict[str, Any]] = {}
        self._left = 0
        self._ws = ""
        self._me = ""
        self._friend: client.Peer | None = None
        self._secret = ""

    async def storm(self, rounds: int) -> None:
        """So many frames, on as many connections as they break."""
        await self._take_seat()
        for _ in range(rounds):
            await self.attack()
        await self.leave()
        await self._leave_friend()

    async def attack(self) -> None:
        """Send one frame, and read until the server has shown that it is done with it."""
        self._serial += 1
        value = frame(self.noise, self._requests or good_requests("", ""), self._serial)
        if self.subprotocol == client.MSGPACK:
            value = packable(value)
        data = encoded(self.noise, value, self.subprotocol)
        if self.noise.chance(BEFORE_HELLO):
            await self._before_hello(data)
            return
        if self._left == 0:
            await self.leave()
            await self._take_seat()
        self._left -= 1
        if not await self._shows_life(self._socket, data):
            await self.leave()

    async def leave(self) -> None:
        """Close the connection, if there is one."""
        if self._socket is not None:
            await self._socket.close()
        self._socket, self._left = None, 0

    async def _before_hello(self, data: str | bytes) -> None:
        socket = await self._open()
        await self._shows_life(socket, data)
        await socket.close()

    async def _open(self) -> Any:
        return await client.open_socket(self._ws, subprotocol=self.subprotocol)

    async def _take_seat(self) -> None:
        """Come back to the meeting, or to another one when that is over or closed to us."""
        self._left = SENT_PER_CONNECTION
        if self._secret and await self._enter({"resume": {"secret": self._secret}}):
            return
        booking = await self.api.book()
        links = [booking["host_url"], booking["guest_url"]]
        if self.noise.chance(0.5):
            links.reverse()
        await self._leave_friend()
        self._friend = friend = await enter(
            links[0], name="Joe", device="the-friend-s-device", wait_for_snapshot=False
        )
        while True:
            _, ticket = await client.join_link(links[1])
            self._ws = ticket["ws"]
            if await self._enter({"token": ticket["token"], "name": "Eve"}):
                break
        if friend.hello_reply["role"] == "host":
            await ask(friend, "lobby.admit", {"ids": [self._me]})
        self._requests = good_requests(self._me, friend.id)

    async def _leave_friend(self) -> None:
        if self._friend is not None:
            await self._friend.close()

    async def _enter(self, hello: dict[str, Any]) -> bool:
        self._socket = await self._open()
        request = {"id": "hello", "m": "hello", "p": {"proto": 1, **hello}}
        await self._socket.send(self._encode(request))
        answer = self._decode(await self._socket.recv())
        if answer["ok"]:
            self._me = answer["p"]["participant"]
            self._secret = answer["p"]["resume"]["secret"]
        return answer["ok"]

    async def _shows_life(self, socket: Any, data: str | bytes) -> bool:
        """Whether the connection lives after the frame; a pong or a close must come."""
        probe = f"probe{self._serial}"
        try:
            await socket.send(data)
            await socket.send(self._encode({"id": probe, "m": "probe.me", "p": {}}))
            while True:
                answer = self._decode(await socket.recv())
                if answer.get("re") == probe:
                    self.outcomes["lives"] += 1
                    return True
                self._judge(answer)
        except ConnectionClosed:
            self.outcomes[f"closed {socket.close_code}"] += 1
            assert socket.close_code in ACCEPTABLE_CLOSES, (socket.close_code, data)
            return False

    def _judge(self, answer: dict[str, Any]) -> None:
        if "re" in answer:
            code = "ok" if answer["ok"] else answer["err"]["code"]
            self.outcomes[code] += 1
            assert code != "internal", answer

    def _encode(self, value: Any) -> str | bytes:
        return json.dumps(value) if self.subprotocol == client.JSON else msgpack.packb(value)

    def _decode(self, data: str | bytes) -> dict[str, Any]:
        return json.loads(data) if isinstance(data, str) else msgpack.unpackb(data)


@pytest.mark.parametrize("subprotocol", [client.JSON, client.MSGPACK])
async def test_no_frame_harms_the_server_or_anybody_in_it(server, subprotocol):
    """Each generated frame gets an answer or a documented close; a meeting beside goes on."""
    rounds = ROUNDS // 2  # each encoding has half of them
    noise = seeded(f"frames {subprotocol}")
    attackers = [
        Attacker(server, Noise(random.Random(noise.rng.random())), subprotocol)
        for _ in range(ATTACKERS)
    ]
    async with weathering(server):
        await asyncio.gather(*(one.storm(rounds // ATTACKERS) for one in attackers))
    outcomes = sum((one.outcomes for one in attackers), Counter())
    print(outcomes)
    # The storm got through to what it is meant for, not just to the first check.
    assert outcomes["lives"] > rounds / 4
    assert outcomes["bad_request"] > rounds / 10
    assert outcomes["ok"] > rounds / 100
    assert sum(outcomes[key] for key in outcomes if "closed" in key) > rounds / 100
    assert outcomes["rate"] + outcomes["closed 4429"] < rounds / 20, "limits took its place"


async def test_a_frame_over_the_limit_ends_its_connection_alone(server):
    """64 KiB and more is a close with a code, in both encodings; the meeting beside goes on."""
    async with weathering(server):
        booking = await Api(server.url, server.dev["api_key"]).book()
        for subprotocol in (client.JSON, client.MSGPACK):
            eve = await enter(booking["host_url"], subprotocol=subprotocol)
            await eve.send({"id": "big", "m": "chat.send", "p": {"body": "x" * 200_000}})
            assert await eve.closed() in {1009, 4400}
        with pytest.raises(InvalidStatus):
            await client.open_socket(eve.ws, subprotocol="sunup.v0.telepathy")
