"""An encrypted conversation as one device has it, across its eras (RCC.16 §6 to §11): what the client talks to.

Everything is a call that returns a value; nothing here sends, waits or reads a clock. What cannot be sealed is refused:
no call turns it into anything else. Requests to the focus and its messages go by `control`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from rcs_sim.e2ee.client_message import MlsGroupInfo
from rcs_sim.e2ee.encrypted_entity import EncryptedEntity
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.member.application_opening import Envelope, OpenRefusal, RefusalKind
from rcs_sim.e2ee.member.commit_plans import stale_members
from rcs_sim.e2ee.member.commit_verdict import CommitVerdict, FocusRefusal, NextStep, next_step_of
from rcs_sim.e2ee.member.control_outcome import ControlOutcome, Joined, ParkedControl
from rcs_sim.e2ee.member.control_plane import ControlPlane
from rcs_sim.e2ee.member.encrypted_group import EncryptedGroup, Sealed
from rcs_sim.e2ee.member.end_proof import doubt_about_end
from rcs_sim.e2ee.member.health import HealthState
from rcs_sim.e2ee.member.key_package_pool import KeyPackagePool
from rcs_sim.e2ee.member.member_setting import MemberSetting
from rcs_sim.e2ee.member.message_exchange import MessageExchange, OpenResult, Parked
from rcs_sim.e2ee.member.operations import E2eeRefused, PendingOperation, SealRefusal
from rcs_sim.e2ee.member.parked_messages import ParkedMessage
from rcs_sim.e2ee.member.receipt_signature import ReceiptVerdict, sign_derived_content, verify_derived_content
from rcs_sim.e2ee.member.seen_messages import Opened
from rcs_sim.e2ee.server_message import ServerMlsRcsMessage, decode_server_message, encode_server_message

__all__ = ["ConversationState", "Drained", "EncryptedConversation", "SealGate"]

EXCUSED_S = 10  # an accepted add or remove may take so long to show in both rosters (choice)
ROTATION_RETRY_SENDS = 64  # a rotation that was refused waits for so many sends (choice)
_MAY_BE_FORMER = frozenset(
    {ReceiptVerdict.FORGED, ReceiptVerdict.UNKNOWN_EPOCH, ReceiptVerdict.BYGONE_EPOCH, ReceiptVerdict.OTHER_GROUP}
)
_HELD_IN = frozenset({HealthState.ONGOING_EPOCH_ADVANCEMENT, HealthState.ONGOING_ERA_ADVANCEMENT})

Drained: TypeAlias = tuple[Envelope, Opened | OpenRefusal | ControlOutcome]
"""A message that was parked, and what it came to."""


class ConversationState(Enum):
    """What a conversation is to this device."""

    NONE = auto()
    PENDING = auto()
    """A group of ours waits for the focus, and there is none yet."""
    ENCRYPTED = auto()
    DOWNGRADED = auto()
    LEFT = auto()


@dataclass(frozen=True, slots=True)
class SealGate:
    """Whether something would be sealed now. *refusal* is None if so; HELD passes by itself. *numbers* are whom it is
    about."""

    refusal: SealRefusal | None = None
    numbers: frozenset[str] = frozenset()

    @property
    def is_open(self) -> bool:
        return self.refusal is None


_OPEN = SealGate()


class EncryptedConversation:
    """All that a device has of one conversation. *participants* are the numbers in it, our own among them."""

    __slots__ = ("_excused", "_rotation_deferred", "control", "exchange", "participants")

    def __init__(
        self,
        setting: MemberSetting,
        pool: KeyPackagePool,
        participants: Iterable[str],
        *,
        control: ControlPlane | None = None,
        exchange: MessageExchange | None = None,
    ) -> None:
        """*control* and *exchange* come from a snapshot."""
        self.participants = frozenset(participants)
        self.control = control or ControlPlane(setting, pool)
        self.exchange = exchange or MessageExchange()
        self._excused: dict[str, int] = {}
        self._rotation_deferred = 0

    def __repr__(self) -> str:
        return f"EncryptedConversation({self.state.name}, {self.group})"

    # --- what is known ----------------------------------------------------------------------------------------------

    @property
    def group(self) -> EncryptedGroup | None:
        """That of the present era."""
        return self.control.group

    @property
    def setting(self) -> MemberSetting:
        return self.control.setting

    @property
    def state(self) -> ConversationState:
        control = self.control
        if control.has_left:
            return ConversationState.LEFT
        if control.group is None:
            return ConversationState.NONE if control.candidate is None else ConversationState.PENDING
        is_ended = control.group.is_downgraded or control.course.state.is_downgraded
        return ConversationState.DOWNGRADED if is_ended else ConversationState.ENCRYPTED

    @property
    def is_wedged(self) -> bool:
        """Whether encryption has ended for us alone: the focus refused to hear of it (digest RCC.16 §10.6 state 15)."""
        control = self.control
        is_open = control.group is not None and not control.group.is_downgraded
        return is_open and control.course.state is HealthState.CANNOT_HEAL_DURING_END_MLS

    @property
    def identifier(self) -> EpochIdentifier | None:
        """Our state, for pulls; None without a group."""
        return None if self.group is None else self.group.identifier

    @property
    def operation(self) -> PendingOperation | None:
        """The request that waits for its answer."""
        return self.control.operation

    def ghosts(self, now_s: int) -> frozenset[str]:
        """Certified numbers of nobody who takes part."""
        if self.group is None:
            return frozenset()
        return self._unexcused(self.group.roster.ghosts(self.participants), now_s)

    def missing(self, now_s: int) -> frozenset[str]:
        """Participants who have no leaf."""
        if self.group is None:
            return frozenset()
        return self._unexcused(self.group.roster.missing(self.participants), now_s)

    def _unexcused(self, numbers: frozenset[str], now_s: int) -> frozenset[str]:
        return frozenset(each for each in numbers if not self._is_excused(each, now_s)) if numbers else numbers

    def _is_excused(self, number: str, now_s: int) -> bool:
        return now_s < self._excused.get(number, now_s) <= now_s + EXCUSED_S

    def excuse(self, numbers: Iterable[str], now_s: int) -> None:
        """An accepted add or remove explains for a while that these are in one roster only."""
        self._excused |= dict.fromkeys(numbers, now_s + EXCUSED_S)

    def set_participants(self, participants: Iterable[str]) -> None:
        """The RCS roster has changed."""
        self.participants = frozenset(participants)

    def stale_members(self, now_s: int) -> frozenset[str]:
        """Numbers with a certificate that is not good for 30 days more."""
        return frozenset() if self.group is None else stale_members(self.group, now_s)

    @property
    def needs_rotation(self) -> bool:
        """Whether our leaf has sealed so much in this epoch that it is to be rotated with the next send: receivers
        bound how far they look ahead. The higher number waits for half as many again."""
        if self.group is None or self.operation is not None or self.state is not ConversationState.ENCRYPTED:
            return False
        threshold = self.setting.profile.rotate_after_sends
        if self.setting.identity.msisdn != min(self.participants):
            threshold += threshold // 2
        return self.group.sends_in_epoch >= threshold + self._rotation_deferred

    def defer_rotation(self) -> None:
        """A rotation was refused."""
        if self.group is not None:
            threshold = self.setting.profile.rotate_after_sends
            self._rotation_deferred = max(0, self.group.sends_in_epoch - threshold) + ROTATION_RETRY_SENDS

    @property
    def needs_self_update(self) -> bool:
        """Whether our leaf has an older certificate than we have, and that was not tried in this state before."""
        group = self.group
        if group is None or self.state is not ConversationState.ENCRYPTED or not group.has_stale_own_leaf:
            return False
        return self.control.self_updated_at != (group.identifier, self.setting.identity.chain[0])

    # --- application messages ---------------------------------------------------------------------------------------

    def gate(self, now_s: int) -> SealGate:
        """Whether something would be sealed now; looked at before each send (RCC.16 §7.2, §9.1.1)."""
        group, control = self.group, self.control
        if control.has_left:
            return SealGate(SealRefusal.LEFT)
        if group is None:
            return SealGate(SealRefusal.NO_GROUP)
        if group.is_downgraded or control.course.state.is_downgraded:
            return SealGate(SealRefusal.DOWNGRADED)
        if group.roster.numbers != self.participants:
            if ghosts := self.ghosts(now_s):
                return SealGate(SealRefusal.GHOST_MEMBER, ghosts)
            if missing := self.missing(now_s):
                return SealGate(SealRefusal.MISSING_MEMBER, missing)
        if revoked := group.revoked:
            return SealGate(SealRefusal.REVOKED_MEMBER, frozenset(revoked.values()))
        is_held = control.course.state in _HELD_IN or (control.hold is not None and control.hold.lasts(now_s))
        return SealGate(SealRefusal.HELD) if is_held else _OPEN

    def seal(self, entity: EncryptedEntity, message_id: str, now_s: int) -> Sealed:
        """*entity* for ``message/mls``; the same octets again for the same id. Raises E2eeRefused, and nothing else."""
        gate = self.gate(now_s)
        if gate.refusal is not None:
            raise E2eeRefused(gate.refusal, "not sealed", spec="RCC.16 §7.2", numbers=gate.numbers)
        assert self.group is not None  # the gate is open
        return self.exchange.seal(self.group, entity, message_id)

    def message_refused(self, message_id: str, refusal: FocusRefusal) -> None:
        """The focus has refused an application message: but for a transient error it is sealed anew next time."""
        if next_step_of(refusal, CommitVerdict.REJECTED) is not NextStep.RETRY:
            self.exchange.forget_sealed(message_id)

    def open(self, octets: bytes, envelope: Envelope, now_s: int) -> OpenResult:
        """One ``message/mls`` that has passed the header gate."""
        state = self.control.course.state
        parks = state.parks_inbound and self.group is not None
        return self.exchange.open(self.group, octets, envelope, now_s, participants=self.participants, parks=parks)

    # --- the server plane -------------------------------------------------------------------------------------------

    def receive(
        self, arm: ServerMlsRcsMessage, envelope: Envelope, now_s: int, server: EpochIdentifier | None = None
    ) -> ControlOutcome:
        """One ``message/mls-rcs-server``; call `drain` after it. A commit of a later moment is parked. *server* is its
        state, for a Welcome about which `NeedsServerState` was said."""
        held = self.group
        outcome = self.control.receive(arm, envelope, now_s, server)
        if isinstance(outcome, ParkedControl):
            octets = encode_server_message(arm)
            self.exchange.park(outcome.base, ParkedMessage(envelope, octets, now_s, is_control=True))
        if isinstance(outcome, Joined) or self.group is not held:
            self._forget_old_era()
        if self.group is not None:
            self.group.forget_past(now_s)
        return outcome

    def doubt_about_end(self, info: MlsGroupInfo | None, now_s: int) -> str:
        """Why the GroupInfo of the focus does not prove that encryption has ended; "" if it does."""
        return doubt_about_end(self.setting, info, self.participants, self.group, now_s)

    def _forget_old_era(self) -> None:
        """Nobody reads what was sealed in an era that is over."""
        self.exchange.forget_all_sealed()
        self._rotation_deferred = 0

    def drain(self, now_s: int) -> list[Drained]:
        """What was parked for the moment that has come, in order; call it after `receive`, after a settlement and at
        the end of a repair."""
        given_up = OpenRefusal(RefusalKind.UNDECRYPTABLE, "too many messages wait")
        done: list[Drained] = [(each.envelope, given_up) for each in self.exchange.take_given_way()]
        while self.group is not None and not self.control.course.state.parks_inbound:
            moment = self.group.moment
            for parked in self.exchange.take_ready(moment):
                outcome = self._again(parked, now_s)
                if not isinstance(outcome, Parked):
                    done.append((parked.envelope, outcome))
            if self.group is None or self.group.moment == moment:
                break
        return done

    def _again(self, parked: ParkedMessage, now_s: int) -> OpenResult | ControlOutcome:
        if parked.is_control:
            return self.receive(decode_server_message(parked.octets), parked.envelope, now_s)
        return self.open(parked.octets, parked.envelope, now_s)

    # --- receipts ---------------------------------------------------------------------------------------------------

    def sign_receipt(self, content: bytes) -> bytes:
        """The octets for MLS-Derived-Content-Signature. Raises E2eeRefused without a group: no receipt is sent then."""
        if self.group is None:
            raise E2eeRefused(SealRefusal.NO_GROUP, "nothing to sign with", spec="RCC.16 §7.6")
        return sign_derived_content(self.group, content)

    def verify_receipt(self, signature: bytes, expected: Collection[bytes], asserted_sender: str) -> ReceiptVerdict:
        """Whether a receipt is what *asserted_sender* has signed: *expected* are the contents that it may state. One of
        the era before is good too: it was on its way."""
        if self.group is None:
            return ReceiptVerdict.OTHER_GROUP
        verdict = verify_derived_content(self.group, signature, expected, asserted_sender)
        former = self.control.former_receipts
        if former is None or verdict not in _MAY_BE_FORMER:
            return verdict
        earlier = former.verify(signature, expected, asserted_sender)
        return earlier if earlier is ReceiptVerdict.GENUINE else verdict
