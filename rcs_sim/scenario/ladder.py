"""Ladder diagrams of a trace: for a terminal and as SVG. One lane per element, one rung per message or event."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from ims_core.trace import RecordKind, TraceRecord

__all__ = ["Rung", "ladder_svg", "ladder_text", "lanes_of", "rungs_of"]

# Where an element stands from left to right between the two phones; unknown roles come last.
_LEFT_TO_RIGHT = ("acs", "pcscf", "icscf", "scscf", "messaging_server", "ipsmgw", "smsc", "msrp_relay", "ibcf")
_LANE_WIDTH = 15  # characters of a lane in the terminal
_SVG_LANE, _SVG_RUNG, _SVG_TOP = 150, 22, 56  # SVG user units
_SVG_LEFT, _SVG_RIGHT, _SVG_CHARACTER = 110, 260, 6.2  # margins, and the width of a character
_COLOURS = {"SIP": "#1f5fa8", "MSRP": "#a35a00", "HTTP": "#7a4fa3", "SM": "#2f7d4f"}


@dataclass(frozen=True, slots=True)
class Rung:
    """One line of a ladder: *source* equals *target* for an event at one element."""

    at: float
    source: str
    target: str
    text: str
    protocol: str
    kind: RecordKind


def rungs_of(records: Iterable[TraceRecord], lanes: Sequence[str] | None = None) -> list[Rung]:
    """The rungs between *lanes* (all elements if None), in trace order."""
    wanted = None if lanes is None else set(lanes)
    return [
        Rung(record.at, record.source, record.target, _text(record), record.protocol, record.kind)
        for record in records
        if wanted is None or (record.source in wanted and record.target in wanted)
    ]


def lanes_of(records: Iterable[TraceRecord]) -> list[str]:
    """Element names as a figure has them: one carrier's phones, its core, the other core, the other phones."""
    names: dict[str, str | None] = {}
    homes: dict[str, str] = {}
    for record in records:
        for name, peer in ((record.source, record.target), (record.target, record.source)):
            names.setdefault(name, None)
            if "." not in name and "." in peer:
                homes.setdefault(name, peer.partition(".")[0])
    carriers = sorted({name.partition(".")[0] for name in names if "." in name and not name[0].isdigit()})
    carriers.sort(reverse=True)  # red, then blue: the caller's side of the two-carrier network comes first
    return sorted(names, key=lambda name: _lane_order(name, carriers, homes))


def _lane_order(name: str, carriers: Sequence[str], homes: dict[str, str]) -> tuple[int, int, str]:
    carrier, _, role = name.partition(".")
    if role and carrier in carriers:
        side = carriers.index(carrier)
        place = _LEFT_TO_RIGHT.index(role) if role in _LEFT_TO_RIGHT else len(_LEFT_TO_RIGHT)
        return (2 * side + 1, place if side % 2 == 0 else -place, name)
    side = carriers.index(homes[name]) if name in homes and homes[name] in carriers else 0
    return (2 * side if side == 0 else 2 * side + 2, 0, name)


def _text(record: TraceRecord) -> str:
    if record.kind is RecordKind.MESSAGE:
        return record.summary or record.protocol
    return f"[{record.kind.value}] {record.summary}"


def ladder_text(records: Iterable[TraceRecord], lanes: Sequence[str] | None = None) -> str:
    """The ladder for a terminal: a head line with the lanes, then one line per rung with its time in seconds."""
    kept = list(records)
    lanes = lanes_of(kept) if lanes is None else list(lanes)
    rungs = rungs_of(kept, lanes)
    if not rungs:
        return "(nothing crossed these lanes)"
    start = rungs[0].at
    head = " " * 10 + "".join(name[: _LANE_WIDTH - 1].center(_LANE_WIDTH) for name in lanes)
    place = {name: _LANE_WIDTH * index + _LANE_WIDTH // 2 for index, name in enumerate(lanes)}
    lines = [head.rstrip()]
    for rung in rungs:
        lines.append(f"{rung.at - start:9.3f} {_arrow(rung, place, _LANE_WIDTH * len(lanes))}")
    return "\n".join(lines)


def _arrow(rung: Rung, place: dict[str, int], width: int) -> str:
    line = [" "] * width
    for position in place.values():
        line[position] = "│"
    source, target = place[rung.source], place[rung.target]
    if source == target:
        return ("".join(line[:source]) + "● " + rung.text).rstrip()
    low, high = min(source, target), max(source, target)
    line[low + 1 : high] = "─" * (high - low - 1)
    line[high - 1 if target > source else low + 1] = "▶" if target > source else "◀"
    return "".join(line).rstrip() + " " + rung.text


def ladder_svg(records: Iterable[TraceRecord], lanes: Sequence[str] | None = None, title: str = "") -> str:
    """The ladder as one self-contained SVG document."""
    kept = list(records)
    lanes = lanes_of(kept) if lanes is None else list(lanes)
    rungs = rungs_of(kept, lanes)
    place = {name: _SVG_LEFT + _SVG_LANE * index for index, name in enumerate(lanes)}
    width, height = _SVG_LEFT + _SVG_LANE * (len(lanes) - 1) + _SVG_RIGHT, _SVG_TOP + _SVG_RUNG * (len(rungs) + 1) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="ui-monospace, monospace" font-size="10">',
        f"<title>{escape(title or 'rcs-sim ladder')}</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="10" y="16" font-size="12" font-weight="bold">{escape(title)}</text>',
    ]
    for name, x in place.items():
        parts.append(f'<text x="{x}" y="38" text-anchor="middle" font-weight="bold">{escape(name)}</text>')
        parts.append(f'<line x1="{x}" y1="44" x2="{x}" y2="{height - 8}" stroke="#c8c8c8"/>')
    start = rungs[0].at if rungs else 0.0
    for index, rung in enumerate(rungs):
        parts.extend(_svg_rung(rung, place, _SVG_TOP + _SVG_RUNG * (index + 1), rung.at - start))
    return "\n".join([*parts, "</svg>", ""])


def _svg_rung(rung: Rung, place: dict[str, int], y: int, seconds: float) -> list[str]:
    source, target = place[rung.source], place[rung.target]
    colour = "#b02a2a" if rung.kind in (RecordKind.FAULT, RecordKind.ERROR) else _COLOURS.get(rung.protocol, "#444444")
    parts = [f'<text x="6" y="{y + 3}" fill="#888888">{seconds:.3f}</text>']
    if source == target:
        label = escape(_shortened(rung.text, _SVG_RIGHT))
        parts.append(f'<circle cx="{source}" cy="{y}" r="3" fill="{colour}"/>')
        parts.append(f'<text x="{source + 8}" y="{y + 3}" fill="{colour}">{label}{_tooltip(rung)}</text>')
        return parts
    label = escape(_shortened(rung.text, max(abs(target - source), _SVG_LANE)))
    tip = -6 if target > source else 6
    parts.append(f'<line x1="{source}" y1="{y}" x2="{target}" y2="{y}" stroke="{colour}"/>')
    parts.append(f'<path d="M{target},{y} l{tip},-3 l0,6 z" fill="{colour}"/>')
    middle = (source + target) // 2
    parts.append(f'<text x="{middle}" y="{y - 4}" text-anchor="middle" fill="{colour}">{label}{_tooltip(rung)}</text>')
    return parts


def _shortened(text: str, units: int) -> str:
    longest = int(units / _SVG_CHARACTER) - 1
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _tooltip(rung: Rung) -> str:
    return f"<title>{escape(rung.text)}</title>"
