"""JUnit XML as the common schemas have it, checked by machine against `junit.xsd` beside this file."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from lxml import etree

from rcs_sim.cli import main
from rcs_sim.scenario.story.junit import junit_xml, refused_xml
from rcs_sim.scenario.story.run_document import RunDocument, SloDocument
from tests.rcs_sim.scenario.story.rows import failure, row
from tests.rcs_sim.scenario.story.stories import HEAD, written

_AT = datetime(2026, 3, 2, 10, 15, tzinfo=UTC)
_SCHEMA = etree.XMLSchema(etree.parse(Path(__file__).parent / "junit.xsd"))
_HOSTILE = "a <b attr='x'>&amp;</b> ]]> \x00\x07\x1b\x7f\x9f \ud800 \ufffe 🦄 \r\n\t é"
_PASSES = "- alice: {send: {to: bob, text: one, as: m1}}\n- expect: {m1: {delivered_within_s: 5}}"
_FAILS = "- alice: {send: {to: bob, text: one, as: m1}}\n- expect: {m1: {delivered_within_s: 0.01}}"
Spoiling = Callable[[etree._Element], object]


def _document() -> RunDocument:
    rows = [
        row(),
        row(verdict="fail", failure=failure(), repetition=2, variant="phones.bob.device=ios"),
        row(file="s/b.yaml", verdict="broken", failure=failure(step=None)),
    ]
    slo = [SloDocument(file="s/a.yaml", name="A story", slo="delivered_p95_s", threshold=1, measured=2, verdict="fail")]
    return RunDocument(verdict="broken", passed=1, failed=1, broken=1, wall_s=1, runs=rows, slo=slo)


def _checked(octets: bytes) -> etree._Element:
    """The document at *octets*: by the schema, and with counts that are those of its cases."""
    root = etree.fromstring(octets)
    _SCHEMA.assertValid(root)
    for suite in root:
        cases = suite.findall("testcase")
        counts = [len(cases), *(sum(case.find(tag) is not None for case in cases) for tag in ("failure", "error"))]
        assert [int(suite.attrib[name]) for name in ("tests", "failures", "errors")] == counts
        assert int(suite.attrib["skipped"]) == len(suite.findall("testcase/skipped"))
    return root


def _run(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str) -> tuple[int, etree._Element]:
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.argv", ["rcs-sim", "run", *arguments, "-j", "1", "--junit", "j.xml"])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0), _checked((folder / "j.xml").read_bytes())


def test_a_suite_is_a_file_and_a_case_is_a_run_or_a_threshold() -> None:
    first, second = _checked(junit_xml(_document(), at=_AT))
    assert (first.get("tests"), first.get("failures"), first.get("errors")) == ("3", "2", "0")
    assert (second.get("tests"), second.get("failures"), second.get("errors")) == ("1", "0", "1")
    assert [case.get("name") for case in first.findall("testcase")] == [
        "A story seed 7",
        "A story [phones.bob.device=ios] seed 7 #2",
        "A story: delivered_p95_s",
    ]
    assert first.get("timestamp") == "2026-03-02T10:15:00"


def test_a_failure_tells_all_that_the_terminal_tells_and_nothing_that_xml_forbids() -> None:
    text = junit_xml(_document(), at=_AT).decode()
    assert "message m1: expected state delivered; seen: sent \ufffd &lt;b&gt;" in text
    assert "alice → bob" in text
    assert "rcs-sim run s/a.yaml --seed 7" in text


def test_what_runs_of_one_seed_do_not_agree_about_is_a_failure() -> None:
    document = _document().model_copy(update={"disagreements": ["s/a.yaml with seed 7: 2 different traces in 2 runs"]})
    last = _checked(junit_xml(document, at=_AT))[-1]
    assert (last.get("tests"), last.get("failures")) == ("1", "1")
    assert last.findtext("testcase/failure") == "s/a.yaml with seed 7: 2 different traces in 2 runs"


@pytest.mark.parametrize("text", [_HOSTILE, "", " \n ", "x" * 3_000_000, "\x00" * 5_000, "🦄" * 100_000])
def test_any_text_at_any_place_gives_a_document_that_readers_take(text: str) -> None:
    """Readers without special settings refuse texts of ten million characters, and lists show the attribute."""
    told = failure(about=text, seen=text, expected=text, ladder=text, place=text, labels={text: {text: text}})
    rows = [row(name=text, variant=text, spec=[text], replay=text), row(verdict="fail", failure=told, replay=text)]
    rows += [row(file=text, name=text, verdict="broken", failure=told)]
    slo = [SloDocument(file="s/a.yaml", name=text, slo=text, threshold=1, measured=None, verdict="fail")]
    document = RunDocument(
        verdict="broken", passed=1, failed=1, broken=1, wall_s=1, runs=rows, slo=slo, disagreements=[text]
    )
    root = _checked(junit_xml(document, at=_AT))
    longest = max(len(value) for each in root.iter() for value in map(str, each.attrib.values()))
    assert longest < 2_100
    assert all(len(each.text or "") < 1_000_100 for each in root.iter())


def test_a_batch_of_which_nothing_is_played_has_errors_and_skipped_cases() -> None:
    root = _checked(refused_xml({"s/a.yaml": None, "s/b.yaml": f"s/b.yaml:1:1: {_HOSTILE}"}, at=_AT))
    assert [[child.tag for child in case] for case in root.iter("testcase")] == [["skipped"], ["error"]]


# ------------------------------------------------------------------------------ what `rcs-sim run` writes


def test_what_passes_and_what_fails_keep_to_the_schema(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written(tmp_path, _PASSES).rename(tmp_path / "passes.yaml")
    written(tmp_path, _FAILS, "slo: {delivered_max_s: 0.001}\n").rename(tmp_path / "fails.yaml")
    status, root = _run(monkeypatch, tmp_path, "passes.yaml", "fails.yaml", "--repeat", "2")
    assert status == 1
    assert [(suite.get("tests"), suite.get("failures")) for suite in root] == [("2", "0"), ("3", "3")]


def test_a_broken_file_is_an_error_and_the_others_are_skipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written(tmp_path, _PASSES).rename(tmp_path / "right.yaml")
    written(tmp_path, "- bobby: wipe").rename(tmp_path / "wrong.yaml")
    status, root = _run(monkeypatch, tmp_path, "right.yaml", "wrong.yaml")
    right, wrong = root.iter("testcase")
    told = wrong.find("error")
    assert (status, right[0].tag, told is not None) == (2, "skipped", True)
    assert told is not None
    assert told.attrib["message"].startswith("wrong.yaml:7:5: steps.1.bobby: no phone and no kind of step")


@pytest.mark.parametrize("name", ["nothing-of-this-name", "nowhere.yaml", "\udcff.yaml"])
def test_a_file_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    status, root = _run(monkeypatch, tmp_path, name)
    assert (status, len(root.findall("testsuite/testcase/error"))) == (2, 1)


def test_a_wish_that_makes_no_sense_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written(tmp_path, _PASSES)
    status, root = _run(monkeypatch, tmp_path, "story.yaml", "--until", "9")
    assert (status, len(root.findall("testsuite/testcase/error"))) == (2, 1)


def test_a_run_that_breaks_half_way_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written(tmp_path, "- fault: {kds.down: {carrier: red}}")
    status, root = _run(monkeypatch, tmp_path, "story.yaml")
    assert (status, len(root.findall("testsuite/testcase/error"))) == (2, 1)


def test_names_of_any_characters_keep_to_the_schema(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    name = json.dumps("<i>&amp;\x07 \U0001f984 " + "long " * 2_000, ensure_ascii=False)
    head = HEAD.replace("A story", name)
    written(tmp_path, _PASSES, head=head).rename(tmp_path / "<&'🦄\x1b>.yaml")
    status, root = _run(monkeypatch, tmp_path, ".")
    assert (status, [suite.get("tests") for suite in root]) == (0, ["1"])


# ------------------------------------------------------------------------------ what the schema does refuse


def _suite(root: etree._Element) -> etree._Element:
    return root[0]


def _case(root: etree._Element) -> etree._Element:
    return next(root.iter("testcase"))


def _failure(root: etree._Element) -> etree._Element:
    return next(root.iter("failure"))


_SPOILT: dict[str, Spoiling] = {
    "another root": lambda root: setattr(root, "tag", "report"),
    "an attribute at the root": lambda root: root.set("tests", "1"),
    "cases before the properties": lambda root: _suite(root).append(_suite(root)[0]),
    "output before the cases": lambda root: _suite(root).insert(1, _suite(root)[-2]),
    "errors before output": lambda root: _suite(root).append(_suite(root)[-2]),
    "no properties": lambda root: _suite(root).remove(_suite(root)[0]),
    "no output": lambda root: _suite(root).remove(_suite(root)[-2]),
    "a stray element in a suite": lambda root: etree.SubElement(_suite(root), "note"),
    "a stray element at the root": lambda root: etree.SubElement(root, "testcase", name="a", classname="b", time="0"),
    "a suite in a suite": lambda root: _suite(root).append(etree.Element("testsuite")),
    "text in a suite": lambda root: setattr(_suite(root), "text", "text"),
    "a suite without a name": lambda root: _suite(root).attrib.pop("name"),
    "a suite with an empty name": lambda root: _suite(root).set("name", " "),
    "an unknown attribute": lambda root: _suite(root).set("verdict", "pass"),
    "a count that is none": lambda root: _suite(root).set("tests", "many"),
    "a count below zero": lambda root: _suite(root).set("failures", "-1"),
    "a count that is missing": lambda root: _suite(root).attrib.pop("errors"),
    "a time that is none": lambda root: _suite(root).set("time", "fast"),
    "a time that is not finite": lambda root: _case(root).set("time", "nan"),
    "a time with an exponent": lambda root: _case(root).set("time", "1e-5"),
    "a time below zero": lambda root: _case(root).set("time", "-0.1"),
    "a time with too many decimals": lambda root: _case(root).set("time", "0.0001"),
    "a time with a comma": lambda root: _case(root).set("time", "0,1"),
    "a moment with a zone": lambda root: _suite(root).set("timestamp", "2026-03-02T10:15:00Z"),
    "a moment that never was": lambda root: _suite(root).set("timestamp", "2026-02-30T10:15:00"),
    "the number of another suite": lambda root: root[1].set("id", "0"),
    "a case without a name": lambda root: _case(root).attrib.pop("name"),
    "a case without a class name": lambda root: _case(root).attrib.pop("classname"),
    "a case without a time": lambda root: _case(root).attrib.pop("time"),
    "a case with a stray element": lambda root: etree.SubElement(_case(root), "trace"),
    "a case with text": lambda root: setattr(_case(root), "text", "passed"),
    "two outcomes": lambda root: _failure(root).addnext(etree.Element("error", type="broken")),
    "an outcome without its kind": lambda root: _failure(root).attrib.pop("type"),
    "an outcome with an element in it": lambda root: etree.SubElement(_failure(root), "b"),
    "an outcome with an unknown attribute": lambda root: _failure(root).set("line", "1"),
    "a property without a value": lambda root: root[0][0][0].attrib.pop("value"),
    "a namespace": lambda root: setattr(root, "tag", "{urn:junit}testsuites"),
}


@pytest.mark.parametrize("spoil", _SPOILT.values(), ids=_SPOILT.keys())
def test_the_schema_refuses_a_document_with(spoil: Spoiling) -> None:
    root = _checked(junit_xml(_document(), at=_AT))
    spoil(root)
    assert not _SCHEMA.validate(root)
