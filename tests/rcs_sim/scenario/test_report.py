"""The HTML report: well-formed, of one piece, and nothing in it but text."""

from __future__ import annotations

from pathlib import Path

from lxml import etree

from ims_core.trace import RecordKind, TraceRecord
from rcs_sim.scenario.report import html_report
from rcs_sim.scenario.story.player import Played, play_story
from rcs_sim.scenario.story.reading import read_story
from rcs_sim.scenario.story.run_document import FailureDocument, FindingDocument, RunDocument, RunRow, SloDocument
from tests.rcs_sim.scenario.story.stories import HEAD, played, written

EVIL = "<script>alert('x')</script> & \"quoted\" \x01\ud800"
_STEPS = "- alice: {send: {to: bob, text: one, as: m1}}\n- expect: {m1: {delivered_within_s: 5}}"


def _document(*rows: RunRow, **more: object) -> RunDocument:
    counts = {word: sum(row.verdict == each for row in rows) for word, each in _COUNTS.items()}
    worst = max((row.verdict for row in rows), key=["pass", "fail", "broken"].index)
    return RunDocument.model_validate({"verdict": worst, **counts, "wall_s": 1.0, "runs": rows, **more})


_COUNTS = {"passed": "pass", "failed": "fail", "broken": "broken"}


def _tree(document: RunDocument, *traces: list[TraceRecord]) -> etree._Element:
    text = "".join(html_report(document, lambda index: traces[index] if index < len(traces) else []))
    assert "http://" not in text.replace('"http://www.w3.org/', "")
    return etree.fromstring(text.encode("utf-8"))


def _rows(tree: etree._Element, name: str) -> list[list[str]]:
    found = tree.findall(f".//{{*}}table[@class='{name}']/{{*}}tbody/{{*}}tr")
    return [["".join(str(part) for part in cell.itertext()) for cell in row] for row in found]


def _run(folder: Path, steps: str = _STEPS) -> Played:
    return played(folder, steps)


def test_a_run_has_steps_messages_and_views(tmp_path: Path) -> None:
    run = _run(tmp_path)
    tree = _tree(_document(run.row), run.records)
    assert [row[2] for row in _rows(tree, "summary")] == ["✓ pass"]
    assert [(row[1], row[3]) for row in _rows(tree, "steps")] == [("alice: send", "✓ pass"), ("expect", "✓ pass")]
    (message,) = _rows(tree, "messages")
    assert message[:6] == ["m1", "alice → bob", "one", "RCS", "none", "delivered"]
    assert "red.pcscf" in message[10]
    assert len(tree.findall(".//{*}svg")) == 2


def test_epochs_of_an_encrypted_conversation_are_told(tmp_path: Path) -> None:
    run = _encrypted(tmp_path)
    rows = _rows(_tree(_document(run.row), run.records), "epochs")
    assert {row[1] for row in rows} >= {"alice", "bob"}
    assert rows[0][2:4] == ["1", "1"]


def _encrypted(folder: Path) -> Played:
    path = written(folder, _STEPS, head=HEAD.replace("two-carriers-plain", "two-carriers"))
    return play_story(read_story(path), 7)


def test_without_a_trace_there_is_the_rest(tmp_path: Path) -> None:
    tree = _tree(_document(_run(tmp_path).row))
    assert len(_rows(tree, "steps")) == 2
    assert not tree.findall(".//{*}svg")


def test_a_failure_is_open_and_says_where(tmp_path: Path) -> None:
    run = _run(tmp_path, steps=_STEPS.replace("within_s: 5", "within_s: 0.01") + "\n- bob: wipe")
    tree = _tree(_document(run.row), run.records)
    (details,) = tree.findall(".//{*}details")
    assert details.get("open") is not None
    assert [row[3] for row in _rows(tree, "steps")] == ["✓ pass", "✗ fail", "not reached"]
    assert "delivered within 0.01 s" in "".join(tree.itertext())


def test_what_scenarios_say_stays_text(tmp_path: Path) -> None:
    run = _run(tmp_path)
    failure = FailureDocument(
        step=None,
        title=EVIL,
        place=EVIL,
        about=EVIL,
        expected=EVIL,
        seen=EVIL,
        labels={EVIL: {EVIL: EVIL}},
        ladder=EVIL,
    )
    finding = FindingDocument(kind=EVIL, message=EVIL, phone=EVIL, why=EVIL, evidence=[1])
    message = run.row.messages[0].model_copy(update=dict.fromkeys(("name", "sender", "to", "text", "label"), EVIL))
    row = run.row.model_copy(
        update={
            "name": EVIL,
            "variant": EVIL,
            "spec": [EVIL],
            "verdict": "fail",
            "failure": failure,
            "violations": [finding],
            "messages": [message],
            "trace": EVIL,
            "replay": EVIL,
        }
    )
    records = [
        TraceRecord(1, 0.0, kind, EVIL, "bob", summary=EVIL, imdn_message_id="i", details={"text": EVIL, "fault": EVIL})
        for kind in RecordKind
    ]
    slo = SloDocument(file=EVIL, name=EVIL, slo=EVIL, threshold=1, measured=None, verdict="fail")
    tree = _tree(_document(row, slo=[slo], disagreements=[EVIL]), records)
    assert not tree.findall(".//{*}script")
    assert _rows(tree, "messages")[0][2] == EVIL.replace("\x01\ud800", "\ufffd\ufffd")


def test_a_long_ladder_is_cut_in_its_middle(tmp_path: Path) -> None:
    run = _run(tmp_path)
    tree = _tree(_document(run.row), [record for _ in range(20) for record in run.records])
    text = "".join(tree.itertext())
    assert "rungs after the first 40 are left out" in text


def test_nothing_is_fetched_and_nothing_runs(tmp_path: Path) -> None:
    run = _run(tmp_path)
    tree = _tree(_document(run.row), run.records)
    (policy,) = tree.findall(".//{*}meta[@http-equiv]")
    assert "default-src 'none'" in str(policy.get("content"))
    links = [value for each in tree.iter() for name, value in each.attrib.items() if name in ("href", "src")]
    assert links == ["#run0"]
    assert not [each for name in ("link", "script", "img", "iframe") for each in tree.findall(f".//{{*}}{name}")]


def test_a_run_is_open_where_it_is_the_only_one_or_did_not_pass(tmp_path: Path) -> None:
    good = _run(tmp_path).row
    bad = good.model_copy(update={"verdict": "fail"})
    for rows, opened in (((good,), [True]), ((good, bad, good), [False, True, False])):
        found = _tree(_document(*rows)).findall(".//{*}details")
        assert [one.get("open") == "open" for one in found] == opened
