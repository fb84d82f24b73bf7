"""Which records of a capture are packets of their own, and which are RP messages."""

from __future__ import annotations

import pytest

from ims_core.trace import RecordKind, TraceRecord
from ims_core.wire.sms.sm_link import Attach, Forward, ForwardKind, Party, Result, encode_frame
from rcs_sim.scenario.exported_pdu import exported_pdu

_RPDU = bytes.fromhex("0207")


def _record(raw: bytes, protocol: str = "SM") -> TraceRecord:
    return TraceRecord(1, 0.0, RecordKind.MESSAGE, "red.ipsmgw", "red.smsc", protocol=protocol, raw=raw)


@pytest.mark.parametrize("protocol", ["SIP", "HTTP", "MSRP"])
def test_what_has_a_packet_stays_a_packet(protocol: str) -> None:
    assert exported_pdu(_record(b"x", protocol)) is None


def test_frames_around_rp_messages_are_shown_as_these() -> None:
    forward = Forward(reference=1, kind=ForwardKind.MO, rpdu=_RPDU, originator=Party.msisdn("+12025550101"))
    assert exported_pdu(_record(encode_frame(forward))) == ("gsm_a_rp", _RPDU)
    assert exported_pdu(_record(encode_frame(Result(1, _RPDU)))) == ("gsm_a_rp", _RPDU)


@pytest.mark.parametrize("raw", [encode_frame(Attach(1, "001012025550101")), b"\x00", b"no frame at all", b"\xff" * 40])
def test_other_frames_are_data(raw: bytes) -> None:
    assert exported_pdu(_record(raw)) == ("data", raw)
