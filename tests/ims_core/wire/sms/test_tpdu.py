"""Transfer layer messages (TS 23.040 §9.2.2), compared with an outside decoder."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smspdudecoder.fields import SMSDeliver, SMSSubmit  # type: ignore[import-untyped]  # the peer ships no types

from ims_core.errors import LocalProtocolError
from ims_core.wire.sms.address import Address
from ims_core.wire.sms.data_coding import DataCoding
from ims_core.wire.sms.octets import SmsParseError
from ims_core.wire.sms.timestamp import AbsoluteValidity, EnhancedValidity, RelativeValidity, Timestamp
from ims_core.wire.sms.tpdu import (
    DeliveryOutcome,
    ReportParameters,
    SmsCommand,
    SmsDeliver,
    SmsDeliverReport,
    SmsStatusReport,
    SmsSubmit,
    SmsSubmitReport,
    Tpdu,
    parse_tpdu_from_ms,
    parse_tpdu_to_ms,
)
from ims_core.wire.sms.user_data import UserData
from tests.ims_core.wire.sms.test_address import names, numbers
from tests.ims_core.wire.sms.test_alphabet import gsm7_text
from tests.ims_core.wire.sms.test_user_data import headers

octet = st.integers(0, 255)
seven_octets = st.binary(min_size=7, max_size=7)
timestamps = seven_octets.map(Timestamp)
validities = st.one_of(
    st.none(),
    octet.map(RelativeValidity),
    timestamps.map(AbsoluteValidity),
    seven_octets.map(EnhancedValidity),
)


def _user_data(coding: DataCoding, content: bytes, header: Any) -> UserData:
    return UserData(bytes(value & 0x7F for value in content) if coding.counts_septets else content, header)


@st.composite
def coded(draw: st.DrawFn) -> dict[str, Any]:
    coding = DataCoding(draw(octet))
    user_data = _user_data(coding, draw(st.binary(max_size=60)), draw(headers))
    return {"data_coding": coding, "user_data": user_data, "protocol_id": draw(octet)}


@st.composite
def parameters(draw: st.DrawFn) -> ReportParameters:
    coding = draw(st.one_of(st.none(), octet.map(DataCoding)))
    user_data = draw(st.one_of(st.none(), st.binary(max_size=40)))
    return ReportParameters(
        draw(st.one_of(st.none(), octet)),
        coding,
        None if user_data is None else _user_data(coding or DataCoding.GSM7, user_data, draw(headers)),
    )


delivers = st.builds(
    lambda fields, **flags: SmsDeliver(**fields, **flags),
    coded(),
    originator=st.one_of(numbers, names),
    timestamp=timestamps,
    more_messages=st.booleans(),
    loop_prevention=st.booleans(),
    reply_path=st.booleans(),
    status_report_indication=st.booleans(),
)
submits = st.builds(
    lambda fields, **flags: SmsSubmit(**fields, **flags),
    coded(),
    message_reference=octet,
    destination=numbers,
    validity=validities,
    reject_duplicates=st.booleans(),
    reply_path=st.booleans(),
    status_report_request=st.booleans(),
)
status_reports = st.builds(
    SmsStatusReport,
    message_reference=octet,
    recipient=numbers,
    timestamp=timestamps,
    discharge_time=timestamps,
    status=octet,
    more_messages=st.booleans(),
    loop_prevention=st.booleans(),
    answers_command=st.booleans(),
    parameters=parameters(),
)
causes = st.one_of(st.none(), octet)
deliver_reports = st.builds(SmsDeliverReport, failure_cause=causes, parameters=parameters())
submit_reports = st.builds(SmsSubmitReport, failure_cause=causes, timestamp=timestamps, parameters=parameters())
commands = st.binary(max_size=150).map(lambda rest: SmsCommand(b"\x02" + rest))


@given(st.one_of(delivers, status_reports, submit_reports))
def test_messages_to_an_ms_round_trip(message: SmsDeliver | SmsStatusReport | SmsSubmitReport) -> None:
    in_rp_error = isinstance(message, SmsSubmitReport) and message.failure_cause is not None
    assert parse_tpdu_to_ms(message.encode(), in_rp_error=in_rp_error) == message


@given(st.one_of(submits, deliver_reports, commands))
def test_messages_from_an_ms_round_trip(message: SmsSubmit | SmsDeliverReport | SmsCommand) -> None:
    in_rp_error = isinstance(message, SmsDeliverReport) and message.failure_cause is not None
    assert parse_tpdu_from_ms(message.encode(), in_rp_error=in_rp_error) == message


@given(st.binary(max_size=260), st.booleans())
def test_any_octets_are_a_message_or_a_parse_error(octets: bytes, in_rp_error: bool) -> None:
    for parse in (parse_tpdu_from_ms, parse_tpdu_to_ms):
        try:
            message: Tpdu = parse(octets, in_rp_error=in_rp_error)
        except SmsParseError:
            continue
        assert parse(message.encode(), in_rp_error=in_rp_error) == message


@given(st.one_of(delivers, submits), st.data())
def test_a_truncated_message_is_a_parse_error(message: SmsDeliver | SmsSubmit, data: st.DataObject) -> None:
    octets = message.encode()
    cut = octets[: data.draw(st.integers(0, len(octets) - 1))]
    with pytest.raises(SmsParseError):
        (parse_tpdu_to_ms if isinstance(message, SmsDeliver) else parse_tpdu_from_ms)(cut)


def test_octets_behind_the_user_data_are_refused() -> None:
    with pytest.raises(SmsParseError, match="1 octets after TP-UD"):
        parse_tpdu_from_ms(bytes.fromhex("01000B912120550501F20000017800"))


def test_the_reserved_type_is_an_error_to_the_network_and_a_deliver_to_the_ms() -> None:
    deliver = bytes.fromhex("240B912120550501F100006230200181500005C8329BFD06")
    reserved = bytes((deliver[0] | 3,)) + deliver[1:]
    with pytest.raises(SmsParseError, match="reserved TP-MTI"):
        parse_tpdu_from_ms(reserved)
    assert parse_tpdu_to_ms(reserved) == parse_tpdu_to_ms(deliver)


def test_reserved_parameter_bits_announce_octets_that_are_discarded() -> None:
    report = parse_tpdu_from_ms(bytes.fromhex("00 FF 01 7F 00 01 41 AA BB"))
    assert isinstance(report, SmsDeliverReport)
    assert report.parameters == ReportParameters(0x7F, DataCoding(0), UserData(b"\x41"))


def test_a_command_is_kept_opaque() -> None:
    command = parse_tpdu_from_ms(bytes.fromhex("02070001050B912120550501F200"))
    assert isinstance(command, SmsCommand)
    assert command.encode().hex() == "02070001050b912120550501f200"
    with pytest.raises(LocalProtocolError):
        SmsCommand(b"\x01")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (0x00, DeliveryOutcome.COMPLETED),
        (0x1F, DeliveryOutcome.COMPLETED),
        (0x20, DeliveryOutcome.STILL_TRYING),
        (0x46, DeliveryOutcome.FAILED),
        (0x62, DeliveryOutcome.FAILED),
        (0xFF, DeliveryOutcome.FAILED),
    ],
)
def test_the_status_has_a_group(status: int, outcome: DeliveryOutcome) -> None:
    stamp = Timestamp(bytes(7))
    report = SmsStatusReport(
        message_reference=0, recipient=Address.international("1"), timestamp=stamp, discharge_time=stamp, status=status
    )
    assert report.outcome is outcome


def test_a_reference_that_is_no_octet_is_our_own_error() -> None:
    with pytest.raises(LocalProtocolError):
        SmsSubmit(message_reference=256, destination=Address.international("1"), user_data=UserData()).encode()


_peer_numbers = st.text(alphabet="0123456789", min_size=1, max_size=15).map(Address.international)
_peer_texts = st.one_of(
    gsm7_text.filter(lambda text: 0 < len(text) <= 60).map(lambda text: (DataCoding.GSM7, text)),
    st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=30).map(
        lambda text: (DataCoding.UCS2, text)
    ),
)


@given(_peer_numbers, _peer_texts, st.integers(946771200, 1893456000), octet)
def test_another_decoder_reads_our_messages(
    number: Address, coded_text: tuple[DataCoding, str], epoch_s: int, reference: int
) -> None:
    coding, text = coded_text
    user_data = UserData.of_text(text, coding)
    submit = SmsSubmit(
        message_reference=reference,
        destination=number,
        user_data=user_data,
        data_coding=coding,
        validity=RelativeValidity(0xA7),
    )
    seen = SMSSubmit.decode(StringIO("00" + submit.encode().hex()))  # 00: no service centre address in front
    assert (seen["message-ref"], seen["recipient"]["number"], seen["dcs"]["encoding"]) == (
        reference,
        number.value,
        "gsm" if coding is DataCoding.GSM7 else "ucs2",
    )
    assert seen["user_data"]["data"].removesuffix("@") == text.removesuffix("@")  # that decoder shows padding as "@"
    deliver = SmsDeliver(originator=number, timestamp=Timestamp.at(epoch_s), user_data=user_data, data_coding=coding)
    seen = SMSDeliver.decode(StringIO("00" + deliver.encode().hex()))
    assert seen["sender"]["number"] == number.value
    assert seen["scts"].timestamp() == epoch_s
    assert seen["user_data"]["data"].removesuffix("@") == text.removesuffix("@")
