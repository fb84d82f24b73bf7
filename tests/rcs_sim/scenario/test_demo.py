"""The demo: three columns of one conversation, and the files that it leaves."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import jsonschema
import pytest

from ims_core.trace import read_ndjson
from ims_core.transport.virtual_loop import run
from rcs_sim.scenario.demo import COLUMNS, play_column, run_demo
from rcs_sim.scenario.documents import schema_text


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def printed(out: Path) -> str:
    from contextlib import redirect_stdout
    from io import StringIO

    output = StringIO()
    with redirect_stdout(output):
        assert run_demo(seed=11, real=False, out=out, as_json=True) == 0
    return output.getvalue()


def test_the_json_is_one_line_as_its_schema_says(printed: str) -> None:
    assert printed.count("\n") == 1
    document = json.loads(printed)
    jsonschema.validate(document, json.loads(schema_text("demo")))
    assert (document["seed"], list(document["columns"])) == (11, ["sms", "rcs", "rcs-failing"])
    for rows in document["columns"].values():
        assert [row["id"] for row in rows] == ["m1", "m2", "m3", "m4", "m5"]
        assert {(row["delivered"], row["duplicates"]) for row in rows} == {(True, 0)}


def test_the_network_fails_for_two_messages_and_the_rest_go_by_rcs(printed: str) -> None:
    rows = json.loads(printed)["columns"]["rcs-failing"]
    assert [row["transport"] for row in rows] == ["rcs", "sms", "sms", "rcs", "rcs"]
    assert all(row["reason"] for row in rows if row["transport"] == "sms")
    assert all(row["reason"] is None for row in rows if row["transport"] == "rcs")


def test_every_file_that_is_named_is_there_and_good(printed: str, out: Path) -> None:
    files = json.loads(printed)["files"]
    assert set(files) == {f"{column.name}.{kind}" for column in COLUMNS for kind in ("trace", "pcapng", "ladder")}
    schema = jsonschema.Draft202012Validator(json.loads(schema_text("trace")))
    for column in COLUMNS:
        with (out / f"{column.name}.ndjson").open(encoding="utf-8") as lines:
            text = lines.read()
        for line in text.splitlines():
            schema.validate(json.loads(line))
        assert [record.number for record in read_ndjson(text.splitlines())] == list(range(1, text.count("\n") + 1))
        assert (out / f"{column.name}.svg").read_text(encoding="utf-8").startswith("<svg")


def test_a_person_gets_tables_what_was_shown_and_a_short_ladder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_demo(seed=7, real=False, out=tmp_path, as_json=False) == 0
    shown = capsys.readouterr().out
    for words in ("SMS only", "plain RCS", "wire octets", "the way of m1", "See you there 👍", "rcs.pcapng"):
        assert words in shown
    assert "Traceback" not in shown


def test_another_seed_is_another_run_of_the_same_conversation() -> None:
    plays = [run(partial(play_column, COLUMNS[1], seed=seed, is_real=False), clock="virtual") for seed in (1, 2)]
    assert [row.text for row in plays[0].rows] == [row.text for row in plays[1].rows]
    assert plays[0].records[50].raw != plays[1].records[50].raw
