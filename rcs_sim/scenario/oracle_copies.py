"""Two texts that a receiver has to take for the RCS copy and the SMS copy of one (digest §8.3)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from rcs_sim.client.message_state import MessageTransport
from rcs_sim.scenario.oracle_hops import digits_of
from rcs_sim.scenario.oracle_readings import Readings
from rcs_sim.scenario.oracle_screens import UserMessage

__all__ = ["CopiesOfText"]

_WITHIN_S = 600.0  # of each other: written, or arrived (digest §8.3)
_RCS, _SMS = MessageTransport.RCS.value, MessageTransport.SMS.value


class CopiesOfText:
    """The messages of a trace by their words. Whoever gets the same text from the same sender by RCS and by SMS within
    ten minutes shows one: nothing on a link tells him whether its author had written it twice. So of two that are alike
    the one that came the other way is on his screen, once for each that he has shown."""

    __slots__ = ("_alike", "_readings")

    def __init__(self, readings: Readings) -> None:
        self._readings = readings
        self._alike: dict[tuple[str, ...], list[UserMessage]] = defaultdict(list)
        for message in readings.screens.sent:
            if not message.target:
                self._alike[tuple(message.text.split())].append(message)

    def is_merged(self, message: UserMessage, receivers: Collection[str]) -> bool:
        """Whether one of *receivers* got it and shows its words from another message that came the other way."""
        if message.target or message.showings:
            return False
        return any(self._is_merged_by(message, phone) for phone in receivers)

    def _is_merged_by(self, message: UserMessage, phone: str) -> bool:
        alike = [each for each in self._alike[tuple(message.text.split())] if self._is_of_same(each, message)]
        twins = [each for each in alike if self._is_twin(each, message, phone)]
        if not twins:
            return False
        before = [
            each
            for each in alike
            if not each.showings
            and each.number < message.number
            and self._ways(each, phone) == self._ways(message, phone)
        ]
        paired = [each for each in before if any(self._is_twin(twin, each, phone) for twin in twins)]
        return len(paired) < len(twins)  # a copy is paired once

    def _is_of_same(self, one: UserMessage, other: UserMessage) -> bool:
        """Of one sender to one receiver."""
        screens = self._readings.screens
        own = [screens.number(each.phone, each.number) or each.phone for each in (one, other)]
        return own[0] == own[1] and digits_of(one.peer) == digits_of(other.peer)

    def _is_twin(self, shown: UserMessage, lost: UserMessage, phone: str) -> bool:
        """Whether *phone* has shown the one, and got the other within ten minutes, in the other way only."""
        screens, ways = self._readings.screens, self._ways(lost, phone)
        showing = next((each for each in shown.showings if each.phone == phone), None)
        if showing is None or len(ways) != 1 or self._ways(shown, phone) & ways:
            return False
        came, number = self._arrival(lost, phone)
        is_near = abs(showing.at - came) <= _WITHIN_S or abs(self._left_at(shown) - self._left_at(lost)) <= _WITHIN_S
        is_same_screen = screens.wipes_before(phone, showing.number) == screens.wipes_before(phone, number)
        return is_near and is_same_screen

    def _ways(self, message: UserMessage, phone: str) -> frozenset[str]:
        """In which its octets came to *phone*."""
        came = [each.carried for each in self._readings.passages(message) if each.hop.target == phone]
        return frozenset(_SMS if each is not None and each.short_message else _RCS for each in came)

    def _arrival(self, message: UserMessage, phone: str) -> tuple[float, int]:
        came = [each.hop for each in self._readings.passages(message) if each.hop.target == phone]
        return came[0].at, came[0].number

    def _left_at(self, message: UserMessage) -> float:
        """When it was written, or first left its phone as SMS: an SMS says no earlier time."""
        left = [each for each in self._readings.passages(message) if each.hop.source == message.phone]
        short = [each.hop.at for each in left if each.carried is not None and each.carried.short_message]
        return short[0] if short else message.at
