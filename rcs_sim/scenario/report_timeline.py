"""A run on one line of time: steps, faults, epochs and messages, as SVG. Long pauses are drawn short."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from ims_core.trace import RecordKind, TraceRecord
from rcs_sim.scenario.report_epochs import epochs_of

__all__ = ["TimelineLane", "TimelineMark", "lanes_of_time", "timeline_svg"]

MAX_LANES = 40
MAX_MARKS = 400  # of one lane
_LEFT, _WIDTH, _RIGHT, _LANE, _TOP = 230, 800, 40, 22, 30  # SVG user units
_SIGN = 6  # SVG user units, of a character
_LABEL_CHARACTERS = 36
_COLOURS = {"step": "#555555", "fault": "#b02a2a", "epoch": "#7a4fa3", "message": "#1f5fa8"}
_END = {"delivered": "◆", "displayed": "●", "failed": "✗", "sent": "▸"}


@dataclass(frozen=True, slots=True)
class TimelineMark:
    """Something that happened at one moment. *sign* is drawn, *told* is its tooltip."""

    at: float
    sign: str
    told: str


@dataclass(slots=True)
class TimelineLane:
    """One row: from its first mark to its last there is a bar; *lasts* says that it goes on to the end."""

    name: str
    kind: str
    marks: list[TimelineMark] = field(default_factory=list)
    lasts: bool = False


def lanes_of_time(records: Iterable[TraceRecord]) -> list[TimelineLane]:
    """Steps first, then faults, epochs of each conversation, and the messages in the order of sending."""
    kept = list(records)
    steps = TimelineLane("steps", "step")
    faults: dict[object, TimelineLane] = {}
    messages: dict[str, TimelineLane] = {}
    for record in kept:
        if record.kind is RecordKind.FAULT:
            _note_fault(record, faults)
        elif record.kind is RecordKind.SHOWN and record.imdn_message_id is not None:
            _note_message(record, record.imdn_message_id, messages)
        elif record.details.get("machine") == "scenario" and isinstance(record.details.get("step"), int):
            steps.marks.append(TimelineMark(record.at, str(record.details["step"]), record.summary))
    lanes = [steps] if steps.marks else []
    return [*lanes, *faults.values(), *_epoch_lanes(kept), *messages.values()]


def _note_fault(record: TraceRecord, faults: dict[object, TimelineLane]) -> None:
    word = str(record.details.get("fault") or record.summary)
    key = (word, record.details.get("number", record.number))
    lane = faults.setdefault(key, TimelineLane(f"{word} ({record.source})", "fault", lasts="fault" in record.details))
    event = record.summary.removeprefix(word).strip()
    lane.marks.append(TimelineMark(record.at, {"begins": "[", "ends": "]"}.get(event, "!"), record.summary))
    if event == "ends":
        lane.lasts = False


def _note_message(record: TraceRecord, message_id: str, messages: dict[str, TimelineLane]) -> None:
    details = record.details
    what = str(details.get("what", ""))
    text = str(details.get("text", ""))
    is_out = what == "message" and details.get("direction") == "out"
    lane = messages.setdefault(message_id, TimelineLane(f"{record.source}: {text or what}", "message"))
    sign = "○" if is_out else "■" if what == "message" else _END.get(what, "·")
    lane.marks.append(TimelineMark(record.at, sign, f"{record.source}: {record.summary}"))


def _epoch_lanes(records: Sequence[TraceRecord]) -> list[TimelineLane]:
    lanes = []
    for conversation, changes in epochs_of(records).items():
        lane, reached = TimelineLane(f"epochs of {conversation[:8]}", "epoch"), set[tuple[int, int]]()
        for change in changes:
            if change.point not in reached:
                reached.add(change.point)
                told = f"era {change.era}, epoch {change.epoch} at {change.element}"
                lane.marks.append(TimelineMark(change.at, f"{change.era}.{change.epoch}", told))
        lanes.append(lane)
    return lanes


def timeline_svg(records: Iterable[TraceRecord]) -> str:
    """One self-contained SVG element; the rows after the first MAX_LANES are counted, not drawn. "" without any."""
    lanes = lanes_of_time(records)
    drawn = lanes[:MAX_LANES]
    moments = sorted({mark.at for lane in drawn for mark in lane.marks})
    if not moments:
        return ""
    places = _places(moments)
    width, height = _LEFT + _WIDTH + _RIGHT, _TOP + _LANE * (len(drawn) + (len(lanes) > len(drawn))) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'class="timeline" role="img" font-family="ui-monospace, monospace" font-size="10">',
        "<title>steps, faults, epochs and messages over simulated time</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        *_ticks(moments, places, height),
    ]
    for index, lane in enumerate(drawn):
        parts += _lane(lane, moments, places, _TOP + _LANE * index + _LANE // 2)
    if len(lanes) > len(drawn):
        parts.append(f'<text x="6" y="{height - 12}">and {len(lanes) - len(drawn)} more rows</text>')
    return "\n".join([*parts, "</svg>"])


def _places(moments: Sequence[float]) -> list[float]:
    """x of each moment: a pause counts by the logarithm of its length, so that a day leaves room for a second."""
    weights = [0.0]
    for before, after in itertools.pairwise(moments):
        weights.append(weights[-1] + 0.15 + math.log1p(20 * (after - before)))
    whole = weights[-1] or 1.0
    return [_LEFT + _WIDTH * weight / whole for weight in weights]


def _ticks(moments: Sequence[float], places: Sequence[float], height: int) -> list[str]:
    """A few times, where there is room for them."""
    parts, free = [], 0.0
    for at, x in zip(moments, places, strict=True):
        if x < free:
            continue
        parts.append(f'<line x1="{x:.1f}" y1="{_TOP - 8}" x2="{x:.1f}" y2="{height - 6}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{x:.1f}" y="14" text-anchor="middle" fill="#666666">{at - moments[0]:,.1f} s</text>')
        free = x + 80
    return parts


def _lane(lane: TimelineLane, moments: Sequence[float], places: Sequence[float], y: int) -> list[str]:
    name = lane.name if len(lane.name) <= _LABEL_CHARACTERS else lane.name[: _LABEL_CHARACTERS - 1] + "…"
    colour = _COLOURS[lane.kind]
    marks = [(places[bisect_left(moments, mark.at)], mark) for mark in lane.marks[:MAX_MARKS]]
    start = min(x for x, _ in marks)
    end = places[-1] if lane.lasts else max(x for x, _ in marks)
    parts = [
        f'<text x="6" y="{y + 3}" fill="{colour}">{escape(name)}<title>{escape(lane.name)}</title></text>',
        f'<line x1="{start:.1f}" y1="{y}" x2="{end:.1f}" y2="{y}" stroke="{colour}" stroke-width="3" opacity="0.35"/>',
    ]
    for x, mark in _apart(marks):
        told = f"<title>{escape(mark.told)}</title>"
        sign = escape(mark.sign)
        parts.append(f'<text x="{x:.1f}" y="{y + 4}" text-anchor="middle" fill="{colour}">{sign}{told}</text>')
    return parts


def _apart(marks: Sequence[tuple[float, TimelineMark]]) -> list[tuple[float, TimelineMark]]:
    """Marks that would be drawn over each other become one, with the signs of the first and the last."""
    groups: list[list[tuple[float, TimelineMark]]] = []
    for x, mark in marks:
        if groups and x - groups[-1][0][0] < _SIGN * len(groups[-1][0][1].sign):
            groups[-1].append((x, mark))
        else:
            groups.append([(x, mark)])
    return [(group[0][0], _merged([mark for _, mark in group])) for group in groups]


def _merged(marks: Sequence[TimelineMark]) -> TimelineMark:
    signs = list(dict.fromkeys((marks[0].sign, marks[-1].sign)))
    return TimelineMark(marks[0].at, "…".join(signs), "; ".join(dict.fromkeys(mark.told for mark in marks)))
