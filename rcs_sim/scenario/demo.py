"""The demo: one conversation as SMS, as plain RCS, encrypted, and each with the network failing in the middle."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from ims_core.pcapng import write_pcapng
from ims_core.trace import RecordKind, TraceRecord
from ims_core.transport.virtual_loop import run
from rcs_sim.e2ee.legacy.libraries import require_legacy_libraries
from rcs_sim.scenario.demo_column import COLUMNS, LEGACY, DemoColumn, PlayedColumn, play_column
from rcs_sim.scenario.documents import DemoDocument, DemoRow
from rcs_sim.scenario.exported_pdu import exported_pdu
from rcs_sim.scenario.ladder import ladder_svg, ladder_text, lanes_of
from rcs_sim.scenario.wireshark import KEY_LOG_SUFFIX, key_log_file

__all__ = ["run_demo"]

_SHOWN_CHARACTERS = 60  # of a text, where a person reads
_SHOWN_HOPS = 24  # of the way of a message
_WIDTH = 180  # columns of the output where it goes to no terminal


def run_demo(
    *, seed: int, real: bool, out: Path, as_json: bool, with_legacy: bool = False, with_keys: bool = False
) -> int:
    """Plays every column, writes its files, prints the result; 0 if nothing was lost unseen or shown twice, and no
    phone said what is not so. Raises LegacyUnavailable."""
    if with_legacy:
        require_legacy_libraries()
    out.mkdir(parents=True, exist_ok=True)
    console = Console(stderr=as_json)
    if not console.is_terminal:
        console.width = _WIDTH
    with _progress(console) as progress:
        columns = (*COLUMNS, LEGACY) if with_legacy else COLUMNS
        wish = partial(_play, seed=seed, is_real=real, with_keys=with_keys, progress=progress)
        if real:  # by the clock on the wall: beside each other, each in a network of its own
            played = run(lambda: _beside_each_other(wish, columns), clock="real")
        else:
            played = [run(partial(wish, column), clock="virtual") for column in columns]
    files = {kind: path for one in played for kind, path in _write_files(one, out).items()}
    if as_json:
        document = DemoDocument(
            seed=seed,
            columns={one.column.name: one.rows for one in played},
            oracle={one.column.name: one.verdict for one in played},
            files=files,
        )
        print(json.dumps(document.model_dump(by_alias=True), ensure_ascii=False))
    else:
        _show(played, files, console)
    return 0 if all(one.is_good for one in played) else 1


def _progress(console: Console) -> Progress:
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    return Progress(*columns, console=console, transient=True)


_Play = Callable[[DemoColumn], Coroutine[None, None, PlayedColumn]]


async def _beside_each_other(play: _Play, columns: Sequence[DemoColumn]) -> list[PlayedColumn]:
    """Raises what the first that fails raises; the loop's end stops the others."""
    return await asyncio.gather(*(play(column) for column in columns))


async def _play(column: DemoColumn, *, seed: int, is_real: bool, with_keys: bool, progress: Progress) -> PlayedColumn:
    task = progress.add_task(column.title, total=None)
    played = await play_column(column, seed=seed, is_real=is_real, keys=[] if with_keys else None)
    progress.remove_task(task)
    return played


def _write_files(one: PlayedColumn, out: Path) -> dict[str, str]:
    name = one.column.name
    trace, capture, ladder = (out / f"{name}.{kind}" for kind in ("ndjson", "pcapng", "svg"))
    trace.write_text("".join(record.to_json() + "\n" for record in one.records), encoding="utf-8")
    with capture.open("wb") as stream:
        write_pcapng(one.records, stream, exported=exported_pdu)
    ladder.write_text(ladder_svg(one.records, title=one.column.title), encoding="utf-8")
    written = {"trace": trace, "pcapng": capture, "ladder": ladder}
    if one.keys:
        written["keylog"] = trace.with_suffix(KEY_LOG_SUFFIX)
        with key_log_file(written["keylog"]) as write:
            for line in one.keys:
                write(line)
    return {f"{name}.{kind}": str(path) for kind, path in written.items()}


_HEADINGS = ("", "from", "text", "by", "label", "read by", "state", "shown", "wire octets", "seconds", "why")
_NARROW_HEADINGS = ("", "text", "label", "read by", "state")  # what there is room for; the rest is in --json
_NARROW = 120  # columns of a terminal: below it a table of eleven columns cannot be read


def _show(played: Sequence[PlayedColumn], files: dict[str, str], console: Console) -> None:
    for one in played:
        table = Table(title=one.column.title, title_justify="left", caption_justify="left")
        headings = _HEADINGS if console.width >= _NARROW else _NARROW_HEADINGS
        for heading in headings:
            table.add_column(heading, overflow="fold")
        for row in one.rows:
            cells = dict(zip(_HEADINGS, _cells(row), strict=True))
            table.add_row(*(cells[heading] for heading in headings))
        console.print(table)
        _show_verdict(one, console)
        for outcome in one.outcomes:
            console.print(f"[bold]{outcome.id}[/] what the phones showed:")
            for shown in outcome.shown:
                console.print(f"    {_short(shown, 2 * _SHOWN_CHARACTERS)}", markup=False)
        console.print(_short_ladder(one), markup=False, highlight=False, soft_wrap=True)
    console.print(_side_by_side(played))
    for kind, path in files.items():
        console.print(f"{kind:22} {path}", markup=False, highlight=False)


def _side_by_side(played: Sequence[PlayedColumn]) -> Table:
    table = Table(title="side by side", title_justify="left")
    for heading in ("", "by", "delivered", "median s", "wire octets", "elements that could read something"):
        table.add_column(heading, overflow="fold")
    for one in played:
        ways = Counter(_labelled(row) or "never shown" for row in one.rows)
        elements = {name for row in one.rows for name in row.readers if "." in name}
        table.add_row(
            one.column.title,
            ", ".join(f"{count} {way}" for way, count in ways.items()),
            f"{sum(row.delivered for row in one.rows)} of {len(one.rows)}",
            f"{median(row.seconds for row in one.rows):.2f}",
            f"{sum(row.wire_octets for row in one.rows):,}",
            ", ".join(sorted(elements)) or "none",
        )
    return table


def _cells(row: DemoRow) -> tuple[str, ...]:
    return (
        row.id,
        row.sender,
        _short(row.text),
        row.mode or row.transport,
        _labelled(row),
        _readers(row.readers),
        row.state,
        f"{row.duplicates + 1}x" if row.transport != "none" else "never",
        f"{row.wire_octets:,}",
        f"{row.seconds:.2f}",
        row.fallback_reason or "",
    )


def _labelled(row: DemoRow) -> str:
    """With the scheme beside the label: two locks are not the same."""
    return f"{row.label} ({row.scheme})" if row.scheme else row.label


def _readers(names: Sequence[str]) -> str:
    """The phones by name, what belongs to carriers by number: 7 elements have names that fill a line."""
    phones = [name for name in names if "." not in name]
    elements = len(names) - len(phones)
    words = ", ".join(phones)
    return f"{words} and {elements} network elements" if elements else f"only {words}"


def _show_verdict(one: PlayedColumn, console: Console) -> None:
    for sentence in one.verdict.operators.values():
        console.print(f"    {sentence}", markup=False, highlight=False)
    for violation in one.verdict.violations:
        console.print(f"    {violation}", style="bold red", markup=False, highlight=False)
    if not one.verdict.violations:
        console.print("    no phone said what is not so", markup=False, highlight=False)


def _short(text: str, characters: int = _SHOWN_CHARACTERS) -> str:
    return text if len(text) <= characters else text[: characters - 1] + "…"


def _short_ladder(one: PlayedColumn) -> str:
    """The ways of the first message and of the long one, without answers and receipts."""
    ways = []
    for outcome in (one.outcomes[0], max(one.outcomes, key=lambda each: len(each.text))):
        wanted = [record for record in outcome.records if _carries_text(record)]
        first, rest = wanted[:_SHOWN_HOPS], len(wanted) - _SHOWN_HOPS
        ways.append(f"the way of {outcome.id}:\n" + ladder_text(first, lanes_of(first)))
        if rest > 0:
            ways.append(f"    … and {rest} more")
    return "\n".join(ways)


def _carries_text(record: TraceRecord) -> bool:
    if record.kind is not RecordKind.MESSAGE or record.raw.startswith(b"SIP/2.0 ") or "receipt" in record.details:
        return False
    if record.protocol == "MSRP":
        return record.summary.startswith("SEND ") and not record.summary.endswith(("1-0/0", "is-composing"))
    return record.protocol == "SM" or record.summary.startswith(("MESSAGE ", "INVITE "))
