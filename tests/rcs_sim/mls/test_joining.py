"""Joining by a Welcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ims_core.wire.secret import Secret
from rcs_sim.mls.client import is_last_resort
from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.commit_builder import CommitRequest, PendingCommit, sign_group_info
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.group import Group
from rcs_sim.mls.group_info import GroupInfo, RatchetTreeExtension
from rcs_sim.mls.identifiers import CipherSuiteId, Epoch, LeafIndex, ResumptionPskUsage
from rcs_sim.mls.joining import OpenedWelcome, open_welcome, verify_joined_suite, verify_welcome_psks
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.messages import MLSMessage
from rcs_sim.mls.proposals import Add, PreSharedKey
from rcs_sim.mls.psk_id import ExternalPskID, ResumptionPskID
from rcs_sim.mls.welcome import Welcome
from tests.support.forge import refusal
from tests.support.mls_groups import NOW_S, SUITE, Party, commit, deliver, established


def invited(tree_in_welcome: bool = True) -> tuple[Party, Party, PendingCommit]:
    """Alice, bob, and the Commit of alice that adds bob."""
    (alice,) = established("alice")
    bob = Party("bob")
    request = CommitRequest(proposals=(bob.add(),), tree_in_welcome=tree_in_welcome)
    return alice, bob, alice.group.commit(request, alice.random, NOW_S)


def welcome_of(pending: PendingCommit) -> Welcome:
    assert pending.welcome is not None
    body = MLSMessage.decode(pending.welcome.encode()).body
    assert isinstance(body, Welcome)
    return body


def refused(action: Callable[[], object]) -> str:
    with pytest.raises(MlsValidationError) as error:
        action()
    return error.value.rule


def changed(opened: OpenedWelcome, info: GroupInfo) -> OpenedWelcome:
    return replace(opened, group_info=info)


def test_the_tree_may_come_beside_the_welcome() -> None:
    alice, bob, pending = invited(tree_in_welcome=False)
    opened = open_welcome(welcome_of(pending), bob.packages, bob.policy)
    assert refused(lambda: Group.join(opened)) == "VAL-828"
    tree = RatchetTreeExtension.decode(pending.ratchet_tree().encode())
    group = Group.join(opened, ratchet_tree=tree)
    assert group.epoch_authenticator == pending.epoch_authenticator == alice.group.merge_pending().epoch_authenticator


def test_a_last_resort_package_is_used_twice() -> None:
    alice, carol = established("alice")[0], established("carol")[0]
    bob = Party("bob")
    package = bob.key_package(last_resort=True).key_package
    assert is_last_resort(package)
    for host in (alice, carol):
        pending = host.group.commit(CommitRequest(proposals=(Add(package),)), host.random, NOW_S)
        deliver(pending, host, (), (bob,))
        assert host.group.epoch_authenticator == bob.group.epoch_authenticator


def test_val821_a_welcome_for_others_is_refused() -> None:
    _, _, pending = invited()
    carol = Party("carol")
    carol.key_package()
    assert refused(lambda: open_welcome(welcome_of(pending), carol.packages, carol.policy)) == "VAL-821"


def test_val822_val823_a_changed_welcome_does_not_open() -> None:
    _, bob, pending = invited()
    welcome = welcome_of(pending)
    broken = replace(welcome, encrypted_group_info=welcome.encrypted_group_info[:-1] + b"\0")
    assert refused(lambda: open_welcome(broken, bob.packages, bob.policy)) == "VAL-822"
    (keys,) = bob.packages
    other = replace(keys, init_private=SUITE.generate_key_pair(bob.random).private)
    assert refused(lambda: open_welcome(welcome, [other], bob.policy)) == "VAL-822"


def test_val824_a_welcome_has_one_origin() -> None:
    ids = [ResumptionPskID(ResumptionPskUsage.BRANCH, name, Epoch(1), bytes(32)) for name in (b"one", b"two")]
    assert refused(lambda: verify_welcome_psks(SUITE, ids)) == "VAL-824"
    assert refused(lambda: verify_welcome_psks(SUITE, [ExternalPskID(b"x", b"")])) == "ValSem401"
    assert refused(lambda: verify_welcome_psks(SUITE, [ids[0], ids[0]])) == "ValSem403"


def test_val825_the_group_is_of_the_suite_of_the_welcome() -> None:
    alice, _, pending = invited()
    welcome = replace(welcome_of(pending), cipher_suite=CipherSuiteId(2))
    assert refused(lambda: verify_joined_suite(welcome, alice.group.group_info())) == "VAL-825"


def test_val826_our_leaf_is_in_the_tree() -> None:
    alice, bob, pending = invited()
    opened = open_welcome(welcome_of(pending), bob.packages, bob.policy)
    other = replace(opened, keys=bob.key_package())
    assert refused(lambda: Group.join(other)) == "VAL-826"
    assert alice.is_member


def test_the_group_info_is_signed_and_confirmed_and_its_tree_hashes() -> None:
    alice, bob, pending = invited()
    opened = open_welcome(welcome_of(pending), bob.packages, bob.policy)
    info = opened.group_info
    assert refused(lambda: Group.join(changed(opened, replace(info, signer=LeafIndex(1))))) == "VAL-829"
    after = alice.group.merge_pending()
    stale = replace(after.public, confirmation_tag=bytes(32))
    forged = sign_group_info(stale, LeafIndex(0), alice.client.signature_key, info.extensions)
    assert refused(lambda: Group.join(changed(opened, forged))) == "ValSem205"
    context = replace(info.group_context, tree_hash=bytes(32))
    other = sign_group_info(
        replace(after.public, context=context), LeafIndex(0), alice.client.signature_key, info.extensions
    )
    assert refused(lambda: Group.join(changed(opened, other))) == "VAL-703"


def test_valsem300_a_tree_does_not_end_in_a_blank_node() -> None:
    _, bob, pending = invited(tree_in_welcome=False)
    opened = open_welcome(welcome_of(pending), bob.packages, bob.policy)
    tree = RatchetTreeExtension((*pending.ratchet_tree().nodes, None))
    assert refused(lambda: Group.join(opened, ratchet_tree=tree)) == "ValSem300"


def test_every_truncation_of_a_welcome_is_refused() -> None:
    _, _, pending = invited()
    assert pending.welcome is not None
    octets = pending.welcome.encode()
    for length in range(len(octets)):
        with pytest.raises(TlsDecodeError):
            MLSMessage.decode(octets[:length])


class OnePsk:
    """Has one external PSK."""

    def __init__(self, psk: bytes) -> None:
        self._psk = Secret(psk)

    def external_psk(self, psk_id: bytes) -> Secret | None:
        return self._psk if psk_id == b"shared" else None

    def resumption_psk(self, group_id: bytes, epoch: Epoch) -> Secret | None:
        return None


def test_psks_of_the_application_and_of_past_epochs_go_into_the_epoch() -> None:
    policy = MemberPolicy(psks=OnePsk(b"known to both"))
    alice, bob = established("alice", "bob", policy=policy)
    commit(alice, (bob,))
    external = PreSharedKey(ExternalPskID(b"shared", bytes(32)))
    resumption = PreSharedKey(
        ResumptionPskID(ResumptionPskUsage.APPLICATION, alice.group.group_id, Epoch(1), bytes(32))
    )
    commit(bob, (alice,), external, resumption, joiners=())
    assert alice.group.epoch_authenticator == bob.group.epoch_authenticator
    carol = Party("carol", policy)
    commit(bob, (alice,), external, joiners=[carol])
    assert carol.group.epoch_authenticator == bob.group.epoch_authenticator


def test_val820_a_psk_that_is_not_at_hand_and_valsem205_one_that_differs() -> None:
    alice, bob = established("alice", "bob", policy=MemberPolicy(psks=OnePsk(b"one")))
    external = PreSharedKey(ExternalPskID(b"shared", bytes(32)))
    pending = alice.group.commit(CommitRequest(proposals=(external,)), alice.random, NOW_S)
    bob.group.policy = MemberPolicy()
    assert refusal(bob, pending.message.encode()) == "VAL-820"
    bob.group.policy = MemberPolicy(psks=OnePsk(b"another"))
    assert refusal(bob, pending.message.encode()) == "ValSem205"
    bob.group.policy = alice.policy
    bob.follow(pending.message.encode())
