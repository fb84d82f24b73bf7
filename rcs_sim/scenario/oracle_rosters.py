"""Who is in the groups to which messages were sealed, from ratchet trees that crossed links (RFC 9420 §7.8, RCC.16
§7.10): a leaf of somebody else can read what is sealed to its group, wherever the octets go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rcs_sim.e2ee.client_message import ClientMlsRcsMessage, MlsGroupInfo
from rcs_sim.e2ee.content_types import MlsContentType
from rcs_sim.e2ee.credential_identity import msisdn_of
from rcs_sim.e2ee.server_message import CommitBundle, decode_server_message
from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.group_info import RatchetTreeExtension
from rcs_sim.mls.leaf_node import LeafNode
from rcs_sim.scenario.oracle_hops import Carried
from rcs_sim.wire.protobuf import ProtobufError

__all__ = ["GroupRoster", "GroupRosters"]


@dataclass(frozen=True, slots=True)
class GroupRoster:
    """*by_key* has the number that each leaf certifies, "" for one that certifies none, by its public key; *number* is
    the record that showed the tree."""

    number: int
    by_key: Mapping[bytes, str]

    @property
    def numbers(self) -> frozenset[str]:
        return frozenset(self.by_key.values())


class GroupRosters:
    """Of every epoch whose tree is in the trace, by its authenticator: that names the state of a group, and stands
    beside every sealed message."""

    __slots__ = ("_by_authenticator",)

    def __init__(self, contents: Iterable[Carried]) -> None:
        self._by_authenticator: dict[bytes, GroupRoster] = {}
        for carried in contents:
            authenticator, tree = _tree_in(carried)
            if authenticator and tree and authenticator not in self._by_authenticator:
                leaves = _leaves_in(tree)
                if leaves:
                    self._by_authenticator[authenticator] = GroupRoster(carried.hop.number, leaves)

    @property
    def public_keys(self) -> dict[bytes, str]:
        """Of all leaves of all epochs, with their numbers."""
        return {key: number for roster in self._by_authenticator.values() for key, number in roster.by_key.items()}

    def of(self, carried: Carried) -> GroupRoster | None:
        """That of the epoch that *carried* says it was sealed in."""
        return self._by_authenticator.get(carried.epoch_authenticator)


def _tree_in(carried: Carried) -> tuple[bytes, bytes]:
    """An epoch authenticator and the tree of that epoch, from a request to the focus or an answer of it."""
    try:
        if carried.media_type == MlsContentType.CLIENT:
            info = ClientMlsRcsMessage.decode(carried.octets).group_info
            return (b"", b"") if info is None else (info.epoch_authenticator, info.ratchet_tree)
        if carried.media_type == MlsContentType.SERVER:
            answer = decode_server_message(carried.octets)
            if isinstance(answer, CommitBundle | MlsGroupInfo):
                return answer.epoch_authenticator, answer.ratchet_tree
    except ProtobufError:
        pass
    return b"", b""


def _leaves_in(tree: bytes) -> dict[bytes, str]:
    try:
        nodes = RatchetTreeExtension.decode(tree).nodes
    except TlsDecodeError:
        return {}
    return {bytes(node.encryption_key): msisdn_of(node) for node in nodes if isinstance(node, LeafNode)}
