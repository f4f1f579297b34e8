"""Generated SDPs through ``media.offer`` of a whole server."""

import asyncio
import contextlib
import random
from collections import Counter

from tests.support import client
from tests.support.api import Api

from .bystanders import ask, enter, weathering
from .noise import ROUNDS, Noise, seeded
from .offers import offer

PEOPLE = 180
"""Each may negotiate ten times at once and then once a second; a training seats 200."""
AT_ONCE = 60


async def negotiate(who: client.Peer, noise: Noise, rounds: int) -> Counter[str]:
    """So many offers of one participant; the codes of the answers."""
    outcomes: Counter[str] = Counter()
    while outcomes.total() < rounds:
        parameters = offer(noise)
        while True:
            try:
                await who.ask("media.offer", parameters, timeout=60)
                code = "ok"
            except client.RefusedError as refused:
                code = refused.code
                if code == "rate":
                    await asyncio.sleep(refused.err["retry_ms"] / 1000)
                    continue
            break
        assert code in {"ok", "bad_request", "too_large", "closed"}, (code, parameters)
        outcomes[code] += 1
    return outcomes


async def test_no_sdp_harms_the_server_or_anybody_in_it(server):
    """Each generated offer is answered or refused with a reason; a meeting beside goes on."""
    noise = seeded("sdp")
    async with weathering(server):
        booking = await Api(server.url, server.dev["api_key"]).book(kind="training")
        host = await enter(booking["host_url"])
        limit = asyncio.Semaphore(AT_ONCE)

        async def attack(number: int) -> Counter[str]:
            async with limit:
                eve = await enter(
                    booking["guest_url"], name=f"Eve {number}", device=f"attacker-{number:016}",
                    wait_for_snapshot=False,
                )  # fmt: skip
                if eve.hello_reply["state"] == "waiting":
                    await ask(host, "lobby.admit", {"ids": [eve.id]})
                await eve.until(lambda: eve.of("snapshot"), timeout=60)
                outcomes = await negotiate(eve, Noise(random.Random(seeds[number])), share)
                with contextlib.suppress(client.ClosedError):  # asked again after it was done
                    await ask(eve, "leave", {})
                await eve.close()
                return outcomes

        share = -(-ROUNDS // PEOPLE)
        seeds = [noise.rng.random() for _ in range(PEOPLE)]
        results = await asyncio.gather(*(attack(number) for number in range(PEOPLE)))
        await host.close()
    outcomes = sum(results, Counter())
    print(outcomes)
    assert outcomes.total() >= ROUNDS
    # The storm got through to the negotiation, and not only through it.
    assert outcomes["ok"] > ROUNDS / 10
    assert outcomes["bad_request"] > ROUNDS / 10
