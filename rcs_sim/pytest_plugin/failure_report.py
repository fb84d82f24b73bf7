"""What the report of a failed test tells about its simulation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from rcs_sim.pytest_plugin.simulated_test import SimulatedTest, violation_line

if TYPE_CHECKING:
    from ims_core.trace import TraceRecord
    from rcs_sim.scenario.oracle_documents import OracleRow
    from rcs_sim.scenario.simulation import Simulation

__all__ = ["failure_sections"]

_LADDER_RECORDS = 16  # of the tail
_TEXT_CHARACTERS = 40


def failure_sections(test: SimulatedTest, node_id: str, trace: Path | None) -> list[tuple[str, str]]:
    """Title and text of each section. Nothing for a test that had no simulation; never raises."""
    sim = test.simulation
    if sim is None or test.sink is None:
        return []
    records = list(test.sink.records)
    sections = [
        (f"rcs-sim: ladder, the end of {len(records)} records", lambda: _ladder(records)),
        ("rcs-sim: labels", lambda: "\n".join(_labels(sim))),
        ("rcs-sim: readers", lambda: "\n".join(_readers(sim))),
        ("rcs-sim: trace", lambda: "\n".join(_again(sim, node_id, trace))),
    ]
    return [(title, _told(text)) for title, text in sections]


def _told(text: Callable[[], str]) -> str:
    try:
        return text() or "(nothing)"
    except Exception as error:  # the edge: a report about a failure must not become another one
        return f"(cannot be told: {type(error).__name__}: {error})"


def _ladder(records: list[TraceRecord]) -> str:
    from ims_core.trace import RecordKind
    from rcs_sim.scenario.ladder import ladder_text

    kept = [record for record in records if record.kind is not RecordKind.STATE][-_LADDER_RECORDS:]
    if not kept:
        return ""
    start = kept[0].at - records[0].at
    return f"from {start:.3f} s after the beginning of the simulation:\n{ladder_text(kept)}"


def _labels(sim: Simulation) -> Iterator[str]:
    names = {number: name for name, number in sim.numbers.items()}
    for name, phone in sim.phones.items():
        for chat in phone.chats:
            peer = names.get(str(chat.peer), str(chat.peer))
            yield f"{name} with {peer}: {chat.label}"


def _readers(sim: Simulation) -> Iterator[str]:
    document = sim.oracle.document()
    names = {number: name for name, number in sim.numbers.items()}
    for row in document.messages:
        yield _reader_line(row, names.get(row.to, row.to))
    yield from document.operators.values()
    for violation in sim.oracle.violations():
        yield violation_line(violation)


def _reader_line(row: OracleRow, to: str) -> str:
    text = row.text if len(row.text) <= _TEXT_CHARACTERS else row.text[: _TEXT_CHARACTERS - 1] + "…"
    state = row.mark or "waits"
    who = ", ".join(row.readers) or "nobody"
    return f"{row.id} {row.sender or '(outside)'} → {to} {text!r}: {row.label}; {state}; readers: {who}"


def _again(sim: Simulation, node_id: str, trace: Path | None) -> Iterator[str]:
    if trace is None:
        yield "not kept: --rcs-trace=retain-on-failure keeps it"
    else:
        yield f"{trace}"
        yield f"look at it: rcs-sim trace ladder {quote(str(trace))}"
    yield f"run it again: pytest {quote(node_id)} --rcs-seed {sim.seed}"
