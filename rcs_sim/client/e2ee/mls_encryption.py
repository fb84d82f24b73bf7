"""End-to-end encryption of a phone by RCC.16: decides what is sealed, seals, opens, proves and repairs.

Nothing here gives a message to anybody in clear: what cannot be sealed is refused (RCC.16 §7.2, §9.1.1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from ims_core.transport.tokens import Tokens
from rcs_sim.client.capabilities import Occasion
from rcs_sim.client.conversation import Conversation
from rcs_sim.client.e2ee.arrivals import Arrivals
from rcs_sim.client.e2ee.bringing_in import BringingIn
from rcs_sim.client.e2ee.claims import Claims
from rcs_sim.client.e2ee.context import E2eeContext
from rcs_sim.client.e2ee.credentials import Credentials
from rcs_sim.client.e2ee.downgrade import Downgrade
from rcs_sim.client.e2ee.failures import Failures
from rcs_sim.client.e2ee.healing import Healing
from rcs_sim.client.e2ee.housekeeping import Housekeeping
from rcs_sim.client.e2ee.key_watch import KeyWatch
from rcs_sim.client.e2ee.pull_answers import PullAnswers
from rcs_sim.client.e2ee.readmission import Readmission
from rcs_sim.client.e2ee.receipts import SignedReceipts
from rcs_sim.client.e2ee.requests import Make, Requests
from rcs_sim.client.e2ee.thread import EncryptedThread
from rcs_sim.client.encryption import (
    EncryptedArrival,
    NotSealed,
    Scheme,
    SealDecision,
    SealedContent,
    SealingPower,
    seal_step,
)
from rcs_sim.client.errands import Errands
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.identity import ContactKey
from rcs_sim.client.inbox import Inbox
from rcs_sim.client.messages import ReceivedMessage, SentMessage
from rcs_sim.client.messenger import Messenger
from rcs_sim.e2ee.content_types import MlsContentType
from rcs_sim.e2ee.credential_identity import msisdn_of, participant_spki_of
from rcs_sim.e2ee.encrypted_entity import referring_entity
from rcs_sim.e2ee.feature_tags import MlsTags, eligibility_of, mls_tags_of_profile
from rcs_sim.e2ee.identity_code import VerifiedUser, format_identity_code, identity_code
from rcs_sim.e2ee.member.commit_verdict import NextStep
from rcs_sim.e2ee.member.encrypted_conversation import ConversationState
from rcs_sim.e2ee.member.operations import E2eeRefused, SealRefusal
from rcs_sim.e2ee.mls_headers import MlsHeaders
from rcs_sim.wire.cpim import CpimMessage
from rcs_sim.wire.cpim_header import CpimHeader
from rcs_sim.wire.imdn import Imdn

__all__ = ["MlsEncryption"]

MAX_EARLY = 256  # bodies that wait for the phone's first certificate; the oldest go first (choice)
ASK_PAUSE_S = 60.0  # between two questions for the tags of a peer who answers none (choice)
_WISHES = ("positive-delivery", "negative-delivery", "display")
_NO_DISPLAY = ("positive-delivery", "negative-delivery")
_P = SealingPower
_REFUSALS = {
    SealRefusal.NO_GROUP: FallbackReason.NO_ENCRYPTION_STATE,
    SealRefusal.DOWNGRADED: FallbackReason.ENCRYPTION_ENDED,
    SealRefusal.GHOST_MEMBER: FallbackReason.UNEXPECTED_MEMBER,
    SealRefusal.MISSING_MEMBER: FallbackReason.UNEXPECTED_MEMBER,
    SealRefusal.REVOKED_MEMBER: FallbackReason.UNEXPECTED_MEMBER,
}


class MlsEncryption:
    """The `Encryption` of one phone by MLS. *locked* is called for a conversation that has a group, or had one."""

    __slots__ = (
        "_alarm",
        "_arrivals",
        "_context",
        "_dirty",
        "_downgrade",
        "_early",
        "_failures",
        "_healing",
        "_housekeeping",
        "_inbox",
        "_keys",
        "_messenger",
        "_pulls",
        "_receipts",
        "_requests",
        "credentials",
        "locked",
        "new_message_id",
    )

    def __init__(
        self,
        credentials: Credentials,
        messenger: Messenger,
        inbox: Inbox,
        errands: Errands,
        tokens: Tokens,
    ) -> None:
        self._messenger, self._inbox = messenger, inbox
        self.credentials = credentials
        self.locked: Callable[[Conversation], None] | None = None
        self._dirty: dict[EncryptedThread, None] = {}
        self._early: list[EncryptedArrival] = []
        self._alarm = messenger.alarms.new(lambda now: self._look())
        context = self._context = E2eeContext(credentials.profile, messenger, credentials, errands, tokens, self._moved)
        self.new_message_id = context.new_id
        self._keys = KeyWatch(context)
        self._pulls = PullAnswers(context)
        self._requests = Requests(context)
        self._receipts = SignedReceipts(context)
        claims = Claims(self.credentials)
        self._healing = Healing(context, self._requests, claims)
        self._housekeeping = Housekeeping(context, self._requests, self._healing, claims)
        self._downgrade = Downgrade(context, self._requests, self._healing)
        readmission, bringing_in = Readmission(context, self._healing), BringingIn(context, self._healing)
        self._failures = Failures(
            context, self._receipts, self._requests, self._healing, inbox, readmission, bringing_in
        )
        told, regrouped = self._failures.told_inside, self._failures.regrouped
        self._arrivals = Arrivals(context, self._healing, inbox, self._sweep, told, regrouped, bringing_in)

    # --- what the phone tells ----------------------------------------------------------------------------------------

    def power_lost(self) -> None:
        """The phone goes off: what is under way has no answer any more; what it holds stays."""
        self._context.channel.power_lost()
        self._context.watch.power_lost()
        for thread in self._context.threads.values():
            self._healing.cancel(thread)

    def registered(self) -> None:
        """The phone can be reached again: requests that were cut off are brought to an end."""
        for thread in self._context.threads.values():
            if thread.engine.operation is not None:
                self._healing.heal(thread, "a request without an answer")
            self._downgrade.resume(thread)
            if len(thread.reports):
                self._moved(thread)

    @property
    def tags(self) -> MlsTags:
        """What the phone announces of MLS."""
        tags = mls_tags_of_profile(self.credentials.profile, is_ready=self.credentials.is_ready)
        if tags.kds is None:
            return replace(tags, legacy=False)
        has_no_focus = not self.credentials.server.arbitrates_era
        return replace(tags, kds=self.credentials.kds_number, legacy=False, has_no_focus=has_no_focus)

    def holds(self, conversation: Conversation) -> bool:
        """Whether the conversation has a group, had one that was ended, or is about to get one; also one that only the
        focus has."""
        thread = self._context.threads.get(conversation.peer)
        if self._context.watch.is_locked_out(conversation.peer):
            return True
        if thread is None:
            return False
        is_under_way = thread.is_setting_up or thread.heal.is_running
        return is_under_way or thread.engine.state is not ConversationState.NONE

    def begin(self, conversation: Conversation) -> bool:
        """Sets up a group in a conversation that the legacy scheme locks; False if that cannot be done now."""
        thread = self._context.thread(conversation)
        is_blocked = thread is None or self._messenger.alarms.now() < thread.blocked_until
        if thread is None or is_blocked or not self.credentials.is_ready:
            return False
        self._healing.set_up(thread)
        return thread.is_setting_up

    # --- the user's hands --------------------------------------------------------------------------------------------

    def end(self, conversation: Conversation) -> None:
        """The user consents to go on without encryption: an explicit act (RCC.16 §9.1)."""
        thread = self._context.thread(conversation)
        self._messenger.display.state("consent", "given", reason="unencrypted", conversation_id=conversation.id)
        if thread is None:
            self._context.watch.waive(conversation.peer)
            self._messenger.mark_encrypted(conversation, is_encrypted=False)
        else:
            self._downgrade.end(thread)

    def revive(self, conversation: Conversation) -> None:
        """The user wants it back."""
        self._context.watch.want_back(conversation.peer)
        thread = self._context.thread(conversation)
        if thread is not None:
            self._downgrade.revive(thread)

    def security_code(self, conversation: Conversation) -> str | None:
        """What both users compare (RCC.16 Annex C.5); its digits are ours, no other client shows the same. A user with
        several devices counts with the keys of all of them, in order, so that both sides see one code (choice)."""
        thread = self._context.threads.get(conversation.peer)
        group = None if thread is None else thread.engine.group
        if thread is None or group is None:
            return None
        leaves = [leaf for _, leaf in group.group.tree.members()]
        numbers = (self._context.own_number, thread.peer_number)
        keys = [{participant_spki_of(leaf) for leaf in leaves if msisdn_of(leaf) == number} for number in numbers]
        if not all(each and b"" not in each for each in keys):
            return None
        own, peer = (VerifiedUser(*user) for user in zip(numbers, map(b"".join, map(sorted, keys)), strict=True))
        return format_identity_code(identity_code(own, peer))

    # --- what a scenario wants of it ---------------------------------------------------------------------------------

    def peers(self) -> tuple[ContactKey, ...]:
        """With whom there is a group that was not ended."""
        return tuple(peer for peer, thread in self._context.threads.items() if thread.is_encrypted)

    def request(self, peer: ContactKey, make: Make) -> bool:
        """A request to the focus for which there is no need. False if there is no group, or it cannot be made now."""
        thread = self._context.threads.get(peer)
        return thread is not None and self._requests.submit(thread, make, self._healing.watch(thread))

    # --- Encryption --------------------------------------------------------------------------------------------------

    def decide(self, conversation: Conversation, *, may_wait: bool) -> SealDecision:
        power = self._power(conversation, may_wait=may_wait)
        return seal_step(power, is_marked=conversation.is_encrypted)

    def _power(self, conversation: Conversation, *, may_wait: bool) -> SealingPower:
        thread = self._context.thread(conversation)
        if thread is None:
            return self._power_without(conversation, _P.NO_IDENTITY)
        if thread.is_setting_up or thread.heal.is_running:
            return _P.BUSY if may_wait or not self._may_be_locked(thread) else _P.LOCKED_OUT
        match thread.engine.state:
            case ConversationState.ENCRYPTED:
                return self._power_of_group(thread, may_wait=may_wait)
            case ConversationState.DOWNGRADED:
                return _P.DOWNGRADED
            case ConversationState.PENDING:
                return self._power_of_pending(thread, may_wait=may_wait)
        return self._power_to_begin(thread, may_wait=may_wait)

    def _power_of_pending(self, thread: EncryptedThread, *, may_wait: bool) -> SealingPower:
        """With a create of ours without an answer: a repair tells what became of it, while the budget lasts."""
        if may_wait:
            self._healing.heal(thread, "the outcome of the create is unknown")
        may_be = self._may_be_locked(thread)
        is_waiting = thread.heal.is_running and (may_wait or not may_be)
        return _P.BUSY if is_waiting else _P.LOCKED_OUT if may_be else _P.NO_STATE

    def _may_be_locked(self, thread: EncryptedThread) -> bool:
        """Whether the other side has a lock, or may have one: by a create of ours of which nobody says what became."""
        watch, engine, peer = self._context.watch, thread.engine, thread.conversation.peer
        is_asked_for = engine.group is None and engine.operation is not None
        return watch.is_locked_out(peer) or (is_asked_for and not watch.is_empty(peer))

    def _power_without(self, conversation: Conversation, power: SealingPower) -> SealingPower:
        """*power* of a phone that cannot seal here, unless the focus holds a group: then nothing goes in clear. It is
        asked before anything does."""
        watch = self._context.watch
        is_out = watch.is_locked_out(conversation.peer)
        if (is_out or not conversation.is_encrypted) and watch.look(conversation):
            return _P.ASKING
        return _P.LOCKED_OUT if is_out else power

    def _power_of_group(self, thread: EncryptedThread, *, may_wait: bool) -> SealingPower:
        if not self.credentials.is_certificate_valid:
            return _P.NO_IDENTITY
        gate = thread.engine.gate(self._context.now_s())
        if gate.is_open:
            return _P.CAN_SEAL
        if gate.refusal in (SealRefusal.GHOST_MEMBER, SealRefusal.MISSING_MEMBER):
            self._context.note(thread, "unexpected member", ", ".join(sorted(gate.numbers)))
            self._healing.advance_era(thread, "the members are not those of the conversation")
            return _P.BUSY if thread.is_setting_up else _P.UNEXPECTED_MEMBER
        if gate.refusal is SealRefusal.REVOKED_MEMBER:
            return self._power_beside_revoked(thread, gate.numbers, may_wait=may_wait)
        if gate.refusal in (SealRefusal.HELD, SealRefusal.PENDING_PROPOSALS):
            self._look_at(thread, thread.engine.control.hold)
            if may_wait:
                self._ask_what_became(thread)
            hold = thread.engine.control.hold
            return _P.CONVERGING if hold is not None and hold.lasts(self._context.now_s()) else _P.BUSY
        return _P.NO_STATE

    def _ask_what_became(self, thread: EncryptedThread) -> bool:
        """Whether a request of ours waits for an answer that nobody expects any more: the repair of then told nothing
        about it, and nothing goes on without one."""
        operation = thread.engine.operation
        if operation is None or self._context.channel.is_pending(operation.control_id):
            return False
        self._healing.heal(thread, "the outcome of a request is unknown")
        return True

    def _power_beside_revoked(
        self, thread: EncryptedThread, numbers: frozenset[str], *, may_wait: bool
    ) -> SealingPower:
        """A revoked certificate of ours is replaced in the group; of others a new era is made without it, if they have
        another one."""
        self._context.note(thread, "certificate revoked", ", ".join(sorted(numbers)))
        if thread.engine.needs_self_update:
            if may_wait and self._ask_what_became(thread):
                return _P.BUSY
            self._refresh_leaf(thread)
            return _P.BUSY if thread.engine.operation is not None else _P.UNEXPECTED_MEMBER
        if not self._healing.advance_era(thread, "a member's certificate is revoked"):
            self._healing.heal(thread, "a member's certificate is revoked")  # he may have done something about it
        is_busy = thread.is_setting_up or thread.heal.is_running
        return _P.BUSY if is_busy else _P.UNEXPECTED_MEMBER

    def _look_at(self, thread: EncryptedThread, hold: object) -> None:
        until_s = getattr(hold, "until_s", None)
        if until_s is not None:
            alarm = self._messenger.alarms.new(lambda now: self._moved(thread))
            alarm.set(self._messenger.alarms.when(until_s) + 1.0)

    def _power_to_begin(self, thread: EncryptedThread, *, may_wait: bool) -> SealingPower:
        """Without a group: one that a focus holds is got into, another is set up if both sides are capable."""
        conversation, watch = thread.conversation, self._context.watch
        if watch.is_waived(conversation.peer):
            return _P.NO_STATE
        can_begin = may_wait and self.credentials.is_ready
        is_there = conversation.is_encrypted or watch.is_locked_out(conversation.peer)
        if can_begin and is_there and self._context.is_arbitrated(thread):
            if self._messenger.alarms.now() >= thread.heals_again_at:
                self._healing.heal(thread, "the keys of an encrypted conversation are gone")
                can_begin = thread.heal.is_running
            return _P.BUSY if can_begin else self._power_without(conversation, _P.NO_STATE)
        is_blocked = self._messenger.alarms.now() < thread.blocked_until or watch.has_ended(conversation.peer)
        if can_begin and not is_blocked and self._begins(thread):
            return _P.BUSY
        return self._power_without(conversation, _P.NO_STATE)

    def _begins(self, thread: EncryptedThread) -> bool:
        """Whether a group is about to be set up, or the peer is being asked whether that can be done."""
        entry = self._messenger.capabilities.entry(thread.conversation.peer)
        if not entry.tags.services and self._asks(thread):
            return True
        eligibility = eligibility_of(entry.tags.mls, self.tags)
        if not eligibility.is_eligible:
            self._context.note(thread, "not eligible", eligibility.value)
            return False
        self._healing.set_up(thread)
        return True

    def _asks(self, thread: EncryptedThread) -> bool:
        """Whether the tags of a peer of whom none were ever seen are being asked for; devices that ask nobody when a
        chat is opened ask here, or they could never begin (choice)."""
        messenger, peer = self._messenger, thread.conversation.peer
        now, discovery = messenger.alarms.now(), messenger.discovery
        if now >= thread.asks_again_at and discovery is not None:
            thread.asks_again_at = now + ASK_PAUSE_S
            discovery.ask_if_due(peer, Occasion.FAILURE)
        return messenger.capabilities.entry(peer).is_asking

    def scheme_of(self, conversation: Conversation) -> Scheme | None:
        return Scheme.MLS if conversation.is_encrypted else None

    def seal(self, message: SentMessage) -> SealedContent:
        thread = self._context.thread(message.conversation)
        if thread is None:
            raise NotSealed("no certificate", FallbackReason.NO_ENCRYPTION_IDENTITY)
        try:
            sealed = thread.engine.seal(
                referring_entity(message.text, message.about), message.wire_id, self._context.now_s()
            )
        except E2eeRefused as refused:
            reason = _REFUSALS.get(refused.refusal, FallbackReason.ENCRYPTION_UNAVAILABLE)
            raise NotSealed(str(refused), reason) from refused
        headers = MlsHeaders(
            era_id=sealed.state.era_id,
            epoch_authenticator=sealed.state.epoch_authenticator,
            original_message_id=message.id if message.wire_id != message.id else "",
        )
        self._refresh_leaf(thread)
        is_read = self._inbox.receipts.allows_display and message.change is None
        wishes = _WISHES if is_read else _NO_DISPLAY
        return SealedContent(sealed.octets, MlsContentType.MESSAGE, headers.to_headers(), Scheme.MLS, wishes)

    def arrived(self, arrival: EncryptedArrival) -> None:
        conversation = self._messenger.conversation(arrival.sender, arrival.thread_id)
        if self._pulls.asked(conversation, arrival):
            return
        thread = self._context.thread(conversation)
        if thread is not None:
            self._arrivals.arrived(thread, arrival)
        elif not self._arrivals.is_answer(arrival):
            self._keep_early(conversation, arrival)

    def _keep_early(self, conversation: Conversation, arrival: EncryptedArrival) -> None:
        """Without a certificate nothing can be opened, and nobody can be told why: that is for when there is one."""
        self._messenger.display.error("a sealed message, and no certificate here yet", arrival.cpim.body)
        self._context.watch.suspect(conversation)
        self._early.append(arrival)
        del self._early[:-MAX_EARLY]

    def receipt_headers(self, message: ReceivedMessage, receipt_id: str, imdn: Imdn) -> Iterable[CpimHeader] | None:
        thread = self._context.threads.get(message.conversation.peer)
        return None if thread is None else self._receipts.sign(thread, receipt_id, imdn)

    def accepts_receipt(self, message: SentMessage, imdn: Imdn, cpim: CpimMessage | None, sender: ContactKey) -> bool:
        thread = self._context.threads.get(message.conversation.peer)
        return thread is not None and self._failures.accepts(thread, message, imdn, cpim, sender.lstrip("+"))

    def reported(self, imdn: Imdn, cpim: CpimMessage | None, sender: ContactKey) -> bool:
        return self._failures.reported(self._context.threads.get(sender), imdn, cpim, sender)

    def capability_learned(self, conversation: Conversation) -> None:
        thread = self._context.thread(conversation)
        if thread is not None:
            self._moved(thread)

    # --- inside ------------------------------------------------------------------------------------------------------

    def credentials_changed(self) -> None:
        """There is another certificate: the groups get it."""
        setting = self.credentials.setting
        if setting is not None:
            early, self._early = self._early, []
            for arrival in early:
                self.arrived(arrival)
            for thread in self._context.threads.values():
                self._context.adopt(thread, setting)
                self._refresh_leaf(thread)
            self._housekeeping.tidy()

    def _refresh_leaf(self, thread: EncryptedThread) -> None:
        """A new certificate, or a leaf that has sealed much: told to the group with the next opportunity."""
        engine = thread.engine
        if engine.needs_self_update:
            self._healing.renew_leaf(thread)
        elif engine.needs_rotation:

            def rotated(step: NextStep) -> None:
                if step is not NextStep.KEEP:
                    thread.engine.defer_rotation()
                self._healing.watch(thread)(step)

            self._requests.submit(
                thread, lambda engine, control_id, now_s: engine.control.rekey(control_id, now_s), rotated
            )

    def _sweep(self, thread: EncryptedThread) -> None:
        """Proposals wait, and nothing is sealed before they are committed (RFC 9420 §12.4)."""
        self._requests.submit(
            thread,
            lambda engine, control_id, now_s: engine.control.sweep(control_id, now_s),
            self._healing.watch(thread),
        )

    def _moved(self, thread: EncryptedThread) -> None:
        """Looked at in the next turn of the clock: whoever says so may be in the middle of something."""
        self._dirty[thread] = None
        self._alarm.set(self._messenger.alarms.now())

    def _look(self) -> None:
        dirty, self._dirty = self._dirty, {}
        for thread in dirty:
            self._mark(thread)
            self._keys.look(thread)
            self._arrivals.drain(thread)
            self._failures.retry(thread)
            self._failures.send_copies(thread)
            self._failures.flush(thread)
            self._messenger.encryption_moved(thread.conversation)

    def _mark(self, thread: EncryptedThread) -> None:
        conversation, state = thread.conversation, thread.engine.state
        if self.locked is not None and state in (ConversationState.ENCRYPTED, ConversationState.DOWNGRADED):
            self.locked(conversation)
        if state is ConversationState.ENCRYPTED and not conversation.is_encrypted and not thread.is_ending:
            self._context.note(thread, "encrypted")
            self._context.watch.want_back(conversation.peer)
            self._messenger.mark_encrypted(conversation, is_encrypted=True)
            self._downgrade.again.encrypted(thread)
        elif thread.has_ended:
            self._downgrade.landed(thread)
        elif state is ConversationState.DOWNGRADED:
            self._downgrade.ended(thread)
