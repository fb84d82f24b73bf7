"""One era of an encrypted conversation, as one of its devices has it (RCC.16 §6, §7).

What is sealed is bound to its message id and era, and stamped with the generation that it is sealed with. Commits of
our own stay pending until the focus has answered: `confirm` or `roll_back`. There is no way to get anything but
ciphertext out of `seal`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from ims_core.errors import ProtocolError
from rcs_sim.e2ee.authenticated_data import AuthenticatedData
from rcs_sim.e2ee.certificate_validator import CertificateValidator
from rcs_sim.e2ee.client_message import ClientMlsRcsMessage, ClientOperation
from rcs_sim.e2ee.credential_identity import msisdn_of
from rcs_sim.e2ee.encrypted_entity import EncryptedEntity
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.extension_bodies import era_of, has_end_mls
from rcs_sim.e2ee.member.application_opening import Envelope, OpenRefusal, Unsealed, unseal
from rcs_sim.e2ee.member.member_setting import MemberSetting
from rcs_sim.e2ee.member.moment import Moment
from rcs_sim.e2ee.member.operations import (
    E2eeRefused,
    OperationKind,
    PendingOperation,
    SealRefusal,
    group_info_of_pending,
    welcome_as_sent,
)
from rcs_sim.e2ee.member.receipt_carrier import EpochKeys
from rcs_sim.e2ee.member.roster import Roster, roster_of
from rcs_sim.e2ee.secret_payload import SecretPayload
from rcs_sim.mls.commit_builder import CommitRequest, PendingCommit
from rcs_sim.mls.credential import X509Credential
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.extensions import Extensions
from rcs_sim.mls.group import Group
from rcs_sim.mls.identifiers import LeafIndex
from rcs_sim.mls.leaf_node import LeafNode
from rcs_sim.mls.messages import PrivateMessage
from rcs_sim.mls.proposals import Proposal
from rcs_sim.mls.staging import StagedCommit

__all__ = ["EncryptedGroup", "Former", "Sealed"]

_SPEC = "RCC.16 §7.5"
_COMMIT_SPEC = "RCC.16 §7.9"


Publish: TypeAlias = Callable[["EncryptedGroup", EpochIdentifier], Extensions]
"""What a GroupInfo of ours for a state has beside external_pub."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """The body of ``message/mls`` under *message_id*, and the state that sealed it, for the two MLS headers."""

    message_id: str
    octets: bytes
    state: EpochIdentifier


@dataclass(frozen=True, slots=True)
class Former:
    """The *group* before the last Commit, where nobody arbitrates and another Commit may win yet, and the leaf
    *committer* of who has made that one."""

    group: Group
    committer: LeafIndex


class EncryptedGroup:
    """A group of one era. `group_start` makes it, `group_snapshot` writes it down."""

    __slots__ = (
        "_before",
        "_group",
        "_names",
        "_operation",
        "_past_ends_s",
        "_receipt_epoch",
        "_revoked",
        "continuity_token",
        "era",
        "identifier",
        "is_downgraded",
        "roster",
        "setting",
        "welcome_extensions",
    )

    def __init__(
        self,
        setting: MemberSetting,
        group: Group,
        *,
        continuity_token: bytes | None = None,
        welcome_extensions: Extensions = (),
    ) -> None:
        """Raises MlsValidationError (RCC-ERA) if the group has no era. *welcome_extensions* are the keys of subject
        and icon that came in a Welcome."""
        era = era_of(group.context.extensions)
        if not era:
            raise MlsValidationError("RCC-ERA", "a group has no era", spec="RCC.16 §7.11.1")
        self.setting = setting
        self.era = era
        self.continuity_token = continuity_token
        self.welcome_extensions = welcome_extensions
        self._names: dict[bytes, str] = {}
        self._operation: PendingOperation | None = None
        self._past_ends_s: dict[int, int] = {}
        self._before: Former | None = None
        self._revoked: tuple[CertificateValidator, int, dict[bytes, str]] | None = None
        self._adopt(group)

    def __repr__(self) -> str:
        return f"EncryptedGroup({self.moment}, {sorted(self.roster.numbers)})"

    def _adopt(self, group: Group) -> None:
        self._group = group
        self._receipt_epoch: EpochKeys | None = None
        self.roster: Roster = roster_of(group.tree)
        self.is_downgraded: bool = has_end_mls(group.context.extensions)
        self.identifier = EpochIdentifier(self.era, int(group.epoch), group.epoch_authenticator)
        present = {leaf.signature_key: self.roster.leaves[index] for index, leaf in group.tree.members()}
        past = {key for each in group.past_epochs for key in each.signature_keys}
        self._names = {key: number for key, number in self._names.items() if key in past} | present

    def renew(self, setting: MemberSetting) -> None:
        """The device has another certificate, or trusts others than before: what comes from now on is judged by that,
        whoever may be in the group already."""
        self.setting = setting
        self._group.policy = setting.policy
        if self._before is not None:
            self._before.group.policy = setting.policy

    # --- what is known of it ----------------------------------------------------------------------------------------

    @property
    def group(self) -> Group:
        """The MLS group. What is changed on it directly is not noticed here."""
        return self._group

    @property
    def group_id(self) -> bytes:
        return self._group.group_id

    @property
    def moment(self) -> Moment:
        return Moment(self.era, int(self._group.epoch))

    @property
    def own_number(self) -> str:
        return self.setting.identity.msisdn

    @property
    def operation(self) -> PendingOperation | None:
        """Our own Commit that the focus has not answered yet."""
        return self._operation

    @property
    def names(self) -> dict[bytes, str]:
        """Certified number of each signature key of this epoch and of those that can still be read."""
        return self._names

    @property
    def revoked(self) -> Mapping[bytes, str]:
        """Certified number of each signature key, of this epoch or of one that can still be read, whose certificate has
        been revoked since."""
        trust, held = self.setting.trust.validator, self._revoked
        epoch = self._group.context.epoch
        if held is None or held[0] is not trust or held[1] != epoch:
            self._revoked = trust, epoch, self._find_revoked(trust)
        assert self._revoked is not None
        return self._revoked[2]

    def _find_revoked(self, trust: CertificateValidator) -> dict[bytes, str]:
        """Who has left this epoch, and was revoked before, stays so; who has another certificate by now is not."""
        members = [leaf for _, leaf in self._group.tree.members()]
        is_same = self._revoked is not None and self._revoked[0] is trust
        before = self._revoked[2] if is_same and self._revoked is not None else {}
        present = {leaf.signature_key for leaf in members}
        found = {key: number for key, number in before.items() if key not in present and key in self._names}
        lost = (leaf for leaf in members if trust.is_revoked(_chain_of(leaf)))
        return found | {leaf.signature_key: msisdn_of(leaf) for leaf in lost}

    @property
    def receipt_epoch(self) -> EpochKeys:
        """What signatures of receipts are made and verified with in this epoch."""
        if self._receipt_epoch is None:
            group = self._group
            keys = tuple(None if leaf is None else leaf.signature_key for leaf in group.tree.leaf_array())
            self._receipt_epoch = EpochKeys(group.context, keys, group.state.secrets.membership_key)
        return self._receipt_epoch

    @property
    def has_stale_own_leaf(self) -> bool:
        """Whether our leaf has another certificate than we have now."""
        return self._group.own_leaf_node.credential != self.setting.identity.credential

    @property
    def sends_in_epoch(self) -> int:
        """How many application messages our leaf has sealed in this epoch."""
        return int(self._group.next_generation)

    @property
    def past_ends_s(self) -> dict[int, int]:
        """When each past epoch that can still be read was over."""
        return self._past_ends_s

    # --- application messages ---------------------------------------------------------------------------------------

    def seal(self, entity: EncryptedEntity, message_id: str) -> Sealed:
        """*entity* as an application message. Raises E2eeRefused, and nothing else, and nothing was sealed then."""
        self._check_can_seal()
        group = self._group
        try:
            payload = SecretPayload(int(group.next_generation), entity.encode())
            bound = AuthenticatedData(message_id, self.era).encode()
            message = group.seal(payload.encode(), self.setting.random, authenticated_data=bound)
        except ProtocolError as error:
            raise E2eeRefused(SealRefusal.FAILED, str(error), spec=_SPEC) from error
        return Sealed(message_id, message.encode(), self.identifier)

    def _check_can_seal(self) -> None:
        """Once MLS has ended, encrypted sends are forbidden (RCC.16 §9.1.1)."""
        if self.is_downgraded:
            raise E2eeRefused(SealRefusal.DOWNGRADED, "encryption was ended", spec="RCC.16 §9.1.1")
        if len(self._group.proposals) and self._group.pending is None:
            raise E2eeRefused(SealRefusal.PENDING_PROPOSALS, "proposals wait to be committed", spec="RFC 9420 §12.4")

    def open(self, message: PrivateMessage, envelope: Envelope) -> Unsealed | OpenRefusal:
        """What a message of this era says. `Unsealed.consume` makes it count as read."""
        return unseal(self._group, message, envelope, self.era, self._names, self.revoked)

    # --- Commits of our own -----------------------------------------------------------------------------------------

    def commit(
        self,
        kind: OperationKind,
        control_id: str,
        now_s: int,
        request: CommitRequest,
        *,
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
        key_delivery: Sequence[bytes] = (),
        groupdata: bytes = b"",
        publish: Publish | None = None,
    ) -> PendingOperation:
        """A Commit for the focus, pending until `confirm` or `roll_back`. *add* and *remove* are numbers;
        *publish* gives what the GroupInfo has beside external_pub. Raises
        E2eeRefused, and nothing has changed then."""
        if self._operation is not None:
            raise E2eeRefused(SealRefusal.OPERATION_PENDING, "an operation waits for its answer", spec=_COMMIT_SPEC)
        bound = AuthenticatedData(control_id, self.era).encode()
        request = replace(request, authenticated_data=bound, tree_in_welcome=False)
        try:
            pending = self._group.commit(request, self.setting.random, now_s)
        except ProtocolError as error:
            raise E2eeRefused(SealRefusal.FAILED, str(error), spec=_COMMIT_SPEC) from error
        result = EpochIdentifier(self.era, int(self._group.epoch) + 1, pending.epoch_authenticator)
        message = self._request(pending, result, () if publish is None else publish(self, result))
        message = replace(
            message,
            add=_tel(add),
            remove=_tel(remove),
            key_delivery=tuple(key_delivery),
            groupdata=groupdata,
        )
        self._operation = PendingOperation(
            kind=kind,
            control_id=control_id,
            request=message,
            before=self.identifier,
            result=result,
            started_s=now_s,
        )
        return self._operation

    def _request(
        self, pending: PendingCommit, result: EpochIdentifier, info_extensions: Extensions
    ) -> ClientMlsRcsMessage:
        info = group_info_of_pending(pending, info_extensions)
        appends = self.setting.profile.appends_leaves_to_welcome
        return ClientMlsRcsMessage(
            operation=ClientOperation.COMMIT,
            mls_group_id=self.group_id,
            base=self.identifier,
            result=result,
            commit=pending.message.encode(),
            welcome=welcome_as_sent(pending.welcome, info.ratchet_tree, appends_tree=appends),
            group_info=info,
        )

    def propose(self, proposal: Proposal, control_id: str, now_s: int) -> PendingOperation:
        """A by-reference proposal of ours, a SelfRemove above all. It is not kept as an operation of the epoch: it
        takes effect when somebody commits it."""
        bound = AuthenticatedData(control_id, self.era).encode()
        try:
            message = self._group.propose(proposal, self.setting.random, authenticated_data=bound, now_s=now_s)
        except ProtocolError as error:
            raise E2eeRefused(SealRefusal.FAILED, str(error), spec=_COMMIT_SPEC) from error
        request = ClientMlsRcsMessage(
            operation=ClientOperation.PROPOSE,
            mls_group_id=self.group_id,
            base=self.identifier,
            proposal=message.encode(),
        )
        return PendingOperation(
            kind=OperationKind.LEAVE,
            control_id=control_id,
            request=request,
            before=self.identifier,
            result=None,
            started_s=now_s,
        )

    def confirm(self, now_s: int, *, keeps_before: bool = False) -> None:
        """The focus has taken our Commit. *keeps_before*: there is none, and another's Commit may win yet: see
        `step_back`."""
        self._close_epoch(now_s)
        before, self._operation = self._group, None
        self._adopt(before.merge_pending())
        before.clear_pending()
        self._before = Former(before, before.own_leaf) if keeps_before else None

    @property
    def before(self) -> Former | None:
        """The state before the last Commit, where nobody arbitrates."""
        return self._before

    def step_back(self) -> Former | None:
        """Goes back before the last Commit. Returns the group that was left, with who had led to it, for
        `step_forward`; None if there is no way back."""
        if self._before is None:
            return None
        left, before = self._group, self._before
        self._before = None
        self._adopt(before.group)
        return Former(left, before.committer)

    def step_forward(self, before: Former, left: Former) -> None:
        """Takes back a step back, and all that came after it: *before* is where it led to."""
        self._before = before
        self._adopt(left.group)

    def hold_operation(self, operation: PendingOperation) -> None:
        """A proposal of ours waits for its answer."""
        self._operation = operation

    def roll_back(self) -> None:
        """The focus has refused it, or another one was first."""
        if self._operation is not None and self._operation.kind is OperationKind.LEAVE:
            self._drop_own_proposals()
        self._operation = None
        self._group.clear_pending()

    def _drop_own_proposals(self) -> None:
        """A proposal of ours that was refused is nobody's to commit."""
        own = self._group.own_leaf
        for reference in [each.reference for each in self._group.proposals if each.sender.leaf_index == own]:
            if reference is not None:
                self._group.drop_proposal(reference)

    def merge(self, staged: StagedCommit, now_s: int, *, keeps_before: bool = False) -> PendingOperation | None:
        """Takes a Commit that was verified and staged. Returns the operation of ours that lost to it. *keeps_before* as
        of `confirm`."""
        lost, self._operation = self._operation, None
        before = self._group
        self._close_epoch(now_s)
        self._adopt(before.merge(staged))
        self._before = Former(before, staged.committer) if keeps_before else None
        return lost

    def resume(
        self,
        operation: PendingOperation | None,
        past_ends_s: dict[int, int],
        names: dict[bytes, str],
        before: Former | None,
    ) -> None:
        """Takes back what a snapshot had."""
        self._before = before
        self._operation = operation
        self._past_ends_s = past_ends_s
        self._names = names | self._names

    # --- retention --------------------------------------------------------------------------------------------------

    def _close_epoch(self, now_s: int) -> None:
        self._past_ends_s[int(self._group.epoch)] = now_s

    def forget_past(self, now_s: int) -> None:
        """Deletes the secrets of epochs that were over for longer than the profile keeps them (RCC.16 §6.1.1)."""
        oldest_s = now_s - self.setting.profile.past_epochs_s
        old = {epoch for epoch, end_s in self._past_ends_s.items() if end_s < oldest_s}
        if not old:
            return
        if self._before is not None and int(self._before.group.epoch) in old:
            self._before = None
        group = self._group
        kept = tuple(past for past in group.past_epochs if int(past.context.epoch) not in old)
        again = Group(group.state, group.signature_key, group.policy, kept, group.resumption_psks[:-1], group.reinit)
        again.resume(group.proposals, group.own_updates, group.reinit)
        again.resume_pending(group.pending)
        self._past_ends_s = {epoch: end_s for epoch, end_s in self._past_ends_s.items() if epoch not in old}
        self._adopt(again)


def _chain_of(leaf: LeafNode) -> tuple[bytes, ...]:
    return leaf.credential.certificates if isinstance(leaf.credential, X509Credential) else ()


def _tel(numbers: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"tel:+{number}" for number in numbers)
