"""The benchmark table: which rows there are, measuring them with progress, and printing them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from ims_core.errors import SimulatorError
from rcs_sim.bench.digest_registration import measure_digest_registration
from rcs_sim.bench.encrypted import measure_encrypted, measure_encrypted_set_up
from rcs_sim.bench.memory import measure_encrypting_memory, measure_memory
from rcs_sim.bench.messages import measure_parser, measure_proxy_step
from rcs_sim.bench.mls import measure_mls_commits, measure_mls_members, measure_mls_messages, measure_mls_trees
from rcs_sim.bench.msrp import measure_msrp, measure_msrp_large
from rcs_sim.bench.pager import measure_pager
from rcs_sim.bench.relay import measure_relay
from rcs_sim.bench.row import BenchRow, Measured, OnRun, Unmeasured
from rcs_sim.bench.sessions import measure_idle, measure_session
from rcs_sim.bench.udp import measure_udp

__all__ = ["ROWS", "exit_status", "run_bench", "to_json"]

_WIDTH = 160  # columns of the table where it goes to no terminal

ROWS: Sequence[BenchRow] = (
    BenchRow("parse", "SIP parser", lambda repeat, on_run: measure_parser(repeat)),
    BenchRow("proxy-step", "stateless proxy step", lambda repeat, on_run: measure_proxy_step(repeat)),
    BenchRow("udp", "UDP receive path", measure_udp),
    BenchRow("relay", "registrar and stateful relay", measure_relay),
    BenchRow("digest", "Digest registration", measure_digest_registration),
    BenchRow("pager", "pager message and both receipts", measure_pager),
    BenchRow("session", "text in a session and both receipts", measure_session),
    BenchRow("msrp", "MSRP SEND and 200 through a relay", measure_msrp),
    BenchRow("msrp-large", "10 MB message through both relays", measure_msrp_large),
    BenchRow("memory", "memory of 10,000 registered phones", measure_memory),
    BenchRow("idle", "10,000 phones and 1,000 sessions at rest", measure_idle),
    BenchRow("encrypted", "encrypted text and both receipts", measure_encrypted),
    BenchRow("encrypted-set-up", "1,000 encrypted conversations set up", measure_encrypted_set_up),
    BenchRow("memory-encrypted", "memory of 1,000 phones that encrypt", measure_encrypting_memory),
    BenchRow("mls-message", "MLS application messages", measure_mls_messages),
    BenchRow("mls-commit", "MLS Commits in a group of 100 that was just made", measure_mls_commits),
    BenchRow("mls-tree", "MLS Commits and joining in a group of 1,000", measure_mls_trees),
    BenchRow("mls-member", "size of a member of an MLS group of 100", measure_mls_members),
)

Result = Measured | Unmeasured


def run_bench(rows: list[str], *, repeat: int, as_json: bool) -> int:
    """Measures the rows named, all by default, and prints them; the exit status of `rcs-sim bench`."""
    names = [row.name for row in ROWS]
    unknown = [name for name in rows if name not in names]
    if unknown:
        Console(stderr=True).print(f"rcs-sim: no row {', '.join(unknown)}; there are {', '.join(names)}", markup=False)
        return 2
    results: list[Result] = []
    with _progress() as progress:
        for row in ROWS:
            if not rows or row.name in rows:
                results += _measure(row, repeat, progress)
    if as_json:
        print(json.dumps({"repeat": repeat, "rows": [to_json(result) for result in results]}))
    else:
        _print_table(results, repeat)
    return exit_status(results)


def exit_status(results: Iterable[Result]) -> int:
    """0: every limit that was measured holds; 1: one does not; 2: something is there and does not work."""
    found = list(results)
    if any(isinstance(result, Unmeasured) and result.is_broken for result in found):
        return 2
    return int(any(isinstance(result, Measured) and result.passes is False for result in found))


def _measure(row: BenchRow, repeat: int, progress: Progress) -> Sequence[Result]:
    """One row. What fails in it must not cost the rows after it."""
    with _task(progress, row.title, repeat) as on_run:
        try:
            return row.measure(repeat, on_run)
        except (SimulatorError, OSError) as error:
            return [Unmeasured(row.name, str(error), is_broken=True)]


def _progress() -> Progress:
    """On standard error, so that the table can be piped; nothing where nobody looks."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("to go"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


@contextmanager
def _task(progress: Progress, title: str, repeat: int) -> Iterator[OnRun]:
    task = progress.add_task(title, total=repeat)
    try:
        yield lambda done, total: progress.update(task, completed=done, total=total)
    finally:
        progress.remove_task(task)


def to_json(result: Result) -> dict[str, Any]:
    """One row of `rcs-sim bench --json`: that of a `Measured` has `value`, that of an `Unmeasured` has `reason`."""
    members = asdict(result)
    if isinstance(result, Measured):
        members["passes"] = result.passes
    return members


def _print_table(results: Sequence[Result], repeat: int) -> None:
    table = Table(title=f"medians of {repeat} runs" if repeat > 1 else "one run", show_lines=True)
    for title, justify in (("row", "left"), ("what", "left"), ("measured", "right"), ("limit", "right"),
                           ("peer", "left"), ("wall", "left"), ("", "left")):  # fmt: skip
        table.add_column(title, justify=justify)  # type: ignore[arg-type]  # rich's literal type
    for result in results:
        if isinstance(result, Measured):
            table.add_row(*_cells(result))
        else:
            state = Text("broken", "red") if result.is_broken else Text("not measured", "yellow")
            table.add_row(result.row, Text(result.reason), "", "", "", "", state)
    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH
    console.print(table)


def _cells(result: Measured) -> tuple[Text, ...]:
    what = Text(result.what)
    if result.method:
        what.append(f"\n{result.method}", "dim")
    peer = result.peer
    if result.peer_value is not None:
        peer += f": {_figure(result.peer_value)}"
    words = (Text(result.row), what, Text(f"{_figure(result.value)} {result.unit}"), Text(_limit(result)), Text(peer))
    return *words, Text(result.wall), _mark(result)


def _limit(result: Measured) -> str:
    if result.limit is None:
        return ""
    sign = "≤" if result.is_upper_limit else "≥"
    goal = "" if result.goal is None else f"\ngoal {sign} {_figure(result.goal)}"
    return f"{sign} {_figure(result.limit)}{goal}"


def _mark(result: Measured) -> Text:
    marks = {True: Text("pass", "green"), False: Text("FAIL", "bold red"), None: Text("no limit", "yellow")}
    return marks[result.passes]


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
