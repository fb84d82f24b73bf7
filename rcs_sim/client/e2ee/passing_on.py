"""Where nobody arbitrates: what one device of the peer has committed is brought to the peer's other devices by us
(digest RCC.16 §14.4; choice).

A phone cannot send to its own user's other devices: what it sends goes to the peer, whose server copies it to each of
his. So does this.
"""

from __future__ import annotations

from rcs_sim.client.e2ee.context import E2eeContext
from rcs_sim.client.e2ee.control_channel import ControlAnswer, ControlRequest, NoAnswer
from rcs_sim.client.e2ee.thread import EncryptedThread
from rcs_sim.e2ee.content_types import MlsContentType
from rcs_sim.e2ee.member.application_opening import Envelope
from rcs_sim.e2ee.member.control_outcome import Advanced, ControlOutcome, Joined, ParkedControl, ProposalKept
from rcs_sim.e2ee.mls_headers import MlsHeaders
from rcs_sim.wire.cpim import CpimMessage

__all__ = ["is_for_others", "pass_on"]


def is_for_others(thread: EncryptedThread, envelope: Envelope, outcome: ControlOutcome) -> bool:
    """Whether a control message that came in *envelope* is one of a device of the peer that has siblings in the
    group."""
    group = thread.engine.group
    if group is None or _author(envelope, outcome) != thread.peer_number:
        return False
    return len(group.roster.leaves_of(thread.peer_number)) > 1


def _author(envelope: Envelope, outcome: ControlOutcome) -> str:
    """The number of who made what was taken; "" if nothing was."""
    match outcome:
        case Joined(committer=number) | Advanced(committer=number) | ProposalKept(sender=number):
            return number
        case ParkedControl(is_era_gap=False) if not envelope.named_sender:
            return envelope.asserted_sender
        case _:
            return ""


def pass_on(context: E2eeContext, thread: EncryptedThread, cpim: CpimMessage) -> None:
    """Sends the same body to the peer, under the same id and headers; From and To say whose it is, as of a focus. Each
    device of a user does, one after the other, for the first may be no more: the peer's server drops what it knows."""
    control_id = cpim.message_id or ""
    request = ControlRequest(
        control_id=control_id,
        body=cpim.body,
        content_type=MlsContentType.SERVER,
        headers=MlsHeaders.of(cpim).to_headers(),
        sender=f"tel:+{thread.peer_number}",
        recipient=f"tel:+{context.own_number}",
    )

    def delivered(answer: ControlAnswer) -> None:
        if isinstance(answer, NoAnswer):
            context.note(thread, "not passed on", "", control_id)

    def send(_now: float = 0.0) -> None:
        context.note(thread, "passed on", "to the peer's other devices", control_id)
        context.channel.send(thread.conversation, request, delivered, is_for_peer=True)

    pause_s = context.turn_s(thread)
    if pause_s:
        alarms = context.messenger.alarms
        alarms.new(send).set(alarms.now() + pause_s)
    else:
        send()
