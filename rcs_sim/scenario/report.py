"""`rcs-sim run --html`: a batch as one HTML file that opens from disk and asks nobody for anything.

It is well-formed XML as well. A policy in its head forbids scripts and whatever would have to be fetched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape

from ims_core.trace import RecordKind, TraceRecord
from rcs_sim.scenario.ladder import ladder_svg, lanes_of
from rcs_sim.scenario.report_epochs import EpochChange, epochs_of
from rcs_sim.scenario.report_timeline import timeline_svg
from rcs_sim.scenario.story.run_document import FailureDocument, MessageDocument, RunDocument, RunRow

__all__ = ["RecordsOf", "html_report"]

RecordsOf = Callable[[int], Sequence[TraceRecord]]

MAX_RUNGS = {"pass": 80}  # of a ladder, by verdict
MAX_RUNGS_ELSE = 240
MAX_ROWS = 300  # of a table within a run
_SCENARIO = "scenario"  # the element that marks steps
_NOT_HTML = re.compile("[^\t\n\r\u0020-\u007e\u00a0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WORDS = {"pass": "✓ pass", "fail": "✗ fail", "broken": "! broken"}
_STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 1.5rem; color: #1c1c1c; background: #fff; }
table { border-collapse: collapse; margin: .5rem 0 1rem; }
th, td { border: 1px solid #d4d4d4; padding: .2rem .5rem; text-align: left; vertical-align: top; }
th { background: #f3f3f3; }
pre { background: #f7f7f7; padding: .6rem; overflow-x: auto; }
details { border: 1px solid #d4d4d4; border-radius: 4px; margin: .5rem 0; padding: .4rem .7rem; }
summary { cursor: pointer; }
.pass { color: #1d6b35; } .fail { color: #b02a2a; } .broken { color: #8a5a00; } .unreached { color: #777; }
.wide { overflow-x: auto; }
table.summary td:nth-child(n+2):nth-child(-n+5) { white-space: nowrap; }
"""


def html_report(document: RunDocument, records_of: RecordsOf) -> Iterator[str]:
    """The file in parts. *records_of* gives the trace of a run by its index, nothing where there is none; it is asked
    once for each run, so that no two traces have to be held at a time."""
    for part in _parts(document, records_of):
        yield _NOT_HTML.sub("\ufffd", part)


def _parts(document: RunDocument, records_of: RecordsOf) -> Iterator[str]:
    verdict = document.verdict
    yield (
        '<!DOCTYPE html>\n<html xmlns="http://www.w3.org/1999/xhtml" lang="en"><head><meta charset="utf-8" />\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\" />\n"
        f"<title>rcs-sim: {escape(verdict)}</title><style>{_STYLE}</style></head><body>\n"
        f'<h1>rcs-sim: <span class="{verdict}">{_WORDS[verdict]}</span></h1>\n'
        f"<p>{document.passed} passed, {document.failed} failed, {document.broken} broken"
        f" in {document.wall_s:.1f} s</p>\n"
    )
    yield _summary(document)
    yield _thresholds(document)
    yield "<h2>Runs</h2>\n"
    for index, row in enumerate(document.runs):
        is_open = row.verdict != "pass" or len(document.runs) == 1
        yield from _run(index, row, records_of(index), is_open=is_open)
    yield "</body></html>\n"


# ------------------------------------------------------------------------------------------------------ the whole batch


def _summary(document: RunDocument) -> str:
    rows = [
        f'<tr class="run"><td><a href="#run{index}">{escape(_title(row))}</a></td><td>{row.seed}</td>'
        f"{_verdict(row.verdict)}<td>{row.simulated_s:,.1f} s</td><td>{row.wall_s:.2f} s</td>"
        f"<td>{escape('; '.join(row.spec))}</td></tr>"
        for index, row in enumerate(document.runs)
    ]
    return _table(("run", "seed", "verdict", "simulated", "took", "spec"), rows, "summary")


def _thresholds(document: RunDocument) -> str:
    parts = []
    if document.slo:
        rows = []
        for each in document.slo:
            measured = "nothing to measure" if each.measured is None else f"{each.measured:g}"
            cells = _cells(each.name, each.slo, f"{each.threshold:g}", measured)
            rows.append(f"<tr>{cells}{_verdict(each.verdict)}</tr>")
        parts.append("<h2>Thresholds</h2>\n" + _table(("scenario", "of", "threshold", "measured", "verdict"), rows))
    if document.disagreements:
        lines = "".join(f"<li>{escape(line)}</li>" for line in document.disagreements)
        parts.append(f'<h2>Runs of one seed that differ</h2>\n<ul class="fail">{lines}</ul>\n')
    return "".join(parts)


# ------------------------------------------------------------------------------------------------------------- one run


def _run(index: int, row: RunRow, records: Sequence[TraceRecord], *, is_open: bool) -> Iterator[str]:
    attribute = ' open="open"' if is_open else ""
    yield (
        f'<details id="run{index}"{attribute}><summary><span class="{row.verdict}">{_WORDS[row.verdict]}</span> '
        f"{escape(_title(row))}, seed {row.seed}: {row.steps}/{row.steps_total} steps</summary>\n"
    )
    if row.failure is not None:
        yield _failure(row.failure)
    yield _steps(row, records)
    yield _messages(row.messages)
    yield _violations(row)
    if records:
        yield from _views(row, records)
    trace = f"<p>Trace: <code>{escape(row.trace)}</code></p>\n" if row.trace else ""
    yield f"{trace}<p>Again: <code>{escape(row.replay)}</code></p></details>\n"


def _title(row: RunRow) -> str:
    again = f" #{row.repetition}" if row.repetition > 1 else ""
    return row.name + (f" [{row.variant}]" if row.variant else "") + again


def _failure(failure: FailureDocument) -> str:
    labels = [
        f"<tr>{_cells(phone, peer, label)}</tr>"
        for phone, peers in failure.labels.items()
        for peer, label in peers.items()
    ]
    step = failure.title if failure.step is None else f"step {failure.step} ({failure.title})"
    return (
        f'<p class="fail"><code>{escape(failure.place)}</code>: {escape(step)}</p>\n<dl>'
        f"<dt>{escape(failure.about)}: expected</dt><dd>{escape(failure.expected)}</dd>"
        f"<dt>seen</dt><dd>{escape(failure.seen)}</dd></dl>\n<pre>{escape(failure.ladder)}</pre>\n"
        + (_table(("phone", "conversation with", "label"), labels) if labels else "")
    )


def _steps(row: RunRow, records: Sequence[TraceRecord]) -> str:
    marks = {
        record.details["step"]: record
        for record in records
        if record.source == _SCENARIO and isinstance(record.details.get("step"), int)
    }
    start = records[0].at if records else 0.0
    rows = []
    for number in range(1, row.steps_total + 1):
        mark = marks.get(number)
        told = "" if mark is None else mark.summary.partition(": ")[2]
        at = "" if mark is None else f"{mark.at - start:,.3f} s"
        rows.append(f"<tr>{_cells(str(number), told, at)}{_verdict(_step_verdict(row, number))}</tr>")
    return "<h3>Steps</h3>\n" + _table(("step", "what", "at", "verdict"), rows, "steps")


def _step_verdict(row: RunRow, number: int) -> str:
    if row.failure is not None and row.failure.step == number:
        return row.verdict
    return "pass" if number <= row.steps else "unreached"


def _messages(messages: Sequence[MessageDocument]) -> str:
    if not messages:
        return ""
    rows = []
    for each in messages:
        way = each.transport if each.mode is None else f"{each.transport}, {each.mode}"
        after = "" if each.delivered_after_s is None else f"{each.delivered_after_s:.3f} s"
        readers = ", ".join(each.readers) or "nobody"
        ends = f"{each.sender} → {each.to}"
        text = each.text if each.change is None else f"{each.change}: {each.text}".removesuffix(": ")
        cells = (each.name, ends, text, each.label, each.scheme or "none", each.state, way, each.reason or "")
        rows.append(f"<tr>{_cells(*cells, after, str(each.shown), readers, each.history)}</tr>")
    heads = ("message", "ends", "text", "label", "scheme", "state", "by", "why", "delivered after", "shown", "readers")
    return f'<h3>Messages</h3>\n<div class="wide">{_table((*heads, "history"), rows, "messages")}</div>\n'


def _violations(row: RunRow) -> str:
    if not row.violations:
        return "<p>The oracle found no violation.</p>\n" if row.records else ""
    rows = []
    for each in row.violations:
        numbers = ", ".join(map(str, each.evidence))
        rows.append(f"<tr>{_cells(each.kind, each.message, each.phone, each.why, numbers)}</tr>")
    return "<h3>Violations</h3>\n" + _table(("violation", "message", "phone", "why", "records"), rows, "violations")


# --------------------------------------------------------------------------------------------------- views of the trace


def _views(row: RunRow, records: Sequence[TraceRecord]) -> Iterator[str]:
    start = records[0].at
    for conversation, changes in epochs_of(records).items():
        yield f"<h3>MLS epochs of conversation <code>{escape(conversation)}</code></h3>\n"
        yield _epochs(changes, start)
    played = _after_set_up(records)
    if timeline := timeline_svg(played):
        yield f'<h3>Timeline</h3>\n<div class="wide">{timeline}</div>\n'
    yield from _ladder(row, played)


def _after_set_up(records: Sequence[TraceRecord]) -> Sequence[TraceRecord]:
    """From the first step on; all of it where no step was reached."""
    first = next((n for n, record in enumerate(records) if record.source == _SCENARIO), 0)
    return records[first:]


def _epochs(changes: Sequence[EpochChange], start: float) -> str:
    rows = [
        f"<tr>{_cells(f'{each.at - start:,.3f} s', each.element, str(each.era), str(each.epoch), each.why)}</tr>"
        for each in changes
    ]
    return _table(("at", "element", "era", "epoch", "what"), rows, "epochs")


def _ladder(row: RunRow, records: Iterable[TraceRecord]) -> Iterator[str]:
    rungs = [record for record in records if record.source != _SCENARIO and record.kind is not RecordKind.STATE]
    if not rungs:
        return
    most = MAX_RUNGS.get(row.verdict, MAX_RUNGS_ELSE)
    head, left_out = most // 2, len(rungs) - most
    kept = rungs if left_out <= 0 else [*rungs[:head], *rungs[left_out + head :]]
    note = "" if left_out <= 0 else f"<p>{left_out} rungs after the first {head} are left out.</p>\n"
    yield f"<h3>Ladder</h3>\n{note}"
    yield f'<div class="wide ladder">{ladder_svg(kept, lanes_of(kept), title=_title(row))}</div>\n'


# --------------------------------------------------------------------------------------------------------------- pieces


def _table(heads: Sequence[str], rows: Sequence[str], name: str = "") -> str:
    """*rows* are markup already; those of a run after the first MAX_ROWS are counted."""
    shown = rows if name == "summary" else rows[:MAX_ROWS]
    more = (
        "" if len(shown) == len(rows) else f'<tr><td colspan="{len(heads)}">and {len(rows) - len(shown)} more</td></tr>'
    )
    head = "".join(f"<th>{escape(each)}</th>" for each in heads)
    named = f' class="{name}"' if name else ""
    return f"<table{named}><thead><tr>{head}</tr></thead><tbody>{''.join(shown)}{more}</tbody></table>\n"


def _cells(*texts: str) -> str:
    return "".join(f"<td>{escape(text)}</td>" for text in texts)


def _verdict(verdict: str) -> str:
    return f'<td class="{verdict}">{_WORDS.get(verdict, "not reached")}</td>'
