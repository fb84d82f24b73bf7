"""Words for what happens to a message: ticks that the user sees, decisions that the trace keeps."""

from __future__ import annotations

from rcs_sim.client.chat_mode import ModeDecision
from rcs_sim.client.display import Display, Shown
from rcs_sim.client.fallback import FallbackReason, RouteDecision
from rcs_sim.client.message_state import MessageState
from rcs_sim.client.messages import Change, SentMessage

__all__ = ["CFS_TIMER", "change_details", "show_sent", "show_tick", "trace_decision", "trace_route"]

CFS_TIMER = "ChatRevokeTimer"

_TICKS = {
    MessageState.SENT: Shown.SENT,
    MessageState.DELIVERED: Shown.DELIVERED,
    MessageState.DISPLAYED: Shown.DISPLAYED,
    MessageState.SENT_AS_SMS: Shown.SENT_AS_SMS,
    MessageState.INTERWORKED: Shown.SENT_AS_SMS,
    MessageState.FAILED: Shown.FAILED,
}


def show_sent(display: Display, message: SentMessage) -> None:
    """What the user wrote, or did to an earlier message, appears on the own screen."""
    change = message.change
    display.show(
        Shown.MESSAGE if change is None else Shown.CHANGE,
        message.conversation.peer,
        message=message,
        message_id=message.id,
        conversation_id=message.conversation.id,
        direction="out",
        text=message.text,
        reply_to=message.reply_to or None,
        **({} if change is None else change_details(change)),
    )


def change_details(change: Change) -> dict[str, str | None]:
    """Members of a SHOWN record about a change."""
    return {"kind": change.kind.value, "target": change.target_id, "emoji": change.emoji or None}


def show_tick(display: Display, message: SentMessage) -> None:
    """The state of *message* as the user sees it; states without a sign show nothing."""
    tick = _TICKS.get(message.state)
    if tick is None:
        return
    is_failed = tick is Shown.FAILED
    display.show(
        tick,
        message.conversation.peer,
        message=message,
        message_id=message.id,
        conversation_id=message.conversation.id,
        transport=message.transport.value,
        scheme=message.scheme,
        reason=message.reason.value if is_failed or tick is Shown.SENT_AS_SMS else None,
        offers_sms=message.offers_sms if is_failed else None,
    )


def trace_route(display: Display, message: SentMessage, decision: RouteDecision, mode: ModeDecision) -> None:
    """Why a message does not simply go by RCS."""
    reason = decision.reason
    display.state(
        "fallback",
        decision.route.name.lower(),
        reason=f"{reason.value}: {mode.unavailable}" if reason is FallbackReason.NEEDS_SESSION else reason.value,
        message_id=message.id,
        conversation_id=message.conversation.id,
    )


def trace_decision(display: Display, message: SentMessage, outcome: str) -> None:
    """What an outcome (a status, ``no answer``, a receipt, `CFS_TIMER`) led to."""
    display.state(
        "fallback",
        "revoke" if outcome == CFS_TIMER else message.delivery.decision.step.name.lower(),
        reason=message.reason.value,
        outcome=outcome,
        message_id=message.id,
        conversation_id=message.conversation.id,
    )
