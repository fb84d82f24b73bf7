"""Short messages are whole again, in every alphabet; what is none says nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.wire.sms.address import Address
from ims_core.wire.sms.concatenation import split_text
from ims_core.wire.sms.rpdu import Direction, RpAck, RpData
from ims_core.wire.sms.tpdu import SmsSubmit
from rcs_sim.scenario.oracle_hops import Hop
from rcs_sim.scenario.oracle_short_messages import SUBMIT, ShortMessages

_LONG = "From the old lighthouse it is five minutes along the water to the fish market, " * 4


def _hop(number: int) -> Hop:
    return Hop(number, float(number), "alice", "red.smsc", "CS", "SM", "TCP")


def _submits(text: str) -> list[bytes]:
    content = split_text(text, reference=7)
    return [
        RpData(
            Direction.FROM_MS,
            number,
            Address.international("+12025550199"),
            SmsSubmit(
                message_reference=number,
                destination=Address.international("+12025550152"),
                user_data=part,
                data_coding=content.coding,
            ).encode(),
        ).encode()
        for number, part in enumerate(content.parts)
    ]


@pytest.mark.parametrize("text", ["hello", "Grüße €", "привет 👍", _LONG, _LONG + "👍"])
def test_the_text_of_all_parts_is_joined(text: str) -> None:
    reader, rpdus = ShortMessages(), _submits(text)
    found = [each for number, rpdu in enumerate(rpdus, 1) for each in reader.read(_hop(number), rpdu, "12025550101")]
    assert [(each.text, each.sender, each.recipient) for each in found] == [(text, "12025550101", "12025550152")]
    assert found[0].short_message == SUBMIT
    assert found[0].hop.number == 1
    assert list(reader.rest()) == []


def test_parts_in_another_order_and_twice_are_one_message() -> None:
    reader, rpdus = ShortMessages(), _submits(_LONG)
    order = [rpdus[1], rpdus[1], *rpdus[2:], rpdus[0]]
    found = [each for number, rpdu in enumerate(order, 1) for each in reader.read(_hop(number), rpdu)]
    assert [each.text for each in found] == [_LONG]


def test_a_message_without_its_last_part_is_told_as_far_as_it_came() -> None:
    reader, rpdus = ShortMessages(), _submits(_LONG)
    assert reader.read(_hop(1), rpdus[0]) == []
    (rest,) = reader.rest()
    assert not rest.is_whole
    assert rest.text
    assert _LONG.startswith(rest.text)


def test_a_report_has_no_text() -> None:
    assert ShortMessages().read(_hop(1), RpAck(Direction.TO_MS, 3).encode()) == []


@given(st.binary(max_size=200))
def test_any_octets_are_read_without_an_error(octets: bytes) -> None:
    ShortMessages().read(_hop(1), octets)
