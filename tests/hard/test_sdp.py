"""Generated SDPs through ``media.offer`` of a whole server."""

import asyncio
import contextlib
from collections import Counter
from random import Random
from typing import Any

from sfu.sdp import format_sdp
from sfu.sdp_parser import parse_sdp
from tests.sfu.hostile import spoil
from tests.support import client
from tests.support.api import Api
from tests.support.peers import AiortcPeer, closing
from tests.support.server import Server
from tests.support.wait import until

from .bystanders import ask, enter, hold, weathering
from .bystanders import offer as agree
from .noise import ROUNDS, Noise, seeded
from .offers import offer

CLASSES = 4
"""All who came by one link may negotiate 600 times at once and then ten times a second."""
PEOPLE = 180
"""Of all classes; each may negotiate ten times at once and then once a second."""
AT_ONCE = 60
SPEAKERS = 6
REOFFERS = max(8, ROUNDS // 250)


async def propose(who: client.Peer, parameters: dict[str, Any]) -> str:
    """One offer, as soon as it may be made; the code of its answer."""
    while True:
        try:
            await who.ask("media.offer", parameters, timeout=60)
        except client.RefusedError as refused:
            if refused.code == "rate":
                await asyncio.sleep(refused.err["retry_ms"] / 1000)
                continue
            assert refused.code in {"bad_request", "too_large", "closed"}, (refused, parameters)
            return refused.code
        return "ok"


async def negotiate(who: client.Peer, noise: Noise, rounds: int) -> Counter[str]:
    """So many offers of one participant; the codes of the answers."""
    return Counter([await propose(who, offer(noise)) for _ in range(rounds)])


async def test_no_sdp_harms_the_server_or_anybody_in_it(server):
    """Each generated offer is answered or refused with a reason; a meeting beside goes on."""
    noise = seeded("sdp")
    async with weathering(server):
        api = Api(server.url, server.dev["api_key"])
        classes = [await api.book(kind="training") for _ in range(CLASSES)]
        hosts = [await enter(booking["host_url"]) for booking in classes]
        limit = asyncio.Semaphore(AT_ONCE)

        async def attack(number: int) -> Counter[str]:
            booking, host = classes[number % CLASSES], hosts[number % CLASSES]
            async with limit:
                eve = await enter(
                    booking["guest_url"], name=f"Eve {number}", device=f"attacker-{number:016}",
                    wait_for_snapshot=False,
                )  # fmt: skip
                if eve.hello_reply["state"] == "waiting":
                    await ask(host, "lobby.admit", {"ids": [eve.id]})
                await eve.until(lambda: eve.of("snapshot"), timeout=60)
                outcomes = await negotiate(eve, Noise(Random(seeds[number])), share)
                with contextlib.suppress(client.ClosedError):  # asked again after it was done
                    await ask(eve, "leave", {})
                await eve.close()
                return outcomes

        share = -(-ROUNDS // PEOPLE)
        seeds = [noise.rng.random() for _ in range(PEOPLE)]
        results = await asyncio.gather(*(attack(number) for number in range(PEOPLE)))
        for host in hosts:
            await host.close()
    outcomes = sum(results, Counter())
    print(outcomes)
    assert outcomes.total() >= ROUNDS
    # The storm got through to the negotiation, and not only through it.
    assert outcomes["ok"] > ROUNDS / 10
    assert outcomes["bad_request"] > ROUNDS / 10


async def test_a_refused_offer_stops_nobodys_media(server):
    """Hostile offers on the live connection of people who are seen and heard by somebody.

    After each that is refused sound and picture go on as they did; after one that could be used they
    come back with the client's own next offer.
    """
    noise = seeded("re-offers")
    seeds = [noise.rng.random() for _ in range(SPEAKERS)]
    async with weathering(server):
        results = await asyncio.gather(*(pester(server, Random(seed)) for seed in seeds))
    outcomes = sum(results, Counter())
    print(outcomes)
    assert outcomes["bad_request"] > outcomes.total() / 4
    assert outcomes["ok"] > outcomes.total() / 10


async def pester(server: Server, rng: Random) -> Counter[str]:
    """Offers by somebody whose guest sees and hears them; what became of each."""
    _, host, guest = await hold(server)
    speaker, listener = AiortcPeer("speaker"), AiortcPeer("listener")
    async with closing(speaker, listener, host, guest):
        speaker.publish(colour=(200, 30, 30), tone=440.0)
        listener.receive(audio=1, video=1)
        good, labels = await speaker.offer()  # each call is a connection of its own to the server
        tracks = [{"mid": mid, "source": source} for mid, source in labels.items()]
        answer = await ask(host, "media.offer", {"sdp": good, "tracks": tracks})
        await speaker.accept(answer["p"]["sdp"])
        for source in ("mic", "camera"):
            await ask(host, "track.set", {"source": source, "on": True})
        await agree(guest, listener)
        await flows(listener)
        outcomes: Counter[str] = Counter()
        for _ in range(REOFFERS):
            bad = format_sdp(spoil(rng, parse_sdp(good)))
            named = [track for track in tracks if f"a=mid:{track['mid']}\r\n" in bad]
            code = await propose(host, {"sdp": bad, "tracks": named})
            outcomes[code] += 1
            if code == "ok":
                assert await propose(host, {"sdp": good, "tracks": tracks}) == "ok"
            await flows(listener)
    return outcomes


async def flows(listener: AiortcPeer) -> None:
    """Wait for more of everything."""
    before = dict(listener.counts)
    await until(
        lambda: all(count > before[label] + 5 for label, count in listener.counts.items()),
        timeout=30,
    )
