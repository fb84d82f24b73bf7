"""Members of groups that talk by octets: each message is encoded by its sender and decoded by each receiver."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rcs_sim.mls.client import Client, KeyPackageKeys, capabilities_of
from rcs_sim.mls.commit_builder import CommitRequest, PendingCommit
from rcs_sim.mls.credential import BasicCredential
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.extensions import Extensions
from rcs_sim.mls.group import Group
from rcs_sim.mls.identifiers import ExtensionType, ProposalType
from rcs_sim.mls.joining import open_welcome
from rcs_sim.mls.leaf_node import Lifetime
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.messages import MLSMessage, PrivateMessage, PublicMessage
from rcs_sim.mls.proposals import Add, Proposal
from rcs_sim.mls.public_state import VerifiedApplication, VerifiedCommit, VerifiedProposal
from rcs_sim.mls.welcome import Welcome
from tests.support.mls_tree_views import seeded

__all__ = [
    "CUSTOM",
    "GROUP_ID",
    "LIFETIME",
    "NOW_S",
    "SUITE",
    "Party",
    "commit",
    "deliver",
    "established",
    "received",
    "share",
    "the_same_epoch",
]

GROUP_ID = b"a group"
NOW_S = 1_800_000_000
LIFETIME = Lifetime(NOW_S - 1000, NOW_S + 1_000_000)
SUITE = CipherSuite.of(1)
CUSTOM = ProposalType(0xF003)
_EXTENSION = ExtensionType(0xF001)


class Party:
    """Somebody with a client, and a group once there is one."""

    def __init__(
        self, name: str, policy: MemberPolicy | None = None, suite: CipherSuite = SUITE, seed: str = ""
    ) -> None:
        """Of the same *name*, another *seed* gives other keys."""
        self.name = name
        self.random = seeded(name + seed)
        self.policy = policy or MemberPolicy()
        credential = BasicCredential(name.encode())
        listed = CipherSuite.supported()
        suites = listed if suite.id in listed else (*listed, suite.id)
        self.client = Client(
            suite=suite,
            credential=credential,
            signature_key=suite.scheme.generate(self.random),
            capabilities=capabilities_of(credential, suites, extensions=(_EXTENSION,), proposals=(CUSTOM,)),
        )
        self.packages: list[KeyPackageKeys] = []
        self._group: Group | None = None

    def __repr__(self) -> str:
        return f"Party({self.name})"

    @property
    def group(self) -> Group:
        assert self._group is not None, self.name
        return self._group

    @group.setter
    def group(self, group: Group | None) -> None:
        self._group = group

    def key_package(self, *, last_resort: bool = False) -> KeyPackageKeys:
        keys = self.client.create_key_package(self.random, LIFETIME, last_resort=last_resort)
        self.packages.append(keys)
        return keys

    def add(self) -> Add:
        return Add(self.key_package().key_package)

    def create(self, group_id: bytes = GROUP_ID, extensions: Extensions = ()) -> Group:
        self.group = Group.create(
            self.client, group_id, self.random, LIFETIME, extensions=extensions, policy=self.policy
        )
        return self.group

    def join(self, welcome: bytes) -> Group:
        body = MLSMessage.decode(welcome).body
        assert isinstance(body, Welcome)
        opened = open_welcome(body, self.packages, self.policy)
        self.group = Group.join(opened, policy=self.policy, now_s=NOW_S)
        return self.group

    def seal(self, text: bytes, authenticated_data: bytes = b"") -> bytes:
        return self.group.seal(text, self.random, authenticated_data=authenticated_data).encode()

    def read(self, octets: bytes) -> VerifiedApplication:
        found = self.group.verify(received(self, octets), NOW_S)
        assert isinstance(found, VerifiedApplication)
        return found

    def follow(self, octets: bytes) -> None:
        """Stages and merges a Commit. Who it removes has no group then."""
        found = self.group.verify(received(self, octets), NOW_S)
        assert isinstance(found, VerifiedCommit)
        staged = self.group.stage_commit(found, NOW_S)
        self.group = None if staged.is_self_removed else self.group.merge(staged)

    def keep(self, octets: bytes) -> None:
        """Takes a proposal into the cache."""
        found = self.group.verify(received(self, octets), NOW_S)
        assert isinstance(found, VerifiedProposal)
        self.group.add_proposal(found)

    @property
    def is_member(self) -> bool:
        return self._group is not None


def received(party: Party, octets: bytes) -> PublicMessage | PrivateMessage:
    body = MLSMessage.decode(octets, party.policy.seams.custom_bodies()).body
    assert isinstance(body, (PublicMessage, PrivateMessage))
    return body


def share(sender: Party, others: Iterable[Party], proposal: Proposal) -> bytes:
    """A proposal by *sender* that all *others* keep."""
    octets = sender.group.propose(proposal, sender.random, now_s=NOW_S).encode()
    for other in others:
        other.keep(octets)
    return octets


def deliver(pending: PendingCommit, sender: Party, others: Iterable[Party], joiners: Iterable[Party] = ()) -> None:
    """The Commit goes to all, its Welcome to *joiners*; the sender merges it last."""
    octets = pending.message.encode()
    for other in others:
        other.follow(octets)
    for joiner in joiners:
        assert pending.welcome is not None
        joiner.join(pending.welcome.encode())
    sender.group = sender.group.merge_pending()


def commit(
    sender: Party,
    others: Iterable[Party],
    *proposals: Proposal,
    joiners: Sequence[Party] = (),
    with_path: bool = True,
) -> bytes:
    """A Commit of *sender* with *proposals* and with Adds of *joiners*, followed by all. Returns its octets."""
    everything = (*proposals, *(joiner.add() for joiner in joiners))
    request = CommitRequest(proposals=everything, with_path=with_path)
    pending = sender.group.commit(request, sender.random, NOW_S)
    deliver(pending, sender, others, joiners)
    return pending.message.encode()


def established(
    *names: str, policy: MemberPolicy | None = None, suite: CipherSuite = SUITE, extensions: Extensions = ()
) -> list[Party]:
    """A group of *names*: the first creates it and adds the others in one Commit."""
    parties = [Party(name, policy, suite) for name in names]
    parties[0].create(extensions=extensions)
    if len(parties) > 1:
        commit(parties[0], (), joiners=parties[1:])
    return parties


def the_same_epoch(*parties: Party) -> bool:
    """Whether all are in one epoch with equal secrets."""
    exporters = {party.group.export("test", b"context", 32).octets for party in parties}
    views = {(party.group.epoch, party.group.epoch_authenticator, party.group.context) for party in parties}
    return len(exporters) == len(views) == 1
