"""The relay relays, loses what it should, and cuts a path for good."""

import asyncio

from tests.support.relay import relay
from tests.support.wait import until


class Echo(asyncio.DatagramProtocol):
    def __init__(self):
        self.seen = []

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.seen.append((data, address))
        self.transport.sendto(data, address)


class Client(asyncio.DatagramProtocol):
    def __init__(self):
        self.answers = []

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.answers.append(data)


async def endpoint(factory, **where):
    return (await asyncio.get_running_loop().create_datagram_endpoint(factory, **where))[1]


async def test_a_datagram_goes_there_and_back():
    """A client reaches the target through the relay and hears its answer."""
    echo = await endpoint(Echo, local_addr=("127.0.0.1", 0))
    async with relay(echo.transport.get_extra_info("sockname")[1]) as path:
        client = await endpoint(Client, remote_addr=("127.0.0.1", path.port))
        client.transport.sendto(b"hello")
        await until(lambda: client.answers == [b"hello"])


async def test_a_blocked_path_stays_dead_and_a_new_one_works():
    """After `block` the old client address is silent for ever, a new address is served."""
    echo = await endpoint(Echo, local_addr=("127.0.0.1", 0))
    async with relay(echo.transport.get_extra_info("sockname")[1]) as path:
        old = await endpoint(Client, remote_addr=("127.0.0.1", path.port))
        old.transport.sendto(b"1")
        await until(lambda: old.answers == [b"1"])
        path.block()
        old.transport.sendto(b"2")
        new = await endpoint(Client, remote_addr=("127.0.0.1", path.port))
        new.transport.sendto(b"3")
        await until(lambda: new.answers == [b"3"])
        assert old.answers == [b"1"]
        assert [data for data, _ in echo.seen] == [b"1", b"3"]


async def test_a_rebound_path_reaches_the_target_from_a_new_address():
    """After `rebind` the target sees the same client under another source port."""
    echo = await endpoint(Echo, local_addr=("127.0.0.1", 0))
    async with relay(echo.transport.get_extra_info("sockname")[1]) as path:
        client = await endpoint(Client, remote_addr=("127.0.0.1", path.port))
        client.transport.sendto(b"1")
        await until(lambda: client.answers == [b"1"])
        path.rebind()
        client.transport.sendto(b"2")
        await until(lambda: client.answers == [b"1", b"2"])
        assert len({address for _, address in echo.seen}) == 2


async def test_seeded_loss_is_the_same_every_time():
    """The same seed loses the same datagrams of the same stream."""
    arrived = []
    for _ in range(2):
        echo = await endpoint(Echo, local_addr=("127.0.0.1", 0))
        async with relay(echo.transport.get_extra_info("sockname")[1], loss=0.3, seed=7) as path:
            client = await endpoint(Client, remote_addr=("127.0.0.1", path.port))
            # Only the way there draws while the answers are held back.
            echo.datagram_received = lambda data, _, seen=echo.seen: seen.append(data)
            for number in range(50):
                client.transport.sendto(bytes([number]))
            await until(lambda path=path: path.forwarded + path.dropped == 50)
            await until(lambda path=path, echo=echo: len(echo.seen) == path.forwarded)
            arrived.append(list(echo.seen))
    assert arrived[0] == arrived[1]
    assert 20 < len(arrived[0]) < 50
