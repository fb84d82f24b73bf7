"""One era of a conversation (RCC.16 §7.5)."""

from __future__ import annotations

import pytest

from rcs_sim.e2ee.authenticated_data import AuthenticatedData
from rcs_sim.e2ee.credential_identity import X509Identity
from rcs_sim.e2ee.encrypted_entity import EncryptedEntity, text_entity
from rcs_sim.e2ee.member.encrypted_group import EncryptedGroup
from rcs_sim.e2ee.member.member_setting import MemberSetting
from rcs_sim.e2ee.member.moment import Moment
from rcs_sim.e2ee.member.operations import E2eeRefused, OperationKind, SealRefusal
from rcs_sim.e2ee.padding import padme
from rcs_sim.e2ee.trust_anchors import TrustAnchors
from rcs_sim.mls.commit_builder import CommitRequest
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.group import Group
from rcs_sim.mls.identifiers import ContentType
from rcs_sim.mls.leaf_node import Lifetime
from rcs_sim.mls.messages import MLSMessage, PrivateMessage
from rcs_sim.mls.proposals import Remove
from tests.support.member_devices import ALICE, BOB, NOW_S, established, make_member


def _group() -> EncryptedGroup:
    group = established(make_member(ALICE), make_member(BOB)).devices[0].conversation.group
    assert group is not None
    return group


def test_what_is_sealed_is_bound_to_its_id_and_era_and_padded() -> None:
    group = _group()
    sealed = group.seal(text_entity("hello"), "Mxmx3rTTt9S62b3SsNez3LbQ")
    message = MLSMessage.decode(sealed.octets).body
    assert isinstance(message, PrivateMessage)
    assert message.content_type is ContentType.APPLICATION
    assert message.authenticated_data == AuthenticatedData("Mxmx3rTTt9S62b3SsNez3LbQ", 1).encode()
    assert len(message.ciphertext) - 16 == padme(len(message.ciphertext) - 16)
    assert sealed.state == group.identifier
    assert b"hello" not in sealed.octets


def test_a_failure_to_seal_is_a_refusal_and_nothing_else() -> None:
    group = _group()
    broken = EncryptedEntity(b"hello", content_type="text/plain\r\nX-Injected: yes")
    before = group.sends_in_epoch
    with pytest.raises(E2eeRefused) as caught:
        group.seal(broken, "m1")
    assert caught.value.refusal is SealRefusal.FAILED
    assert group.sends_in_epoch == before


def test_a_commit_stays_pending_until_it_is_confirmed_or_rolled_back() -> None:
    group = _group()
    before = group.identifier
    operation = group.commit(OperationKind.EPOCH_ADVANCE, "c1", NOW_S, CommitRequest())
    assert (group.identifier, group.operation) == (before, operation)
    with pytest.raises(E2eeRefused):
        group.commit(OperationKind.EPOCH_ADVANCE, "c2", NOW_S, CommitRequest())
    group.roll_back()
    assert (group.identifier, group.operation) == (before, None)
    group.commit(OperationKind.EPOCH_ADVANCE, "c3", NOW_S, CommitRequest())
    group.confirm(NOW_S)
    assert group.moment == Moment(1, 2)
    assert group.past_ends_s == {1: NOW_S}


def test_a_commit_that_the_rules_forbid_changes_nothing() -> None:
    group = _group()
    plan = CommitRequest(proposals=(Remove(group.group.own_leaf),))
    with pytest.raises(E2eeRefused) as caught:
        group.commit(OperationKind.REMOVE, "c1", NOW_S, plan)
    assert caught.value.refusal is SealRefusal.FAILED
    assert (group.operation, group.group.pending) == (None, None)


def test_a_group_without_an_era_is_none_of_ours() -> None:
    setting = make_member(ALICE).setting
    mls = Group.create(setting.client, b"g", setting.random, Lifetime(NOW_S, NOW_S + 3600), policy=setting.policy)
    with pytest.raises(MlsValidationError, match="RCC-ERA"):
        EncryptedGroup(setting, mls)


def test_secrets_of_epochs_are_deleted_in_time_and_names_with_them() -> None:
    group = _group()
    for number in range(4):
        group.commit(OperationKind.EPOCH_ADVANCE, f"c{number}", NOW_S, CommitRequest())
        group.confirm(NOW_S + number * 86_400)
    assert [int(past.context.epoch) for past in group.group.past_epochs] == [1, 2, 3, 4]
    group.forget_past(NOW_S + 4 * 86_400 + 1)
    assert [int(past.context.epoch) for past in group.group.past_epochs] == [3, 4]
    assert set(group.past_ends_s) == {3, 4}
    assert group.seal(text_entity("hello"), "m1")


def test_what_comes_is_judged_by_those_who_are_trusted_now() -> None:
    """A group outlives the list of roots that it began with."""
    group = _group()
    validator = group.setting.trust.validator
    nobody = MemberSetting.of(
        group.setting.identity,
        group.setting.profile,
        X509Identity(validator.with_anchors(TrustAnchors())),
        group.setting.random,
    )
    trusted = group.setting
    group.renew(nobody)
    assert group.group.policy is nobody.policy
    assert set(group.revoked.values()) == {ALICE, BOB}
    group.renew(trusted)
    assert not group.revoked
