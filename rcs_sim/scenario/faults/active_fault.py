"""A fault that has begun: whether it acts on an occasion, what it left to undo, its marks in the trace."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from ims_core.trace import RecordKind
from ims_core.transport.tokens import Tokens
from rcs_sim.scenario.faults.fault_kind import FaultKind
from rcs_sim.scenario.faults.fault_scope import FaultScope

if TYPE_CHECKING:
    from rcs_sim.scenario.faults.fault_bench import FaultBench
    from rcs_sim.scenario.simulation import Simulation

__all__ = ["ActiveFault"]


class ActiveFault:
    """*undo* takes what has to be called when it ends. *acts* counts what it did. *has_begun* is False before
    ``after_s`` is over, *has_ended* True from `end` on."""

    __slots__ = (
        "_bench",
        "_occasions",
        "acts",
        "has_begun",
        "has_ended",
        "kind",
        "number",
        "scope",
        "sim",
        "tokens",
        "undo",
    )

    def __init__(self, kind: FaultKind, scope: FaultScope, number: int, sim: Simulation, bench: FaultBench) -> None:
        self.kind, self.scope, self.number, self.sim = kind, scope, number, sim
        self.tokens = Tokens(f"seed {sim.seed}/fault {number}/{kind.word}")
        self.undo = AsyncExitStack()
        self.acts = 0
        self.has_begun = self.has_ended = False
        self._bench = bench
        self._occasions = 0

    def __repr__(self) -> str:
        return f"<ActiveFault {self.number} {self.kind.word} {self.scope.said}, acted {self.acts} times>"

    @property
    def word(self) -> str:
        return self.kind.word

    async def end(self) -> None:
        """Undoes it; nothing happens the second time."""
        await self._bench.end(self)

    def happens(self) -> bool:
        """Whether it acts on this occasion, by ``every``, ``count`` and ``probability``; whoever asks then acts."""
        count = self.scope.get("count")
        if self.has_ended or (count is not None and self.acts >= count):
            return False
        self._occasions += 1
        return self._occasions % (self.scope.get("every") or 1) == 0 and self.takes_effect()

    def takes_effect(self) -> bool:
        """Chance alone."""
        chance = float(self.scope["probability"])
        return chance >= 1 or self.tokens.uniform(0, 1) < chance

    def acted(self, what: str, source: str = "", target: str = "", *, raw: bytes = b"", **details: Any) -> None:
        """It did *what*; *raw* is what went on a link by its doing."""
        self.acts += 1
        self.mark("acts", source or self.where, target, raw, what=what, **details)

    def mark(self, event: str, source: str, target: str = "", raw: bytes = b"", **details: Any) -> None:
        """A FAULT record."""
        said = {"fault": self.word, "number": self.number, **details}
        self.sim.trace.record(
            at=self.sim.clock.now(),
            kind=RecordKind.FAULT,
            source=source,
            target=target,
            summary=f"{self.word} {event}",
            raw=raw,
            details=said,
        )

    @property
    def where(self) -> str:
        """Whom it is about, for the trace."""
        names = (self.scope.text(key) for key in ("of", "element", "carrier", "from", "to"))
        return next((name for name in names if name), "network")
