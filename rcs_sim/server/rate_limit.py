"""How many messages a sender may send (digest §15.5, 503): a token bucket each, for as many senders as are active."""

from __future__ import annotations

__all__ = ["RateLimit"]

_MAX_SENDERS = 50_000


class RateLimit:
    """*per_s* messages a second on average, *burst* at once. Buckets that are full again are forgotten."""

    __slots__ = ("_buckets", "_burst", "_per_s")

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s = per_s
        self._burst = float(burst)
        self._buckets: dict[str, tuple[float, float]] = {}  # tokens left, at what time; the least recent first

    def allows(self, sender: str, now: float) -> bool:
        """Takes one token, if there is one."""
        tokens, at = self._buckets.pop(sender, (self._burst, now))
        tokens = min(self._burst, tokens + (now - at) * self._per_s)
        is_allowed = tokens >= 1.0
        self._buckets[sender] = (tokens - 1.0 if is_allowed else tokens, now)
        if len(self._buckets) > _MAX_SENDERS:
            del self._buckets[next(iter(self._buckets))]
        return is_allowed
