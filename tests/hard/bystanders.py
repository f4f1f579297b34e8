"""Two well-behaved people in a meeting of their own, while somebody attacks the server.

They talk and chat all the time. A storm may slow nobody down so far that a request fails, a
message is lost or comes twice, a connection ends, or the sound stops; it may leave no traceback
in the log, and no memory behind. `weathering` is the storm's shelter: everything is checked when
its block ends, and then a new meeting is held from booking to end.
"""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.support import client
from tests.support.api import Api
from tests.support.peers import AiortcPeer
from tests.support.server import Server
from tests.support.wait import until

MEMORY_GROWTH = 64 * 2**20
"""T15 of the test catalogue: what a storm may leave behind."""
PATIENCE = 60.0
SPEAKING_EVERY = 1.0
SLOTS = {"audio": 1}
GUEST_DEVICE = "bystander-guest-device"
HOST_DEVICE = "bystander-host-device"
T = TypeVar("T")
_numbers = itertools.count(1)


@dataclass
class Bystanders:
    """A consultation under way: the host is heard by the guest."""

    host: client.Peer
    guest: client.Peer
    media: list[AiortcPeer]
    said: list[str] = field(default_factory=list)

    @property
    def heard(self) -> int:
        """Audio frames that the guest has decoded."""
        return self.media[1].counts["audio-0"]

    async def talk(self) -> None:
        """Chat for ever; a refusal or a lost connection ends the test."""
        while True:
            self.said.append(f"line {len(self.said)}")
            await ask(self.host, "chat.send", {"body": self.said[-1]})
            await ask(self.guest, "hand.set", {"up": False})
            await asyncio.sleep(SPEAKING_EVERY)

    async def close(self) -> None:
        """Leave."""
        for peer in (*self.media, self.host, self.guest):
            await peer.close()


def resident_bytes(server: Server) -> int:
    """Memory of the server's process."""
    assert server.process
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * 4096


async def patiently(attempt: Callable[[], Awaitable[T]]) -> T:
    """Do as the server says when it asks to come again: a disk may be busy with something else."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await attempt()
            except client.RefusedError as refused:
                if refused.err.get("code") not in {"unavailable", "rate"}:
                    raise
                await asyncio.sleep(refused.err.get("retry_ms", 200) / 1000)


async def ask(who: client.Peer, method: str, params: dict[str, Any]) -> dict[str, Any]:
    """A request as a good client makes it: repeated with its id."""
    request_id = f"good{next(_numbers)}"
    return await patiently(lambda: who.ask(method, params, request_id=request_id, timeout=30))


async def enter(link: str, **how: Any) -> client.Peer:
    """`client.enter`, as often as it takes."""
    return await patiently(lambda: client.enter(link, **how))


async def hold(server: Server, **how: Any) -> tuple[dict[str, Any], client.Peer, client.Peer]:
    """Book a consultation, enter it, admit the customer; (booking, host, guest)."""
    booking = await Api(server.url, server.dev["api_key"]).book(**how)
    host = await enter(booking["host_url"], device=HOST_DEVICE)
    guest = await enter(
        booking["guest_url"], name="Jane Doe", device=GUEST_DEVICE, wait_for_snapshot=False
    )
    if guest.hello_reply["state"] == "waiting":
        await ask(host, "lobby.admit", {"ids": [guest.id]})
    await guest.until(lambda: guest.of("snapshot") and "roster" in guest.snapshot)
    return booking, host, guest


async def offer(who: client.Peer, media: AiortcPeer) -> dict[str, Any]:
    """Negotiate as the web client does."""
    sdp, labels = await media.offer()
    tracks = [
        {"mid": mid, "source": label} for mid, label in labels.items() if label in {"mic", "camera"}
    ]
    slots = [
        {"mid": mid, "kind": label.partition("-")[0]}
        for mid, label in labels.items()
        if label not in {"mic", "camera"}
    ]
    answer = await ask(who, "media.offer", {"sdp": sdp, "tracks": tracks, "slots": slots})
    await media.accept(answer["p"]["sdp"])
    return answer


async def meet(server: Server) -> Bystanders:
    """A meeting in which the guest hears the host."""
    _, host, guest = await hold(server)
    speaker, listener = AiortcPeer("host"), AiortcPeer("guest")
    speaker.publish(tone=440.0)
    listener.receive(**SLOTS)
    people = Bystanders(host, guest, [speaker, listener])
    await offer(host, speaker)
    await ask(host, "track.set", {"source": "mic", "on": True})
    await offer(guest, listener)
    await until(lambda: people.heard >= 10, timeout=30)
    return people


@contextlib.asynccontextmanager
async def weathering(server: Server) -> AsyncIterator[Bystanders]:
    """Run a storm beside a meeting, then check that nothing happened to anybody."""
    people = await meet(server)
    before = resident_bytes(server)
    talking = asyncio.create_task(people.talk())
    try:
        yield people
        await asyncio.sleep(0)
        if talking.done():
            talking.result()
        heard = people.heard
        await until(lambda: people.heard >= heard + 10, timeout=30)
    finally:
        talking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await talking
    growth = resident_bytes(server) - before
    print(f"the server's memory grew by {growth / 2**20:.1f} MiB")
    assert growth < MEMORY_GROWTH
    await ask(people.host, "chat.send", {"body": "the last line"})
    await people.guest.until(lambda: "the last line" in bodies(people.guest), timeout=30)
    assert bodies(people.guest) == [*people.said[: len(bodies(people.guest)) - 1], "the last line"]
    assert people.host.close_code is None
    assert people.guest.close_code is None
    await people.close()
    await a_meeting_can_be_held(server)
    assert not server.traceback, server.traceback


def bodies(peer: client.Peer) -> list[str]:
    """What a peer has read in the chat, in order."""
    return [message["body"] for message in peer.of("chat.msg")]


async def a_meeting_can_be_held(server: Server) -> None:
    """Booking, waiting room, admission, chat, media answer, end."""
    booking, host, guest = await hold(server)
    await ask(guest, "chat.send", {"body": "hello"})
    await host.until(lambda: bodies(host) == ["hello"])
    media = AiortcPeer("host")
    media.publish(tone=330.0)
    await offer(host, media)
    await until(lambda: media.pc.connectionState == "connected", timeout=30)
    await ask(host, "room.end", {})
    assert await guest.closed() == 4410
    await media.close()
    await host.close()
    await guest.close()
    api = Api(server.url, server.dev["api_key"])

    async def status() -> str:
        return (await api.get(f"/v1/appointments/{booking['id']}"))["status"]

    async def completed() -> bool:
        return await status() == "completed"

    await until(completed)
