"""Scenarios between every pair of kinds of phone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lxml import etree
from rich.console import Console

from ims_core.errors import ProfileError
from rcs_sim.scenario.matrix import (
    DEFAULT_DEVICES,
    DEFAULT_SCENARIO,
    heat_map_svg,
    play_matrix,
    run_matrix,
)
from rcs_sim.scenario.matrix_document import MatrixDocument
from rcs_sim.scenario.story.batch import RunWishes
from rcs_sim.scenario.story.catalogue import find_scenarios
from rcs_sim.scenario.story.reading import read_stories
from tests.rcs_sim.scenario.story.stories import HEAD, written

_STEPS = "- alice: {send: {to: bob, text: one, as: m1}}\n- expect: {m1: {delivered_within_s: 5}}"
_SESSION = "- alice: {send: {to: bob, text: one, as: m1}}\n- expect: {m1: {delivered_within_s: 5, mode: pager}}"


def _play(path: Path, devices: list[str]) -> MatrixDocument:
    wishes = RunWishes(failed_folder=path.parent / "out")
    return play_matrix([path], devices, wishes, jobs=1, console=Console(quiet=True))


def _texts(svg: str) -> list[str]:
    return [str(each.text) for each in etree.fromstring(svg).iter("{*}text")]


def test_every_ordered_pair_has_a_cell(tmp_path: Path) -> None:
    document = _play(written(tmp_path, _STEPS), ["android", "ios", "android"])
    pairs = [(cell.first, cell.second) for cell in document.cells]
    assert pairs == [("android", "android"), ("android", "ios"), ("ios", "android"), ("ios", "ios")]
    assert {(cell.verdict, cell.label) for cell in document.cells} == {("pass", "RCS")}
    assert "--set phones.alice.device=android --set phones.bob.device=ios" in document.cells[1].replays[0]


def test_a_pair_that_fails_says_why_and_keeps_a_trace_of_its_own(tmp_path: Path) -> None:
    document = _play(written(tmp_path, _SESSION), ["android", "ios"])
    cells = {(cell.first, cell.second): cell for cell in document.cells}
    assert document.verdict == "fail"
    assert (cells["android", "ios"].verdict, cells["ios", "ios"].verdict) == ("pass", "fail")
    assert "message m1: expected mode pager" in cells["ios", "ios"].why
    failed = [cell for cell in document.cells if cell.verdict == "fail"]
    assert len(list((tmp_path / "out").iterdir())) == len(failed)


@pytest.mark.parametrize(
    "matrix", ["{phones.bob.device: [ios, android-legacy]}", "{peer: [{name: i, phones.bob.device: ios}]}"]
)
def test_devices_of_the_files_own_matrix_give_way_and_its_other_axes_stay(tmp_path: Path, matrix: str) -> None:
    more = f"matrix: {matrix[:-1]}, phones.alice.reads_after_s: [1, 2]}}\n"
    (cell,) = _play(written(tmp_path, _STEPS, more), ["android"]).cells
    assert (cell.verdict, len(cell.replays)) == ("pass", 2)
    assert all("phones.bob.device=android" in replay for replay in cell.replays)


def test_a_device_that_is_not_there_and_a_scenario_for_one_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, _STEPS)
    with pytest.raises(ProfileError, match="no-such"):
        _play(path, ["no-such"])
    lonely = HEAD.replace("  bob: {device: ios, carrier: blue}\n", "")
    with pytest.raises(ProfileError, match="two phones"):
        _play(written(tmp_path, "- alice: wipe", head=lonely), ["ios"])


def test_the_heat_map_has_a_colour_and_a_word_in_each_cell(tmp_path: Path) -> None:
    svg = heat_map_svg(_play(written(tmp_path, _SESSION), ["android", "ios"]))
    texts = _texts(svg)
    assert texts[0] == "A story"
    assert (texts.count("✓ pass") + texts.count("✗ fail"), texts.count("RCS")) == (4, 4)
    fills = {str(each.get("fill")) for each in etree.fromstring(svg).iter("{*}rect")}
    assert len(fills) == 3  # the ground, and one for each verdict


def test_names_stay_text_in_the_heat_map(tmp_path: Path) -> None:
    head = HEAD.replace("A story", "<script>x</script>")
    assert _texts(heat_map_svg(_play(written(tmp_path, _STEPS, head=head), ["ios"])))[0] == "<script>x</script>"


def test_the_command_prints_writes_and_exits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path, svg = str(written(tmp_path, _SESSION)), tmp_path / "out" / "map.svg"
    assert run_matrix([path], ["android"], jobs=1, svg=svg) == 0
    assert "pass: 1 of 1 pairs" in capsys.readouterr().out
    assert svg.read_text(encoding="utf-8").startswith("<svg")
    assert run_matrix([path], ["ios"], jobs=1, as_json=True) == 1
    document = MatrixDocument.model_validate(json.loads(capsys.readouterr().out))
    assert (document.verdict, document.devices) == ("fail", ["ios"])


def test_what_is_played_by_default_is_there() -> None:
    (path,) = find_scenarios([DEFAULT_SCENARIO])
    assert len(read_stories(path)[0].file.phones) == 2
    assert len(DEFAULT_DEVICES) == 5
