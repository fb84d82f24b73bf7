"""Thresholds of a scenario over the messages of all its runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from rcs_sim.scenario.story.run_document import MessageDocument, RunRow, SloDocument
from rcs_sim.scenario.story.scenario_file import SloEntry

__all__ = ["judge_slo"]

_Messages = Sequence[MessageDocument]


def judge_slo(file: str, name: str, slo: SloEntry, rows: Sequence[RunRow]) -> list[SloDocument]:
    """One line for each threshold that is set. What cannot be measured fails."""
    messages = [message for row in rows for message in row.messages]
    return [
        _judged(file, name, member, threshold, _MEASURES[member](messages) if messages else None)
        for member, threshold in slo.model_dump(exclude_none=True).items()
    ]


def _judged(file: str, name: str, member: str, threshold: float, measured: float | None) -> SloDocument:
    is_met = measured is not None and (measured >= threshold if member in _AT_LEAST else measured <= threshold)
    return SloDocument(
        file=file,
        name=name,
        slo=member,
        threshold=threshold,
        measured=None if measured is None else round(measured, 6),
        verdict="pass" if is_met else "fail",
    )


def _ratio(is_one: Callable[[MessageDocument], bool]) -> Callable[[_Messages], float | None]:
    return lambda messages: sum(map(is_one, messages)) / len(messages)


def _percentile(share: float) -> Callable[[_Messages], float | None]:
    """Nearest rank, of what was delivered."""

    def measure(messages: _Messages) -> float | None:
        times = sorted(each.delivered_after_s for each in messages if each.delivered_after_s is not None)
        return times[max(0, math.ceil(share * len(times)) - 1)] if times else None

    return measure


_AT_LEAST = frozenset(("delivered_ratio", "encrypted_ratio"))
_MEASURES: Mapping[str, Callable[[_Messages], float | None]] = {
    "delivered_ratio": _ratio(lambda message: message.delivered_after_s is not None),
    "delivered_p50_s": _percentile(0.5),
    "delivered_p95_s": _percentile(0.95),
    "delivered_max_s": _percentile(1.0),
    "fallback_ratio": _ratio(lambda message: message.transport == "sms"),
    "failed_ratio": _ratio(lambda message: message.state == "failed"),
    "encrypted_ratio": _ratio(lambda message: message.scheme is not None),
}
