"""`rcs-sim matrix`: scenarios between every pair of kinds of phone, as a table and as a heat map."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from rich.console import Console
from rich.markup import escape as escape_markup
from rich.progress import Progress
from rich.table import Table

from ims_core.errors import ProfileError
from rcs_sim.scenario.loader import load_device
from rcs_sim.scenario.matrix_document import MatrixCell, MatrixDocument
from rcs_sim.scenario.story.batch import RunOrder, RunWishes, orders_of, play_orders
from rcs_sim.scenario.story.catalogue import find_scenarios
from rcs_sim.scenario.story.changes import Change
from rcs_sim.scenario.story.reading import read_stories
from rcs_sim.scenario.story.run_document import RunRow
from rcs_sim.scenario.story.verdict import EXIT_STATUS, Verdict, worst

__all__ = [
    "DEFAULT_DEVICES",
    "DEFAULT_SCENARIO",
    "heat_map_svg",
    "play_matrix",
    "run_matrix",
]

DEFAULT_DEVICES = ("android", "ios", "strict-v3", "strict-v4", "lineage-like")
DEFAULT_SCENARIO = "e2ee/first-lock"

_WIDTH = 150  # columns where the output goes to no terminal
_SIGNS = {"pass": "✓", "fail": "✗", "broken": "!"}
_INK = {"pass": "green", "fail": "red", "broken": "yellow"}
_FILL = {"pass": "#cfe8d5", "fail": "#f3c6c6", "broken": "#f4e3b5"}
_LEFT, _TOP, _COLUMN, _ROW, _GAP = 150, 64, 140, 44, 30  # SVG user units
_LABEL_CHARACTERS = 21


def run_matrix(
    names: Sequence[str],
    devices: Sequence[str],
    *,
    seed: int | None = None,
    jobs: int | None = None,
    svg: Path | None = None,
    as_json: bool = False,
) -> int:
    """Plays what *names* stand for between all *devices*, and prints it; the exit status. Raises ProfileError before
    anything is played."""
    console = Console(stderr=as_json)
    if not console.is_terminal:
        console.width = _WIDTH
    wishes = RunWishes(seed=seed)
    document = play_matrix(find_scenarios(names), devices, wishes, jobs=jobs, console=console)
    if svg is not None:
        svg.parent.mkdir(parents=True, exist_ok=True)
        svg.write_text(heat_map_svg(document), encoding="utf-8")
    if as_json:
        print(json.dumps(document.model_dump(), ensure_ascii=False))
    else:
        _print(document, console)
    return EXIT_STATUS[Verdict(document.verdict)]


def play_matrix(
    paths: Sequence[Path], devices: Sequence[str], wishes: RunWishes, *, jobs: int | None = None, console: Console
) -> MatrixDocument:
    """Every scenario at *paths* with its first two phones of every ordered pair of *devices*. Raises ProfileError
    before anything is played."""
    devices = list(dict.fromkeys(devices))
    for device in devices:
        load_device(device)
    pairs = [pair for path in paths for pair in _pairs(path, devices, wishes)]
    orders = [order for _, _, own in pairs for order in own]
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("playing", total=len(orders))
        rows = iter(play_orders(orders, jobs=jobs, done=lambda row: progress.advance(task)))
    cells = [_cell(first, second, [next(rows) for _ in own]) for first, second, own in pairs]
    verdict = worst([Verdict(cell.verdict) for cell in cells])
    return MatrixDocument(verdict=verdict.value, devices=devices, cells=cells)


def _pairs(path: Path, devices: Sequence[str], wishes: RunWishes) -> Iterator[tuple[str, str, list[RunOrder]]]:
    """Devices and runs of each pair."""
    file = read_stories(path, wishes.changes)[0].file
    if len(file.phones) < 2:
        raise ProfileError("a pair needs a scenario with two phones", file=str(path))
    places = [f"phones.{name}.device" for name in list(file.phones)[:2]]
    axes = {axis: values for axis, values in file.matrix.items() if not _paths(axis, values) & set(places)}
    rest = (Change("matrix", axes),) if len(axes) < len(file.matrix) else ()
    for first in devices:
        for second in devices:
            changes = (*rest, *map(Change, places, (first, second)))
            orders = orders_of([path], replace(wishes, changes=(*wishes.changes, *changes)))
            yield first, second, [replace(order, names=(*order.names, first, second)) for order in orders]


def _paths(axis: str, values: Iterable[Any]) -> set[str]:
    """What an axis of a scenario's own matrix changes: a pair's devices must stay as they are."""
    return {axis, *(path for value in values if isinstance(value, Mapping) for path in value)}


def _cell(first: str, second: str, rows: Sequence[RunRow]) -> MatrixCell:
    verdict = worst([Verdict(row.verdict) for row in rows])
    labels = [row.messages[-1].label for row in rows if row.messages]
    failures = [row.failure for row in rows if row.failure is not None]
    why = [f"{each.about}: expected {each.expected}; seen: {each.seen}" for each in failures]
    return MatrixCell(
        scenario=rows[0].name,
        file=rows[0].file,
        first=first,
        second=second,
        verdict=verdict.value,
        label=labels[-1] if labels else "",
        why=why[0] if why else "",
        replays=[row.replay for row in rows],
    )


# ------------------------------------------------------------------------------------------------------------- printing


def _print(document: MatrixDocument, console: Console) -> None:
    for file in dict.fromkeys(cell.file for cell in document.cells):
        cells = [cell for cell in document.cells if cell.file == file]
        table = Table("first / second", title=escape_markup(cells[0].scenario), title_justify="left")
        for device in document.devices:
            table.add_column(escape_markup(device))
        for device in document.devices:
            own = [cell for cell in cells if cell.first == device]
            table.add_row(escape_markup(device), *map(_told, own))
        console.print(table)
        for cell in cells:
            if cell.verdict != "pass":
                line = (
                    f"{_SIGNS[cell.verdict]} {cell.first} and {cell.second}: {cell.why}\n    replay: {cell.replays[0]}"
                )
                console.print(line, markup=False, highlight=False, soft_wrap=True)
    passed = sum(cell.verdict == "pass" for cell in document.cells)
    console.print(f"{document.verdict}: {passed} of {len(document.cells)} pairs", highlight=False)


def _told(cell: MatrixCell) -> str:
    ink = _INK[cell.verdict]
    return f"[{ink}]{_SIGNS[cell.verdict]} {cell.verdict}[/]\n{escape_markup(cell.label)}"


def heat_map_svg(document: MatrixDocument) -> str:
    """One square for each pair, a block for each scenario: the verdict as a colour and as a word, the label below."""
    files = list(dict.fromkeys(cell.file for cell in document.cells))
    side = len(document.devices)
    block = _TOP + _ROW * side + _GAP
    width, height = _LEFT + _COLUMN * side + 20, block * len(files)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" font-family="system-ui, sans-serif" font-size="12">',
        "<title>scenarios between every pair of devices</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
    ]
    for index, file in enumerate(files):
        cells = [cell for cell in document.cells if cell.file == file]
        parts += _block(document.devices, cells, index * block)
    return "\n".join([*parts, "</svg>", ""])


def _block(devices: Sequence[str], cells: Sequence[MatrixCell], top: int) -> list[str]:
    parts = [f'<text x="10" y="{top + 20}" font-size="14" font-weight="bold">{escape(cells[0].scenario)}</text>']
    for index, device in enumerate(devices):
        x, y = _LEFT + _COLUMN * index + _COLUMN // 2, top + _TOP + _ROW * index + _ROW // 2 + 4
        parts.append(f'<text x="{x}" y="{top + _TOP - 8}" text-anchor="middle">{escape(device)}</text>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y}" text-anchor="end">{escape(device)}</text>')
    for cell in cells:
        x = _LEFT + _COLUMN * devices.index(cell.second)
        parts += _square(cell, x, top + _TOP + _ROW * devices.index(cell.first))
    return parts


def _square(cell: MatrixCell, x: int, y: int) -> list[str]:
    label = cell.label if len(cell.label) <= _LABEL_CHARACTERS else cell.label[: _LABEL_CHARACTERS - 1] + "…"
    middle = x + _COLUMN // 2
    tip = escape(f"{cell.first} and {cell.second}: {cell.verdict} {cell.label} {cell.why}".rstrip())
    return [
        f'<rect x="{x + 1}" y="{y + 1}" width="{_COLUMN - 2}" height="{_ROW - 2}" rx="3" fill="{_FILL[cell.verdict]}">'
        f"<title>{tip}</title></rect>",
        f'<text x="{middle}" y="{y + 19}" text-anchor="middle" font-weight="bold">'
        f"{_SIGNS[cell.verdict]} {cell.verdict}</text>",
        f'<text x="{middle}" y="{y + 35}" text-anchor="middle" font-size="10">{escape(label)}</text>',
    ]
