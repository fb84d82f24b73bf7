"""Moments (RCC.16 §7.11.1)."""

from __future__ import annotations

from rcs_sim.e2ee.member.moment import FIRST_ERA, LAST_ERA, Moment


def test_the_era_counts_before_the_epoch() -> None:
    assert Moment(1, 0) > Moment(0, 2**63)
    assert Moment(1, 2) > Moment(1, 1)
    assert Moment(2, 1) == Moment(2, 1)


def test_a_moment_survives_its_octets() -> None:
    for moment in (Moment(FIRST_ERA, 0), Moment(LAST_ERA, 2**64 - 1)):
        assert Moment.decode(moment.encode()) == moment
