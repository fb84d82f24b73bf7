"""From a scenario file to the stories that it tells: one for each point of its matrix."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from ims_core.errors import ProfileError
from rcs_sim.scenario.loader import load_device, load_network
from rcs_sim.scenario.model import NetworkFile
from rcs_sim.scenario.story.changes import Change, ChangeError, changed, step_index
from rcs_sim.scenario.story.names import NameCheck, check_step_words
from rcs_sim.scenario.story.scenario_file import ScenarioFile
from rcs_sim.scenario.story.step_model import Step
from rcs_sim.scenario.yaml_document import YamlDocument

__all__ = ["MAX_VARIANTS", "Fork", "StepPlace", "Story", "read_stories", "read_story"]

MAX_VARIANTS = 10_000
_FILES: TypeAdapter[ScenarioFile] = TypeAdapter(ScenarioFile)
_BARE_STEPS: TypeAdapter[list[Step]] = TypeAdapter(list[Step])
_STEP_FILES: TypeAdapter[dict[Literal["steps"], list[Step]]] = TypeAdapter(dict[Literal["steps"], list[Step]])
_NUMBERED = frozenset(("steps",))
_NAME = "name"


@dataclass(frozen=True, slots=True)
class StepPlace:
    """Where a step is written, from 1."""

    file: str
    line: int | None
    column: int | None

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)


@dataclass(frozen=True, slots=True)
class Fork:
    """From step *step* (number or id) on one thing is different: *changes* hold, and the steps of the file *inserted*
    come before it. What is before that step is played as ever."""

    step: str
    changes: tuple[Change, ...] = ()
    inserted: Path | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """One variant of a scenario file, ready to be played. *fork_at* is the index of the first step that is different;
    *new_devices* are handsets into which SIMs go then."""

    path: Path
    file: ScenarioFile
    network: NetworkFile
    variant: str
    places: tuple[StepPlace, ...]
    fork_at: int | None = None
    new_devices: tuple[tuple[str, str], ...] = ()

    def step_index(self, name: str) -> int:
        """Index of the step with number or id *name*. Raises ProfileError."""
        steps = [{"id": step.id} if step.id else {} for step in self.file.steps]
        try:
            return step_index(list[Any](steps), name)
        except ChangeError as error:
            raise ProfileError(str(error), file=str(self.path)) from None


def read_stories(
    path: Path, changes: Sequence[Change] = (), *, variants: Sequence[str] = (), fork: Fork | None = None
) -> list[Story]:
    """Every variant of the file at *path*, or those named, with *changes* made first. Raises ProfileError."""
    document = YamlDocument.read(path, _NUMBERED)
    base = _apply(document, document.plain, changes)
    _validated(document, base)  # the file is right as it stands, not only in its variants
    found = list(_variants(document, base))
    names = [name for name, _ in found]
    unknown = [name for name in variants if name not in names]
    if unknown:
        raise ProfileError(f"there is no variant {unknown[0]!r}; there are: {'; '.join(names)}", file=str(path))
    return [_story(document, base, name, points, fork) for name, points in found if not variants or name in variants]


def read_story(path: Path, variant: str = "", changes: Sequence[Change] = (), *, fork: Fork | None = None) -> Story:
    """One variant. Raises ProfileError."""
    return read_stories(path, changes, variants=[variant], fork=fork)[0]


def _apply(document: YamlDocument, plain: Any, changes: Sequence[Change]) -> dict[str, Any]:
    if not isinstance(plain, Mapping):
        raise document.error((), "not a mapping: a scenario has name, phones and steps")
    try:
        return changed(plain, changes)
    except ChangeError as error:
        raise ProfileError(str(error), file=str(document.path)) from None


def _validated(document: YamlDocument, plain: dict[str, Any]) -> ScenarioFile:
    check_step_words(document, plain)
    return document.validated(_FILES, plain)


def _story(
    document: YamlDocument, base: dict[str, Any], variant: str, points: Sequence[Change], fork: Fork | None
) -> Story:
    path, plain = document.path, _apply(document, base, points)
    places = [_place(document, index) for index in range(len(plain["steps"]))]
    fork_at: int | None = None
    new_devices: tuple[tuple[str, str], ...] = ()
    if fork is not None:
        fork_at = _fork_index(document, plain, fork)
        new_devices = _new_devices(document, fork)
        plain = _apply(document, plain, _step_changes(document, plain, fork, fork_at))
        places = _insert(document, plain, fork, fork_at, places)
        if fork.inserted is not None:  # the places of the file are not those of all the steps any more
            document = replace(document, path=Path(f"{document.path} with {fork.inserted}"), node=None)
    file = _validated(document, plain)
    network = _network(document, path, file.network)
    NameCheck(document, file, network).run()
    return Story(path, file, network, variant, tuple(places), fork_at, new_devices)


def _place(document: YamlDocument, index: int) -> StepPlace:
    return StepPlace(str(document.path), *document.place(("steps", index)))


def _network(document: YamlDocument, path: Path, name: str) -> NetworkFile:
    """A mistake in a network file has its place there; that there is none has the place of its name."""
    found = _beside(path, name)
    try:
        return load_network(found)
    except ProfileError as error:
        if error.line is not None:
            raise
        text = str(error) if found != name else str(error).removeprefix(f"{error.file}: ")
        raise document.error(("network",), text) from None


def _beside(path: Path, name: str) -> str:
    """A network file is looked for beside the scenario that names it."""
    return str(path.parent / name) if name.endswith((".yaml", ".yml")) or "/" in name else name


# ------------------------------------------------------------------------------------------------------------ variants


def _variants(document: YamlDocument, base: dict[str, Any]) -> Iterator[tuple[str, list[Change]]]:
    """Name and changes of each point of the matrix; without one a single variant named ""."""
    axes = [
        [_point(document, axis, index, value) for index, value in enumerate(values)]
        for axis, values in (base.get("matrix") or {}).items()
    ]
    points = itertools.product(*axes)
    for number, chosen in enumerate(points):
        if number >= MAX_VARIANTS:
            raise document.error(("matrix",), f"more than {MAX_VARIANTS} variants")
        yield ", ".join(name for name, _ in chosen), [change for _, changes in chosen for change in changes]


def _point(document: YamlDocument, axis: str, index: int, value: Any) -> tuple[str, list[Change]]:
    if not isinstance(value, Mapping):
        change = Change(axis, value)
        return str(change), [change]
    changes = [Change(path, each) for path, each in value.items() if path != _NAME]
    if not changes:
        raise document.error(("matrix", axis, index), "no changes")
    return f"{axis}={value.get(_NAME, changes[0].value)}", changes


# --------------------------------------------------------------------------------------------------------------- forks


def _fork_index(document: YamlDocument, plain: Mapping[str, Any], fork: Fork) -> int:
    try:
        return step_index(plain["steps"], fork.step)
    except ChangeError as error:
        raise ProfileError(str(error), file=str(document.path)) from None


def _new_devices(document: YamlDocument, fork: Fork) -> tuple[tuple[str, str], ...]:
    found = []
    for change in fork.changes:
        parts = change.path.split(".")
        if parts[0] == "phones":
            if len(parts) != 3 or parts[2] != "device" or parts[1] not in document.plain["phones"]:
                raise _not_at_a_fork(document, change)
            load_device(str(change.value))
            found.append((parts[1], str(change.value)))
    return tuple(found)


def _step_changes(document: YamlDocument, plain: Mapping[str, Any], fork: Fork, fork_at: int) -> list[Change]:
    found = [change for change in fork.changes if not change.path.startswith("phones.")]
    for change in found:
        parts = change.path.split(".")
        try:
            is_later = parts[0] == "steps" and len(parts) > 1 and step_index(plain["steps"], parts[1]) >= fork_at
        except ChangeError as error:
            raise ProfileError(str(error), file=str(document.path)) from None
        if not is_later:
            raise _not_at_a_fork(document, change)
    return found


def _not_at_a_fork(document: YamlDocument, change: Change) -> ProfileError:
    return ProfileError(
        f"{change}: a fork changes steps from its own on (steps.N…) or a handset (phones.NAME.device);"
        " what else is to be different is different from the start: leave out --fork",
        file=str(document.path),
    )


def _insert(
    document: YamlDocument, plain: dict[str, Any], fork: Fork, fork_at: int, places: list[StepPlace]
) -> list[StepPlace]:
    """Puts the steps of the inserted file into *plain*; the places of all steps."""
    if fork.inserted is None:
        return places
    inserted = YamlDocument.read(fork.inserted, _NUMBERED)
    steps = inserted.plain.get("steps") if isinstance(inserted.plain, Mapping) else inserted.plain
    if not isinstance(steps, list) or not steps:
        raise inserted.error((), "not a list of steps")
    is_bare = not isinstance(inserted.plain, Mapping)
    if is_bare:
        inserted.validated(_BARE_STEPS)
    else:
        inserted.validated(_STEP_FILES)
    plain["steps"][fork_at:fork_at] = steps
    new = [
        StepPlace(str(fork.inserted), *inserted.place((index,) if is_bare else ("steps", index)))
        for index in range(len(steps))
    ]
    return [*places[:fork_at], *new, *places[fork_at:]]
