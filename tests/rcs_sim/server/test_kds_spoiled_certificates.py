"""One thing wrong with a certificate: a directory names the rule when its owner uploads key packages under it, drops
it when another directory serves it, and says which rule that was (RCC.16 Annex A, §5.3, digest §14.5, §14.7)."""

from __future__ import annotations

import json

import pytest

from ims_core.transport.http_message import HttpResponse
from rcs_sim.e2ee.certificate import read_certificate
from rcs_sim.e2ee.certificate_profile import CertificateRule, Strictness
from rcs_sim.e2ee.certificate_validator import CertificateValidator
from rcs_sim.e2ee.der import DerError
from rcs_sim.e2ee.key_package_profile import key_package_lifetime, wrap_key_package
from rcs_sim.e2ee.leaf_capabilities import leaf_capabilities
from rcs_sim.e2ee.profile import DirectoryLifetime, google_like_profile
from rcs_sim.mls.client import Client
from rcs_sim.mls.credential import X509Credential
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.server.kds_actions import AskPeer
from rcs_sim.wire.key_directory import (
    ClaimedKeyPackage,
    ClaimRequest,
    FederationClaimResponse,
    KdsPath,
    UploadRequest,
)
from tests.support.certificate_chains import CLIENT_ID, DIGITS, NOW_S, ChainDraft
from tests.support.certificate_mutations import MUTATIONS, Mutation
from tests.support.kds import BLUE, RED, KdsSide, response_of
from tests.support.mls_tree_views import seeded

_SUITE = CipherSuite.of(2)
_COUNTED = [each for each in MUTATIONS if not each.is_tolerated]


def _side(draft: ChainDraft, own: bool) -> tuple[KdsSide, bytes]:
    """A directory that trusts the draft's root as that of its own vendor, or of the other one; and a key package."""
    chain, anchors = draft.build()
    side = KdsSide(RED, BLUE).start() if own else KdsSide(BLUE, RED).start()
    side.now = float(NOW_S)
    side.server.anchors._validators[RED.kds] = CertificateValidator(anchors, Strictness.TOLERANT)
    try:
        leaf = read_certificate(chain[0]) if chain else None
    except DerError:
        leaf = None
    client = Client(
        suite=_SUITE,
        credential=X509Credential(chain),
        signature_key=draft.leaf_key,
        capabilities=leaf_capabilities(google_like_profile()),
    )
    lifetime = key_package_lifetime(DirectoryLifetime.RCC16, leaf, NOW_S)
    made = client.create_key_package(seeded("package"), lifetime)
    return side, wrap_key_package(made.key_package.encode())


def _uploaded(side: KdsSide, package: bytes) -> HttpResponse:
    request = UploadRequest(msisdn=DIGITS, client_id=CLIENT_ID, key_packages=(package,), last_resort=b"")
    return side.call(KdsPath.KEY_PACKAGES, request.encode())


_EARLIER = ("A.4.1 number", "A.4.1.2 lifetime")  # consumers look at number and lifetime first (digest §2.4)


def test_there_are_more_than_forty() -> None:
    assert len(_COUNTED) >= 40


def test_the_chain_that_is_spoiled_is_good_itself() -> None:
    side, package = _side(ChainDraft(), own=True)
    assert _uploaded(side, package).status == 200


@pytest.mark.parametrize("mutation", _COUNTED, ids=lambda each: each.name)
def test_an_upload_under_it_is_refused_by_the_rule_that_it_breaks(mutation: Mutation) -> None:
    draft = ChainDraft()
    mutation.change(draft)
    side, package = _side(draft, own=True)
    response = _uploaded(side, package)
    members = json.loads(response.body)
    assert (response.status, members["error"]) == (422, "bad_key_package"), members
    assert str(mutation.rule) in members["detail"], members
    assert any(str(mutation.rule) in note.summary for note in side.notes)
    assert not side.server.directory.pool_sizes(DIGITS)


@pytest.mark.parametrize("mutation", _COUNTED, ids=lambda each: each.name)
def test_one_that_another_directory_serves_is_dropped_with_the_rule_in_the_trace(mutation: Mutation) -> None:
    draft = ChainDraft()
    mutation.change(draft)
    side, package = _side(draft, own=False)
    claim = ClaimRequest(target_msisdn=DIGITS, requester_msisdn=BLUE.numbers[0], kds=RED.kds)
    (ask,) = [each for each in side.actions(KdsPath.CLAIM, claim.encode()) if isinstance(each, AskPeer)]
    told = FederationClaimResponse(
        request_id=ask.request.request_id,
        target_msisdn=DIGITS,
        key_packages=(ClaimedKeyPackage(client_id=CLIENT_ID, key_package=package, is_last_resort=False),),
        anchors_generation=1,
    )
    actions = side._kept(side.server.peer_answered(ask, HttpResponse(200, body=told.encode()), side.now))
    assert (response_of(actions).status, json.loads(response_of(actions).body)["error"]) == (404, "no_key_packages")
    (reason,) = [str(note.details["reason"]) for note in side.notes if "dropped" in note.summary]
    assert str(mutation.rule) in reason or reason.startswith(_EARLIER)


def test_every_rule_of_the_validator_that_a_chain_can_break_is_named_by_one_of_them() -> None:
    beyond = {CertificateRule.CLOCK, CertificateRule.REVOKED}
    assert len({each.rule for each in _COUNTED}) >= len(set(CertificateRule) - beyond) * 2 // 3
