"""Every torture message of RFC 4475 and RFC 5118 against the verdict that the vectors' index gives it."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from ims_core.wire.sip.headers import ContentLength
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.parser import SipParseError, check, parse_datagram
from tests.support.vectors import vectors

KNOWN_GAPS: dict[str, str] = {}
_FOLDER = vectors("sip")
_STATUS = re.compile(r"\b(4\d\d|5\d\d)\b")


@dataclass(frozen=True)
class Row:
    file: str
    verdict: str
    statuses: frozenset[int]

    @property
    def octets(self) -> bytes:
        return (_FOLDER / self.file).read_bytes()


def _rows() -> list[Row]:
    rows = []
    for line in (_FOLDER / "INDEX.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) > 6 and cells[1].endswith(".dat"):
            statuses = frozenset(int(found) for found in _STATUS.findall(cells[6]))
            rows.append(Row(cells[1], cells[5], statuses or frozenset((400,))))
    return rows


ROWS = _rows()


def _marked(*verdicts: str) -> list[object]:
    return [
        pytest.param(
            row,
            id=row.file,
            marks=[pytest.mark.xfail(strict=True, reason=KNOWN_GAPS[row.file])] if row.file in KNOWN_GAPS else [],
        )
        for row in ROWS
        if row.verdict in verdicts
    ]


def _refusal(octets: bytes) -> SipParseError | None:
    try:
        check(parse_datagram(octets))
    except SipParseError as fault:
        return fault
    return None


def test_no_file_is_left_out() -> None:
    known = {"VALID", "INVALID", "INVALID-LENIENT", "APPLICATION", "TRANSACTION"}
    assert {row.file for row in ROWS} == {str(path.relative_to(_FOLDER)) for path in _FOLDER.glob("rfc*/*.dat")}
    assert {row.verdict for row in ROWS} <= known
    assert len(ROWS) == 62


@pytest.mark.parametrize("row", _marked("VALID"))
def test_a_valid_message_passes_the_check_and_encodes_to_its_octets(row: Row) -> None:
    message = parse_datagram(row.octets)
    check(message)
    assert row.octets.startswith(message.encode())
    length = message.get(ContentLength)
    if length is None or len(message.body) < length.value:  # else what follows the body is no part of the message
        assert message.encode() == row.octets
    else:
        assert len(message.body) == length.value


@pytest.mark.parametrize("row", _marked("VALID"))
def test_a_valid_message_that_was_edited_keeps_every_other_octet(row: Row) -> None:
    message = parse_datagram(row.octets)
    edited = message.edit().append("X-Mark", "1").remove("X-Mark").done()
    if message.has("Content-Length"):
        assert edited.encode() == message.encode()
    assert edited.body == message.body


@pytest.mark.parametrize("row", _marked("INVALID"))
def test_an_invalid_message_is_refused_with_the_status_named(row: Row) -> None:
    fault = _refusal(row.octets)
    assert fault is not None
    assert fault.status in row.statuses


@pytest.mark.parametrize("row", _marked("INVALID"))
def test_an_invalid_request_can_be_answered_and_an_invalid_response_cannot(row: Row) -> None:
    fault = _refusal(row.octets)
    assert fault is not None
    if row.octets.startswith(b"SIP/"):
        assert fault.request is None
        return
    assert fault.request is not None
    answer = Response.to(fault.request, fault.status, to_tag="t1")
    assert answer.encode().startswith(b"SIP/2.0 ")
    assert answer.text("Call-ID") == fault.request.text("Call-ID")


@pytest.mark.parametrize("row", _marked("INVALID-LENIENT"))
def test_refusing_or_forgiving_both_conform(row: Row) -> None:
    fault = _refusal(row.octets)
    assert fault is None or fault.status == 400


@pytest.mark.parametrize("row", _marked("APPLICATION", "TRANSACTION"))
def test_a_well_formed_message_parses_and_encodes_to_its_octets(row: Row) -> None:
    message = parse_datagram(row.octets)
    assert isinstance(message, Request | Response)
    assert row.octets.startswith(message.encode())
