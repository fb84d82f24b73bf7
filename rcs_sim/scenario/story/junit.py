"""JUnit XML of a batch, in the form that the common schemas (Jenkins, Ant) share."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lxml import etree

from rcs_sim.scenario.story.run_document import FailureDocument, RunDocument, RunRow, SloDocument

__all__ = ["junit_xml", "refused_xml"]

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MAX_MESSAGE = 2_000  # characters of an attribute: lists of failures show it; the body has all
_MAX_BODY = 1_000_000  # characters of an element's text: readers without special settings refuse ten times that
_BATCH = "rcs-sim run"  # name of what is about no single file


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a case has beside its name unless it passed: *tag* failure, error or skipped."""

    tag: str
    kind: str
    message: str
    body: str


@dataclass(frozen=True, slots=True)
class _Case:
    name: str
    class_name: str
    time_s: float = 0
    outcome: _Outcome | None = None


@dataclass(frozen=True, slots=True)
class _Suite:
    name: str
    package: str
    properties: Sequence[tuple[str, str]]
    cases: Sequence[_Case]
    output: Iterable[str] = ()


def junit_xml(document: RunDocument, *, at: datetime | None = None) -> bytes:
    """One suite for each scenario file, one case for each run and each threshold; a last suite for what runs of one
    seed do not agree about."""
    suites = []
    for file in dict.fromkeys(row.file for row in document.runs):
        rows = [row for row in document.runs if row.file == file]
        suites.append(_played(file, rows, [each for each in document.slo if each.file == file]))
    if document.disagreements:
        suites.append(_differing(document.disagreements))
    return _encoded(suites, at)


def refused_xml(files: Mapping[str, str | None], *, at: datetime | None = None) -> bytes:
    """Of a batch of which nothing is played: an error for each file with the reason why it cannot be, and the others
    skipped."""
    return _encoded([_unplayed(file, reason) for file, reason in files.items()], at)


# -------------------------------------------------------------------------------------------------------------- suites


def _played(file: str, rows: Sequence[RunRow], slo: Sequence[SloDocument]) -> _Suite:
    cases = [*map(_run_case, rows), *map(_slo_case, slo)]
    properties = (("file", file), ("spec", "; ".join(rows[0].spec)))
    return _Suite(rows[0].name, _package(file), properties, cases, [f"{row.verdict}: {row.replay}" for row in rows])


def _run_case(row: RunRow) -> _Case:
    title = row.name + (f" [{row.variant}]" if row.variant else "") + f" seed {row.seed}"
    if row.repetition > 1:
        title += f" #{row.repetition}"
    outcome = None if row.verdict == "pass" or row.failure is None else _ended(row, row.failure)
    return _Case(title, _class_name(row.file), row.wall_s, outcome)


def _ended(row: RunRow, failure: FailureDocument) -> _Outcome:
    told = f"{failure.place}: {failure.about}: expected {failure.expected}; seen: {failure.seen}"
    body = f"{told}\n\n{failure.ladder}\n\nlabels: {failure.labels}\ntrace: {row.trace}\n{row.replay}\n"
    return _Outcome("failure" if row.verdict == "fail" else "error", row.verdict, told, body)


def _slo_case(each: SloDocument) -> _Case:
    told = f"{each.slo}: threshold {each.threshold:g}, measured {each.measured}"
    outcome = _Outcome("failure", "slo", told, told) if each.verdict == "fail" else None
    return _Case(f"{each.name}: {each.slo}", _class_name(each.file), outcome=outcome)


def _differing(disagreements: Sequence[str]) -> _Suite:
    cases = [_Case(told, _BATCH, outcome=_Outcome("failure", "disagreement", told, told)) for told in disagreements]
    return _Suite("runs of one seed are the same", _BATCH, (), cases)


def _unplayed(file: str, reason: str | None) -> _Suite:
    if reason is None:
        told = "nothing is played where one of the files is broken"
        outcome = _Outcome("skipped", "skipped", told, told)
    else:
        outcome = _Outcome("error", "broken", reason, reason)
    return _Suite(file, _package(file), (("file", file),), [_Case(file, _class_name(file), outcome=outcome)])


def _package(file: str) -> str:
    return Path(file).parent.name or "scenarios"


def _class_name(file: str) -> str:
    path = Path(file)
    return ".".join(part for part in (path.parent.name, path.stem) if part)


# ---------------------------------------------------------------------------------------------------------------- XML


def _encoded(suites: Sequence[_Suite], at: datetime | None) -> bytes:
    root = etree.Element("testsuites")
    moment = (at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%S")
    for number, suite in enumerate(suites):
        _add_suite(root, number, suite, moment)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)


def _add_suite(root: etree._Element, number: int, suite: _Suite, moment: str) -> None:
    tags = [case.outcome.tag for case in suite.cases if case.outcome is not None]
    attributes = {
        "name": _name(suite.name),
        "package": _name(suite.package),
        "id": str(number),
        "timestamp": moment,
        "hostname": _name(socket.gethostname(), "localhost"),
        "tests": str(len(suite.cases)),
        "failures": str(tags.count("failure")),
        "errors": str(tags.count("error")),
        "skipped": str(tags.count("skipped")),
        "time": f"{sum(case.time_s for case in suite.cases):.3f}",
    }
    element = etree.SubElement(root, "testsuite", attributes)
    properties = etree.SubElement(element, "properties")
    for name, value in suite.properties:
        etree.SubElement(properties, "property", {"name": name, "value": _text(value, _MAX_MESSAGE)})
    for case in suite.cases:
        _add_case(element, case)
    etree.SubElement(element, "system-out").text = _text("\n".join(suite.output), _MAX_BODY)
    etree.SubElement(element, "system-err")


def _add_case(suite: etree._Element, case: _Case) -> None:
    names = {"name": _name(case.name), "classname": _name(case.class_name), "time": f"{case.time_s:.3f}"}
    element = etree.SubElement(suite, "testcase", names)
    if (outcome := case.outcome) is not None:
        told = {"message": _text(outcome.message, _MAX_MESSAGE), "type": outcome.kind}
        etree.SubElement(element, outcome.tag, told).text = _text(outcome.body, _MAX_BODY)


def _name(value: str, otherwise: str = "(no name)") -> str:
    """Of a suite or a case: one line with something in it."""
    return _text(" ".join(value.split()), _MAX_MESSAGE) or otherwise


def _text(value: str, limit: int) -> str:
    """Characters that XML 1.0 knows, *limit* of them at most."""
    shown = value if len(value) <= limit else f"{value[:limit]}… ({len(value) - limit} characters more)"
    return _NOT_XML.sub("\ufffd", shown)
