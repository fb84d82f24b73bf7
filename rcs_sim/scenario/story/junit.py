"""JUnit XML of a batch, in the form that the common schemas (Jenkins, Ant) share."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from lxml import etree

from rcs_sim.scenario.story.run_document import RunDocument, RunRow, SloDocument

__all__ = ["junit_xml"]

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(document: RunDocument, *, at: datetime | None = None) -> bytes:
    """One suite for each scenario file, one case for each run and each threshold."""
    root = etree.Element("testsuites")
    moment = (at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%S")
    for number, file in enumerate(dict.fromkeys(row.file for row in document.runs)):
        rows = [row for row in document.runs if row.file == file]
        slo = [each for each in document.slo if each.file == file]
        _suite(root, number, file, rows, slo, moment)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)


def _suite(
    root: etree._Element, number: int, file: str, rows: list[RunRow], slo: list[SloDocument], moment: str
) -> None:
    failed = sum(row.verdict == "fail" for row in rows) + sum(each.verdict == "fail" for each in slo)
    suite = etree.SubElement(
        root,
        "testsuite",
        {
            "name": _text(rows[0].name),
            "package": _text(Path(file).parent.name or "scenarios"),
            "id": str(number),
            "timestamp": moment,
            "hostname": socket.gethostname() or "localhost",
            "tests": str(len(rows) + len(slo)),
            "failures": str(failed),
            "errors": str(sum(row.verdict == "broken" for row in rows)),
            "time": f"{sum(row.wall_s for row in rows):.3f}",
        },
    )
    properties = etree.SubElement(suite, "properties")
    for name, value in (("file", file), ("spec", "; ".join(rows[0].spec))):
        etree.SubElement(properties, "property", {"name": name, "value": _text(value)})
    for row in rows:
        _case(suite, row)
    for each in slo:
        _slo_case(suite, each)
    etree.SubElement(suite, "system-out").text = _text("\n".join(_commands(rows)))
    etree.SubElement(suite, "system-err")


def _case(suite: etree._Element, row: RunRow) -> None:
    title = row.name + (f" [{row.variant}]" if row.variant else "") + f" seed {row.seed}"
    if row.repetition > 1:
        title += f" #{row.repetition}"
    names = {"name": _text(title), "classname": _text(_class_name(row.file)), "time": f"{row.wall_s:.3f}"}
    case = etree.SubElement(suite, "testcase", names)
    failure = row.failure
    if row.verdict == "pass" or failure is None:
        return
    kind = "failure" if row.verdict == "fail" else "error"
    told = f"{failure.place}: {failure.about}: expected {failure.expected}; seen: {failure.seen}"
    found = etree.SubElement(case, kind, {"message": _text(told), "type": row.verdict})
    found.text = _text(f"{told}\n\n{failure.ladder}\n\nlabels: {failure.labels}\ntrace: {row.trace}\n{row.replay}\n")


def _slo_case(suite: etree._Element, each: SloDocument) -> None:
    names = {"name": _text(f"{each.name}: {each.slo}"), "classname": _text(_class_name(each.file)), "time": "0"}
    case = etree.SubElement(suite, "testcase", names)
    if each.verdict == "fail":
        told = f"{each.slo}: threshold {each.threshold:g}, measured {each.measured}"
        etree.SubElement(case, "failure", {"message": told, "type": "slo"}).text = told


def _class_name(file: str) -> str:
    path = Path(file)
    return ".".join(part for part in (path.parent.name, path.stem) if part)


def _commands(rows: Iterable[RunRow]) -> list[str]:
    return [f"{row.verdict}: {row.replay}" for row in rows]


def _text(value: str) -> str:
    """Characters that XML 1.0 knows."""
    return _NOT_XML.sub("\ufffd", value)
