"""What the octets say about the messages of a story: the lock-truth oracle, in the words of scenario files."""

from __future__ import annotations

from dataclasses import dataclass

from ims_core.errors import SimulatorError
from rcs_sim.client.message_state import MessageState
from rcs_sim.scenario.simulation import Simulation
from rcs_sim.scenario.story.expectation_model import VIOLATIONS
from rcs_sim.scenario.story.stage import Said

__all__ = ["Evidence", "Finding"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must never be: *kind* as scenario files spell it, *evidence* are numbers of trace records."""

    kind: str
    message: str
    phone: str
    why: str
    evidence: tuple[int, ...] = ()

    def __str__(self) -> str:
        records = f" (records {', '.join(map(str, self.evidence))})" if self.evidence else ""
        return f"{self.kind.replace('_', ' ')}: message {self.message}, at {self.phone}: {self.why}{records}"


class Evidence:
    """Questions about the messages that were *said* so far."""

    __slots__ = ("_said", "_sim")

    def __init__(self, sim: Simulation, said: dict[str, Said]) -> None:
        self._sim, self._said = sim, said

    def readers(self, said: Said) -> set[str]:
        """Who could read it."""
        return self._sim.oracle.readers(said.message)

    def known_readers(self, said: Said) -> list[str]:
        """The same for a report; nobody for a message that left no trace."""
        try:
            return sorted(self.readers(said))
        except SimulatorError:
            return []

    def violations(self) -> list[Finding]:
        """What the oracle finds, about any message."""
        oracle = self._sim.oracle
        names = {id(oracle.find(said.message)): name for name, said in self._said.items()}
        return [
            Finding(
                found.kind.value.replace(" ", "_"),
                names.get(id(found.message), found.message.name),
                found.phone,
                found.why,
                found.evidence,
            )
            for found in oracle.violations()
        ]

    def never(self, said: Said, words: set[str]) -> list[Finding]:
        """Which of *words* happened to a message, but for what `violations` tells."""
        found = []
        if "plaintext" in words:
            others = self.readers(said) - set(self._sim.phones) - self._sim.former_phones
            if others:
                why = f"{', '.join(sorted(others))} could read it"
                found.append(Finding("plaintext", said.name, said.sender, why))
        history = said.message.history
        if "failed" in words and any(change.state is MessageState.FAILED for change in history):
            found.append(Finding("failed", said.name, said.sender, f"it failed: {said.message.reason.value}"))
        if "sms" in words and _was_sms(said):
            found.append(Finding("sms", said.name, said.sender, f"it went as SMS: {said.message.reason.value}"))
        return found

    def broken_rules(self, never: dict[str, set[str]], everywhere: set[str], tolerated: set[str]) -> list[Finding]:
        """What must not have been: violations of the oracle but those *tolerated*, and the words of *never*, by message
        name, and of *everywhere*."""
        found = [each for each in self.violations() if each.kind not in tolerated]
        for name, said in self._said.items():
            words = (everywhere | never.get(name, set())) - set(VIOLATIONS)
            found += self.never(said, words)
        return found


def _was_sms(said: Said) -> bool:
    interworked = any(change.state is MessageState.INTERWORKED for change in said.message.history)
    return interworked or any(change.transport.value == "SMS" for change in said.message.history)
