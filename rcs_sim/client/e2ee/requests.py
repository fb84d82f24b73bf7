"""Requests to the focus of a conversation: made, sent, and brought to an end by its answer (RCC.16 §6.1.2, §7.9)."""

from __future__ import annotations

from collections.abc import Callable

from rcs_sim.client.e2ee.context import E2eeContext
from rcs_sim.client.e2ee.control_channel import ControlAnswer, ControlRequest, NoAnswer
from rcs_sim.client.e2ee.thread import EncryptedThread, KeptWelcome
from rcs_sim.e2ee.client_message import ClientOperation, MlsGroupInfo
from rcs_sim.e2ee.content_types import MlsContentType
from rcs_sim.e2ee.enhanced_group_info import MlsEnhancedGroupInfo
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.failure_reason import ServerFailureReason, ServerRemedy, server_remedy
from rcs_sim.e2ee.member.application_opening import Envelope
from rcs_sim.e2ee.member.commit_verdict import FocusRefusal, NextStep
from rcs_sim.e2ee.member.control_outcome import Adopted, ControlOutcome
from rcs_sim.e2ee.member.encrypted_conversation import EncryptedConversation
from rcs_sim.e2ee.member.operations import E2eeRefused, PendingOperation
from rcs_sim.e2ee.mls_headers import MlsHeaders
from rcs_sim.e2ee.server_message import AcceptedMessage, encode_server_message

__all__ = ["TRANSIENT_PAUSE_S", "Ended", "Make", "Requests", "headers_of", "own_envelope"]

TRANSIENT_PAUSE_S = 5.0  # before the same octets are sent again (choice)

Make = Callable[[EncryptedConversation, str, int], PendingOperation]
"""Makes a request with this control id at this time (Unix seconds). May raise E2eeRefused."""

Ended = Callable[[NextStep], None]
"""What is to be done now; KEEP: the request was taken."""


def headers_of(identifier: EpochIdentifier | None) -> MlsHeaders:
    """Era-ID and Epoch-Authenticator of a state; neither without one."""
    if identifier is None:
        return MlsHeaders()
    return MlsHeaders(era_id=identifier.era_id, epoch_authenticator=identifier.epoch_authenticator)


class Requests:
    """Of one phone. One request of a conversation is under way at a time. *end_told* is called when the focus says that
    the group has ended, *elsewhere_told* when it says that it is in another state than ours: reasons to look and no
    more."""

    __slots__ = ("_context", "elsewhere_told", "end_told")

    def __init__(self, context: E2eeContext) -> None:
        self._context = context
        self.end_told: Callable[[EncryptedThread], None] = lambda thread: None
        self.elsewhere_told: Callable[[EncryptedThread], None] = lambda thread: None

    def submit(self, thread: EncryptedThread, make: Make, ended: Ended) -> bool:
        """Makes a request and sends it; *ended* is called once, later. False if it cannot be made."""
        context = self._context
        control_id = context.new_id()
        try:
            operation = make(thread.engine, control_id, context.now_s())
        except E2eeRefused as refused:
            context.note(thread, "no request", str(refused))
            return False
        context.note(thread, "request", operation.kind.name.lower().replace("_", " "), control_id)
        if not context.is_arbitrated(thread):
            return self._publish(thread, operation, ended)
        request = ControlRequest(
            control_id=control_id,
            body=operation.request.encode(),
            headers=headers_of(operation.headers).to_headers(),
        )
        context.channel.send(
            thread.conversation, request, lambda answer: self._answered(thread, operation, answer, ended)
        )
        return True

    def _publish(self, thread: EncryptedThread, operation: PendingOperation, ended: Ended) -> bool:
        """Peer to peer: counts as taken at once, and goes to the peer himself (choice: digest RCC.16 §14.4)."""
        context = self._context
        try:
            bundle = thread.engine.control.publish(context.now_s())
        except E2eeRefused as refused:
            context.note(thread, "not published", str(refused), operation.control_id)
            thread.engine.control.abandon()
            return False
        request = ControlRequest(
            control_id=_published_id(thread, operation),
            body=encode_server_message(bundle),
            content_type=MlsContentType.SERVER,
            headers=headers_of(operation.headers).to_headers(),
        )

        def delivered(answer: ControlAnswer) -> None:
            if isinstance(answer, NoAnswer):
                context.note(thread, "not delivered", "", request.control_id)
            ended(NextStep.KEEP)
            context.moved(thread)

        if operation.request.operation is ClientOperation.CREATE and thread.engine.identifier is not None:
            headers = tuple(request.headers)
            thread.welcome = KeptWelcome(thread.engine.identifier, request.body, headers, is_of_peer=False)
        context.channel.send(thread.conversation, request, delivered, is_for_peer=True)
        return True

    def pull(self, thread: EncryptedThread, answered: Callable[[ControlAnswer], None]) -> None:
        """Asks the focus for its state: the enhanced way from our own, the ordinary one without (RCC.16 §7.10.2).
        Beyond the budget nobody is asked, and there is no answer."""
        context, identifier = self._context, thread.engine.identifier
        if not context.watch.may_read(thread.conversation.peer):
            context.note(thread, "no pull", "the budget of reads is used up")
            alarms = context.messenger.alarms
            alarms.new(lambda now: answered(NoAnswer.NOT_DELIVERED)).set(alarms.now())
            return
        request = ControlRequest(
            control_id=context.new_id(),
            body=b"" if identifier is None else identifier.encode(),
            content_type=MlsContentType.GROUP_INFO_REQUEST,
            headers=headers_of(identifier).to_headers(),
        )
        context.note(thread, "pull", "", request.control_id)

        def told(answer: ControlAnswer) -> None:
            context.watch.learned(thread.conversation, answer)
            answered(answer)

        context.channel.send(thread.conversation, request, told)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _answered(
        self, thread: EncryptedThread, operation: PendingOperation, answer: ControlAnswer, ended: Ended
    ) -> None:
        match answer:
            case AcceptedMessage():
                self._accepted(thread, answer, ended)
            case FocusRefusal():
                self._refused(thread, operation, answer, ended)
            case NoAnswer():
                self._unanswered(thread, operation, ended)
            case MlsGroupInfo() | MlsEnhancedGroupInfo():
                ended(NextStep.ASK_SERVER)  # an answer to something else than was asked

    def _accepted(self, thread: EncryptedThread, answer: AcceptedMessage, ended: Ended) -> None:
        context = self._context
        envelope = own_envelope(thread, answer.message_id)
        outcome: ControlOutcome = thread.engine.receive(answer, envelope, context.now_s())
        if isinstance(outcome, Adopted):
            context.note(thread, "accepted", outcome.operation.kind.name.lower().replace("_", " "), answer.message_id)
            ended(NextStep.KEEP)
        else:
            context.note(thread, "acceptance not taken", repr(outcome), answer.message_id)
            ended(NextStep.ASK_SERVER)
        context.moved(thread)

    def _refused(
        self, thread: EncryptedThread, operation: PendingOperation, refusal: FocusRefusal, ended: Ended
    ) -> None:
        context = self._context
        context.watch.learned(thread.conversation, refusal)
        detail = f" ({refusal.detail})" if refusal.detail else ""
        context.note(thread, "refused", f"{refusal.reason}{detail}", operation.control_id)
        refused = thread.engine.control.refused(operation.control_id, refusal, context.now_s())
        if refused is not None and refused.next_step is NextStep.RETRY:
            self._again(thread, operation, ended)
            return
        ended(NextStep.STOP if refused is None else refused.next_step)
        if refusal.reason == ServerFailureReason.MLS_GROUP_HAS_END_MLS:
            self.end_told(thread)
        elif server_remedy(refusal.reason) is ServerRemedy.SELF_HEAL and thread.engine.identifier != refusal.server:
            self.elsewhere_told(thread)
        context.moved(thread)

    def _again(self, thread: EncryptedThread, operation: PendingOperation, ended: Ended) -> None:
        """A transient error: the same octets under the same id, in a moment."""
        context = self._context
        request = ControlRequest(
            control_id=operation.control_id,
            body=operation.request.encode(),
            headers=headers_of(operation.headers).to_headers(),
        )

        def send(_now: float) -> None:
            if thread.engine.operation is operation:
                context.channel.send(
                    thread.conversation, request, lambda answer: self._answered(thread, operation, answer, ended)
                )

        alarm = context.messenger.alarms.new(send)
        alarm.set(context.messenger.alarms.now() + TRANSIENT_PAUSE_S)

    def _unanswered(self, thread: EncryptedThread, operation: PendingOperation, ended: Ended) -> None:
        """Its outcome is unknown: the server's state tells (digest RCC.16 §5.9)."""
        context = self._context
        context.note(thread, "no answer", operation.kind.name.lower().replace("_", " "), operation.control_id)
        ended(NextStep.ASK_SERVER)
        context.moved(thread)


def _published_id(thread: EncryptedThread, operation: PendingOperation) -> str:
    """A commit is bound to its id; a Welcome has that of its conversation, and of its era from the second one on."""
    if operation.request.operation is not ClientOperation.CREATE:
        return operation.control_id
    era = 1 if operation.result is None else operation.result.era_id
    name = f"mls-welcome-{thread.conversation.id}"
    return name if era == 1 else f"{name}-{era}"


def own_envelope(thread: EncryptedThread, message_id: str) -> Envelope:
    """Of something that came from the focus, which speaks for either participant."""
    identifier = thread.engine.identifier
    return Envelope(
        message_id=message_id,
        asserted_sender=thread.peer_number,
        era=0 if identifier is None else identifier.era_id,
        epoch_authenticator=b"" if identifier is None else identifier.epoch_authenticator,
        named_sender=thread.engine.setting.identity.msisdn,
    )
