"""One 1:1 from nothing to a displayed message: the worked example of the digest, octet count by octet count.

Keys, certificates and Bob's KeyPackage are those of the vectors. Counts hold for signatures of 71 octets; each DER
signature may take up to two less or one more.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any

import pytest

from ims_core.wire.secret import Secret
from rcs_sim.e2ee.certificate_validator import CertificateValidator
from rcs_sim.e2ee.client_message import ClientMlsRcsMessage
from rcs_sim.e2ee.credential_identity import X509Identity
from rcs_sim.e2ee.derived_content import (
    DeliveryStatus,
    DerivedContent,
    DisplayStatus,
    VerifiableDeliveryImdn,
    VerifiableDisplayImdn,
)
from rcs_sim.e2ee.encrypted_entity import text_entity
from rcs_sim.e2ee.key_package_profile import read_key_package, verify_claimed_package
from rcs_sim.e2ee.member.application_opening import Envelope
from rcs_sim.e2ee.member.control_outcome import Adopted, Joined
from rcs_sim.e2ee.member.device_identity import DeviceIdentity
from rcs_sim.e2ee.member.encrypted_conversation import EncryptedConversation
from rcs_sim.e2ee.member.key_package_pool import KeyPackagePool
from rcs_sim.e2ee.member.member_setting import MemberSetting
from rcs_sim.e2ee.member.receipt_signature import ReceiptVerdict
from rcs_sim.e2ee.member.seen_messages import Opened
from rcs_sim.e2ee.profile import E2eeProfile, apple_like_profile, lineage_like_profile
from rcs_sim.e2ee.secret_payload import SecretPayload
from rcs_sim.e2ee.server_message import AcceptedMessage, CommitBundle, encode_server_message
from rcs_sim.e2ee.trust_anchors import TrustAnchor, TrustAnchors
from rcs_sim.mls.client import KeyPackageKeys
from rcs_sim.mls.messages import MLSMessage, PrivateMessage
from rcs_sim.mls.signature import ECDSA_P256
from tests.support.member_devices import ALICE, BOB, seeded_random
from tests.support.vectors import load_vectors

_NOW_S = int(datetime.fromisoformat("2026-03-10T12:00:00+00:00").timestamp())
_GROUP_ID = b"7f3a0c5e-2b91-4d6f-8e10-5c9d2a4b6e01"
_CONTROL_ID, _MESSAGE_ID = "MxPyUE4E-JQdOaDAMF6CwzAQ", "Mxmx3rTTt9S62b3SsNez3LbQ"
_RECEIPT_ID = "C0FFEE00-1234-4ABC-8DEF-0123456789AB"


@lru_cache
def _entries() -> dict[str, Any]:
    return {each["name"]: each for each in load_vectors("rcc16/vectors.json")["vectors"]}


def _octets(name: str) -> bytes:
    return bytes.fromhex(_entries()[name]["expected_hex"])


def _trust() -> X509Identity:
    anchors = TrustAnchors(
        (TrustAnchor(2, 2, _octets("cert/red/root_der")), TrustAnchor(1, 1, _octets("cert/blue/root_der")))
    )
    return X509Identity(CertificateValidator(anchors))


def _conversation(name: str, number: str, issuer: str, profile: E2eeProfile) -> EncryptedConversation:
    inputs = _entries()[f"cert/{name}/leaf_der"]["inputs"]
    leaf_key = ECDSA_P256.key(Secret.of_hex(inputs["leaf_private_hex"]))
    chain = (_octets(f"cert/{name}/leaf_der"), _octets(f"cert/{issuer}/ica_der"))
    identity = DeviceIdentity(
        msisdn=number, client_id=inputs["cn"], participant_key=leaf_key, leaf_key=leaf_key, chain=chain
    )
    setting = MemberSetting.of(identity, profile, _trust(), seeded_random(f"worked example {name}"))
    return EncryptedConversation(setting, KeyPackagePool(), (ALICE, BOB))


def _bobs_keys(bob: EncryptedConversation) -> KeyPackageKeys:
    inputs = _entries()["key_package/bob0"]["inputs"]
    private = [Secret.of_hex(inputs[f"{each}_private_hex"]) for each in ("init", "encryption")]
    package = read_key_package(_octets("key_package/bob0"))
    return KeyPackageKeys(package, private[0], private[1], bob.setting.identity.leaf_key)


def _is_about(octets: bytes, expected: int, signatures: int) -> bool:
    """Whether there are so many octets, give or take what so many signatures may differ by."""
    return expected - 2 * signatures <= len(octets) <= expected + signatures


@pytest.fixture
def talk() -> tuple[EncryptedConversation, EncryptedConversation]:
    """Alice like the reference, Bob like an iPhone."""
    alice = _conversation("alice", ALICE, "red", lineage_like_profile())
    bob = _conversation("bob", BOB, "blue", apple_like_profile())
    bob.control.pool.keep(_bobs_keys(bob), _NOW_S)
    return alice, bob


def test_the_worked_example_from_nothing_to_a_displayed_message(
    talk: tuple[EncryptedConversation, EncryptedConversation],
) -> None:
    alice, bob = talk
    # 7: the claimed package passes the consumer's checks
    claimed = _octets("key_package/bob0")
    assert len(claimed) == 1875
    anchors = _trust().validator.anchors
    package = verify_claimed_package(claimed, msisdn=BOB, trust=anchors, now_s=_NOW_S).key_package

    # 8, 9: the group and the request
    operation = alice.control.create([package], _GROUP_ID, _CONTROL_ID, _NOW_S)
    request = ClientMlsRcsMessage.decode(operation.request.encode())
    assert request.group_info is not None
    assert _is_about(request.commit, 2104, 1)
    assert _is_about(request.group_info.ratchet_tree, 3453, 1)
    assert _is_about(request.group_info.group_info, 310, 1)
    assert alice.control.candidate is not None
    assert len(alice.control.candidate.group.group.context.encode()) == 123
    assert operation.result is not None
    assert operation.result.moment == (1, 1)

    # 10, 12: accepted, converged
    accepted = AcceptedMessage(_CONTROL_ID, operation.result, False)
    assert len(encode_server_message(accepted)) == 70
    assert len(encode_server_message(AcceptedMessage(_CONTROL_ID, operation.result, True))) == 72
    answer = Envelope(message_id="answer", asserted_sender=BOB, era=1)
    assert isinstance(alice.receive(accepted, answer, _NOW_S), Adopted)

    # 11: Bob joins
    bundle = CommitBundle(
        welcome=request.welcome,
        ratchet_tree=request.group_info.ratchet_tree,
        state=operation.result,
        epoch_authenticator=operation.result.epoch_authenticator,
    )
    envelope = Envelope(message_id=_CONTROL_ID, asserted_sender=ALICE, era=1)
    joined = bob.receive(bundle, envelope, _NOW_S)
    assert isinstance(joined, Joined), joined
    assert bob.identifier == alice.identifier == operation.result
    assert bob.control.pool.estimate == 0

    # 13, 14: hello
    sealed = alice.seal(text_entity("hello"), _MESSAGE_ID, _NOW_S)
    assert len(sealed.octets) == 322
    message = MLSMessage.decode(sealed.octets).body
    assert isinstance(message, PrivateMessage)
    assert len(message.authenticated_data) == 32
    assert len(message.ciphertext) - 16 == 192
    assert len(SecretPayload(0, text_entity("hello").encode()).encode()) == 107
    opened = bob.open(sealed.octets, Envelope(message_id=_MESSAGE_ID, asserted_sender=ALICE, era=1), _NOW_S)
    assert isinstance(opened, Opened)
    assert (opened.entity.text, opened.sender) == ("hello", ALICE)

    # 15, 16: delivered, displayed
    delivered = VerifiableDeliveryImdn(_MESSAGE_ID, DeliveryStatus.DELIVERED)
    displayed = VerifiableDisplayImdn(_MESSAGE_ID, DisplayStatus.DISPLAYED)
    for statement, content_octets, signature_octets in ((delivered, 76, 241), (displayed, 74, 239)):
        content = DerivedContent(_RECEIPT_ID, 1, statement).encode()
        assert len(content) == content_octets
        signature = bob.sign_receipt(content)
        assert _is_about(signature, signature_octets, 1)
        assert alice.verify_receipt(signature, [content], BOB) is ReceiptVerdict.GENUINE


def test_texts_of_many_lengths_show_few_lengths_on_the_wire(
    talk: tuple[EncryptedConversation, EncryptedConversation],
) -> None:
    alice, bob = talk
    operation = alice.control.create([_bobs_keys(bob).key_package], _GROUP_ID, _CONTROL_ID, _NOW_S)
    answer = Envelope(message_id="answer", asserted_sender=BOB, era=1)
    alice.receive(AcceptedMessage(_CONTROL_ID, operation.result), answer, _NOW_S)
    for characters, octets in ((0, 322), (5, 322), (20, 338), (100, 418), (160, 482), (500, 834), (900, 1218)):
        message_id = f"Mx{characters:022d}"
        assert len(alice.seal(text_entity("x" * characters), message_id, _NOW_S).octets) == octets


def test_sizes_of_welcome_and_bundle_without_a_continuity_token() -> None:
    alice = _conversation("alice", ALICE, "red", _without_token(lineage_like_profile()))
    bob = _conversation("bob", BOB, "blue", apple_like_profile())
    request = alice.control.create([_bobs_keys(bob).key_package], _GROUP_ID, _CONTROL_ID, _NOW_S).request
    assert _is_about(request.welcome, 412, 2)
    assert _is_about(request.encode(), 6436, 5)
    assert request.group_info is not None
    assert request.result is not None
    bundle = CommitBundle(
        welcome=request.welcome,
        ratchet_tree=request.group_info.ratchet_tree,
        state=request.result,
        epoch_authenticator=request.result.epoch_authenticator,
    )
    assert _is_about(encode_server_message(bundle), 3954, 3)


def _without_token(profile: E2eeProfile) -> E2eeProfile:
    return replace(profile, sends_continuity_token=False)
