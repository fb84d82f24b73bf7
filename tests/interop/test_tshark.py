"""tshark reads the captures of the demo: nothing malformed, and SIP, SMS and HTTP as we meant them.

The traces of the scenario tests go through the same reader, in tests/scenarios/conftest.py.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from ims_core.pcapng import write_pcapng
from ims_core.trace import ListSink, RecordKind, TraceRecord
from ims_core.transport.virtual_loop import run
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.parser import parse_datagram
from rcs_sim.scenario.demo_column import COLUMNS, DemoColumn, play_column
from rcs_sim.scenario.documents import DemoRow
from rcs_sim.scenario.exported_pdu import exported_pdu
from rcs_sim.scenario.simulation import Simulation
from tests.support.peers import require
from tests.support.traces import tshark_fields

pytestmark = pytest.mark.interop

_SEED = 7
_BAD = "_ws.malformed || _ws.expert.severity >= 0x800000"
_UNTIDY_TCP = "tcp.analysis.flags && !tcp.analysis.window_full"


@dataclass(frozen=True, slots=True)
class _Played:
    """A column of the demo, and its capture."""

    rows: list[DemoRow]
    records: list[TraceRecord]
    capture: Path


def _capture(records: list[TraceRecord], path: Path) -> Path:
    with path.open("wb") as stream:
        write_pcapng(records, stream, exported=exported_pdu)
    return path


@pytest.fixture(scope="module", params=COLUMNS, ids=lambda column: column.name)
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> _Played:
    require("tshark")
    column: DemoColumn = request.param
    shown = run(partial(play_column, column, seed=_SEED, is_real=False), clock="virtual")
    path = tmp_path_factory.mktemp("captures") / f"{column.name}.pcapng"
    return _Played(shown.rows, shown.records, _capture(shown.records, path))


def _sip(records: list[TraceRecord]) -> list[Request | Response]:
    return [
        parse_datagram(record.raw)
        for record in records
        if record.kind is RecordKind.MESSAGE and record.protocol == "SIP" and record.raw.strip(b"\r\n")
    ]


def _cells(capture: Path, field: str, only: str) -> list[str]:
    """First value of *field* in each packet: that of the message itself, where one is embedded in another."""
    return [row[0].partition(",")[0] for row in tshark_fields(capture, [field], only)]


def test_nothing_is_malformed(played: _Played) -> None:
    capture = played.capture
    assert tshark_fields(capture, ["frame.number", "_ws.col.Info"], _BAD) == []
    assert tshark_fields(capture, ["frame.number", "_ws.col.Info"], _UNTIDY_TCP) == []


def test_methods_and_statuses_of_sip_are_ours(played: _Played) -> None:
    records, capture = played.records, played.capture
    messages = _sip(records)
    requests = Counter(message.method for message in messages if isinstance(message, Request))
    responses = Counter(str(message.status) for message in messages if isinstance(message, Response))
    assert requests
    assert Counter(_cells(capture, "sip.Method", "sip.Request-Line")) == requests
    assert Counter(_cells(capture, "sip.Status-Code", "sip.Status-Line && !sip.Request-Line")) == responses


def test_every_message_has_a_comment_with_its_number_and_both_ends(played: _Played) -> None:
    records, capture = played.records, played.capture
    comments = Counter(row[0].partition(",")[0] for row in tshark_fields(capture, ["frame.comment"], "sip || http"))
    expected = Counter(
        f"#{record.number} {record.source} -> {record.target}"
        for record in records
        if record.kind is RecordKind.MESSAGE and record.protocol in ("SIP", "HTTP") and record.raw.strip()
    )
    assert set(comments) == set(expected)


def test_short_messages_have_the_texts_that_were_sent(played: _Played) -> None:
    columns = ["gsm_sms.udh.mm.msg_part", "gsm_sms.sms_text"]
    shown = {
        (int(part or 0), text) for part, text in tshark_fields(played.capture, columns, "gsm_sms.sms_text") if text
    }
    whole = {text for part, text in shown if not part}
    joined = "".join(text for part, text in sorted(shown) if part)
    assert whole | ({joined} if joined else set()) == {row.text for row in played.rows if row.transport == "sms"}


@pytest.mark.parametrize("text", ["one part is not enough for this text, " * 9, "Grüße aus Łódź 👍 " * 12])
def test_a_long_short_message_comes_in_parts_that_join(text: str, tmp_path: Path) -> None:
    require("tshark")
    sink = ListSink()

    async def story() -> None:
        async with Simulation("two-carriers-plain", sinks=[sink]) as simulation:
            alice = await simulation.add_phone("alice", "android", "red")
            await simulation.add_phone("bob", "ios", "blue", msisdn="+12025550152")
            await alice.send_sms("+12025550152", text).final(60)

    run(story, clock="virtual")
    capture = _capture(list(sink.records), tmp_path / "parts.pcapng")
    assert tshark_fields(capture, ["frame.number", "_ws.col.Info"], _BAD) == []
    columns = ["gsm_sms.udh.mm.msg_part", "gsm_sms.udh.mm.msg_parts", "gsm_sms.sms_text"]
    rows = tshark_fields(capture, columns, "gsm_sms.tp-mti == 0 && gsm_sms.udh.mm.msg_part")
    parts = {int(number): (int(total), part) for number, total, part in rows}
    assert {total for total, _ in parts.values()} == {len(parts)}
    assert "".join(part for _, (_, part) in sorted(parts.items())) == text
