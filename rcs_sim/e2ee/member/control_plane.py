"""The control plane of a conversation: its group, the one request under way, and what the focus says (RCC.16 §6.1.2,
§6.2, §7.9, §8.3).

A request is pending until its answer. Refused, it is undone; without an answer it is kept until the server's state
tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from rcs_sim.e2ee.client_message import AdvanceKind, MlsGroupInfo
from rcs_sim.e2ee.credential_identity import client_id_of, msisdn_of
from rcs_sim.e2ee.custom_proposals import self_remove_proposal
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.extension_bodies import DowngradeReason, has_end_mls
from rcs_sim.e2ee.member import commit_plans
from rcs_sim.e2ee.member.application_opening import Envelope
from rcs_sim.e2ee.member.commit_verdict import CommitVerdict, FocusRefusal, NextStep, next_step_of, verdict_of
from rcs_sim.e2ee.member.continuity_check import token_to_carry
from rcs_sim.e2ee.member.control_application import FannedOut, HandshakeOutcome, apply_handshake
from rcs_sim.e2ee.member.control_outcome import (
    Adopted,
    Advanced,
    ControlOutcome,
    ControlRefusal,
    Converged,
    GroupInfoReceived,
    Ignored,
    IgnoredWhy,
    Joined,
    NeedsServerState,
    RemovedFromGroup,
)
from rcs_sim.e2ee.member.encrypted_group import EncryptedGroup
from rcs_sim.e2ee.member.group_start import (
    CarriedState,
    Era,
    StartedGroup,
    commit_externally,
    published_extensions,
    start_group,
    verify_carried,
)
from rcs_sim.e2ee.member.health import HealthMachine, HealthState
from rcs_sim.e2ee.member.health_course import HealthCourse
from rcs_sim.e2ee.member.joining import IncomingWelcome, JoinedGroup, join_group, read_welcome
from rcs_sim.e2ee.member.key_package_pool import KeyPackagePool
from rcs_sim.e2ee.member.member_setting import MemberSetting
from rcs_sim.e2ee.member.moment import Moment
from rcs_sim.e2ee.member.operations import (
    KIND_OF_ADVANCE,
    E2eeRefused,
    OperationKind,
    PendingOperation,
    SealRefusal,
    bundle_of,
)
from rcs_sim.e2ee.member.receipt_signature import ReceiptKeys
from rcs_sim.e2ee.server_message import AcceptedMessage, CommitBundle, RawMlsMessage, ServerMlsRcsMessage
from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.commit_builder import CommitRequest
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.identifiers import LeafIndex
from rcs_sim.mls.key_package import KeyPackage

__all__ = ["ControlPlane", "Hold", "RefusedOperation", "Settlement"]

CONVERGENCE_WAIT_S = 90  # the longest that messages wait for a commit of ours to be everywhere (choice)
MAX_ERAS_AHEAD = 64
_WELCOME = b"\x00\x01\x00\x03"  # MLSMessage: mls10, mls_welcome
_ENDED = frozenset({HealthState.DONE_END_MLS, HealthState.CANNOT_HEAL_DURING_END_MLS})
_REPLAYED = Ignored(IgnoredWhy.REPLAYED_WELCOME)
_LOST = Ignored(IgnoredWhy.LOST_RACE)
_MAKER = LeafIndex(0)  # who makes a group has the first leaf (RFC 9420 §11)
_SPEC = "RCC.16 §7.9"


@dataclass(frozen=True, slots=True)
class RefusedOperation:
    """A request of ours that the focus has refused. It is undone already where *next_step* says so."""

    operation: PendingOperation
    verdict: CommitVerdict
    next_step: NextStep


class Settlement(Enum):
    """What the server's state says about a request without an answer."""

    APPLIED = auto()
    ROLLED_BACK = auto()
    RECONCILE = auto()
    """Neither: it is kept, and the states are brought together first."""
    NOTHING_PENDING = auto()


@dataclass(frozen=True, slots=True)
class Hold:
    """Messages wait for everybody to have the state of this request, at the latest until *until_s*."""

    control_id: str
    until_s: int

    def lasts(self, now_s: int) -> bool:
        """Not so if it began in the future: the clock has been put back since."""
        return now_s < self.until_s <= now_s + CONVERGENCE_WAIT_S


class ControlPlane:
    """*group* is the one of the present era, None without. The pool is the device's. *is_arbitrated*: a focus decides
    which request counts; without one see `publish`. *requires_convergence*: messages wait for what it says. *heard_era*
    is the last era that the peer has named: without a focus ours has to be later to count."""

    __slots__ = (
        "_candidate",
        "course",
        "former_receipts",
        "group",
        "has_left",
        "heard_era",
        "hold",
        "is_arbitrated",
        "pool",
        "requires_convergence",
        "self_updated_at",
        "setting",
    )

    def __init__(self, setting: MemberSetting, pool: KeyPackagePool) -> None:
        self.setting = setting
        self.pool = pool
        self.group: EncryptedGroup | None = None
        self.course = HealthCourse()
        self.hold: Hold | None = None
        self.has_left = False
        self.heard_era = 0
        self.is_arbitrated = True
        self.requires_convergence = True
        self.former_receipts: ReceiptKeys | None = None
        self.self_updated_at: tuple[EpochIdentifier, bytes] | None = None
        self._candidate: StartedGroup | None = None

    @property
    def candidate(self) -> StartedGroup | None:
        """A group of ours that the focus has not taken yet."""
        return self._candidate

    @property
    def operation(self) -> PendingOperation | None:
        """The request that waits for its answer."""
        if self._candidate is not None:
            return self._candidate.operation
        return None if self.group is None else self.group.operation

    @property
    def _waits_for_convergence(self) -> bool:
        """Where the deployment asks for it, by those devices that do so."""
        return self.requires_convergence and self.setting.profile.waits_for_convergence

    def renew(self, setting: MemberSetting) -> None:
        """The device has another certificate. The group gets it by `self_update`."""
        self.setting = setting
        if self.group is not None:
            self.group.renew(setting)

    def resume(self, candidate: StartedGroup | None) -> None:
        """Takes back what a snapshot had."""
        self._candidate = candidate

    # --- requests that make a group ---------------------------------------------------------------------------------

    def create(self, packages: Sequence[KeyPackage], group_id: bytes, control_id: str, now_s: int) -> PendingOperation:
        """The first group: one Commit adds everybody whose *packages* these are. Raises E2eeRefused: never over a group
        that is held."""
        if self.group is not None:
            raise E2eeRefused(SealRefusal.NOT_ALLOWED, "there is a group already", spec="RCC.16 §6.2")
        self._check_free(OperationKind.CREATE)
        era = Era(group_id=group_id, era=self._known_era() + 1)
        return self._start(start_group(self.setting, packages, era, control_id, now_s), now_s)

    def _known_era(self) -> int:
        """The last one that counts: what a peer names in clear anybody may have written, so that it leads no further
        than some eras ahead (choice)."""
        held = 0 if self.group is None else self.group.era
        return held if self.is_arbitrated else max(held, min(self.heard_era, held + MAX_ERAS_AHEAD))

    def new_era(
        self,
        packages: Sequence[KeyPackage],
        kind: AdvanceKind,
        control_id: str,
        now_s: int,
        *,
        server: EpochIdentifier | None,
        carried: MlsGroupInfo | None,
        group_id: bytes | None = None,
        carries_own: bool = False,
        reason: DowngradeReason = DowngradeReason.UNSET,
    ) -> PendingOperation:
        """A new group one era above both the server's state and ours. *carried* is the server's GroupInfo, whose
        extensions come along; while the server holds a group there is no new era without, but from a server that gives
        none out: then those of our own group do (*carries_own*), and it refuses what drops any of its own (choice).
        *group_id* is the server's where it differs from ours. Raises E2eeRefused."""
        self._check_free(KIND_OF_ADVANCE[kind])
        if server is not None and carried is None and not carries_own:
            raise E2eeRefused(SealRefusal.NOT_ALLOWED, "the server's GroupInfo is missing", spec="RCC.16 §8.3")
        era = self._next_era(kind, server, carried, group_id, reason)
        return self._start(start_group(self.setting, packages, era, control_id, now_s), now_s)

    def _next_era(
        self,
        kind: AdvanceKind,
        server: EpochIdentifier | None,
        carried: MlsGroupInfo | None,
        group_id: bytes | None,
        reason: DowngradeReason,
    ) -> Era:
        held = self.group
        found = None if carried is None else self._verify_carried(carried)
        extensions = () if found is None else found.extensions
        if held is not None and not self.is_arbitrated:
            server, extensions = held.identifier, held.group.context.extensions  # nobody knows a later state
        elif held is not None and found is None and server is not None:
            extensions = held.group.context.extensions  # the server gives none out
        if kind is AdvanceKind.NORMAL and has_end_mls(extensions):
            raise E2eeRefused(SealRefusal.DOWNGRADED, "the server's group has ended MLS", spec="RCC.16 §9.1.1")
        wanted = group_id or (found.info.group_context.group_id if found is not None else None)
        wanted = wanted or (held.group_id if held is not None else None)
        if wanted is None:
            raise E2eeRefused(SealRefusal.NOT_ALLOWED, "no group to follow", spec="RCC.16 §8.3")
        era = Era.after(wanted, self._known_era(), server, kind, extensions)
        token = None if held is None else held.continuity_token if found is None else token_to_carry(held, found)
        keys = () if held is None else held.welcome_extensions
        return replace(era, token=token, welcome_extensions=keys, reason=reason)

    def _verify_carried(self, carried: MlsGroupInfo) -> CarriedState:
        try:
            return verify_carried(self.setting, carried)
        except (MlsValidationError, TlsDecodeError) as error:
            raise E2eeRefused(SealRefusal.FAILED, str(error), spec="RCC.16 §8.3") from error

    def external_commit(
        self, info: MlsGroupInfo, control_id: str, now_s: int, *, resyncs_participant: bool = False
    ) -> PendingOperation:
        """Comes into the server's group from outside: see `commit_externally`. Raises E2eeRefused, and always for a
        group that has ended."""
        self._check_free(OperationKind.EXTERNAL_COMMIT)
        started = commit_externally(self.setting, info, control_id, now_s, resyncs_participant=resyncs_participant)
        return self._start(started, now_s)

    def _check_free(self, kind: OperationKind) -> None:
        """One request at a time; only Phoenix takes the place of an end_mls that is held."""
        held = self.operation
        if held is not None and not (kind is OperationKind.PHOENIX and held.kind is OperationKind.END_MLS):
            raise E2eeRefused(SealRefusal.OPERATION_PENDING, "an operation waits for its answer", spec=_SPEC)
        if not self.course.can_start(kind):
            message = f"{kind.name} is not for {self.course.state.name}"
            raise E2eeRefused(SealRefusal.NOT_ALLOWED, message, spec="RCC.16 §10")
        if held is not None:
            self._undo()

    def _start(self, started: StartedGroup, now_s: int) -> PendingOperation:
        self._candidate = started
        self.course.started(started.operation.kind, now_s, started.group.moment)
        return started.operation

    # --- requests in a group ----------------------------------------------------------------------------------------

    def rekey(self, control_id: str, now_s: int) -> PendingOperation:
        """Fresh keys for our leaf. Raises E2eeRefused, as all of these do."""
        group = self._held()
        return self._commit(OperationKind.EPOCH_ADVANCE, commit_plans.rekey_plan(group), control_id, now_s)

    def self_update(self, control_id: str, now_s: int) -> PendingOperation:
        """Our leaf gets the certificate that `renew` has brought."""
        group = self._held()
        plan = commit_plans.self_update_plan(group, now_s)
        operation = self._commit(OperationKind.EPOCH_ADVANCE, plan, control_id, now_s)
        self.self_updated_at = (group.identifier, self.setting.identity.chain[0])
        return operation

    def sweep(self, control_id: str, now_s: int) -> PendingOperation:
        """Commits the proposals that wait, together with the end of MLS if one of them asks for it."""
        group = self._held()
        if commit_plans.asks_for_end(group):
            return self.end_mls(DowngradeReason.UNSET, control_id, now_s)
        plan = commit_plans.sweep_plan(group)
        return self._commit(OperationKind.COMMIT_PENDING_PROPOSALS, plan, control_id, now_s)

    def end_mls(self, reason: DowngradeReason, control_id: str, now_s: int) -> PendingOperation:
        """Ends encryption for all. What was parked is to be drained before."""
        group = self._held()
        return self._commit(OperationKind.END_MLS, commit_plans.end_mls_plan(group, reason), control_id, now_s)

    def revive(self, control_id: str, now_s: int) -> PendingOperation:
        """Brings encryption back in the same group."""
        group = self._held()
        return self._commit(OperationKind.REVIVE, commit_plans.revive_plan(group), control_id, now_s)

    def add(
        self, packages: Sequence[KeyPackage], numbers: Iterable[str], control_id: str, now_s: int
    ) -> PendingOperation:
        """Adds participants *numbers*, or devices of those that are there, by their *packages*."""
        group = self._held()
        plan = commit_plans.add_plan(group, packages)
        return self._commit(OperationKind.ADD, plan, control_id, now_s, add=tuple(numbers))

    def remove(self, numbers: Iterable[str], control_id: str, now_s: int) -> PendingOperation:
        """Removes participants with all their devices."""
        group, gone = self._held(), tuple(numbers)
        plan = commit_plans.remove_plan(group, gone)
        return self._commit(OperationKind.REMOVE, plan, control_id, now_s, remove=gone)

    def remove_devices(self, leaves: Iterable[LeafIndex], control_id: str, now_s: int) -> PendingOperation:
        """Removes devices of our own participant that are gone."""
        plan = commit_plans.remove_leaves_plan(self._held(), leaves)
        return self._commit(OperationKind.REMOVE, plan, control_id, now_s)

    def leave(self, control_id: str, now_s: int) -> PendingOperation:
        """Our own SelfRemove. Acceptance is the end of the group for us: the commit that removes us never comes. A 1:1
        cannot be left."""
        group = self._held()
        if len(group.roster.numbers) <= 2:
            raise E2eeRefused(SealRefusal.NOT_ALLOWED, "a one-to-one conversation is not left", spec="RCC.16 §9.4")
        self._check_free(OperationKind.LEAVE)
        operation = group.propose(self_remove_proposal(), control_id, now_s)
        group.hold_operation(operation)
        return operation

    def _held(self) -> EncryptedGroup:
        if self.group is None:
            raise E2eeRefused(SealRefusal.NO_GROUP, "there is no group", spec=_SPEC)
        return self.group

    def _commit(
        self,
        kind: OperationKind,
        plan: CommitRequest,
        control_id: str,
        now_s: int,
        *,
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
    ) -> PendingOperation:
        self._check_free(kind)
        group = self._held()
        operation = group.commit(kind, control_id, now_s, plan, add=add, remove=remove, publish=published_extensions)
        self.course.started(kind, now_s, group.moment)
        if self._waits_for_convergence:
            self.hold = Hold(control_id, now_s + CONVERGENCE_WAIT_S)
        return operation

    def publish(self, now_s: int) -> CommitBundle:
        """Where nobody arbitrates: the pending request counts as taken at once, and this is what its maker sends to the
        others, under the control id. Of two that cross, the one of the lower number wins. Raises E2eeRefused."""
        operation = self.operation
        if operation is None or operation.request.group_info is None:
            raise E2eeRefused(SealRefusal.NOT_ALLOWED, "no request to publish", spec=_SPEC)
        self._adopt(operation, now_s, keeps_before=True)
        self.hold = None
        return bundle_of(operation)

    # --- what became of a request -----------------------------------------------------------------------------------

    def _adopt(self, operation: PendingOperation, now_s: int, *, keeps_before: bool = False) -> Adopted:
        if self._candidate is not None:
            self._take(self._candidate.group)
        elif operation.kind is OperationKind.LEAVE:
            self._leave()
            return Adopted(operation, None)
        else:
            self._held().confirm(now_s, keeps_before=keeps_before)
        return Adopted(operation, self._settle(now_s))

    def _leave(self) -> None:
        """The group is gone for us, and with it what was known of its health."""
        self.group, self.has_left = None, True
        self.course.machine = HealthMachine()

    def _adopt_late(self, operation: PendingOperation, now_s: int) -> Adopted:
        """Without its answer: its convergence was over long before anybody asked."""
        adopted = self._adopt(operation, now_s)
        self.hold = None
        return adopted

    def _settle(self, now_s: int) -> Moment:
        group = self._held()
        self.course.settled(now_s, group.moment, has_ended=group.is_downgraded)
        return group.moment

    def _take(self, group: EncryptedGroup) -> None:
        """Another group is the one of the conversation now. The continuity token lives on if none came."""
        if group.continuity_token is None and self.group is not None:
            group.continuity_token = self.group.continuity_token
        group.renew(self.setting)
        if self.group is not None:
            self.former_receipts = ReceiptKeys.of(self.group)
        self.group, self._candidate, self.has_left = group, None, False

    def _undo(self) -> None:
        self._candidate = None
        self.hold = None
        if self.group is not None and self.group.operation is not None:
            self.group.roll_back()

    def refused(self, control_id: str, refusal: FocusRefusal, now_s: int) -> RefusedOperation | None:
        """The focus has refused a request; None if it is none of ours. That the group has ended is believed when it is
        shown (`doubt_about_end`), not when it is said."""
        operation = self.operation
        if operation is None or operation.control_id != control_id:
            return None
        verdict = verdict_of(refusal, operation.request.mls_group_id)
        step = next_step_of(refusal, verdict)
        if step.rolls_back:
            self._undo()
            moment = None if self.group is None else self.group.moment
            self.course.failed(operation.kind, now_s, moment)
        return RefusedOperation(operation, verdict, step)

    def settle(self, server: EpochIdentifier | None, now_s: int) -> Settlement:
        """What a pull says about a request without an answer: *server* is its state, None if it holds nothing."""
        operation = self.operation
        if operation is None:
            return Settlement.NOTHING_PENDING
        if server is not None and operation.result is not None and server == operation.result:
            self._adopt_late(operation, now_s)
            return Settlement.APPLIED
        if server == operation.before:
            self._undo()
            self.course.failed(operation.kind, now_s)
            return Settlement.ROLLED_BACK
        return Settlement.RECONCILE

    def abandon(self) -> None:
        """Gives up a request whose outcome cannot be told any more: a repair takes another way."""
        self._undo()

    # --- what the focus sends ---------------------------------------------------------------------------------------

    def receive(
        self, arm: ServerMlsRcsMessage, envelope: Envelope, now_s: int, server: EpochIdentifier | None = None
    ) -> ControlOutcome:
        """One ``message/mls-rcs-server``. *server* is the server's state, for a Welcome about which `NeedsServerState`
        was said. A commit of a later moment comes back as ParkedControl, for the caller to keep."""
        match arm:
            case AcceptedMessage():
                return self._accepted(arm, now_s)
            case MlsGroupInfo():
                return GroupInfoReceived(arm)
            case CommitBundle():
                return self._bundle(arm, envelope, now_s, server)
            case RawMlsMessage():
                message = arm.mls_message
                if message.startswith(_WELCOME):
                    return self._bundle(CommitBundle(welcome=message), envelope, now_s, server)
                return self._handshake(FannedOut(message, envelope), now_s)

    def _accepted(self, accepted: AcceptedMessage, now_s: int) -> ControlOutcome:
        operation = self.operation
        if operation is None or operation.control_id != accepted.message_id:
            return self._converged(accepted)
        state = accepted.state
        names_other = state is not None and operation.result is not None and state != operation.result
        if names_other:
            return ControlRefusal("the focus names another state than that of the request", None)
        adopted = self._adopt(operation, now_s)
        waits = self._waits_for_convergence and not accepted.converged
        self.hold = Hold(operation.control_id, operation.started_s + CONVERGENCE_WAIT_S) if waits else None
        return adopted

    def _converged(self, accepted: AcceptedMessage) -> ControlOutcome:
        if not accepted.converged or self.hold is None or self.hold.control_id != accepted.message_id:
            return Ignored(IgnoredWhy.NOT_OURS)
        self.hold = None
        return Converged(accepted.message_id)

    def _bundle(
        self, bundle: CommitBundle, envelope: Envelope, now_s: int, server: EpochIdentifier | None
    ) -> ControlOutcome:
        """A device joins if the Welcome names a KeyPackage of its own; otherwise it applies the commit."""
        state = _state_of(bundle)
        operation = self.operation
        if operation is not None and operation.control_id == envelope.message_id:
            is_logged = envelope.is_from_log and state == operation.result
            return self._adopt_late(operation, now_s) if is_logged else Ignored(IgnoredWhy.OUR_OWN)
        if bundle.welcome:
            incoming = read_welcome(bundle.welcome, bundle.ratchet_tree, state)
            if isinstance(incoming, ControlRefusal):
                return incoming
            if self.pool.candidates(incoming.references()):
                return self._welcome(incoming, envelope, now_s, server)
            if any(map(self.pool.is_used, incoming.references())):
                return _REPLAYED
        if not bundle.commit:
            return Ignored(IgnoredWhy.NOT_OURS)
        return self._handshake(FannedOut(bundle.commit, envelope, state, bundle.key_delivery), now_s)

    def _welcome(
        self, incoming: IncomingWelcome, envelope: Envelope, now_s: int, server: EpochIdentifier | None
    ) -> ControlOutcome:
        candidates = self.pool.candidates(incoming.references())
        joined = join_group(self.setting, incoming, candidates, envelope, now_s)
        if isinstance(joined, ControlRefusal):
            self.pool.welcome_failed(now_s)
            return joined
        held = self.group
        if held is not None and joined.group.era <= held.era:
            if not self.is_arbitrated:
                is_beaten = joined.group.era == held.era and _maker_of(joined.group) < _maker_of(held)
                return self._join(joined, held, now_s) if is_beaten else _LOST
            if server is None:
                return NeedsServerState(joined.group.moment)
            if server != joined.group.identifier or held.identifier == joined.group.identifier:
                return _REPLAYED
        return self._join(joined, held, now_s)

    def _join(self, joined: JoinedGroup, held: EncryptedGroup | None, now_s: int) -> Joined:
        kept = self._candidate if self._builds_on(joined.group.identifier) else None
        lost = None if kept is not None else self.operation
        self._undo()
        self._take(joined.group)
        self._candidate = kept
        self.pool.consume(joined.reference, now_s)
        moment = self._settle(now_s)
        return Joined(
            moment=moment,
            committer=joined.committer,
            is_new_era=held is None or joined.group.era > held.era,
            has_ended=joined.group.is_downgraded,
            lost=lost,
        )

    def _builds_on(self, state: EpochIdentifier) -> bool:
        """Whether a group of ours that waits for the focus follows *state*, or one after it: coming to know that state
        says nothing of the request."""
        before = None if self._candidate is None else self._candidate.operation.before
        return before is not None and before.moment >= state.moment

    def _handshake(self, fanned_out: FannedOut, now_s: int) -> ControlOutcome:
        if self.group is None:
            return Ignored(IgnoredWhy.NOT_OURS)
        fanned_out = replace(fanned_out, keeps_before=not self.is_arbitrated)
        outcome = apply_handshake(self.group, fanned_out, now_s)
        if outcome == Ignored(IgnoredWhy.OLD) and not self.is_arbitrated:
            outcome = self._raced(self.group, fanned_out, now_s)
        if isinstance(outcome, Advanced):
            self.hold = None if outcome.lost is not None else self.hold
            self._settle_after(outcome, now_s)
        elif isinstance(outcome, RemovedFromGroup):
            self._undo()
            self._leave()
        return outcome

    def _raced(self, group: EncryptedGroup, fanned_out: FannedOut, now_s: int) -> HandshakeOutcome:
        """A commit that crossed the one that was taken last: that is undone for one of a lower number, or of a lower
        leaf of the same, which is applied instead."""
        before, left = group.before, group.step_back()
        if before is None or left is None:
            return Ignored(IgnoredWhy.OLD)
        taken = (group.roster.leaves.get(left.committer, ""), left.committer)
        outcome = apply_handshake(group, fanned_out, now_s)
        if isinstance(outcome, Advanced) and (outcome.committer, outcome.leaf) < taken:
            return outcome
        group.step_forward(before, left)
        return Ignored(IgnoredWhy.OLD)

    def _settle_after(self, advanced: Advanced, now_s: int) -> None:
        """What has ended here stays so until a commit or a new era takes end_mls away."""
        group = self._held()
        stays_ended = self.course.state in _ENDED and not group.is_downgraded and not advanced.has_revived
        if not stays_ended:
            self._settle(now_s)

    def adopt_end_mls(self, now_s: int) -> None:
        """The server's group has ended MLS, as a GroupInfo has proven, and ours did not notice: nothing more is
        sealed."""
        moment = None if self.group is None else self.group.moment
        self._undo()
        self.course.reach(HealthState.DONE_END_MLS, now_s, moment)


def _maker_of(group: EncryptedGroup) -> tuple[str, str]:
    """Number and client id of who has made a group, by which two of an era are told apart where nobody arbitrates: the
    lower ones win (choice)."""
    leaf = group.group.tree.leaf(_MAKER)
    return ("", "") if leaf is None else (msisdn_of(leaf), client_id_of(leaf))


def _state_of(bundle: CommitBundle) -> EpochIdentifier | None:
    """State after the bundle; some say the authenticator in a field of its own."""
    state = bundle.state
    if state is not None and not state.epoch_authenticator and bundle.epoch_authenticator:
        return EpochIdentifier(state.era_id, state.epoch_id, bundle.epoch_authenticator)
    return state
