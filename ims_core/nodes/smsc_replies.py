"""Answers of a service centre to who submitted: RP-ACK and RP-ERROR on a link, or the ticket of a local application."""

from __future__ import annotations

from dataclasses import dataclass

from ims_core.nodes.smsc_actions import Answered, SendFrame
from ims_core.nodes.smsc_book import MessageBook
from ims_core.nodes.smsc_messages import rp_ack, rp_error
from ims_core.nodes.smsc_queue import Reply, StoredMessage
from ims_core.store.short_messages import TransferKind
from ims_core.wire.sms.rpdu import Direction, RpAck
from ims_core.wire.sms.sm_link import Result
from ims_core.wire.sms.timestamp import Timestamp
from ims_core.wire.sms.tpdu import FailureCause

__all__ = ["Replies"]


@dataclass(slots=True)
class _Ticket:
    """A local submission: parts that are not answered yet, and the first refusal."""

    parts: int
    cause: int | None = None


class Replies:
    __slots__ = ("_book", "_tickets")

    def __init__(self, book: MessageBook) -> None:
        self._book = book
        self._tickets: dict[int, _Ticket] = {}

    def open_ticket(self, number: int, parts: int) -> None:
        """`Answered` follows when all parts are."""
        self._tickets[number] = _Ticket(parts)

    def acknowledge(self, message: StoredMessage) -> None:
        """Once: nothing happens if that was done before."""
        reply, message.reply = message.reply, None
        if reply is None:
            return
        if message.record.kind is TransferKind.REPORT:
            self._send(reply, RpAck(Direction.FROM_MS, reply.rp_reference).encode(), None)
        else:
            self.acknowledge_again(reply, Timestamp(message.record.submitted_at))

    def acknowledge_again(self, reply: Reply, stamp: Timestamp) -> None:
        self._send(reply, rp_ack(reply.rp_reference, stamp), None)

    def refuse(self, reply: Reply | None, cause: int, failure: FailureCause | None, now: float) -> None:
        if reply is not None:
            self._send(reply, rp_error(reply.rp_reference, cause, failure, self._book.stamp(now)), cause)

    def _send(self, reply: Reply, rpdu: bytes, cause: int | None) -> None:
        if reply.link is None:
            self._answer_ticket(reply.reference, cause)
        elif reply.link in self._book.links.users:
            self._book.out.append(SendFrame(reply.link, Result(reply.reference, rpdu)))

    def _answer_ticket(self, number: int, cause: int | None) -> None:
        ticket = self._tickets[number]
        ticket.parts -= 1
        ticket.cause = cause if ticket.cause is None else ticket.cause
        if ticket.parts == 0:
            del self._tickets[number]
            self._book.out.append(Answered(number, ticket.cause))
