"""One gate of the chain that `why` tells, and what a phone knew of one conversation when it passed it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rcs_sim.scenario.oracle_hops import digits_of
from rcs_sim.scenario.oracle_screens import UserMessage
from rcs_sim.scenario.why_facts import DIRECTORY_NOTE, Fact, FactKind, TraceFacts

__all__ = ["ENCRYPTION", "LEGACY", "GateOutcome", "GateStep", "Known", "as_told", "outcome_of", "step_of"]

ENCRYPTION, LEGACY = "encryption", "legacy encryption"  # machines of the notes of a phone


class GateOutcome(StrEnum):
    PASSED = "passed"
    STOPPED = "stopped"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class GateStep:
    """*number* is None for what never happened."""

    gate: str
    outcome: GateOutcome
    says: str
    number: int | None = None
    at: float | None = None
    element: str = ""


def step_of(gate: str, fact: Fact, says: str = "", outcome: GateOutcome | None = None) -> GateStep:
    if outcome is None:
        outcome = GateOutcome.NOTE if fact.is_good is None else outcome_of(is_good=fact.is_good)
    return GateStep(gate, outcome, says or fact.says, fact.number, fact.at, fact.element)


def as_told(fact: Fact) -> str:
    return f"{fact.word}: {fact.reason}" if fact.reason else fact.word


def outcome_of(*, is_good: bool) -> GateOutcome:
    return GateOutcome.PASSED if is_good else GateOutcome.STOPPED


class Known:
    """The facts about one conversation, as it stood at one record."""

    __slots__ = ("_facts", "_until", "message", "peer")

    def __init__(self, message: UserMessage, facts: TraceFacts, until: int) -> None:
        self.message, self._facts, self._until = message, facts, until
        self.peer = digits_of(message.peer)

    def last(self, *keys: str, until: int | None = None) -> Fact | None:
        return self._facts.last(self.message.phone, self._until if until is None else until, *keys)

    def noted(self, *states: str, machine: str = ENCRYPTION) -> Fact | None:
        """What the phone noted last about the encryption of the conversation."""
        return self.last(*(f"{machine} {state} {self.peer}" for state in states))

    def own(self, *states: str, machine: str = ENCRYPTION) -> Fact | None:
        """What the phone noted last about its own encryption."""
        return self.last(*(f"{machine} {state} " for state in states))

    def at_directory(self, call: Fact | None) -> Fact | None:
        """What the directory that answered a call did last about the peer."""
        if call is None:
            return None
        return self._facts.last(call.element, call.number, f"{DIRECTORY_NOTE} {self.peer}")

    @property
    def is_established(self) -> bool:
        """The conversation is encrypted, and nothing has ended that."""
        fact = self.noted("encrypted", "ended")
        return fact is not None and fact.word == "encrypted"

    def refusal(self, message_id: str) -> Fact | None:
        found = self._facts.about(self.message.phone, message_id)
        return next((fact for fact in found if fact.kind is FactKind.REFUSAL), None)

    def unanswered(self) -> Fact | None:
        return next(self._facts.unanswered(self.message.phone), None)
