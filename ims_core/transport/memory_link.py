"""How a link between two hosts of the in-memory world behaves, and the one queue from which its octets arrive."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ims_core.errors import LocalProtocolError
from ims_core.transport.tokens import Tokens

__all__ = ["STREAM_GIVES_UP_AFTER_S", "DeliveryQueue", "LinkProfile", "Path"]

STREAM_GIVES_UP_AFTER_S = 30.0
"""A TCP connection whose link is down for longer than this is closed at both ends (choice; RFC 9293 §3.8.3 R2)."""
_FIRST_RETRANSMISSION_S = 0.2  # smallest retransmission time-out in common use; doubles with each loss in a row
_REORDER_HOLD_S = 0.02  # an overtaken datagram is at least this late, so that reordering shows on a fast link too


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkProfile:
    """One direction of a link. Probabilities are from 0 to 1; loss costs a stream time, and a datagram its life."""

    latency_s: float = 0.0
    jitter_s: float = 0.0
    loss: float = 0.0
    reorder: float = 0.0
    duplicate: float = 0.0
    bandwidth_octets_per_s: float | None = None
    is_up: bool = True

    def __post_init__(self) -> None:
        probabilities = (self.loss, self.reorder, self.duplicate)
        if not all(0 <= value <= 1 for value in probabilities) or self.latency_s < 0 or self.jitter_s < 0:
            raise LocalProtocolError(f"impossible link: {self}", spec="LinkProfile")
        if self.bandwidth_octets_per_s is not None and self.bandwidth_octets_per_s <= 0:
            raise LocalProtocolError("a link without any bandwidth is is_up=False", spec="LinkProfile")

    @property
    def is_random(self) -> bool:
        return bool(self.jitter_s or self.loss or self.reorder or self.duplicate)


class Path:
    """One direction between two hosts: its profile now, and when its line is free again (loop time)."""

    __slots__ = (
        "_first",
        "_free_at",
        "_more",
        "_tokens",
        "is_up",
        "profile",
        "source",
        "target",
        "times_down",
    )

    def __init__(self, source: str, target: str) -> None:
        self.source, self.target = source, target
        self.profile = LinkProfile()
        self.is_up = True
        self.times_down = 0
        self._first: Any = None  # of the stream ends that send this way; between most hosts there is one at most
        self._more: dict[Any, None] | None = None  # those made after it
        self._free_at = 0.0
        self._tokens: Tokens | None = None

    @property
    def flows(self) -> tuple[Any, ...]:
        """The stream ends that send this way, in the order of their making."""
        more = () if self._more is None else tuple(self._more)
        return more if self._first is None else (self._first, *more)

    def add(self, flow: Any) -> None:
        """A stream end sends this way."""
        if self._more is not None:
            self._more[flow] = None
        elif self._first is None:
            self._first = flow
        else:
            self._more = {flow: None}

    def remove(self, flow: Any) -> None:
        """It does not any more; nothing if it never did."""
        if flow is self._first:
            self._first = None
        elif self._more is not None:
            self._more.pop(flow, None)
            self._more = self._more or None

    def become(self, profile: LinkProfile, is_up: bool, tokens: Tokens) -> None:
        self.profile, self.is_up = profile, is_up
        if profile.is_random and self._tokens is None:
            self._tokens = tokens.child(f"link/{self.source}/{self.target}")

    def datagram_arrivals(self, size: int, now: float) -> tuple[float, ...]:
        """When a datagram of *size* octets sent at *now* arrives: not at all, once, or twice."""
        profile, tokens = self.profile, self._tokens
        due = self._line_out(size, now) + profile.latency_s
        if tokens is None or not profile.is_random:
            return (due,)
        if profile.loss and tokens.uniform(0, 1) < profile.loss:
            return ()
        due += tokens.uniform(0, profile.jitter_s)
        if profile.reorder and tokens.uniform(0, 1) < profile.reorder:
            due += max(_REORDER_HOLD_S, 2 * (profile.latency_s + profile.jitter_s))
        if profile.duplicate and tokens.uniform(0, 1) < profile.duplicate:
            return (due, due + tokens.uniform(0, profile.jitter_s))
        return (due,)

    def segment_arrival(self, size: int, now: float) -> float | None:
        """When octets of a stream sent at *now* arrive, repeated by TCP as often as they get lost; None = never."""
        profile, tokens = self.profile, self._tokens
        due = self._line_out(size, now) + profile.latency_s
        if tokens is None or not profile.is_random:
            return due
        wait_s = _FIRST_RETRANSMISSION_S
        while profile.loss and tokens.uniform(0, 1) < profile.loss:
            due, wait_s = due + wait_s, 2 * wait_s
            if due - now > STREAM_GIVES_UP_AFTER_S:
                return None
        return due + tokens.uniform(0, profile.jitter_s)

    def _line_out(self, size: int, now: float) -> float:
        if self.profile.bandwidth_octets_per_s is None:
            return now
        self._free_at = max(now, self._free_at) + size / self.profile.bandwidth_octets_per_s
        return self._free_at


_Event = Callable[[Any, Any], None]


class DeliveryQueue:
    """Calls *event(first, second)* when it is due, in order of due time and then of `add`, on one loop timer."""

    __slots__ = ("_is_turn_armed", "_later", "_loop", "_number", "_soon", "_timer", "_timer_due")

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._soon: deque[tuple[_Event, Any, Any]] = deque()
        self._later: list[tuple[float, int, _Event, Any, Any]] = []
        self._number = 0
        self._is_turn_armed = False  # the next turn of the loop drains the queue
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = math.inf

    def time(self) -> float:
        """Loop time in seconds."""
        return (self._loop or self._running_loop()).time()

    def add(self, due: float, event: _Event, first: Any, second: Any) -> None:
        """Queues a call for loop time *due*; one in the past comes in the next turn of the loop."""
        loop = self._loop or self._running_loop()
        if due <= loop.time():
            self._soon.append((event, first, second))
            if not self._is_turn_armed:
                self._is_turn_armed = True
                loop.call_soon(self._run_turn)
            return
        self._number += 1
        heapq.heappush(self._later, (due, self._number, event, first, second))
        if due < self._timer_due:
            self._arm_timer(loop, due)

    def clear(self) -> None:
        """Forgets everything that is queued."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_due = None, math.inf
        self._soon.clear()
        self._later.clear()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        self._loop = asyncio.get_running_loop()
        return self._loop

    def _arm_timer(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_due = loop.call_at(due, self._run_timer), due

    def _run_turn(self) -> None:
        self._is_turn_armed = False
        self._drain(self._loop or self._running_loop())

    def _run_timer(self) -> None:
        self._timer, self._timer_due = None, math.inf
        self._drain(self._loop or self._running_loop())

    def _drain(self, loop: asyncio.AbstractEventLoop) -> None:
        now, later, soon = loop.time(), self._later, self._soon
        batch: list[tuple[_Event, Any, Any]] = []
        while later and later[0][0] <= now:
            batch.append(heapq.heappop(later)[2:])
        batch += soon
        soon.clear()  # what is added from here on is for the next turn
        for event, first, second in batch:
            try:
                event(first, second)
            except Exception as error:  # the edge: one element's fault must not cost the others their octets
                loop.call_exception_handler({"message": "a flow handler failed", "exception": error})
        if later and later[0][0] < self._timer_due:
            self._arm_timer(loop, later[0][0])
