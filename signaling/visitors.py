"""Whose address counts: the peer's, or behind our own proxies the one that they name.

One function for every limit by address, over HTTP and WebSocket alike. X-Forwarded-For is believed
as far as proxies of ours wrote it: read from the right, the first address that is none of theirs.
What stands left of it comes from outside and may be made up.
"""

import ipaddress
from collections.abc import Iterable, Sequence

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Proxies:
    """The reverse proxies of this installation.

    Args:
        trusted: their addresses, or networks such as ``10.0.0.0/8``.

    Raises:
        ValueError: one is neither.
    """

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        self._networks = [ipaddress.ip_network(text, strict=False) for text in trusted]

    def trusts(self, address: str) -> bool:
        """Whether it is one of ours."""
        parsed = _parsed(address)
        return parsed is not None and any(parsed in network for network in self._networks)

    def visitor(self, peer: str, forwarded: Sequence[str]) -> str:
        """The address to count.

        Args:
            peer: who opened the connection.
            forwarded: every X-Forwarded-For line of the request, in order.
        """
        found = peer
        entries = [entry.strip() for entry in ",".join(forwarded).split(",")]
        while entries and self.trusts(found):
            named = _parsed(entries.pop())
            if named is None:
                break
            found = str(named)
        return found


def _parsed(text: str) -> _Address | None:
    """The address; an IPv4 one also where a socket for both families shows it as IPv6."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
