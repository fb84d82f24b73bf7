"""A group whose members do what a list of steps says, over a network that holds back, reorders and repeats.

Handshakes have one order, as a delivery service gives them: the first Commit of an epoch wins. A member that is asleep
finds its messages when it wakes; a Commit may come before the proposals that it covers, and everything comes twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

import pytest

from ims_core.errors import LocalProtocolError
from ims_core.wire.secret import Secret
from rcs_sim.mls.branching import join_successor, reinitialize, successor_policy
from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.commit_builder import CommitRequest, PendingCommit
from rcs_sim.mls.credential import BasicCredential
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.extensions import Extension, Extensions, ExternalSender, ExternalSenders
from rcs_sim.mls.external import find_own_leaf, join_externally, propose_as_sender, propose_to_join
from rcs_sim.mls.group import Group
from rcs_sim.mls.identifiers import (
    CipherSuiteId,
    Epoch,
    ExtensionType,
    LeafIndex,
    ProtocolVersion,
    ResumptionPskUsage,
    WireFormat,
)
from rcs_sim.mls.joining import open_welcome
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.messages import MLSMessage, PrivateMessage, PublicMessage
from rcs_sim.mls.proposals import (
    CustomProposal,
    GroupContextExtensions,
    PreSharedKey,
    Proposal,
    ReInit,
    Remove,
    opaque_body,
)
from rcs_sim.mls.psk_id import ExternalPskID, ResumptionPskID
from rcs_sim.mls.public_group import PublicGroup
from rcs_sim.mls.public_state import VerifiedApplication, VerifiedCommit, VerifiedProposal
from rcs_sim.mls.seams import AnyIdentity, CustomProposalRule, Seams
from rcs_sim.mls.snapshot import restore, snapshot
from rcs_sim.mls.tree_validation import verify_tree
from rcs_sim.mls.welcome import Welcome
from tests.support.mls_groups import (
    CUSTOM,
    GROUP_ID,
    LIFETIME,
    NOW_S,
    SUITE,
    Party,
    established,
    received,
    the_same_epoch,
)
from tests.support.mls_tree_views import seeded

__all__ = ["KINDS", "MOST_MEMBERS", "History", "Step"]

MOST_MEMBERS = 64
_TOO_EARLY = ("VAL-802", "ValSem003")  # the proposals of a Commit, or the Commit before it, are still to come
_REPEATED_TO = 3  # members to whom everything comes twice
_SEAMS = Seams(custom_proposals={CUSTOM: CustomProposalRule(proposal_type=CUSTOM, read_body=opaque_body)})
_SENDER_KEY = SUITE.scheme.generate(seeded("external sender"))
_SENDERS = ExternalSenders((ExternalSender(_SENDER_KEY.public, BasicCredential(b"service")),)).as_extension()


class Step(NamedTuple):
    """What happens: by whom, to whom, as far as there are so many; *flavour* decides what else is free."""

    kind: str
    actor: int
    target: int
    flavour: int


class _SharedPsk:
    """An external PSK that everybody has."""

    def external_psk(self, psk_id: bytes) -> Secret | None:
        return Secret(b"shared by all") if psk_id == b"shared" else None

    def resumption_psk(self, group_id: bytes, epoch: Epoch) -> Secret | None:
        return None


def _policy(wire_format: WireFormat) -> MemberPolicy:
    return MemberPolicy(seams=_SEAMS, handshake_wire_format=wire_format, psks=_SharedPsk())


@cache
def _beginnings(wire_format: WireFormat, count: int) -> tuple[bytes, ...]:
    """The groups of *count* members in their first epoch, as snapshots: made once, for it takes a while."""
    parties = established(*map(str, range(count)), policy=_policy(wire_format), extensions=(_SENDERS,))
    return tuple(snapshot(party.group) for party in parties)


class History:
    """The members of a group, those who left it, and a server that follows if handshakes are public."""

    def __init__(self, wire_format: WireFormat, count: int) -> None:
        self.policy = _policy(wire_format)
        self.members: list[Party] = []
        for number, octets in enumerate(_beginnings(wire_format, count)):
            party = Party(str(number), self.policy)
            key = party.client.signature_key
            party.group = restore(octets, lambda _, key=key: key, self.policy)  # type: ignore[misc]  # default binds
            party.random = seeded(f"{number}, later")
            self.members.append(party)
        self.gone: list[tuple[Party, Group]] = []
        self.waiting: list[Party] = []  # proposed to be added
        self.asleep: set[str] = set()
        self.inboxes: dict[str, deque[bytes]] = {party.name: deque() for party in self.members}
        self.since: dict[str, Epoch] = {party.name: party.group.epoch for party in self.members}
        self.names: Iterator[str] = (str(number) for number in range(count, 10_000))
        self.server: PublicGroup | None = None
        if wire_format is WireFormat.PUBLIC_MESSAGE:
            group = self.members[0].group
            self.server = PublicGroup.start(group.group_info(), ratchet_tree=group.ratchet_tree(), seams=_SEAMS)

    # --- what may happen --------------------------------------------------------------------------------------------

    def do(self, step: Step) -> None:
        """One step, by a member that is awake and up to date."""
        actor = self.members[step.actor % len(self.members)]
        target = self.members[step.target % len(self.members)]
        self.wake(actor)
        if self.is_in(actor):  # it may have heard just now that it is not
            KINDS[step.kind](self, actor, target, step.flavour)

    def add(self, actor: Party, _target: Party, flavour: int) -> None:
        if len(self.members) < MOST_MEMBERS:
            joiner = self.newcomer()
            self.commit(actor, joiner.add(), with_path=bool(flavour & 1))

    def propose_add(self, actor: Party, _target: Party, flavour: int) -> None:
        """By a member, by who wants to join, or by the external sender."""
        if len(self.members) + len(self.waiting) >= MOST_MEMBERS:
            return
        joiner = self.newcomer()
        epoch = actor.group.epoch
        if flavour % 3 == 0:
            self.propose(actor, joiner.add())
        elif flavour % 3 == 1:
            self.send(None, propose_to_join(joiner.key_package(), GROUP_ID, epoch).encode())
        else:
            self.send(None, propose_as_sender(SUITE, _SENDER_KEY, 0, GROUP_ID, epoch, joiner.add()).encode())

    def remove(self, actor: Party, target: Party, _flavour: int) -> None:
        place = self.place_of(target, actor)
        if place is not None and actor is not target:
            self.commit(actor, Remove(place))

    def propose_remove(self, actor: Party, target: Party, flavour: int) -> None:
        place = self.place_of(target, actor)
        if place is None:
            return
        if flavour & 1:
            self.propose(actor, Remove(place))
        else:
            epoch = actor.group.epoch
            self.send(None, propose_as_sender(SUITE, _SENDER_KEY, 0, GROUP_ID, epoch, Remove(place)).encode())

    def update(self, actor: Party, _target: Party, _flavour: int) -> None:
        self.send(actor, actor.group.propose_update(actor.random, now_s=NOW_S).encode())

    def refresh(self, actor: Party, _target: Party, flavour: int) -> None:
        self.commit(actor, with_path=bool(flavour & 1))

    def extend(self, actor: Party, _target: Party, flavour: int) -> None:
        extensions: Extensions = (_SENDERS, Extension(ExtensionType(0xF001), bytes([flavour])))
        self.either(actor, GroupContextExtensions(extensions), flavour)

    def custom(self, actor: Party, _target: Party, flavour: int) -> None:
        self.either(actor, CustomProposal.of_opaque(CUSTOM, bytes([flavour])), flavour)

    def external_psk(self, actor: Party, _target: Party, flavour: int) -> None:
        self.either(actor, PreSharedKey(ExternalPskID(b"shared", actor.random(SUITE.hash_octets))), flavour)

    def resumption_psk(self, actor: Party, _target: Party, flavour: int) -> None:
        """Of an epoch in which all were members. By value alone: who joins by the same Commit has no such PSK."""
        newest = actor.group.epoch
        oldest = max(*self.since.values(), newest - self.policy.resumption_epochs + 1)
        epoch = Epoch(oldest + flavour % (newest - oldest + 1))
        nonce = actor.random(SUITE.hash_octets)
        psk_id = ResumptionPskID(ResumptionPskUsage.APPLICATION, GROUP_ID, epoch, nonce)
        self.commit(actor, PreSharedKey(psk_id), references=False)

    def external(self, actor: Party, _target: Party, _flavour: int) -> None:
        if len(self.members) < MOST_MEMBERS:
            self.come_in(self.newcomer(), actor)

    def resync(self, actor: Party, target: Party, flavour: int) -> None:
        place = self.place_of(target, actor)
        if place is None or actor is target:
            return
        psk = PreSharedKey(ExternalPskID(b"shared", target.random(SUITE.hash_octets)))
        self.come_in(target, actor, Remove(place), *((psk,) if flavour & 1 else ()))

    def race(self, actor: Party, target: Party, flavour: int) -> None:
        """Both commit; who comes second hears that it has lost."""
        if actor is target:
            return
        self.wake(target)
        if not (self.is_in(actor) and self.is_in(target)):
            return
        request = CommitRequest(references=())
        made = {party.name: party.group.commit(request, party.random, NOW_S) for party in (actor, target)}
        winner, loser = (actor, target) if flavour & 1 else (target, actor)
        self.accept(winner, made[winner.name], lambda: loser.group.clear_pending())
        for member in self.members[:_REPEATED_TO]:
            if member.name not in self.asleep and member is not loser:
                assert self.refused(member, made[loser.name].message.encode()) == "ValSem003"

    def reload(self, actor: Party, _target: Party, _flavour: int) -> None:
        key = actor.client.signature_key
        actor.group = restore(snapshot(actor.group), lambda _: key, self.policy)

    def sleep(self, actor: Party, target: Party, _flavour: int) -> None:
        if actor is not target:
            self.asleep.add(target.name)

    def chat(self, actor: Party, _target: Party, _flavour: int) -> None:
        """Four messages, of which each reader gets three, the last ones first."""
        if len(actor.group.proposals):
            self.commit(actor)
        sealed = [actor.seal(bytes([number])) for number in range(4)]
        for place, reader in enumerate(self.others(actor)):
            if reader.name in self.asleep:
                self.inboxes[reader.name].extend(sealed)
                continue
            for number in (3, 0, 2, 1):
                if number != place % 4:
                    assert reader.read(sealed[number]).application_data == bytes([number])
            if place < _REPEATED_TO:
                assert self.refused(reader, sealed[3]) == "VAL-901"

    # --- how it goes about ------------------------------------------------------------------------------------------

    def newcomer(self) -> Party:
        party = Party(next(self.names), self.policy)
        self.waiting.append(party)
        return party

    def others(self, party: Party | None) -> list[Party]:
        return [member for member in self.members if member is not party]

    def place_of(self, party: Party, seer: Party) -> LeafIndex | None:
        """Where *party* is in the group as *seer* knows it: who is asleep may be out, and not have heard of it."""
        return find_own_leaf(seer.group.tree, party.client, AnyIdentity())

    def is_in(self, party: Party) -> bool:
        return party in self.members

    def either(self, actor: Party, proposal: Proposal, flavour: int) -> None:
        """By value, or by reference for whoever commits next."""
        if flavour & 1:
            self.commit(actor, proposal, references=False)
        else:
            self.propose(actor, proposal)

    def propose(self, actor: Party, proposal: Proposal) -> None:
        self.send(actor, actor.group.propose(proposal, actor.random, now_s=NOW_S).encode())

    def commit(
        self, actor: Party, *proposals: Proposal, references: bool = True, with_path: bool = True
    ) -> PendingCommit:
        late = actor.seal(b"late") if len(actor.group.proposals) == 0 else None
        chosen = None if references else ()
        request = CommitRequest(proposals=proposals, references=chosen, with_path=with_path)
        readers = [each for each in self.others(actor) if each.name not in self.asleep]
        pending = actor.group.commit(request, actor.random, NOW_S)
        self.accept(actor, pending)
        for reader in readers if late is not None else ():
            if self.is_in(reader):
                assert reader.read(late or b"").application_data == b"late"
        return pending

    def accept(self, actor: Party, pending: PendingCommit, before: Callable[[], None] = lambda: None) -> None:
        """The delivery service has taken a Commit: all hear of it, and who is added gets the Welcome."""
        before()
        added = [pending.staged.followed.state.tree.leaf(place) for place in pending.staged.added]
        keys = {leaf.signature_key for leaf in added if leaf is not None}
        self.send(actor, pending.message.encode())
        actor.group = actor.group.merge_pending()
        joiners = [party for party in self.waiting if party.client.signature_key.public in keys]
        assert len(joiners) == len(keys)
        for joiner in joiners:
            assert pending.welcome is not None
            joiner.join(pending.welcome.encode())
        self.enter(joiners)

    def come_in(self, joiner: Party, host: Party, *proposals: Proposal) -> None:
        info = host.group.group_info(with_tree=True)
        joined = join_externally(
            joiner.client, info, joiner.random, proposals=proposals, policy=self.policy, now_s=NOW_S
        )
        self.send(joiner, joined.message.encode())
        joiner.group = joined.group
        self.enter([joiner])

    def enter(self, joiners: Sequence[Party]) -> None:
        for joiner in joiners:
            self.inboxes[joiner.name] = deque()
            self.since[joiner.name] = joiner.group.epoch
            self.asleep.discard(joiner.name)
            if not self.is_in(joiner):
                self.members.append(joiner)
        self.waiting = []  # proposals are of one epoch

    def send(self, sender: Party | None, octets: bytes) -> None:
        """A handshake goes to the server and to all, who take it unless they are asleep."""
        if self.server is not None:
            self._follow_at_server(octets)
        for member in self.others(sender):
            self.inboxes[member.name].append(octets)
            if member.name not in self.asleep:
                self.drain(member)

    def _follow_at_server(self, octets: bytes) -> None:
        assert self.server is not None
        verified = self.server.verify(MLSMessage.decode(octets, _SEAMS.custom_bodies()), NOW_S)
        if isinstance(verified, VerifiedCommit):
            self.server = self.server.merge(self.server.stage_commit(verified, NOW_S))
        else:
            self.server.add_proposal(verified)

    def wake(self, party: Party) -> None:
        """Finds what has come in the meantime, each two neighbours in the wrong order."""
        self.asleep.discard(party.name)
        inbox = self.inboxes[party.name]
        for place in range(0, len(inbox) - 1, 2):
            inbox[place], inbox[place + 1] = inbox[place + 1], inbox[place]
        self.drain(party)

    def drain(self, party: Party) -> None:
        """Takes what is there; what cannot be understood yet is tried again after the next one."""
        inbox = self.inboxes[party.name]
        held: list[bytes] = []
        while inbox and self.is_in(party):
            octets = inbox.popleft()
            if self._take(party, octets):
                inbox.extendleft(reversed(held))
                held = []
            else:
                held.append(octets)
        assert not held or not self.is_in(party)

    def _take(self, party: Party, octets: bytes) -> bool:
        """Whether *party* could make anything of *octets*. They come a second time, too."""
        body = received(party, octets)
        try:
            found = party.group.verify(body, NOW_S)
            if isinstance(found, VerifiedCommit):
                staged = party.group.stage_commit(found, NOW_S)
                if staged.is_self_removed:
                    self._leave(party)
                    return True
                party.group = party.group.merge(staged)
            elif isinstance(found, VerifiedProposal) and found.epoch == party.group.epoch:
                party.group.add_proposal(found)
            elif isinstance(found, VerifiedApplication):
                assert len(found.application_data) == 1
        except MlsValidationError as refused:
            if refused.rule not in _TOO_EARLY:
                raise
            return _epoch_of(body) < party.group.epoch  # or too late: an outsider's proposal that nobody has covered
        comes_twice = isinstance(body, PrivateMessage) or isinstance(found, VerifiedCommit)
        if comes_twice and party in self.members[:_REPEATED_TO]:
            assert self.refused(party, octets) in ("VAL-901", "ValSem003")
        return True

    def _leave(self, party: Party) -> None:
        self.gone.append((party, party.group))
        self.members.remove(party)
        self.inboxes[party.name].clear()
        del self.since[party.name]

    def refused(self, party: Party, octets: bytes) -> str:
        """The rule by which a message is refused that has to be."""
        with pytest.raises(MlsValidationError) as error:
            party.group.stage_commit(party.group.verify(received(party, octets), NOW_S))  # type: ignore[arg-type]  # or earlier
        return error.value.rule

    # --- how it ends ------------------------------------------------------------------------------------------------

    def end(self) -> None:
        """All wake up and are in one epoch; those who are out read nothing; then a ReInit ends the group."""
        for member in list(self.members):
            self.wake(member)
        if len(self.members[0].group.proposals):
            self.commit(self.members[0])
        self._check()
        self._reinitialize()

    def _check(self) -> None:
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

    def _reinitialize(self) -> None:
        first = self.members[0]
        plan = ReInit(b"the next group", ProtocolVersion.MLS10, CipherSuiteId(1), ())
        self.send(first, (pending := first.group.commit(_only(plan), first.random, NOW_S)).message.encode())
        first.group = first.group.merge_pending()
        assert pending.welcome is None
        for member in self.members:
            assert member.group.reinit == plan
            with pytest.raises(LocalProtocolError):
                member.seal(b"too late")
        others = self.members[1:]
        packages = [member.key_package().key_package for member in others]
        new = reinitialize(first.group, first.client, packages, first.random, LIFETIME, now_s=NOW_S)
        assert new.pending is not None
        assert others == [] or new.pending.welcome is not None
        for member in others[:_REPEATED_TO]:
            assert _joins(member, new) == new.pending.epoch_authenticator


def _epoch_of(body: PublicMessage | PrivateMessage) -> Epoch:
    return body.epoch if isinstance(body, PrivateMessage) else body.content.epoch


def _only(proposal: Proposal) -> CommitRequest:
    return CommitRequest(proposals=(proposal,), references=(), with_path=False)


def _joins(member: Party, new: Group) -> bytes:
    """The epoch authenticator of *member* in the group that succeeds the one that was ended."""
    assert new.pending is not None
    assert new.pending.welcome is not None
    welcome = MLSMessage.decode(new.pending.welcome.encode()).body
    assert isinstance(welcome, Welcome)
    opened = open_welcome(welcome, member.packages, successor_policy(member.group))
    return join_successor(member.group, opened, now_s=NOW_S).epoch_authenticator


KINDS: dict[str, Callable[[History, Party, Party, int], None]] = {
    "add": History.add,
    "propose add": History.propose_add,
    "remove": History.remove,
    "propose remove": History.propose_remove,
    "update": History.update,
    "refresh": History.refresh,
    "extend": History.extend,
    "custom": History.custom,
    "external PSK": History.external_psk,
    "resumption PSK": History.resumption_psk,
    "external": History.external,
    "resync": History.resync,
    "race": History.race,
    "reload": History.reload,
    "sleep": History.sleep,
    "chat": History.chat,
}
