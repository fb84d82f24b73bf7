"""What the autoconfiguration server keeps between the requests of one client: cookies, one-time passwords, rates."""

from __future__ import annotations

import hmac
from enum import Enum, auto

from ims_core.transport.tokens import Tokens
from rcs_sim.server.config_exchange import ConfigQuery

__all__ = ["ConfigSession", "ConfigSessions", "OtpResult", "RateLimit"]

MAX_SESSIONS = 20_000  # about 10 MB; more clients than that are not half-way through a configuration at once
MAX_RATED_KEYS = 20_000


class OtpResult(Enum):
    """Outcome of a one-time password."""

    RIGHT = auto()
    WRONG = auto()
    EXHAUSTED = auto()  # wrong for the last time


class ConfigSession:
    """One client between its first request, whose parameters it keeps, and the document. *code* is "" where the network
    vouched for the number."""

    __slots__ = ("code", "cookie", "expires_at", "is_authenticated", "msisdn", "query", "tries_left")

    def __init__(self, cookie: str, msisdn: str, expires_at: float, query: ConfigQuery, code: str, tries: int) -> None:
        self.cookie = cookie
        self.msisdn = msisdn
        self.expires_at = expires_at
        self.code = code
        self.tries_left = tries
        self.query = query
        self.is_authenticated = not code

    def try_code(self, code: str) -> OtpResult:
        """Compares in constant time. A right code stays right, so that a lost answer can be asked for again."""
        if not self.code:
            return OtpResult.WRONG
        if (
            self.code
            and self.tries_left > 0
            and hmac.compare_digest(self.code.encode(), code.encode("utf-8", "replace"))
        ):
            self.is_authenticated = True
            return OtpResult.RIGHT
        self.tries_left -= 1
        return OtpResult.WRONG if self.tries_left > 0 else OtpResult.EXHAUSTED


class ConfigSessions:
    """Sessions by cookie, all with the same lifetime; the oldest give way when there are too many."""

    __slots__ = ("_by_cookie", "_lifetime_s", "_tokens")

    def __init__(self, tokens: Tokens, lifetime_s: float) -> None:
        self._tokens = tokens
        self._lifetime_s = lifetime_s
        self._by_cookie: dict[str, ConfigSession] = {}

    def open(self, msisdn: str, now: float, query: ConfigQuery, *, code: str = "", tries: int = 0) -> ConfigSession:
        self._drop_old(now)
        session = ConfigSession(self._tokens.octets(16).hex(), msisdn, now + self._lifetime_s, query, code, tries)
        self._by_cookie[session.cookie] = session
        return session

    def find(self, cookie: str | None, now: float) -> ConfigSession | None:
        """The living session of *cookie*."""
        session = self._by_cookie.get(cookie) if cookie else None
        return session if session is not None and now < session.expires_at else None

    def close(self, session: ConfigSession) -> None:
        self._by_cookie.pop(session.cookie, None)

    def __len__(self) -> int:
        return len(self._by_cookie)

    def _drop_old(self, now: float) -> None:
        while self._by_cookie:
            oldest = next(iter(self._by_cookie.values()))
            if now < oldest.expires_at and len(self._by_cookie) < MAX_SESSIONS:
                return
            del self._by_cookie[oldest.cookie]


class RateLimit:
    """At most *count* events of one key in any *window_s* seconds."""

    __slots__ = ("_count", "_times", "_window_s")

    def __init__(self, count: int, window_s: float) -> None:
        self._count = count
        self._window_s = window_s
        self._times: dict[str, list[float]] = {}

    def wait_s(self, key: str, now: float) -> float:
        """Counts an event and returns 0, or, without counting, the seconds until the next one is allowed."""
        times = [each for each in self._times.pop(key, ()) if each > now - self._window_s]
        self._times[key] = times  # the most recently used stand last
        if len(self._times) > MAX_RATED_KEYS:
            del self._times[next(iter(self._times))]
        if len(times) >= self._count:
            return times[0] + self._window_s - now
        times.append(now)
        return 0.0
