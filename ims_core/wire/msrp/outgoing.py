"""What a session sends: messages in order, urgent ones between chunks, a window of open octets (RFC 4975 §7.1)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from ims_core.errors import LocalProtocolError
from ims_core.wire.msrp.chunking import ChunkWriter, new_transaction_id
from ims_core.wire.msrp.header_fields import ReportStatus
from ims_core.wire.msrp.message import Continuation, FailureReport, MsrpRequest, MsrpResponse
from ims_core.wire.msrp.session_events import (
    UNINTERRUPTIBLE_OCTETS,
    FailureReason,
    MessageFailed,
    MessageSent,
    OutgoingMessage,
    Outputs,
    Reported,
    SessionConfig,
    Transmit,
)
from ims_core.wire.msrp.uri import MsrpUri, encode_path

__all__ = ["SESSION_ENDING_STATUSES", "Outgoing"]

SESSION_ENDING_STATUSES: Final = frozenset((408, 481, 506))  # digest §4.7: make another session and send again there
_STOP_SENDING: Final = 413
_REMEMBERED: Final = 64  # messages sent about which a REPORT may still come
_PIECE_OCTETS: Final = 64 * 1024  # of a long chunk at once
_MSRP_NAMESPACE: Final = "000"
_SEND_LINES: Final = 9  # of the head of a SEND as it is written here, with the empty one

_REPORT_LINES: Final = {
    (success, failure): f"\r\nSuccess-Report: {'yes' if success else 'no'}\r\nFailure-Report: {failure.value}"
    for success in (False, True)
    for failure in FailureReport
}


class _Message:
    """A message from `submit` until it is settled and its last transaction is gone."""

    __slots__ = (
        *("failure_report", "is_begun", "is_failed", "is_settled", "is_written"),
        *("message", "message_id", "unanswered"),
    )

    def __init__(self, message: OutgoingMessage) -> None:
        self.message_id = message.message_id
        self.failure_report = message.failure_report
        self.message: OutgoingMessage | None = message  # until it is begun
        self.unanswered = 0  # chunks
        self.is_begun = False
        self.is_written = False
        self.is_settled = False
        self.is_failed = False

    @property
    def is_answered(self) -> bool:
        """Whether every chunk gets a response (RFC 4975 §7.1.1)."""
        return self.failure_report is FailureReport.YES


_Transaction = tuple[_Message | None, int, float]  # None: the bind; octets in the window; deadline


class Outgoing:
    """Queues and transactions of one session. Knows nothing of its state: the session says when to `pump`."""

    __slots__ = (
        *("_burst", "_closed_octets", "_config", "_current", "_from_text", "_is_long", "_is_open_answered"),
        *("_open_id", "_open_octets", "_paths", "_queue", "_sent", "_to_text", "_transactions", "_unanswered_octets"),
        *("_under_way", "_unsettled", "_urgent", "_word", "_writer"),
    )

    def __init__(
        self, config: SessionConfig, local_uri: MsrpUri, to_path: tuple[MsrpUri, ...], word: Callable[[], str]
    ) -> None:
        self._config = config
        self._word = word
        self._to_text = encode_path(to_path)
        self._from_text = str(local_uri)
        self._paths = f" SEND\r\nTo-Path: {self._to_text}\r\nFrom-Path: {self._from_text}\r\nMessage-ID: "
        self._is_long = config.chunk_octets > UNINTERRUPTIBLE_OCTETS
        self._closed_octets = min(config.chunk_octets, UNINTERRUPTIBLE_OCTETS)
        self._queue: deque[_Message] | None = None  # while there is any: an empty one takes 760 octets
        self._urgent: deque[_Message] | None = None
        self._current: _Message | None = None  # begun, not all written
        self._writer: ChunkWriter | None = None  # its chunks
        self._open_id = ""  # of its open chunk
        self._open_octets = 0
        self._is_open_answered = False
        self._transactions: dict[str, _Transaction] = {}  # in the order of their deadlines
        self._under_way: dict[str, _Message] = {}  # what a REPORT may be about
        self._unsettled = 0  # messages
        self._sent: dict[str, None] = {}
        self._unanswered_octets = 0
        self._burst = 0

    # --- state -------------------------------------------------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """Whether every message is settled; a negative response that nobody waits for may still come."""
        return not self._unsettled

    @property
    def awaits_writable(self) -> bool:
        """Whether there is more to write once the connection has taken what was written (`writable`)."""
        return (
            self._burst >= self._config.burst_octets
            and self._unanswered_octets < self._config.window_octets
            and bool(self._queue or self._current is not None)
        )

    @property
    def is_first_answered(self) -> bool:
        """Whether the first message to be written gets a response."""
        waiting = self._urgent or self._queue
        return waiting is not None and waiting[0].is_answered

    @property
    def unanswered_octets(self) -> int:
        return self._unanswered_octets

    @property
    def deadline(self) -> float | None:
        """When the oldest transaction times out."""
        for _, _, deadline in self._transactions.values():
            return deadline
        return None

    # --- messages ----------------------------------------------------------------------------------------------------

    def submit(self, message: OutgoingMessage, out: Outputs) -> None:
        """Queues *message*, unless the peer is known not to take it."""
        reason, status = self._fault_of(message)
        if reason is not None:
            out.append(MessageFailed(message.message_id, reason, status, False))
            return
        entry = _Message(message)
        self._unsettled += 1
        if message.is_urgent:
            if self._urgent is None:
                self._urgent = deque()
            self._urgent.append(entry)
        elif self._queue is None:
            self._queue = deque((entry,))
        else:
            self._queue.append(entry)

    def _fault_of(self, message: OutgoingMessage) -> tuple[FailureReason | None, int]:
        config = self._config
        if not config.sends:
            return FailureReason.UNACCEPTABLE, 403
        if config.remote is not None and not config.remote.accepts(message.content_type):
            return FailureReason.UNACCEPTABLE, 415
        if config.most_sent is not None and len(message.body) > config.most_sent:
            return FailureReason.UNACCEPTABLE, _STOP_SENDING
        if self._unsettled >= config.max_queued:
            return FailureReason.QUEUE_FULL, _STOP_SENDING
        return None, 0

    def bind(self, now: float, out: Outputs) -> None:
        """A SEND without a body: the peer learns which session the connection is for (RFC 4975 §5.4)."""
        transaction_id = self._word()
        writer = ChunkWriter(self._word(), None, self._to_text, self._from_text, b"")
        frame = writer.next_chunk(transaction_id)
        self._transactions[transaction_id] = (None, 0, now + self._config.response_s)
        out.append(Transmit(frame.encode(), frame))

    def drop_bind(self) -> None:
        """The bind needs no response any more, because the peer has shown itself otherwise."""
        for transaction_id, (message, _, _) in self._transactions.items():
            if message is None:
                del self._transactions[transaction_id]
                return

    def writable(self) -> None:
        """The connection has taken what was written."""
        self._burst = 0

    def pump(self, now: float, out: Outputs) -> None:
        """Writes what the window and the burst allow."""
        config = self._config
        while self._unanswered_octets < config.window_octets:
            if self._urgent is not None:
                self._interrupt(now, out)
                entry = self._urgent.popleft()
                if not self._urgent:
                    self._urgent = None
                self._write_urgent(entry, now, out)
            elif self._burst >= config.burst_octets:
                return
            elif self._current is not None:
                self._write_more(self._current, now, out)
            elif self._queue is not None:
                entry = self._queue.popleft()
                if not self._queue:
                    self._queue = None
                self._begin(entry, now, out)
            else:
                return
        self._interrupt(now, out)  # what has not ended cannot be answered, and only answers open the window

    # --- writing -----------------------------------------------------------------------------------------------------

    def _begin(self, entry: _Message, now: float, out: Outputs) -> None:
        message = self._take(entry)
        if 0 < len(message.body) <= self._closed_octets:
            self._write_whole(entry, message, now, out)
        else:
            self._current, self._writer = entry, self._writer_of(message)

    def _write_urgent(self, entry: _Message, now: float, out: Outputs) -> None:
        message = self._take(entry)
        if 0 < len(message.body) <= self._closed_octets:
            self._write_whole(entry, message, now, out)
            return
        writer = self._writer_of(message)
        while not writer.is_done:
            self._write_chunk(entry, writer, now, out)

    def _take(self, entry: _Message) -> OutgoingMessage:
        """What is to be written of *entry*, which keeps it no longer: the owner has it."""
        message, entry.message = entry.message, None
        if message is None:
            raise LocalProtocolError("the message is written already", spec="RFC 4975 §7.1")
        entry.is_begun = True
        self._under_way[entry.message_id] = entry
        return message

    def _writer_of(self, message: OutgoingMessage) -> ChunkWriter:
        return ChunkWriter(
            message.message_id,
            message.content_type,
            self._to_text,
            self._from_text,
            message.body,
            success_report=message.success_report,
            failure_report=message.failure_report,
            chunk_octets=self._closed_octets,
        )

    def _write_whole(self, entry: _Message, message: OutgoingMessage, now: float, out: Outputs) -> None:
        """A message in one chunk, as nearly all are: put together from texts."""
        body = message.body
        size = len(body)
        transaction_id = new_transaction_id(self._word, body)
        reports = _REPORT_LINES[message.success_report, message.failure_report]
        head = (
            f"MSRP {transaction_id}{self._paths}{message.message_id}\r\nByte-Range: 1-{size}/{size}{reports}"
            f"\r\nContent-Type: {message.content_type}\r\n\r\n"
        )
        if head.count("\n") != _SEND_LINES or head.count("\r") != _SEND_LINES:
            raise LocalProtocolError("a line break in a header value", spec="RFC 4975 §9")
        end = f"\r\n-------{transaction_id}$\r\n"
        out.append(Transmit(b"".join((head.encode("utf-8", "surrogateescape"), body, end.encode()))))
        self._account(entry, transaction_id, size, now)
        self._finish(entry, out)

    def _write_chunk(self, entry: _Message, writer: ChunkWriter, now: float, out: Outputs) -> None:
        before = writer.sent_octets
        frame = writer.next_chunk(writer.new_transaction_id(self._word))
        out.append(Transmit(frame.encode(), frame))
        self._account(entry, frame.transaction_id, writer.sent_octets - before, now)
        if writer.is_done:
            self._finish(entry, out)

    def _write_more(self, entry: _Message, now: float, out: Outputs) -> None:
        writer = self._writer
        assert writer is not None
        left = writer.total_octets - writer.sent_octets
        if self._open_id or (self._is_long and left > UNINTERRUPTIBLE_OCTETS):
            self._write_open(entry, writer, now, out)
        else:
            self._write_chunk(entry, writer, now, out)

    def _write_open(self, entry: _Message, writer: ChunkWriter, now: float, out: Outputs) -> None:
        """Goes on with a chunk whose end is open, or begins one (RFC 4975 §7.1.1)."""
        parts: list[bytes] = []
        if not self._open_id:
            self._open_id = writer.new_transaction_id(self._word, self._config.chunk_octets)
            self._open_octets = 0
            self._is_open_answered = False
            parts.append(writer.begin(self._open_id, self._config.chunk_octets))
        frame = writer.open_chunk if parts else None
        parts.append(writer.piece(self._room_of(entry)))
        written = len(parts[-1])
        self._open_octets += written
        self._burst += written
        if entry.is_answered:
            self._unanswered_octets += written
        if not writer.room:
            parts.append(self._end_open(entry, writer, None, now))
        out.append(Transmit(b"".join(parts), frame))
        if writer.is_done:
            self._finish(entry, out)

    def _room_of(self, entry: _Message) -> int:
        room = min(_PIECE_OCTETS, self._config.burst_octets - self._burst)
        return min(room, self._config.window_octets - self._unanswered_octets) if entry.is_answered else room

    def _end_open(self, entry: _Message, writer: ChunkWriter, flag: Continuation | None, now: float) -> bytes:
        octets = writer.end(flag)
        transaction_id, self._open_id = self._open_id, ""
        if entry.is_settled or self._is_open_answered:  # before its chunk ended
            self._unanswered_octets -= self._open_octets if entry.is_answered else 0
        elif entry.failure_report is not FailureReport.NO:
            self._add(entry, transaction_id, self._open_octets if entry.is_answered else 0, now)
        return octets

    def _interrupt(self, now: float, out: Outputs) -> None:
        """Ends the open chunk, so that others can pass and it can be answered."""
        if self._open_id and self._current is not None and self._writer is not None:
            out.append(Transmit(self._end_open(self._current, self._writer, None, now)))

    def _account(self, entry: _Message, transaction_id: str, octets: int, now: float) -> None:
        self._burst += octets
        if entry.is_answered:
            self._unanswered_octets += octets
            self._add(entry, transaction_id, octets, now)
        elif entry.failure_report is FailureReport.PARTIAL:
            self._add(entry, transaction_id, 0, now)

    def _add(self, entry: _Message, transaction_id: str, octets: int, now: float) -> None:
        self._transactions[transaction_id] = (entry, octets, now + self._config.response_s)
        entry.unanswered += 1

    def _finish(self, entry: _Message, out: Outputs) -> None:
        """The last chunk is written."""
        entry.is_written = True
        if entry is self._current:
            self._current = self._writer = None
        if not entry.is_settled and not (entry.is_answered and entry.unanswered):
            self._succeed(entry, out)

    # --- answers -----------------------------------------------------------------------------------------------------

    def answered(self, response: MsrpResponse, now: float, out: Outputs) -> bool | None:
        """Takes a response: whether the session goes on with it; None if it is to nothing that we have sent."""
        transaction_id = response.transaction_id
        if transaction_id == self._open_id and self._open_id:
            return self._answered_early(response, now, out)
        found = self._transactions.get(transaction_id)
        if found is None:
            return None
        self._burst = 0  # what is answered has left the connection
        status = response.status
        if status in SESSION_ENDING_STATUSES:
            return False
        del self._transactions[transaction_id]
        entry, octets, _ = found
        self._unanswered_octets -= octets
        if entry is not None:
            entry.unanswered -= 1
            if not 200 <= status < 300:
                self._refuse(entry, FailureReason.REFUSED, status, now, out)
            elif entry.is_written and not entry.unanswered and not entry.is_settled:
                self._succeed(entry, out)
        return True

    def _answered_early(self, response: MsrpResponse, now: float, out: Outputs) -> bool:
        """A response before the chunk has ended: a refusal ends it (RFC 4975 §7.1.1). A 200 that early is taken, since
        no other will come (choice)."""
        if response.status in SESSION_ENDING_STATUSES:
            return False
        self._is_open_answered = True
        if self._current is not None and not response.is_success:
            self._refuse(self._current, FailureReason.REFUSED, response.status, now, out)
        return True

    def reported(self, report: MsrpRequest, now: float, out: Outputs) -> bool:
        """Takes a REPORT (RFC 4975 §7.1.2). False if it is about nothing that we know, or not to be understood."""
        status: ReportStatus | None = report.status
        entry = self._under_way.get(report.message_id)
        is_known = entry is not None or report.message_id in self._sent
        if status is None or status.namespace != _MSRP_NAMESPACE or not is_known:
            return False
        out.append(Reported(report.message_id, status.code, report.byte_range))
        if 200 <= status.code < 300:
            return True
        if entry is not None:
            self._refuse(entry, FailureReason.REPORTED, status.code, now, out)
        else:
            del self._sent[report.message_id]
            out.append(MessageFailed(report.message_id, FailureReason.REPORTED, status.code, True))
        return True

    def _succeed(self, entry: _Message, out: Outputs) -> None:
        self._settle(entry)
        self._sent[entry.message_id] = None
        if len(self._sent) > _REMEMBERED:
            del self._sent[next(iter(self._sent))]
        out.append(MessageSent(entry.message_id))

    def _refuse(self, entry: _Message, reason: FailureReason, status: int, now: float, out: Outputs) -> None:
        """The message will not get through: the rest of it is not sent, and the peer told so with ``#``."""
        if entry.is_failed:
            return
        if entry.is_settled and self._sent.pop(entry.message_id, entry) is entry:
            return  # sent so long ago, or failed by a REPORT
        entry.is_failed = True
        if not entry.is_settled:
            self._settle(entry)
        if entry is self._current:
            self._abandon(entry, now, out)
        out.append(MessageFailed(entry.message_id, reason, status, True))

    def _settle(self, entry: _Message) -> None:
        entry.is_settled = True
        self._unsettled -= 1
        if self._under_way.get(entry.message_id) is entry:
            del self._under_way[entry.message_id]

    def _abandon(self, entry: _Message, now: float, out: Outputs) -> None:
        writer = self._writer
        assert writer is not None
        if self._open_id:
            out.append(Transmit(self._end_open(entry, writer, Continuation.ABORTED, now)))
        elif writer.sent_octets:
            frame = writer.abort(writer.new_transaction_id(self._word))
            out.append(Transmit(frame.encode(), frame))
        self._current = self._writer = None

    # --- ends --------------------------------------------------------------------------------------------------------

    def expire(self, now: float) -> bool:
        """Forgets transactions for whose response nobody waits. True if one is overdue for which somebody does."""
        while self._transactions:
            transaction_id, (entry, octets, deadline) = next(iter(self._transactions.items()))
            if deadline > now:
                break
            if entry is None or _awaits(entry):
                return True
            del self._transactions[transaction_id]
            self._unanswered_octets -= octets
        return False

    def time_out(self, now: float, out: Outputs) -> None:
        """The messages whose response is overdue."""
        for entry, _, deadline in self._transactions.values():
            if deadline <= now and entry is not None and _awaits(entry):
                self._settle(entry)
                out.append(MessageFailed(entry.message_id, FailureReason.TIMED_OUT, 408, True))

    def lose(self, status: int, out: Outputs) -> None:
        """Nothing will be sent or answered any more: every message that is not settled is LOST, in order."""
        begun = [entry for entry, _, _ in self._transactions.values() if entry is not None]
        if self._current is not None:
            begun.append(self._current)
        for entry in (*begun, *(self._urgent or ()), *(self._queue or ())):
            if not entry.is_settled:
                entry.is_settled = True
                out.append(MessageFailed(entry.message_id, FailureReason.LOST, status, entry.is_begun))
        for each in (self._transactions, self._under_way, self._sent):
            each.clear()
        self._current = self._writer = self._queue = self._urgent = None
        self._open_id = ""
        self._unanswered_octets = self._unsettled = 0


def _awaits(entry: _Message) -> bool:
    return entry.is_answered and not entry.is_settled
