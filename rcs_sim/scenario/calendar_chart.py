"""The calendar of encrypted conversations, for a terminal and as SVG: when certificates were renewed, key packages
refreshed and leaves replaced, and when a conversation would seize because a leaf is inside the 30-day floor (RCC.16
§9.5.3, A.4.3.1). Read from a trace."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any
from xml.sax.saxutils import escape

from ims_core.trace import TraceRecord
from rcs_sim.scenario.calendar_events import DAY_S, Calendar, Leaf, Renewal, read_calendar

__all__ = ["Health", "Seizure", "Stretch", "calendar_members", "calendar_svg", "calendar_text", "seizures", "stretches"]

FLOOR_S = 30 * DAY_S  # RCC.16 A.4.3.1 §1(a)
_COLUMNS = 100  # of the chart in a terminal
_LABEL = 26  # characters of its left column
_SVG_LEFT, _SVG_WIDTH, _SVG_ROW, _SVG_TOP = 200, 900, 26, 50  # SVG user units
_SVG_TICKS = 10


class Health(StrEnum):
    """Of a leaf in a conversation; the value is its sign in the terminal."""

    GOOD = "="
    FLOOR = "!"  # every commit and message of the conversation may be refused
    EXPIRED = "x"


_COLOURS = {Health.GOOD: "#4c9a5b", Health.FLOOR: "#d9962b", Health.EXPIRED: "#b02a2a"}


@dataclass(frozen=True, slots=True)
class Stretch:
    """From *begin* to *end* (seconds since the epoch) a leaf was in one *health*."""

    begin: float
    end: float
    health: Health


@dataclass(frozen=True, slots=True)
class Seizure:
    """From *begin* to *end* the leaf of *phone* is inside the floor, or expired, in *conversation*."""

    conversation: str
    phone: str
    begin: float
    end: float


def stretches(leaves: Sequence[Leaf], end: float) -> list[Stretch]:
    """What became of one phone's leaves in one conversation until *end*."""
    found: list[Stretch] = []
    for leaf, until in zip(leaves, [*(each.at for each in leaves[1:]), end], strict=True):
        if leaf.not_after is None:  # the conversation ended
            continue
        edges = [leaf.at, leaf.not_after - FLOOR_S, leaf.not_after, until]
        for begin, stop, health in zip(edges, edges[1:], Health, strict=False):
            begin, stop = max(begin, leaf.at), min(until if health is Health.EXPIRED else stop, until)
            if stop > begin:
                found.append(Stretch(begin, stop, health))
    return found


def seizures(calendar: Calendar) -> list[Seizure]:
    """In the order of conversations, phones and time."""
    return [
        Seizure(name, phone, each.begin, each.end)
        for (name, phone), leaves in calendar.leaves.items()
        for each in _bad(stretches(leaves, calendar.end))
    ]


def _bad(health: Iterable[Stretch]) -> Iterator[Stretch]:
    """Floor and what follows it, as one."""
    open_: Stretch | None = None
    for each in health:
        if each.health is not Health.GOOD and open_ is not None and open_.end == each.begin:
            open_ = Stretch(open_.begin, each.end, open_.health)
            continue
        if open_ is not None:
            yield open_
        open_ = each if each.health is not Health.GOOD else None
    if open_ is not None:
        yield open_


def calendar_members(records: Iterable[TraceRecord]) -> dict[str, Any]:
    """The calendar as JSON members: times in seconds since the epoch."""
    calendar = read_calendar(records)
    leaves = [
        {"conversation": conversation, "phone": phone, "leaves": [asdict(leaf) for leaf in leaves]}
        for (conversation, phone), leaves in calendar.leaves.items()
    ]
    found = {name: [asdict(each) for each in getattr(calendar, name)] for name in ("renewals", "refreshes", "refusals")}
    seized = [asdict(each) for each in seizures(calendar)]
    return {"begin": calendar.begin, "end": calendar.end, **found, "leaves": leaves, "seizures": seized}


# ------------------------------------------------------------------------------------------------------------ terminal


def calendar_text(records: Iterable[TraceRecord]) -> str:
    """The chart for a terminal, and a line for each time that a conversation would seize."""
    calendar = read_calendar(records)
    if not calendar.renewals and not calendar.leaves:
        return "(no certificates and no encrypted conversations in this trace)"
    scale = _Scale(calendar)
    rows = [f"{'day':<{_LABEL}}{scale.ruler()}"]
    for phone in calendar.phones:
        rows.append(_row(f"{phone}: certificate", scale.marks(calendar.renewals_of(phone), "C")))
        rows.append(_row(f"{phone}: key packages", scale.marks(calendar.refreshes_of(phone), "k")))
    for (conversation, phone), leaves in calendar.leaves.items():
        rows.append(_row(f"{conversation}: {phone}", scale.line(leaves)))
    rows += ["", "C renewed  k refreshed  L leaf replaced  = good  ! inside the 30-day floor  x expired", ""]
    return "\n".join([*rows, *_told(calendar)])


def _row(label: str, line: str) -> str:
    shown = label if len(label) < _LABEL else label[: _LABEL - 2] + "…"
    return f"{shown:<{_LABEL}}{line}".rstrip()


def _told(calendar: Calendar) -> list[str]:
    lines = [
        f"{each.conversation}: would seize from day {calendar.day(each.begin):.1f} to day {calendar.day(each.end):.1f}"
        f"{' (the end)' if each.end == calendar.end else ''}: the leaf of {each.phone} is inside the floor"
        for each in seizures(calendar)
    ]
    lines += [
        f"{each.conversation}: message refused on day {calendar.day(each.at):.1f} at {each.phone}: {each.reason}"
        for each in calendar.refusals
    ]
    return lines or ["no conversation would have seized"]


class _Scale:
    """Days to columns."""

    __slots__ = ("_calendar", "_column_s")

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self._column_s = max(DAY_S, (calendar.end - calendar.begin) / (_COLUMNS - 1))

    def column(self, at: float) -> int:
        return min(_COLUMNS - 1, int((at - self._calendar.begin) // self._column_s))

    def ruler(self) -> str:
        return "".join(f"{self._column_s * column / DAY_S:<10.0f}" for column in range(0, self._last + 1, 10)).rstrip()

    @property
    def _last(self) -> int:
        return self.column(self._calendar.end)

    def marks(self, renewals: Iterable[Renewal], sign: str) -> str:
        line = ["·"] * (self._last + 1)
        for each in renewals:
            line[self.column(each.at)] = sign
        return "".join(line)

    def line(self, leaves: Sequence[Leaf]) -> str:
        line = [" "] * (self._last + 1)
        for each in stretches(leaves, self._calendar.end):
            for column in range(self.column(each.begin), self.column(each.end) + 1):
                line[column] = each.health.value
        for leaf in leaves:
            if leaf.not_after is not None:
                line[self.column(leaf.at)] = "L"
        return "".join(line)


# ----------------------------------------------------------------------------------------------------------------- SVG


def calendar_svg(records: Iterable[TraceRecord], title: str = "") -> str:
    """The chart as one self-contained SVG document."""
    calendar = read_calendar(records)
    rows = 2 * len(calendar.phones) + len(calendar.leaves)
    width, height = _SVG_LEFT + _SVG_WIDTH + 30, _SVG_TOP + _SVG_ROW * (rows + 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="ui-monospace, monospace" font-size="11">',
        f"<title>{escape(title or 'rcs-sim calendar')}</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="10" y="16" font-size="12" font-weight="bold">{escape(title)}</text>',
        *_svg_days(calendar, height),
    ]
    y = _SVG_TOP
    for phone in calendar.phones:
        parts += _svg_marks(calendar, f"{phone}: certificate", calendar.renewals_of(phone), "#1f5fa8", y)
        parts += _svg_marks(calendar, f"{phone}: key packages", calendar.refreshes_of(phone), "#888888", y + _SVG_ROW)
        y += 2 * _SVG_ROW
    for (conversation, phone), leaves in calendar.leaves.items():
        parts += _svg_leaves(calendar, f"{conversation}: {phone}", leaves, y)
        y += _SVG_ROW
    return "\n".join([*parts, "</svg>", ""])


def _x(calendar: Calendar, at: float) -> float:
    length = max(1.0, calendar.end - calendar.begin)
    return round(_SVG_LEFT + _SVG_WIDTH * (at - calendar.begin) / length, 1)


def _svg_days(calendar: Calendar, height: int) -> Iterator[str]:
    for tick in range(_SVG_TICKS + 1):
        at = calendar.begin + (calendar.end - calendar.begin) * tick / _SVG_TICKS
        x = _x(calendar, at)
        yield f'<line x1="{x}" y1="36" x2="{x}" y2="{height - 8}" stroke="#e0e0e0"/>'
        yield f'<text x="{x}" y="32" text-anchor="middle" fill="#888888">day {calendar.day(at):.0f}</text>'


def _svg_label(label: str, y: int) -> str:
    return f'<text x="10" y="{y + 4}">{escape(label)}</text>'


def _svg_marks(calendar: Calendar, label: str, marks: Iterable[Renewal], colour: str, y: int) -> Iterator[str]:
    yield _svg_label(label, y)
    for each in marks:
        told = escape(f"day {calendar.day(each.at):.1f}: {each.what}")
        yield (f'<circle cx="{_x(calendar, each.at)}" cy="{y}" r="4" fill="{colour}"><title>{told}</title></circle>')


def _svg_leaves(calendar: Calendar, label: str, leaves: Sequence[Leaf], y: int) -> Iterator[str]:
    yield _svg_label(label, y)
    for each in stretches(leaves, calendar.end):
        begin, end = _x(calendar, each.begin), _x(calendar, each.end)
        told = escape(
            f"{each.health.name.lower()} from day {calendar.day(each.begin):.1f} to day {calendar.day(each.end):.1f}"
        )
        yield (
            f'<rect x="{begin}" y="{y - 6}" width="{round(end - begin, 1)}" height="12" fill="{_COLOURS[each.health]}">'
            f"<title>{told}</title></rect>"
        )
    for leaf in leaves:
        if leaf.not_after is not None:
            told = escape(f"day {calendar.day(leaf.at):.1f}: leaf replaced ({leaf.why})")
            x = _x(calendar, leaf.at)
            yield f'<line x1="{x}" y1="{y - 9}" x2="{x}" y2="{y + 9}" stroke="#222222"><title>{told}</title></line>'
