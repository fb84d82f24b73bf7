"""Signed receipts (RCC.16 §7.6.2, §7.6.3, §7.11.7)."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.e2ee.client_message import AdvanceKind
from rcs_sim.e2ee.credential_identity import X509Identity
from rcs_sim.e2ee.custom_proposals import RCS_CUSTOM_BODIES
from rcs_sim.e2ee.derived_content import (
    DeliveryStatus,
    DerivedContent,
    DisplayStatus,
    VerifiableDeliveryImdn,
    VerifiableDisplayImdn,
)
from rcs_sim.e2ee.failure_reason import ClientFailureReason
from rcs_sim.e2ee.member.application_opening import OpenRefusal, RefusalKind
from rcs_sim.e2ee.member.conversation_snapshot import restore_conversation, snapshot_conversation
from rcs_sim.e2ee.member.member_setting import MemberSetting
from rcs_sim.e2ee.member.operations import E2eeRefused, SealRefusal
from rcs_sim.e2ee.member.receipt_signature import ReceiptVerdict
from rcs_sim.mls.messages import MLSMessage, PublicMessage
from tests.support.member_devices import ALICE, BOB, NOW_S, PROFILES, Talk, established, exchanged, make_member

_CONTENT = DerivedContent("receipt-1", 1, VerifiableDeliveryImdn("message-1", DeliveryStatus.DELIVERED))


@pytest.mark.parametrize(("first", "second"), [*product(PROFILES, repeat=2)])
def test_receipts_verify_between_all_profiles(first: str, second: str) -> None:
    talk = established(make_member(ALICE, PROFILES[first]()), make_member(BOB, PROFILES[second]()))
    alice, bob = talk.devices
    for content in (
        _CONTENT,
        DerivedContent("receipt-2", 1, VerifiableDisplayImdn("message-1", DisplayStatus.DISPLAYED)),
        DerivedContent("receipt-3", 1, VerifiableDeliveryImdn("message-1", DeliveryStatus.FAILED, 4)),
    ):
        signature = bob.conversation.sign_receipt(content.encode())
        verdict = alice.conversation.verify_receipt(signature, [content.encode(), content.statement.encode()], BOB)
        assert verdict is ReceiptVerdict.GENUINE
    assert exchanged(talk)  # the carrier is no proposal: nothing waits to be committed


def _signed() -> tuple[Talk, bytes]:
    talk = established(make_member(ALICE), make_member(BOB, PROFILES["ios"]()))
    return talk, talk.devices[1].conversation.sign_receipt(_CONTENT.encode())


def test_the_carrier_is_a_public_message_with_an_empty_proposal() -> None:
    talk, signature = _signed()
    group = talk.devices[1].conversation.group
    assert group is not None
    head = b"\x00\x01\x00\x01" + bytes((36,)) + group.group_id + bytes(7) + b"\x01" + b"\x01\x00\x00\x00\x01"
    content = _CONTENT.encode()
    assert signature.startswith(head + bytes((len(content),)) + content + b"\x02\xf0\x02")
    message = MLSMessage.decode(signature, RCS_CUSTOM_BODIES).body
    assert isinstance(message, PublicMessage)
    assert message.membership_tag is not None


def test_a_receipt_of_the_epoch_before_still_verifies_and_one_of_the_next_does_not_yet() -> None:
    talk, signature = _signed()
    alice, bob = talk.devices
    talk.answer(alice, alice.conversation.control.rekey(talk.control_id(), NOW_S))
    assert alice.conversation.verify_receipt(signature, [_CONTENT.encode()], BOB) is ReceiptVerdict.GENUINE
    early = alice.conversation.sign_receipt(_CONTENT.encode())
    assert bob.conversation.verify_receipt(early, [_CONTENT.encode()], ALICE) is ReceiptVerdict.UNKNOWN_EPOCH


def test_a_receipt_of_the_era_before_that_was_on_its_way_still_verifies() -> None:
    talk, signature = _signed()
    alice, bob = talk.devices
    operation = alice.conversation.control.new_era(
        [bob.claim()], AdvanceKind.NORMAL, talk.control_id(), NOW_S, server=talk.focus.state, carried=talk.focus.info
    )
    talk.request(alice, operation)
    octets = snapshot_conversation(alice.conversation)
    again = restore_conversation(octets, alice.setting, alice.pool)
    assert snapshot_conversation(again) == octets
    for conversation in (alice.conversation, again):
        verify = conversation.verify_receipt
        assert verify(signature, [_CONTENT.encode()], BOB) is ReceiptVerdict.GENUINE
        assert verify(signature, [_CONTENT.encode()], ALICE) is ReceiptVerdict.FORGED
        assert verify(signature, [b""], BOB) is ReceiptVerdict.FORGED


def test_another_statement_sender_or_group_is_not_genuine() -> None:
    talk, signature = _signed()
    alice, bob = talk.devices
    verify = alice.conversation.verify_receipt
    other = DerivedContent("receipt-9", 1, _CONTENT.statement).encode()
    assert verify(signature, [other], BOB) is ReceiptVerdict.OTHER_STATEMENT
    assert verify(signature, [_CONTENT.encode()], ALICE) is ReceiptVerdict.WRONG_SENDER
    inner = bob.conversation.sign_receipt(_CONTENT.statement.encode())
    assert verify(inner, [_CONTENT.encode()], BOB) is ReceiptVerdict.OTHER_STATEMENT
    assert verify(inner, [_CONTENT.encode(), _CONTENT.statement.encode()], BOB) is ReceiptVerdict.GENUINE
    stranger = established(make_member(ALICE, seed="x"), make_member(BOB, seed="x"))
    foreign = stranger.devices[1].conversation.sign_receipt(_CONTENT.encode())
    assert verify(foreign, [_CONTENT.encode()], BOB) is ReceiptVerdict.FORGED  # the same group id, another group
    sealed = bob.seal("no receipt")
    assert verify(sealed.octets, [_CONTENT.encode()], BOB) is ReceiptVerdict.NOT_A_SIGNATURE


def test_each_changed_octet_spoils_the_signature() -> None:
    talk, signature = _signed()
    verify = talk.devices[0].conversation.verify_receipt
    for place in range(len(signature)):
        changed = signature[:place] + bytes((signature[place] ^ 1,)) + signature[place + 1 :]
        assert verify(changed, [_CONTENT.encode()], BOB) is not ReceiptVerdict.GENUINE


def test_without_a_group_there_is_no_receipt() -> None:
    alice = make_member(ALICE)
    with pytest.raises(E2eeRefused):
        alice.conversation.sign_receipt(_CONTENT.encode())
    assert alice.conversation.verify_receipt(b"", [], BOB) is ReceiptVerdict.OTHER_GROUP


_ALICE = established(make_member(ALICE), make_member(BOB)).devices[0].conversation


@given(st.binary(max_size=300))
def test_any_octets_get_a_verdict(octets: bytes) -> None:
    assert _ALICE.verify_receipt(octets, [b""], BOB) is not ReceiptVerdict.GENUINE


def test_a_receipt_of_a_device_whose_certificate_is_revoked_counts_for_nothing() -> None:
    talk, signature = _signed()
    alice, bob = talk.devices
    trust = X509Identity(alice.setting.trust.validator.with_revoked([bob.identity.certificate.serial]))
    profile = alice.setting.profile
    alice.conversation.control.renew(MemberSetting.of(alice.identity, profile, trust, alice.setting.random))
    verdict = alice.conversation.verify_receipt(signature, [_CONTENT.encode()], BOB)
    assert verdict is ReceiptVerdict.REVOKED
    gate = alice.conversation.gate(NOW_S)
    assert (gate.refusal, gate.numbers) == (SealRefusal.REVOKED_MEMBER, frozenset({BOB}))
    sealed = bob.seal("from the thief")
    refused = alice.open(sealed, BOB)
    assert isinstance(refused, OpenRefusal)
    assert (refused.kind, refused.reason) == (RefusalKind.REVOKED, ClientFailureReason.INVALID_CREDENTIAL)
