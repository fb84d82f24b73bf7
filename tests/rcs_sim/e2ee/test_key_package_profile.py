"""What RCC.16 asks of KeyPackages, in a directory and out of one (RCC.16 §5.1, §5.3, A.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rcs_sim.e2ee.certificate import read_certificate
from rcs_sim.e2ee.certificate_profile import FLOOR_S, Strictness
from rcs_sim.e2ee.certificate_validator import CertificateValidator
from rcs_sim.e2ee.key_package_profile import (
    SUITE,
    KeyPackageRefused,
    KeyPackageRule,
    VerifiedKeyPackage,
    group_lifetime,
    key_package_lifetime,
    read_key_package,
    verify_claimed_package,
    verify_uploaded_package,
    wrap_key_package,
)
from rcs_sim.e2ee.profile import DirectoryLifetime
from rcs_sim.e2ee.trust_anchors import TrustAnchors
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.leaf_node import Lifetime
from tests.support.certificate_chains import CLIENT_ID, DAY_S, DIGITS, NOW_S, Device, make_device, make_pki

PKI = make_pki(1)
DEVICE = make_device(PKI)
LEAF = read_certificate(DEVICE.chain[0])
TRUST = TrustAnchors((PKI.anchor,))
STRICT = CertificateValidator(TRUST)
Rule = KeyPackageRule


def random(count: int) -> bytes:
    """Different octets in every call."""
    random.calls += 1  # type: ignore[attr-defined] # a counter beside the function
    return CipherSuite.of(2).hash(random.calls.to_bytes(4, "big")).ljust(count, b"\x01")[:count]  # type: ignore[attr-defined] # same


random.calls = 0  # type: ignore[attr-defined] # same


def package(
    device: Device = DEVICE,
    *,
    mode: DirectoryLifetime = DirectoryLifetime.RCC16,
    lifetime: Lifetime | None = None,
    suites: tuple[int, ...] = (1, 3, 2, 7),
    last_resort: bool = False,
    now_s: int = NOW_S,
) -> bytes:
    chosen = lifetime or key_package_lifetime(mode, read_certificate(device.chain[0]), now_s)
    made = device.client(suites).create_key_package(random, chosen, last_resort=last_resort)
    return wrap_key_package(made.key_package.encode())


def claimed(octets: bytes, now_s: int = NOW_S, **more: bool) -> VerifiedKeyPackage:
    return verify_claimed_package(octets, msisdn=DIGITS, trust=TRUST, now_s=now_s, **more)


def uploaded(
    octets: bytes,
    now_s: int = NOW_S,
    *,
    mode: DirectoryLifetime = DirectoryLifetime.RCC16,
    is_last_resort: bool = False,
    client_id: str | None = None,
) -> VerifiedKeyPackage:
    return verify_uploaded_package(
        octets,
        msisdn=DIGITS,
        trust=TRUST,
        modes=[mode],
        is_last_resort=is_last_resort,
        now_s=now_s,
        client_id=client_id,
    )


def rule_of(check: Callable[[], object]) -> KeyPackageRule:
    with pytest.raises(KeyPackageRefused) as refused:
        check()
    return refused.value.key_package_rule


@pytest.mark.parametrize("mode", DirectoryLifetime)
@pytest.mark.parametrize("last_resort", [False, True])
def test_a_good_package_goes_in_and_comes_out(mode: DirectoryLifetime, last_resort: bool) -> None:
    octets = package(mode=mode, last_resort=last_resort)
    stored = uploaded(octets, mode=mode, is_last_resort=last_resort, client_id=CLIENT_ID)
    found = claimed(stored.octets)
    assert found.message == octets
    assert (found.client_id, found.is_last_resort, found.remarks) == (CLIENT_ID, last_resort, ())
    assert found.reference == CipherSuite.of(SUITE).key_package_ref(octets[4:])
    assert found.certificate is LEAF
    assert verify_claimed_package(octets, msisdn=DIGITS, trust=STRICT, now_s=NOW_S).chain.digits == DIGITS


def test_lifetimes_of_the_two_directories() -> None:
    span_s = LEAF.not_after_s - LEAF.not_before_s
    rcc16 = key_package_lifetime(DirectoryLifetime.RCC16, LEAF, NOW_S)
    assert rcc16 == Lifetime(LEAF.not_before_s, LEAF.not_before_s + span_s - 1800)
    google = key_package_lifetime(DirectoryLifetime.GOOGLE, LEAF, NOW_S)
    assert google == Lifetime(LEAF.not_before_s, LEAF.not_before_s + 365 * DAY_S)
    for mode in DirectoryLifetime:
        assert key_package_lifetime(mode, None, NOW_S) == Lifetime(NOW_S, NOW_S + 365 * DAY_S)
    ages = replace(LEAF, not_after=replace(LEAF.not_after, at_s=LEAF.not_before_s + 1000 * DAY_S))
    capped = key_package_lifetime(DirectoryLifetime.RCC16, ages, NOW_S)
    assert capped.not_after - capped.not_before == 365 * DAY_S
    short = replace(LEAF, not_after=replace(LEAF.not_after, at_s=LEAF.not_before_s + 60))
    assert key_package_lifetime(DirectoryLifetime.RCC16, short, NOW_S).not_after == LEAF.not_before_s


def test_lifetime_of_a_creator_begins_a_day_ago_but_not_before_its_certificate() -> None:
    assert group_lifetime(LEAF, NOW_S).not_before == LEAF.not_before_s
    assert group_lifetime(LEAF, NOW_S + 9 * DAY_S).not_before == NOW_S + 8 * DAY_S
    assert group_lifetime(LEAF, LEAF.not_before_s - 5).not_before == LEAF.not_before_s - 5
    assert group_lifetime(None, NOW_S).not_before == NOW_S


def test_a_directory_takes_only_its_own_rule() -> None:
    for mine, other in (
        (DirectoryLifetime.RCC16, DirectoryLifetime.GOOGLE),
        (DirectoryLifetime.GOOGLE, DirectoryLifetime.RCC16),
    ):
        octets = package(mode=mine)
        assert rule_of(lambda octets=octets, other=other: uploaded(octets, mode=other)) is Rule.DIRECTORY_LIFETIME


def test_last_resort_goes_into_its_own_place() -> None:
    assert rule_of(lambda: uploaded(package(last_resort=True))) is Rule.LAST_RESORT
    assert rule_of(lambda: uploaded(package(), is_last_resort=True)) is Rule.LAST_RESORT


def test_a_package_of_another_number_client_or_vendor_is_refused() -> None:
    other_number = package(make_device(PKI, digits="12025550199"))
    assert rule_of(lambda: claimed(other_number)) is Rule.NUMBER
    assert rule_of(lambda: uploaded(other_number)) is Rule.NUMBER
    assert rule_of(lambda: uploaded(package(), client_id="another")) is Rule.CLIENT
    other_vendor = package(make_device(make_pki(2)))
    assert rule_of(lambda: claimed(other_vendor)) is Rule.CERTIFICATE
    assert rule_of(lambda: uploaded(other_vendor)) is Rule.CERTIFICATE


def test_a_broken_certificate_is_named_by_its_rule() -> None:
    octets = package(make_device(make_pki(2)))
    with pytest.raises(KeyPackageRefused) as refused:
        claimed(octets)
    assert refused.value.rule == "RFC 5280 §6.1.1 trust anchor"


def test_suite_two_is_used_and_advertised() -> None:
    assert rule_of(lambda: claimed(package(suites=(1, 3, 7)))) is Rule.CAPABILITIES
    assert rule_of(lambda: uploaded(package(suites=(1, 3, 7)))) is Rule.CAPABILITIES
    raw = package()[4:]
    for check in (claimed, uploaded):
        assert rule_of(lambda check=check: check(raw[:2] + b"\x00\x01" + raw[4:])) is Rule.CIPHER_SUITE


def test_signatures_are_checked() -> None:
    octets = package()
    changed = octets[:-1] + bytes((octets[-1] ^ 1,))
    for check in (claimed, uploaded):
        assert rule_of(lambda check=check: check(changed)) is Rule.VALIDITY


def test_thirty_days_of_a_claimed_lifetime_are_left_to_the_second() -> None:
    octets = package(lifetime=Lifetime(NOW_S - DAY_S, NOW_S + FLOOR_S))
    claimed(octets)
    assert rule_of(lambda: claimed(octets, NOW_S + 1)) is Rule.LIFETIME_FLOOR


def test_an_ended_proof_is_noted_where_it_is_not_refused() -> None:
    octets = package(make_device(PKI, proof_life_s=DAY_S))
    assert claimed(octets, NOW_S + DAY_S - 1).remarks == ()
    (remark,) = claimed(octets, NOW_S + DAY_S).remarks
    assert "ended" in remark
    picky = CertificateValidator(TRUST, Strictness.TOLERANT, refuses_expired_proof=True)
    with pytest.raises(KeyPackageRefused, match=r"A\.3\.8\.10"):
        verify_claimed_package(octets, msisdn=DIGITS, trust=picky, now_s=NOW_S + DAY_S)


def test_thirty_days_of_certificate_are_noted_at_a_claim_and_required_in_a_directory() -> None:
    """The KeyPackage's lifetime and the certificate's validity are two clocks."""
    octets = package(mode=DirectoryLifetime.GOOGLE)
    late_s = LEAF.not_after_s - FLOOR_S + 1
    assert claimed(octets, late_s - 1).remarks == ()
    assert len(claimed(octets, late_s).remarks) == 1
    assert rule_of(lambda: claimed(octets, late_s, requires_certificate_floor=True)) is Rule.CERTIFICATE_FLOOR
    assert rule_of(lambda: uploaded(octets, late_s, mode=DirectoryLifetime.GOOGLE)) is Rule.CERTIFICATE_FLOOR
    assert rule_of(lambda: claimed(octets, LEAF.not_after_s + 1)) is Rule.CERTIFICATE
    strict = CertificateValidator(TRUST, Strictness.STRICT)
    assert (
        rule_of(lambda: verify_claimed_package(octets, msisdn=DIGITS, trust=strict, now_s=late_s)) is Rule.CERTIFICATE
    )


def test_a_leaf_of_an_update_is_no_leaf_of_a_key_package() -> None:
    made = read_key_package(package())
    leaf = replace(made.leaf_node, leaf_node_source=type(made.leaf_node.leaf_node_source).UPDATE, lifetime=None)
    octets = replace(made, leaf_node=leaf).encode()
    for check in (claimed, uploaded):
        assert rule_of(lambda check=check: check(octets)) is Rule.SOURCE


@settings(deadline=None)  # a loaded machine takes its time for signatures
@given(st.binary(max_size=100))
def test_any_octets_are_a_key_package_or_refused(octets: bytes) -> None:
    assert rule_of(lambda: claimed(octets)) is Rule.SYNTAX
    assert rule_of(lambda: uploaded(octets)) is Rule.SYNTAX


_GOOD = package()


@settings(deadline=None)  # a loaded machine takes its time for signatures
@given(st.integers(0, len(_GOOD) - 1), st.integers(1, 255))
def test_any_changed_octet_refuses_the_package(place: int, difference: int) -> None:
    changed = _GOOD[:place] + bytes((_GOOD[place] ^ difference,)) + _GOOD[place + 1 :]
    assert rule_of(lambda: claimed(changed)) in Rule


def test_endless_packages_are_refused() -> None:
    assert rule_of(lambda: read_key_package(bytes(40_000))) is Rule.SYNTAX
