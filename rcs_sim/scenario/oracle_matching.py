"""Which text on a receiver's screen is which message of a sender, and which other identifiers a message has."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rcs_sim.scenario.oracle_attribution import SmsCopies
from rcs_sim.scenario.oracle_hops import Carried, digits_of, same_text
from rcs_sim.scenario.oracle_screens import Screens, Showing, UserMessage
from rcs_sim.scenario.oracle_seals import scheme_of

__all__ = ["Matched", "match_showings"]

_TOLD_APART_OCTETS = 64  # that no two messages have alike
_Words = tuple[str, ...]
_Arrivals = dict[tuple[str, _Words], list[tuple[int, UserMessage]]]


@dataclass(frozen=True, slots=True)
class Matched:
    """*messages* in the order of sending, those of senders that are not in the trace at the end; *by_id* has every
    imdn.Message-ID under which a copy of a message went."""

    messages: list[UserMessage]
    by_id: dict[str, UserMessage]


def match_showings(screens: Screens, contents: Sequence[Carried]) -> Matched:
    """Gives each text that was shown to its message: by id, else by sender, receiver and words.

    What is shown once more than it was sent belongs to the last message that it can be."""
    by_id = {message.id: message for message in screens.sent if message.id}
    for carried in contents:  # a message that is sealed anew has another id, and names the one before
        if len(carried.ids) > 1 and carried.ids[1] in by_id:
            by_id.setdefault(carried.ids[0], by_id[carried.ids[1]])
    _add_replayed(by_id, contents)
    waiting = []
    for showing in screens.showings:
        message = by_id.get(showing.message_id)
        if message is not None and same_text(message.text, showing.text):
            message.showings.append(showing)
        else:
            waiting.append(showing)
    book, arrivals = _Book(screens), _arrivals(screens, contents)
    foreign: dict[tuple[str, str, _Words], UserMessage] = {}
    for showing in waiting:
        message = (
            _arrived(showing, arrivals)
            or book.message_of(showing)
            or by_id.get(showing.message_id)
            or _foreign(showing, foreign)
        )
        message.showings.append(showing)
        if showing.message_id:
            by_id.setdefault(showing.message_id, message)
    for message in screens.sent:
        message.showings.sort(key=lambda showing: showing.number)
    return Matched([*screens.sent, *foreign.values()], by_id)


def _add_replayed(by_id: dict[str, UserMessage], contents: Iterable[Carried]) -> None:
    """The ids under which somebody sent sealed octets of a message again: they hold that message, whatever it is
    called."""
    sealed: dict[bytes, UserMessage] = {}
    for carried in contents:
        if not carried.ids or not scheme_of(carried.media_type) or len(carried.octets) < _TOLD_APART_OCTETS:
            continue
        known = by_id.get(carried.ids[0])
        if known is not None:
            sealed.setdefault(carried.octets, known)
        elif carried.octets in sealed:
            by_id[carried.ids[0]] = sealed[carried.octets]


def _arrivals(screens: Screens, contents: Iterable[Carried]) -> _Arrivals:
    """By phone and words, the short messages that came to it, and of which messages they are copies."""
    copies = SmsCopies(screens, screens.sent)
    found: _Arrivals = defaultdict(list)
    for carried in contents:
        if carried.short_message:
            for message in copies.messages_of(carried):
                found[carried.hop.target, tuple(message.text.split())].append((carried.hop.number, message))
    return found


def _arrived(showing: Showing, arrivals: _Arrivals) -> UserMessage | None:
    """The message whose copy came to the phone last, if it has no id and was not shown before."""
    if showing.message_id:
        return None
    came = arrivals.get((showing.phone, tuple(showing.text.split())), [])
    place = bisect_left(came, showing.number, key=lambda each: each[0])
    message = came[place - 1][1] if place else None
    if message is None or any(shown.phone == showing.phone for shown in message.showings):
        return None
    return message


def _foreign(showing: Showing, known: dict[tuple[str, str, _Words], UserMessage]) -> UserMessage:
    """A message of somebody who is no phone of this trace. It was sent at a time that nobody knows: in record 0."""
    key = (showing.phone, showing.message_id or f"#{showing.number}", ())
    if key not in known:
        name = f"{showing.peer or 'nobody'} to {showing.phone} #{showing.number}"
        known[key] = UserMessage(
            name, showing.message_id, "", showing.phone, showing.text, showing.conversation_id, 0, showing.at
        )
    return known[key]


class _Book:
    """The sent messages by their words. Each list is walked once for each phone and sender."""

    __slots__ = ("_by_words", "_screens", "_walks")

    def __init__(self, screens: Screens) -> None:
        self._screens = screens
        self._by_words: dict[_Words, list[UserMessage]] = defaultdict(list)
        for message in screens.sent:
            self._by_words[tuple(message.text.split())].append(message)
        self._walks: dict[tuple[_Words, str, str], _Walk] = {}

    def message_of(self, showing: Showing) -> UserMessage | None:
        words = tuple(showing.text.split())
        if words not in self._by_words:
            return None
        key = (words, showing.phone, showing.peer)
        walk = self._walks.get(key)
        if walk is None:
            fitting = [each for each in self._by_words[words] if self._fits(showing, each)]
            walk = self._walks[key] = _Walk(fitting, showing.phone)
        return walk.next_before(showing.number)

    def _fits(self, showing: Showing, message: UserMessage) -> bool:
        """Whether the phone can have got this message from that sender."""
        own, sender = self._screens.number(showing.phone, showing.number), self._number(message)
        is_receiver = not own or digits_of(message.peer) == own
        is_sender = not sender or digits_of(showing.peer) in ("", sender)
        return is_receiver and is_sender and showing.phone != message.phone

    def _number(self, message: UserMessage) -> str:
        return self._screens.number(message.phone, message.number)


class _Walk:
    """Messages that one phone can have shown, in order, and how many of them it has."""

    __slots__ = ("_messages", "_next", "_numbers", "_phone")

    def __init__(self, messages: list[UserMessage], phone: str) -> None:
        self._messages, self._phone = messages, phone
        self._numbers = [message.number for message in messages]
        self._next = 0

    def next_before(self, number: int) -> UserMessage | None:
        """The first that was not shown yet and was sent before record *number*; if there is none, the last that was
        sent before it."""
        end = bisect_left(self._numbers, number)
        while self._next < end:
            message = self._messages[self._next]
            self._next += 1
            if all(showing.phone != self._phone for showing in message.showings):
                return message
        return self._messages[end - 1] if end else None
