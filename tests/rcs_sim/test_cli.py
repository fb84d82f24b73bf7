"""The command line: what each command prints, and its exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import rcs_sim.__main__
from ims_core.trace import read_ndjson
from rcs_sim.cli import main
from rcs_sim.scenario.documents import DemoDocument

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs one command in an empty folder; exit status, output, errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["rcs-sim", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[DemoDocument, Path]:
    """One run of `demo --json`."""
    folder = tmp_path_factory.mktemp("demo")
    document = _demo(folder)
    return document, folder


def _demo(folder: Path) -> DemoDocument:
    from contextlib import redirect_stdout
    from io import StringIO

    from rcs_sim.scenario.demo import run_demo

    output = StringIO()
    with redirect_stdout(output):
        assert run_demo(seed=7, real=False, out=folder, as_json=True) == 0
    return DemoDocument.model_validate_json(output.getvalue())


def test_the_module_is_the_command() -> None:
    assert rcs_sim.__main__.main is main


def test_profiles_that_ship_are_listed(run: Run) -> None:
    status, output, _ = run("profiles", "--json")
    assert status == 0
    listed = json.loads(output)
    assert {"android", "ios", "lineage-like"} <= set(listed["devices"])
    assert "two-carriers" in listed["networks"]
    assert "android" in run("profiles")[1]


def test_the_doctor_names_what_it_looked_for(run: Run) -> None:
    status, output, _ = run("doctor", "--json")
    assert status in (0, 1)
    assert json.loads(output)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("up", "--network", "nowhere"), ("nowhere", "two-carriers")),
        (("up", "--network", "missing.yaml"), ("missing.yaml",)),
        (("up", "--ports", "odd"), ("odd", "standard, free")),
        (
            ("phone", "--msisdn", "+12025550101", "--acs", "http://127.0.0.1:1/", "--device", "brick"),
            ("brick", "android"),
        ),
        (("trace", "show", "missing.ndjson"), ("missing.ndjson",)),
    ],
)
def test_a_broken_set_up_is_one_line_and_status_2(run: Run, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    status, _, errors = run(*arguments)
    assert status == 2
    assert errors.count("\n") == 1
    for word in words:
        assert word in errors


def test_a_mistake_in_a_network_file_is_pointed_at(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine\ncarriers:\n  red: {profile: google-like, domian: x}\n")
    status, _, errors = run("up", "--network", "mine.yaml")
    assert status == 2
    assert "mine.yaml:3:" in errors
    assert "domain" in errors


def test_the_demo_tells_for_each_column_how_each_message_went(demo: tuple[DemoDocument, Path]) -> None:
    document, _ = demo
    by_column: dict[str, list[str]] = {}
    for row in (row for rows in document.columns.values() for row in rows):
        by_column.setdefault(row.column, []).append(row.transport)
        assert row.delivered
        assert row.duplicates == 0
        assert row.wire_octets > 0
    assert set(by_column["sms"]) == {"sms"}
    assert set(by_column["rcs"]) == {"rcs"}
    assert set(by_column["rcs-failing"]) == {"rcs", "sms"}


def test_the_same_seed_gives_the_same_octets(demo: tuple[DemoDocument, Path], tmp_path: Path) -> None:
    document, folder = demo
    again = _demo(tmp_path)
    assert again.columns == document.columns
    traces = sorted(path.name for path in folder.glob("*.ndjson"))
    assert traces
    for name in traces:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_a_trace_is_shown_drawn_and_captured(run: Run, demo: tuple[DemoDocument, Path], tmp_path: Path) -> None:
    trace = str(next(demo[1].glob("*.ndjson")))
    with open(trace, encoding="utf-8") as lines:
        count = sum(1 for _ in read_ndjson(lines))
    status, output, _ = run("trace", "show", trace)
    assert (status, output.count("\n")) == (0, count)
    status, output, _ = run("trace", "ladder", trace, "--lanes", "alice,red.pcscf")
    assert status == 0
    assert "red.pcscf" in output
    assert run("trace", "ladder", trace, "-o", "ladder.svg")[0] == 0
    assert (tmp_path / "ladder.svg").read_text().startswith("<svg")
    status, output, _ = run("trace", "pcapng", trace, "-o", "run.pcapng")
    assert status == 0
    assert (tmp_path / "run.pcapng").read_bytes()[:4] == b"\x0a\x0d\x0d\x0a"


def test_an_output_that_knows_few_signs_gets_others_in_their_place(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "rcs_sim", "scenarios"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()


def test_scenarios_of_a_matrix_are_named_with_or_without_the_option(run: Run) -> None:
    for arguments in (("--scenario", "missing"), ("missing",)):
        status, _, errors = run("matrix", *arguments)
        assert status == 2
        assert "missing" in errors
