"""What nobody owes to show: changes to messages that are not on the screen, or that came too late (digest §5.5)."""

from __future__ import annotations

from collections import defaultdict

from rcs_sim.client.display import Shown
from rcs_sim.scenario.oracle_readings import Readings
from rcs_sim.scenario.oracle_screens import UserMessage
from rcs_sim.wire.message_reference import ReferenceType

__all__ = ["ChangesOfText"]

_CHANGE_WITHIN_S = 900.0
_TEXT_CHANGES = (ReferenceType.EDIT, ReferenceType.RECALL)


class ChangesOfText:
    """The reactions, edits and recalls of a trace, by their targets."""

    __slots__ = ("_by_target", "_readings")

    def __init__(self, readings: Readings) -> None:
        self._readings = readings
        self._by_target: dict[UserMessage, list[UserMessage]] = defaultdict(list)
        for message in readings.screens.sent:
            target = readings.message_of(message.target) if message.target else None
            if target is not None:
                self._by_target[target].append(message)

    def is_owed(self, message: UserMessage) -> bool:
        """Whether the receiver's phones have to show *message*: not what its author has recalled, nor a change that he
        was not entitled to, that a later one has overtaken, or whose target they do not show themselves."""
        if not message.target:
            return not self._is_recalled(message)
        target = self._readings.message_of(message.target)
        if target is None or not self._is_on_screen(target, message):
            return False
        return self._is_entitled(message, target) and not self._is_overtaken(message, target)

    def _is_recalled(self, message: UserMessage) -> bool:
        changes = self._by_target.get(message, ())
        return any(each.kind == ReferenceType.RECALL and self._is_entitled(each, message) for each in changes)

    def _is_on_screen(self, target: UserMessage, change: UserMessage) -> bool:
        """Whether a phone of the receiver has written its target, or has shown it, and was not reset before the change
        was delivered."""
        screens = self._readings.screens
        came = max((tick.number for tick in change.ticks if tick.what == Shown.DELIVERED), default=change.number)
        receivers = screens.phones_of(change.peer, change.number)
        places = [(target.phone, target.number), *((each.phone, each.number) for each in target.showings)]
        return any(
            phone in receivers and screens.wipes_before(phone, number) == screens.wipes_before(phone, came)
            for phone, number in places
        )

    def _is_entitled(self, change: UserMessage, target: UserMessage) -> bool:
        if change.kind not in _TEXT_CHANGES:
            return True
        return self._is_of_author(change, target) and abs(change.at - target.at) <= _CHANGE_WITHIN_S

    def _is_of_author(self, change: UserMessage, target: UserMessage) -> bool:
        screens = self._readings.screens
        own = screens.number(change.phone, change.number)
        return change.phone == target.phone or (bool(own) and own == screens.number(target.phone, target.number))

    def _is_overtaken(self, change: UserMessage, target: UserMessage) -> bool:
        """By one that its sender made later, and that was shown; a recall leaves nothing to change at any time."""
        is_text = change.kind in _TEXT_CHANGES
        for other in self._by_target[target]:
            is_recall = other.kind == ReferenceType.RECALL and other is not change
            is_later = other.number > change.number and (other.kind in _TEXT_CHANGES) is is_text
            if other.phone == change.phone and other.showings and (is_later or (is_text and is_recall)):
                return True
        return False
