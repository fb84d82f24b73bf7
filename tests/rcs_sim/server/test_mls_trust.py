"""Whom a focus believes, while what its key service says changes."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from rcs_sim.e2ee.certificate import read_certificate
from rcs_sim.e2ee.certificate_profile import CertificateRefused, CertificateRule, Strictness
from rcs_sim.e2ee.credential_identity import msisdn_of
from rcs_sim.e2ee.custom_proposals import rcs_seams
from rcs_sim.e2ee.revoked_certificates import RevokedCertificates
from rcs_sim.e2ee.trust_anchors import TrustAnchors
from rcs_sim.mls.credential import X509Credential
from rcs_sim.server.mls_arbiter import MlsArbiter
from rcs_sim.server.mls_trust import FixedTrust, FocusIdentity
from tests.rcs_sim.server.focus_lab import Table, bundle_of
from tests.support.focus_devices import ALICE, BOB, FocusDevice, pki, trust


class _Source:
    """A key service whose word changes."""

    def __init__(self) -> None:
        self.trust = trust()
        self.revoked = RevokedCertificates()

    def revoke(self, serials: Iterable[bytes], kds: int | None = None) -> None:
        listed = list(serials)
        self.revoked = RevokedCertificates.of(*(((), {kds: listed}) if kds is not None else (listed,)))


def _table(source: _Source, strictness: Strictness = Strictness.TOLERANT) -> Table:
    table = Table()
    table.arbiter = MlsArbiter(table.rules, rcs_seams(FocusIdentity(source, strictness), msisdn_of))
    return table


def _credential(device: FocusDevice) -> X509Credential:
    credential = device.client.credential
    assert isinstance(credential, X509Credential)
    return credential


def _serials(device: FocusDevice) -> list[bytes]:
    return [read_certificate(each).serial for each in _credential(device).certificates]


@pytest.mark.parametrize("strictness", Strictness)
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("kds", [None, 1])
def test_nobody_commits_beside_a_member_who_was_revoked_meanwhile(
    strictness: Strictness, place: int, kds: int | None
) -> None:
    source = _Source()
    table = _table(source, strictness)
    table.established()
    table.committed(table.alice, table.bob, "before")
    source.revoke([_serials(table.bob)[place]], kds)
    refused = (12, "expired-credential", f"tel:+{BOB}")
    assert table.refused(table.alice, "after", table.alice.commit("after")) == refused
    source.revoke([])
    table.committed(table.alice, table.bob, "again")


def test_another_carrier_revokes_nothing_of_ours() -> None:
    source = _Source()
    table = _table(source)
    table.established()
    source.revoke(_serials(table.alice), kds=1)  # alice is certified by vendor 2
    table.committed(table.alice, table.bob, "still good")


def test_a_group_with_a_revoked_member_is_not_begun() -> None:
    source = _Source()
    table = _table(source)
    source.revoke(_serials(table.bob)[:1])
    request = table.alice.create("create", [table.bob])
    assert table.refused(table.alice, "create", request) == (12, "expired-credential", f"tel:+{BOB}")


def test_a_root_that_is_withdrawn_takes_its_members_with_it_and_one_that_comes_is_believed() -> None:
    source = _Source()
    table = _table(source)
    source.trust = TrustAnchors((pki(2).anchor,))
    request = table.alice.create("early", [table.bob])
    check, token, _ = table.refused(table.alice, "early", request)
    assert (check, token) == (14, "invalid-commit")
    source.trust = trust()
    table.established()
    source.trust = TrustAnchors((pki(2).anchor,))
    refused = (12, "expired-credential", f"tel:+{BOB}")
    assert table.refused(table.alice, "late", table.alice.commit("late")) == refused
    source.trust = trust()
    decision = table.accepted(table.alice, "back", table.alice.commit("back"))
    table.bob.receive(bundle_of(decision))


def test_a_certificate_is_judged_by_what_is_known_at_that_moment() -> None:
    source = _Source()
    identity = FocusIdentity(source)
    device = FocusDevice(ALICE)
    credential, key = _credential(device), device.client.signature_key.public
    identity.verify_credential(credential, key, device.now_s)
    assert identity.now is identity.now
    source.revoke(_serials(device)[:1])
    with pytest.raises(CertificateRefused) as refused:
        identity.verify_credential(credential, key, device.now_s)
    assert refused.value.finding.rule is CertificateRule.REVOKED


def test_roots_may_stay_as_they_are() -> None:
    device = FocusDevice(ALICE)
    credential, key = _credential(device), device.client.signature_key.public
    identity = FocusIdentity(FixedTrust(trust()))
    identity.verify_credential(credential, key, device.now_s)
    assert identity.is_successor(credential, credential)
    assert identity.identity_of(credential)
