"""The trace: records, sinks, and what a reader gets back."""

from __future__ import annotations

import errno
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.trace import ListSink, NdjsonSink, RecordKind, Trace, TraceRecord, read_ndjson


@given(
    st.builds(
        TraceRecord,
        number=st.integers(1, 10**6),
        at=st.integers(0, 10**9).map(float),
        kind=st.sampled_from(RecordKind),
        source=st.text(min_size=1),
        target=st.text(min_size=1),
        raw=st.binary(),
        summary=st.text(),
        call_id=st.none() | st.text(min_size=1),
        epoch=st.none() | st.integers(0, 100),
        details=st.dictionaries(st.text(), st.integers() | st.text()),
    )
)
def test_a_record_comes_back_from_its_line(record: TraceRecord) -> None:
    line = record.to_json()
    assert "\n" not in line
    assert TraceRecord.from_json(line) == record


def test_the_sinks_get_numbered_and_annotated_records() -> None:
    trace, kept, text = Trace(), ListSink(), io.StringIO()
    trace.add_sink(kept)
    written: list[str] = []
    text.close = lambda: written.append(text.getvalue())  # type: ignore[method-assign]  # keep the text at the close
    trace.add_sink(NdjsonSink(text))

    def annotate(record: TraceRecord) -> Mapping[str, Any]:
        return {"imdn_message_id": "m-1"} if record.raw else {}

    trace.add_annotator(annotate)
    trace.record(at=1.5, kind=RecordKind.MESSAGE, source="alice", target="red.pcscf", raw=b"\x00\xff")
    trace.record(at=2.0, kind=RecordKind.STATE, source="alice", summary="registered")
    trace.close()
    assert [(record.number, record.target, record.imdn_message_id) for record in kept.records] == [
        (1, "red.pcscf", "m-1"),
        (2, "alice", None),
    ]
    assert list(read_ndjson(written[0].splitlines())) == list(kept.records)


def test_nothing_is_built_without_a_sink() -> None:
    trace = Trace()
    assert not trace.enabled
    trace.record(at=0.0, kind=RecordKind.MESSAGE, source="a")
    sink = ListSink()
    trace.add_sink(sink)
    trace.record(at=0.0, kind=RecordKind.MESSAGE, source="a")
    assert sink.records[0].number == 1
    trace.remove_sink(sink)
    assert not trace.enabled


@pytest.mark.parametrize("line", ["x", "[]", "{}", '{"number":1}', '{"number":1,"at":0,"kind":"dance"}'])
def test_a_line_that_is_no_record_is_named_by_its_number(line: str) -> None:
    with pytest.raises(ValueError, match="line 2 is not a trace record"):
        list(read_ndjson(["", line]))


def test_a_full_disk_ends_the_trace_with_one_line_and_nothing_raises(caplog: pytest.LogCaptureFixture) -> None:
    class Full(io.StringIO):
        name = "run.ndjson"

        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self) -> None:
            super().close()
            raise OSError(errno.ENOSPC, "No space left on device")

    trace, kept = Trace(), ListSink()
    trace.add_sink(NdjsonSink(Full()))
    trace.add_sink(kept)
    for number in range(3):
        trace.record(at=float(number), kind=RecordKind.STATE, source="alice", summary="x")
    trace.close()
    assert len(kept.records) == 3
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("run.ndjson cannot be written any more (No space left on device)")


def test_octets_that_are_no_text_cannot_break_a_trace_file(tmp_path: Path) -> None:
    path = tmp_path / "run.ndjson"
    trace = Trace()
    trace.add_sink(NdjsonSink(path.open("w", encoding="utf-8")))
    odd = b"caf\xc3\xa9 \xff\xfe".decode("utf-8", "surrogateescape")
    trace.record(
        at=1.0,
        kind=RecordKind.MESSAGE,
        source="red.pcscf",
        summary=odd,
        call_id=odd,
        raw=b"\xff\xfe",
        details={"reason": odd},
    )
    trace.close()
    (record,) = read_ndjson(path.read_text(encoding="utf-8").splitlines())
    assert (record.summary, record.call_id, record.raw) == ("café \ufffd\ufffd", "café \ufffd\ufffd", b"\xff\xfe")


def test_an_annotator_that_fails_costs_its_annotation_only(caplog: pytest.LogCaptureFixture) -> None:
    def fail(record: TraceRecord) -> Mapping[str, Any]:
        raise ValueError(record.summary)

    trace, sink = Trace(), ListSink()
    trace.add_sink(sink)
    trace.add_annotator(fail)
    trace.add_annotator(lambda record: {"call_id": "c1"})
    trace.record(at=1.0, kind=RecordKind.STATE, source="alice", summary="x")
    assert [(record.summary, record.call_id) for record in sink.records] == [("x", "c1")]
    assert "an annotator failed" in caplog.text
