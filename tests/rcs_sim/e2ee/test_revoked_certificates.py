"""Which certificates are revoked, and where that counts."""

from __future__ import annotations

from rcs_sim.e2ee.certificate import read_certificate
from rcs_sim.e2ee.revoked_certificates import RevokedCertificates
from tests.support.certificate_chains import make_device, make_pki

_LEAF = read_certificate(make_device(make_pki(2)).chain[0])


def test_numbers_of_the_own_carrier_count_everywhere_and_leading_zeros_nowhere() -> None:
    revoked = RevokedCertificates.of([b"\x00\x00" + _LEAF.serial])
    assert all(revoked.has(_LEAF, kds) for kds in (1, 2, None))
    assert revoked == RevokedCertificates.of([_LEAF.serial])
    assert hash(revoked) == hash(RevokedCertificates.of([_LEAF.serial]))


def test_numbers_of_others_count_under_their_roots() -> None:
    revoked = RevokedCertificates.of((), {2: [b"\x00" + _LEAF.serial], 1: [b"\x01"]})
    assert revoked.has(_LEAF, 2)
    assert not revoked.has(_LEAF, 1)
    assert not revoked.has(_LEAF, None)


def test_an_empty_list_is_false() -> None:
    assert not RevokedCertificates()
    assert not RevokedCertificates.of([], {2: []})
    assert RevokedCertificates.of([], {2: [b"\x01"]})
