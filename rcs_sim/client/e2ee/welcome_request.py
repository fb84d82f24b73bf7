"""The request for a Welcome of a device that may not come into a group by itself (digest RCC.16 §10.1, §14.13; choice):
client reason 13 in the conversation, stamped with the state that the focus holds."""

from __future__ import annotations

from rcs_sim.client.e2ee.context import E2eeContext
from rcs_sim.client.e2ee.thread import EncryptedThread
from rcs_sim.client.pager import compose_receipt, date_time_of
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.failure_reason import ClientFailureReason
from rcs_sim.e2ee.mls_headers import MlsHeaders
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnStatus

__all__ = ["ASK_AGAIN_S", "WelcomeRequests", "is_stamped"]

ASK_AGAIN_S = 30  # the first steps of the retry ladder (digest RCC.16 §10.8)


class WelcomeRequests:
    """The asking side of one phone."""

    __slots__ = ("_context",)

    def __init__(self, context: E2eeContext) -> None:
        self._context = context

    def ask(self, thread: EncryptedThread) -> bool:
        """Asks who is elected for a Welcome, within the budget; False if that is not possible now."""
        context, state = self._context, self._context.watch.state(thread.conversation.peer)
        if not context.is_arbitrated(thread) or state is None:
            return False
        if not thread.asks.take(context.passed_s()):
            context.note(thread, "no request for a Welcome", "the budget is used up")
            return False
        context.note(thread, "Welcome asked for", f"era {state.era_id}")
        context.channel.notify(thread.conversation, self._compose(state))
        return True

    def _compose(self, state: EpochIdentifier) -> bytes:
        """About no message: the id is one that nobody has used."""
        context = self._context
        now = date_time_of(context.messenger.alarms.wall())
        reason = ClientFailureReason.CONTROL_MESSAGE_FAILED
        imdn = Imdn(context.new_id(), now, ImdnKind.DELIVERY, ImdnStatus.FAILED, client_failure_reason=reason)
        stamp = MlsHeaders(era_id=state.era_id, epoch_authenticator=state.epoch_authenticator)
        return compose_receipt(imdn, context.new_id(), now, stamp.to_headers())


def is_stamped(state: EpochIdentifier, stamp: EpochIdentifier) -> bool:
    """Whether *stamp*, of which the epoch is not told, is *state*."""
    return (state.era_id, state.epoch_authenticator) == (stamp.era_id, stamp.epoch_authenticator)
