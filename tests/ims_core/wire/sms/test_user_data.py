"""User data header and content (TS 23.040 §9.2.3.24)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from ims_core.wire.sms.data_coding import DataCoding
from ims_core.wire.sms.octets import OctetReader, SmsParseError
from ims_core.wire.sms.user_data import ApplicationPorts, Concatenation, InformationElement, UserData, UserDataHeader

elements = st.lists(st.builds(InformationElement, st.integers(0, 255), st.binary(max_size=12)), max_size=5)
headers = st.one_of(st.none(), elements.map(lambda found: UserDataHeader.of(*found)))
codings = st.integers(0, 255).map(DataCoding)


def _read(octets: bytes, coding: DataCoding, has_header: bool) -> UserData:
    reader = OctetReader(octets, spec="test")
    user_data = UserData.read(reader, coding, has_header=has_header)
    reader.expect_end("TP-UD")
    return user_data


@given(headers, st.binary(max_size=66), codings)
def test_any_header_and_content_round_trip(header: UserDataHeader | None, content: bytes, coding: DataCoding) -> None:
    if coding.counts_septets:
        content = bytes(octet & 0x7F for octet in content)
    user_data = UserData(content, header)
    assert _read(user_data.encode(coding), coding, header is not None) == user_data


@given(elements)
def test_unknown_elements_survive_in_order(found: list[InformationElement]) -> None:
    assert UserDataHeader.of(*found).elements == tuple(found)


@given(st.binary(max_size=150), codings, st.booleans())
def test_any_octets_are_user_data_or_a_parse_error(octets: bytes, coding: DataCoding, has_header: bool) -> None:
    try:
        user_data = _read(octets, coding, has_header)
    except SmsParseError:
        return
    user_data.text(coding).encode("utf-8")
    if user_data.header:
        assert isinstance(user_data.header.elements, tuple)


def test_fill_bits_stand_between_header_and_septets() -> None:
    header = UserDataHeader.of(Concatenation(0x5C, 2, 1).element())
    user_data = UserData.of_text("AAAA", DataCoding.GSM7, header)
    assert user_data.encode(DataCoding.GSM7).hex().upper() == "0B0500035C020182C16010"


def test_a_header_whose_last_element_does_not_fit_is_kept_and_ignored() -> None:
    user_data = _read(bytes.fromhex("0804 00 05 5C 02 41 42 43"), DataCoding.EIGHT_BIT, has_header=True)
    assert user_data.header is not None
    assert user_data.header.elements == ()
    assert user_data.header.concatenation is None
    assert user_data.encode(DataCoding.EIGHT_BIT) == bytes.fromhex("0804 00 05 5C 02 41 42 43")


@pytest.mark.parametrize("octets", ["00", "0105", "05050003", "0205FF"])
def test_a_header_longer_than_its_user_data_is_refused(octets: str) -> None:
    with pytest.raises(SmsParseError):
        _read(bytes.fromhex(octets), DataCoding.EIGHT_BIT, has_header=True)


def test_a_septet_count_below_the_header_is_refused() -> None:
    with pytest.raises(SmsParseError, match="shorter than its header"):
        _read(bytes.fromhex("06 05 00 03 5C 02 01"), DataCoding.GSM7, has_header=True)


@pytest.mark.parametrize("content", ["5C0200", "5C0203", "5C0000", "5C02", "5C020101"])
def test_senseless_concatenation_is_ignored(content: str) -> None:
    assert UserDataHeader.of(InformationElement(0, bytes.fromhex(content))).concatenation is None


def test_the_last_of_repeated_elements_counts() -> None:
    header = UserDataHeader.of(Concatenation(1, 2, 1).element(), Concatenation(0x125C, 3, 2, is_wide=True).element())
    assert header.concatenation == Concatenation(0x125C, 3, 2, is_wide=True)


@pytest.mark.parametrize("ports", [ApplicationPorts(37273, 0), ApplicationPorts(240, 245, is_wide=False)])
def test_ports_round_trip(ports: ApplicationPorts) -> None:
    header = UserDataHeader.of(ports.element())
    assert header.ports == ports
    assert header.concatenation is None


@pytest.mark.parametrize(
    "value", [Concatenation(256, 2, 1), Concatenation(1, 256, 1), Concatenation(1, 1, 2), ApplicationPorts(65536, 0)]
)
def test_numbers_that_do_not_fit_are_our_own_error(value: Concatenation | ApplicationPorts) -> None:
    with pytest.raises(LocalProtocolError):
        value.element()


def test_content_that_does_not_fit_is_our_own_error() -> None:
    with pytest.raises(LocalProtocolError):
        UserData(bytes(161)).encode(DataCoding.GSM7)
    with pytest.raises(LocalProtocolError):
        UserData(bytes(141)).encode(DataCoding.EIGHT_BIT)


def test_an_impossible_header_length_is_refused_on_reading_too_long_data() -> None:
    with pytest.raises(SmsParseError, match="longer than 140"):
        _read(bytes((141,)) + bytes(141), DataCoding.EIGHT_BIT, has_header=False)
