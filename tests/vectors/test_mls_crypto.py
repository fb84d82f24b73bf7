"""A cipher suite against the vectors of its operations (RFC 9420 §5, §8, §9.1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from ims_core.wire.secret import Secret
from rcs_sim.mls.commit import HPKECiphertext
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.key_package import KeyPackage
from rcs_sim.mls.messages import AuthenticatedContent
from tests.support.vectors import load_vectors

_BASICS = "mls/mls-implementations/crypto-basics.json"
_KEY_PACKAGES = "mls/mls-rs-extra/key_package_ref.json"
_PROPOSALS = "mls/mls-rs-extra/proposal_ref.json"
_SIGNATURES = "mls/mls-rs-extra/signatures.json"
_PATH_SECRETS = "mls/mls-rs-extra/path_secret.json"
_FILES = (_BASICS, _KEY_PACKAGES, _PROPOSALS, _SIGNATURES, _PATH_SECRETS)
_NIST = (2, 5, 7)


def _cases(file: str) -> Any:
    entries = load_vectors(file)
    return pytest.mark.parametrize(
        "entry", entries, ids=[f"{n}-suite{e['cipher_suite']}" for n, e in enumerate(entries)]
    )


def _suite(entry: dict[str, Any]) -> CipherSuite:
    return CipherSuite.of(entry["cipher_suite"])


def _octets(entry: dict[str, Any], *names: str) -> tuple[bytes, ...]:
    return tuple(bytes.fromhex(entry[name]) for name in names)


def _secret(entry: dict[str, Any]) -> Secret:
    return Secret.of_hex(entry["secret"])


@_cases(_BASICS)
def test_hashes_and_derivations_are_those_of_the_vectors(entry: dict[str, Any]) -> None:
    suite = _suite(entry)
    part = entry["ref_hash"]
    assert suite.ref_hash(part["label"], *_octets(part, "value")).hex() == part["out"]
    part = entry["derive_secret"]
    assert suite.derive_secret(_secret(part), part["label"]).octets.hex() == part["out"]
    part = entry["expand_with_label"]
    made = suite.expand_with_label(_secret(part), part["label"], *_octets(part, "context"), part["length"])
    assert made.octets.hex() == part["out"]
    part = entry["derive_tree_secret"]
    made = suite.derive_tree_secret(_secret(part), part["label"], part["generation"], part["length"])
    assert made.octets.hex() == part["out"]


@_cases(_BASICS)
def test_signatures_of_the_vectors_are_believed_and_ours_too(entry: dict[str, Any]) -> None:
    suite, part = _suite(entry), entry["sign_with_label"]
    private, public, content, signature = _octets(part, "priv", "pub", "content", "signature")
    key = suite.scheme.key(Secret(private))
    assert key.public == public
    ours = suite.sign_with_label(key, part["label"], content)
    if entry["cipher_suite"] not in _NIST:
        assert ours == signature
    for each in (ours, signature):
        assert suite.verify_with_label(public, part["label"], content, each)
        assert not suite.verify_with_label(public, part["label"] + "x", content, each)
        assert not suite.verify_with_label(public, part["label"], content + b"x", each)
        assert not suite.verify_with_label(public, part["label"], content, each[:-1])


@_cases(_BASICS)
def test_ciphertexts_of_the_vectors_open_and_ours_too(entry: dict[str, Any]) -> None:
    suite, part = _suite(entry), entry["encrypt_with_label"]
    private, public, context, plaintext = _octets(part, "priv", "pub", "context", "plaintext")
    assert suite.key_pair_of(Secret(private)).public == public
    given = HPKECiphertext(*_octets(part, "kem_output", "ciphertext"))
    ours = suite.encrypt_with_label(public, part["label"], context, plaintext, bytes)
    for each in (given, ours):
        assert suite.decrypt_with_label(Secret(private), part["label"], context, each) == plaintext


@_cases(_KEY_PACKAGES)
def test_key_packages_have_the_references_of_the_vectors(entry: dict[str, Any]) -> None:
    octets, reference = _octets(entry, "input", "output")
    assert _suite(entry).key_package_ref(KeyPackage.decode(octets).encode()) == reference


@_cases(_PROPOSALS)
def test_proposals_have_the_references_of_the_vectors(entry: dict[str, Any]) -> None:
    octets, reference = _octets(entry, "input", "output")
    assert _suite(entry).proposal_ref(AuthenticatedContent.decode(octets).encode()) == reference


@_cases(_SIGNATURES)
def test_the_signature_vectors_are_believed(entry: dict[str, Any]) -> None:
    """Made by a test of mls-rs, whose label is "SignWithLabel" and whose content is *context* and *content*; its
    EdDSA private keys have the public one behind them."""
    suite = _suite(entry)
    content, context, signature, public, signer = _octets(entry, "content", "context", "signature", "public", "signer")
    assert suite.verify_with_label(public, "SignWithLabel", context + content, signature)
    assert not suite.verify_with_label(public, "SignWithLabel", content + context, signature)
    key = suite.scheme.key(Secret(signer.removesuffix(public)))
    assert key.public == public
    again = suite.sign_with_label(key, "SignWithLabel", context + content)
    assert suite.verify_with_label(public, "SignWithLabel", context + content, again)


@_cases(_PATH_SECRETS)
def test_path_secrets_follow_each_other_as_in_the_vectors(entry: dict[str, Any]) -> None:
    suite = _suite(entry)
    generations = [Secret.of_hex(each) for each in entry["generations"]]
    for before, after in pairwise(generations):
        assert suite.derive_secret(before, "path") == after


def test_the_number_of_cases_is_told() -> None:
    for file in _FILES:
        entries = load_vectors(file)
        suites = Counter(entry["cipher_suite"] for entry in entries)
        print(f"{file}: {len(entries)} entries, suites {_ranges(suites)}")


def _ranges(suites: Counter[int]) -> str:
    def told() -> Iterator[str]:
        for suite in sorted(suites):
            yield f"{suite} ({suites[suite]})"

    return ", ".join(told())
