"""Whose text it is that stands in octets which no identifier binds to a message."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ims_core.trace import TraceRecord
from rcs_sim.client.message_state import MessageTransport
from rcs_sim.scenario.oracle_hops import Carried, digits_of
from rcs_sim.scenario.oracle_index import TextFound
from rcs_sim.scenario.oracle_screens import Screens, UserMessage
from rcs_sim.scenario.oracle_short_messages import SUBMIT

__all__ = ["SmsCopies", "StraySearch"]

_SMS = MessageTransport.SMS.value
_LOOKED_AT = 64  # messages of the same words, the latest: older ones cannot be told apart anyway
_Words = tuple[str, ...]


class SmsCopies:
    """The messages of which a short message is a copy: of the same words, between the same numbers."""

    __slots__ = ("_by_words", "_messages", "_screens", "_submitted")

    def __init__(self, screens: Screens, messages: Sequence[UserMessage]) -> None:
        self._screens = screens
        self._messages = messages
        self._by_words: dict[_Words, list[UserMessage]] = defaultdict(list)
        for message in messages:
            self._by_words[tuple(message.text.split())].append(message)
        self._submitted: dict[UserMessage, int] = {}  # the record in which its copy left its phone

    def messages_of(self, carried: Carried) -> list[UserMessage]:
        """None of them for what nobody in this trace said. Two that are alike but for their time are told apart by what
        left a phone when, and by which of them its phone sent as SMS."""
        fitting = [message for message in self._alike(carried) if self._fits(carried, message)]
        if len(fitting) < 2:
            chosen = fitting
        elif carried.short_message == SUBMIT and carried.hop.source in {message.phone for message in fitting}:
            chosen = [_latest(_sent_as_sms(fitting) or fitting)]
        else:
            left = [message for message in fitting if message in self._submitted]
            chosen = [max(left, key=lambda message: self._submitted[message])] if left else [_latest(fitting)]
        for message in chosen:
            if carried.hop.source == message.phone:
                self._submitted.setdefault(message, carried.hop.number)
        return chosen

    def _alike(self, carried: Carried) -> Sequence[UserMessage]:
        text = carried.text or ""
        if carried.is_whole:
            found = self._by_words.get(tuple(text.split()), ())
            end = bisect_right(found, carried.hop.number, key=lambda message: message.number)
            return found[max(0, end - _LOOKED_AT) : end]
        return [message for message in self._messages if text and message.text.startswith(text)]

    def _fits(self, carried: Carried, message: UserMessage) -> bool:
        if message.number > carried.hop.number:
            return False
        sender = self._screens.number(message.phone, message.number)
        foreign = self._screens.number(message.peer, carried.hop.number)
        recipient = foreign if message.is_foreign else digits_of(message.peer)
        is_sender = not sender or not carried.sender or carried.sender == sender
        return is_sender and (not recipient or not carried.recipient or carried.recipient == recipient)


def _latest(messages: Sequence[UserMessage]) -> UserMessage:
    return max(messages, key=lambda message: message.number)


def _sent_as_sms(messages: Iterable[UserMessage]) -> list[UserMessage]:
    return [message for message in messages if any(tick.transport == _SMS for tick in message.ticks)]


class StraySearch:
    """Judges texts that were found somewhere. *of_text* are the messages by their text, *containers* the other texts of
    the trace that a text or a piece of one stands in, *ids* the messages by their identifiers."""

    __slots__ = ("_common", "_containers", "_ids", "_of_text", "_screens")

    def __init__(
        self,
        of_text: Mapping[str, Sequence[UserMessage]],
        containers: Mapping[str, Sequence[str]],
        ids: Mapping[str, UserMessage],
        screens: Screens,
    ) -> None:
        self._of_text, self._containers, self._ids, self._screens = of_text, containers, ids, screens
        self._common: set[str] = set()  # texts that stood somewhere before anybody had sent them

    def judge(
        self, found: TextFound, record: TraceRecord, contents: Sequence[Carried]
    ) -> Iterator[tuple[UserMessage, bool]]:
        """The messages that *record* shows, each with whether that is certain. *contents* are those of the record."""
        if any(carried.short_message for carried in contents):
            return  # judged as a copy
        ids = {each for carried in contents for each in carried.ids} | {record.imdn_message_id or ""}
        carried_messages = {self._ids[each] for each in ids if each in self._ids}
        own = [message for message in carried_messages if message.text == found.text]
        if own:
            yield own[0], True
        elif not any(found.piece in message.text for message in carried_messages):
            yield from self._judge_stray(found, record, contents)

    def _judge_stray(
        self, found: TextFound, record: TraceRecord, contents: Sequence[Carried]
    ) -> Iterator[tuple[UserMessage, bool]]:
        """The record is not about a message with these words."""
        alike = self._of_text.get(found.text, ())
        end = bisect_right(alike, record.number, key=lambda message: message.number)
        if end == 0:
            self._common.add(found.piece)
            return
        candidates = self._candidates(alike[max(0, end - _LOOKED_AT) : end], contents)
        is_known = found.piece in self._common or self._is_part(found.piece, record.number)
        for message in candidates:
            yield message, len(candidates) == 1 and not is_known

    def _candidates(self, alike: Sequence[UserMessage], contents: Sequence[Carried]) -> Sequence[UserMessage]:
        """Those of whoever sent the record, else those that had come to him: he can tell what he was told."""
        senders = {carried.sender for carried in contents if carried.sender}
        own = [each for each in alike if self._may_be_of(each, senders)]
        return own or [each for each in alike if digits_of(each.peer) in senders]

    def _is_part(self, piece: str, number: int) -> bool:
        """Whether another text, of which it is a part, was sent before record *number*."""
        longer = self._containers.get(piece, ())
        return any(message.number <= number for each in longer for message in self._of_text[each][:1])

    def _may_be_of(self, message: UserMessage, senders: set[str]) -> bool:
        own = self._screens.number(message.phone, message.number)
        return not own or not senders or own in senders
