"""A text is found in every record in which it stands, also where two records have one half each."""

from __future__ import annotations

import gzip

from ims_core.trace import RecordKind, TraceRecord
from rcs_sim.scenario.oracle_hops import Carried, hop_of
from rcs_sim.scenario.oracle_index import TextIndex
from rcs_sim.scenario.oracle_strays import StrayText, stray_texts

_TEXT = "meet me at the old harbour, and say nothing of it to anybody who may be there at eight"


def _record(number: int, octets: bytes, protocol: str = "HTTP") -> TraceRecord:
    ends = {"source_address": "a:1", "target_address": "b:2"}
    return TraceRecord(number, float(number), RecordKind.MESSAGE, "alice", "kds", protocol=protocol, raw=octets, **ends)


def _found(*records: TraceRecord, contents: tuple[Carried, ...] = ()) -> list[StrayText]:
    return list(stray_texts(records, contents, TextIndex([_TEXT])))


def test_each_record_is_told_once() -> None:
    octets = b"GET /?q=" + _TEXT.encode() + b" " + _TEXT.encode().hex(":").encode()
    assert [(each.record.number, each.how) for each in _found(_record(1, octets), _record(2, octets))] == [
        (1, "UTF-8"),
        (2, "UTF-8"),
    ]


def test_a_text_on_both_sides_of_a_cut_is_found_at_its_end() -> None:
    octets = b"POST /x HTTP/1.1\r\nX-Note: " + _TEXT.encode() + b"\r\n\r\n"
    for cut in (30, 60, len(octets) - 6):
        first, second = _record(1, octets[:cut]), _record(2, octets[cut:])
        assert 2 in {each.record.number for each in _found(first, second)}
        assert 2 not in {each.record.number for each in _found(first, _record(2, b"HTTP/1.1 200 OK\r\n\r\n"))}


def test_of_a_part_it_is_said_that_it_is_one() -> None:
    (found,) = _found(_record(1, b'{"alert": "' + _TEXT.encode()[:40] + b'"}', "SIP"))
    assert (found.found.text, found.how) == (_TEXT, "a part of it as UTF-8")
    assert _found(_record(1, _TEXT.encode()[:20])) == []


def test_a_compressed_content_is_opened() -> None:
    record = _record(1, b"")
    packed = Carried(hop=hop_of(record), octets=gzip.compress(_TEXT.encode(), mtime=0), is_derived=True)
    (found,) = _found(_record(1, b"x"), contents=(packed,))
    assert found.how == "UTF-8 in compression"


def test_records_without_octets_have_nothing() -> None:
    assert _found(_record(1, b""), TraceRecord(2, 2.0, RecordKind.SHOWN, "alice", "alice", summary=_TEXT)) == []
