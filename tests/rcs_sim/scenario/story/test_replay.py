"""The command that a failing run prints does exactly that run again, and a fork is the same run until its step."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ims_core.trace import RecordKind
from rcs_sim.cli import main
from rcs_sim.scenario.loader import profile_folder
from rcs_sim.scenario.story.player import Played, play_story
from rcs_sim.scenario.story.reading import Fork, read_story
from tests.rcs_sim.scenario.story.stories import written

Command = Callable[..., tuple[int, str]]
_FAILS = """\
- alice: {send: {to: bob, text: one, as: m1}}
- fault: {net.loss: {of: bob, rate: 0.3}}
- {id: second, bob: {send: {to: alice, text: two, as: m2}}}
- expect: {m2: {delivered_within_s: 0.001}}
"""
_VARIANT = "first=other side"
_LONG = profile_folder() / "scenarios" / "field" / "lock-gone-after-reinstall.yaml"


def _octets(run: Played) -> list[tuple[float, str, str, bytes]]:
    return [(one.at, one.source, one.target, one.raw) for one in run.records if one.kind is RecordKind.MESSAGE]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    monkeypatch.chdir(tmp_path)

    def command(*words: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", list(words))
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), capsys.readouterr().out

    return command


def _rows(command: Command, *words: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(command(*words, "-j", "1", "--json")[1])["runs"]
    return rows


def _check_replay(command: Command, folder: Path, name: str, options: list[str]) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    written(folder, _FAILS, "matrix: {phones.bob.device: [ios, android]}\n").rename(folder / name)
    path = f"./{name}" if name.startswith("-") else name
    for row in _rows(command, "rcs-sim", "run", path, *options):
        kept = Path(row["trace"]).read_bytes()
        (again,) = _rows(command, *shlex.split(row["replay"]))
        assert (row["verdict"], again["verdict"]) == ("fail", "fail")
        assert again["trace_hash"] == row["trace_hash"]
        assert (again["steps"], again["failure"]) == (row["steps"], row["failure"])
        assert Path(again["trace"]).read_bytes() == kept


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--seed", "11"],
        ["--repeat", "2"],
        ["--variant", "phones.bob.device=android"],
        ["--set", 'steps.second.bob.send.text="5"', "--set", "phones.alice.device=ios"],
        ["--set", 'steps.1.alice.send.text="a: b, [c] # d\\n\\ttrue\\x07 🦄 \'"'],
        ["--fork", "second", "--insert", "more.yaml"],
        ["--fork", "3", "--set", "steps.second.bob.send.text=true story"],
        ["--until", "4"],
    ],
    ids=["plain", "seed", "repeat", "variant", "set", "nasty set", "fork insert", "fork set", "until"],
)
def test_the_command_of_a_failing_run_gives_the_same_trace(
    command: Command, tmp_path: Path, options: list[str]
) -> None:
    (tmp_path / "more.yaml").write_text("- bob: power_cycle\n", encoding="utf-8")
    _check_replay(command, tmp_path, "story.yaml", options)


@pytest.mark.parametrize("name", ["a b'c\"d$.yaml", "-v.yaml", "--seed.yaml", "ü🦄.yaml", "f/g.yaml"])
def test_whatever_the_file_is_called(command: Command, tmp_path: Path, name: str) -> None:
    _check_replay(command, tmp_path, name, [])


def test_the_terminal_prints_that_command(command: Command, tmp_path: Path) -> None:
    written(tmp_path, _FAILS)
    status, output = command("rcs-sim", "run", "story.yaml", "--set", 'steps.1.alice.send.text="5"')
    (line,) = [line.strip() for line in output.splitlines() if line.strip().startswith("replay: ")]
    assert status == 1
    (row,) = _rows(command, *shlex.split(line.removeprefix("replay: ")))
    assert row["replay"] == line.removeprefix("replay: ")
    assert row["verdict"] == "fail"


def test_a_fork_at_every_step_of_a_long_story_is_the_same_until_then(tmp_path: Path) -> None:
    """What comes in only says something, so the octets of all that follows are the same too."""
    plain = play_story(read_story(_LONG, _VARIANT), 7)
    records = [record.to_json() for record in plain.records]
    assert plain.row.verdict == "pass"
    counts = []
    said = tmp_path / "said.yaml"
    said.write_text("- note: here it forks\n", encoding="utf-8")
    for number in range(1, plain.row.steps_total + 1):
        forked = play_story(read_story(_LONG, _VARIANT, fork=Fork(str(number), (), said)), 7)
        count = forked.row.fork_records
        assert count is not None
        assert [record.to_json() for record in forked.records[:count]] == records[:count]
        assert _octets(forked) == _octets(plain)
        assert (forked.row.verdict, forked.row.steps_total) == ("pass", plain.row.steps_total + 1)
        counts.append(count)
    assert counts == sorted(counts)
    assert counts[-1] <= len(records)


@pytest.mark.parametrize("step", ["0", "99", "nowhere", "-1", "1.5", ""])
def test_a_fork_at_a_step_that_is_not_there_is_told(command: Command, tmp_path: Path, step: str) -> None:
    written(tmp_path, _FAILS)
    assert command("rcs-sim", "run", "story.yaml", f"--fork={step}", "--set", "phones.bob.device=ios")[0] == 2
