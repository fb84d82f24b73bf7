"""The request for a Welcome, and its answer: how a device that is in no group of a conversation gets into it where it
may not come in by itself (digest RCC.16 §10.1, §14.13; choice).

Who asks sends a delivery notification that failed, reason 13, stamped with the state of the focus, which only a
participant can know. Who is elected answers with a new era, for everybody's present devices. Both are bounded.
"""

from __future__ import annotations

from rcs_sim.client.conversation import Conversation
from rcs_sim.client.e2ee.context import E2eeContext
from rcs_sim.client.e2ee.control_channel import ControlAnswer
from rcs_sim.client.e2ee.healing import Healing
from rcs_sim.client.e2ee.server_state import read_answer
from rcs_sim.client.e2ee.thread import EncryptedThread
from rcs_sim.client.e2ee.welcome_request import is_stamped
from rcs_sim.client.identity import ContactKey, is_number
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.member.budgets import SERVER_READS, RollingBudget
from rcs_sim.e2ee.member.encrypted_conversation import ConversationState
from rcs_sim.e2ee.mls_headers import MlsHeaders
from rcs_sim.wire.cpim import CpimMessage

__all__ = ["Readmission"]


class Readmission:
    """The answering side of one phone."""

    __slots__ = ("_context", "_healing", "_strangers")

    def __init__(self, context: E2eeContext, healing: Healing) -> None:
        self._context, self._healing = context, healing
        self._strangers = RollingBudget(SERVER_READS)

    def asked(self, thread: EncryptedThread | None, sender: ContactKey, cpim: CpimMessage | None) -> bool:
        """The network says that *sender* asks for a Welcome. Nothing is done for a request without a stamp, nor for one
        of an era that is over: that was answered. Returns whether it is looked into."""
        stamp = None if cpim is None else _stamp_of(cpim)
        if (
            stamp is None
            or not self._context.server_of(sender).arbitrates_era
            or self._context.credentials.setting is None
        ):
            return False
        if thread is not None:
            return self._answer(thread, stamp)
        if self._is_for_us(sender) and self._strangers.take(self._context.passed_s()):
            self._ask_focus(sender, stamp)
            return True
        return False

    def _answer(self, thread: EncryptedThread, stamp: EpochIdentifier) -> bool:
        context, own = self._context, thread.engine.identifier
        if own is not None and stamp.era_id < own.era_id:
            context.note(thread, "request for a Welcome ignored", f"era {stamp.era_id} is over")
            return False
        if thread.engine.state not in (ConversationState.ENCRYPTED, ConversationState.NONE):
            return False
        if context.messenger.alarms.now() < thread.blocked_until or not thread.asked.take(context.passed_s()):
            context.note(thread, "request for a Welcome ignored", "not so soon again")
            return False
        return self._healing.advance_era(thread, "a participant asks for a Welcome", asked_at=stamp)

    def _is_for_us(self, sender: ContactKey) -> bool:
        """Whether this phone would be elected to answer."""
        return is_number(sender) and self._context.own_number < sender.lstrip("+")

    def _ask_focus(self, sender: ContactKey, stamp: EpochIdentifier) -> None:
        """Of somebody with whom nothing is known here: both may have lost their state. The focus knows whether there is
        a conversation; who made it up gets nothing."""
        messenger = self._context.messenger
        asked = messenger.conversations.get(sender) or Conversation(sender, self._context.tokens.uuid())

        def told(answer: ControlAnswer) -> None:
            latest = read_answer(answer).latest
            if latest is None or not is_stamped(latest, stamp):
                return
            thread = self._context.thread(messenger.conversation(sender, asked.id))
            if thread is not None:
                self._answer(thread, stamp)

        self._context.watch.pull(asked, told)


def _stamp_of(cpim: CpimMessage) -> EpochIdentifier | None:
    """Era and authenticator of the state of the focus, as who asks has read it; the epoch is not told."""
    headers = MlsHeaders.of(cpim)
    if headers.era_id is None or not headers.epoch_authenticator:
        return None
    return EpochIdentifier(headers.era_id, 0, headers.epoch_authenticator)
