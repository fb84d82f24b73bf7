"""KeyPackage (RFC 9420 §10)."""

from __future__ import annotations

from dataclasses import replace

from rcs_sim.mls.identifiers import CipherSuiteId, ProtocolVersion
from rcs_sim.mls.key_package import KeyPackage
from tests.rcs_sim.mls.test_leaf_node import LEAF

KEY_PACKAGE = KeyPackage(ProtocolVersion.MLS10, CipherSuiteId(2), b"init", LEAF, (), b"signed")


def test_the_received_octets_are_kept() -> None:
    octets = KEY_PACKAGE.encode()
    decoded = KeyPackage.decode(octets)
    assert decoded == KEY_PACKAGE
    assert decoded.encode() is decoded.encode()


def test_the_signature_covers_all_before_it() -> None:
    octets = KEY_PACKAGE.encode()
    assert octets.endswith(b"\x06signed")
    assert KEY_PACKAGE.to_be_signed() == KeyPackage.decode(octets).to_be_signed() == octets[:-7]


def test_a_changed_value_encodes_anew() -> None:
    decoded = KeyPackage.decode(KEY_PACKAGE.encode())
    changed = replace(decoded, init_key=b"other")
    assert changed.encode() != decoded.encode()
    assert KeyPackage.decode(changed.encode()) == changed


def test_another_version_or_suite_is_kept_for_validation_to_judge() -> None:
    other = replace(KEY_PACKAGE, version=ProtocolVersion(0x7777), cipher_suite=CipherSuiteId(0x4A4A))
    assert KeyPackage.decode(other.encode()) == other
