"""How many messages a sender may send (digest §15.5, 503): a token bucket each, for as many senders as are active."""

from __future__ import annotations

from collections import OrderedDict

__all__ = ["RateLimit"]

_MAX_SENDERS = 50_000


class RateLimit:
    """*per_s* messages a second on average, *burst* at once. Buckets that are full again are forgotten."""

    __slots__ = ("_buckets", "_burst", "_per_s")

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s = per_s
        self._burst = float(burst)
        # tokens left, at what time; the least recent first (which a plain dict would have to look for)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, sender: str, now: float) -> bool:
        """Takes one token, if there is one."""
        buckets = self._buckets
        tokens, at = buckets.get(sender, (self._burst, now))
        tokens = min(self._burst, tokens + (now - at) * self._per_s)
        is_allowed = tokens >= 1.0
        buckets[sender] = (tokens - 1.0 if is_allowed else tokens, now)
        buckets.move_to_end(sender)
        if len(buckets) > _MAX_SENDERS:
            buckets.popitem(last=False)
        return is_allowed
