"""Chromium through the media shell and the compiled engine: slots, layers, loss, blocking."""

from tests.support.chromium import chromium
from tests.support.media_lab import media_lab
from tests.support.peers import ChromiumPeer, closing
from tests.support.wait import until


async def test_two_pages_see_and_hear_each_other() -> None:
    """One audio and one video are forwarded each way, on the slots that were bound."""
    async with media_lab() as lab, chromium() as browser:
        ana, bo = [await ChromiumPeer.open(browser, name) for name in ("ana", "bo")]
        async with closing(ana, bo):
            await ana.publish(colour="#c82020", tone=440)
            await bo.publish(colour="#2020c8", tone=1000)
            for peer in (ana, bo):
                await peer.receive(audio=3, video=2)
            first, second = await lab.join(ana), await lab.join(bo)
            lab.bind(first, "video-1", second)
            lab.bind(second, "video-0", first)

            async def flowing() -> bool:
                return (
                    len(await ana.frames("video-1")) > 10 and len(await bo.frames("video-0")) > 10
                )

            await until(flowing, timeout=20, every=0.1)
            assert (await ana.frames("video-1"))[-1][3] > 150
            assert (await bo.frames("video-0"))[-1][1] > 150
