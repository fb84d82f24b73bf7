"""Scenario files for the tests of their reader and player."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent

from rcs_sim.scenario.story.player import Played, play_story
from rcs_sim.scenario.story.reading import Story, read_stories

__all__ = ["played", "story", "written"]

HEAD = """\
name: A story
network: two-carriers-plain
phones:
  alice: {device: android, carrier: red}
  bob: {device: ios, carrier: blue}
"""


def written(folder: Path, steps: str, more: str = "", *, head: str = HEAD) -> Path:
    """A file with *steps*, one YAML item a line."""
    path = folder / "story.yaml"
    path.write_text(f"{head}{more}steps:\n{indent(steps.strip(), '  ')}\n", encoding="utf-8")
    return path


def story(folder: Path, steps: str, more: str = "", *, head: str = HEAD) -> Story:
    (found,) = read_stories(written(folder, steps, more, head=head))
    return found


def played(folder: Path, steps: str, more: str = "", *, seed: int = 7, until: str | None = None) -> Played:
    return play_story(story(folder, steps, more), seed, until=until)
