"""The library of scenarios that ships: complete, readable, each of its files sound."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from rcs_sim.scenario.faults.registry import FAULTS
from rcs_sim.scenario.loader import profile_folder
from rcs_sim.scenario.story.fallback_policies import CARRIER_POLICIES, CLIENT_POLICIES, NETWORK_POLICIES
from rcs_sim.scenario.story.reading import Story, read_stories

LIBRARY = profile_folder() / "scenarios"
FILES = sorted(LIBRARY.rglob("*.yaml"))
GROUPS = {"basics", "fallback", "e2ee", "e2ee-failures", "field"}
LEAST = 60
FIELD_CASES = {  # public reports that have to be there, by file
    "lock-gone-after-reinstall",
    "connected-but-swallowed",
    "encrypted-chat-falls-to-sms",
    "attestation-refused",
    "number-recycled",
    "half-upgraded-pair",
    "commit-race",
    "certificate-inside-the-floor",
    "key-packages-exhausted",
    "key-service-of-the-other-carrier-down",
    "capability-stripped-on-the-border",
    "plaintext-receipt-injected",
    "message-replayed",
    "clock-a-day-off",
}
_MAX_LINE = 170
_SHORTEST_REMARK = 20


@cache
def stories(path: Path) -> list[Story]:
    return read_stories(path)


def _id(path: Path) -> str:
    return path.relative_to(LIBRARY).as_posix()


@pytest.mark.parametrize("path", FILES, ids=_id)
def test_a_file_is_sound_and_says_what_it_is_about(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    assert len(lines[0]) > _SHORTEST_REMARK, "the first line says in plain words what happens"
    assert stories(path)[0].file.spec, "a scenario names its clauses"
    assert all(len(line) <= _MAX_LINE or line.startswith("    - {") for line in lines)


@pytest.mark.parametrize("path", FILES, ids=_id)
def test_a_file_expects_something_of_a_message_or_of_a_screen(path: Path) -> None:
    for story in stories(path):
        expected = [step.expect for step in story.file.steps if step.expect is not None]
        assert any(each.messages or each.label or each.inbox or each.screen for each in expected)


def test_each_group_of_the_library_is_there_and_no_other() -> None:
    assert {path.parent.name for path in FILES} == GROUPS
    assert all(path.parent.parent == LIBRARY for path in FILES)


def test_there_are_enough_of_them() -> None:
    assert len(FILES) >= LEAST


def test_no_name_is_there_twice() -> None:
    names = [stories(path)[0].file.name for path in FILES]
    assert sorted(names) == sorted(set(names))


def test_every_public_report_is_a_story() -> None:
    assert {path.stem for path in FILES if path.parent.name == "field"} >= FIELD_CASES


def test_every_fault_that_a_story_uses_is_in_the_vocabulary() -> None:
    used = {word for path in FILES for story in stories(path) for step in story.file.steps for word in step.fault or ()}
    assert used <= set(FAULTS)
    assert {word.partition(".")[0] for word in used} >= {word.partition(".")[0] for word in FAULTS}


def _rows() -> Iterator[tuple[str | None, str | None, str | None]]:
    """What each variant of each story plays of the fallback policy matrix."""
    for path in FILES:
        for story in stories(path):
            policy = story.file.policy
            yield policy.network_fallback, policy.client_fallback, policy.carrier


def test_every_row_of_the_fallback_policy_matrix_is_played() -> None:
    wanted = set(itertools.product(NETWORK_POLICIES, CLIENT_POLICIES, CARRIER_POLICIES))
    missing = wanted - set(_rows())
    assert not missing, f"no story plays {sorted(missing)[:3]}"
