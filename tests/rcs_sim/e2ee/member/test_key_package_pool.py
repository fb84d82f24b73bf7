"""The pool of KeyPackages (RCC.16 §5.1, §5.3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.e2ee.key_package_profile import read_key_package
from rcs_sim.e2ee.member.key_package_pool import KeyPackagePool
from rcs_sim.e2ee.profile import strict_v3_profile
from rcs_sim.mls.client import is_last_resort
from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.welcome import KeyPackageRef
from tests.support.member_devices import ALICE, NOW_S, MemberDevice, enrol, make_member

_DAY_S = 86400


def _references(device: MemberDevice) -> list[KeyPackageRef]:
    suite = device.setting.client.suite
    return [suite.key_package_ref(read_key_package(each).encode()) for each in device.packages]


def test_ten_packages_and_one_of_last_resort_are_minted_as_mls_messages() -> None:
    device = make_member(ALICE)
    assert all(each.startswith(b"\x00\x01\x00\x05") for each in device.packages)
    assert [is_last_resort(read_key_package(each)) for each in device.packages] == [False] * 10 + [True]
    assert device.pool.estimate == 10


def test_the_lifetime_is_the_directory_s() -> None:
    google = read_key_package(make_member(ALICE).packages[0]).leaf_node.lifetime
    device = make_member(ALICE, strict_v3_profile())
    rcc16 = read_key_package(device.packages[0]).leaf_node.lifetime
    assert google is not None
    assert rcc16 is not None
    assert google.not_after - google.not_before == 365 * _DAY_S
    assert rcc16.not_after == device.identity.certificate.not_after_s - 1800


def test_a_used_package_is_gone_and_remembered_for_a_fortnight() -> None:
    device = make_member(ALICE)
    reference = _references(device)[0]
    assert [keys.reference() for keys in device.pool.candidates([reference])] == [reference]
    device.pool.consume(reference, NOW_S)
    assert device.pool.candidates([reference]) == []
    assert device.pool.is_used(reference)
    assert device.pool.estimate == 9
    device.pool.mint(device.setting, NOW_S + 14 * _DAY_S + 1)
    assert not device.pool.is_used(reference)


def test_the_last_resort_is_used_again_and_calls_for_a_new_pool() -> None:
    device = make_member(ALICE)
    last = _references(device)[-1]
    device.pool.consume(_references(device)[0], NOW_S)
    assert not device.pool.needs_refill(device.setting, NOW_S)
    device.pool.consume(last, NOW_S)
    assert len(device.pool.candidates([last])) == 1
    assert device.pool.needs_refill(device.setting, NOW_S)
    device.mint(NOW_S + 60)
    assert not device.pool.needs_refill(device.setting, NOW_S + 60)
    device.pool.consume(last, NOW_S + 60)  # of the pool before: the new one is not empty because of that
    assert not device.pool.needs_refill(device.setting, NOW_S + 60)


def test_a_pool_that_was_made_by_a_clock_that_was_ahead_is_made_anew() -> None:
    device = make_member(ALICE)
    device.mint(NOW_S + 60)
    assert device.pool.needs_refill(device.setting, NOW_S + 59)


def test_a_pool_is_refilled_daily_when_few_are_left_and_with_a_new_certificate() -> None:
    device = make_member(ALICE)
    assert KeyPackagePool().needs_refill(device.setting, NOW_S)
    assert not device.pool.needs_refill(device.setting, NOW_S + _DAY_S - 1)
    assert device.pool.needs_refill(device.setting, NOW_S + _DAY_S)
    renewed = device.setting.with_identity(enrol(ALICE, 1, device.setting.profile, NOW_S + 1))
    assert device.pool.needs_refill(renewed, NOW_S + 1)
    for reference in _references(device)[:7]:
        device.pool.consume(reference, NOW_S)
    assert device.pool.needs_refill(device.setting, NOW_S + 1)


def test_an_unopenable_welcome_refills_once_an_hour() -> None:
    device = make_member(ALICE)
    for later_s, is_due in ((3599, False), (3600, True)):
        device.pool.welcome_failed(NOW_S + later_s)
        assert device.pool.needs_refill(device.setting, NOW_S + later_s) is is_due
    device.mint(NOW_S + 3600)
    device.pool.welcome_failed(NOW_S + 3601)
    assert not device.pool.needs_refill(device.setting, NOW_S + 3601)


def test_packages_of_the_pool_before_still_open_welcomes() -> None:
    device = make_member(ALICE)
    before = _references(device)
    device.mint(NOW_S + 60)
    assert len(device.pool.candidates(before)) == 11
    assert device.pool.estimate == 10
    device.mint(NOW_S + 60 + 15 * _DAY_S)
    assert device.pool.candidates(before) == []


def test_a_pool_survives_its_octets() -> None:
    device = make_member(ALICE)
    references = _references(device)
    device.pool.consume(references[0], NOW_S)
    again = KeyPackagePool.restore(device.pool.snapshot(), device.identity)
    assert again.snapshot() == device.pool.snapshot()
    assert again.is_used(references[0])
    assert again.estimate == 9
    assert not again.needs_refill(device.setting, NOW_S + 1)


@given(st.binary(max_size=200))
def test_octets_that_are_no_pool_are_refused(octets: bytes) -> None:
    identity = make_member(ALICE).identity
    try:
        KeyPackagePool.restore(octets, identity)
    except TlsDecodeError:
        return
    pytest.fail("accepted") if len(octets) < 6 else None
