"""What the participating function decides, as values that its shell carries out, and what waits for their outcome."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NewType, Protocol, TypeAlias

from ims_core.store.record_table import RecordType, StoreError
from ims_core.wire.sip.message import HeaderInput, Request, Response

__all__ = [
    "Action",
    "CallErrand",
    "Deadlines",
    "Errand",
    "Exchange",
    "Forget",
    "Note",
    "Outbox",
    "Persist",
    "Release",
    "Respond",
    "RespondInCall",
    "SendAck",
    "SendCancel",
    "SendInCall",
    "SendRequest",
    "StoreErrand",
    "SubmitText",
    "Timed",
]

_FIRST_SWEEP = 256  # entries; sweeping doubles from there, so that it costs each entry a constant

Exchange = NewType("Exchange", int)
"""A received request that waits for its final answer."""


class Errand(Protocol):
    """Waits for the final answer to a request that was sent."""

    def finished(self, status: int, response: Response | None, now: float) -> None:
        """Exactly once. *response* is None where there was none: *status* is then 408 or 503 (RFC 3261 §8.1.3.1)."""
        ...


class CallErrand(Errand, Protocol):
    """Waits for all answers to a request of a call."""

    def progressed(self, response: Response, now: float) -> None:
        """A provisional response."""
        ...


class StoreErrand(Protocol):
    """Waits for the store."""

    def stored(self, error: StoreError | None, now: float) -> None: ...


class Timed(Protocol):
    """Has a deadline."""

    @property
    def is_over(self) -> bool:
        """Whether the deadline no longer matters."""
        ...

    def expired(self, now: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Respond:
    """Final answer to an exchange."""

    exchange: Exchange
    status: int
    headers: tuple[HeaderInput, ...] = ()
    reason: str | None = None
    to_tag: str | None = None
    body: bytes = b""
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class SendRequest:
    """A request of this server; its next hop is its topmost Route."""

    request: Request
    errand: Errand


@dataclass(frozen=True, slots=True)
class RespondInCall:
    """A response as a call made it. The exchange of a 2xx to INVITE stays open, for its repetition, until `Release`;
    that of any other final response ends."""

    exchange: Exchange
    response: Response


@dataclass(frozen=True, slots=True)
class Release:
    """An exchange is not answered any more."""

    exchange: Exchange


@dataclass(frozen=True, slots=True)
class SendInCall:
    """A request of a call, sent like `SendRequest`; *errand* learns the provisional responses too."""

    request: Request
    errand: CallErrand


@dataclass(frozen=True, slots=True)
class SendAck:
    """The ACK to a 2xx: sent without a transaction."""

    request: Request


@dataclass(frozen=True, slots=True)
class SendCancel:
    """Cancels *invite*, the request of an earlier `SendInCall` (RFC 3261 §9.1)."""

    invite: Request
    headers: tuple[HeaderInput, ...] = ()


@dataclass(frozen=True, slots=True)
class Persist:
    """A record to keep; *errand*, if any, waits until it is safe."""

    record_type: RecordType[Any]
    record: Any
    errand: StoreErrand | None = None


@dataclass(frozen=True, slots=True)
class Forget:
    """A record that is not needed any more."""

    record_type: RecordType[Any]
    key: str
    errand: StoreErrand | None = None


@dataclass(frozen=True, slots=True)
class SubmitText:
    """A text to hand to the short message service (digest §19.8). *submission* names it in what comes back.

    *originator* and *recipient* are global numbers such as +12025550101."""

    submission: str
    originator: str
    recipient: str
    text: str
    wants_report: bool


@dataclass(frozen=True, slots=True)
class Note:
    """A decision worth a line in the trace, with its reason."""

    summary: str
    reason: str
    message_id: str | None = None
    conversation_id: str | None = None
    user: str = ""


Action: TypeAlias = (
    Respond
    | RespondInCall
    | Release
    | SendRequest
    | SendInCall
    | SendAck
    | SendCancel
    | Persist
    | Forget
    | SubmitText
    | Note
)


class Outbox:
    """The actions of one turn, in order."""

    __slots__ = ("_actions", "_inner", "_last_inner")

    def __init__(self) -> None:
        self._actions: list[Action] = []
        self._inner: dict[Exchange, Errand] = {}
        self._last_inner = 0

    def add(self, action: Action) -> None:
        self._actions.append(action)

    def respond(self, exchange: Exchange, status: int, headers: Iterable[HeaderInput] = ()) -> None:
        self._actions.append(Respond(exchange, status, tuple(headers)))

    def inner_exchange(self, errand: Errand) -> Exchange:
        """The exchange of a request that another part of this server made: *errand* gets the answer."""
        self._last_inner -= 1
        exchange = Exchange(self._last_inner)
        self._inner[exchange] = errand
        return exchange

    def note(
        self,
        summary: str,
        reason: str,
        message_id: str | None = None,
        conversation_id: str | None = None,
        user: str = "",
    ) -> None:
        self._actions.append(Note(summary, reason, message_id, conversation_id, user))

    def take(self, now: float) -> list[Action]:
        """The actions so far; the outbox is empty afterwards. Answers to inner exchanges are given, not returned."""
        actions, self._actions = self._actions, []
        if not self._inner:
            return actions
        taken: list[Action] = []
        while actions:
            for action in actions:
                errand = self._inner.pop(action.exchange, None) if isinstance(action, Respond) else None
                if errand is None:
                    taken.append(action)
                elif isinstance(action, Respond):
                    errand.finished(action.status, None, now)
            actions, self._actions = self._actions, []
        return taken


class Deadlines:
    """Absolute deadlines on the injected clock. Those that no longer matter are swept out now and then, so that what
    they refer to is not kept for as long as they would have run."""

    __slots__ = ("_heap", "_number", "_sweep_at")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timed]] = []
        self._number = 0
        self._sweep_at = _FIRST_SWEEP

    def __len__(self) -> int:
        return len(self._heap)

    def arm(self, at: float, timed: Timed) -> None:
        self._number += 1
        heapq.heappush(self._heap, (at, self._number, timed))
        if len(self._heap) > self._sweep_at:
            self._heap = [entry for entry in self._heap if not entry[2].is_over]
            heapq.heapify(self._heap)
            self._sweep_at = max(_FIRST_SWEEP, 2 * len(self._heap))

    def next(self) -> float | None:
        """When `fire` is to be called; None for never."""
        heap = self._heap
        while heap and heap[0][2].is_over:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def fire(self, now: float) -> None:
        """Runs what is due."""
        while (at := self.next()) is not None and at <= now:
            heapq.heappop(self._heap)[2].expired(now)
