"""Who is counted behind reverse proxies, and that nobody else can choose their address."""

import pytest

from signaling.visitors import Proxies

OURS = Proxies(("127.0.0.1", "10.1.0.0/16", "::1"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "visitor"),
    [
        ("127.0.0.1", ["203.0.113.5"], "203.0.113.5"),
        ("127.0.0.1", ["198.51.100.1, 203.0.113.5"], "203.0.113.5"),
        ("127.0.0.1", ["198.51.100.1", "203.0.113.5"], "203.0.113.5"),
        ("127.0.0.1", ["6.6.6.6, 203.0.113.5, 10.1.2.3"], "203.0.113.5"),
        ("::1", ["2001:db8::5"], "2001:db8::5"),
        ("::ffff:127.0.0.1", ["203.0.113.5"], "203.0.113.5"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.5, unknown"], "127.0.0.1"),
        ("127.0.0.1", ["10.1.2.3"], "10.1.2.3"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("10.2.0.1", ["198.51.100.1"], "10.2.0.1"),
        ("", ["198.51.100.1"], ""),
    ],
)
def test_the_first_address_that_is_not_ours_counts(peer, forwarded, visitor):
    """Read from the right, as far as our own proxies wrote it; a stranger's header counts nothing."""
    assert OURS.visitor(peer, forwarded) == visitor


def test_without_proxies_the_header_counts_nothing():
    """The default believes nobody."""
    assert Proxies().visitor("127.0.0.1", ["203.0.113.5"]) == "127.0.0.1"


def test_what_is_no_address_is_no_proxy():
    """A name would have to be looked up, and could change."""
    with pytest.raises(ValueError, match=r"proxy\.example"):
        Proxies(("proxy.example",))
