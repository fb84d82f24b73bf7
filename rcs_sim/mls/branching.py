"""Groups that come out of a group: a ReInit's successor and subgroups (RFC 9420 §11.2, §11.3).

Both begin with a Commit that has a resumption PSK of the old group; who is welcomed checks what it says about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ims_core.errors import LocalProtocolError
from ims_core.wire.secret import Secret
from rcs_sim.mls.client import Client
from rcs_sim.mls.commit_builder import CommitRequest
from rcs_sim.mls.crypto import Random
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.extensions import Extensions
from rcs_sim.mls.group import Group
from rcs_sim.mls.group_info import GroupContext, RatchetTreeExtension
from rcs_sim.mls.identifiers import Epoch, ResumptionPskUsage
from rcs_sim.mls.joining import OpenedWelcome
from rcs_sim.mls.key_package import KeyPackage
from rcs_sim.mls.leaf_node import Lifetime
from rcs_sim.mls.member_policy import MemberPolicy, PskProvider
from rcs_sim.mls.proposals import Add, PreSharedKey
from rcs_sim.mls.psk_id import ResumptionPskID
from rcs_sim.mls.ratchet_tree import RatchetTree
from rcs_sim.mls.seams import IdentityProvider

__all__ = [
    "branch",
    "join_successor",
    "reinitialize",
    "successor_policy",
    "verify_branch_members",
    "verify_branch_suite",
    "verify_origin",
    "verify_reinit_context",
    "verify_reinit_members",
]


@dataclass(frozen=True, slots=True)
class _OriginPsks:
    """The PSKs of *others*, and the resumption PSK of the group that another comes out of."""

    others: PskProvider
    group_id: bytes
    epoch: Epoch
    psk: Secret

    def external_psk(self, psk_id: bytes) -> Secret | None:
        return self.others.external_psk(psk_id)

    def resumption_psk(self, group_id: bytes, epoch: Epoch) -> Secret | None:
        if (group_id, epoch) == (self.group_id, self.epoch):
            return self.psk
        return self.others.resumption_psk(group_id, epoch)


def successor_policy(origin: Group, policy: MemberPolicy | None = None) -> MemberPolicy:
    """*policy*, by default that of *origin*, with which a Welcome to a group out of *origin* can be opened."""
    policy = policy or origin.policy
    return replace(policy, psks=_OriginPsks(policy.psks, origin.group_id, origin.epoch, origin.resumption_psk))


def branch(
    origin: Group,
    client: Client,
    members: Sequence[KeyPackage],
    group_id: bytes,
    random: Random,
    lifetime: Lifetime,
    *,
    extensions: Extensions = (),
    now_s: int | None = None,
) -> Group:
    """A subgroup of *origin* with *members*, whose first Commit is pending (RFC 9420 §11.3)."""
    if client.suite.id != origin.suite.id:
        raise LocalProtocolError("a subgroup has the cipher suite of its group", spec="RFC 9420 §11.3")
    usage = ResumptionPskUsage.BRANCH
    return _begin(origin, client, members, group_id, random, lifetime, extensions, usage, now_s)


def reinitialize(
    origin: Group,
    client: Client,
    members: Sequence[KeyPackage],
    random: Random,
    lifetime: Lifetime,
    *,
    now_s: int | None = None,
) -> Group:
    """The group that the ReInit of *origin* asks for, whose first Commit is pending (RFC 9420 §11.2). *client* and
    *members* are of its cipher suite."""
    plan = origin.reinit
    if plan is None or plan.cipher_suite != client.suite.id:
        raise LocalProtocolError("no ReInit of this cipher suite was committed", spec="RFC 9420 §11.2")
    usage = ResumptionPskUsage.REINIT
    return _begin(origin, client, members, plan.group_id, random, lifetime, plan.extensions, usage, now_s)


def _begin(
    origin: Group,
    client: Client,
    members: Sequence[KeyPackage],
    group_id: bytes,
    random: Random,
    lifetime: Lifetime,
    extensions: Extensions,
    usage: ResumptionPskUsage,
    now_s: int | None,
) -> Group:
    policy = successor_policy(origin)
    group = Group.create(client, group_id, random, lifetime, extensions=extensions, policy=policy)
    nonce = random(client.suite.hash_octets)
    psk = PreSharedKey(ResumptionPskID(usage, origin.group_id, origin.epoch, nonce))
    adds = tuple(Add(member) for member in members)
    group.commit(CommitRequest(proposals=(psk, *adds), psk_usage=usage), random, now_s)
    return group


def join_successor(
    origin: Group,
    opened: OpenedWelcome,
    *,
    ratchet_tree: RatchetTreeExtension | None = None,
    now_s: int | None = None,
) -> Group:
    """The group of a Welcome that was opened with the `successor_policy` of *origin*. Raises MlsValidationError or
    TlsDecodeError."""
    usage = verify_origin(opened, origin)
    joined = Group.join(opened, ratchet_tree=ratchet_tree, policy=origin.policy, now_s=now_s)
    identity = origin.policy.seams.identity
    if usage is ResumptionPskUsage.REINIT:
        verify_reinit_context(joined.context, origin)
        verify_reinit_members(joined.tree, origin.tree, identity)
    else:
        verify_branch_suite(joined.context, origin.context)
        verify_branch_members(joined.tree, origin.tree, identity)
    return joined


def verify_origin(opened: OpenedWelcome, origin: Group) -> ResumptionPskUsage:
    """VAL-841: a Welcome says that its group comes out of *origin*, as it is now. Returns in which way."""
    for psk in opened.resumption_psks():
        if (psk.psk_group_id, psk.psk_epoch) == (origin.group_id, origin.epoch):
            return psk.usage
    raise MlsValidationError("VAL-841", "a Welcome does not come out of this group", spec="RFC 9420 §12.4.3.1")


def verify_reinit_context(context: GroupContext, origin: Group) -> None:
    """VAL-843: the new group is the one that the ReInit describes (RFC 9420 §11.2)."""
    plan = origin.reinit
    found = (context.group_id, context.version, context.cipher_suite, context.extensions)
    if plan is None or found != (plan.group_id, plan.version, plan.cipher_suite, plan.extensions):
        raise MlsValidationError("VAL-843", "a new group is not the one of the ReInit", spec="RFC 9420 §11.2")


def verify_branch_suite(context: GroupContext, origin: GroupContext) -> None:
    """VAL-844: a subgroup has version and cipher suite of its group (RFC 9420 §11.3)."""
    if (context.version, context.cipher_suite) != (origin.version, origin.cipher_suite):
        raise MlsValidationError("VAL-844", "a subgroup is of another cipher suite", spec="RFC 9420 §11.3")


def verify_branch_members(tree: RatchetTree, origin: RatchetTree, identity: IdentityProvider) -> None:
    """VAL-845: the members of a subgroup are members of its group (RFC 9420 §11.3)."""
    if not _identities(tree, identity) <= _identities(origin, identity):
        raise MlsValidationError("VAL-845", "a subgroup has a member of its own", spec="RFC 9420 §11.3")


def verify_reinit_members(tree: RatchetTree, origin: RatchetTree, identity: IdentityProvider) -> None:
    """VAL-846: the new group has the members of the old one (RFC 9420 §11.2)."""
    if _identities(tree, identity) != _identities(origin, identity):
        raise MlsValidationError("VAL-846", "a new group has not the members of the old", spec="RFC 9420 §11.2")


def _identities(tree: RatchetTree, identity: IdentityProvider) -> frozenset[bytes]:
    return frozenset(identity.identity_of(leaf.credential) for _, leaf in tree.members())
