"""Every trace of the suite has readers that are not its writer: tshark, the parser `sipmessage`, our schema and our own
CPIM and IMDN reader (tshark has none).

A test hands its trace over with `recorded`; `check_all` reads what was handed over since it was last called, in one go.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import sipmessage

from ims_core.pcapng import write_pcapng
from ims_core.trace import ListSink, RecordKind, TraceRecord
from ims_core.wire.sip.header import Header
from ims_core.wire.sip.headers import CSeq, From, To, Via
from ims_core.wire.sip.message import Request, SipMessage
from ims_core.wire.sip.parser import parse_datagram
from rcs_sim.scenario.documents import TraceLine
from rcs_sim.scenario.exported_pdu import exported_pdu
from rcs_sim.wire.cpim import CpimMessage
from rcs_sim.wire.imdn import parse_imdn

__all__ = ["check_all", "check_by_schema", "check_sip", "check_with_tshark", "recorded", "tshark_fields"]

_BAD = "_ws.malformed || _ws.expert.severity >= 0x800000"
_handed_over: list[list[TraceRecord]] = []


def recorded(sink: ListSink) -> None:
    """Takes over what *sink* holds; with RCS_SIM_TRACES it is also written there as a file, named after the test."""
    records = list(sink.records)
    _handed_over.append(records)
    folder = os.environ.get("RCS_SIM_TRACES")
    if folder:
        test = os.environ.get("PYTEST_CURRENT_TEST", "trace").partition(" ")[0].replace("/", "_").replace("::", "-")
        lines = "".join(record.to_json() + "\n" for record in records)
        Path(folder, f"{test}.ndjson").write_text(lines, encoding="utf-8")


def check_all(folder: Path) -> None:
    """Every check on every trace since the last call. tshark is left out where it is not installed."""
    traces, _handed_over[:] = list(_handed_over), []
    records = [record for trace in traces for record in trace]
    check_by_schema(records)
    check_sip(records)
    if traces and shutil.which("tshark"):
        check_with_tshark(traces, folder)


def check_by_schema(records: Iterable[TraceRecord]) -> None:
    """Each line has the documented form and is read back as it was."""
    for record in records:
        line = record.to_json()
        TraceLine.model_validate(json.loads(line))
        again = TraceRecord.from_json(line)
        assert again.raw == record.raw
        assert again.to_json() == line


def check_sip(records: Iterable[TraceRecord]) -> None:
    """Another parser reads the same in each SIP message; CPIM bodies and receipts inside are whole."""
    wires = {record.raw for record in records if record.kind is RecordKind.MESSAGE and record.protocol == "SIP"}
    for octets in sorted(wires):
        if octets.strip(b"\r\n"):
            _compare(octets)


def _compare(octets: bytes) -> None:
    ours, theirs = parse_datagram(octets), sipmessage.Message.parse(_with_sip_uri(octets))
    assert ours.encode() == octets
    assert ours.call_id == theirs.call_id
    cseq = ours.require(CSeq)
    assert (cseq.number, str(cseq.method)) == (theirs.cseq.sequence, theirs.cseq.method)
    assert len(ours.get_all(Via)) == len(theirs.via)
    for our_via, their_via in zip(ours.get_all(Via), theirs.via, strict=True):
        assert (our_via.host, our_via.port) == (their_via.host, their_via.port)
        assert our_via.branch == their_via.parameters.get("branch")
    _compare_tags(ours, From, octets, theirs.headers.get("From") or "")
    _compare_tags(ours, To, octets, theirs.headers.get("To") or "")
    assert ours.body == theirs.body
    assert int(theirs.headers.get("Content-Length") or 0) == len(theirs.body)
    if isinstance(ours, Request):
        assert isinstance(theirs, sipmessage.Request)
        assert ours.method == theirs.method
    _check_content(ours)


def _compare_tags(ours: SipMessage, kind: type[Header], octets: bytes, text: str) -> None:
    value = ours.require(kind)
    assert isinstance(value, From | To)
    tag = text.rpartition(">")[2].partition("tag=")[2].partition(";")[0]
    assert (value.tag or "") == tag, octets


def _with_sip_uri(octets: bytes) -> bytes:
    """`sipmessage` knows no tel URI, which stands in the request line of most of our requests."""
    line, _, rest = octets.partition(b"\r\n")
    words = line.split(b" ")
    if len(words) == 3 and words[1].startswith(b"tel:"):
        words[1] = b"sip:tel@invalid"
    return b" ".join(words) + b"\r\n" + rest


def _check_content(message: SipMessage) -> None:
    content_type = message.content_type
    if content_type is None or content_type.type != "message/cpim":
        return
    cpim = CpimMessage.parse(message.body)
    assert cpim.message_id
    if cpim.content_type.essence == "message/imdn+xml":
        assert parse_imdn(str(cpim.content_type), cpim.body)


def check_with_tshark(traces: Sequence[Iterable[TraceRecord]], folder: Path) -> None:
    """Wireshark finds nothing malformed and no error, and reads our own methods and statuses in each SIP message."""
    records = [record for trace in traces for record in trace if record.kind is RecordKind.MESSAGE]
    capture = folder / "traces.pcapng"
    with capture.open("wb") as stream:
        write_pcapng(records, stream, exported=exported_pdu)
    assert tshark_fields(capture, ["frame.number", "_ws.col.info"], _BAD) == []
    methods = tshark_fields(capture, ["sip.CSeq.method"], "sip")  # the embedded messages of a third-party REGISTER too
    expected = [
        str(parse_datagram(record.raw).require(CSeq).method)
        for record in records
        if record.protocol == "SIP" and record.raw.strip(b"\r\n")
    ]
    found = Counter(cell.partition(",")[0] for (cell,) in methods)
    assert found == Counter(expected), (found, Counter(expected))


def tshark_fields(capture: Path, fields: Sequence[str], only: str) -> list[list[str]]:
    """One list of cells per packet that matches the display filter."""
    command = ["tshark", "-r", str(capture), "-Y", only, "-T", "fields"]
    command += [word for field in fields for word in ("-e", field)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return [line.split("\t") for line in done.stdout.splitlines()]
