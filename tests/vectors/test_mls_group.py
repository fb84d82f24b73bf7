"""Joining and following a group against the outside vectors (mlswg/mls-implementations): passive clients, Welcome."""

from __future__ import annotations

from typing import Any

import pytest

from ims_core.wire.secret import Secret
from rcs_sim.mls.client import KeyPackageKeys
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.group import Group
from rcs_sim.mls.group_info import RatchetTreeExtension
from rcs_sim.mls.identifiers import Epoch
from rcs_sim.mls.joining import open_welcome
from rcs_sim.mls.key_package import KeyPackage
from rcs_sim.mls.key_schedule import derive_epoch
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.messages import MLSMessage
from rcs_sim.mls.public_state import VerifiedCommit, VerifiedProposal
from rcs_sim.mls.welcome import Welcome
from tests.support.vectors import load_vectors

_Case = dict[str, Any]
_FOLDER = "mls/mls-implementations/"
_FILES = ("passive-client-welcome.json", "passive-client-handling-commit.json", "welcome.json")
_P521_OCTETS = 66


class VectorPsks:
    """The external PSKs of an entry."""

    def __init__(self, case: _Case) -> None:
        self._psks = {bytes.fromhex(each["psk_id"]): Secret.of_hex(each["psk"]) for each in case["external_psks"]}

    def external_psk(self, psk_id: bytes) -> Secret | None:
        return self._psks.get(psk_id)

    def resumption_psk(self, group_id: bytes, epoch: Epoch) -> Secret | None:
        return None


def entries(name: str) -> pytest.MarkDecorator:
    """Every entry of *name*."""
    found = load_vectors(_FOLDER + name)
    return pytest.mark.parametrize("case", found, ids=[f"{name}-{place}" for place in range(len(found))])


def key_package_of(octets: bytes) -> KeyPackage:
    message = MLSMessage.decode(octets).body
    assert isinstance(message, KeyPackage)
    return message


def private(suite: CipherSuite, octets: str) -> Secret:
    """An HPKE private key. Some of P-521 lack their leading zeros (RFC 9180 §7.1.2 has them)."""
    return Secret(bytes.fromhex(octets).rjust(_P521_OCTETS if suite.id == 5 else 0, b"\0"))


def keys_of(case: _Case) -> KeyPackageKeys:
    suite = CipherSuite.of(case["cipher_suite"])
    key_package = key_package_of(bytes.fromhex(case["key_package"]))
    signature_key = suite.scheme.key(Secret.of_hex(case["signature_priv"]))
    assert signature_key.public == key_package.leaf_node.signature_key
    return KeyPackageKeys(
        key_package, private(suite, case["init_priv"]), private(suite, case["encryption_priv"]), signature_key
    )


def welcome_of(octets: str) -> Welcome:
    message = MLSMessage.decode(bytes.fromhex(octets)).body
    assert isinstance(message, Welcome)
    return message


def joined(case: _Case) -> Group:
    policy = MemberPolicy(psks=VectorPsks(case))
    opened = open_welcome(welcome_of(case["welcome"]), [keys_of(case)], policy)
    beside = case["ratchet_tree"]
    tree = None if beside is None else RatchetTreeExtension.decode(bytes.fromhex(beside))
    group = Group.join(opened, ratchet_tree=tree, policy=policy)
    assert group.epoch_authenticator.hex() == case["initial_epoch_authenticator"]
    return group


def followed(group: Group, epoch: _Case) -> Group:
    for octets in epoch["proposals"]:
        proposal = group.verify(MLSMessage.decode(bytes.fromhex(octets)))
        assert isinstance(proposal, VerifiedProposal)
        group.add_proposal(proposal)
    commit = group.verify(MLSMessage.decode(bytes.fromhex(epoch["commit"])))
    assert isinstance(commit, VerifiedCommit)
    after = group.merge(group.stage_commit(commit))
    assert after.epoch_authenticator.hex() == epoch["epoch_authenticator"]
    return after


@entries("passive-client-welcome.json")
def test_a_passive_client_joins_by_its_welcome(case: _Case) -> None:
    group = joined(case)
    for epoch in case["epochs"]:
        group = followed(group, epoch)


@entries("passive-client-handling-commit.json")
def test_a_passive_client_follows_the_commits_of_others(case: _Case) -> None:
    group = joined(case)
    for epoch in case["epochs"]:
        group = followed(group, epoch)


@entries("welcome.json")
def test_a_welcome_opens_and_its_group_info_is_signed_and_confirmed(case: _Case) -> None:
    suite = CipherSuite.of(case["cipher_suite"])
    key_package = key_package_of(bytes.fromhex(case["key_package"]))
    unused = suite.scheme.generate(lambda count: b"\x01" * count)
    keys = KeyPackageKeys(key_package, private(suite, case["init_priv"]), Secret(b""), unused)
    opened = open_welcome(welcome_of(case["welcome"]), [keys], MemberPolicy())
    info = opened.group_info
    signer = bytes.fromhex(case["signer_pub"])
    assert suite.verify_with_label(signer, "GroupInfoTBS", info.to_be_signed(), info.signature)
    secrets, _ = derive_epoch(suite, opened.group_secrets.joiner_secret, opened.psk_secret, opened.context.encode())
    assert secrets.is_confirmation_tag(suite, opened.context.confirmed_transcript_hash, info.confirmation_tag)


def test_all_entries_are_counted() -> None:
    for name in _FILES:
        print(f"{_FOLDER}{name}: {len(load_vectors(_FOLDER + name))} entries")
