"""The oracle's table for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

from rich.console import Console
from rich.table import Table

from rcs_sim.scenario.oracle_documents import OracleDocument, OracleOutsider, OracleRow

__all__ = ["table_text"]

_WIDTH = 160
_TOLD_RUNS = 8  # of records that are missing
_TEXT_CHARACTERS = 32
_HEADINGS = ("", "from", "to", "text", "label", "scheme", "mark", "octets were", "hops", "readers")
_OUTSIDE = ("message id", "from", "to", "text", "content", "octets were", "readers")


def table_text(document: OracleDocument, width: int = _WIDTH) -> str:
    """One row for each message, then the violations, then what the operators could read."""
    output = StringIO()
    console = Console(file=output, width=width, no_color=True, highlight=False)
    table = Table(title=f"who could read what ({document.records} records)", title_justify="left")
    for heading in _HEADINGS:
        table.add_column(heading, overflow="fold")
    for row in document.messages:
        table.add_row(*_cells(row))
    if document.messages:
        console.print(table)
    else:
        console.print("no phone of this trace sent or showed a message", markup=False)
    if document.outside:
        console.print(_of_outsiders(document.outside))
    for violation in document.violations:
        records = ", ".join(map(str, violation.evidence))
        line = f"{violation.violation}: {violation.message} on {violation.phone}: {violation.why} (records {records})"
        console.print(line, markup=False, soft_wrap=True)
    if document.missing:
        console.print(_of_missing(document.missing), markup=False, soft_wrap=True)
    if not document.violations and document.messages:
        console.print("no violation: locks say the truth, nothing was lost, shown twice or downgraded in silence")
    for sentence in document.operators.values():
        console.print(sentence, markup=False, soft_wrap=True)
    return output.getvalue().rstrip("\n")


def _of_missing(runs: Sequence[tuple[int, int]]) -> str:
    told = ", ".join(f"{first}" if first == last else f"{first} to {last}" for first, last in runs[:_TOLD_RUNS])
    more = f" and {len(runs) - _TOLD_RUNS} more" if len(runs) > _TOLD_RUNS else ""
    return f"not in this trace, and not judged: records {told}{more}"


def _of_outsiders(messages: Sequence[OracleOutsider]) -> Table:
    """Those of other clients."""
    table = Table(title="between other clients (what they show nobody tells)", title_justify="left")
    for heading in _OUTSIDE:
        table.add_column(heading, overflow="fold")
    for each in messages:
        readers = ", ".join(each.readers)
        text = _plain(_short(each.text))
        table.add_row(each.message_id, each.sender, each.to, text, each.media_type, each.verdict, readers)
    return table


def _short(text: str) -> str:
    return text if len(text) <= _TEXT_CHARACTERS else text[: _TEXT_CHARACTERS - 1] + "…"


def _cells(row: OracleRow) -> tuple[str, ...]:
    readable = sum(hop.verdict == "readable" for hop in row.hops)
    text = _short(row.text)
    if row.change is not None:
        text = f"{row.change} {row.about}: {text}" if text else f"{row.change} {row.about}"
    mark = f"{row.mark or 'waits'}, under way" if row.pending else row.mark or "waits"
    return (
        row.id,
        row.sender or "(outside)",
        row.to,
        _plain(text),
        _plain(row.label),
        row.scheme or "",
        mark,
        row.verdict,
        f"{readable} of {len(row.hops)}",
        ", ".join(row.readers),
    )


def _plain(text: str) -> str:
    """Without what rich would take for markup, and without line ends."""
    return " ".join(text.split()).replace("[", "\\[")
