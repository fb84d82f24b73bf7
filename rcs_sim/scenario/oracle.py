"""The lock-truth oracle: who could read each message, what the phones showed, and whether both agree.

It reads the octets of a trace, hop by hop, and never asks a phone or a server what it meant to do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from ims_core.errors import SimulatorError
from ims_core.trace import TraceRecord
from rcs_sim.scenario.oracle_documents import (
    OracleDisplay,
    OracleDocument,
    OracleHop,
    OracleOutsider,
    OracleRow,
    OracleViolation,
)
from rcs_sim.scenario.oracle_hops import Metadata
from rcs_sim.scenario.oracle_outsiders import OutsideMessage
from rcs_sim.scenario.oracle_readings import Passage, Readings, Verdict
from rcs_sim.scenario.oracle_rules import MessageDisplay, OracleRules, Violation
from rcs_sim.scenario.oracle_screens import UserMessage
from rcs_sim.scenario.oracle_table import table_text
from rcs_sim.scenario.trace_order import in_order, missing_numbers

__all__ = ["Oracle", "UnknownMessage"]

_WORST_FIRST = (Verdict.READABLE, Verdict.UNDECIDED, Verdict.SEALED)
_NOT_SENT = "not sent"
_NAMED = 12  # messages that an error names


class UnknownMessage(SimulatorError):
    """The trace has no such message."""


class Oracle:
    """Of the records of one run, or of the beginning of one. *key_log* are the lines of its key log, if there is one:
    what they open is not looked at, but whether somebody on the way saw them."""

    __slots__ = ("_by_name", "_missing", "_records", "_rules", "_violations", "readings")

    def __init__(self, records: Iterable[TraceRecord], key_log: Iterable[str] = ()) -> None:
        kept = in_order(records)
        self.readings = Readings(kept, key_log)
        self._records = len(kept)
        self._missing = missing_numbers(kept)
        self._rules = OracleRules(self.readings)
        self._violations: list[Violation] | None = None
        self._by_name = {message.name: message for message in self.readings.messages}

    @property
    def messages(self) -> tuple[UserMessage, ...]:
        """Everything that a user said, in the order of sending; at the end what came from outside."""
        return tuple(self.readings.messages)

    def find(self, message: object) -> UserMessage:
        """By a message of a phone (anything with an ``id``), imdn.Message-ID, ``m1`` and so on, or text.

        Raises UnknownMessage that lists what there is."""
        if isinstance(message, UserMessage):
            return message
        word = message if isinstance(message, str) else str(getattr(message, "id", message))
        found = self.readings.message_of(word) or self._by_name.get(word) or self._by_text(word)
        if found is None and not isinstance(message, str):
            found = self._by_text(str(getattr(message, "text", "")))  # one that came by SMS has no id
        if found is None:
            known = ", ".join(f"{each.name} {each.text[:20]!r}" for each in self.messages[:_NAMED]) or "none"
            raise UnknownMessage(f"there is no message {word!r} in this trace; there are: {known}")
        return found

    def _by_text(self, text: str) -> UserMessage | None:
        return next((message for message in self.messages if text and message.text == text), None)

    def target_of(self, message: UserMessage) -> str | None:
        """The name of what *message* changes, or the id of one that is not in the trace; None for a text."""
        target = self.readings.message_of(message.target) if message.target else None
        return (message.target or None) if target is None else target.name

    def readers(self, message: object) -> set[str]:
        """Who could read it: the two ends of each hop that carried it legibly, the sender's phone, the phones that
        showed it, and whoever else is in the group that it was sealed to. Raises UnknownMessage."""
        found = self.find(message)
        passages = self.readings.passages(found)
        names = {found.phone, *(showing.phone for showing in found.showings)} - {""}
        names |= self._rules.listeners(found, passages)
        for passage in passages:
            if passage.verdict is Verdict.READABLE:
                names |= {passage.hop.source, passage.hop.target}
        return names

    def verdict(self, message: object) -> str:
        """``readable``, ``sealed``, ``undecided`` or ``not sent``: the worst that any hop allowed."""
        verdicts = {passage.verdict for passage in self.readings.passages(self.find(message))}
        worst = next((each for each in _WORST_FIRST if each in verdicts), None)
        return _NOT_SENT if worst is None else str(worst.value)

    def metadata(self, message: object) -> dict[str, set[str]]:
        """What each element learned about it without reading it: from its hops, its receipts, and the INVITEs of the
        sessions of its conversation."""
        found = self.find(message)
        seen: dict[str, set[str]] = defaultdict(set)
        for carried in self.readings.contents_about(found):
            for name in (carried.hop.source, carried.hop.target):
                seen[name] |= {each.value for each in carried.metadata}
        if any(carried.hop.protocol == "MSRP" for carried in self.readings.contents_about(found)):
            for name in self.readings.inviters(found):
                seen[name] |= {Metadata.NUMBERS.value, Metadata.CONVERSATION.value}
        return dict(seen)

    def shown(self, message: object) -> MessageDisplay | None:
        """How the first phone that showed it shows it, else that of its sender; None if neither is in the trace."""
        found = self.find(message)
        displays = self._rules.displays(found)
        return next((each for each in displays if each.phone != found.phone), displays[0] if displays else None)

    def violations(self) -> list[Violation]:
        """In the order of the messages."""
        if self._violations is None:
            self._violations = [each for message in self.messages for each in self._rules.violations(message)]
        return list(self._violations)

    def operators(self) -> dict[str, str]:
        """By carrier, one sentence on what its operator could read."""
        carriers = sorted(
            {name.partition(".")[0] for name in self.readings.elements if "." in name and ":" not in name}
        )
        return {carrier: self._operator(carrier) for carrier in carriers}

    def _operator(self, carrier: str) -> str:
        sent = [message for message in self.messages if self.readings.passages(message)]
        others = self._of_outsiders(carrier)
        if not sent:
            return others or f"no message passed through {carrier}"
        read = [each for each in sent if any(name.startswith(f"{carrier}.") for name in self.readers(each))]
        unclear = [each for each in sent if each not in read and self.verdict(each) == Verdict.UNDECIDED.value]
        words = f"{carrier} could read {_count(len(read), len(sent))}"
        if len(read) < len(sent):
            words += "; of the others it saw numbers, ids, times and sizes"
        words = f"{words}; {len(unclear)} cannot be decided" if unclear else words
        return f"{words}. Beside them {others}" if others else words

    def _of_outsiders(self, carrier: str) -> str:
        found = self.readings.outsiders
        read = [each for each in found if any(name.startswith(f"{carrier}.") for name in each.readers)]
        return f"{carrier} could read {_count(len(read), len(found))} of other clients" if found else ""

    # --- output ------------------------------------------------------------------------------------------------------

    def document(self) -> OracleDocument:
        """Everything, for machines."""
        return OracleDocument(
            records=self._records,
            missing=self._missing,
            messages=[self._row(message) for message in self.messages],
            violations=[
                OracleViolation(
                    violation=each.kind.value,
                    message=each.message.name,
                    phone=each.phone,
                    why=each.why,
                    evidence=list(each.evidence),
                )
                for each in self.violations()
            ],
            operators=self.operators(),
            outside=[_outsider(each) for each in self.readings.outsiders],
        )

    def table(self) -> str:
        """Everything, for people."""
        return table_text(self.document())

    def _row(self, message: UserMessage) -> OracleRow:
        displays = [self._display(message, each) for each in self._rules.displays(message)]
        shown = self.shown(message)
        members: dict[str, Any] = {
            "id": message.name,
            "message_id": message.id,
            "from": message.phone,
            "to": message.peer,
            "text": message.text,
            "change": message.kind or None,
            "about": self.target_of(message),
            "at": message.at,
            "label": "" if shown is None else shown.label,
            "scheme": None if shown is None else shown.scheme or None,
            "mark": message.mark,
            "readers": sorted(self.readers(message)),
            "verdict": self.verdict(message),
            "pending": self._rules.is_pending(message),
            "displays": displays,
            "metadata": {name: sorted(words) for name, words in sorted(self.metadata(message).items())},
            "hops": [_hop(passage) for passage in self.readings.passages(message)],
        }
        return OracleRow.model_validate(members)

    def _display(self, message: UserMessage, display: MessageDisplay) -> OracleDisplay:
        shown = sum(showing.phone == display.phone for showing in message.showings)
        times = 1 if display.phone == message.phone else shown
        return OracleDisplay(
            phone=display.phone,
            label=display.label,
            scheme=display.scheme or None,
            lock=display.has_lock,
            record=display.number,
            times=times,
        )


def _hop(passage: Passage) -> OracleHop:
    hop, carried = passage.hop, passage.carried
    return OracleHop(
        record=hop.number,
        at=hop.at,
        source=hop.source,
        target=hop.target,
        reference_point=hop.reference_point,
        protocol=hop.protocol,
        transport=hop.transport,
        verdict=passage.verdict.value,
        how=passage.how,
        octets=0 if carried is None else len(carried.octets),
    )


def _outsider(message: OutsideMessage) -> OracleOutsider:
    return OracleOutsider.model_validate(
        {
            "message_id": message.message_id,
            "from": message.sender,
            "to": message.recipient,
            "at": message.at,
            "media_type": message.media_type,
            "text": message.text,
            "verdict": message.verdict,
            "readers": sorted(message.readers),
            "records": [hop.number for hop, _ in message.passages],
        }
    )


def _count(some: int, total: int) -> str:
    if some == total:
        return "the only message" if total == 1 else f"all {total} messages"
    return f"none of {total} messages" if some == 0 else f"{some} of {total} messages"
