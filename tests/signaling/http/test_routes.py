"""What goes round all handlers: requests begin in turn, and who hung up is passed over."""

import asyncio

from aiohttp import web
from aiohttp.test_utils import TestClient

from signaling.http.routes import make_application
from signaling.visitors import Proxies
from storage.turns import Turns
from tests.signaling.http.rest.support import Server
from tests.support.wait import until

ONE, OTHER = "203.0.113.1", "203.0.113.2"


async def test_requests_begin_in_turn_visitors_in_rotation():
    """However many somebody has under way, another's is next but one."""
    turns, begun = Turns(), []

    async def here(request):
        begun.append(request.query["who"])
        return web.Response()

    application = make_application(Proxies(["127.0.0.1"]), [], turns)
    application.router.add_get("/", here)
    async with TestClient(Server(application)) as http:

        async def ask(who):
            async with http.get("/", params={"who": who}, headers={"X-Forwarded-For": who}):
                pass

        async with turns.take("somebody"):
            asked = []
            for who in (ONE, ONE, ONE, OTHER):
                asked.append(asyncio.create_task(ask(who)))
                await until(lambda: turns.waiting() == len(asked))
            gone = asyncio.create_task(ask("198.51.100.1"))
            await until(lambda: turns.waiting() == 5)
            gone.cancel()
            connections = http.server.runner.server.connections
            await until(lambda: any(each.transport is None for each in connections))
            assert begun == []
        await asyncio.wait_for(asyncio.gather(*asked), 10)
        assert begun == [ONE, OTHER, ONE, ONE]


async def test_one_begins_in_each_pass_of_the_loop():
    """A commit takes a dozen passes: in none of them it waits for all requests there are."""
    turns, begun, passes = Turns(pauses=True), [], 0

    async def here(_request):
        begun.append(passes)
        return web.Response()

    async def count():
        nonlocal passes
        while True:
            passes += 1
            await asyncio.sleep(0)

    application = make_application(Proxies([]), [], turns)
    application.router.add_get("/", here)
    async with TestClient(Server(application)) as http:

        async def ask():
            async with http.get("/"):
                pass

        counting = asyncio.create_task(count())
        async with turns.take("somebody"):
            asked = [asyncio.create_task(ask()) for _ in range(20)]
            await until(lambda: turns.waiting() == 20)
        await asyncio.wait_for(asyncio.gather(*asked), 10)
        counting.cancel()
    assert len(set(begun)) == 20
