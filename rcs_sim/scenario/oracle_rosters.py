"""Who is in the groups to which messages were sealed, from ratchet trees and commits that crossed links (RFC 9420 §7.8,
RCC.16 §7.10): a leaf of somebody else can read what is sealed to its group, wherever the octets go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from rcs_sim.e2ee.client_message import ClientMlsRcsMessage, MlsGroupInfo
from rcs_sim.e2ee.content_types import MlsContentType
from rcs_sim.e2ee.credential_identity import msisdn_of
from rcs_sim.e2ee.custom_proposals import RCS_CUSTOM_BODIES
from rcs_sim.e2ee.enhanced_group_info import MlsEnhancedGroupInfo
from rcs_sim.e2ee.server_message import CommitBundle, read_server_body
from rcs_sim.e2ee.treeless_welcome import split_welcome
from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.commit import Commit
from rcs_sim.mls.group_info import RatchetTreeExtension
from rcs_sim.mls.identifiers import SenderType
from rcs_sim.mls.leaf_node import LeafNode
from rcs_sim.mls.messages import MLSMessage, PublicMessage
from rcs_sim.mls.proposals import Add, Remove
from rcs_sim.scenario.oracle_hops import Carried
from rcs_sim.wire.protobuf import ProtobufError

__all__ = ["GroupRoster", "GroupRosters"]


_TELLING = (MlsContentType.CLIENT, MlsContentType.SERVER, MlsContentType.GROUP_INFO_REQUEST)


@dataclass(frozen=True, slots=True)
class GroupRoster:
    """*leaves* has by index the public key of each leaf and the number that it certifies, "" for one that certifies
    none. *keys* are all public keys whose private halves open what comes into the group: of leaves, of parents, and of
    the key packages that were added. *number* is the record that showed it."""

    number: int
    leaves: Mapping[int, tuple[bytes, str]]
    keys: frozenset[bytes] = field(default=frozenset())

    @property
    def numbers(self) -> frozenset[str]:
        return frozenset(number for _, number in self.leaves.values())


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a content says of a state: its authenticator, its tree, and the commit that led to it."""

    authenticator: bytes
    tree: bytes = b""
    commit: bytes = b""


class GroupRosters:
    """Of every epoch whose tree is in the trace, or whose commit is and the tree before it, by its authenticator: that
    names the state of a group, and stands beside every sealed message."""

    __slots__ = ("_by_authenticator",)

    def __init__(self, contents: Iterable[Carried]) -> None:
        self._by_authenticator: dict[bytes, GroupRoster] = {}
        read = set[bytes]()
        for carried in contents:
            if carried.media_type not in _TELLING or carried.octets in read:  # it crosses several links
                continue
            read.add(carried.octets)
            for seen in _states_in(carried):
                if seen.authenticator and seen.authenticator not in self._by_authenticator:
                    self._add(seen, carried)

    def _add(self, seen: _Seen, carried: Carried) -> None:
        commit = _commit_in(seen.commit)
        roster = _roster_of(seen.tree, carried.hop.number) if seen.tree else None
        before = self._by_authenticator.get(carried.epoch_authenticator)
        if roster is None and commit is not None and before is not None:
            roster = _after(before, commit, carried.hop.number)
        if roster is not None:
            keys = roster.keys | _init_keys(commit)
            self._by_authenticator[seen.authenticator] = replace(roster, keys=keys)

    @property
    def public_keys(self) -> frozenset[bytes]:
        """Of all groups in all epochs."""
        return frozenset[bytes]().union(*(roster.keys for roster in self._by_authenticator.values()))

    def of(self, carried: Carried) -> GroupRoster | None:
        """That of the epoch that *carried* says it was sealed in."""
        return self._by_authenticator.get(carried.epoch_authenticator)


# --- what says something of a state -----------------------------------------------------------------------------------


def _states_in(carried: Carried) -> Iterator[_Seen]:
    """From a request to the focus, an answer of it, and what phones send to each other where there is none."""
    try:
        match carried.media_type:
            case MlsContentType.CLIENT:
                yield from _in_request(carried)
            case MlsContentType.SERVER:
                yield from _in_bundle(carried)
            case MlsContentType.GROUP_INFO_REQUEST:
                info = MlsEnhancedGroupInfo.decode(carried.octets).group_info
                if info is not None:
                    yield _Seen(info.epoch_authenticator, info.ratchet_tree)
    except ProtobufError:
        return


def _in_request(carried: Carried) -> Iterator[_Seen]:
    try:
        request = ClientMlsRcsMessage.decode(carried.octets)
    except ProtobufError:
        yield from _in_bundle(carried)  # the carrier leg of the reference: a lone Welcome, or a lone commit
        return
    info = request.group_info
    if info is not None:
        yield _Seen(info.epoch_authenticator, info.ratchet_tree, request.commit)


def _in_bundle(carried: Carried) -> Iterator[_Seen]:
    arm = read_server_body(carried.octets)
    if isinstance(arm, MlsGroupInfo):
        yield _Seen(arm.epoch_authenticator, arm.ratchet_tree)
    elif isinstance(arm, CommitBundle):
        state = b"" if arm.state is None else arm.state.epoch_authenticator
        told = arm.epoch_authenticator or state
        if not told and arm.welcome and not arm.commit:
            told = carried.epoch_authenticator  # beside a Welcome stands the state that it leads to (digest §14.1)
        yield _Seen(told, arm.ratchet_tree or _tree_behind(arm.welcome), arm.commit)


def _tree_behind(welcome: bytes) -> bytes:
    """Of the nodes that some devices write behind a Welcome (digest §5.6); empty without any."""
    try:
        return split_welcome(welcome).ratchet_tree if welcome else b""
    except TlsDecodeError:
        return b""


# --- trees and commits ------------------------------------------------------------------------------------------------


def _roster_of(tree: bytes, number: int) -> GroupRoster | None:
    try:
        nodes = RatchetTreeExtension.decode(tree).nodes
    except TlsDecodeError:
        return None
    leaves = {place // 2: _leaf(node) for place, node in enumerate(nodes) if isinstance(node, LeafNode)}
    keys = frozenset(bytes(node.encryption_key) for node in nodes if node is not None)
    return GroupRoster(number, leaves, keys) if leaves else None


def _leaf(node: LeafNode) -> tuple[bytes, str]:
    return bytes(node.encryption_key), msisdn_of(node)


def _commit_in(octets: bytes) -> PublicMessage | None:
    try:
        body = MLSMessage.decode(octets, RCS_CUSTOM_BODIES).body if octets else None
    except TlsDecodeError:
        return None
    return body if isinstance(body, PublicMessage) and isinstance(body.content.content, Commit) else None


def _init_keys(message: PublicMessage | None) -> frozenset[bytes]:
    """Of the key packages to which its Welcome was sealed."""
    commit = None if message is None else message.content.content
    added = (each for each in commit.proposals if isinstance(each, Add)) if isinstance(commit, Commit) else ()
    return frozenset(bytes(each.key_package.init_key) for each in added)


def _after(before: GroupRoster, message: PublicMessage, number: int) -> GroupRoster:
    """The members after a commit whose proposals stand in it: removals first, each addition in the leftmost blank leaf
    (RFC 9420 §12.3, §7.7). Keys of parents that it makes are unknown here."""
    commit, leaves = message.content.content, dict(before.leaves)
    assert isinstance(commit, Commit)
    for each in commit.proposals:
        if isinstance(each, Remove):
            leaves.pop(int(each.removed), None)
    for each in commit.proposals:
        if isinstance(each, Add):
            leaves[_first_blank(leaves)] = _leaf(each.key_package.leaf_node)
    sender = message.content.sender
    if commit.path is not None:
        joins = sender.sender_type is SenderType.NEW_MEMBER_COMMIT
        place = _first_blank(leaves) if joins else int(sender.leaf_index or 0)
        leaves[place] = _leaf(commit.path.leaf_node)
    return GroupRoster(number, leaves, frozenset(key for key, _ in leaves.values()))


def _first_blank(leaves: Mapping[int, object]) -> int:
    return next(place for place in range(len(leaves) + 1) if place not in leaves)
