"""Bounded reading of octets."""

from __future__ import annotations

import pytest

from ims_core.errors import LocalProtocolError
from ims_core.wire.sms.octets import OctetReader, SmsParseError, octets_of


def test_reading_beyond_the_end_is_a_parse_error_that_names_the_field() -> None:
    reader = OctetReader(b"\x01\x02", spec="TS 23.040")
    assert reader.octet("first") == 1
    with pytest.raises(SmsParseError, match="second needs 2 octets, 1 are left"):
        reader.take(2, "second")
    assert reader.rest() == b"\x02"
    with pytest.raises(SmsParseError, match="third is missing"):
        reader.octet("third")


def test_octets_that_are_left_over_are_counted() -> None:
    with pytest.raises(SmsParseError, match="2 octets after TP-UD"):
        OctetReader(b"\x00\x00", spec="TS 23.040").expect_end("TP-UD")


@pytest.mark.parametrize("value", [-1, 256])
def test_a_value_that_is_no_octet_is_our_own_error(value: int) -> None:
    with pytest.raises(LocalProtocolError):
        octets_of(0, value)
