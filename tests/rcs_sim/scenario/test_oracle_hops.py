"""Numbers in addresses, and what is the same text to a reader."""

from __future__ import annotations

import pytest

from ims_core.trace import RecordKind, TraceRecord
from rcs_sim.scenario.oracle_hops import Hop, digits_of, hop_of, same_text


@pytest.mark.parametrize(
    ("address", "digits"),
    [
        ("+12025550101", "12025550101"),
        ("12025550101", "12025550101"),
        ("tel:+12025550101", "12025550101"),
        ("<sip:+12025550101@ims.mnc001.mcc001.3gppnetwork.org;user=phone>;tag=1", "12025550101"),
        ('"Alice" <tel:+12025550101;phone-context=x>', "12025550101"),
        ("sip:bot@example.com", ""),
        ("sip:127.0.0.1:5060", ""),
        ("", ""),
        ("BANK", ""),
    ],
)
def test_the_number_in_an_address_is_its_digits(address: str, digits: str) -> None:
    assert digits_of(address) == digits


def test_white_space_does_not_make_another_text() -> None:
    assert same_text("one  two\r\n", "one two")
    assert not same_text("one two", "onetwo")


def test_a_hop_is_where_a_record_crossed() -> None:
    record = TraceRecord(3, 1.5, RecordKind.MESSAGE, "a", "b", "Gm", "SIP", transport="TLS")
    assert hop_of(record) == Hop(3, 1.5, "a", "b", "Gm", "SIP", "TLS")
