"""Devices that ask a focus for what RCC.16 lets them ask, over the MLS engine and certificates of two lab vendors."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from functools import cache

from rcs_sim.e2ee.authenticated_data import AuthenticatedData
from rcs_sim.e2ee.certificate_issuer import LeafRequest
from rcs_sim.e2ee.certificate_profile import Strictness
from rcs_sim.e2ee.client_message import AdvanceKind, ClientMlsRcsMessage, ClientOperation, MlsGroupInfo, WelcomeAction
from rcs_sim.e2ee.credential_identity import msisdn_of
from rcs_sim.e2ee.custom_proposals import rcs_seams
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.extension_bodies import EndMlsForm, end_mls_extension, era_extension, era_of, replace_extension
from rcs_sim.e2ee.leaf_capabilities import GROUP_SUITE, leaf_capabilities
from rcs_sim.e2ee.participant_information import sign_participant_information
from rcs_sim.e2ee.participant_key import leaf_subject, leaf_subject_alt_name
from rcs_sim.e2ee.profile import lineage_like_profile
from rcs_sim.e2ee.public_key_info import spki_of_point
from rcs_sim.e2ee.server_message import CommitBundle
from rcs_sim.e2ee.trust_anchors import TrustAnchors
from rcs_sim.e2ee.vendor_pki import LAB_SHAPE, VendorPki
from rcs_sim.mls.client import Client, KeyPackageKeys
from rcs_sim.mls.commit_builder import CommitRequest
from rcs_sim.mls.credential import X509Credential
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.extensions import Extension, Extensions
from rcs_sim.mls.external import join_externally
from rcs_sim.mls.group import Group
from rcs_sim.mls.group_info import RatchetTreeExtension
from rcs_sim.mls.identifiers import WireFormat
from rcs_sim.mls.joining import open_welcome
from rcs_sim.mls.leaf_node import Lifetime
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.messages import MLSMessage
from rcs_sim.mls.proposals import Add, GroupContextExtensions, Proposal
from rcs_sim.mls.public_state import VerifiedCommit, VerifiedProposal
from rcs_sim.mls.seams import Seams
from rcs_sim.mls.welcome import Welcome
from rcs_sim.server.mls_request import read_group_info
from rcs_sim.server.mls_trust import FixedTrust, FocusIdentity
from tests.support.mls_tree_views import seeded

__all__ = ["ALICE", "BOB", "GROUP_ID", "NOW_S", "FocusDevice", "end_mls", "seams", "tree_of", "trust"]

ALICE, BOB = "12025550101", "12025550152"
GROUP_ID = b"7f3a0c5e-2b91-4d6f-8e10-5c9d2a4b6e01"
NOW_S = 1_772_446_500  # when the virtual clock begins
_SUITE = CipherSuite.of(GROUP_SUITE)
_DAY_S = 86_400


@cache
def pki(vendor_id: int) -> VendorPki:
    return VendorPki.derive(
        b"focus", vendor_id=vendor_id, kds=vendor_id, operator=f"v{vendor_id}", now_s=NOW_S - _DAY_S, shape=LAB_SHAPE
    )


@cache
def trust() -> TrustAnchors:
    """The roots of both vendors."""
    return TrustAnchors((pki(1).anchor, pki(2).anchor))


@cache
def seams(strictness: Strictness = Strictness.TOLERANT) -> Seams:
    """RCC.16's, with the roots of both vendors."""
    return rcs_seams(FocusIdentity(FixedTrust(trust()), strictness), msisdn_of)


def end_mls() -> Extension:
    return end_mls_extension(EndMlsForm.LITERAL)


def tree_of(group: Group) -> bytes:
    return group.ratchet_tree().encode()


class FocusDevice:
    """One device of a number. What it builds is applied by `adopt` only, as the focus may say no."""

    def __init__(
        self,
        digits: str,
        name: str = "1",
        *,
        vendor_id: int = 2,
        issued_s: int = NOW_S,
        issuer: VendorPki | None = None,
        trusted: Seams | None = None,
    ) -> None:
        """*issuer* is another authority than that of the tests, *trusted* whom such a device believes."""
        self.digits = digits
        self.random = seeded(f"{digits}/{name}")
        self.client_id = str(uuid.UUID(bytes=self.random(16), version=4))
        self.participant = _SUITE.scheme.generate(self.random)
        self.leaf_key = _SUITE.scheme.generate(self.random)
        self.vendor_id = vendor_id
        self.issuer = issuer or pki(vendor_id)
        self.policy = MemberPolicy(seams=trusted or seams(), handshake_wire_format=WireFormat.PUBLIC_MESSAGE)
        self.client = self.certified(issued_s)
        self.packages: list[KeyPackageKeys] = []
        self.era = 0
        self.now_s = NOW_S
        self.lifetime = Lifetime(issued_s - 3600, issued_s + 400 * _DAY_S)
        self._group: Group | None = None
        self._next: tuple[Group, int] | None = None

    def certified(self, issued_s: int) -> Client:
        """A client with a certificate of that moment: the same key and name each time."""
        subject, san = leaf_subject(self.client_id), leaf_subject_alt_name(self.digits)
        spki = spki_of_point(self.leaf_key.public)
        information = sign_participant_information(
            self.participant,
            spki_of_point(self.participant.public),
            vendor_id=self.vendor_id,
            not_before_s=issued_s - 365 * _DAY_S,
            not_after_s=issued_s + 365 * _DAY_S,
            subject_der=subject,
            leaf_spki=spki,
            san_der=san,
        )
        request = LeafRequest(
            subject=subject,
            san=san,
            point=self.leaf_key.public,
            participant_information=information.encode(),
            acs_proof=b"\x00\x00\x00\x00\x7f\x00\x00\x00\x00",
        )
        issuer = self.issuer
        return Client(
            suite=_SUITE,
            credential=X509Credential(issuer.chain(issuer.issue_leaf(request, issued_s))),
            signature_key=self.leaf_key,
            capabilities=leaf_capabilities(lineage_like_profile()),
        )

    # -- state -------------------------------------------------------------------------------------------------------

    @property
    def group(self) -> Group:
        assert self._group is not None
        return self._group

    @property
    def next_group(self) -> Group:
        """The group of what was built last, which nobody has accepted."""
        assert self._next is not None
        return self._next[0]

    @property
    def state(self) -> EpochIdentifier:
        if self._group is None:
            return EpochIdentifier()
        return EpochIdentifier(self.era, int(self.group.epoch), self.group.epoch_authenticator)

    def adopt(self) -> None:
        """The focus has accepted."""
        assert self._next is not None
        self._group, self.era = self._next
        self._next = None

    def roll_back(self) -> None:
        self._next = None
        if self._group is not None:
            self._group.clear_pending()

    def package(self) -> KeyPackageKeys:
        keys = self.client.create_key_package(self.random, self.lifetime)
        self.packages.append(keys)
        return keys

    def add(self) -> Add:
        return Add(self.package().key_package)

    # -- what it receives --------------------------------------------------------------------------------------------

    def receive(self, bundle: CommitBundle) -> None:
        """Joins by the Welcome if it is for this device, else applies the commit."""
        assert bundle.state is not None
        if bundle.welcome:
            body = MLSMessage.decode(bundle.welcome).body
            assert isinstance(body, Welcome)
            refs = {each.reference() for each in self.packages}
            if refs & {secrets.new_member for secrets in body.secrets}:
                opened = open_welcome(body, self.packages, self.policy)
                tree = RatchetTreeExtension.decode(bundle.ratchet_tree)
                self._group = Group.join(opened, ratchet_tree=tree, policy=self.policy, now_s=self.now_s)
                self.era = era_of(self._group.context.extensions) or 0
                return
        verified = self.group.verify(MLSMessage.decode(bundle.commit, self.group.custom_bodies()), self.now_s)
        assert isinstance(verified, VerifiedCommit)
        self._group = self.group.merge(self.group.stage_commit(verified, self.now_s))

    def keep(self, octets: bytes) -> None:
        """A proposal of somebody else."""
        verified = self.group.verify(MLSMessage.decode(octets, self.group.custom_bodies()), self.now_s)
        assert isinstance(verified, VerifiedProposal)
        self.group.add_proposal(verified)

    # -- requests ----------------------------------------------------------------------------------------------------

    def create(
        self,
        control_id: str,
        others: Sequence[FocusDevice] = (),
        *,
        era: int = 1,
        base: EpochIdentifier | None = None,
        kind: AdvanceKind = AdvanceKind.NORMAL,
        extensions: Extensions = (),
        group_id: bytes = GROUP_ID,
    ) -> ClientMlsRcsMessage:
        """A create, or with *base* a new era."""
        carried = (era_extension(era), *extensions)
        group = Group.create(self.client, group_id, self.random, self.lifetime, extensions=carried, policy=self.policy)
        commit, welcome = b"", b""
        if others:
            request = CommitRequest(
                proposals=tuple(other.add() for other in others),
                with_path=False,
                authenticated_data=AuthenticatedData(control_id, era).encode(),
                tree_in_welcome=False,
            )
            pending = group.commit(request, self.random, self.now_s)
            assert pending.welcome is not None
            commit, welcome = pending.message.encode(), pending.welcome.encode()
            group = group.merge_pending()
        self._next = group, era
        info = group.group_info()
        return ClientMlsRcsMessage(
            operation=ClientOperation.CREATE,
            mls_group_id=group_id,
            context_id=_context_id(control_id),
            base=base,
            result=EpochIdentifier(era, int(group.epoch), group.epoch_authenticator),
            commit=commit,
            welcome=welcome,
            group_info=MlsGroupInfo(MLSMessage(info).encode(), tree_of(group), group.epoch_authenticator),
            welcome_action=WelcomeAction.NEW_GROUP if base is None else WelcomeAction.NEW_ERA_EXISTING_GROUP,
            advance_kind=kind,
        )

    def new_era(
        self,
        control_id: str,
        others: Sequence[FocusDevice],
        server: EpochIdentifier,
        *,
        kind: AdvanceKind = AdvanceKind.NORMAL,
        extensions: Extensions = (),
    ) -> ClientMlsRcsMessage:
        return self.create(control_id, others, era=server.era_id + 1, base=server, kind=kind, extensions=extensions)

    def commit(
        self,
        control_id: str,
        *proposals: Proposal,
        client: Client | None = None,
        joiners: Sequence[FocusDevice] = (),
        authenticated_data: bytes | None = None,
        references: bool = True,
        info_extensions: Extensions = (),
    ) -> ClientMlsRcsMessage:
        aad = AuthenticatedData(control_id, self.era).encode() if authenticated_data is None else authenticated_data
        request = CommitRequest(
            proposals=(*proposals, *(joiner.add() for joiner in joiners)),
            references=None if references else (),
            authenticated_data=aad,
            tree_in_welcome=False,
            client=client,
        )
        base = self.state
        pending = self.group.commit(request, self.random, self.now_s)
        info = pending.group_info(extensions=info_extensions)
        authenticator = pending.epoch_authenticator
        self._next = self.group.merge_pending(), self.era
        self.group.clear_pending()
        return ClientMlsRcsMessage(
            operation=ClientOperation.COMMIT,
            mls_group_id=self.group.group_id,
            base=base,
            result=EpochIdentifier(base.era_id, base.epoch_id + 1, authenticator),
            commit=pending.message.encode(),
            welcome=b"" if pending.welcome is None else pending.welcome.encode(),
            group_info=MlsGroupInfo(MLSMessage(info).encode(), pending.ratchet_tree().encode(), authenticator),
            add=tuple(f"tel:+{joiner.digits}" for joiner in joiners),
        )

    def end_mls(self, control_id: str) -> ClientMlsRcsMessage:
        after = replace_extension(self.group.context.extensions, end_mls())
        return self.commit(control_id, GroupContextExtensions(after))

    def propose(self, control_id: str, proposal: Proposal) -> ClientMlsRcsMessage:
        aad = AuthenticatedData(control_id, self.era).encode()
        octets = self.group.propose(proposal, self.random, authenticated_data=aad, now_s=self.now_s).encode()
        return ClientMlsRcsMessage(
            operation=ClientOperation.PROPOSE, mls_group_id=self.group.group_id, base=self.state, proposal=octets
        )

    def join_by_commit(
        self, control_id: str, pulled: MlsGroupInfo, server: EpochIdentifier, *proposals: Proposal
    ) -> ClientMlsRcsMessage:
        """An external commit."""
        tree = RatchetTreeExtension.decode(pulled.ratchet_tree)
        joined = join_externally(
            self.client,
            read_group_info(pulled.group_info),
            self.random,
            ratchet_tree=tree,
            proposals=proposals,
            authenticated_data=AuthenticatedData(control_id, server.era_id).encode(),
            policy=self.policy,
            now_s=self.now_s,
        )
        group = joined.group
        self._next = group, server.era_id
        info = MLSMessage(group.group_info()).encode()
        return ClientMlsRcsMessage(
            operation=ClientOperation.EXTERNAL_COMMIT,
            mls_group_id=group.group_id,
            base=server,
            result=EpochIdentifier(server.era_id, int(group.epoch), group.epoch_authenticator),
            commit=joined.message.encode(),
            group_info=MlsGroupInfo(info, tree_of(group), group.epoch_authenticator),
        )


def _context_id(control_id: str) -> str:
    return hashlib.sha256(control_id.encode()).hexdigest()[:24]
