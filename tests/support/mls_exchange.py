"""Live exchanges of the MLS engine with other stacks: everybody is a Member, and only octets pass between them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from rcs_sim.mls.client import Client, KeyPackageKeys, capabilities_of
from rcs_sim.mls.commit_builder import CommitRequest, PendingCommit
from rcs_sim.mls.credential import BasicCredential, Credential
from rcs_sim.mls.crypto import CipherSuite, Random
from rcs_sim.mls.extensions import Extensions
from rcs_sim.mls.external import find_own_leaf, join_externally
from rcs_sim.mls.group import Group
from rcs_sim.mls.group_info import GroupInfo, RatchetTreeExtension
from rcs_sim.mls.identifiers import ExtensionType, LeafIndex, ProposalType, WireFormat
from rcs_sim.mls.joining import open_welcome
from rcs_sim.mls.key_package import KeyPackage
from rcs_sim.mls.leaf_node import Lifetime
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.messages import MLSMessage, PrivateMessage, PublicMessage
from rcs_sim.mls.proposals import Add, Proposal, Remove
from rcs_sim.mls.public_state import VerifiedApplication, VerifiedCommit, VerifiedProposal
from rcs_sim.mls.signature import SignatureKey
from rcs_sim.mls.snapshot import restore, snapshot
from rcs_sim.mls.welcome import Welcome

__all__ = [
    "EXPORT_CONTEXT",
    "EXPORT_LABEL",
    "EXPORT_OCTETS",
    "GROUP_ID",
    "Member",
    "OurMember",
    "Sent",
    "agree",
    "all_read_all",
    "cast",
    "establish",
    "tell",
    "the_same_epoch",
    "walk",
]

GROUP_ID = b"a live group"
EXPORT_LABEL, EXPORT_CONTEXT, EXPORT_OCTETS = "interop", b"a context", 40
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Sent:
    """A Commit that its sender has merged already, and what they need who are added: the first Welcome is for the
    first of them, or for all. *tree* is beside it if it is not inside."""

    commit: bytes
    welcomes: tuple[bytes, ...] = ()
    tree: bytes | None = None


class Member(Protocol):
    """One client, of this engine or of another one, in one group at most."""

    @property
    def identity(self) -> bytes:
        """What its basic credential says."""

    @property
    def authenticated_data(self) -> bytes:
        """What goes with all that it sends; empty if the API has no authenticated data."""

    @property
    def heard(self) -> bytes | None:
        """The authenticated data of what it received last; None if the API does not tell."""

    def key_package(self) -> bytes: ...

    def create(self, group_id: bytes) -> None: ...

    def join(self, welcome: bytes, tree: bytes | None) -> None: ...

    def add(self, key_packages: Sequence[bytes]) -> Sent: ...

    def update(self) -> Sent | None:
        """An empty Commit with a path; None if the API has none."""

    def remove(self, leaf: int, identity: bytes) -> Sent: ...

    def seal(self, text: bytes) -> bytes: ...

    def receive(self, octets: bytes, sender: Member) -> bytes | None:
        """Takes any message of the group. Application data, if it was that."""

    def marks(self) -> Mapping[str, object]:
        """What has to be equal for all, as far as the API shows it."""


class OurMember:
    """A member by this engine. *public* makes its handshakes PublicMessages; *sends_tree* puts the tree into a
    Welcome. Authenticated data is *authenticated_data* on all that it sends, and *heard* what came last."""

    def __init__(
        self,
        name: str,
        suite: CipherSuite,
        *,
        public: bool = False,
        sends_tree: bool = True,
        policy: MemberPolicy | None = None,
        credential: Credential | None = None,
        key: SignatureKey | None = None,
        extensions: tuple[ExtensionType, ...] = (),
        proposals: tuple[ProposalType, ...] = (),
        random: Random = secrets.token_bytes,
        clock_s: Callable[[], int] = lambda: int(time.time()),
    ) -> None:
        self.identity = name.encode()
        self.random = random
        self.clock_s = clock_s
        self.sends_tree = sends_tree
        wire_format = WireFormat.PUBLIC_MESSAGE if public else WireFormat.PRIVATE_MESSAGE
        self.policy = replace(policy or MemberPolicy(), handshake_wire_format=wire_format)
        credential = credential or BasicCredential(self.identity)
        self.client = Client(
            suite=suite,
            credential=credential,
            signature_key=key or suite.scheme.generate(random),
            capabilities=capabilities_of(credential, (suite.id,), extensions, proposals),
        )
        self.authenticated_data = b"sent by " + self.identity
        self.heard = b""
        self.packages: list[KeyPackageKeys] = []
        self._group: Group | None = None

    def __repr__(self) -> str:
        return f"OurMember({self.identity.decode()})"

    @property
    def group(self) -> Group:
        assert self._group is not None, self.identity
        return self._group

    @group.setter
    def group(self, group: Group) -> None:
        self._group = group

    @property
    def is_member(self) -> bool:
        return self._group is not None

    def lifetime(self) -> Lifetime:
        now_s = self.clock_s()
        return Lifetime(now_s - _DAY_S, now_s + 7 * _DAY_S)

    # --- how it begins ----------------------------------------------------------------------------------------------

    def key_package(self) -> bytes:
        keys = self.client.create_key_package(self.random, self.lifetime())
        self.packages.append(keys)
        return MLSMessage(keys.key_package).encode()

    def create(self, group_id: bytes, extensions: Extensions = ()) -> None:
        self.group = Group.create(
            self.client, group_id, self.random, self.lifetime(), extensions=extensions, policy=self.policy
        )

    def join(self, welcome: bytes, tree: bytes | None) -> None:
        body = MLSMessage.decode(welcome).body
        assert isinstance(body, Welcome)
        opened = open_welcome(body, self.packages, self.policy)
        beside = None if tree is None else RatchetTreeExtension.decode(tree)
        self.group = Group.join(opened, ratchet_tree=beside, policy=self.policy, now_s=self.clock_s())

    def join_externally(self, group_info: bytes, *, tree: bytes | None = None, resync: bool = False) -> bytes:
        """The external Commit by which it comes in, or back in."""
        info = MLSMessage.decode(group_info).body
        assert isinstance(info, GroupInfo)
        joined = join_externally(
            self.client,
            info,
            self.random,
            ratchet_tree=None if tree is None else RatchetTreeExtension.decode(tree),
            proposals=(Remove(self._own_leaf()),) if resync else (),
            authenticated_data=self.authenticated_data,
            policy=self.policy,
            now_s=self.clock_s(),
        )
        self.group = joined.group
        return joined.message.encode()

    def _own_leaf(self) -> LeafIndex:
        found = find_own_leaf(self.group.tree, self.client, self.policy.seams.identity)
        assert found is not None
        return found

    def group_info(self, *, with_tree: bool = True, extensions: Extensions = ()) -> bytes:
        return MLSMessage(self.group.group_info(with_tree=with_tree, extensions=extensions)).encode()

    # --- what it sends ----------------------------------------------------------------------------------------------

    def add(self, key_packages: Sequence[bytes]) -> Sent:
        return self.commit(*(Add(_key_package_of(octets)) for octets in key_packages))

    def update(self) -> Sent:
        return self.commit()

    def remove(self, leaf: int, identity: bytes) -> Sent:
        return self.commit(Remove(LeafIndex(leaf)))

    def pending(self, *proposals: Proposal) -> PendingCommit:
        request = CommitRequest(
            proposals=proposals, authenticated_data=self.authenticated_data, tree_in_welcome=self.sends_tree
        )
        return self.group.commit(request, self.random, self.clock_s())

    def commit(self, *proposals: Proposal) -> Sent:
        """A Commit with *proposals* and with all that were received; merged at once."""
        pending = self.pending(*proposals)
        welcomes = () if pending.welcome is None else (pending.welcome.encode(),)
        sent = Sent(pending.message.encode(), welcomes, None if self.sends_tree else pending.ratchet_tree().encode())
        self.group = self.group.merge_pending()
        return sent

    def propose(self, proposal: Proposal) -> bytes:
        data = self.authenticated_data
        return self.group.propose(proposal, self.random, authenticated_data=data, now_s=self.clock_s()).encode()

    def propose_update(self) -> bytes:
        data = self.authenticated_data
        return self.group.propose_update(self.random, authenticated_data=data, now_s=self.clock_s()).encode()

    def seal(self, text: bytes) -> bytes:
        return self.group.seal(text, self.random, authenticated_data=self.authenticated_data).encode()

    # --- what it is sent --------------------------------------------------------------------------------------------

    def receive(self, octets: bytes, sender: Member) -> bytes | None:
        body = MLSMessage.decode(octets, self.policy.seams.custom_bodies()).body
        assert isinstance(body, (PublicMessage, PrivateMessage))
        verified = self.group.verify(body, self.clock_s())
        self.heard = verified.authenticated_data
        match verified:
            case VerifiedApplication():
                return verified.application_data
            case VerifiedProposal():
                self.group.add_proposal(verified)
            case VerifiedCommit():
                staged = self.group.stage_commit(verified, self.clock_s())
                self._group = None if staged.is_self_removed else self.group.merge(staged)
        return None

    def marks(self) -> Mapping[str, object]:
        group = self.group
        return {
            "epoch": int(group.epoch),
            "authenticator": group.epoch_authenticator,
            "exporter": group.export(EXPORT_LABEL, EXPORT_CONTEXT, EXPORT_OCTETS).octets,
            "tree hash": group.context.tree_hash,
        }

    def reload(self) -> None:
        """Goes on with what a snapshot has kept."""
        key = self.client.signature_key
        self.group = restore(snapshot(self.group), lambda _: key, self.policy)

    def leaf_of(self, identity: bytes) -> int:
        """The leaf whose credential names *identity*."""
        return next(int(index) for index, leaf in self.group.tree.members() if identity in leaf.credential.encode())


def _key_package_of(octets: bytes) -> KeyPackage:
    body = MLSMessage.decode(octets).body
    assert isinstance(body, KeyPackage)
    return body


# --- the steps that every peer goes through ---------------------------------------------------------------------------


def the_same_epoch(members: Iterable[Member]) -> bool:
    """Whether all that show a mark show the same one."""
    views = [member.marks() for member in members]
    names = {name for view in views for name in view}
    return all(len({view[name] for view in views if name in view}) == 1 for name in names)


def all_read_all(members: Sequence[Member]) -> bool:
    """Whether each member reads what each other one seals now, and its authenticated data."""
    for sender in members:
        text = b"from " + sender.identity
        octets = sender.seal(text)
        for other in members:
            if other is sender:
                continue
            if other.receive(octets, sender) != text or other.heard not in (None, sender.authenticated_data):
                return False
    return True


def agree(*members: Member) -> None:
    """Asserts that *members* are in one epoch and read each other."""
    assert the_same_epoch(members), [member.marks() for member in members]
    assert all_read_all(members)


def tell(sent: Sent, sender: Member, members: Iterable[Member], joiners: Sequence[Member] = ()) -> None:
    """The Commit goes to all other members, Welcomes to *joiners*."""
    for member in members:
        if member is not sender:
            member.receive(sent.commit, sender)
    for place, joiner in enumerate(joiners):
        joiner.join(sent.welcomes[place if len(sent.welcomes) > 1 else 0], sent.tree)


def establish(creator: Member, *joiners: Member) -> None:
    """*creator* makes the group and adds *joiners* in one Commit."""
    creator.create(GROUP_ID)
    sent = creator.add([joiner.key_package() for joiner in joiners])
    tell(sent, creator, [creator], joiners)
    agree(creator, *joiners)


def walk(creator: Member, joiner: Member, third: Member) -> None:
    """*creator* makes a group and adds *joiner*, who adds *third*; each renews its keys; *creator* removes *third*,
    who comes back by *joiner*, who removes *third* for good. After each step all are in one epoch and read each
    other. One of the first two is ours."""
    observer = creator if isinstance(creator, OurMember) else joiner
    assert isinstance(observer, OurMember)
    establish(creator, joiner)
    everybody = (creator, joiner, third)
    tell(joiner.add([third.key_package()]), joiner, (creator, joiner), (third,))
    agree(*everybody)
    for member in everybody:
        sent = member.update()
        if sent is not None:
            tell(sent, member, everybody)
            agree(*everybody)
    for remover in (creator, joiner):
        tell(remover.remove(observer.leaf_of(third.identity), third.identity), remover, (creator, joiner))
        agree(creator, joiner)
        if remover is creator:
            tell(joiner.add([third.key_package()]), joiner, (creator, joiner), (third,))
            agree(*everybody)


def cast(roles: str, ours: Callable[[str], OurMember], peer: Callable[[str], Member]) -> list[Member]:
    """One member for each of *roles*, "ours" or "peer", joined by hyphens."""
    names = ("alice", "bob", "carol", "dave")
    return [ours(name) if role == "ours" else peer(name) for name, role in zip(names, roles.split("-"), strict=False)]
