"""Ports for servers that tests start: free now, and still free when the server binds them.

Clients bind ports of the kernel's own choice by the hundred (RFC 6056's ephemeral ports), so one that
it would give away is another's a moment later. These lie below its range where that is Linux's own (from
32768), and processes that test side by side begin to look in different places.
"""

import itertools
import os
import socket
from typing import Final

FIRST: Final = 12_000
COUNT: Final = 20_000
APART: Final = 128
"""Ports that a process may take before it comes to where the next one began."""

_offsets = itertools.count(os.getpid() * APART)


def free_port() -> int:
    """A port that nobody has bound, neither for TCP nor for UDP, on any address of IPv4."""
    for offset in itertools.islice(_offsets, COUNT):
        port = FIRST + offset % COUNT
        if all(_is_free(kind, port) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)):
            return port
    raise RuntimeError("no port is free")


def _is_free(kind: socket.SocketKind, port: int) -> bool:
    with socket.socket(type=kind) as probe:
        if kind is socket.SOCK_STREAM:  # as servers do: what a connection left behind is free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
