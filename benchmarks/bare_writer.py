"""The measure of signaling fan-out: an asyncio process that only writes, to 200 sockets.

It runs as ``python -m benchmarks.bare_writer`` and prints its port. Each line ``SIZE`` on standard
input is one broadcast: so many bytes to every connection, answered with an empty line. No frame
is built, nothing is looked up, nothing is stored.
"""

import asyncio
import sys


class Receiver(asyncio.Protocol):
    """A connection that is written to."""

    def __init__(self, transports: list[asyncio.Transport]) -> None:
        self._transports = transports

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember it."""
        assert isinstance(transport, asyncio.Transport)
        self._transports.append(transport)


async def main() -> None:
    """Serve until standard input ends."""
    transports: list[asyncio.Transport] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Receiver(transports), "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while line := await orders.readline():
        data = b"x" * int(line)
        for transport in transports:
            transport.write(data)
        print(flush=True)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
