"""Time stamps and validity periods (TS 23.040 §9.2.3.11, §9.2.3.12)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from ims_core.wire.sms.timestamp import AbsoluteValidity, EnhancedValidity, RelativeValidity, Timestamp

_MOMENT = datetime(2026, 3, 2, 10, 18, 5, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("zone_quarters", "octets"),
    [(0, "62302001815000"), (-20, "6230205081500A"), (22, "62302051845022"), (-48, "6230102281508C")],
)
def test_a_moment_has_its_octets_in_every_zone(zone_quarters: int, octets: str) -> None:
    stamp = Timestamp.at(_MOMENT, zone_quarters)
    assert stamp.octets.hex().upper() == octets
    assert stamp.zone_quarters == zone_quarters
    assert stamp.to_epoch_s() == _MOMENT


@given(st.integers(631152000 + 86400, 3786912000 - 86400), st.integers(-79, 79))
def test_moments_round_trip(epoch_s: int, zone_quarters: int) -> None:
    assert Timestamp.at(epoch_s, zone_quarters).to_epoch_s() == epoch_s


@given(st.binary(min_size=7, max_size=7))
def test_any_octets_are_a_moment_or_none(octets: bytes) -> None:
    Timestamp(octets).to_epoch_s()


def test_an_impossible_date_is_none_and_kept() -> None:
    stamp = Timestamp(bytes.fromhex("62312001815000"))  # month 13
    assert stamp.to_datetime() is None
    assert stamp.octets == bytes.fromhex("62312001815000")


def test_a_digit_above_nine_counts_as_zero() -> None:
    moment = Timestamp(bytes.fromhex("623020018150F0")).to_datetime()
    assert moment is not None
    assert moment.utcoffset() is not None


@pytest.mark.parametrize("epoch_s", [0.0, 4e9])
def test_a_year_without_two_digit_form_is_our_own_error(epoch_s: float) -> None:
    with pytest.raises(LocalProtocolError):
        Timestamp.at(epoch_s)


@pytest.mark.parametrize(
    ("octet", "duration_s"),
    [(0, 300), (143, 43200), (144, 45000), (167, 86400), (168, 2 * 86400), (196, 30 * 86400), (197, 5 * 604800)],
)
def test_relative_period_follows_its_table(octet: int, duration_s: int) -> None:
    assert RelativeValidity(octet).duration_s == duration_s
    assert RelativeValidity.at_least(duration_s) == RelativeValidity(octet)


@given(st.floats(0, 1e9))
def test_at_least_is_the_shortest_that_suffices(duration_s: float) -> None:
    chosen = RelativeValidity.at_least(duration_s)
    assert chosen.duration_s >= duration_s or chosen.octet == 255
    assert chosen.octet == 0 or RelativeValidity(chosen.octet - 1).duration_s < duration_s


@pytest.mark.parametrize(
    ("octets", "duration_s", "single_shot"),
    [
        ("00000000000000", None, False),
        ("01A70000000000", 86400, False),
        ("420A0000000000", 10, True),
        ("02000000000000", None, False),
        ("03100203000000", 1 * 3600 + 20 * 60 + 30, False),
        ("05000000000000", None, False),
        ("81A70000000000", None, False),
    ],
)
def test_enhanced_period_formats(octets: str, duration_s: int | None, single_shot: bool) -> None:
    period = EnhancedValidity(bytes.fromhex(octets))
    assert (period.duration_s, period.is_single_shot) == (duration_s, single_shot)
    assert period.expires_at(1000.0) == (None if duration_s is None else 1000.0 + duration_s)


def test_absolute_period_is_a_moment() -> None:
    assert AbsoluteValidity(Timestamp.at(_MOMENT)).expires_at(0.0) == _MOMENT
    assert AbsoluteValidity(Timestamp(bytes(7))).expires_at(0.0) is None
