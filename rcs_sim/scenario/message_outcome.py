"""What became of one message, read from trace records: what the phones showed and what crossed the links."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from ims_core.trace import RecordKind, TraceRecord
from ims_core.transport.clock import Clock
from rcs_sim.client.display import Shown
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.message_state import MessageState, MessageTransport
from rcs_sim.client.messages import NotSeenInTime, SentMessage, label_of
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.documents import DemoRow

__all__ = ["MessageOutcome", "observe"]

_READ_WITHIN_S = 30.0  # after delivery, by a receiver who reads


@dataclass(frozen=True, slots=True)
class MessageOutcome:
    """*records* are those from sending until the message was settled; *message* is the sender's view."""

    id: str
    text: str
    sender: str
    receiver: str
    started_at: float
    message: SentMessage
    records: Sequence[TraceRecord]

    def following(self, earlier: MessageOutcome) -> MessageOutcome:
        """This one and what had become of the same message before, as one."""
        records = (*earlier.records, *(one for one in self.records if one not in earlier.records))
        return replace(self, started_at=earlier.started_at, records=records)

    def _shown_at_receiver(self) -> list[TraceRecord]:
        return [
            record
            for record in self.records
            if record.kind is RecordKind.SHOWN
            and record.source == self.receiver
            and record.details.get("what") == Shown.MESSAGE
            and record.details.get("text") == self.text
        ]

    @property
    def wire_octets(self) -> int:
        """Octets on every link, each hop counted."""
        return sum(len(record.raw) for record in self.records if record.kind is RecordKind.MESSAGE)

    @property
    def shown(self) -> list[str]:
        """What both phones showed, in order."""
        ends = (self.sender, self.receiver)
        return [
            f"{record.at - self.started_at:8.3f} s  {record.source:8} {record.summary}"
            for record in self.records
            if record.kind is RecordKind.SHOWN and record.source in ends
        ]

    def row(self, column: str, readers: Iterable[str] = ()) -> DemoRow:
        """*readers* are those that the oracle names."""
        seen = self._shown_at_receiver()
        first = seen[0] if seen else None
        carried = None if first is None else str(first.details.get("transport", ""))
        scheme = None if first is None else first.details.get("scheme")
        reason = None if self.message.reason is FallbackReason.NONE else self.message.reason.value
        return DemoRow.model_validate(
            {
                "column": column,
                "id": self.id,
                "from": self.sender,
                "to": self.receiver,
                "text": self.text,
                "transport": "none" if carried is None else carried.lower(),
                "mode": self.message.delivery.mode.value if carried == MessageTransport.RCS.value else None,
                "label": "" if carried is None else label_of(MessageTransport(carried), scheme),
                "scheme": scheme,
                "readers": sorted(readers),
                "fallback_reason": reason,
                "state": self.message.state.value,
                "delivered": self.message.state in (MessageState.DELIVERED, MessageState.DISPLAYED),
                "displayed": self.message.state is MessageState.DISPLAYED,
                "duplicates": max(0, len(seen) - 1),
                "wire_octets": self.wire_octets,
                "seconds": 0.0 if first is None else round(first.at - self.started_at, 6),
                "reason": reason,
            }
        )


async def observe(
    name: str,
    text: str,
    *,
    sender: Phone,
    receiver: Phone,
    send: Callable[[], Awaitable[SentMessage]],
    clock: Clock,
    records: Callable[[], Sequence[TraceRecord]],
    within_s: float,
) -> MessageOutcome:
    """Sends and waits until nothing more is to come, at most *within_s* seconds.

    When the phone asks "not delivered: send as text?" its user says yes."""
    started_at = clock.now()
    message = await send()
    try:
        await message.final(within_s)
        if message.state is MessageState.FAILED and message.offers_sms:
            message.send_as_sms()
            await message.final(within_s)
        if message.transport is MessageTransport.RCS and message.state is MessageState.DELIVERED:
            await message.displayed(_READ_WITHIN_S)
    except NotSeenInTime:
        pass  # what was seen instead is the outcome
    return MessageOutcome(name, text, sender.name, receiver.name, started_at, message, records())
