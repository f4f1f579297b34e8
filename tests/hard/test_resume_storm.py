"""Connections cut again and again while a room talks: nobody misses or doubles a message."""

import asyncio
import itertools
import os
import random
from typing import Any

from tests.support import client
from tests.support.api import Api
from tests.support.server import Server

from .bystanders import ask, enter, patiently
from .noise import Noise, seeded

CUTS = int(os.environ.get("SUNUP_HARD_CUTS", "60"))
"""Cuts in all, over all victims."""
VICTIMS = 6
TALKERS = 6
"""Each may send ten messages at once and then one a second."""
LISTEN = 0.2


class Victim:
    """A participant who loses the connection and resumes; keeps the chat as its page would."""

    def __init__(self, peer: client.Peer) -> None:
        self.peer = peer
        self.chat: list[dict[str, Any]] = list(peer.snapshot["chat"])
        self.resumed = self.started_anew = 0

    def read(self) -> None:
        """Take in what the connection brought: missed and new events, or a fresh snapshot."""
        for event in self.peer.events:
            if event["t"] == "snapshot":
                known = {message["id"] for message in self.chat}
                self.chat += [m for m in event["p"].get("chat", []) if m["id"] not in known]
            elif event["t"] == "chat.msg":
                self.chat.append(event["p"])
        self.peer.frames.clear()

    async def cut(self) -> None:
        """Break the connection without a word, and come back."""
        self.peer.cut()
        await self.peer.closed()
        self.read()
        self.peer = await patiently(lambda: client.resume(self.peer))
        if self.peer.hello_reply["resumed"]:
            self.resumed += 1
        else:
            self.started_anew += 1

    @property
    def bodies(self) -> list[str]:
        """What was read, in order."""
        return [message["body"] for message in self.chat]


async def gather(server: Server) -> tuple[client.Peer, list[client.Peer], list[Victim]]:
    """A training with its host, people who talk, and the victims, all of them in."""
    booking = await Api(server.url, server.dev["api_key"]).book(kind="training")
    host = await enter(booking["host_url"])
    guests = []
    for number in range(TALKERS + VICTIMS):
        peer = await enter(
            booking["guest_url"], name=f"Guest {number}", device=f"victim-{number:016}",
            wait_for_snapshot=False,
        )  # fmt: skip
        if peer.hello_reply["state"] == "waiting":
            await ask(host, "lobby.admit", {"ids": [peer.id]})
        await peer.until(lambda peer=peer: peer.of("snapshot") and "chat" in peer.snapshot)
        guests.append(peer)
    victims = [Victim(peer) for peer in guests[TALKERS:]]
    for victim in victims:
        victim.read()
    return host, guests[:TALKERS], victims


async def test_whoever_is_cut_reads_what_the_uncut_read(server):
    """After random cuts in the middle of a chat, each log equals that of an uncut control."""
    noise = seeded("resume storm")
    host, talkers, victims = await gather(server)

    enough = asyncio.Event()

    async def talk(who: client.Peer) -> None:
        for number in itertools.count():
            if enough.is_set():
                break
            await ask(who, "chat.send", {"body": f"{who.id} {number}"})

    async def suffer(victim: Victim, rng: random.Random) -> None:
        for _ in range(-(-CUTS // VICTIMS)):
            seen = len(victim.chat)
            # Cut in the middle of things: after a message or two, or at once.
            for _ in range(rng.randrange(3)):
                victim.read()
                await asyncio.sleep(rng.random() * LISTEN)
            await victim.cut()
            assert len(victim.chat) >= seen

    talking = [asyncio.create_task(talk(who)) for who in talkers]
    suffering = [suffer(victim, Noise(random.Random(noise.rng.random())).rng) for victim in victims]
    await asyncio.gather(*suffering)
    enough.set()  # whoever is cut short may still be heard after the last line
    await asyncio.gather(*talking)
    await ask(host, "chat.send", {"body": "the last line"})
    await host.until(lambda: host.of("chat.msg")[-1]["body"] == "the last line")
    control = [message["body"] for message in host.of("chat.msg")]
    for victim in victims:

        def done(victim: Victim = victim) -> bool:
            victim.read()
            return bool(victim.bodies) and victim.bodies[-1] == "the last line"

        await victim.peer.until(done, timeout=30)
        assert victim.bodies == control
    resumed = sum(victim.resumed for victim in victims)
    anew = sum(victim.started_anew for victim in victims)
    print(f"{len(control)} messages, {resumed} resumed, {anew} started anew")
    assert resumed > 0
    for peer in (*talkers, *(victim.peer for victim in victims), host):
        await peer.close()
