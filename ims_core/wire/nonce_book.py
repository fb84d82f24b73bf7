"""The nonces that a server has given out, and how often each was used (RFC 7616 §3.3, §5.4, §5.5)."""

from __future__ import annotations

import enum
import math
from collections import OrderedDict
from typing import Final

from ims_core.errors import LocalProtocolError

__all__ = ["NonceBook", "NonceVerdict"]

MIN_NONCE_OCTETS: Final = 8  # fewer could be guessed
NONCE_LIFE_S: Final = 240.0  # TS 24.229 §5.4.1.2.1: reg-await-auth
_LOOKED_EVERY_S: Final = 1.0
_WINDOW: Final = 64  # how far behind the highest nc one is still told from a replay: concurrent requests overtake


class NonceVerdict(enum.Enum):
    """What became of a nonce count. All but ACCEPTED is answered with ``stale=true`` and a new nonce."""

    ACCEPTED = "accepted"
    REPLAYED = "replayed"
    UNKNOWN = "unknown"  # never given out, too old, or forgotten because there were too many

    @property
    def is_stale(self) -> bool:
        return self is not NonceVerdict.ACCEPTED


class _Use:
    """Which nonce counts were seen: the highest, and a bit for each of those just below."""

    __slots__ = ("expires_at", "highest", "seen")

    def __init__(self, expires_at: float, highest: int) -> None:
        self.expires_at = expires_at
        self.highest = highest
        self.seen = 1

    def take(self, count: int) -> bool:
        """False if *count* was seen before, or is too far behind to tell."""
        ahead = count - self.highest
        if ahead > 0:
            self.seen = ((self.seen << ahead) if ahead < _WINDOW else 0) & ((1 << _WINDOW) - 1) | 1
            self.highest = count
            return True
        if -ahead >= _WINDOW or self.seen >> -ahead & 1:
            return False
        self.seen |= 1 << -ahead
        return True


class NonceBook:
    """Nonces of one server.

    A nonce lives *life_s* seconds until its first use, then *used_life_s* seconds (by default as many) from its last
    use. Those never used cannot push out those in use, so a flood of challenges costs no user his next request.
    At most *capacity* of either sort are remembered; the oldest are forgotten first.
    """

    __slots__ = ("_capacity", "_fresh", "_life_s", "_next_look", "_used", "_used_life_s")

    def __init__(
        self, *, life_s: float = NONCE_LIFE_S, used_life_s: float | None = None, capacity: int = 100_000
    ) -> None:
        self._life_s = life_s
        self._used_life_s = life_s if used_life_s is None else used_life_s
        self._capacity = capacity
        self._next_look = -math.inf
        self._fresh: OrderedDict[str, float] = OrderedDict()
        self._used: OrderedDict[str, _Use] = OrderedDict()

    def __len__(self) -> int:
        return len(self._fresh) + len(self._used)

    def issue(self, now: float, octets: bytes) -> str:
        """A new nonce out of random *octets*, in hexadecimal."""
        if len(octets) < MIN_NONCE_OCTETS:
            raise LocalProtocolError(f"a nonce needs {MIN_NONCE_OCTETS} random octets", spec="RFC 7616 §5.4")
        nonce = octets.hex()
        self.add(nonce, now)
        return nonce

    def add(self, nonce: str, now: float) -> None:
        """Remembers a nonce made elsewhere, such as that of an AKA challenge."""
        fresh = self._fresh
        if now >= self._next_look:
            self._forget_expired(now)
        if nonce in fresh:
            fresh.move_to_end(nonce)
        fresh[nonce] = now + self._life_s
        if len(fresh) > self._capacity:
            fresh.popitem(last=False)

    def use(self, nonce: str, count: int | None, now: float) -> NonceVerdict:
        """Takes note of *nonce* with the nonce *count* of a request whose response was found right.

        Without a count (no qop) a replay looks like a new request, so such a nonce is good for one request (choice).
        """
        use = self._used.get(nonce)
        if use is not None and use.expires_at > now:
            return self._use_again(nonce, use, count, now)
        if self._fresh.pop(nonce, 0.0) <= now:
            return NonceVerdict.UNKNOWN
        self._used[nonce] = _Use(now + self._used_life_s, 0 if count is None else count)
        if len(self._used) > self._capacity:
            self._used.popitem(last=False)
        return NonceVerdict.ACCEPTED

    def _use_again(self, nonce: str, use: _Use, count: int | None, now: float) -> NonceVerdict:
        if count is None or not use.take(count):
            return NonceVerdict.REPLAYED
        use.expires_at = now + self._used_life_s
        self._used.move_to_end(nonce)
        return NonceVerdict.ACCEPTED

    def _forget_expired(self, now: float) -> None:
        """At most once a second: what has expired counts for nothing, it only takes room."""
        self._next_look = now + _LOOKED_EVERY_S
        while self._fresh and next(iter(self._fresh.values())) <= now:
            self._fresh.popitem(last=False)
        while self._used and next(iter(self._used.values())).expires_at <= now:
            self._used.popitem(last=False)
