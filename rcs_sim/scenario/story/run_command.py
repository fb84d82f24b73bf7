"""`rcs-sim run` and `rcs-sim scenarios`: plays, prints, writes."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from ims_core.errors import ProfileError
from ims_core.trace import TraceRecord
from rcs_sim.scenario.report import html_report
from rcs_sim.scenario.story.batch import RunOrder, RunWishes, disagreements, orders_of, play_orders
from rcs_sim.scenario.story.catalogue import find_scenarios, list_scenarios
from rcs_sim.scenario.story.junit import junit_xml, refused_xml
from rcs_sim.scenario.story.reading import read_stories
from rcs_sim.scenario.story.run_document import RunDocument, RunRow, SloDocument
from rcs_sim.scenario.story.slo import judge_slo
from rcs_sim.scenario.story.verdict import EXIT_STATUS, Verdict, worst
from rcs_sim.scenario.trace_views import TraceFileError, read_trace

__all__ = ["play_batch", "run_scenarios", "show_scenarios"]

_WIDTH = 150  # columns where the output goes to no terminal
_SIGNS = {"pass": "[green]✓[/]", "fail": "[red]✗[/]", "broken": "[yellow]![/]"}


def run_scenarios(
    names: Sequence[str],
    wishes: RunWishes,
    *,
    jobs: int | None = None,
    junit: Path | None = None,
    html: Path | None = None,
    as_json: bool = False,
) -> int:
    """Plays what *names* stand for and prints it; the exit status. Raises ProfileError before anything is played; the
    JUnit file tells that too."""
    console = Console(stderr=as_json)
    if not console.is_terminal:
        console.width = _WIDTH
    try:
        document = _played(find_scenarios(names), wishes, jobs, html, console, tells=not as_json)
    except ProfileError as error:
        if junit is not None:
            _write(junit, refused_xml(_refused(names, wishes, error)))
        raise
    if junit is not None:
        _write(junit, junit_xml(document))
    if as_json:
        print(json.dumps(document.model_dump(by_alias=True), ensure_ascii=False))
    else:
        _summarise(document, console)
    return EXIT_STATUS[Verdict(document.verdict)]


def _played(
    paths: Sequence[Path], wishes: RunWishes, jobs: int | None, html: Path | None, console: Console, *, tells: bool
) -> RunDocument:
    if html is None:
        return play_batch(paths, wishes, jobs=jobs, console=console, tells=tells)
    with tempfile.TemporaryDirectory(prefix="rcs-sim-") as folder:
        views = Path(folder)
        document = play_batch(paths, wishes, jobs=jobs, console=console, tells=tells, views=views)
        _write_html(document, html, views)
    return document


def _write(target: Path, octets: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(octets)


def _refused(names: Sequence[str], wishes: RunWishes, error: ProfileError) -> dict[str, str | None]:
    """Each file of the batch with the reason why it cannot be played, None if it could be. *error* is the first."""
    try:
        paths = find_scenarios(names)
    except ProfileError:
        return {error.file: str(error)}
    reasons = {str(path): _reason(path, wishes) for path in paths}
    return reasons if any(reasons.values()) else {error.file: str(error)}


def _reason(path: Path, wishes: RunWishes) -> str | None:
    try:
        orders_of([path], wishes)
    except ProfileError as error:
        return str(error)
    return None


def play_batch(
    paths: Sequence[Path],
    wishes: RunWishes,
    *,
    jobs: int | None = None,
    console: Console,
    tells: bool = True,
    views: Path | None = None,
) -> RunDocument:
    """Plays the files at *paths*; the trace of run N goes to the folder *views* as well, where it is named N. Raises
    ProfileError before anything is played."""
    started = time.perf_counter()
    orders = orders_of(paths, wishes)
    if views is not None:
        orders = [replace(order, view=views / str(index)) for index, order in enumerate(orders)]
    with _progress(console) as progress:
        task = progress.add_task("playing", total=len(orders))

        def done(row: RunRow) -> None:
            progress.advance(task)
            if tells:
                _tell(row, progress.console)

        rows = play_orders(orders, jobs=jobs, done=done)
    return _document(orders, rows, _slo(paths, rows, wishes), time.perf_counter() - started)


def _write_html(document: RunDocument, target: Path, views: Path) -> None:
    def records_of(index: int) -> list[TraceRecord]:
        try:
            return read_trace(views / str(index))
        except TraceFileError:  # a run that broke before it had one, or whose process ended while it wrote
            return []

    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", encoding="utf-8") as stream:
        stream.writelines(html_report(document, records_of))


def _progress(console: Console) -> Progress:
    """With the time that is left, as far as the runs that are over tell; nothing where no terminal is."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _slo(paths: Sequence[Path], rows: Sequence[RunRow], wishes: RunWishes) -> list[SloDocument]:
    """Thresholds speak of whole scenarios: not of runs that end half-way."""
    if wishes.until is not None:
        return []
    found: list[SloDocument] = []
    for path in paths:
        file = read_stories(path, wishes.changes)[0].file
        if file.slo is not None:
            found += judge_slo(str(path), file.name, file.slo, [row for row in rows if row.file == str(path)])
    return found


def _document(orders: Sequence[RunOrder], rows: list[RunRow], slo: list[SloDocument], wall_s: float) -> RunDocument:
    differing = disagreements(orders, rows)
    verdicts = [Verdict(row.verdict) for row in rows] + [Verdict(each.verdict) for each in slo]
    verdict = worst([*verdicts, *([Verdict.FAIL] if differing else [])])
    return RunDocument(
        verdict=verdict.value,
        passed=sum(row.verdict == "pass" for row in rows),
        failed=sum(row.verdict == "fail" for row in rows),
        broken=sum(row.verdict == "broken" for row in rows),
        wall_s=round(wall_s, 3),
        runs=rows,
        slo=slo,
        disagreements=differing,
    )


# ------------------------------------------------------------------------------------------------------------ printing


def _tell(row: RunRow, console: Console) -> None:
    variant = f" [{row.variant}]" if row.variant else ""
    again = f" #{row.repetition}" if row.repetition > 1 else ""
    line = escape(f"{row.name}{variant} seed {row.seed}{again}")
    stopped = f", stopped after step {row.until}" if row.until is not None else ""
    course = f"{row.steps}/{row.steps_total} steps{stopped}, {row.simulated_s:,.1f} s simulated, {row.wall_s:.2f} s"
    console.print(f"{_SIGNS[row.verdict]} {line} [dim]{course}[/]", highlight=False, soft_wrap=True)
    if row.failure is not None:
        _tell_failure(row, console)
    elif row.until is not None or row.trace is not None:
        _tell_state(row, console)


def _tell_failure(row: RunRow, console: Console) -> None:
    failure = row.failure
    if failure is None:
        return
    step = f"step {failure.step} ({failure.title})" if failure.step is not None else failure.title
    lines = [
        f"{failure.place}: {step}",
        f"{failure.about}: expected {failure.expected}",
        f"seen: {failure.seen}",
        "",
        failure.ladder,
        "",
    ]
    for line in "\n".join(lines).splitlines():
        console.print(f"    {line}", markup=False, highlight=False, soft_wrap=True)
    for phone, labels in failure.labels.items():
        shown = ", ".join(f"{peer}: {label}" for peer, label in labels.items()) or "no conversation"
        console.print(f"    label at {phone}: {shown}", markup=False, highlight=False, soft_wrap=True)
    _tell_state(row, console)
    console.print(f"    replay: {row.replay}", markup=False, highlight=False, soft_wrap=True)


def _tell_state(row: RunRow, console: Console) -> None:
    for message in row.messages:
        readers = ", ".join(message.readers) or "nobody"
        change = "" if message.change is None else f" {message.change}"
        who = f"{message.name} {message.sender} → {message.to}{change}"
        line = f"    {who}: {message.label}; {message.history}; readers: {readers}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if row.trace is not None:
        console.print(f"    trace: {row.trace}", markup=False, highlight=False, soft_wrap=True)


def _summarise(document: RunDocument, console: Console) -> None:
    for each in document.slo:
        measured = "nothing to measure" if each.measured is None else f"{each.measured:g}"
        line = escape(f"{each.name}: {each.slo} {measured}, threshold {each.threshold:g}")
        console.print(f"{_SIGNS[each.verdict]} {line}", highlight=False, soft_wrap=True)
    for line in document.disagreements:
        console.print(f"[red]✗[/] {escape(line)}", highlight=False, soft_wrap=True)
    counts = ((document.passed, "passed"), (document.failed, "failed"), (document.broken, "broken"))
    told = ", ".join(f"{count} {word}" for count, word in counts if count or word == "passed")
    console.print(f"{document.verdict}: {told} in {document.wall_s:.1f} s", highlight=False)


def show_scenarios(names: Sequence[str], *, as_json: bool) -> int:
    """Lists what there is. Raises ProfileError."""
    document = list_scenarios(names)
    if as_json:
        print(json.dumps(document.model_dump(by_alias=True), ensure_ascii=False))
        return 0
    table = Table()
    for heading in ("scenario", "name", "spec", "network", "runs", "steps", "faults"):
        table.add_column(heading)
    for row in document.scenarios:
        runs = str(row.variants * row.repeat)
        table.add_row(row.id, row.name, "; ".join(row.spec), row.network, runs, str(row.steps), ", ".join(row.faults))
    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH
    console.print(table)
    return 0
