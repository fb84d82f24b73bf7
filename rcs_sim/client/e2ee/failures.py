"""Failures of sealed messages: told to their senders, and answered when they are told to us (RCC.16 §7.7.2, §10.2,
§10.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from rcs_sim.client.e2ee.arrivals import COMMIT_WAIT_S
from rcs_sim.client.e2ee.bringing_in import BringingIn
from rcs_sim.client.e2ee.context import E2eeContext
from rcs_sim.client.e2ee.healing import Healing
from rcs_sim.client.e2ee.readmission import Readmission
from rcs_sim.client.e2ee.receipts import FIRST_ERA, SignedReceipts
from rcs_sim.client.e2ee.requests import TRANSIENT_PAUSE_S, Requests, headers_of
from rcs_sim.client.e2ee.thread import EncryptedThread
from rcs_sim.client.e2ee.welcome_request import ASK_AGAIN_S
from rcs_sim.client.encryption import Scheme
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.identity import ContactKey
from rcs_sim.client.inbox import Inbox
from rcs_sim.client.message_state import MessageState
from rcs_sim.client.messages import SentMessage
from rcs_sim.e2ee.content_types import MlsContentType
from rcs_sim.e2ee.encrypted_entity import referring_entity
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.failure_reason import ClientFailureReason, ClientRemedy, ServerRemedy, client_remedy, server_remedy
from rcs_sim.e2ee.member.commit_verdict import FocusRefusal
from rcs_sim.e2ee.member.failure_reports import DueReport, ReportVerdict
from rcs_sim.e2ee.member.operations import E2eeRefused
from rcs_sim.e2ee.member.receipt_signature import ReceiptVerdict
from rcs_sim.e2ee.member.self_heal import HealPhase
from rcs_sim.e2ee.mls_headers import FocusHeaders, MlsHeaders
from rcs_sim.wire.cpim import ANONYMOUS_URI, CpimMessage, compose_cpim
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnStatus

__all__ = ["Failures", "refusal_of"]

MAX_ASKS = 3  # to be brought in, before a new era is made (choice)
MAX_ATTEMPTS = 5  # of one message, the first included (choice)
MAX_UNPROVEN = 3  # of them while its receipts cannot be verified (choice)
MAX_REGROUPED = 16  # messages without a receipt that are sealed anew in another group (choice)
MAX_UNVERIFIED = 64  # receipts of an epoch that has not come, kept per conversation
_NOT_READ = ClientFailureReason.FAILED_TO_DECRYPT
_READ = (MessageState.DELIVERED, MessageState.DISPLAYED)
_NO_REMEDY = frozenset((ClientRemedy.NONE, ClientRemedy.LOG))
_NO_STATE = "a peer has no usable state"
_UNSIGNED = frozenset((None, ClientFailureReason.CONTROL_MESSAGE_FAILED))
_ESCALATES = frozenset((ClientRemedy.ESCALATE, ClientRemedy.REPLACE_LEAF, ClientRemedy.SELF_HEAL))


@dataclass(frozen=True, slots=True)
class _Unverified:
    message: SentMessage
    imdn: Imdn
    cpim: CpimMessage
    sender: str


def refusal_of(imdn: Imdn, cpim: CpimMessage | None) -> FocusRefusal:
    """What the focus says with a negative notification and the headers beside it."""
    headers = FocusHeaders() if cpim is None else FocusHeaders.of(cpim)
    server = None
    if headers.server_era is not None and headers.server_epoch is not None:
        server = EpochIdentifier(headers.server_era, headers.server_epoch, headers.server_epoch_authenticator)
    group_id = headers.group_id.encode() if headers.group_id else None
    reason = imdn.server_failure_reason or ""
    return FocusRefusal(reason=reason, detail=headers.detail, group_id=group_id, server=server)


def _is_believed_unsigned(imdn: Imdn) -> bool:
    """Who cannot read cannot always sign either: a bare failure counts (observed), and the request of somebody without
    a group for a Welcome (choice)."""
    return _is_not_delivered(imdn) and imdn.status == ImdnStatus.FAILED and imdn.client_failure_reason in _UNSIGNED


def _is_asking(imdn: Imdn) -> bool:
    """Whether who failed wants to be brought in."""
    return imdn.client_failure_reason == ClientFailureReason.CONTROL_MESSAGE_FAILED


def _is_not_delivered(imdn: Imdn) -> bool:
    """Whether it says that a message did not get through; that nobody tells of its display is another thing."""
    return imdn.is_failure and imdn.kind == ImdnKind.DELIVERY


def _is_signed(cpim: CpimMessage | None) -> bool:
    return cpim is not None and bool(MlsHeaders.of(cpim).signature)


def _is_of_former_era(thread: EncryptedThread, receipt: _Unverified) -> bool:
    identifier, era = thread.engine.identifier, MlsHeaders.of(receipt.cpim).era_id
    return identifier is not None and (era or FIRST_ERA) < identifier.era_id


class Failures:
    """Of one phone."""

    __slots__ = (
        "_bringing_in",
        "_context",
        "_copies",
        "_healing",
        "_inbox",
        "_readmission",
        "_receipts",
        "_requests",
        "_unverified",
        "_watched",
    )

    def __init__(
        self,
        context: E2eeContext,
        receipts: SignedReceipts,
        requests: Requests,
        healing: Healing,
        inbox: Inbox,
        readmission: Readmission,
        bringing_in: BringingIn,
    ) -> None:
        self._context, self._receipts, self._requests = context, receipts, requests
        self._healing, self._inbox = healing, inbox
        self._readmission, self._bringing_in = readmission, bringing_in
        self._unverified: dict[EncryptedThread, list[_Unverified]] = {}
        self._watched: set[tuple[EncryptedThread, str]] = set()
        self._copies: dict[EncryptedThread, dict[SentMessage, None]] = {}

    # --- ours to tell ------------------------------------------------------------------------------------------------

    def flush(self, thread: EncryptedThread) -> None:
        """Tells the senders what could not be read, unless a repair is under way."""
        if not len(thread.reports):
            return
        is_busy = thread.heal.is_running and thread.heal.phase is not HealPhase.WAITING
        for due in thread.reports.flush(is_healing=is_busy or thread.is_setting_up):
            self._tell(thread, due)

    def _tell(self, thread: EncryptedThread, due: DueReport) -> None:
        """Who asks to be brought in where nobody arbitrates does it in a session of his own, in which he is answered;
        then in pager mode, which all devices of the peer hear (choice)."""
        context = self._context
        context.note(thread, "failure told", f"{due.reason}, attempt {due.attempt}", due.message_id)
        is_asking = due.reason is ClientFailureReason.CONTROL_MESSAGE_FAILED and not context.is_arbitrated(thread)
        in_session = is_asking and due.attempt % 2 == 1
        context.channel.notify(
            thread.conversation,
            self._receipts.failure(thread, due),
            in_session=in_session,
            lost=lambda: self._tell_again(thread, due),
        )
        if is_asking:
            self._ask_again(thread, due)

    def _tell_again(self, thread: EncryptedThread, due: DueReport) -> None:
        """The network did not take it: who has sent the message would never learn of it."""
        context = self._context
        thread.reports.not_taken(due)

        def rang(_now: float) -> None:
            if due.message_id not in thread.engine.exchange.seen:
                thread.reports.add(due.message_id, due.sender, due.reason)
                context.moved(thread)

        alarms = context.messenger.alarms
        alarms.new(rang).set(alarms.now() + (ASK_AGAIN_S << due.attempt))

    def _ask_again(self, thread: EncryptedThread, due: DueReport) -> None:
        """While nothing has come of it, after twice the time each. In the end who asks makes the new era himself."""
        context, state = self._context, thread.engine.identifier

        def is_needed() -> bool:
            return thread.engine.identifier == state

        def rang(_now: float) -> None:
            if not is_needed():
                return
            if due.attempt >= MAX_ASKS:
                self._healing.begin_anew(thread, "nobody brings this device in", is_needed)
            thread.reports.add(due.message_id, due.sender, due.reason)
            context.moved(thread)

        alarms = context.messenger.alarms
        alarms.new(rang).set(alarms.now() + (ASK_AGAIN_S << (due.attempt - 1)) + context.turn_s(thread))

    # --- told to us --------------------------------------------------------------------------------------------------

    def accepts(
        self, thread: EncryptedThread, message: SentMessage, imdn: Imdn, cpim: CpimMessage | None, sender: str
    ) -> bool:
        """Whether a notification about a sealed message proves that it was delivered or displayed. Who has come off
        signs with keys of his own: that he could not read is worth what it is without a signature (choice)."""
        if imdn.has_both_reasons:
            return False
        if imdn.server_failure_reason is not None:
            self._refused(thread, message, imdn, cpim)
            return False
        verdict = None if cpim is None else self._receipts.verdict(thread, imdn, cpim, sender)
        thread.hear_era(None if cpim is None else MlsHeaders.of(cpim).era_id)
        if verdict is ReceiptVerdict.GENUINE:
            if not imdn.is_failure:
                thread.failures.on_delivered()
                return True
            if _is_not_delivered(imdn):
                self._not_read(thread, message, imdn)
        elif cpim is not None and self._may_be_proven_later(thread, verdict):
            self._keep(thread, _Unverified(message, imdn, cpim, sender))
        elif verdict is ReceiptVerdict.BYGONE_EPOCH and cpim is not None:
            self._beyond_proof(thread, _Unverified(message, imdn, cpim, sender))
        elif verdict is None and _is_believed_unsigned(imdn):
            self._not_read(thread, message, imdn)
        elif verdict is ReceiptVerdict.FORGED and _is_not_delivered(imdn) and imdn.client_failure_reason == _NOT_READ:
            self._context.note(thread, "failure told from another group", "", message.id)
            self._not_read(thread, message, replace(imdn, client_failure_reason=None))
        else:
            shown = "unsigned" if verdict is None else verdict.name.lower().replace("_", " ")
            self._context.note(thread, "receipt ignored", shown, message.id)
        return False

    def _may_be_proven_later(self, thread: EncryptedThread, verdict: ReceiptVerdict | None) -> bool:
        """Where nobody arbitrates the peer may be in a group that we have not come into yet."""
        is_elsewhere = verdict is ReceiptVerdict.OTHER_GROUP and not self._context.is_arbitrated(thread)
        return is_elsewhere or verdict is ReceiptVerdict.UNKNOWN_EPOCH

    def told_inside(self, thread: EncryptedThread, imdn: Imdn) -> None:
        """A notification of the peer that was sealed, which needs no other signature. Reasons have no place there
        (digest RCC.16 §6.4)."""
        message = self._context.messenger.find(imdn.message_id)
        has_reason = imdn.client_failure_reason is not None or imdn.server_failure_reason is not None
        if message is None or message.conversation is not thread.conversation or has_reason:
            self._context.note(thread, "receipt ignored", "sealed", imdn.message_id)
        elif not imdn.is_failure:
            thread.failures.on_delivered()
            self._inbox.report(message, imdn)
        elif _is_not_delivered(imdn) and message.scheme is not None:
            self._not_read(thread, message, imdn)

    def _keep(self, thread: EncryptedThread, receipt: _Unverified) -> None:
        kept = self._unverified.setdefault(thread, [])
        kept.append(receipt)
        del kept[:-MAX_UNVERIFIED]
        key = thread, receipt.cpim.message_id or ""
        if key[1] and key not in self._watched:
            self._watched.add(key)
            self._look_again(thread, receipt, COMMIT_WAIT_S)

    def _look_again(self, thread: EncryptedThread, receipt: _Unverified, wait_s: float) -> None:
        alarms = self._context.messenger.alarms
        alarms.new(lambda now: self._still_unverified(thread, receipt, wait_s)).set(alarms.now() + wait_s)

    def _still_unverified(self, thread: EncryptedThread, receipt: _Unverified, waited_s: float) -> None:
        """It is asked about again, after twice the time each: what nobody can make good is not asked for ever."""
        receipt_id = receipt.cpim.message_id or ""
        if receipt not in self._unverified.get(thread, ()):
            self._watched.discard((thread, receipt_id))
            return
        has_been_asked = waited_s > COMMIT_WAIT_S
        if has_been_asked and receipt.imdn.is_failure and not self._context.is_arbitrated(thread):
            self._unverified[thread].remove(receipt)  # the peer may be in a group that we shall never come into
            self._watched.discard((thread, receipt_id))
            self._of_former_era(thread, receipt)
            return
        self._look_again(thread, receipt, 2 * waited_s)
        thread.reports.add(receipt_id, receipt.sender, ClientFailureReason.CONTROL_MESSAGE_FAILED)
        self._healing.heal(thread, "a receipt waits for a commit that does not come")

    def retry(self, thread: EncryptedThread) -> None:
        """The epoch of a receipt may have come."""
        for each in self._unverified.pop(thread, ()):
            if self.accepts(thread, each.message, each.imdn, each.cpim, each.sender):
                self._inbox.report(each.message, each.imdn)
            elif _is_of_former_era(thread, each):
                kept = self._unverified.get(thread, [])
                kept[:] = [one for one in kept if one.cpim is not each.cpim]
                self._of_former_era(thread, each)

    def _of_former_era(self, thread: EncryptedThread, receipt: _Unverified) -> None:
        """Nobody can prove it any more, as of a group of the peer's own that lost a race: a copy gets another receipt,
        and one that says failed is worth as much as one without a signature."""
        if receipt.imdn.is_failure:
            self._not_read(thread, receipt.message, receipt.imdn)
        elif receipt.message.state not in _READ:
            self._again(thread, receipt.message, FallbackReason.NOT_DECRYPTED)

    def _beyond_proof(self, thread: EncryptedThread, receipt: _Unverified) -> None:
        """A receipt that nobody can verify any more. One that says failed is worth as much as one without a signature;
        for any other the message goes again, sealed, and gets another receipt: not more than twice, for anybody can
        make such a receipt up (choice)."""
        message, imdn = receipt.message, receipt.imdn
        self._context.note(thread, "receipt beyond proof", "", message.id)
        if _is_not_delivered(imdn):
            self._not_read(thread, message, imdn, is_bygone=_is_of_former_era(thread, receipt))
        elif not imdn.is_failure and message.state not in _READ and thread.attempts.get(message.id, 1) < MAX_UNPROVEN:
            self._again(thread, message, FallbackReason.NOT_DECRYPTED)

    def reported(
        self, thread: EncryptedThread | None, imdn: Imdn, cpim: CpimMessage | None, sender: ContactKey
    ) -> bool:
        """A notification about something that is no message of the user: a request, or a control message of ours."""
        if imdn.server_failure_reason is not None and not imdn.has_both_reasons:
            return self._context.channel.answered(imdn.message_id, refusal_of(imdn, cpim))
        token = imdn.client_failure_reason
        if not imdn.is_failure or token is None or imdn.has_both_reasons:
            return False
        if token == ClientFailureReason.CONTROL_MESSAGE_FAILED and not _is_signed(cpim):
            return self._readmission.asked(thread, sender, cpim)
        if thread is None or cpim is None:
            return False
        thread.hear_era(MlsHeaders.of(cpim).era_id)
        if client_remedy(token) in _ESCALATES and self._is_proven(thread, imdn, cpim, sender):
            self._context.note(thread, "peer failed", token, imdn.message_id)
            if not self._is_helped(thread, imdn):
                self._bringing_in.in_turn(thread, _NO_STATE)
        return True

    def _is_helped(self, thread: EncryptedThread, imdn: Imdn, then: Callable[[], None] = lambda: None) -> bool:
        """Whether who has come off gets the Welcome of the present era again; *then* is called when he has it."""
        return _is_asking(imdn) and self._bringing_in.gives_again(thread, imdn.message_id, then)

    def _is_proven(self, thread: EncryptedThread, imdn: Imdn, cpim: CpimMessage, sender: ContactKey) -> bool:
        """Whether a member has signed it, and not just the same a moment ago (digest RCC.16 §10.5). Where nobody
        arbitrates, who has come off cannot sign what we can verify: there only the budgets bound what it does
        (choice)."""
        verdict = self._receipts.verdict(thread, imdn, cpim, sender.lstrip("+"))
        if verdict is not ReceiptVerdict.GENUINE and self._context.is_arbitrated(thread):
            shown = "unsigned" if verdict is None else verdict.name.lower().replace("_", " ")
            self._context.note(thread, "failure ignored", shown, imdn.message_id)
            return False
        token = imdn.client_failure_reason or ""
        return not thread.failures.is_repeated(imdn.message_id, token, self._context.passed_s())

    # --- a client could not read -------------------------------------------------------------------------------------

    def _not_read(self, thread: EncryptedThread, message: SentMessage, imdn: Imdn, *, is_bygone: bool = False) -> None:
        """*is_bygone*: said in an era that is over, so that the new one that it asks for is there."""
        context, token = self._context, imdn.client_failure_reason
        if imdn.message_id != message.wire_id:
            return  # it has gone out again since
        if client_remedy(token) in _NO_REMEDY:
            context.note(thread, "peer told", f"{token}: no remedy", message.id)
            if token == ClientFailureReason.CONTROL_MESSAGE_FAILED_DUE_TO_DOWNGRADE:
                self._healing.heal(thread, "a peer says that encryption has ended")
            return
        verdict = thread.failures.on_report(
            True, message.id, token or "", context.passed_s(), report_of=imdn.message_id
        )
        context.note(thread, "peer could not read", f"{token or 'no reason'}: {verdict.name.lower()}", message.id)
        match verdict:
            case ReportVerdict.RESEND:
                self._resend(thread, message, imdn, escalates=client_remedy(token) in _ESCALATES and not is_bygone)
            case ReportVerdict.REPAIR:  # instead of a third copy (digest RCC.16 §10.4)
                if not self._is_helped(thread, imdn):
                    self._escalate(thread)
                context.messenger.not_sealed(message, FallbackReason.NOT_DECRYPTED)
            case ReportVerdict.EXHAUSTED | ReportVerdict.STOPPED:
                if not self._is_helped(thread, imdn) and _is_asking(imdn):
                    self._bringing_in.gives_at_last(thread)
                context.messenger.not_sealed(message, FallbackReason.NOT_DECRYPTED)
            case _:
                pass

    def _resend(self, thread: EncryptedThread, message: SentMessage, imdn: Imdn, *, escalates: bool) -> None:
        """After the Welcome, if that is what it takes: who has come off may have kept nothing of the message."""

        def again() -> None:
            self._again(thread, message, FallbackReason.NOT_DECRYPTED)

        if self._is_helped(thread, imdn, again):
            return
        if escalates:
            self._escalate(thread)
        elif self._context.is_arbitrated(thread):  # else nobody could say who is behind
            self._healing.heal(thread, "a peer could not read")
        again()

    def _escalate(self, thread: EncryptedThread) -> None:
        """The peer cannot be helped by a message sealed again: a new era for both."""
        self._healing.advance_era(thread, _NO_STATE)

    def _again(self, thread: EncryptedThread, message: SentMessage, reason: FallbackReason) -> None:
        if message.state in _READ:
            self._copies.setdefault(thread, {})[message] = None  # another device of the peer could not read it
            self._context.moved(thread)
            return
        attempts = thread.attempts[message.id] = thread.attempts.get(message.id, 1) + 1
        if attempts > MAX_ATTEMPTS:
            self._context.messenger.not_sealed(message, reason)
        else:
            self._context.messenger.seal_again(message, reason)

    def regrouped(self, thread: EncryptedThread) -> None:
        """Where nobody arbitrates this device was in another group until now, which the peer may never have had; he may
        have said so to another device of ours alone. What has no receipt goes once more, as a copy of itself."""
        for message in self._context.messenger.without_receipt(thread.conversation)[-MAX_REGROUPED:]:
            if message.scheme is Scheme.MLS and thread.attempts.get(message.id, 1) < MAX_UNPROVEN:
                self._context.note(thread, "sealed anew for another group", "", message.id)
                self._again(thread, message, FallbackReason.NOT_DECRYPTED)

    # --- the focus refused -------------------------------------------------------------------------------------------

    def _refused(self, thread: EncryptedThread, message: SentMessage, imdn: Imdn, cpim: CpimMessage | None) -> None:
        context, refusal = self._context, refusal_of(imdn, cpim)
        if imdn.message_id != message.wire_id:
            return  # it has gone out again since
        context.note(thread, "message refused", f"{refusal.reason} {refusal.detail}".strip(), message.id)
        thread.engine.message_refused(imdn.message_id, refusal)
        reason = FallbackReason.ENCRYPTION_REFUSED
        match server_remedy(refusal.reason):
            case ServerRemedy.SELF_HEAL | ServerRemedy.TERMINAL:
                self._healing.heal(thread, f"the focus said {refusal.reason}")
                self._again(thread, message, reason)
            case ServerRemedy.UPDATE_OWN_LEAF:
                self._update_leaf(thread, message, reason)
            case ServerRemedy.COMMIT_PROPOSALS:
                self._requests.submit(
                    thread,
                    lambda engine, control_id, now_s: engine.control.sweep(control_id, now_s),
                    self._healing.watch(thread),
                )
                self._again(thread, message, reason)
            case ServerRemedy.RETRY_SAME_OCTETS:
                self._same_octets_again(thread, message, reason)
            case ServerRemedy.ADVANCE_ERA:
                self._escalate(thread)
                self._again(thread, message, reason)
            case ServerRemedy.END_MLS | ServerRemedy.DO_NOT_RETRY | ServerRemedy.NONE:
                # DEVIATION: digest RCC.16 §6.4 has Google end MLS when the quota of eras is used up; whoever can say so
                # would read what is written next, so it is for the user to end it (§7.2)
                context.messenger.not_sealed(message, reason)

    def send_copies(self, thread: EncryptedThread) -> None:
        """What one device of the peer has read and another could not goes out once more when that one is in the group;
        nobody is asked for receipts about it."""
        is_busy = thread.is_setting_up or thread.heal.is_running
        if thread not in self._copies or is_busy or not thread.engine.gate(self._context.now_s()).is_open:
            return
        for message in self._copies.pop(thread):
            self._send_copy(thread, message)

    def _send_copy(self, thread: EncryptedThread, message: SentMessage) -> None:
        context, copy_id = self._context, self._context.new_id()
        try:
            sealed = thread.engine.seal(referring_entity(message.text, message.about), copy_id, context.now_s())
        except E2eeRefused as refused:
            context.note(thread, "no copy", str(refused), message.id)
            return
        headers = replace(headers_of(sealed.state), original_message_id=message.id).to_headers()
        context.note(thread, "copy for another device", "", copy_id)
        context.channel.notify(
            thread.conversation,
            compose_cpim(
                sender=ANONYMOUS_URI,
                recipient=ANONYMOUS_URI,
                message_id=copy_id,
                date_time=message.date_time,
                body=sealed.octets,
                content_type=MlsContentType.MESSAGE,
                disposition_notification=("negative-delivery",),
                extra=headers,
            ),
        )

    def _same_octets_again(self, thread: EncryptedThread, message: SentMessage, reason: FallbackReason) -> None:
        """What the focus could not deal with for the moment is right as it is."""
        messenger, octets = self._context.messenger, message.sealed
        attempts = thread.attempts[message.id] = thread.attempts.get(message.id, 1) + 1
        if attempts > MAX_ATTEMPTS:
            messenger.not_sealed(message, reason)
            return

        def send(_now: float) -> None:
            if message.sealed is octets:
                messenger.hand_over_again(message, reason)

        messenger.alarms.new(send).set(messenger.alarms.now() + TRANSIENT_PAUSE_S)

    def _update_leaf(self, thread: EncryptedThread, message: SentMessage, reason: FallbackReason) -> None:
        """Our certificate, if it is among the stale ones; nobody but its owner can help another (RCC.16 §9.5.3)."""
        if self._healing.renew_leaf(thread):
            self._again(thread, message, reason)
        else:
            self._context.messenger.not_sealed(message, reason)
