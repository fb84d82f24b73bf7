"""Numbers of short message addresses."""

from __future__ import annotations

import pytest

from ims_core.nodes.dialled_number import dialled_number
from ims_core.wire.sms.address import Address


@pytest.mark.parametrize(
    ("type_of_address", "value", "number"),
    [
        (0x91, "12025550152", "+12025550152"),
        (0x81, "2025550152", "+12025550152"),
        (0xA1, "2025550152", "+12025550152"),
        (0x81, "12025550152", "+12025550152"),
        (0x81, "011442079460000", "+442079460000"),
        (0x81, "911", None),
        (0x81, "*100#", None),
        (0x91, "1202*", None),
        (0x91, "", None),
        (0xD0, "LabBank", None),
    ],
)
def test_an_address_stands_for_a_number(type_of_address: int, value: str, number: str | None) -> None:
    assert dialled_number(Address(type_of_address, value), "US") == number
