"""Scenario files by path, folder and name."""

from __future__ import annotations

from pathlib import Path

import pytest

from ims_core.errors import ProfileError
from rcs_sim.scenario.loader import profile_names
from rcs_sim.scenario.story.catalogue import find_scenarios, list_scenarios
from tests.rcs_sim.scenario.story.stories import written


def test_a_folder_stands_for_all_below_it_in_order(tmp_path: Path) -> None:
    for name in ("b", "a/c", "a/b"):
        (tmp_path / name).mkdir(parents=True)
        written(tmp_path / name, "- bob: wipe")
    found = find_scenarios([str(tmp_path), str(tmp_path / "b" / "story.yaml")])
    assert [path.relative_to(tmp_path).as_posix() for path in found] == [
        "a/b/story.yaml",
        "a/c/story.yaml",
        "b/story.yaml",
    ]


def test_what_ships_goes_by_its_name_or_that_of_its_group() -> None:
    shipped = profile_names("scenarios")
    assert shipped
    for name in shipped:
        (path,) = find_scenarios([name])
        assert path.is_file()
        assert path in find_scenarios([name.partition("/")[0]])
        assert path in find_scenarios([name.rpartition("/")[2]])


def test_what_is_not_there_is_told_with_what_is(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="no scenario that ships; there are: basics/"):
        find_scenarios(["moon"])
    with pytest.raises(ProfileError, match="no scenario file is below this folder"):
        find_scenarios([str(tmp_path)])


def test_the_list_has_every_scenario_with_its_clause() -> None:
    rows = list_scenarios().scenarios
    assert [row.id for row in rows] == profile_names("scenarios")
    assert all(row.spec and row.variants >= 1 for row in rows)


def test_a_file_that_does_not_ship_is_listed_by_its_path(tmp_path: Path) -> None:
    path = written(tmp_path, "- fault: {net.partition: {of: bob}}", "matrix: {seed: [1, 2]}\nrepeat: 3\n")
    (row,) = list_scenarios([str(path)]).scenarios
    assert (row.id, row.variants, row.repeat, row.faults) == (str(path), 2, 3, ["net.partition"])


def test_the_faults_of_every_variant_are_listed(tmp_path: Path) -> None:
    points = ", ".join(f"{{name: {word}, steps.it: {{id: it, fault: {word}}}}}" for word in ("kds.down", "kds.slow"))
    path = written(tmp_path, "- {id: it, fault: {net.partition: {of: bob}}}", f"matrix: {{what: [{points}]}}\n")
    assert list_scenarios([str(path)]).scenarios[0].faults == ["kds.down", "kds.slow"]
