"""`rcs-sim trace oracle` and `rcs-sim why`: output and exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rcs_sim import cli
from rcs_sim.scenario.oracle_documents import OracleDocument, WhyDocument
from tests.support.oracle_traces import SealedConversation, TraceScript


def _file(folder: Path, script: TraceScript) -> str:
    path = folder / "t.ndjson"
    path.write_text("".join(record.to_json() + "\n" for record in script.records), encoding="utf-8")
    return str(path)


def _run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli.app, list(arguments))
    return done.exit_code, done.stdout


def test_a_good_trace_passes_and_a_bad_one_fails(tmp_path: Path) -> None:
    script = SealedConversation()
    status, text = _run("trace", "oracle", _file(tmp_path, script))
    assert (status, "no violation" in text) == (0, True)
    script.got("bob", "one", "the first one is sealed", scheme="mls")
    status, text = _run("trace", "oracle", _file(tmp_path, script), "--json")
    document = OracleDocument.model_validate(json.loads(text))
    assert (status, [each.violation for each in document.violations]) == (1, ["duplicate"])


def test_the_table_goes_where_it_is_wanted(tmp_path: Path) -> None:
    output = tmp_path / "out.txt"
    status, text = _run("trace", "oracle", _file(tmp_path, SealedConversation()), "-o", str(output))
    assert (status, text) == (0, "")
    assert "who could read what" in output.read_text(encoding="utf-8")


def test_why_answers_for_all_or_for_one(tmp_path: Path) -> None:
    file = _file(tmp_path, SealedConversation())
    assert _run("why", file)[1].startswith("m1 alice to +12025550152")
    status, text = _run("why", file, "m1", "--json")
    assert status == 0
    assert WhyDocument.model_validate(json.loads(text)).messages[0].id == "m1"


@pytest.mark.parametrize("command", [["trace", "oracle"], ["why"]])
@pytest.mark.parametrize("content", ["no json\n", '{"number": 1}\n', "", "\n\n", "[" * 100_000, None])
def test_what_is_no_trace_is_a_broken_set_up(
    tmp_path: Path,
    command: list[str],
    content: str | None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "bad.ndjson"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["rcs-sim", *command, str(path)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 2
    assert f"rcs-sim: {path}: " in capsys.readouterr().err


def test_a_message_that_is_not_there_is_a_mistake_of_the_caller(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["rcs-sim", "why", _file(tmp_path, SealedConversation()), "m9"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 2
    assert "there is no message 'm9' in this trace; there are: m1" in capsys.readouterr().err
