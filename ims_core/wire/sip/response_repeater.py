"""Responses to INVITE that the UAS core sends again by itself: the 2xx until its ACK, reliable provisional ones until
their PRACK (RFC 3261 §13.3.1.4, RFC 6026 §7.1, RFC 3262 §3), and the order of those at the UAC (RFC 3262 §4).
"""

from __future__ import annotations

from enum import Enum, auto
from math import inf
from typing import Final

from ims_core.wire.sip.core_headers import RAck, Require, RSeq
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.transaction import TimerConfig

__all__ = ["RELIABLE_OPTION", "ReliableProvisionals", "Repeat", "SuccessRepeater", "is_reliable", "rack_of"]

RELIABLE_OPTION: Final = "100rel"
"""The option tag (RFC 3262 §8.1)."""
_KEEP_RINGING_S: Final = 60.0  # RFC 3261 §13.3.1.1: a proxy's Timer C is started anew by each provisional response


class Repeat(Enum):
    """What a deadline of a repeated response calls for."""

    NOTHING = auto()
    SEND = auto()
    GIVE_UP = auto()


class SuccessRepeater:
    """A 2xx to INVITE on its way: sent after T1, then at twice the interval up to T2, whatever the transport, for
    64*T1 (RFC 3261 §13.3.1.4)."""

    __slots__ = ("_end_at", "_interval_s", "_max_interval_s", "_repeat_at", "is_quiet", "request", "response")

    def __init__(
        self, request: Request, response: Response, timers: TimerConfig, now: float, *, is_quiet: bool = False
    ) -> None:
        """*is_quiet*: nobody has to be told of the ACK."""
        self.request = request
        self.response = response
        self.is_quiet = is_quiet
        self._interval_s = timers.t1_s
        self._max_interval_s = timers.t2_s
        self._repeat_at = now + timers.t1_s
        self._end_at = now + timers.timeout_s

    def next_deadline(self) -> float:
        return min(self._repeat_at, self._end_at)

    def handle_deadline(self, now: float) -> Repeat:
        """The end comes before a repetition of the same moment: the server transaction is over by then."""
        if self._end_at <= now:
            return Repeat.GIVE_UP
        if self._repeat_at <= now:
            self._interval_s = min(2 * self._interval_s, self._max_interval_s)
            self._repeat_at = now + self._interval_s
            return Repeat.SEND
        return Repeat.NOTHING


class ReliableProvisionals:
    """The provisional responses of one UAS to an INVITE. They are reliable if the INVITE requires it (RFC 3262 §3).

    One at a time is under way; of those that have to wait for its PRACK only the last one is sent."""

    __slots__ = (
        "_bare",
        "_end_at",
        "_interval_s",
        "_is_acknowledged",
        "_last",
        "_number",
        "_repeat_at",
        "_timers",
        "_waiting",
    )

    def __init__(self, number: int | None, timers: TimerConfig) -> None:
        """*number* is the RSeq of the first one, 1 to 2**31 - 1; None makes them unreliable."""
        self._timers = timers
        self._number = number
        self._bare: Response | None = None
        self._last: Response | None = None
        self._waiting: Response | None = None
        self._is_acknowledged = True
        self._interval_s = timers.t1_s
        self._repeat_at = inf
        self._end_at = inf

    @property
    def is_reliable(self) -> bool:
        return self._number is not None

    def send(self, response: Response, now: float) -> Response | None:
        """What goes out now: *response*, with what makes it reliable, or nothing yet."""
        if self._number is None:
            self._bare = self._last = response
            self._repeat_at = now + _KEEP_RINGING_S
            return response
        if not self._is_acknowledged:
            self._waiting = response
            return None
        numbered = response.edit().append(Require((RELIABLE_OPTION,))).set(RSeq(self._number)).done()
        self._bare, self._last, self._is_acknowledged = response, numbered, False
        self._interval_s = self._timers.t1_s
        self._repeat_at = now + self._interval_s
        self._end_at = now + self._timers.timeout_s
        return numbered

    def acknowledge(self, rack: RAck, now: float) -> bool:
        """Whether a PRACK is about the response that waits for one (§3)."""
        last = self._last
        if self._is_acknowledged or self._number is None or last is None:
            return False
        if rack.response_number != self._number or rack.cseq != last.cseq:
            return False
        self._is_acknowledged = True
        self._number += 1
        self._repeat_at = now + _KEEP_RINGING_S
        self._end_at = inf
        return True

    def next_waiting(self, now: float) -> Response | None:
        """The response that waited for the PRACK that has come, to be sent now."""
        waiting, self._waiting = self._waiting, None
        return None if waiting is None else self.send(waiting, now)

    @property
    def last(self) -> Response | None:
        """The response to send again."""
        return self._last

    def next_deadline(self) -> float | None:
        earliest = min(self._repeat_at, self._end_at)
        return None if earliest == inf else earliest

    def handle_deadline(self, now: float) -> Repeat:
        """GIVE_UP: no PRACK came in 64*T1, and the INVITE is to be refused with a 5xx (§3)."""
        if self._end_at <= now:
            return Repeat.GIVE_UP
        if self._repeat_at > now:
            return Repeat.NOTHING
        if not self._is_acknowledged:
            self._interval_s *= 2
            self._repeat_at = now + self._interval_s
        elif self._bare is not None:
            self.send(self._bare, now)  # a reliable one gets a new number
        return Repeat.SEND


def is_reliable(response: Response) -> bool:
    """Whether a provisional response asks for a PRACK (RFC 3262 §4). Raises SipParseError."""
    required = response.get(Require)
    return 100 < response.status < 200 and required is not None and RELIABLE_OPTION in required


def rack_of(response: Response, last_number: int | None) -> RAck | None:
    """What the PRACK to a reliable *response* says; None if it is out of its order: it came before, or one is missing
    (RFC 3262 §4). *last_number* is the RSeq that this dialog acknowledged last. Raises SipParseError."""
    number = response.require(RSeq).number
    if last_number is not None and number != last_number + 1:
        return None
    return RAck(number, response.cseq)
