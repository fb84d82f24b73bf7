"""Every case of the outside short message vectors (TS 23.038, TS 23.040, TS 24.011)."""

from __future__ import annotations

from typing import Any

import pytest

from ims_core.errors import LocalProtocolError
from ims_core.wire.sms.address import Address
from ims_core.wire.sms.alphabet import (
    decode_gsm7,
    decode_ucs2,
    encode_gsm7,
    encode_ucs2,
    is_gsm7,
    pack_septets,
    unpack_septets,
)
from ims_core.wire.sms.concatenation import Assembled, Reassembler, split_text, submits_for
from ims_core.wire.sms.rpdu import Direction, RpAck, RpData, RpError, RpSmma, parse_rpdu
from ims_core.wire.sms.timestamp import RelativeValidity, Timestamp
from ims_core.wire.sms.tpdu import (
    SmsDeliver,
    SmsDeliverReport,
    SmsStatusReport,
    SmsSubmit,
    SmsSubmitReport,
    Tpdu,
    parse_tpdu_from_ms,
    parse_tpdu_to_ms,
)
from tests.support.vectors import load_vectors

_GSM7: dict[str, Any] = load_vectors("rcs/gsm7.json")
_CONCATENATION: dict[str, Any] = load_vectors("rcs/sms_concatenation.json")
_MESSAGES: dict[str, Any] = load_vectors("rcs/sms_tpdu_rp.json")


@pytest.mark.parametrize("case", _GSM7["cases"], ids=lambda case: case["name"])
def test_a_gsm7_text_packs_and_unpacks(case: dict[str, Any]) -> None:
    septets = encode_gsm7(case["text"])
    packed = bytes.fromhex(case["packed_hex"])
    assert len(septets) == case["septets"]
    if case["septet_values"] is not None:
        assert list(septets) == case["septet_values"]
    assert pack_septets(septets) == packed
    assert decode_gsm7(unpack_septets(packed, case["septets"])) == case["text"]


@pytest.mark.parametrize("case", _GSM7["needs_ucs2"], ids=lambda case: case["why"])
def test_a_text_outside_of_the_tables_needs_ucs2(case: dict[str, Any]) -> None:
    assert not is_gsm7(case["text"])
    with pytest.raises(LocalProtocolError):
        encode_gsm7(case["text"])
    octets = encode_ucs2(case["text"])
    assert octets == bytes.fromhex(case["utf16be_hex"])
    assert len(octets) == 2 * case["utf16_units"]
    assert decode_ucs2(octets) == case["text"]


@pytest.mark.parametrize("case", _CONCATENATION["cases"], ids=lambda case: case["name"])
def test_a_long_text_splits_into_the_expected_submits(case: dict[str, Any]) -> None:
    fixed = _CONCATENATION["fixed"]
    wide = case["reference_16bit"]
    reference = int(fixed["reference_16bit" if wide else "reference_8bit"], 16)
    split = split_text(case["text"], reference=reference, wide_reference=wide)
    submits = submits_for(
        split,
        Address.international(fixed["destination"]),
        message_reference=int(fixed["first_message_reference"], 16),
        validity=RelativeValidity(0xA7),
        status_report=fixed["status_report"],
    )
    assert [submit.encode().hex().upper() for submit in submits] == [part["submit_tpdu_hex"] for part in case["parts"]]
    for submit, part in zip(submits, case["parts"], strict=True):
        assert parse_tpdu_from_ms(submit.encode()) == submit
        assert submit.text == part["text"]
        assert submit.data_coding.octet == part["dcs"]
        assert (submit.user_data.header.encode().hex().upper() if submit.user_data.header else "") == part["udh_hex"]


@pytest.mark.parametrize("case", _CONCATENATION["cases"], ids=lambda case: case["name"])
def test_the_parts_reassemble_backwards(case: dict[str, Any]) -> None:
    reassembler = Reassembler()
    out = []
    for part in reversed(case["parts"]):
        submit = parse_tpdu_from_ms(bytes.fromhex(part["submit_tpdu_hex"]))
        assert isinstance(submit, SmsSubmit)
        deliver = SmsDeliver(
            originator=submit.destination,
            timestamp=Timestamp.at(1772446684.0),
            user_data=submit.user_data,
            data_coding=submit.data_coding,
        )
        out += reassembler.receive(deliver, 0.0)
    assert len(out) == 1
    assert isinstance(out[0], Assembled)
    assert out[0].text == case["text"]


def _parse(case: dict[str, Any]) -> Tpdu:
    kind, octets = case["kind"], bytes.fromhex(case["hex"])
    parse = parse_tpdu_from_ms if kind.startswith(("SMS-SUBMIT", "SMS-DELIVER-REPORT")) else parse_tpdu_to_ms
    if kind.startswith("SMS-SUBMIT-REPORT"):
        parse = parse_tpdu_to_ms
    return parse(octets, in_rp_error="RP-ERROR" in kind)


def _iso(stamp: Timestamp) -> str:
    moment = stamp.to_datetime()
    assert moment is not None
    return moment.isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("case", _MESSAGES["tpdu"], ids=lambda case: case["name"])
def test_a_tpdu_has_its_fields_and_encodes_back(case: dict[str, Any]) -> None:
    message = _parse(case)
    octets = bytes.fromhex(case["hex"])
    assert len(octets) == case["octets"]
    assert message.encode() == octets
    unchecked = set(case["fields"])
    for name, expected in case["fields"].items():
        if _TPDU_FIELDS[name](message, expected):
            unchecked.discard(name)
    assert not unchecked


_TPDU_FIELDS: dict[str, Any] = {
    "mti": lambda message, value: isinstance(message, SmsSubmit) and value == "SUBMIT",
    "mr": lambda message, value: message.message_reference == value,
    "da": lambda message, value: str(message.destination) == value,
    "oa": lambda message, value: value.startswith(str(message.originator)),
    "ra": lambda message, value: str(message.recipient) == value,
    "pid": lambda message, value: message.protocol_id == value,
    "dcs": lambda message, value: message.data_coding.octet == value,
    "vp": lambda message, value: message.validity is value,
    "vp_relative": lambda message, value: message.validity == RelativeValidity(value),
    "srr": lambda message, value: message.status_report_request is value,
    "sri": lambda message, value: message.status_report_indication is value,
    "mms_no_more": lambda message, value: message.more_messages is not value,
    "udhi": lambda message, value: (message.user_data.header is not None) is value,
    "udl": lambda message, value: message.user_data.encode(message.data_coding)[0] == value,
    "ref": lambda message, value: message.user_data.header.concatenation.reference == value,
    "total": lambda message, value: message.user_data.header.concatenation.total == value,
    "seq": lambda message, value: message.user_data.header.concatenation.sequence == value,
    "text": lambda message, value: message.text == value,
    "scts": lambda message, value: _iso(message.timestamp) == value.replace("+00:00", "Z"),
    "discharge": lambda message, value: _iso(message.discharge_time) == value,
    "status": lambda message, value: message.status == int(value[:2], 16),
    "fcs": lambda message, value: message.failure_cause == int(value[:2], 16),
    "pi": lambda message, value: message.parameters.indicator == value,
}


def test_the_negative_zone_case_stands_for_the_same_moment() -> None:
    stamp = Timestamp(bytes.fromhex("6230205081500A"))
    assert stamp.zone_quarters == -20


@pytest.mark.parametrize("case", _MESSAGES["rp"], ids=lambda case: case["name"])
def test_an_rp_message_has_its_fields_and_encodes_back(case: dict[str, Any]) -> None:
    octets, fields = bytes.fromhex(case["hex"]), case["fields"]
    message = parse_rpdu(octets)
    assert len(octets) == case["octets"]
    assert message.encode() == octets
    if "mr" in fields:
        assert message.reference == fields["mr"]
    if "mti" in fields:
        assert octets[0] == fields["mti"]
    if isinstance(message, RpSmma):
        return
    assert (message.direction is Direction.FROM_MS) == (case["direction"] == "MS to network")
    if "tpdu" in fields:
        assert message.user_data == bytes.fromhex(fields["tpdu"])
        parse = parse_tpdu_from_ms if message.direction is Direction.FROM_MS else parse_tpdu_to_ms
        tpdu = parse(message.user_data or b"", in_rp_error=isinstance(message, RpError))
        assert tpdu.encode() == message.user_data
    elif isinstance(message, RpAck | RpError):
        assert message.user_data is None
    if isinstance(message, RpError):
        assert message.cause == fields["cause"]
    if isinstance(message, RpData):
        assert str(message.service_centre) == (fields.get("oa") or fields.get("da"))


def test_the_messages_cover_every_tpdu_that_is_coded_here() -> None:
    kinds = {type(_parse(case)) for case in _MESSAGES["tpdu"]}
    assert kinds == {SmsDeliver, SmsSubmit, SmsDeliverReport, SmsSubmitReport, SmsStatusReport}
