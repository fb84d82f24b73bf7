"""Secret tree and sender data against the vectors (RFC 9420 §6.3, §9)."""

from __future__ import annotations

from typing import Any

import pytest

from ims_core.wire.secret import Secret
from rcs_sim.mls.codec import encode_opaque, encode_u32, encode_u64
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.identifiers import Generation, LeafIndex
from rcs_sim.mls.secret_tree import MessageKey, RatchetKind, SecretTree, SenderDataKeys
from tests.support.vectors import load_vectors

_OFFICIAL = "mls/mls-implementations/secret-tree.json"
_MLS_RS = "mls/mls-rs-extra/secret_tree.json"
_SENDER_DATA = "mls/mls-rs-extra/sender_data_key_test_vector.json"
_REUSE_GUARD = "mls/mls-rs-extra/reuse_guard.json"
_KINDS = {RatchetKind.HANDSHAKE: "handshake", RatchetKind.APPLICATION: "application"}


def _each(file: str) -> Any:
    entries = load_vectors(file)
    return pytest.mark.parametrize("entry", entries, ids=range(len(entries)))


def _tree(entry: dict[str, Any], leaf_count: int) -> SecretTree:
    return SecretTree(CipherSuite.of(entry["cipher_suite"]), Secret.of_hex(entry["encryption_secret"]), leaf_count)


@_each(_OFFICIAL)
def test_each_generation_has_the_key_of_the_vectors(entry: dict[str, Any]) -> None:
    tree = _tree(entry, len(entry["leaves"]))
    for leaf, generations in enumerate(entry["leaves"]):
        for part in generations:
            for kind, name in _KINDS.items():
                key = tree.peek(LeafIndex(leaf), kind, Generation(part["generation"]))
                assert (key.key.hex(), key.nonce.hex()) == (part[f"{name}_key"], part[f"{name}_nonce"])
                tree.consume(key)


@_each(_OFFICIAL)
def test_the_order_of_the_leaves_does_not_matter(entry: dict[str, Any]) -> None:
    tree = _tree(entry, len(entry["leaves"]))
    for leaf, generations in reversed(list(enumerate(entry["leaves"]))):
        for part in reversed(generations):
            key = tree.peek(LeafIndex(leaf), RatchetKind.APPLICATION, Generation(part["generation"]))
            assert key.key.hex() == part["application_key"]
            tree.consume(key)


@_each(_OFFICIAL)
def test_the_keys_of_sender_data_are_those_of_the_vectors(entry: dict[str, Any]) -> None:
    part = entry["sender_data"]
    keys = SenderDataKeys(CipherSuite.of(entry["cipher_suite"]), Secret.of_hex(part["sender_data_secret"]))
    key, nonce = keys.key_and_nonce(bytes.fromhex(part["ciphertext"]))
    assert (key.hex(), nonce.hex()) == (part["key"], part["nonce"])


@_each(_MLS_RS)
def test_every_key_of_many_leaves_is_that_of_the_vectors(entry: dict[str, Any]) -> None:
    """Made by a test of mls-rs, which took both of its lists from the handshake ratchet, one after the other."""
    tree = _tree(entry, len(entry["ratchets"]))
    for leaf, lists in enumerate(entry["ratchets"]):
        for wanted in [*lists["application_keys"], *lists["handshake_keys"]]:
            assert _mls_rs_form(tree.take(LeafIndex(leaf), RatchetKind.HANDSHAKE)) == bytes(wanted)


def _mls_rs_form(key: MessageKey) -> bytes:
    """As mls-rs writes a key down: nonce, key, generation."""
    nonce, secret = bytes((len(key.nonce),)) + key.nonce, bytes((len(key.key),)) + key.key
    return nonce + secret + key.generation.to_bytes(4, "big")


@_each(_SENDER_DATA)
def test_sender_data_is_sealed_as_in_the_vectors(entry: dict[str, Any]) -> None:
    suite = CipherSuite.of(entry["cipher_suite"])
    keys = SenderDataKeys(suite, Secret.of_hex(entry["secret"]))
    key, nonce = keys.key_and_nonce(bytes.fromhex(entry["ciphertext_bytes"]))
    assert (key.hex(), nonce.hex()) == (entry["expected_key"], entry["expected_nonce"])
    data, aad = entry["sender_data"], entry["sender_data_aad"]
    numbers = encode_u32(data["sender"]) + encode_u32(data["generation"]) + bytes.fromhex(data["reuse_guard"])
    place = encode_opaque(bytes.fromhex(aad["group_id"])) + encode_u64(aad["epoch"]) + b"\x01"
    assert suite.cipher(key).encrypt(nonce, numbers, place).hex() == entry["expected_ciphertext"]


@_each(_REUSE_GUARD)
def test_the_reuse_guard_changes_four_octets(entry: dict[str, Any]) -> None:
    key = MessageKey(LeafIndex(0), RatchetKind.APPLICATION, Generation(0), b"", bytes(entry["nonce"]))
    assert key.guarded_nonce(bytes(entry["guard"])) == bytes(entry["result"])


def test_the_number_of_cases_is_told() -> None:
    for file in (_OFFICIAL, _MLS_RS, _SENDER_DATA, _REUSE_GUARD):
        print(f"{file}: {len(load_vectors(file))} entries")
