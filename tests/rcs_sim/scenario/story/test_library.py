"""The scenarios that ship for the basics and for the fallback policies come out as they say, and the same again."""

from __future__ import annotations

import pytest

from rcs_sim.scenario.loader import profile_folder, profile_names
from rcs_sim.scenario.story.fallback_policies import CARRIER_POLICIES, CLIENT_POLICIES, NETWORK_POLICIES
from rcs_sim.scenario.story.player import play_story
from rcs_sim.scenario.story.reading import Story, read_stories

_FOLDER = profile_folder() / "scenarios"
_NAMES = [name for name in profile_names("scenarios") if name.startswith(("basics/", "fallback/"))]


def _stories(name: str) -> list[Story]:
    return read_stories(_FOLDER / f"{name}.yaml")


@pytest.mark.slow
@pytest.mark.parametrize("name", _NAMES)
def test_a_scenario_passes_in_each_of_its_variants(name: str) -> None:
    for story in _stories(name):
        row = play_story(story, story.file.seed).row
        assert row.verdict == "pass", (story.variant, row.failure)


@pytest.mark.slow
@pytest.mark.parametrize("name", _NAMES)
def test_one_seed_gives_one_trace(name: str) -> None:
    story = _stories(name)[-1]
    assert len({play_story(story, seed).row.trace_hash for seed in (11, 11)}) == 1


def test_every_row_of_the_policy_matrix_is_played() -> None:
    """Network x client for a receiver who is away, by carriers that store and that do not; each carrier policy once."""
    files = [story.file for name in _NAMES if name.startswith("fallback/") for story in _stories(name)]
    played = {(file.policy.network_fallback, file.policy.client_fallback, file.policy.carrier) for file in files}
    for carrier in ("store", "no-store"):
        rows = {(network, client, carrier) for network in NETWORK_POLICIES for client in CLIENT_POLICIES}
        assert rows <= played
    assert {carrier for _, _, carrier in played} >= set(CARRIER_POLICIES)


def test_every_scenario_names_its_clause() -> None:
    assert all(story.file.spec for name in _NAMES for story in _stories(name)[:1])
