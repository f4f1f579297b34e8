"""What a peer may cost the event loop, as time goes by."""


class Budget:
    """`burst` at once, then `rate` per second; one charge may overdraw it, and is waited off.

    Args:
        rate: what comes back per second.
        burst: what there is at first, and at most.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self.rate = rate
        self.burst = burst
        self.left = burst
        self._counted_at = 0.0

    def allows(self, now: float) -> bool:
        """Whether anything is left at `now`, in seconds of any clock that does not go back."""
        self.left = min(self.burst, self.left + (now - self._counted_at) * self.rate)
        self._counted_at = now
        return self.left > 0

    def charge(self, amount: float) -> None:
        """Take what something cost."""
        self.left -= amount
