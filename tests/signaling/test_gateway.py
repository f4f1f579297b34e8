"""What the gateway counts and logs over the lives of its connections, and what it does not take."""

import asyncio
import logging

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Request

from rooms.ids import EPHEMERAL
from signaling import connection
from signaling.clock import SystemClock
from signaling.envelope import Encoded, Event
from signaling.errors import CloseCode, RequestError
from signaling.gateway import Gateway
from signaling.limits import MAX_IN_FLIGHT
from signaling.outbox import EPHEMERAL_BYTES
from tests.support.wait import until


class Door:
    """Lets everybody in, says nothing, and holds requests until told."""

    def __init__(self):
        self.entered = 0
        self.asked = 0
        self.may_end = asyncio.Semaphore(0)

    async def enter(self, client, hello):
        self.entered += 1
        client.connection.accepted(0.0)

    async def perform(self, client, request):
        self.asked += 1
        await self.may_end.acquire()

    def heard(self, client):
        pass

    def lost(self, client):
        pass


class Place:
    """A place among sockets that are nobody's, and whether it was given back."""

    released = False

    def release(self):
        self.released = True


class Socket:
    """A client that says hello, reads nothing, and goes when told."""

    subprotocol = "sunup.v1.json"

    def __init__(self, *frames):
        self.place = Place()
        self._frames = list(frames)
        self.transport = self
        self.gone = asyncio.Event()
        self.code = None

    def get_write_buffer_size(self):
        return EPHEMERAL_BYTES

    async def send(self, _data, text):
        await self.gone.wait()

    async def close(self, code, _reason):
        self.code = code
        self.gone.set()

    def __aiter__(self):
        return self

    async def __anext__(self):
        await asyncio.sleep(0)  # others run between two frames
        if self._frames:
            return self._frames.pop(0)
        await self.gone.wait()
        raise StopAsyncIteration


def hello(client):
    told = f', "client": "{client}"' if client else ""
    return f'{{"id": "1", "m": "hello", "p": {{"proto": 1, "token": "t"{told}}}}}'


async def test_shed_frames_are_counted_also_when_their_client_has_gone():
    """The total only rises."""
    gateway = Gateway(Door(), SystemClock())
    for done in (1, 2):
        socket = Socket(hello(None))
        task = asyncio.create_task(gateway.handle(socket))
        (client,) = await until(lambda: gateway.clients)
        client.send_frame(Event("room", 1, "chat.msg", "", None, {}, 1))
        client.send(Encoded(Event(EPHEMERAL, 1, "speakers", "", None, {})))
        assert gateway.shed == done
        socket.gone.set()
        await task
        assert gateway.clients == set()
        assert gateway.shed == done


async def test_a_hello_logs_what_client_it_is(caplog):
    """Name and version for the server's log, as the protocol says; and no more of the hello."""
    caplog.set_level(logging.INFO, "sunup.gateway")
    door = Door()
    gateway = Gateway(door, SystemClock())
    for told in ("sunup-web 1.0", None):
        socket = Socket(hello(told))
        task = asyncio.create_task(gateway.handle(socket))
        before = door.entered
        await until(lambda before=before: door.entered > before)
        socket.gone.set()
        await task
    assert [(entry.message, entry.client) for entry in caplog.records] == [
        ("hello", "sunup-web 1.0"),
        ("hello", "unnamed"),
    ]


@pytest.mark.parametrize("error", [None, RequestError("full")])
async def test_who_is_let_in_is_no_stranger_any_more(monkeypatch, error):
    """The place among those who said nothing yet is given back then; not to who is refused."""
    door = Door()
    enter = door.enter

    async def opened(client, hello):
        if error:
            raise error
        await enter(client, hello)

    monkeypatch.setattr(door, "enter", opened)
    socket = Socket(hello(None))
    task = asyncio.create_task(Gateway(door, SystemClock()).handle(socket))
    await until(lambda: socket.place.released or socket.code)
    assert socket.place.released is (error is None)
    socket.gone.set()
    await task


async def test_who_never_says_hello_is_let_go(monkeypatch):
    """The gateway itself watches the time: a silent client sends nothing that would remind it."""
    monkeypatch.setattr(connection, "HELLO_TIMEOUT", 0.05)
    gateway = Gateway(Door(), SystemClock())
    socket = Socket()
    await asyncio.wait_for(gateway.handle(socket), 30)
    assert socket.code is CloseCode.TIMEOUT
    assert gateway.clients == set()


class SlowSocket(Socket):
    """Takes a while for each frame, and keeps them."""

    def __init__(self, *frames):
        super().__init__(*frames)
        self.sent = []

    async def send(self, data, text):
        await asyncio.sleep(0.02)
        self.sent.append((data, self.code))


async def test_what_waited_goes_out_before_the_server_hangs_up():
    """A client that reads slowly still gets the last word: here it broke the protocol."""
    door = Door()
    gateway = Gateway(door, SystemClock())

    async def enter(client, _hello):
        client.connection.accepted(0.0)
        for number in (1, 2):
            client.send_frame(Event("room", 1, "chat.msg", "", None, {}, number))

    door.enter = enter
    socket = SlowSocket(hello(None), hello(None))
    await gateway.handle(socket)
    assert [code for _, code in socket.sent] == [None, None]
    assert socket.code is CloseCode.PROTOCOL


async def all_that_can_run():
    """Let every task go on until it waits for something that is not there."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_one_connections_requests_are_held_in_bounded_number():
    """Above the cap the next one waits in the socket until one has its answer."""
    door = Door()
    more = 5
    frames = [f'{{"id": "{n}", "m": "chat.page", "p": {{}}}}' for n in range(MAX_IN_FLIGHT + more)]
    socket = Socket(hello(None), *frames)
    task = asyncio.create_task(Gateway(door, SystemClock()).handle(socket))
    await until(lambda: door.asked >= MAX_IN_FLIGHT)
    for ended in range(more + 1):
        await all_that_can_run()
        assert door.asked == MAX_IN_FLIGHT + ended
        door.may_end.release()
    for _ in frames:
        door.may_end.release()
    socket.gone.set()
    await asyncio.wait_for(task, 30)


class Upgrade:
    """A request for a WebSocket whose answer is its status."""

    def respond(self, status, _text):
        return status


@pytest.mark.parametrize(
    ("origins", "status"),
    [
        (["https://crm.example"], None),
        (["https://other.example"], 403),
        (["https://crm.example", "https://crm.example"], 403),
        (["https://crm.example", "https://other.example"], 403),
    ],
)
def test_an_upgrade_has_one_origin_at_the_most(origins, status):
    """Of two nobody knows which one the browser meant, whatever the first of them says."""
    headers = Headers([("Host", "crm.example"), ("Sec-WebSocket-Protocol", Socket.subprotocol)])
    for origin in origins:
        headers["Origin"] = origin
    gateway = Gateway(Door(), SystemClock())
    assert gateway.accept(Upgrade(), Request("/ws", headers)) == status


@pytest.mark.parametrize("hosts", [[], ["crm.example", "crm.example"], ["crm.example", "other"]])
def test_an_upgrade_has_one_host(hosts):
    """Without one, or with two, the request is bad (RFC 9112 section 3.2)."""
    headers = Headers([("Sec-WebSocket-Protocol", Socket.subprotocol)])
    for host in hosts:
        headers["Host"] = host
    gateway = Gateway(Door(), SystemClock())
    assert gateway.accept(Upgrade(), Request("/ws", headers)) == 400
