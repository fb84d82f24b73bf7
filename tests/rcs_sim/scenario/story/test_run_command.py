"""`rcs-sim run` and `rcs-sim scenarios`: output, files, exit status."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from lxml import etree

from rcs_sim.cli import main
from rcs_sim.scenario.documents import schema_text
from rcs_sim.scenario.loader import profile_names
from tests.rcs_sim.scenario.story.stories import written

Command = Callable[..., tuple[int, str, str]]
_STEPS = "- alice: {send: {to: bob, text: one, as: m1}}\n- expect: {m1: {delivered_within_s: 5}}"
_FAILS = "- alice: {send: {to: bob, text: one, as: m1}}\n- {id: late, expect: {m1: {delivered_within_s: 0.01}}}"


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """One command in an empty folder; exit status, output, errors."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["rcs-sim", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return command


def test_what_passes_exits_0(command: Command, tmp_path: Path) -> None:
    written(tmp_path, _STEPS)
    status, output, _ = command("run", "story.yaml")
    assert status == 0
    assert "✓ A story seed 7 2/2 steps" in output
    assert output.rstrip().splitlines()[-1].startswith("pass: 1 passed in ")
    assert not (tmp_path / "rcs-sim-out").exists()


def test_what_fails_exits_1_with_all_that_explains_it(command: Command, tmp_path: Path) -> None:
    written(tmp_path, _FAILS)
    status, output, _ = command("run", "story.yaml", "--junit", "out/j.xml")
    assert status == 1
    for told in (
        "story.yaml:8:5: step 2 (late (expect))",
        "message m1: expected delivered within 0.01 s",
        "seen: queued by RCS",
        "OPTIONS tel:+12025550152",
        "label at alice: bob: RCS",
        "readers: ",
        "trace: rcs-sim-out/",
        "replay: rcs-sim run story.yaml --seed 7",
    ):
        assert told in output, told
    suite = etree.parse(tmp_path / "out" / "j.xml").getroot()[0]
    assert suite.get("failures") == "1"


def test_a_broken_file_exits_2_with_line_and_column_and_plays_nothing(command: Command, tmp_path: Path) -> None:
    written(tmp_path, "- bobby: wipe")
    status, output, errors = command("run", "story.yaml")
    assert (status, output) == (2, "")
    assert errors.startswith(
        "rcs-sim: story.yaml:7:5: steps.1.bobby: no phone and no kind of step; allowed: alice, bob"
    )


@pytest.mark.parametrize(
    "options", [["--set", "phones.bob"], ["--until", "9"], ["--insert", "x.yaml"], ["--variant", "x"], ["--fork", "0"]]
)
def test_wishes_that_make_no_sense_exit_2(command: Command, tmp_path: Path, options: list[str]) -> None:
    written(tmp_path, _STEPS)
    status, _, errors = command("run", "story.yaml", *options)
    assert status == 2
    assert errors.startswith("rcs-sim: ")


def test_json_keeps_to_its_schema_and_repeats(command: Command, tmp_path: Path) -> None:
    written(tmp_path, _FAILS, "slo: {delivered_ratio: 1}\n")
    status, output, _ = command("run", "story.yaml", "--json", "--trace", "t.rcstrace")
    document = json.loads(output)
    assert status == 1
    jsonschema.validate(document, json.loads(schema_text("run")))
    assert document["runs"][0]["trace"] == "t.rcstrace"
    assert document["slo"][0]["verdict"] == "fail"
    again = json.loads(command("run", "story.yaml", "--json")[1])
    assert again["runs"][0]["trace_hash"] == document["runs"][0]["trace_hash"]


def test_until_and_fork_tell_how_it_stands(command: Command, tmp_path: Path) -> None:
    written(tmp_path, _FAILS)
    status, output, _ = command("run", "story.yaml", "--until", "1")
    assert status == 0
    assert "1/2 steps, stopped after step 1" in output
    status, output, _ = command(
        "run", "story.yaml", "--fork", "late", "--set", "steps.late.expect.m1.delivered_within_s=5"
    )
    assert (status, "2/2 steps" in output) == (0, True)


def test_thresholds_are_judged_over_all_runs(command: Command, tmp_path: Path) -> None:
    written(tmp_path, _STEPS, "repeat: 2\nslo: {delivered_max_s: 0.001, delivered_ratio: 1}\n")
    status, output, _ = command("run", "story.yaml", "-j", "1")
    assert status == 1
    assert "✗ A story: delivered_max_s 0.3" in output
    assert "✓ A story: delivered_ratio 1, threshold 1" in output


def test_scenarios_are_listed(command: Command) -> None:
    status, output, _ = command("scenarios", "--json")
    document = json.loads(output)
    assert status == 0
    jsonschema.validate(document, json.loads(schema_text("scenarios")))
    assert [row["id"] for row in document["scenarios"]] == profile_names("scenarios")
    status, output, _ = command("scenarios", "basics")
    assert (status, "basics/" in output) == (0, True)


def test_a_report_has_every_run_with_its_views_and_keeps_no_other_trace(command: Command, tmp_path: Path) -> None:
    written(tmp_path, _STEPS, "repeat: 2\n")
    status, _, _ = command("run", "story.yaml", "--html", "out/report.html", "-j", "1")
    page = etree.parse(tmp_path / "out" / "report.html")
    assert status == 0
    assert len(page.findall(".//{*}details")) == 2
    assert len(page.findall(".//{*}svg")) == 4  # a line of time and a ladder of each
    assert not (tmp_path / "rcs-sim-out").exists()
