"""What the encryption of a conversation makes of one message: sealed, held or refused, never in clear by mistake
(RCC.16 §7.2)."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from rcs_sim.client.delivery import Waiting
from rcs_sim.client.display import Display
from rcs_sim.client.encryption import Encryption, NotSealed, SealDecision, SealingPower, SealStep, seal_step
from rcs_sim.client.fallback import FallbackReason, Route, RouteDecision
from rcs_sim.client.message_state import MessageState
from rcs_sim.client.messages import SentMessage

__all__ = [
    "PLAIN",
    "anew",
    "held_or_refused",
    "is_spent",
    "must_stay_sealed",
    "seal",
    "sealing_of",
    "with_room",
]

MAX_CONVERGING = 16  # messages of a conversation that wait for a commit of ours (digest RCC.16 §5.9, §10.8)

PLAIN = SealDecision(SealStep.PLAIN)
_SEALED = SealDecision(SealStep.SEAL)
_SPENT = (FallbackReason.NOT_DECRYPTED, FallbackReason.ENCRYPTION_REFUSED)
_ROUTES = {SealStep.WAIT: Route.HOLD, SealStep.REFUSE: Route.REFUSE}


def must_stay_sealed(message: SentMessage) -> bool:
    """Whether nothing may carry it in clear any more, whatever becomes of it: it was written under a lock, or has been
    sealed before."""
    return message.was_locked or message.scheme is not None


def is_spent(message: SentMessage) -> bool:
    """Whether it has failed though the network had taken it: nobody could read it, or the focus refused it. Under the
    same id it would be dropped as a duplicate on its way, and nobody would be told."""
    return message.sealed is not None and message.state is MessageState.FAILED and message.reason in _SPENT


def anew(message: SentMessage, new_id: str) -> str:
    """*message* is to be sealed anew, as a message of its own (RCC.16 §10.3); gives back *new_id*, its imdn.Message-ID
    from now on."""
    message.sealed, message.cpim, message.wire_id = None, b"", new_id
    return new_id


def held_or_refused(sealing: SealDecision) -> RouteDecision | None:
    """What the encryption makes of a message that RCS could carry; None if it is in nobody's way."""
    route = _ROUTES.get(sealing.step)
    return None if route is None else RouteDecision(route, sealing.reason)


def with_room(decision: RouteDecision, message: SentMessage, active: Iterable[SentMessage]) -> RouteDecision:
    """*decision*, unless *message* is one too many to wait for convergence: then it fails, and its user can send it
    again. What waited before the commit, for a set-up or a repair, keeps its place (choice)."""
    if decision.reason is not FallbackReason.CONVERGING or message.delivery.waiting is Waiting.ENCRYPTION:
        return decision
    conversation = message.conversation
    waiting = (each for each in active if each.conversation is conversation and _waits(each))
    is_full = len(list(islice(waiting, MAX_CONVERGING))) == MAX_CONVERGING
    return RouteDecision(Route.REFUSE, FallbackReason.TOO_MANY_WAIT) if is_full else decision


def _waits(message: SentMessage) -> bool:
    return message.delivery.waiting is Waiting.ENCRYPTION


def sealing_of(message: SentMessage, encryption: Encryption | None) -> SealDecision:
    """What the encryption of its conversation says to *message*. What has waited long enough is decided by the mark
    "shown as encrypted" alone, unless the network is asked about it just now. What was written under a lock, or was
    sealed before, never goes in clear, whatever has become of the lock."""
    is_marked = message.conversation.is_encrypted
    if message.sealed is not None:
        return _SEALED
    if encryption is None:
        return seal_step(SealingPower.UNAVAILABLE, is_marked=is_marked or message.was_locked)
    may_wait = not message.delivery.has_waited_enough
    decision = encryption.decide(message.conversation, may_wait=may_wait)
    if decision.step is SealStep.WAIT and not may_wait and decision.reason is not FallbackReason.FOCUS_ASKED:
        decision = SealDecision(SealStep.REFUSE, decision.reason) if is_marked else PLAIN
    if decision.step is SealStep.PLAIN and must_stay_sealed(message):
        return SealDecision(SealStep.REFUSE, FallbackReason.ENCRYPTION_ENDED)
    if decision.step is SealStep.SEAL and message.went_in_clear:
        return SealDecision(SealStep.REFUSE, FallbackReason.WENT_IN_CLEAR)  # a lock on it now would lie
    return decision


def seal(message: SentMessage, encryption: Encryption | None, display: Display) -> RouteDecision:
    """Seals *message*, or says why not. From here on it is never carried in clear, nor by SMS."""
    message.delivery.may_fall_back = False
    if message.sealed is not None:
        return RouteDecision(Route.RCS, FallbackReason.NONE)
    if encryption is None:
        return RouteDecision(Route.REFUSE, FallbackReason.ENCRYPTION_UNAVAILABLE)
    try:
        message.sealed = encryption.seal(message)
    except NotSealed as error:
        display.state("encryption", "not sealed", reason=str(error), message_id=message.id)
        return RouteDecision(Route.REFUSE, error.reason)
    message.cpim = b""
    return RouteDecision(Route.RCS, FallbackReason.NONE)
