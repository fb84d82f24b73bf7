"""Treeless Welcome: the nodes of the ratchet tree behind the Welcome in the same octets (inferred; iPhones send it)."""

from __future__ import annotations

from dataclasses import dataclass

from rcs_sim.e2ee.custom_proposals import RCS_CUSTOM_BODIES
from rcs_sim.mls.codec import Reader, TlsDecodeError, encode_opaque
from rcs_sim.mls.group_info import read_node
from rcs_sim.mls.identifiers import WireFormat
from rcs_sim.mls.messages import MLSMessage

__all__ = ["SplitWelcome", "append_tree", "split_welcome"]

MAX_ATTEMPTS = 64  # places at which a LeafNode may begin that are tried
_LEAF_MARKER = b"\x01\x01\x40\x41\x04"  # present, a leaf, whose encryption key is an uncompressed point of P-256


@dataclass(frozen=True, slots=True)
class SplitWelcome:
    """An MLSMessage(Welcome), and the ``ratchet_tree<V>`` that was behind it; that is empty if there was none."""

    welcome: bytes
    ratchet_tree: bytes


def append_tree(welcome: bytes, ratchet_tree: bytes) -> bytes:
    """*welcome* with the nodes of *ratchet_tree* behind it, parents and blanks among them, without their length."""
    reader = Reader(ratchet_tree)
    nodes = reader.opaque()
    reader.finish()
    return welcome + nodes


def split_welcome(octets: bytes) -> SplitWelcome:
    """Finds both. Raises TlsDecodeError, and nothing else, if *octets* do not begin with an MLSMessage(Welcome)."""
    reader = Reader(octets, RCS_CUSTOM_BODIES)
    message = MLSMessage.read(reader)
    if message.wire_format is not WireFormat.WELCOME:
        reader.fail(f"a message of wire format {message.wire_format}", "RFC 9420 §12.4.3.1")
    nodes = _find_nodes(octets[reader.at :])
    return SplitWelcome(octets[: reader.at], encode_opaque(nodes) if nodes else b"")


def _find_nodes(octets: bytes) -> bytes:
    """All of *octets* if they are nodes, else the nodes from the first leaf on: there may be something before them."""
    if len(nodes := _leading_nodes(octets)) == len(octets):
        return nodes
    at = octets.find(_LEAF_MARKER)
    for _ in range(MAX_ATTEMPTS):
        if at < 0:
            break
        if found := _leading_nodes(octets[at:]):
            return found
        at = octets.find(_LEAF_MARKER, at + 1)
    return b""


def _leading_nodes(octets: bytes) -> bytes:
    """The nodes at the beginning, up to the last leaf (RFC 9420 §7.8: a tree has no blank ones at its end)."""
    reader = Reader(octets)
    end = 0
    while reader.at < len(octets):
        try:
            is_leaf = octets[reader.at : reader.at + 2] == b"\x01\x01"
            reader.optional(read_node)
        except TlsDecodeError:
            break
        end = reader.at if is_leaf else end
    return octets[:end]
