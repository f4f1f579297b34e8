"""Guests without a page: hand-made clients who fill a meeting cheaply, without picture or sound."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator

from . import client


@contextlib.asynccontextmanager
async def crowd(link: str, *names: str) -> AsyncIterator[dict[str, client.Peer]]:
    """Guests by name who come through one link, each from a device of their own, in this order."""
    async with contextlib.AsyncExitStack() as stack:
        peers: dict[str, client.Peer] = {}
        for name in names:
            peer = await client.enter(
                link, name=name, device=secrets.token_urlsafe(16), wait_for_snapshot=False
            )
            stack.push_async_callback(_away, peer)
            peers[name] = peer
        yield peers


async def leave(peer: client.Peer) -> None:
    """Leave in good order, as the button does."""
    await peer.ask("leave")
    await peer.close()


async def _away(peer: client.Peer) -> None:
    async with asyncio.timeout(10):
        await peer.close()
