"""Random histories: whatever members do, all who are in end in one epoch, and who is out reads nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.commit_builder import CommitRequest
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.extensions import Extension
from rcs_sim.mls.external import find_own_leaf, join_externally
from rcs_sim.mls.group import Group
from rcs_sim.mls.identifiers import ExtensionType, LeafIndex, WireFormat
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.messages import MLSMessage
from rcs_sim.mls.proposals import CustomProposal, GroupContextExtensions, Proposal, Remove, opaque_body
from rcs_sim.mls.public_group import PublicGroup
from rcs_sim.mls.public_state import VerifiedCommit, VerifiedProposal
from rcs_sim.mls.seams import AnyIdentity, CustomProposalRule, Seams
from rcs_sim.mls.snapshot import restore, snapshot
from rcs_sim.mls.tree_validation import verify_tree
from tests.support.mls_groups import CUSTOM, GROUP_ID, NOW_S, Party, established, received, the_same_epoch

_MOST = 16  # members: enough for four levels, quick enough for each run
_SEAMS = Seams(custom_proposals={CUSTOM: CustomProposalRule(proposal_type=CUSTOM, read_body=opaque_body)})


class Step(NamedTuple):
    """What happens: by whom, to whom, as far as there are so many."""

    kind: str
    actor: int
    target: int


_KINDS = ("add", "bare add", "remove", "update", "refresh", "extend", "custom", "external", "resync", "reload", "chat")
_STEPS = st.lists(st.builds(Step, st.sampled_from(_KINDS), st.integers(0, 63), st.integers(0, 63)), max_size=14)


class History:
    """The members of a group, those who left it, and a server that follows if handshakes are public."""

    def __init__(self, wire_format: WireFormat) -> None:
        self.policy = MemberPolicy(seams=_SEAMS, handshake_wire_format=wire_format)
        self.members = established("0", "1", "2", policy=self.policy)
        self.gone: list[tuple[Party, Group]] = []
        self.names: Iterator[str] = (str(number) for number in range(3, 1000))
        self.server: PublicGroup | None = None
        if wire_format is WireFormat.PUBLIC_MESSAGE:
            info, tree = self.members[0].group.group_info(), self.members[0].group.ratchet_tree()
            self.server = PublicGroup.start(info, ratchet_tree=tree, seams=_SEAMS)

    def do(self, step: Step) -> None:
        actor = self.members[step.actor % len(self.members)]
        target = self.members[step.target % len(self.members)]
        match step.kind:
            case "add" | "bare add" if len(self.members) < _MOST:
                self.commit(actor, joiner=Party(next(self.names), self.policy), with_path=step.kind == "add")
            case "remove" if actor is not target:
                self.commit(actor, Remove(target.group.own_leaf))
            case "update" if actor is not target:
                self.propose(target, target.group.propose_update(target.random, now_s=NOW_S))
                self.commit(actor, with_path=False)
            case "refresh":
                self.commit(actor)
            case "extend":
                context = (Extension(ExtensionType(0xF001), bytes([step.target])),)
                self.commit(actor, GroupContextExtensions(context))
            case "custom":
                proposal = CustomProposal.of_opaque(CUSTOM, b"x")
                self.propose(target, target.group.propose(proposal, target.random, now_s=NOW_S))
                self.commit(actor)
            case "external" if len(self.members) < _MOST:
                self.come_in(Party(next(self.names), self.policy), actor)
            case "resync" if actor is not target:
                self.resync(target, actor)
            case "reload":
                key = actor.client.signature_key
                actor.group = restore(snapshot(actor.group), lambda _: key, self.policy)
            case "chat":
                self.chat(actor)

    def others(self, party: Party) -> list[Party]:
        return [member for member in self.members if member is not party]

    def propose(self, sender: Party, message: MLSMessage) -> None:
        octets = message.encode()
        for other in self.others(sender):
            other.keep(octets)
        if self.server is not None:
            verified = self.server.verify(received(sender, octets), NOW_S)
            assert isinstance(verified, VerifiedProposal)
            self.server.add_proposal(verified)

    def commit(self, sender: Party, *proposals: Proposal, joiner: Party | None = None, with_path: bool = True) -> None:
        added = () if joiner is None else (joiner.add(),)
        late = sender.seal(b"late") if len(sender.group.proposals) == 0 else None
        request = CommitRequest(proposals=(*proposals, *added), with_path=with_path)
        pending = sender.group.commit(request, sender.random, NOW_S)
        before = {member.name: member.group for member in self.members}
        self.follow(sender, pending.message.encode())
        sender.group = sender.group.merge_pending()
        if joiner is not None:
            assert pending.welcome is not None
            joiner.join(pending.welcome.encode())
        if late is not None:
            for other in self.others(sender):
                if other.is_member:
                    assert other.read(late).application_data == b"late"
        self.settle(before, joiner)

    def follow(self, sender: Party | None, octets: bytes) -> None:
        for member in self.members:
            if member is not sender:
                member.follow(octets)
        if self.server is not None:
            verified = self.server.verify(MLSMessage.decode(octets, _SEAMS.custom_bodies()), NOW_S)
            assert isinstance(verified, VerifiedCommit)
            self.server = self.server.merge(self.server.stage_commit(verified, NOW_S))

    def settle(self, before: dict[str, Group], joiner: Party | None) -> None:
        self.gone += [(member, before[member.name]) for member in self.members if not member.is_member]
        self.members = [member for member in self.members if member.is_member]
        if joiner is not None:
            self.members.append(joiner)

    def come_in(self, joiner: Party, host: Party, *proposals: Proposal) -> None:
        info = host.group.group_info(with_tree=True)
        joined = join_externally(
            joiner.client, info, joiner.random, proposals=proposals, policy=self.policy, now_s=NOW_S
        )
        self.follow(joiner, joined.message.encode())
        joiner.group = joined.group
        self.settle({}, None if joiner in self.members else joiner)

    def resync(self, lost: Party, host: Party) -> None:
        own = find_own_leaf(host.group.tree, lost.client, AnyIdentity())
        assert own is not None
        self.come_in(lost, host, Remove(own))

    def chat(self, sender: Party) -> None:
        """Four messages, of which each reader gets three, the last ones first."""
        sealed = [sender.seal(bytes([number])) for number in range(4)]
        for place, reader in enumerate(self.others(sender)):
            for number in (3, 0, 2, 1):
                if number != place % 4:
                    assert reader.read(sealed[number]).application_data == bytes([number])

    def check(self) -> None:
        assert the_same_epoch(*self.members)
        group = self.members[0].group
        verify_tree(group.tree, GROUP_ID, group.context.tree_hash, group.context.extensions)
        if self.server is not None:
            assert self.server.context == group.context
            assert self.server.state.confirmation_tag == group.public.confirmation_tag
        octets = self.members[0].seal(b"for members")
        for member in self.members[1:]:
            assert member.read(octets).application_data == b"for members"
        for party, old in self.gone:
            with pytest.raises((MlsValidationError, TlsDecodeError)):
                old.verify(received(party, octets), NOW_S)


@pytest.mark.parametrize("wire_format", [WireFormat.PUBLIC_MESSAGE, WireFormat.PRIVATE_MESSAGE], ids=["pub", "priv"])
@given(steps=_STEPS)
@settings(max_examples=25, deadline=None)
def test_all_members_end_in_one_epoch(wire_format: WireFormat, steps: list[Step]) -> None:
    history = History(wire_format)
    for step in steps:
        history.do(step)
    history.check()


def test_sixty_four_members_that_all_commit_are_in_one_epoch() -> None:
    parties = established(*(f"member {number}" for number in range(64)))
    for sender in parties[::8]:
        request = CommitRequest(proposals=(Remove(LeafIndex(63)),) if sender is parties[0] else ())
        pending = sender.group.commit(request, sender.random, NOW_S)
        for other in parties:
            if other is not sender:
                other.follow(pending.message.encode())
        sender.group = sender.group.merge_pending()
        parties = [party for party in parties if party.is_member]
    assert len(parties) == 63
    assert the_same_epoch(*parties)
