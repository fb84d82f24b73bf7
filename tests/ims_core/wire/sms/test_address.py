"""TP and RP address fields (TS 23.040 §9.1.2.5, TS 24.011 §8.2.5)."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from ims_core.wire.sms.address import Address, TypeOfNumber
from ims_core.wire.sms.octets import OctetReader, SmsParseError
from tests.ims_core.wire.sms.test_alphabet import GSM7_TEXT

digits = st.text(alphabet="0123456789*#abc", max_size=20)
numbers = st.builds(Address, st.integers(0, 255).filter(lambda toa: toa >> 4 & 7 != 5), digits)
names = st.builds(Address.alphanumeric, st.text(alphabet=GSM7_TEXT.replace("\f^{}\\[~]|€", ""), max_size=11))


def _tp(octets: bytes) -> Address:
    return Address.read_tp(OctetReader(octets, spec="test"), "TP-DA")


def _rp(octets: bytes) -> Address | None:
    return Address.read_rp(OctetReader(octets, spec="test"), "RP-DA")


@given(st.one_of(numbers, names))
def test_tp_form_round_trips(address: Address) -> None:
    assert _tp(address.encode_tp()) == address


@given(numbers)
def test_rp_form_round_trips(address: Address) -> None:
    assert _rp(address.encode_rp()) == address


@given(st.binary(max_size=16))
def test_any_octets_are_an_address_or_a_parse_error(octets: bytes) -> None:
    for read in (_tp, _rp):
        with suppress(SmsParseError):
            read(octets)


def test_international_number_in_both_forms() -> None:
    address = Address.international("+12025550102")
    assert address.encode_tp().hex() == "0b912120550501f2"
    assert address.encode_rp().hex() == "07912120550501f2"
    assert str(address) == "+12025550102"


def test_national_number_keeps_its_type() -> None:
    address = _tp(bytes.fromhex("0AA12020555010"))
    assert (address.type_of_number, address.numbering_plan, address.value) == (TypeOfNumber.NATIONAL, 1, "0202550501")
    assert str(address) == "0202550501"


def test_an_empty_rp_address_is_none() -> None:
    assert _rp(b"\x00") is None


@pytest.mark.parametrize("octets", ["1591" + "21" * 11, "0291F1", "0491F121", "0391"])
def test_a_bad_tp_address_is_refused(octets: str) -> None:
    with pytest.raises(SmsParseError):
        _tp(bytes.fromhex(octets))


@pytest.mark.parametrize("octets", ["0C91" + "21" * 11, "0391F121", "0291"])
def test_a_bad_rp_address_is_refused(octets: str) -> None:
    with pytest.raises(SmsParseError):
        _rp(bytes.fromhex(octets))


@pytest.mark.parametrize(
    "address",
    [Address(0x91, "1" * 21), Address(0x91, "12x"), Address.alphanumeric("a" * 12), Address.alphanumeric("ж")],
)
def test_what_cannot_be_coded_is_our_own_error(address: Address) -> None:
    with pytest.raises(LocalProtocolError):
        address.encode_tp()
