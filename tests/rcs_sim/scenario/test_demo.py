"""The demo: its columns of one conversation, and the files that it leaves."""

from __future__ import annotations

import json
from functools import partial
from io import StringIO
from pathlib import Path

import jsonschema
import pytest
from rich.console import Console

from ims_core.trace import RecordKind, read_ndjson
from ims_core.transport.virtual_loop import run
from rcs_sim.scenario.demo import _show, run_demo
from rcs_sim.scenario.demo_column import COLUMNS, play_column
from rcs_sim.scenario.documents import schema_text


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def printed(out: Path) -> str:
    from contextlib import redirect_stdout

    output = StringIO()
    with redirect_stdout(output):
        assert run_demo(seed=11, real=False, out=out, as_json=True) == 0
    return output.getvalue()


def test_the_json_is_one_line_as_its_schema_says(printed: str) -> None:
    assert printed.count("\n") == 1
    document = json.loads(printed)
    jsonschema.validate(document, json.loads(schema_text("demo")))
    assert (document["seed"], list(document["columns"])) == (11, [column.name for column in COLUMNS])
    assert list(document["columns"]) == ["sms", "rcs", "rcs-failing", "mls", "mls-failing"]
    for rows in document["columns"].values():
        assert [row["id"] for row in rows] == ["m1", "m2", "m3", "m4", "m5"]
        assert {(row["delivered"], row["duplicates"]) for row in rows} == {(True, 0)}


def test_plain_rcs_uses_pager_mode_and_a_session_one_text_of_which_is_too_long_for_pager_mode(printed: str) -> None:
    rows = json.loads(printed)["columns"]["rcs"]
    assert [row["mode"] for row in rows] == ["pager", "session", "session", "session", "session"]
    assert max(len(row["text"].encode()) for row in rows) > 1000
    assert {(row["transport"], row["reason"]) for row in rows} == {("rcs", None)}


def test_the_oracle_finds_no_violation_in_any_column(printed: str) -> None:
    oracle = json.loads(printed)["oracle"]
    assert [verdict["violations"] for verdict in oracle.values()] == [[]] * len(COLUMNS)
    assert "all 5 messages" in oracle["rcs"]["operators"]["red"]
    assert "none of 5 messages" in oracle["mls"]["operators"]["blue"]
    assert "1 of 5 messages" in oracle["mls-failing"]["operators"]["red"]


def test_the_network_reads_plain_rcs_and_not_what_is_under_a_lock(printed: str) -> None:
    columns = json.loads(printed)["columns"]
    for row in columns["rcs"]:
        assert {name.partition(".")[0] for name in row["readers"]} == {"alice", "bob", "red", "blue"}
    assert {(row["label"], row["scheme"], *row["readers"]) for row in columns["mls"]} == {
        ("RCS · encrypted", "mls", "alice", "bob")
    }


def test_without_keys_the_first_text_has_no_lock_and_what_fails_under_the_lock_is_never_sent_in_clear(
    printed: str,
) -> None:
    rows = json.loads(printed)["columns"]["mls-failing"]
    assert [(row["label"], row["scheme"]) for row in rows] == [("RCS", None), *[("RCS · encrypted", "mls")] * 4]
    assert [set(row["readers"]) == {"alice", "bob"} for row in rows] == [False, True, True, True, True]
    assert [row["seconds"] > 60 for row in rows] == [False, False, True, True, False]  # sent again by their user


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
    assert run_demo(seed=7, real=False, out=tmp_path, as_json=False, with_keys=True) == 0
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
    assert "side by side" in shown
    logs = sorted(path.name for path in tmp_path.glob("*.keylog"))
    assert logs == ["mls-failing.keylog", "mls.keylog"]
    assert all("MESSAGE " in (tmp_path / name).read_text() for name in logs)


@pytest.mark.parametrize("width", [60, 80, 119, 120, 180])
def test_a_table_can_be_read_on_a_terminal_of_any_width(width: int) -> None:
    column = next(each for each in COLUMNS if each.name == "mls")
    played = run(partial(play_column, column, seed=7, is_real=False), clock="virtual")
    output = StringIO()
    _show([played], {}, Console(file=output, width=width, color_system=None))
    table = output.getvalue().partition("blue could read")[0]
    assert table.count("…") == 1, "of the long text and of nothing else"
    assert table.count("(mls)") == 5
    assert ("wire octets" in table) is (width >= 120)
