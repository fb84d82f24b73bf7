"""The demo: three columns of one conversation, and the files that it leaves."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import jsonschema
import pytest

from ims_core.trace import RecordKind, read_ndjson
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


def test_plain_rcs_uses_pager_mode_and_a_session_one_text_of_which_is_too_long_for_pager_mode(printed: str) -> None:
    rows = json.loads(printed)["columns"]["rcs"]
    assert [row["mode"] for row in rows] == ["pager", "session", "session", "session", "session"]
    assert max(len(row["text"].encode()) for row in rows) > 1000
    assert {(row["transport"], row["reason"]) for row in rows} == {("rcs", None)}


def test_the_network_fails_for_two_messages_and_the_rest_go_by_rcs(printed: str) -> None:
    rows = json.loads(printed)["columns"]["rcs-failing"]
    assert [row["transport"] for row in rows] == ["rcs", "rcs", "sms", "sms", "rcs"]
    assert [row["mode"] for row in rows] == ["pager", "session", None, None, "session"]
    assert all(row["reason"] for row in rows if row["transport"] == "sms")
    assert all(row["reason"] is None for row in rows if row["transport"] == "rcs")


def test_the_session_breaks_in_the_middle_and_another_follows_when_the_network_is_back(printed: str, out: Path) -> None:
    records = list(read_ndjson((out / "rcs-failing.ndjson").read_text(encoding="utf-8").splitlines()))
    ends = [
        one.details["reason"] for one in records if one.source == "alice" and one.summary.startswith("session: ended")
    ]
    assert "connection lost" in ends
    faults = [record.at for record in records if record.kind is RecordKind.FAULT]
    invites = [record.at for record in records if record.source == "bob" and record.summary.startswith("INVITE ")]
    assert min(invites) < min(faults) < max(faults) < max(invites)


def test_trace_ladder_and_capture_show_msrp(printed: str, out: Path) -> None:
    for column in ("rcs", "rcs-failing"):
        records = list(read_ndjson((out / f"{column}.ndjson").read_text(encoding="utf-8").splitlines()))
        assert {record.summary.split()[0] for record in records if record.protocol == "MSRP"} >= {"SEND", "200"}
        assert "red.msrp_relay" in (out / f"{column}.svg").read_text(encoding="utf-8")
        assert b"MSRP " in (out / f"{column}.pcapng").read_bytes()


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
    for words in (
        "SMS only",
        "plain RCS",
        "wire octets",
        "the way of m1",
        "the way of m3",
        "SEND 1-",
        "See you there 👍",
        "rcs.pcapng",
    ):
        assert words in shown
    assert "Traceback" not in shown


def test_another_seed_is_another_run_of_the_same_conversation() -> None:
    plays = [run(partial(play_column, COLUMNS[1], seed=seed, is_real=False), clock="virtual") for seed in (1, 2)]
    assert [row.text for row in plays[0].rows] == [row.text for row in plays[1].rows]
    assert plays[0].records[50].raw != plays[1].records[50].raw
