"""`why`: for a message, why it has no lock, why it did not go as RCS, why it failed, with the records that show it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ims_core.trace import TraceRecord
from rcs_sim.client.display import Shown
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.message_state import MessageTransport
from rcs_sim.scenario.oracle import Oracle
from rcs_sim.scenario.oracle_documents import WhyDocument, WhyMessage, WhyStep
from rcs_sim.scenario.oracle_readings import Passage
from rcs_sim.scenario.oracle_rules import ViolationKind
from rcs_sim.scenario.oracle_screens import UserMessage
from rcs_sim.scenario.trace_order import in_order
from rcs_sim.scenario.why_facts import TraceFacts
from rcs_sim.scenario.why_gates import GateOutcome, GateStep, agreed_to_the_end, encryption_gates, message_gates
from rcs_sim.scenario.why_view import why_text

__all__ = ["Explanation", "Why"]

_SMS = MessageTransport.SMS.value
_UNKNOWN = "nothing in this trace says why"
_LEFT = (Shown.SENT, Shown.DELIVERED, Shown.DISPLAYED, Shown.SENT_AS_SMS)
_FALLEN = ("sms", "ask", "interworked", "revoke")


@dataclass(frozen=True, slots=True)
class Explanation:
    """*no_lock*, *fell_back* and *failed* are None where there is nothing to explain."""

    message: UserMessage
    verdict: str
    no_lock: str | None
    fell_back: str | None
    failed: str | None
    steps: Sequence[GateStep]


class Why:
    """Of the records of one run. The octets count where they say something; what a phone noted explains the rest."""

    __slots__ = ("_facts", "_losses", "oracle")

    def __init__(self, records: Iterable[TraceRecord]) -> None:
        kept = in_order(records)
        self.oracle = Oracle(kept)
        self._facts = TraceFacts(self.oracle.readings.screens.phones)
        for record in kept:
            self._facts.read(record)
        losses = (each for each in self.oracle.violations() if each.kind is ViolationKind.SILENT_LOSS)
        self._losses = {each.message: each.why for each in losses}

    def explain(self, message: object) -> Explanation:
        """*message* as `Oracle.find` takes it. Raises UnknownMessage."""
        found = self.oracle.find(message)
        passages = self.oracle.readings.passages(found)
        gates = [] if found.is_foreign else encryption_gates(found, self._facts, _left_at(found, passages))
        ids = self.oracle.readings.ids_of(found)
        steps = message_gates(found, self._facts, self.oracle.readings.screens, passages, ids)
        return Explanation(
            found,
            self._verdict(found, passages),
            self._no_lock(found, gates, steps) if passages or found.showings or found.mark in _LEFT else None,
            self._fell_back(found, steps, passages),
            self._failed(found, steps, passages),
            [*gates, *steps],
        )

    def _display(self, message: UserMessage) -> tuple[str, str, bool]:
        row = self.oracle.shown(message)
        return (row.label, row.scheme, row.has_lock) if row is not None else ("", "", False)

    def _verdict(self, message: UserMessage, passages: Sequence[Passage]) -> str:
        label, _, _ = self._display(message)
        mark = message.mark or ("shown" if message.showings else "waits")
        octets = self.oracle.verdict(message)
        hops = f" on {len(passages)} hops" if passages else ""
        return (
            f"{mark}; {label or 'no label'}; {octets}{hops}; read by {', '.join(sorted(self.oracle.readers(message)))}"
        )

    def _no_lock(self, message: UserMessage, gates: Sequence[GateStep], steps: Sequence[GateStep]) -> str | None:
        if self._display(message)[2]:
            return None
        if message.is_foreign:
            return _UNKNOWN
        way = next((step for step in steps if step.gate == "consent" or _is_users_sms(step)), None)
        stop = next((step for step in gates if step.outcome is GateOutcome.STOPPED), None)
        for step in (way, stop):
            if step is not None:  # the user's own word counts before what was not possible
                agreed = agreed_to_the_end(gates, message, self._facts, self.oracle.readings.screens)
                by_whom = f"; its user had agreed to that (record {agreed})" if step is stop and agreed else ""
                return f"{step.gate}: {step.says}{_place(step)}{by_whom}"
        if any(tick.transport == _SMS for tick in message.ticks):
            return "an SMS has no lock"
        return _UNKNOWN

    def _fell_back(self, message: UserMessage, steps: Sequence[GateStep], passages: Sequence[Passage]) -> str | None:
        by_sms = any(tick.transport == _SMS or tick.what == Shown.SENT_AS_SMS for tick in message.ticks)
        has_copy = any(each.carried is not None and each.carried.short_message for each in passages)
        decisions = [step for step in steps if step.gate == "decision" and step.says.partition(":")[0] in _FALLEN]
        if not (by_sms or has_copy or decisions) or message.is_foreign:
            return None
        if decisions:
            first = decisions[0]
            return f"{first.says.partition(': ')[2] or first.says}{_place(first)}"
        ticks = [tick for tick in message.ticks if tick.reason and tick.reason != FallbackReason.NONE.value]
        return f"{ticks[0].reason} (record {ticks[0].number})" if ticks else "its user sent it as SMS"

    def _failed(self, message: UserMessage, steps: Sequence[GateStep], passages: Sequence[Passage]) -> str | None:
        if message.mark == Shown.FAILED:
            tick = message.ticks[-1]
            stop = next(
                (s for s in reversed(steps) if s.outcome is GateOutcome.STOPPED and s.number != tick.number), None
            )
            told = tick.reason or (stop.says if stop is not None else _UNKNOWN)
            return f"{told} (record {tick.number})"
        where = f"; last seen at {passages[-1].hop.target} (record {passages[-1].hop.number})" if passages else ""
        if message in self._losses:
            return f"lost: {self._losses[message]}{where}"
        if not message.is_foreign and not message.showings and not message.mark:
            held = next((s for s in reversed(steps) if s.gate == "decision"), None)
            return f"it waits: {held.says}{_place(held)}" if held is not None else f"it waits{where}"
        dropped = next((s for s in steps if s.gate == "receiver" and s.outcome is GateOutcome.STOPPED), None)
        if dropped is not None and message.target and not message.showings:
            return f"{dropped.says}{_place(dropped)}"
        if not message.is_foreign and not message.showings:
            return f"nobody has shown it yet{where}"
        return None

    # --- output ------------------------------------------------------------------------------------------------------

    def document(self, message: str | None = None) -> WhyDocument:
        """Of one message, or of all. Raises UnknownMessage."""
        wanted = self.oracle.messages if message is None else (self.oracle.find(message),)
        return WhyDocument(messages=[self._entry(self.explain(each)) for each in wanted])

    def text(self, message: str | None = None) -> str:
        """For people: the chain of one message, or a line for each. Raises UnknownMessage."""
        return why_text(self.document(message), with_steps=message is not None)

    def _entry(self, explanation: Explanation) -> WhyMessage:
        message = explanation.message
        label, scheme, _ = self._display(message)
        return WhyMessage.model_validate(
            {
                "id": message.name,
                "message_id": message.id,
                "from": message.phone,
                "to": message.peer,
                "text": message.text,
                "change": message.kind or None,
                "about": self.oracle.target_of(message),
                "label": label,
                "scheme": scheme or None,
                "verdict": explanation.verdict,
                "no_lock": explanation.no_lock,
                "fell_back": explanation.fell_back,
                "failed": explanation.failed,
                "steps": [
                    WhyStep(
                        gate=step.gate,
                        outcome=step.outcome.value,
                        says=step.says,
                        record=step.number,
                        at=step.at,
                        element=step.element,
                    )
                    for step in explanation.steps
                ],
            }
        )


def _is_users_sms(step: GateStep) -> bool:
    return step.gate == "decision" and step.says.endswith(FallbackReason.USER_CHOSE_SMS.value)


def _left_at(message: UserMessage, passages: Sequence[Passage]) -> int:
    """The record until which it was decided whether the message is sealed: it left, or it failed, or nothing more came
    of it."""
    first = next((each.hop.number for each in passages if each.hop.source == message.phone), None)
    ticks = [tick.number for tick in message.ticks]
    found = [number for number in (first, *ticks[:1]) if number is not None]
    return min(found) if found else 2**62


def _place(step: GateStep) -> str:
    return "" if step.number is None else f" (record {step.number})"
