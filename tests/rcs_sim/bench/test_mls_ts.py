"""ts-mls as a stack to measure against."""

from __future__ import annotations

from pathlib import Path

import pytest

from rcs_sim.bench.mls_ts import find_node_modules, measure_ts_mls


def test_a_folder_without_its_packages_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RCS_SIM_TS_MLS", str(tmp_path))
    assert find_node_modules() is None


def test_its_members_are_measured() -> None:
    folder = find_node_modules()
    if folder is None:
        pytest.skip("Node.js or ts-mls is not installed")
    found = measure_ts_mls(folder, 5, 20)
    assert found["encrypt_us"] > 0
    assert found["decrypt_us"] > 0
