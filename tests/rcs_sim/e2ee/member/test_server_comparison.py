"""Own state against the server's (RCC.16 §10.1)."""

from __future__ import annotations

import pytest

from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.member.server_comparison import ServerVerdict, compare_with_server, is_elected
from tests.support.member_devices import ALICE, BOB

_OWN = EpochIdentifier(2, 5, b"\x01" * 32)
_OTHER = b"\x02" * 32


@pytest.mark.parametrize(
    ("own", "server", "is_forked", "verdict"),
    [
        (_OWN, _OWN, False, ServerVerdict.IN_SYNC),
        (_OWN, EpochIdentifier(2, 5, _OTHER), False, ServerVerdict.DIVERGED),
        (_OWN, EpochIdentifier(2, 4, _OTHER), True, ServerVerdict.DIVERGED),
        (_OWN, EpochIdentifier(2, 4, _OTHER), False, ServerVerdict.AHEAD),
        (_OWN, EpochIdentifier(2, 6, _OTHER), False, ServerVerdict.BEHIND),
        (_OWN, EpochIdentifier(3, 5, _OTHER), False, ServerVerdict.ERA_GAP),
        (_OWN, EpochIdentifier(1, 9, _OTHER), False, ServerVerdict.ERA_GAP),
        (None, _OWN, False, ServerVerdict.REJOIN),
        (None, None, False, ServerVerdict.NOT_FOUND),
        (_OWN, None, False, ServerVerdict.NOT_FOUND),
    ],
)
def test_equal_numbers_are_not_taken_for_equal_groups(
    own: EpochIdentifier | None, server: EpochIdentifier | None, is_forked: bool, verdict: ServerVerdict
) -> None:
    assert compare_with_server(own, server, is_forked=is_forked) is verdict


def test_the_lowest_number_as_text_acts() -> None:
    assert is_elected(ALICE, [ALICE, BOB])
    assert not is_elected(BOB, [ALICE, BOB])
    assert is_elected("1999", ["1999", "2"])
