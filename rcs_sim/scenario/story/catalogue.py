"""Scenario files by path, folder or name, and the list of those that ship."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ims_core.errors import ProfileError
from rcs_sim.scenario.loader import profile_folder, profile_names
from rcs_sim.scenario.story.reading import read_stories
from rcs_sim.scenario.story.run_document import ScenarioDocument, ScenarioListDocument

__all__ = ["find_scenarios", "list_scenarios"]

_KIND = "scenarios"
_SUFFIXES = (".yaml", ".yml")


def find_scenarios(names: Sequence[str]) -> list[Path]:
    """The files that *names* stand for: a file, a folder with all below it, or what ships by ``group/name``, ``name``
    or ``group``. Each once, in order. Raises ProfileError."""
    found: dict[Path, None] = {}
    for name in names:
        found |= dict.fromkeys(_files(name))
    return list(found)


def _files(name: str) -> Iterable[Path]:
    path = Path(name)
    if path.is_dir():
        below = sorted(each for suffix in _SUFFIXES for each in path.rglob(f"*{suffix}"))
        if not below:
            raise ProfileError("no scenario file is below this folder", file=name)
        return below
    if path.is_file() or name.endswith(_SUFFIXES):
        return [path]
    shipped = profile_names(_KIND)
    chosen = [each for each in shipped if name in (each, each.rpartition("/")[2]) or each.startswith(f"{name}/")]
    if not chosen:
        known = ", ".join(shipped) or "(none)"
        raise ProfileError(f"no such file, and no scenario that ships; there are: {known}", file=name)
    return [_shipped(each) for each in chosen]


def _shipped(name: str) -> Path:
    return profile_folder() / _KIND / f"{name}.yaml"


def list_scenarios(names: Sequence[str] = ()) -> ScenarioListDocument:
    """What *names* stand for; all that ships if there are none. Raises ProfileError."""
    paths = (
        find_scenarios(names) if names else [profile_folder() / _KIND / f"{each}.yaml" for each in profile_names(_KIND)]
    )
    return ScenarioListDocument(scenarios=[_row(path) for path in paths])


def _row(path: Path) -> ScenarioDocument:
    stories = read_stories(path)
    file = stories[0].file
    folder = profile_folder() / _KIND
    is_shipped = path.resolve().is_relative_to(folder.resolve())
    faults = dict.fromkeys(word for story in stories for step in story.file.steps for word in step.fault or ())
    return ScenarioDocument(
        id=path.resolve().relative_to(folder.resolve()).with_suffix("").as_posix() if is_shipped else str(path),
        name=file.name,
        file=str(path),
        spec=file.spec,
        tags=file.tags,
        network=file.network,
        clock=file.clock,
        variants=len(stories),
        repeat=file.repeat,
        steps=len(file.steps),
        faults=list(faults),
    )
