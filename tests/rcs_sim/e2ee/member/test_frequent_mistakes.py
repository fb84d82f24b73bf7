"""The ten mistakes that implementations make first, each as a test that this one does not, and that it notices the
mistake in others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from rcs_sim.e2ee.authenticated_data import AuthenticatedData
from rcs_sim.e2ee.client_message import AdvanceKind, ClientMlsRcsMessage
from rcs_sim.e2ee.derived_content import DeliveryStatus, DerivedContent, VerifiableDeliveryImdn
from rcs_sim.e2ee.encrypted_entity import text_entity
from rcs_sim.e2ee.enhanced_group_info import MlsEnhancedGroupInfo
from rcs_sim.e2ee.extension_bodies import RcsExtensionType
from rcs_sim.e2ee.failure_reason import ClientFailureReason
from rcs_sim.e2ee.member.application_opening import Envelope, OpenRefusal, RefusalKind
from rcs_sim.e2ee.member.commit_plans import extension_plan
from rcs_sim.e2ee.member.control_outcome import Advanced, ControlRefusal, Joined
from rcs_sim.e2ee.member.encrypted_group import EncryptedGroup
from rcs_sim.e2ee.member.message_exchange import Parked
from rcs_sim.e2ee.member.operations import E2eeRefused, OperationKind
from rcs_sim.e2ee.member.receipt_signature import ReceiptVerdict
from rcs_sim.e2ee.member.repair import Repair
from rcs_sim.e2ee.member.seen_messages import Opened
from rcs_sim.e2ee.member.self_heal import Deployment
from rcs_sim.e2ee.mls_headers import HeaderFault, MlsHeaders
from rcs_sim.e2ee.secret_payload import SecretPayload
from rcs_sim.e2ee.server_message import CommitBundle, decode_server_message
from rcs_sim.mls.extensions import Extension
from rcs_sim.mls.group_info import GroupInfo
from rcs_sim.mls.messages import MLSMessage, PrivateMessage, PublicMessage
from rcs_sim.wire.cpim import CpimMessage, compose_cpim
from tests.support.member_devices import (
    ALICE,
    BOB,
    NOW_S,
    PROFILES,
    MemberDevice,
    Talk,
    enrol,
    established,
    exchanged,
    make_member,
)


def _pair() -> tuple[Talk, MemberDevice, MemberDevice]:
    talk = established(make_member(ALICE), make_member(BOB, PROFILES["ios"]()))
    alice, bob = talk.devices
    return talk, alice, bob


def _group(device: MemberDevice) -> EncryptedGroup:
    group = device.conversation.group
    assert group is not None
    return group


def _forged(
    device: MemberDevice, payload: SecretPayload, bound: bytes, message_id: str = "m1"
) -> tuple[bytes, Envelope]:
    message = _group(device).group.seal(payload.encode(), device.setting.random, authenticated_data=bound)
    return message.encode(), Envelope(message_id=message_id, asserted_sender=device.number, era=1)


def test_1_the_generation_is_stamped_before_sealing_and_every_message_of_an_epoch_opens() -> None:
    talk, alice, bob = _pair()
    for number in range(5):
        opened = bob.open(alice.seal(str(number)), ALICE)
        assert isinstance(opened, Opened)
    wrong = SecretPayload(0, text_entity("stamped with the first generation for ever").encode())
    octets, envelope = _forged(alice, wrong, AuthenticatedData("m1", 1).encode())
    refused = bob.conversation.open(octets, envelope, NOW_S)
    assert isinstance(refused, OpenRefusal)
    assert refused.kind is RefusalKind.KEY_GENERATION
    assert exchanged(talk)


def test_2_authenticated_data_has_the_era_and_the_envelope_s_id_on_messages_and_commits() -> None:
    talk, alice, bob = _pair()
    sealed = alice.seal("hello")
    message = MLSMessage.decode(sealed.octets).body
    assert isinstance(message, PrivateMessage)
    assert message.authenticated_data == AuthenticatedData(sealed.message_id, 1).encode()
    operation = alice.conversation.control.rekey(talk.control_id(), NOW_S)
    commit = MLSMessage.decode(operation.request.commit).body
    assert isinstance(commit, PublicMessage)
    assert commit.content.authenticated_data == AuthenticatedData(operation.control_id, 1).encode()
    for bound in (AuthenticatedData("m2", 1), AuthenticatedData("m1", 3)):
        payload = SecretPayload(int(_group(bob).group.next_generation), text_entity("hello").encode())
        octets, envelope = _forged(bob, payload, bound.encode())
        refused = alice.conversation.open(octets, envelope, NOW_S)
        assert isinstance(refused, OpenRefusal)
        assert (refused.kind, refused.reason) == (RefusalKind.BAD_BINDING, None)


def test_3_both_headers_are_of_the_state_that_sealed() -> None:
    talk, alice, bob = _pair()
    before = alice.seal("before")
    talk.request(bob, bob.conversation.control.rekey(talk.control_id(), NOW_S))
    after = alice.seal("after")
    assert (before.state.moment, after.state.moment) == ((1, 1), (1, 2))
    assert after.state.epoch_authenticator == _group(alice).group.epoch_authenticator
    state = before.state
    headers = MlsHeaders(era_id=state.era_id, epoch_authenticator=state.epoch_authenticator)
    cpim = compose_cpim(
        sender="sip:anonymous@anonymous.invalid",
        recipient="sip:anonymous@anonymous.invalid",
        message_id=before.message_id,
        date_time="2026-11-22T10:00:00Z",
        body=before.octets,
        content_type="message/mls",
        extra=headers.to_headers(),
    )
    read = MlsHeaders.of(CpimMessage.parse(cpim))
    assert (read.fault, read.era_id, read.epoch_authenticator) == (None, 1, state.epoch_authenticator)
    assert MlsHeaders.of(CpimMessage.parse(cpim.replace(b"Era-ID", b"Era-Id2"))).fault is HeaderFault.NO_ERA


def test_4_the_leaf_key_is_not_the_participant_key_and_the_name_is_a_utf8string() -> None:
    identity = enrol(ALICE, 1, PROFILES["android"]())
    assert identity.participant_key.public != identity.leaf_key.public
    assert identity.certificate.subject.count(b"\x0c") >= 1  # the commonName is a UTF8String


def test_5_the_tree_goes_beside_the_welcome_and_never_into_the_group_info() -> None:
    alice, bob = make_member(ALICE), make_member(BOB)
    talk = Talk([alice, bob])
    request = ClientMlsRcsMessage.decode(talk.create(alice).request.encode())
    assert request.group_info is not None
    info = MLSMessage.decode(request.group_info.group_info).body
    assert isinstance(info, GroupInfo)
    assert {int(each.extension_type) for each in info.extensions} == {4}
    assert len(request.group_info.ratchet_tree) > 3000
    without = CommitBundle(welcome=request.welcome, state=request.result)
    envelope = Envelope(message_id="control-1", asserted_sender=ALICE, era=1)
    refused = bob.conversation.receive(without, envelope, NOW_S)
    assert isinstance(refused, ControlRefusal)
    assert isinstance(
        bob.conversation.receive(replace(without, ratchet_tree=request.group_info.ratchet_tree), envelope, NOW_S),
        Joined,
    )


@pytest.mark.parametrize("body", [b"\x20" + bytes(32), bytes(32), b"\x08\xc1" + bytes(30)])
def test_6_extension_bodies_are_copied_as_they_came(body: bytes) -> None:
    talk, alice, bob = _pair()
    group = _group(alice)
    listed = (*group.group.context.extensions, Extension(RcsExtensionType.ICON_COMMITMENT, body))
    talk.request(alice, group.commit(OperationKind.GROUP_METADATA, talk.control_id(), NOW_S, extension_plan(listed)))
    operation = bob.conversation.control.new_era(
        [alice.claim()], AdvanceKind.NORMAL, talk.control_id(), NOW_S, server=talk.focus.state, carried=talk.focus.info
    )
    talk.request(bob, operation)
    assert Extension(RcsExtensionType.ICON_COMMITMENT, body) in _group(alice).group.context.extensions
    assert exchanged(talk)


def test_7_a_receipt_is_signed_over_the_full_form() -> None:
    _, alice, bob = _pair()
    content = DerivedContent("r1", 1, VerifiableDeliveryImdn("m1", DeliveryStatus.DELIVERED))
    swapped = DerivedContent("m1", 1, VerifiableDeliveryImdn("r1", DeliveryStatus.DELIVERED))
    without_tail = content.encode()[:-1]
    verify = alice.conversation.verify_receipt
    for octets, verdict in (
        (content.encode(), ReceiptVerdict.GENUINE),
        (swapped.encode(), ReceiptVerdict.OTHER_STATEMENT),
        (without_tail, ReceiptVerdict.OTHER_STATEMENT),
    ):
        assert verify(bob.conversation.sign_receipt(octets), [content.encode()], BOB) is verdict


def test_8_a_refused_commit_is_undone_a_silent_one_is_not_and_equal_numbers_are_not_equal_groups() -> None:
    talk, alice, bob = _pair()
    lost = alice.conversation.control.rekey(talk.control_id(), NOW_S)
    talk.answer(bob, bob.conversation.control.rekey(talk.control_id(), NOW_S))
    assert lost.result is not None
    assert talk.focus.state is not None
    assert lost.result.moment == talk.focus.state.moment
    assert lost.result != talk.focus.state
    talk.answer(alice, lost)
    assert isinstance(talk.fan_out(bob)[0], Advanced)
    assert exchanged(talk)


def test_9_a_renewed_leaf_keeps_its_name_and_is_committed_in_time() -> None:
    talk, alice, _ = _pair()
    day_s = 86_400
    talk.now_s = NOW_S + 20 * day_s
    renewed = alice.setting.with_identity(enrol(ALICE, 1, alice.setting.profile, talk.now_s))
    assert renewed.identity.certificate.subject == alice.identity.certificate.subject
    alice.conversation.control.renew(renewed)
    assert alice.conversation.needs_self_update
    talk.request(alice, alice.conversation.control.self_update(talk.control_id(), talk.now_s))
    assert alice.conversation.stale_members(NOW_S + 29 * day_s) == frozenset()


def test_9_a_leaf_of_another_client_is_no_valid_successor() -> None:
    talk, alice, _ = _pair()
    other = alice.setting.with_identity(enrol(ALICE, 2, alice.setting.profile))
    alice.conversation.control.renew(other)
    with pytest.raises(E2eeRefused):
        alice.conversation.control.self_update(talk.control_id(), NOW_S)


def test_10_nothing_is_reported_for_a_moment_to_come_nor_before_the_repair() -> None:
    talk, alice, bob = _pair()
    talk.answer(alice, alice.conversation.control.rekey(talk.control_id(), NOW_S))
    assert isinstance(bob.open(alice.seal("early"), ALICE), Parked)
    repair = Repair(bob.conversation, Deployment(arbitrates_era=True, has_group_info=True))
    repair.on_unreadable("m1", ALICE, ClientFailureReason.FAILED_TO_DECRYPT, NOW_S)
    assert repair.due_reports() == []
    answer = MlsEnhancedGroupInfo.decode(talk.focus.enhanced(bob.conversation.identifier).encode())
    repair.on_pull(answer, NOW_S)
    assert repair.due_reports() == []
    repair.replay(answer, NOW_S)
    assert [each.message_id for each in repair.due_reports()] == ["m1"]


def test_10_a_negative_receipt_has_two_octets_more() -> None:
    signed = DerivedContent("r1", 1, VerifiableDeliveryImdn("m1", DeliveryStatus.FAILED, 4)).encode()
    assert signed.endswith(b"\x00\x04" + b"\x00\x00" + b"\x00")


def test_a_claimed_package_is_not_used_twice() -> None:
    alice, bob = make_member(ALICE), make_member(BOB)
    again = bob.packages[0]
    talk = established(alice, bob)
    bob.packages = [again, *bob.packages]
    operation = alice.conversation.control.new_era(
        [bob.claim()], AdvanceKind.NORMAL, talk.control_id(), NOW_S, server=talk.focus.state, carried=talk.focus.info
    )
    outcomes = talk.request(alice, operation)
    assert not isinstance(outcomes[0], Joined)
    assert bob.conversation.identifier != talk.focus.state


@pytest.mark.parametrize(
    "spoil",
    [
        lambda bundle: replace(bundle, welcome=b"\x00\x01\x00\x03\x00\x02\x40\x20" + bytes(32)),
        lambda bundle: replace(bundle, welcome=b"\xff" * 40),
    ],
)
def test_a_welcome_with_a_length_header_that_is_too_long_is_refused(
    spoil: Callable[[CommitBundle], CommitBundle],
) -> None:
    alice, bob = make_member(ALICE), make_member(BOB)
    talk = Talk([alice, bob])
    talk.answer(alice, talk.create(alice))
    arm = decode_server_message(talk.focus.log[0][2])
    assert isinstance(arm, CommitBundle)
    envelope = Envelope(message_id="control-1", asserted_sender=ALICE, era=1)
    assert isinstance(bob.conversation.receive(spoil(arm), envelope, NOW_S), ControlRefusal)
