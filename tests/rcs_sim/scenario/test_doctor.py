"""What the machine has and what it lacks."""

from __future__ import annotations

import json
import socket

import pytest

from rcs_sim.scenario import doctor
from rcs_sim.scenario.doctor import findings, run_doctor


def test_what_is_needed_is_here_or_these_tests_would_not_run() -> None:
    needed = [finding for finding in findings() if finding.is_needed]
    assert all(finding.is_there for finding in needed)
    assert {"aiohttp", "typer", "lxml"} <= {finding.what for finding in needed}


def test_a_port_that_is_taken_is_told_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(doctor, "_STANDARD", (("127.0.0.1", taken.getsockname()[1]),))
        found = next(finding for finding in findings() if "can be listened on" in finding.what)
    assert not found.is_there
    assert "--ports free" in found.note


def test_a_peer_that_is_missing_is_told_with_its_package_and_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor.shutil, "which", lambda *_, **__: None)
    assert run_doctor(as_json=True) == 0
    found = {one["what"]: one for one in json.loads(capsys.readouterr().out)}
    assert not found["sipp"]["is_there"]
    assert "sip-tester" in found["sipp"]["note"]


def test_a_package_that_is_missing_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "_PACKAGES", ("no-such-package-anywhere",))
    assert run_doctor(as_json=False) == 2
    assert "missing" in capsys.readouterr().out
