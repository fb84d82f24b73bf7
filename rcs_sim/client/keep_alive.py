"""Keep-alive of a registered flow (RFC 5626 §4.4, RFC 6223): when to ping, and when the flow has failed."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

__all__ = ["FlowCheck", "KeepAliveTimer"]

PONG_WITHIN_S = 10.0  # RFC 5626 §4.4.1


class FlowCheck(Enum):
    PING = auto()  # send CRLF CRLF
    FAILED = auto()  # no pong came: the flow is dead


class KeepAliveTimer:
    """Pings every *interval_s*, which the neighbour gave, at 80 to 100 % of it (RFC 5626 §4.4)."""

    __slots__ = ("_deadline", "_interval_s", "_is_waiting", "_uniform")

    def __init__(self, interval_s: float, uniform: Callable[[float, float], float], now: float) -> None:
        self._interval_s = interval_s
        self._uniform = uniform
        self._is_waiting = False
        self._deadline = self._next(now)

    def pong(self, now: float) -> None:
        """The other end is alive."""
        self._is_waiting = False
        self._deadline = self._next(now)

    def next_deadline(self) -> float:
        return self._deadline

    def handle_deadline(self, now: float) -> FlowCheck | None:
        if now < self._deadline:
            return None
        if self._is_waiting:
            return FlowCheck.FAILED
        self._is_waiting = True
        self._deadline = now + PONG_WITHIN_S
        return FlowCheck.PING

    def _next(self, now: float) -> float:
        return now + self._uniform(0.8 * self._interval_s, self._interval_s)
