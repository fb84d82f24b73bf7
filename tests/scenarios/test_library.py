"""Each scenario that ships passes: every variant, with the first of its seeds, on the virtual clock."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from rcs_sim.scenario.loader import profile_folder
from rcs_sim.scenario.story.player import play_story
from rcs_sim.scenario.story.reading import Story, read_stories

LIBRARY = profile_folder() / "scenarios"
_LEGACY = "legacy"  # tag of stories about the scheme that needs the libraries of the extra


def _stories() -> Iterator[Any]:
    for path in sorted(LIBRARY.rglob("*.yaml")):
        for story in _read(path):
            name = f"{path.parent.name}/{path.stem}"
            yield pytest.param(story, id=f"{name}[{story.variant}]" if story.variant else name)


@cache
def _read(path: Path) -> list[Story]:
    return read_stories(path)


@pytest.mark.parametrize("story", list(_stories()))
def test_a_story_ends_as_it_should(story: Story) -> None:
    if _LEGACY in story.file.tags:
        pytest.importorskip("x3dh")
        pytest.importorskip("doubleratchet")
    row = play_story(story, story.file.seed).row
    assert row.failure is None, f"{row.failure.place}: {row.failure.about}: {row.failure.expected}; {row.failure.seen}"
    assert row.verdict == "pass"
