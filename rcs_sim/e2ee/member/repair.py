"""Repair of a conversation: what is done next about what went wrong, within its budgets (RCC.16 §10).

Each call says which steps its caller takes now, and in which order. An ended conversation is never repaired: that would
encrypt it again. Order, bounds and pauses are the reference's (choice).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from rcs_sim.e2ee.certificate_floor import CertificateState, floor_state
from rcs_sim.e2ee.enhanced_group_info import MlsEnhancedGroupInfo
from rcs_sim.e2ee.extension_bodies import has_end_mls
from rcs_sim.e2ee.failure_reason import (
    ClientFailureReason,
    ClientRemedy,
    ServerFailureReason,
    ServerRemedy,
    client_remedy,
    server_remedy,
)
from rcs_sim.e2ee.member.application_opening import Envelope
from rcs_sim.e2ee.member.budgets import (
    ERA_ADVANCES_PER_DAY,
    ERA_ADVANCES_PER_HOUR,
    EXTERNAL_COMMITS,
    REBUILDS,
    SELF_HEALS,
    RollingBudget,
)
from rcs_sim.e2ee.member.control_outcome import (
    Adopted,
    Advanced,
    ControlOutcome,
    ControlRefusal,
    Ignored,
    Joined,
    ProposalKept,
)
from rcs_sim.e2ee.member.encrypted_conversation import ConversationState, EncryptedConversation
from rcs_sim.e2ee.member.failure_reports import DueReport, FailureReports, PeerFailures, ReportVerdict
from rcs_sim.e2ee.member.group_start import read_group_info
from rcs_sim.e2ee.member.health import HealthState
from rcs_sim.e2ee.member.message_exchange import Parked
from rcs_sim.e2ee.member.self_heal import (
    Deployment,
    HealInput,
    HealPhase,
    HealStep,
    SelfHeal,
    fallback_input,
    input_of_pull,
)
from rcs_sim.e2ee.member.server_comparison import is_elected
from rcs_sim.e2ee.server_message import read_server_body
from rcs_sim.mls.codec import Reader, TlsDecodeError, encode_optional, encode_u8, encode_u64
from rcs_sim.wire.protobuf import ProtobufError

__all__ = ["EPISODE_S", "FAILURES_UNTIL_REBUILD", "Repair", "RepairStep", "Replayed"]

FAILURES_UNTIL_REBUILD = 3
EPISODE_S = 60  # a rebuild is not begun again so soon
_MAY_BE_REVIVED = frozenset({HealthState.DONE_END_MLS, HealthState.CANNOT_HEAL_DURING_END_MLS})
_APPLIED = (Adopted, Advanced, Joined, ProposalKept, Ignored)


class RepairStep(Enum):
    """What the caller does."""

    PULL = auto()
    """Ask for the enhanced GroupInfo; then `Repair.on_pull`."""
    REPLAY = auto()
    """`Repair.replay` with the answer to the pull."""
    EXTERNAL_COMMIT = auto()
    """`ControlPlane.external_commit` with the GroupInfo of the pull; then `Repair.on_answer`."""
    NEW_ERA = auto()
    """Claim for everybody and `ControlPlane.new_era` with the GroupInfo of the pull; then `Repair.on_answer`."""
    REBUILD = auto()
    """The same, whatever the states say: replaying has failed too often."""
    ADOPT_END_MLS = auto()
    """`ControlPlane.adopt_end_mls`: the conversation is not encrypted any more."""
    WAIT = auto()
    HEALED = auto()
    GIVE_UP = auto()
    RESEND = auto()
    """The message goes again, under a new id, at the epoch that is there then."""
    FAIL_MESSAGE = auto()
    """The message has failed visibly."""
    SELF_UPDATE = auto()
    RENEW_CERTIFICATE = auto()
    REPORT_PEER = auto()
    """A certificate of somebody else blocks: only they can renew it."""
    COMMIT_PROPOSALS = auto()
    RETRY_SAME_OCTETS = auto()
    END_MLS = auto()
    RESEND_AS_PUBLIC_MESSAGE = auto()


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a page of control messages came to."""

    outcomes: tuple[ControlOutcome, ...]
    steps: tuple[RepairStep, ...]


class Repair:
    """The repair of one conversation. *deployment* is what its server does."""

    __slots__ = (
        "_conversation",
        "_deployment",
        "_failures_in_a_row",
        "_last_rebuild_s",
        "_peers",
        "eras_per_day",
        "eras_per_hour",
        "external_commits",
        "heal",
        "heals",
        "rebuilds",
        "reports",
    )

    def __init__(self, conversation: EncryptedConversation, deployment: Deployment) -> None:
        self._conversation = conversation
        self._deployment = deployment
        self.heal = SelfHeal()
        self.reports = FailureReports()
        self.heals = RollingBudget(SELF_HEALS)
        self.eras_per_hour = RollingBudget(ERA_ADVANCES_PER_HOUR)
        self.eras_per_day = RollingBudget(ERA_ADVANCES_PER_DAY)
        self.rebuilds = RollingBudget(REBUILDS)
        self.external_commits = RollingBudget(EXTERNAL_COMMITS)
        self._peers: dict[str, PeerFailures] = {}
        self._failures_in_a_row = 0
        self._last_rebuild_s: int | None = None

    def snapshot(self) -> bytes:
        """What is left of the budgets. A repair that was under way begins anew."""
        budgets = b"".join([budget.encode() for budget in self._budgets()])
        last_s = None if self._last_rebuild_s is None else encode_u64(self._last_rebuild_s)
        return budgets + encode_u8(self._failures_in_a_row) + encode_optional(last_s)

    def restore(self, octets: bytes) -> None:
        """Takes back what `snapshot` gave. Raises TlsDecodeError on octets that are none."""
        reader = Reader(octets)
        read = [RollingBudget.read(reader) for _ in self._budgets()]
        failures, last_s = reader.u8(), reader.optional(Reader.u64)
        reader.finish()
        self.heals, self.eras_per_hour, self.eras_per_day, self.rebuilds, self.external_commits = read
        self._failures_in_a_row, self._last_rebuild_s = failures, last_s

    def _budgets(self) -> tuple[RollingBudget, ...]:
        return (self.heals, self.eras_per_hour, self.eras_per_day, self.rebuilds, self.external_commits)

    # --- what went wrong --------------------------------------------------------------------------------------------

    def on_unreadable(
        self, message_id: str, sender: str, reason: ClientFailureReason, now_s: int
    ) -> tuple[RepairStep, ...]:
        """A message could not be opened: it is queued to be reported, and one repair is begun for a burst."""
        self.reports.add(message_id, sender, reason)
        return self.request(now_s)

    def request(self, now_s: int, *, reconciles: bool = False) -> tuple[RepairStep, ...]:
        """Asks for a repair. Nothing is done while an operation of ours waits or another repair runs, without a group,
        in an ended one, or beyond the budget. *reconciles*: an operation without an answer is what it is about
        (`Settlement.RECONCILE`): the log of the focus tells what became of it."""
        conversation = self._conversation
        if self.heal.is_running or (conversation.operation is not None and not reconciles):
            return ()
        if conversation.state is not ConversationState.ENCRYPTED:
            return ()
        if not self.heals.take(now_s):
            return (RepairStep.GIVE_UP,)
        group = conversation.group
        conversation.control.course.heal_requested(now_s, None if group is None else group.moment)
        return self._feed(HealInput.START, now_s)

    def on_parked(self, parked: Parked, now_s: int) -> tuple[RepairStep, ...]:
        """A message of a moment to come was parked. Within the era that is no reason to repair: its commit is on its
        way. An era to come takes a Welcome; and a moment after the end of MLS means that somebody has revived it."""
        if self._conversation.state is ConversationState.DOWNGRADED:
            return self._request_after_revival(now_s)
        return self.request(now_s) if parked.is_era_gap else ()

    def _request_after_revival(self, now_s: int) -> tuple[RepairStep, ...]:
        """Looks whether the server's group was revived; what has ended there too stays ended."""
        conversation = self._conversation
        is_over = conversation.control.course.state in _MAY_BE_REVIVED
        if self.heal.is_running or conversation.operation is not None or not is_over or not self.heals.take(now_s):
            return ()
        return self._feed(HealInput.START, now_s)

    def on_server_reason(self, token: str, now_s: int) -> tuple[RepairStep, ...]:
        """The focus has refused something with this reason."""
        match server_remedy(token):
            case ServerRemedy.SELF_HEAL:
                return self.request(now_s)
            case ServerRemedy.UPDATE_OWN_LEAF:
                return (self._about_expired_credential(now_s),)
            case ServerRemedy.COMMIT_PROPOSALS:
                return (RepairStep.COMMIT_PROPOSALS,)
            case ServerRemedy.RETRY_SAME_OCTETS:
                return (RepairStep.RETRY_SAME_OCTETS,)
            case ServerRemedy.ADVANCE_ERA:
                return (RepairStep.NEW_ERA,) if self._takes_era(now_s) else (RepairStep.GIVE_UP,)
            case ServerRemedy.END_MLS:
                return (RepairStep.END_MLS,)
            case ServerRemedy.TERMINAL:
                has_ended = token == ServerFailureReason.MLS_GROUP_HAS_END_MLS  # if it can show that
                return self.request(now_s) if has_ended else (RepairStep.GIVE_UP,)
            case ServerRemedy.DO_NOT_RETRY | ServerRemedy.NONE:
                return ()

    def _about_expired_credential(self, now_s: int) -> RepairStep:
        """A Self-Update if our leaf is older than our certificate; a new certificate if that is under the floor."""
        conversation = self._conversation
        identity = conversation.setting.identity
        if floor_state(identity.credential, now_s) is not CertificateState.OK:
            return RepairStep.RENEW_CERTIFICATE
        group = conversation.group
        is_stale = group is not None and group.has_stale_own_leaf
        return RepairStep.SELF_UPDATE if is_stale else RepairStep.REPORT_PEER

    def on_peer_report(
        self, reporter: str, root_id: str, token: str | None, now_s: int, report_of: str | None = None
    ) -> tuple[RepairStep, ...]:
        """*reporter* could not read our message *root_id*, or its resend *report_of*. *token* is the reason element,
        None where there is none, which is not an unknown one."""
        remedy = client_remedy(token)
        if remedy in (ClientRemedy.NONE, ClientRemedy.LOG):
            return ()
        group = self._conversation.group
        is_member = group is not None and reporter in group.roster.numbers
        peer = self._peers.setdefault(reporter, PeerFailures()) if is_member else PeerFailures()
        verdict = peer.on_report(is_member, root_id, token or "", now_s, report_of)
        match verdict:
            case ReportVerdict.DUPLICATE | ReportVerdict.NOT_A_MEMBER | ReportVerdict.STOPPED:
                return ()
            case ReportVerdict.EXHAUSTED:
                return (RepairStep.FAIL_MESSAGE,)
            case ReportVerdict.REPAIR:
                return (*self.request(now_s), RepairStep.FAIL_MESSAGE)
            case ReportVerdict.RESEND:
                return self._remedy(remedy, now_s)

    def _remedy(self, remedy: ClientRemedy, now_s: int) -> tuple[RepairStep, ...]:
        match remedy:
            case ClientRemedy.RESEND_CAPPED:
                return (RepairStep.RESEND,)
            case ClientRemedy.ADVANCE_AND_RESEND:
                return (*self.request(now_s), RepairStep.RESEND)
            case ClientRemedy.RESEND_AS_PUBLIC_MESSAGE:
                return (RepairStep.RESEND_AS_PUBLIC_MESSAGE,)
            case ClientRemedy.REPLACE_LEAF:
                return (self._about_expired_credential(now_s),)
            case _:
                return self.request(now_s)

    def on_peer_delivered(self, peer: str) -> None:
        """The peer has read something of ours."""
        if peer in self._peers:
            self._peers[peer].on_delivered()

    # --- the course of a repair -------------------------------------------------------------------------------------

    def on_pull(self, answer: MlsEnhancedGroupInfo | None, now_s: int) -> tuple[RepairStep, ...]:
        """The answer to a pull; None if none came or it cannot be read."""
        if self.heal.phase is not HealPhase.PULLING:
            return ()
        has_ended = answer is not None and _has_ended(answer)
        if answer is not None and has_ended and self._conversation.doubt_about_end(answer.group_info, now_s):
            return self._feed(HealInput.UNREADABLE, now_s)
        found = input_of_pull(
            answer,
            self._conversation.identifier,
            has_end_mls=has_ended,
            deployment=self._deployment,
            is_elected=self._is_elected(),
        )
        return self._feed(found, now_s)

    def replay(self, answer: MlsEnhancedGroupInfo, now_s: int) -> Replayed:
        """Applies a page in order: what is past is skipped, and the first failure ends the attempt. No receipt is sent
        for what is applied here."""
        if self.heal.phase is not HealPhase.REPLAYING:
            return Replayed((), ())
        outcomes = list[ControlOutcome]()
        for outcome in self._apply(answer, now_s):
            outcomes.append(outcome)
            if not isinstance(outcome, _APPLIED):
                return Replayed(tuple(outcomes), self._feed(HealInput.FAILED, now_s))
        return Replayed(tuple(outcomes), self._feed(self._after_page(answer), now_s))

    def _apply(self, answer: MlsEnhancedGroupInfo, now_s: int) -> Iterator[ControlOutcome]:
        for entry in answer.control_messages:
            envelope = Envelope(message_id=entry.message_id, asserted_sender="", era=0, is_from_log=True)
            try:
                arm = read_server_body(entry.server_message)
            except ProtobufError:
                yield ControlRefusal("an entry of the control log that cannot be read")
                return
            yield self._conversation.receive(arm, envelope, now_s)

    def _after_page(self, answer: MlsEnhancedGroupInfo) -> HealInput:
        own = self._conversation.identifier
        if self._conversation.state is ConversationState.DOWNGRADED:
            return HealInput.ENDED
        if own == answer.latest:
            return HealInput.CAUGHT_UP
        return HealInput.MORE if answer.paginated is not None and own == answer.paginated else HealInput.FAILED

    def on_answer(self, *, is_accepted: bool, now_s: int) -> tuple[RepairStep, ...]:
        """The focus has answered the external commit or the new era of a repair. Refused from outside, the era is
        advanced instead."""
        if is_accepted:
            return self._feed(HealInput.ACCEPTED, now_s)
        if self.heal.phase is HealPhase.REJOINING:
            no_rejoin = Deployment()
            return self._feed(fallback_input(no_rejoin, is_member=True, is_elected=self._is_elected()), now_s)
        return self._feed(HealInput.REFUSED, now_s)

    def on_remote(self, now_s: int) -> tuple[RepairStep, ...]:
        """Somebody else's Welcome or commit was applied meanwhile: the states are compared anew."""
        return self._feed(HealInput.REMOTE, now_s)

    def handle_deadline(self, now_s: int) -> tuple[RepairStep, ...]:
        """A phase has lasted too long."""
        due_s = self.heal.next_deadline_s()
        return () if due_s is None or now_s < due_s else self._feed(HealInput.DEADLINE, now_s)

    def cancel(self, now_s: int) -> tuple[RepairStep, ...]:
        """The conversation ended or was left meanwhile."""
        return self._feed(HealInput.CANCEL, now_s)

    def due_reports(self) -> list[DueReport]:
        """What to report to senders now: nothing while a repair is under way (RCC.16 §10.2)."""
        is_healing = self.heal.phase not in (HealPhase.IDLE, HealPhase.WAITING)
        return list(self.reports.flush(is_healing=is_healing))

    def _is_elected(self) -> bool:
        """Nobody advances the era of what has ended here."""
        conversation = self._conversation
        may_advance = conversation.state is not ConversationState.DOWNGRADED
        return may_advance and is_elected(conversation.setting.identity.msisdn, conversation.participants)

    def _takes_era(self, now_s: int) -> bool:
        both = (self.eras_per_hour, self.eras_per_day)
        return all([budget.is_left(now_s) for budget in both]) and all([budget.take(now_s) for budget in both])

    def _feed(self, happened: HealInput, now_s: int) -> tuple[RepairStep, ...]:
        was_pulling = self.heal.phase is HealPhase.PULLING
        step = self.heal.feed(happened, now_s)
        if step is HealStep.HEALED and not was_pulling:  # that nothing was wrong is no progress
            self.heals.clear()
        return () if step is None else self._steps(step, now_s)

    def _steps(self, step: HealStep, now_s: int) -> tuple[RepairStep, ...]:
        course, group = self._conversation.control.course, self._conversation.group
        moment = None if group is None else group.moment
        if step is HealStep.NEW_ERA and not self._takes_era(now_s):
            return self._feed(HealInput.CANCEL, now_s)
        if step is HealStep.EXTERNAL_COMMIT and not self.external_commits.take(now_s):
            return self._feed(HealInput.CANCEL, now_s)
        if step in (HealStep.EXTERNAL_COMMIT, HealStep.NEW_ERA):
            self._conversation.control.abandon()
        if step is HealStep.REPLAY or (step is HealStep.EXTERNAL_COMMIT and course.state in _MAY_BE_REVIVED):
            course.replaying(now_s, moment)
        if step in (HealStep.WAIT, HealStep.GIVE_UP):
            course.heal_failed(now_s, moment)
        if step is HealStep.HEALED:
            self._failures_in_a_row = 0
            if moment is not None:
                course.reach(HealthState.HEALTHY, now_s, moment)
        if step is HealStep.GIVE_UP:
            return self._after_failure(now_s)
        return (RepairStep[step.name],)

    def _after_failure(self, now_s: int) -> tuple[RepairStep, ...]:
        """Three repairs that came to nothing: the group is rebuilt, by a new era that carries the server's."""
        self._failures_in_a_row += 1
        is_recent = self._last_rebuild_s is not None and now_s - self._last_rebuild_s < EPISODE_S
        if self._failures_in_a_row < FAILURES_UNTIL_REBUILD or is_recent or not self.rebuilds.take(now_s):
            return (RepairStep.GIVE_UP,)
        self._failures_in_a_row, self._last_rebuild_s = 0, now_s
        return (RepairStep.GIVE_UP, RepairStep.REBUILD)


def _has_ended(answer: MlsEnhancedGroupInfo) -> bool:
    if answer.group_info is None:
        return False
    try:
        return has_end_mls(read_group_info(answer.group_info).extensions)
    except TlsDecodeError:
        return False
