"""The rules of a leaf (RFC 9420 §7.3): each refuses what it names, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from rcs_sim.mls import leaf_validation as rules
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.extensions import Extension, RequiredCapabilities
from rcs_sim.mls.identifiers import CredentialType, ExtensionType, LeafIndex, LeafNodeSource, ProposalType
from tests.support.mls_tree_views import GROUP_ID, Client, sign_leaf

SUITE = CipherSuite.of(2)
ALICE = Client(SUITE, "alice")
LEAF = ALICE.leaf()[0]
CUSTOM = ExtensionType(0xF042)


def refused(check: Callable[[], None]) -> str:
    with pytest.raises(MlsValidationError) as caught:
        check()
    return caught.value.rule


@pytest.mark.parametrize("number", CipherSuite.supported())
def test_val708_a_leaf_is_signed_by_its_own_key(number: int) -> None:
    suite = CipherSuite.of(number)
    alice, bob = Client(suite, "alice"), Client(suite, "bob")
    leaf = alice.leaf()[0]
    rules.verify_leaf_signature(suite, leaf, GROUP_ID, LeafIndex(0))
    other = sign_leaf(leaf, suite, bob.signer)
    assert refused(lambda: rules.verify_leaf_signature(suite, other, GROUP_ID, LeafIndex(0))) == "VAL-708"


def test_val708_an_update_is_signed_for_its_group_and_place() -> None:
    leaf = ALICE.updated(LeafIndex(3))[0]
    rules.verify_leaf_signature(SUITE, leaf, GROUP_ID, LeafIndex(3))
    assert refused(lambda: rules.verify_leaf_signature(SUITE, leaf, GROUP_ID, LeafIndex(2))) == "VAL-708"
    assert refused(lambda: rules.verify_leaf_signature(SUITE, leaf, b"another", LeafIndex(3))) == "VAL-708"


def test_val708_a_key_that_is_none_has_signed_nothing() -> None:
    point = LEAF.signature_key
    for key in (b"", b"\x04" + bytes(64), bytes((2 + (point[-1] & 1),)) + point[1:33]):
        leaf = replace(LEAF, signature_key=key)
        assert refused(lambda leaf=leaf: rules.verify_leaf_signature(SUITE, leaf, GROUP_ID, LeafIndex(0))) == "VAL-708"


@pytest.mark.parametrize("number", CipherSuite.supported())
def test_val717_something_can_be_encrypted_to_a_leaf(number: int) -> None:
    suite = CipherSuite.of(number)
    leaf = Client(suite, "alice").leaf()[0]
    rules.verify_leaf_encryption_key(suite, leaf)
    for key in (b"", bytes(len(leaf.encryption_key)), leaf.encryption_key[:-1], leaf.encryption_key + b"\x00"):
        bad = replace(leaf, encryption_key=key)
        assert refused(lambda bad=bad: rules.verify_leaf_encryption_key(suite, bad)) == "VAL-717"


def test_val717_a_compressed_point_is_no_key() -> None:
    point = LEAF.encryption_key
    leaf = replace(LEAF, encryption_key=bytes((2 + (point[-1] & 1),)) + point[1:33])
    assert refused(lambda: rules.verify_leaf_encryption_key(SUITE, leaf)) == "VAL-717"


def test_val709_a_leaf_has_the_source_of_what_carries_it() -> None:
    rules.verify_leaf_source(LEAF, LeafNodeSource.KEY_PACKAGE)
    assert refused(lambda: rules.verify_leaf_source(LEAF, LeafNodeSource.UPDATE)) == "VAL-709"


@pytest.mark.parametrize("now_s", [1_000_000, 2_000_000])
def test_val710_a_lifetime_includes_its_ends(now_s: int) -> None:
    rules.verify_leaf_lifetime(LEAF, now_s, longest_s=1_000_000)


@pytest.mark.parametrize("now_s", [999_999, 2_000_001])
def test_val710_a_leaf_before_or_after_its_time_is_refused(now_s: int) -> None:
    assert refused(lambda: rules.verify_leaf_lifetime(LEAF, now_s)) == "VAL-710"


def test_val710_a_lifetime_that_is_too_long_is_refused_and_an_update_has_none() -> None:
    assert refused(lambda: rules.verify_leaf_lifetime(LEAF, 1_500_000, longest_s=999_999)) == "VAL-710"
    rules.verify_leaf_lifetime(ALICE.updated(LeafIndex(0))[0], 0)


def test_val711_extensions_are_listed_unless_rfc_9420_defines_them() -> None:
    standard = replace(LEAF, extensions=(Extension(ExtensionType.APPLICATION_ID, b"\x00"),))
    rules.verify_leaf_extensions_are_listed(standard)
    custom = replace(LEAF, extensions=(Extension(CUSTOM, b""),))
    assert refused(lambda: rules.verify_leaf_extensions_are_listed(custom)) == "VAL-711"
    listed = replace(custom, capabilities=replace(LEAF.capabilities, extensions=(CUSTOM,)))
    rules.verify_leaf_extensions_are_listed(listed)


def test_val712_an_extension_stands_once() -> None:
    leaf = replace(LEAF, extensions=(Extension(CUSTOM, b""), Extension(CUSTOM, b"")))
    assert refused(lambda: rules.verify_leaf_extensions_are_single(leaf)) == "VAL-712"
    rules.verify_leaf_extensions_are_single(replace(leaf, extensions=leaf.extensions[:1]))


def test_val713_a_leaf_lists_the_type_of_its_own_credential() -> None:
    rules.verify_leaf_credential_is_listed(LEAF)
    leaf = replace(LEAF, capabilities=replace(LEAF.capabilities, credentials=(CredentialType.X509,)))
    assert refused(lambda: rules.verify_leaf_credential_is_listed(leaf)) == "VAL-713"


@pytest.mark.parametrize(
    "required",
    [
        RequiredCapabilities(extension_types=(CUSTOM,)),
        RequiredCapabilities(proposal_types=(ProposalType(0x000A),)),
        RequiredCapabilities(credential_types=(CredentialType.X509,)),
    ],
)
def test_val714_what_the_group_requires_is_listed(required: RequiredCapabilities) -> None:
    assert refused(lambda: rules.verify_leaf_has_required_capabilities(LEAF, required)) == "VAL-714"


def test_val714_what_everybody_supports_need_not_be_listed() -> None:
    required = RequiredCapabilities((ExtensionType.EXTERNAL_PUB,), (ProposalType.REINIT,), (CredentialType.BASIC,))
    rules.verify_leaf_has_required_capabilities(LEAF, required)


def test_val715_the_extensions_of_the_group_are_supported() -> None:
    rules.verify_leaf_supports_extensions(LEAF, [ExtensionType.EXTERNAL_SENDERS])
    assert refused(lambda: rules.verify_leaf_supports_extensions(LEAF, [CUSTOM])) == "VAL-715"
