"""What the gateway counts over the lives of its connections, and what it logs of a hello."""

import asyncio
import logging

from rooms.ids import EPHEMERAL
from signaling.clock import SystemClock
from signaling.envelope import Encoded, Event
from signaling.gateway import Gateway
from signaling.outbox import EPHEMERAL_BYTES
from tests.support.wait import until


class Door:
    """Lets everybody in and says nothing."""

    def __init__(self):
        self.entered = 0

    async def enter(self, client, hello):
        self.entered += 1
        client.connection.accepted(0.0)

    def heard(self, client):
        pass

    def lost(self, client):
        pass


class Slot:
    """A place that is free."""

    def release(self):
        pass


class Socket:
    """A client that says hello, reads nothing, and goes when told."""

    subprotocol = "sunup.v1.json"
    slot = Slot()

    def __init__(self, *frames):
        self._frames = list(frames)
        self.transport = self
        self.gone = asyncio.Event()

    def get_write_buffer_size(self):
        return EPHEMERAL_BYTES

    async def send(self, _data, text):
        await self.gone.wait()

    async def close(self, _code, _reason):
        self.gone.set()

    def __aiter__(self):
        return self

    async def __anext__(self):
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
