"""The messages of the parser rows are what the rows say."""

from __future__ import annotations

import pytest

from ims_core.wire.sip.parser import check, parse_datagram
from rcs_sim.bench.messages import measure_parser, measure_proxy_step, message_octets, register_octets
from rcs_sim.bench.row import Measured


@pytest.mark.parametrize("number", [0, 1, 3999])
def test_they_have_the_size_that_their_row_names(number: int) -> None:
    assert len(register_octets(number)) == 876
    assert len(message_octets(number)) == 1184


@pytest.mark.parametrize("octets", [register_octets(7), message_octets(7)])
def test_they_are_sound_and_come_back_octet_by_octet(octets: bytes) -> None:
    message = parse_datagram(octets)
    check(message)
    assert message.encode() == octets


def test_no_two_are_equal() -> None:
    assert len({message_octets(number) for number in range(100)}) == 100


def test_the_rows_give_figures() -> None:
    rows = [*measure_parser(1), *measure_proxy_step(1)]
    assert [row.row for row in rows] == ["parse", "parse", "proxy-step"]
    assert all(isinstance(row, Measured) and row.value > 0 for row in rows)
