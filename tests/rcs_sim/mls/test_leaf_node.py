"""LeafNode (RFC 9420 §7.2)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ims_core.errors import LocalProtocolError
from rcs_sim.mls.codec import TlsDecodeError, encode_u16_vector
from rcs_sim.mls.credential import BasicCredential
from rcs_sim.mls.identifiers import CipherSuiteId, CredentialType, LeafIndex, LeafNodeSource, ProtocolVersion
from rcs_sim.mls.leaf_node import Capabilities, LeafNode, Lifetime

_CAPABILITIES = Capabilities(
    (ProtocolVersion.MLS10,), (CipherSuiteId(2), CipherSuiteId(0x1A1A)), (), (), (CredentialType.BASIC,)
)
LEAF = LeafNode(
    b"encryption",
    b"signature",
    BasicCredential(b"alice"),
    _CAPABILITIES,
    LeafNodeSource.KEY_PACKAGE,
    Lifetime(1, 2**64 - 1),
    None,
    (),
    b"signed",
)
_UPDATE = replace(LEAF, leaf_node_source=LeafNodeSource.UPDATE, lifetime=None)
_COMMIT = replace(LEAF, leaf_node_source=LeafNodeSource.COMMIT, lifetime=None, parent_hash=b"above")


def test_each_source_has_what_belongs_to_it() -> None:
    for leaf in (LEAF, _UPDATE, _COMMIT):
        assert LeafNode.decode(leaf.encode()) == leaf


@pytest.mark.parametrize(
    "wrong",
    [
        replace(LEAF, lifetime=None),
        replace(LEAF, parent_hash=b""),
        replace(_UPDATE, lifetime=Lifetime(0, 1)),
        replace(_UPDATE, parent_hash=b""),
        replace(_COMMIT, parent_hash=None),
    ],
)
def test_what_belongs_to_another_source_is_not_encoded(wrong: LeafNode) -> None:
    with pytest.raises(LocalProtocolError):
        wrong.encode()


def test_a_source_that_there_is_not_is_refused() -> None:
    octets = _UPDATE.encode()
    place = octets.index(encode_u16_vector((CredentialType.BASIC,)) + b"\x02\x00") + 3
    for source in (0, 4, 255):
        with pytest.raises(TlsDecodeError, match="source"):
            LeafNode.decode(octets[:place] + bytes((source,)) + octets[place + 1 :])


def test_the_signature_covers_group_and_place_unless_it_is_of_a_key_package() -> None:
    assert LEAF.to_be_signed(b"group", LeafIndex(3)) == LEAF.to_be_signed() == LEAF.encode()[:-7]
    for leaf in (_UPDATE, _COMMIT):
        assert leaf.to_be_signed(b"group", LeafIndex(3)) == leaf.encode()[:-7] + b"\x05group\x00\x00\x00\x03"
        with pytest.raises(LocalProtocolError):
            leaf.to_be_signed()
        with pytest.raises(LocalProtocolError):
            leaf.to_be_signed(b"group")


def test_equal_capabilities_are_one_value() -> None:
    octets = _CAPABILITIES.encode()
    assert Capabilities.decode(octets) is Capabilities.decode(octets)
    assert Capabilities.decode(octets) == _CAPABILITIES


def test_very_long_capabilities_are_read_and_not_kept() -> None:
    octets = replace(_CAPABILITIES, versions=(ProtocolVersion.MLS10,) * 1000).encode()
    assert Capabilities.decode(octets) is not Capabilities.decode(octets)


def test_half_a_code_point_is_refused() -> None:
    with pytest.raises(TlsDecodeError, match="odd"):
        Capabilities.decode(b"\x00\x00\x03\x00\x01\x00\x00\x00")
