"""The end of encryption in a conversation, and its return (RCC.16 §9.1, §9.2, digest RCC.16 §7.3, §7.4)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from rcs_sim.client.display import Shown
from rcs_sim.client.e2ee.context import E2eeContext
from rcs_sim.client.e2ee.healing import Healing
from rcs_sim.client.e2ee.re_upgrade import ReUpgrade
from rcs_sim.client.e2ee.requests import Requests
from rcs_sim.client.e2ee.thread import EncryptedThread
from rcs_sim.e2ee.extension_bodies import DowngradeReason
from rcs_sim.e2ee.member.commit_verdict import NextStep
from rcs_sim.e2ee.member.encrypted_conversation import ConversationState

__all__ = ["Downgrade"]

MAX_ATTEMPTS = 5  # of an end_mls commit (digest RCC.16 §7.3)
_BY_THE_USER = DowngradeReason.CLIENT_ENCRYPTION_NOT_AVAILABLE  # no other fits a user's choice better (choice)
PAUSE_S = 120.0  # between them: five in ten minutes
RESUMES_AFTER_S = 30.0  # of a phone that was off (choice)
MAX_PAUSE_S = 3600.0  # between two attempts of what comes after them (choice)


class Downgrade:
    """Of one phone."""

    __slots__ = ("_context", "_healing", "_requests", "again")

    def __init__(self, context: E2eeContext, requests: Requests, healing: Healing) -> None:
        self._context, self._requests, self._healing = context, requests, healing
        self.again = ReUpgrade(context, self._bring_back)

    def end(self, thread: EncryptedThread, reason: DowngradeReason = _BY_THE_USER) -> None:
        """Ends it for both: the mark goes at once, the commit follows; a group that the peer has ended needs none. One
        that only the focus holds is ended from outside, by a new era that is born so."""
        watch, peer = self._context.watch, thread.conversation.peer
        self.again.given_up(thread, is_given_up=True)
        if watch.is_locked_out(peer):
            self._healing.cancel(thread)
            watch.waive(peer)
            thread.is_ending = True
            self._phoenix(thread, reason, PAUSE_S)
        self.ended(thread)
        if thread.engine.state is ConversationState.ENCRYPTED and not thread.is_ending:
            thread.is_ending = True
            self._commit(thread, reason, 1)

    def _commit(self, thread: EncryptedThread, reason: DowngradeReason, attempt: int) -> None:
        if not self._is_wanted(thread):
            return
        is_sent = self._requests.submit(
            thread,
            lambda engine, control_id, now_s: engine.control.end_mls(reason, control_id, now_s),
            partial(self._committed, thread, reason, attempt),
        )
        if not is_sent:
            self._try_again(thread, reason, attempt)

    def _is_wanted(self, thread: EncryptedThread) -> bool:
        """Not once it has ended, or the user wants it back."""
        is_there = thread.engine.identifier is not None or self._context.watch.is_waived(thread.conversation.peer)
        return thread.is_ending and is_there and not thread.has_ended

    def _committed(self, thread: EncryptedThread, reason: DowngradeReason, attempt: int, step: NextStep) -> None:
        self._healing.watch(thread)(step)
        if step is not NextStep.KEEP and self._is_wanted(thread):
            self._try_again(thread, reason, attempt)

    def _try_again(self, thread: EncryptedThread, reason: DowngradeReason, attempt: int) -> None:
        """Later; when the commit cannot land at all, a new era is born downgraded (Phoenix)."""
        if attempt < MAX_ATTEMPTS:
            self._after(thread, PAUSE_S, partial(self._commit, thread, reason, attempt + 1))
        else:
            self._phoenix(thread, reason, PAUSE_S)

    def _phoenix(self, thread: EncryptedThread, reason: DowngradeReason, pause_s: float) -> None:
        """As long as it takes, less and less often: nothing is given up that the user has given up."""
        if not self._is_wanted(thread):
            return

        def ended(step: NextStep) -> None:
            self._context.moved(thread)
            if step is not NextStep.KEEP and self._is_wanted(thread):
                again = min(2 * pause_s, MAX_PAUSE_S)
                self._after(thread, pause_s, lambda: self._phoenix(thread, reason, again))

        self._healing.phoenix(thread, reason, ended)

    def _after(self, thread: EncryptedThread, seconds: float, then: Callable[[], None]) -> None:
        alarms = self._context.messenger.alarms
        if thread.end_alarm is not None:
            thread.end_alarm.set(None)
        thread.end_alarm = alarms.new(lambda now: then())
        thread.end_alarm.set(alarms.now() + seconds)

    def resume(self, thread: EncryptedThread) -> None:
        """The phone is back: an end that was under way goes on when the state is known."""
        if thread.is_ending:
            has_group = thread.engine.identifier is not None
            again = partial(self._commit if has_group else self._resume_outside, thread, _BY_THE_USER, 1)
            self._after(thread, RESUMES_AFTER_S, again)

    def _resume_outside(self, thread: EncryptedThread, reason: DowngradeReason, _attempt: int) -> None:
        self._phoenix(thread, reason, PAUSE_S)

    def landed(self, thread: EncryptedThread) -> None:
        """The group has ended, by whomever."""
        thread.is_ending = False
        self.ended(thread)
        self.again.ended(thread)

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
        """Its user wants it back."""
        self.again.given_up(thread, is_given_up=False)
        self._bring_back(thread)

    def _bring_back(self, thread: EncryptedThread) -> None:
        """In the group that there is, else in a new era. An end that has not landed is not wanted any more."""
        if thread.is_ending:
            thread.is_ending = False
            self._context.moved(thread)
        if thread.engine.state is ConversationState.NONE and self._context.watch.has_ended(thread.conversation.peer):
            self._healing.revive(thread)
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
