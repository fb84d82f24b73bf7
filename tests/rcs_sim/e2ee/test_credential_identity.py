"""Identities of MLS members over certificate chains (RCC.16 A.4, RFC 9420 §5.3.1)."""

from __future__ import annotations

import pytest

from rcs_sim.e2ee.certificate_profile import CertificateRefused, CertificateRule, Strictness
from rcs_sim.e2ee.certificate_validator import CertificateValidator
from rcs_sim.e2ee.credential_identity import (
    X509Identity,
    certificate_of,
    client_id_of,
    msisdn_of,
    participant_spki_of,
)
from rcs_sim.e2ee.trust_anchors import TrustAnchors
from rcs_sim.mls.commit_builder import CommitRequest
from rcs_sim.mls.credential import BasicCredential, Credential, X509Credential
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.group import Group
from rcs_sim.mls.joining import open_welcome
from rcs_sim.mls.leaf_node import Lifetime
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.proposals import Add
from rcs_sim.mls.seams import IdentityProvider, Seams
from rcs_sim.mls.welcome import Welcome
from tests.support.certificate_chains import CLIENT_ID, DAY_S, DIGITS, NOW_S, make_device, make_pki

RED, BLUE = make_pki(2), make_pki(1)
ALICE = make_device(RED)
BOB = make_device(BLUE, digits="12025550102", client_id="b2c4d6e8-1f3a-4b5c-8d7e-9f0a1b2c0102")
TRUST = TrustAnchors((RED.anchor, BLUE.anchor))
IDENTITY = X509Identity(CertificateValidator(TRUST))
CREDENTIAL = X509Credential(ALICE.chain)


def test_it_is_an_identity_provider() -> None:
    provider: IdentityProvider = IDENTITY
    provider.verify_credential(CREDENTIAL, ALICE.leaf_key.public, NOW_S)


def refusal(credential: Credential, key: bytes, now_s: int | None) -> CertificateRule:
    with pytest.raises(CertificateRefused) as refused:
        IDENTITY.verify_credential(credential, key, now_s)
    assert isinstance(refused.value, MlsValidationError)
    return refused.value.certificate_rule


def test_it_refuses_what_does_not_vouch_for_the_key() -> None:
    key = ALICE.leaf_key.public
    assert refusal(CREDENTIAL, BOB.leaf_key.public, NOW_S) is CertificateRule.SIGNATURE_KEY
    assert refusal(CREDENTIAL, ALICE.participant.key.public, NOW_S) is CertificateRule.SIGNATURE_KEY
    assert refusal(BasicCredential(b"alice"), key, NOW_S) is CertificateRule.CREDENTIAL_TYPE
    assert refusal(X509Credential(()), key, NOW_S) is CertificateRule.CHAIN_LENGTH
    assert refusal(CREDENTIAL, key, None) is CertificateRule.CLOCK
    assert refusal(CREDENTIAL, key, NOW_S + 80 * DAY_S) is CertificateRule.VALIDITY


def test_a_renewal_is_a_successor_and_another_client_is_not() -> None:
    renewed = X509Credential(make_device(RED, now_s=NOW_S + 20 * DAY_S).chain)
    assert renewed != CREDENTIAL
    assert IDENTITY.is_successor(CREDENTIAL, renewed)
    assert IDENTITY.identity_of(CREDENTIAL) == IDENTITY.identity_of(renewed)
    for other in (
        X509Credential(BOB.chain),
        X509Credential(make_device(RED, client_id="6a1f0f0c-7a52-4c0e-9a51-0d8f3c1e0199").chain),
        X509Credential(make_device(RED, digits="12025550199").chain),
        X509Credential((b"octets",)),
        BasicCredential(b"alice"),
    ):
        assert not IDENTITY.is_successor(CREDENTIAL, other)
        assert not IDENTITY.is_successor(other, CREDENTIAL)
        assert IDENTITY.identity_of(other) != IDENTITY.identity_of(CREDENTIAL)


def test_who_a_member_is() -> None:
    client = ALICE.client()
    leaf = client.initial_leaf(client.signature_key.public, Lifetime(0, 2**40))
    for member in (leaf, CREDENTIAL):
        assert (msisdn_of(member), client_id_of(member)) == (DIGITS, CLIENT_ID)
        assert participant_spki_of(member) == ALICE.participant.spki
        assert certificate_of(member) is not None


@pytest.mark.parametrize("credential", [BasicCredential(b"alice"), X509Credential((b"octets",)), X509Credential(())])
def test_who_cannot_be_read_is_nobody(credential: Credential) -> None:
    assert certificate_of(credential) is None
    assert (msisdn_of(credential), client_id_of(credential), participant_spki_of(credential)) == ("", "", b"")


def test_two_members_of_two_vendors_share_a_group() -> None:
    """The engine asks this identity provider for every leaf."""
    counter = iter(range(1 << 20))

    def random(count: int) -> bytes:
        return CipherSuite.of(2).hash(next(counter).to_bytes(4, "big")).ljust(count, b"\x01")[:count]

    policy = MemberPolicy(seams=Seams(identity=X509Identity(CertificateValidator(TRUST, Strictness.TOLERANT))))
    lifetime = Lifetime(NOW_S - DAY_S, NOW_S + 50 * DAY_S)
    group = Group.create(ALICE.client(), b"group", random, lifetime, policy=policy)
    package = BOB.client().create_key_package(random, lifetime)
    pending = group.commit(CommitRequest(proposals=(Add(package.key_package),)), random, NOW_S)
    group = group.merge_pending()
    assert pending.welcome is not None
    assert isinstance(pending.welcome.body, Welcome)
    opened = open_welcome(pending.welcome.body, [package], policy)
    joined = Group.join(opened, policy=policy, now_s=NOW_S)
    assert joined.epoch_authenticator == group.epoch_authenticator
    assert [msisdn_of(leaf) for _, leaf in joined.public.tree.members()] == [DIGITS, "12025550102"]
    with pytest.raises(CertificateRefused):
        Group.join(opened, policy=policy, now_s=NOW_S + 62 * DAY_S)
