"""kill -9 right after a reply: nothing that was answered ``committed`` may be lost.

The client itself is the oracle. It keeps what it asked and what was answered, kills the server
from inside the arrival of a reply, starts it again on the same data and reads everything back.
"""

import asyncio
import random
import signal
from dataclasses import dataclass, field

import pytest

from tests.support import client
from tests.support.server import Server

KILLS = 20


@dataclass
class Ledger:
    """What was asked and what was promised, over all lives of the server."""

    asked: dict[str, str] = field(default_factory=dict)
    """request id → chat body."""
    promised: dict[str, str] = field(default_factory=dict)
    """message id → chat body, answered ``committed``."""
    serial: int = 0


async def talk_until_killed(server: Server, host: client.Peer, ledger: Ledger, kill_at: int):
    """Send messages, several under way at once, and kill the server as reply `kill_at` arrives."""
    answered = 0

    def on_frame(frame):
        nonlocal answered
        if "re" not in frame or frame["re"] not in ledger.asked or not frame["ok"]:
            return
        assert frame["committed"] is True
        ledger.promised[frame["p"]["message"]["id"]] = ledger.asked[frame["re"]]
        answered += 1
        if answered == kill_at:
            server.process.send_signal(signal.SIGKILL)

    host.on_frame = on_frame

    async def send_one():
        ledger.serial += 1
        request_id, body = f"m{ledger.serial}", f"message {ledger.serial}"
        ledger.asked[request_id] = body
        await host.ask("chat.send", {"body": body}, request_id=request_id)

    while True:
        results = await asyncio.gather(*(send_one() for _ in range(3)), return_exceptions=True)
        if any(isinstance(result, client.ClosedError) for result in results):
            break
        for result in results:
            # The room's own limit of chat messages; wait as it says.
            if isinstance(result, client.RefusedError):
                assert result.code == "rate"
                await asyncio.sleep(result.err["retry_ms"] / 1000)
            else:
                assert not isinstance(result, BaseException), result
    await server.kill()


async def read_back(host: client.Peer) -> dict[str, str]:
    """Message id → body of everything in the room's chat."""
    found: dict[str, str] = {}
    before = None
    while True:
        page = {"n": 100} if before is None else {"n": 100, "before": before}
        messages = (await host.ask("chat.page", page))["p"]["messages"]
        if not messages:
            return found
        for message in messages:
            assert message["id"] not in found, "twice"
            found[message["id"]] = message["body"]
        before = messages[0]["no"]


async def run(make_server, launcher: str, seed: int, kills: int) -> tuple[Ledger, dict[str, str]]:
    """Kill `kills` times; what was promised, and what is there in the end."""
    rng = random.Random(seed)
    print(f"seed {seed}")
    server = make_server()
    server.module = launcher
    ledger = Ledger()
    for _ in range(kills):
        await server.start()
        host = await client.enter(server.dev["host_url"], device="the-host-s-own-device")
        await talk_until_killed(server, host, ledger, kill_at=rng.randrange(1, 8))
        await host.closed()
    server.module = "signaling"
    await server.start()
    host = await client.enter(server.dev["host_url"], device="the-host-s-own-device")
    found = await read_back(host)
    numbers = [message["no"] for message in host.snapshot["chat"]]
    assert numbers == sorted(set(numbers))
    await host.close()
    await server.stop()
    return ledger, found


@pytest.mark.timeout(240)
async def test_what_was_answered_committed_survives_kill_nine(make_server):
    """After 20 kills each promised fact is there once, unchanged, and nothing was made up."""
    ledger, found = await run(make_server, "signaling", seed=20, kills=KILLS)
    lost = {key: body for key, body in ledger.promised.items() if found.get(key) != body}
    assert lost == {}
    assert len(ledger.promised) >= KILLS
    bodies = list(found.values())
    assert len(bodies) == len(set(bodies)), "a request took effect twice"
    assert set(bodies) <= set(ledger.asked.values()), "a message that nobody sent"


@pytest.mark.timeout(240)
async def test_the_kill_test_sees_a_reply_before_the_commit(make_server):
    """The same run against a server that replies first finds lost facts; a few kills are enough."""
    ledger, found = await run(make_server, "tests.support.reply_first", seed=20, kills=KILLS // 4)
    lost = {key for key, body in ledger.promised.items() if found.get(key) != body}
    print(f"lost {len(lost)} of {len(ledger.promised)}")
    assert lost
