"""Relay layer messages (TS 24.011)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from ims_core.wire.sms.address import Address
from ims_core.wire.sms.octets import SmsParseError
from ims_core.wire.sms.rpdu import (
    Direction,
    RpAck,
    RpCause,
    RpData,
    Rpdu,
    RpError,
    RpSmma,
    parse_rpdu,
    readable_reference,
)
from tests.ims_core.wire.sms.test_address import numbers

octet = st.integers(0, 255)
directions = st.sampled_from(Direction)
user_data = st.binary(max_size=232)
optional = st.one_of(st.none(), user_data)
rpdus = st.one_of(
    st.builds(RpData, directions, octet, numbers, user_data),
    st.builds(RpAck, directions, octet, optional),
    st.builds(RpError, directions, octet, st.integers(0, 127), optional, st.binary(max_size=1)),
    st.builds(RpSmma, octet),
)


@given(rpdus)
def test_messages_round_trip(message: Rpdu) -> None:
    assert parse_rpdu(message.encode()) == message


@given(st.binary(max_size=300))
def test_any_octets_are_a_message_or_a_parse_error(octets: bytes) -> None:
    try:
        message = parse_rpdu(octets)
    except SmsParseError:
        return
    assert parse_rpdu(message.encode()) == message
    assert readable_reference(octets) == message.reference


@given(rpdus.filter(lambda message: isinstance(message, RpData)), st.data())
def test_truncated_rp_data_is_a_parse_error(message: Rpdu, data: st.DataObject) -> None:
    octets = message.encode()
    with pytest.raises(SmsParseError):
        parse_rpdu(octets[: data.draw(st.integers(0, len(octets) - 1))])


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        ("00070000" + "00", "RP-DA is empty"),
        ("0007029121029121" + "00", "RP-OA is not empty"),
        ("01070000" + "00", "RP-OA is empty"),
        ("0107029121029121" + "00", "RP-DA is not empty"),
        ("0007000C91" + "21" * 11 + "00", "RP-DA of 12 octets"),
        ("0007000291210201", "RP-User-Data needs 2"),
        ("00070002912100" + "41", "element length is missing"),
        ("0002912100E9", "RP-OA of 145 octets"),
        ("0707", "reserved RP-MTI"),
        ("0407", "RP-Cause length is missing"),
        ("040700", "RP-Cause of 0"),
        ("040703262626", "RP-Cause of 3"),
        ("024141", "element length is missing"),
        ("03", "RP-MR is missing"),
        ("", "RP-MTI is missing"),
    ],
)
def test_a_bad_message_is_refused_with_its_reason(octets: str, reason: str) -> None:
    with pytest.raises(SmsParseError, match=reason):
        parse_rpdu(bytes.fromhex(octets))


def test_user_data_beyond_232_octets_is_refused_both_ways() -> None:
    with pytest.raises(LocalProtocolError):
        RpData(Direction.FROM_MS, 0, Address.international("1"), bytes(233)).encode()
    with pytest.raises(LocalProtocolError):
        RpAck(Direction.FROM_MS, 0, bytes(233)).encode()
    with pytest.raises(SmsParseError, match="233 octets is longer"):
        parse_rpdu(bytes.fromhex("000000029121E9") + bytes(233))
    with pytest.raises(SmsParseError, match="233 octets is longer"):
        parse_rpdu(bytes.fromhex("020041E9") + bytes(233))
    with pytest.raises(SmsParseError, match="249 octets"):
        parse_rpdu(bytes(249))


def test_unknown_optional_elements_are_skipped() -> None:
    assert parse_rpdu(bytes.fromhex("0307" + "A1" + "5502AAAA" + "4102BBBB" + "4101CC")) == RpAck(
        Direction.TO_MS, 7, b"\xbb\xbb"
    )


def test_spare_bits_and_the_extension_bit_of_the_cause_are_ignored() -> None:
    assert parse_rpdu(bytes.fromhex("FD0701A6")) == RpError(Direction.TO_MS, 7, RpCause.NETWORK_OUT_OF_ORDER)


@pytest.mark.parametrize("message", [RpError(Direction.TO_MS, 0, 128), RpError(Direction.TO_MS, 0, 1, None, b"ab")])
def test_a_cause_that_does_not_fit_is_our_own_error(message: RpError) -> None:
    with pytest.raises(LocalProtocolError):
        message.encode()


def test_the_reference_of_a_broken_message_is_readable() -> None:
    assert readable_reference(b"\x00\x2a\xff") == 0x2A
    assert readable_reference(b"\x00") is None
