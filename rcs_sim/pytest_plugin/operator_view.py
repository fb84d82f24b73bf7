"""What the operators of the network could read and learn, as a test asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rcs_sim.scenario.oracle_rules import Violation
    from rcs_sim.scenario.simulation import Simulation

__all__ = ["OperatorView"]


class OperatorView:
    """Over the oracle of a running simulation: each question is answered from all octets that were on a link so far.

    A message is the one that `Chat.send` gave, an imdn.Message-ID, or a text."""

    def __init__(self, sim: Simulation) -> None:
        self._sim = sim

    @property
    def carriers(self) -> tuple[str, ...]:
        """Names of the carriers."""
        return tuple(self._sim.lab.carriers)

    def could_read(self, message: object) -> set[str]:
        """The carriers that could read *message* at any of their elements. Raises UnknownMessage."""
        return {name for reader in self._sim.oracle.readers(message) if (name := self._carrier_of(reader))}

    def readable(self, carrier: str) -> list[str]:
        """Texts of the messages that *carrier* could read, in the order of sending. Raises SimulatorError for a carrier
        that is none."""
        self._sim.carrier(carrier)
        return [each.text for each in self._sim.oracle.messages if carrier in self.could_read(each)]

    def learned(self, message: object) -> dict[str, set[str]]:
        """By carrier, what it could tell about *message* without reading it: numbers, ids, times, sizes. Raises
        UnknownMessage."""
        found: dict[str, set[str]] = {name: set() for name in self.carriers}
        for element, words in self._sim.oracle.metadata(message).items():
            carrier = self._carrier_of(element)
            if carrier:
                found[carrier] |= words
        return found

    @property
    def violations(self) -> list[Violation]:
        """What must never be and was: a lock over octets that others could read, a message lost or shown twice."""
        return self._sim.oracle.violations()

    @property
    def sentences(self) -> dict[str, str]:
        """By carrier, what its operator could read."""
        return self._sim.oracle.operators()

    def _carrier_of(self, element: str) -> str:
        """Empty for a phone, or an element of nobody."""
        name, dot, _ = element.partition(".")
        return name if dot and name in self._sim.lab.carriers else ""

    def __str__(self) -> str:
        return "\n".join(self.sentences.values())
