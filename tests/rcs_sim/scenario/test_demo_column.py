"""One column of the demo, played."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from ims_core.transport.virtual_loop import run
from rcs_sim.scenario.demo_column import COLUMNS, LEGACY, DemoColumn, PlayedColumn, play_column


def _play(column: DemoColumn, seed: int = 7) -> PlayedColumn:
    return run(partial(play_column, column, seed=seed, is_real=False), clock="virtual")


def test_another_seed_is_another_run_of_the_same_conversation() -> None:
    plays = [_play(COLUMNS[1], seed) for seed in (1, 2)]
    assert [row.text for row in plays[0].rows] == [row.text for row in plays[1].rows]
    assert plays[0].records[50].raw != plays[1].records[50].raw


def test_without_a_network_that_comes_back_the_sender_of_what_is_under_a_lock_knows_that_it_failed() -> None:
    played = _play(replace(COLUMNS[4], has_no_keys_for=0, is_back_before=None))
    assert [row.scheme for row in played.rows[:2]] == ["mls", "mls"]
    assert {(row.state, row.transport) for row in played.rows[2:4]} == {("failed", "none")}
    assert all(set(row.readers) <= {"alice", "bob"} for row in played.rows)
    assert all(row.fallback_reason for row in played.rows[2:4])
    assert played.is_good


def test_what_is_lost_shown_twice_or_not_so_is_not_good() -> None:
    played = _play(COLUMNS[0])
    assert played.is_good
    row, rows = played.rows[0], played.rows[1:]
    for changes in ({"delivered": False}, {"duplicates": 1}):
        assert not replace(played, rows=[row.model_copy(update=changes), *rows]).is_good
    said = played.verdict.model_copy(update={"violations": ["lying lock: m1"]})
    assert not replace(played, verdict=said).is_good


def test_the_legacy_column_is_locked_too_and_says_so() -> None:
    pytest.importorskip("x3dh")
    pytest.importorskip("doubleratchet")
    played = _play(LEGACY)
    assert {(row.label, row.scheme, *row.readers) for row in played.rows} == {
        ("RCS · encrypted", "legacy", "alice", "bob")
    }
    assert played.is_good
