"""Whether what a scenario file expects of labels, sessions, screens and the trace has come true."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from ims_core.trace import RecordKind, TraceRecord
from rcs_sim.client.display import Shown
from rcs_sim.scenario.story.expectation_model import Expect, ScreenLine, TraceLines
from rcs_sim.scenario.story.stage import Stage
from rcs_sim.scenario.story.verdict import ScenarioFailed

__all__ = ["check_scene"]

_SAME = "the same"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Look:
    """One expectation; *see* tells what is there now."""

    about: str
    expected: object
    see: Callable[[], object]

    def is_met(self) -> bool:
        return self.see() == self.expected


async def check_scene(stage: Stage, expect: Expect) -> None:
    """Waits up to `within_s` for all of it together. Raises ScenarioFailed about the first that did not come true."""
    deadline = stage.clock.now() + expect.within_s
    for look in _looks(stage, expect):
        if not await stage.until(look.is_met, deadline):
            within = f" within {expect.within_s:g} s" if expect.within_s else ""
            raise ScenarioFailed(look.about, f"{_words(look.expected)}{within}", _words(look.see()))


def _words(value: object) -> str:
    match value:
        case "":
            return "(none)"
        case bool():
            return "yes" if value else "no"
        case str() | int():
            return str(value)
    return repr(value)


def _looks(stage: Stage, expect: Expect) -> Iterator[_Look]:
    yield from _conversations(stage, expect)
    for name, on in (expect.registered or {}).items():
        yield _Look(f"{name} registered", on, partial(_is_registered, stage, name))
    for first, second in expect.same_security_code or ():
        yield _Look(f"security code of {first} and {second}", _SAME, partial(_codes, stage, first, second))
    for name, texts in (expect.inbox or {}).items():
        yield _Look(f"inbox of {name}", texts, partial(_inbox, stage, name))
    for name, lines in (expect.screen or {}).items():
        for line in lines:
            count = _Count(line.times, 1, None)
            wanted = line.what + (f" {line.text!r}" if line.text else "")
            yield _Look(f"screen of {name}: {wanted}", str(count), partial(_screen, stage, name, line, count))
    for records in expect.trace or ():
        yield _trace_look(stage, records)


def _conversations(stage: Stage, expect: Expect) -> Iterator[_Look]:
    for name, peer, label in _pairs(expect.label):
        yield _Look(f"label of {peer} at {name}", label, partial(_label, stage, name, peer))
    for name, peer, scheme in _pairs(expect.scheme):
        yield _Look(f"scheme with {peer} at {name}", scheme, partial(_scheme, stage, name, peer))
    for name, peer, session in _pairs(expect.session):
        yield _Look(f"session with {peer} at {name}", session, partial(_session, stage, name, peer))
    for name, peer, is_typing in _pairs(expect.typing):
        yield _Look(f"{peer} typing, at {name}", is_typing, partial(_is_typing, stage, name, peer))


def _pairs(given: Mapping[str, Mapping[str, _T]] | None) -> Iterator[tuple[str, str, _T]]:
    for name, peers in (given or {}).items():
        for peer, value in peers.items():
            yield name, peer, value


def _label(stage: Stage, name: str, peer: str) -> str:
    return stage.chat(name, peer).label


def _scheme(stage: Stage, name: str, peer: str) -> str:
    return stage.chat(name, peer).scheme or "none"


def _session(stage: Stage, name: str, peer: str) -> str:
    return stage.chat(name, peer).session


def _is_typing(stage: Stage, name: str, peer: str) -> bool:
    return stage.chat(name, peer).is_peer_typing


def _is_registered(stage: Stage, name: str) -> bool:
    return stage.phone(name).is_registered


def _codes(stage: Stage, first: str, second: str) -> object:
    one, other = stage.chat(first, second).security_code, stage.chat(second, first).security_code
    return _SAME if one and one == other else (one, other)


def _inbox(stage: Stage, name: str) -> list[str]:
    return [
        str(record.details.get("text", ""))
        for record in _shown(stage, name, Shown.MESSAGE)
        if record.details.get("direction") == "in"
    ]


def _shown(stage: Stage, name: str, what: str) -> Iterator[TraceRecord]:
    for record in stage.sink.records:
        if record.kind is RecordKind.SHOWN and record.source == name and record.details.get("what") == what:
            yield record


@dataclass(frozen=True, slots=True)
class _Count:
    """How often something has to be there: exactly, or within bounds."""

    times: int | None
    least: int | None
    most: int | None

    def __str__(self) -> str:
        if self.times is not None:
            return f"{self.times} times"
        bounds = (("at least", self.least), ("at most", self.most))
        return " and ".join(f"{word} {bound} times" for word, bound in bounds if bound is not None)

    def seen(self, found: int) -> str:
        """The same words as those of `str` if *found* is right."""
        if self.times is not None:
            return f"{found} times"
        is_right = (self.least is None or found >= self.least) and (self.most is None or found <= self.most)
        return str(self) if is_right else f"{found} times"


def _screen(stage: Stage, name: str, line: ScreenLine, count: _Count) -> str:
    found = [
        record
        for record in _shown(stage, name, line.what)
        if line.text is None
        or any(line.text in str(record.details.get(part, "")) for part in ("text", "label", "reason"))
    ]
    return count.seen(len(found))


def _trace_look(stage: Stage, lines: TraceLines) -> _Look:
    is_counted = any(each is not None for each in (lines.times, lines.at_least, lines.at_most))
    count = _Count(lines.times, lines.at_least if is_counted else 1, lines.at_most)
    shown = lines.model_dump(exclude_defaults=True, exclude={"times", "at_least", "at_most"})
    wanted = " ".join(f"{name}={value}" for name, value in shown.items())
    return _Look(f"trace: {wanted}", str(count), partial(_matching, stage, lines, count))


def _matching(stage: Stage, lines: TraceLines, count: _Count) -> str:
    return count.seen(sum(_is_one(record, lines) for record in stage.sink.records))


def _is_one(record: TraceRecord, lines: TraceLines) -> bool:
    return (
        lines.kind in (None, record.kind.value)
        and lines.source in (None, record.source)
        and lines.target in (None, record.target)
        and lines.reference_point in (None, record.reference_point)
        and lines.protocol in (None, record.protocol)
        and lines.contains in record.summary
    )
