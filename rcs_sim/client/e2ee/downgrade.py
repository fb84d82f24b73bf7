"""The end of encryption in a conversation, and its return (RCC.16 §9.1, §9.2, digest RCC.16 §7.3, §7.4)."""

from __future__ import annotations

from functools import partial

from rcs_sim.client.display import Shown
from rcs_sim.client.e2ee.context import E2eeContext
from rcs_sim.client.e2ee.healing import Healing
from rcs_sim.client.e2ee.requests import Requests
from rcs_sim.client.e2ee.thread import EncryptedThread
from rcs_sim.e2ee.extension_bodies import DowngradeReason
from rcs_sim.e2ee.member.commit_verdict import NextStep
from rcs_sim.e2ee.member.encrypted_conversation import ConversationState

__all__ = ["Downgrade"]

MAX_ATTEMPTS = 5  # of an end_mls commit (digest RCC.16 §7.3)
_BY_THE_USER = DowngradeReason.CLIENT_ENCRYPTION_NOT_AVAILABLE  # no other fits a user's choice better (choice)
PAUSE_S = 120.0  # between them: five in ten minutes


class Downgrade:
    """Of one phone."""

    __slots__ = ("_context", "_healing", "_requests")

    def __init__(self, context: E2eeContext, requests: Requests, healing: Healing) -> None:
        self._context, self._requests, self._healing = context, requests, healing

    def end(self, thread: EncryptedThread, reason: DowngradeReason = _BY_THE_USER) -> None:
        """Ends it for both: the mark goes at once, the commit follows; a group that the peer has ended needs none."""
        state = thread.engine.state
        self.ended(thread)
        if state is ConversationState.ENCRYPTED:
            self._commit(thread, reason, 1)

    def _commit(self, thread: EncryptedThread, reason: DowngradeReason, attempt: int) -> None:
        is_sent = self._requests.submit(
            thread,
            lambda engine, control_id, now_s: engine.control.end_mls(reason, control_id, now_s),
            partial(self._committed, thread, reason, attempt),
        )
        if not is_sent and thread.engine.state is ConversationState.ENCRYPTED:
            self._try_again(thread, reason, attempt)

    def _committed(self, thread: EncryptedThread, reason: DowngradeReason, attempt: int, step: NextStep) -> None:
        if step is not NextStep.KEEP and thread.engine.state is ConversationState.ENCRYPTED:
            self._try_again(thread, reason, attempt)

    def _try_again(self, thread: EncryptedThread, reason: DowngradeReason, attempt: int) -> None:
        """Later; when the commit cannot land at all, a new era is born downgraded (Phoenix)."""
        if attempt >= MAX_ATTEMPTS:
            self._healing.phoenix(thread, reason)
            return
        alarms = self._context.messenger.alarms
        alarm = alarms.new(lambda now: self._commit(thread, reason, attempt + 1))
        alarm.set(alarms.now() + PAUSE_S)

    def ended(self, thread: EncryptedThread) -> None:
        """The conversation is not encrypted any more, and the user sees it."""
        conversation, messenger = thread.conversation, self._context.messenger
        if not conversation.is_encrypted:
            return
        self._context.note(thread, "ended")
        messenger.display.show(
            Shown.TOMBSTONE, conversation.peer, conversation_id=conversation.id, text="encryption ended"
        )
        messenger.mark_encrypted(conversation, is_encrypted=False)

    def revive(self, thread: EncryptedThread) -> None:
        """Brings it back: in the group that there is, else in a new era."""
        if thread.engine.state is not ConversationState.DOWNGRADED:
            return
        if not self._requests.submit(
            thread,
            lambda engine, control_id, now_s: engine.control.revive(control_id, now_s),
            partial(self._revived, thread),
        ):
            self._healing.revive(thread)

    def _revived(self, thread: EncryptedThread, step: NextStep) -> None:
        if step is not NextStep.KEEP:
            self._healing.revive(thread)
