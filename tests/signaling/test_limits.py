"""Buckets and caps, with time as an argument."""

import pytest

from signaling.limits import AddressLimiter, AnonymousSockets, TokenBucket


def test_a_bucket_gives_its_burst_and_then_its_rate():
    """After the burst, one token comes back each 1/rate seconds; the wait is told."""
    bucket = TokenBucket.full(2.0, 3.0, now=0.0)
    assert [bucket.take(0.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert bucket.take(0.0) == pytest.approx(0.5)
    assert bucket.take(0.5) == 0.0
    assert bucket.take(0.5) == pytest.approx(0.5)


def test_who_asks_how_long_to_wait_takes_nothing():
    """Of a bucket, and of an address that nobody has seen."""
    bucket, limiter = TokenBucket.full(2.0, 1.0, now=0.0), AddressLimiter(2.0, 1.0)
    for _ in range(3):
        assert bucket.wait(0.0) == 0.0
        assert limiter.wait("a", 0.0) == 0.0
    assert bucket.take(0.0) == limiter.take("a", 0.0) == 0.0
    assert bucket.wait(0.0) == limiter.wait("a", 0.0) == pytest.approx(0.5)


def test_a_bucket_never_holds_more_than_its_burst():
    """A long silence earns no more than one burst."""
    bucket = TokenBucket.full(1.0, 2.0, now=0.0)
    assert bucket.take(1000.0, 2.0) == 0.0
    assert bucket.take(1000.0) > 0.0


def test_time_that_goes_back_gives_nothing():
    """An earlier time than before counts as that one."""
    bucket = TokenBucket.full(1.0, 1.0, now=10.0)
    assert bucket.take(10.0) == 0.0
    assert bucket.take(5.0) > 0.0
    assert bucket.take(10.5) == pytest.approx(0.5)


def test_addresses_are_limited_apart_and_forgotten_when_too_many():
    """One address cannot use up another's; the longest unseen is forgotten."""
    limiter = AddressLimiter(1.0, 1.0, capacity=2)
    assert limiter.take("a", 0.0) == 0.0
    assert limiter.take("b", 0.0) == 0.0
    assert limiter.take("a", 0.0) > 0.0
    assert limiter.take("c", 0.0) == 0.0  # b is forgotten: it was seen longest ago
    assert limiter.take("b", 0.0) == 0.0


def test_the_longest_silent_socket_gives_way():
    """Of the newcomer's address above its cap, of all above theirs; a touched one is not silent."""
    dropped = []
    sockets = AnonymousSockets(per_address=2, total=3)

    def enter(address, name):
        return sockets.enter(address, lambda: dropped.append(name))

    first, second, third = enter("a", "first"), enter("b", "second"), enter("a", "third")
    enter("a", "fourth")
    assert dropped == ["first"]
    second.touch()
    enter(None, "a proxy's")
    assert dropped == ["first", "third"]
    assert (sockets.count, sockets.dropped) == (3, 2)
    for place in (first, third, second, second):
        place.release()
    assert sockets.count == 2
    third.touch()  # of one that is gone, it means nothing
    enter("a", "fifth")
    assert sockets.count == 3
    assert dropped == ["first", "third"]


def test_a_host_with_a_whole_ipv6_network_is_one_visitor():
    """Every address of a /64 takes from one bucket and from one count; IPv4 counts by address."""
    limiter = AddressLimiter(1.0, 1.0)
    assert limiter.take("2001:db8:1:2::1", 0.0) == 0.0
    assert limiter.take("2001:db8:1:2:ffff::9", 0.0) > 0.0
    assert limiter.take("2001:db8:1:3::1", 0.0) == 0.0
    assert limiter.take("::ffff:192.0.2.1", 0.0) == 0.0
    assert limiter.take("192.0.2.1", 0.0) > 0.0
    assert limiter.take("192.0.2.2", 0.0) == 0.0
    assert limiter.take("2001:db8:1:2::77", 0.0) > 0.0
    assert limiter.take("2001:db8:1:2::1", 0.0, to="a room") == 0.0
    assert limiter.take("2001:db8:1:2::2", 0.0, to="a room") > 0.0
    assert limiter.take("2001:db8:1:2::2", 0.0, to="another") == 0.0
    sockets = AnonymousSockets(per_address=1, total=9)
    dropped = []
    sockets.enter("fe80::1%eth0", lambda: dropped.append("first"))
    sockets.enter("fe80::2", lambda: dropped.append("second"))
    assert dropped == ["first"]
