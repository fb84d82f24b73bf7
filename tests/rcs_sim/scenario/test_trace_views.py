"""Views of a trace file, and what is said about a file that is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ims_core.trace import RecordKind, TraceRecord
from rcs_sim.mls.key_log import KEY_LOG_HEADER
from rcs_sim.scenario.oracle import UnknownMessage
from rcs_sim.scenario.trace_views import (
    TraceFileError,
    calendar,
    key_log,
    ladder,
    oracle,
    read_trace,
    save_pcapng,
    show,
    why,
)
from tests.support.oracle_traces import SealedConversation

_RECORDS = [
    TraceRecord(
        1,
        1772446500.0,
        RecordKind.MESSAGE,
        "alice",
        "red.pcscf",
        reference_point="Gm",
        protocol="SIP",
        summary="OPTIONS tel:+1",
        raw=b"OPTIONS tel:+1 SIP/2.0\r\n\r\n",
        transport="TCP",
        source_address="10.1.0.1:49152",
        target_address="127.0.1.10:5060",
    ),
    TraceRecord(2, 1772446500.1239, RecordKind.SHOWN, "alice", "alice", summary="sent <b>"),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "t.ndjson"
    path.write_text("".join(record.to_json() + "\n" for record in _RECORDS), encoding="utf-8")
    return path


def test_a_file_is_read_as_it_was_written(file: Path) -> None:
    assert read_trace(file) == _RECORDS


def test_a_record_is_a_line(file: Path) -> None:
    first, second = show(file).splitlines()
    assert " ".join(first.split()) == "1 2026-03-02 10:15:00.000 SIP Gm alice -> red.pcscf OPTIONS tel:+1"
    assert " ".join(second.split()) == "2 2026-03-02 10:15:00.123 shown alice sent <b>"
    assert show(file, as_json=True).splitlines() == file.read_text(encoding="utf-8").splitlines()


def test_a_ladder_is_text_or_svg(file: Path) -> None:
    assert "OPTIONS" in ladder(file, None, as_svg=False)
    assert ladder(file, ["bob"], as_svg=False) == "(nothing crossed these lanes)"
    svg = ladder(file, ["alice", "red.pcscf"], as_svg=True)
    assert svg.startswith("<svg")
    assert "sent &lt;b&gt;" in svg
    assert "<title>t</title>" in svg


def test_a_calendar_is_text_or_svg(file: Path) -> None:
    assert "no certificates" in calendar(file, as_svg=False)
    assert calendar(file, as_svg=True).startswith("<svg")


def test_a_capture_holds_the_messages_alone(file: Path, tmp_path: Path) -> None:
    assert save_pcapng(file, tmp_path / "t.pcapng") == 1
    assert b"OPTIONS tel:+1" in (tmp_path / "t.pcapng").read_bytes()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{}\n", "line 1 is not a trace record"),
        (_RECORDS[0].to_json().encode() + b"\n[]\n", "line 2 is not a trace record"),
        (b"\xff\xfe", "t.ndjson"),
        (b'{"number":1', "line 1"),
    ],
)
def test_a_file_that_is_no_trace_is_named_with_its_line(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "t.ndjson"
    path.write_bytes(content)
    with pytest.raises(TraceFileError, match=r"t\.ndjson") as raised:
        read_trace(path)
    assert words in str(raised.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TraceFileError, match="No such file"):
        read_trace(tmp_path / "missing")
    with pytest.raises(TraceFileError, match="directory"):
        read_trace(tmp_path)


def test_an_empty_file_is_an_empty_trace(tmp_path: Path) -> None:
    (tmp_path / "t.ndjson").write_text("\n\n")
    assert show(tmp_path / "t.ndjson") == ""
    assert ladder(tmp_path / "t.ndjson", None, as_svg=True).startswith("<svg")


_ENDS = '"source": "a", "target": "b"'


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"number": 1, "at": 0, "kind": "message"', "line 1 is not a trace record"),
        ('{"number": 1, "at": 0, "kind": "message", "source": "a"}', "line 1 is not a trace record"),
        (f'{{"number": "1", "at": 0, "kind": "message", {_ENDS}}}', "record 1 has a number of the wrong type"),
        (f'{{"number": 1, "at": null, "kind": "message", {_ENDS}}}', "a time of the wrong type"),
        ('{"number": 1, "at": 0, "kind": "shown", "source": 7, "target": "b"}', "a source of the wrong type"),
        (f'{{"number": 1, "at": 0, "kind": "shown", {_ENDS}, "details": []}}', "a details of the wrong type"),
        (f'{{"number": 1, "at": 0, "kind": "shown", {_ENDS}, "imdn_message_id": 3}}', "a imdn_message_id of the"),
    ],
)
def test_a_line_that_is_no_record_is_named(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "bad.ndjson"
    path.write_text(line + "\n", encoding="utf-8")
    for view in (oracle, lambda each: why(each, None), show):
        with pytest.raises(TraceFileError, match=words):
            view(path)


def test_the_oracle_gives_its_verdict_as_exit_status(tmp_path: Path) -> None:
    path, script = tmp_path / "t.ndjson", SealedConversation()
    path.write_text("".join(record.to_json() + "\n" for record in script.records), encoding="utf-8")
    text, status = oracle(path)
    assert ("no violation" in text, status) == (True, 0)
    script.got("bob", "one", "the first one is sealed", scheme="mls")
    path.write_text("".join(record.to_json() + "\n" for record in script.records), encoding="utf-8")
    text, status = oracle(path, as_json=True)
    assert ([each["violation"] for each in json.loads(text)["violations"]], status) == (["duplicate"], 1)


def test_why_speaks_of_one_message_or_of_all(tmp_path: Path) -> None:
    path, script = tmp_path / "t.ndjson", SealedConversation()
    path.write_text("".join(record.to_json() + "\n" for record in script.records), encoding="utf-8")
    assert why(path, None).startswith("m1 alice to +12025550152")
    assert "came as far as bob" in why(path, "m1")
    assert json.loads(why(path, "one", as_json=True))["messages"][0]["id"] == "m1"
    with pytest.raises(UnknownMessage):
        why(path, "m2")


def test_views_for_machines_are_json(file: Path) -> None:
    drawn = json.loads(ladder(file, None, as_svg=False, as_json=True))
    assert drawn["lanes"] == ["alice", "red.pcscf"]
    assert [(rung["source"], rung["target"], rung["kind"]) for rung in drawn["rungs"]] == [
        ("alice", "red.pcscf", "message"),
        ("alice", "alice", "shown"),
    ]
    dates = json.loads(calendar(file, as_svg=False, as_json=True))
    assert (dates["renewals"], dates["leaves"], dates["seizures"]) == ([], [], [])


def test_the_key_log_beside_a_trace_is_taken_or_another_one(file: Path, tmp_path: Path) -> None:
    with pytest.raises(TraceFileError, match="no key log there: `--key-log` of demo, run and phone writes one"):
        key_log(file, None)
    (tmp_path / "t.keylog").write_text(f"{KEY_LOG_HEADER}\n")
    assert "open 0 of the 0 passages" in key_log(file, None)
    assert json.loads(key_log(file, None, as_json=True)) == {"lines": [], "messages": []}
    other = tmp_path / "other"
    other.write_bytes(b"\xff")
    with pytest.raises(TraceFileError, match="other: "):
        key_log(file, other)
    other.write_text("PASSWORD 1\n")
    with pytest.raises(TraceFileError, match="other: a line of a key log was expected"):
        key_log(file, other)
