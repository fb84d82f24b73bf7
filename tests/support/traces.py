"""Every trace of the suite has readers that are not its writer: tshark, the parser `sipmessage`, our schema and our own
CPIM and IMDN reader (tshark has none) and MSRP reader (that of tshark sees one frame of a segment).

A test hands its trace over with `recorded`; `check_all` reads what was handed over since it was last called, in one go.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from ims_core.pcapng import write_pcapng
from ims_core.trace import ListSink, RecordKind, TraceRecord
from ims_core.wire.msrp.message import Continuation
from ims_core.wire.msrp.parser import FrameDecoder, MsrpParseError, Piece
from ims_core.wire.sip.headers import CSeq
from ims_core.wire.sip.message import SipMessage
from ims_core.wire.sip.parser import parse_datagram
from rcs_sim.scenario.documents import TraceLine
from rcs_sim.scenario.exported_pdu import exported_pdu
from rcs_sim.wire.cpim import CpimMessage
from rcs_sim.wire.imdn import parse_imdn
from tests.support.sip_differential import compare

__all__ = [
    "check_all",
    "check_by_schema",
    "check_msrp",
    "check_sip",
    "check_with_tshark",
    "read_by_others",
    "recorded",
    "tshark_fields",
]

_ERROR = 0x800000  # severity, epan/proto.h: PI_ERROR
_MSRP_START = b"MSRP "
_WANTED = f"sip || msrp || _ws.malformed || _ws.expert.severity >= {_ERROR}"
_PARTS_ALONE = ("-o", "gsm_sms.reassemble:FALSE")  # the references of different simulations would meet
# Ports of real sockets are anybody's: what a message is, its content says, not the service that owns such a number.
_BY_CONTENT = ("-o", "tcp.try_heuristic_first:TRUE", "-o", "udp.try_heuristic_first:TRUE")
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
    """Every check on every trace that was handed over since the last call."""
    traces, _handed_over[:] = list(_handed_over), []
    if traces:
        read_by_others(traces, folder)


def read_by_others(traces: Sequence[Sequence[TraceRecord]], folder: Path) -> None:
    """Every check. Where tshark is not installed its part is left out, but never in CI."""
    records = [record for trace in traces for record in trace]
    check_by_schema(records)
    check_sip(records)
    check_msrp(records)
    if shutil.which("tshark") or os.environ.get("RCS_SIM_REQUIRE_PEERS"):
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
            compare(octets)
            _check_content(parse_datagram(octets))


def check_msrp(records: Iterable[TraceRecord]) -> None:
    """Each MSRP record is a frame, or goes on with a very long one; messages of one chunk have whole CPIM in them."""
    for record in records:
        if record.kind is not RecordKind.MESSAGE or record.protocol != "MSRP":
            continue
        if not record.raw.startswith(_MSRP_START):
            assert record.summary.startswith("(part of a frame)"), record
            continue
        (event,) = FrameDecoder().feed(record.raw)
        assert not isinstance(event, MsrpParseError), record
        if isinstance(event, Piece) and event.start == 1 and event.continuation is Continuation.COMPLETE:
            _check_cpim(event.head.content_type or "", event.octets)


def _check_content(message: SipMessage) -> None:
    if message.content_type is not None:
        _check_cpim(message.content_type.type, message.body)


def _check_cpim(content_type: str, octets: bytes) -> None:
    if content_type.partition(";")[0].strip().lower() != "message/cpim":
        return
    cpim = CpimMessage.parse(octets)
    assert cpim.message_id
    if cpim.content_type.essence == "message/imdn+xml":
        assert parse_imdn(str(cpim.content_type), cpim.body)


def check_with_tshark(traces: Sequence[Iterable[TraceRecord]], folder: Path) -> None:
    """Wireshark finds nothing malformed and no error, reads our own method in each SIP message and sees each MSRP
    frame."""
    records = [record for trace in traces for record in trace if record.kind is RecordKind.MESSAGE]
    capture = folder / "traces.pcapng"
    with capture.open("wb") as stream:
        write_pcapng(records, stream, exported=exported_pdu)
    cells = tshark_fields(
        capture,
        ["frame.comment", "_ws.malformed", "_ws.expert.severity", "sip.CSeq.method", "msrp.transaction.id"],
        _WANTED,
    )
    later = {f"#{record.number}" for record in records if _is_later_chunk(record)}
    worst = [
        cell
        for cell in cells
        if (cell[1] or any(int(one) >= _ERROR for one in cell[2].split(",") if one))
        and cell[0].partition(" ")[0] not in later
    ]
    assert not worst, worst
    expected = [
        str(parse_datagram(record.raw).require(CSeq).method)
        for record in records
        if record.protocol == "SIP" and record.raw.strip(b"\r\n")
    ]
    found = Counter(cell[3].partition(",")[0] for cell in cells if cell[3])  # after it those of embedded messages
    assert found == Counter(expected), (found, Counter(expected))
    frames = [record for record in records if record.protocol == "MSRP" and record.raw.startswith(_MSRP_START)]
    assert sum(bool(cell[4]) for cell in cells) == len(frames)


def _is_later_chunk(record: TraceRecord) -> bool:
    """Whether it is a chunk that does not begin a message. Wireshark puts no chunks together: it reads each as a whole
    CPIM, which the middle of a binary one is not. Our own reader looks at those."""
    if record.protocol != "MSRP" or b" SEND\r\n" not in record.raw[:80]:
        return False
    start = re.search(rb"\r\nByte-Range: (\d+)-", record.raw)
    return start is not None and start[1] != b"1"


def tshark_fields(capture: Path, fields: Sequence[str], only: str) -> list[list[str]]:
    """One list of cells per packet that matches the display filter."""
    command = ["tshark", *_PARTS_ALONE, *_BY_CONTENT, "-r", str(capture), "-Y", only, "-T", "fields"]
    command += [word for field in fields for word in ("-e", field)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return [line.split("\t") for line in done.stdout.splitlines()]
