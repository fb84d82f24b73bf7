"""What a session receives: checks of each SEND, reassembly, answers and reports (RFC 4975 §7.2, §7.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ims_core.wire.msrp.delivery import Delivery
from ims_core.wire.msrp.message import (
    ByteRange,
    Continuation,
    FailureReport,
    MsrpRequest,
    MsrpResponse,
    report_of,
)
from ims_core.wire.msrp.parser import Piece
from ims_core.wire.msrp.reassembly import Aborted, ChunkRefused, Complete, Reassembler
from ims_core.wire.msrp.session_events import (
    MessageAborted,
    MessageReceived,
    Outputs,
    SessionConfig,
    Transmit,
)
from ims_core.wire.msrp.uri import MsrpUri

__all__ = ["Incoming"]

# Messages received: what is sent again is answered again and not shown again. Other content under a Message-ID that was
# used is another message (choice): a peer that counts badly loses nothing.
_REMEMBERED: Final = 128
_MAX_REPETITIONS: Final = 16  # of a message that is being settled
_MOST_TYPES: Final = 32  # content types whose acceptance is remembered
_Refusal = tuple[int, str]


class Incoming:
    """Messages of the peer under way, and those that wait for their answer.

    Wrong paths: a To-Path that is not exactly our URI (by session id, as CEMA has it: RFC 6714 §5) is a 481, because
    RFC 4975 §7.3 lets nothing else map to a session. A From-Path that does not end in the peer's URI is a 403: the
    session does exist, but the connection is the peer's and nobody else may speak on it (choice). A 481 would make an
    honest sender give up a session that is sound."""

    __slots__ = (
        *("_accepted", "_answer_paths", "_chunk", "_config", "_last_at", "_local", "_reassembler", "_received"),
        *("_refused", "_remote", "_sound_from", "_sound_to", "_unsettled", "_unsettled_count", "_word"),
        "unsettled_octets",
    )

    def __init__(self, config: SessionConfig, local_uri: MsrpUri, remote_uri: MsrpUri, word: Callable[[], str]) -> None:
        self._config = config
        self._local = local_uri
        self._remote = remote_uri
        self._word = word
        self._sound_to: tuple[MsrpUri, ...] = ()  # paths that were found right: nearly all requests have the same
        self._sound_from: tuple[MsrpUri, ...] = ()
        self._answer_paths = ""
        self._accepted: dict[str, bool] = {}
        self._chunk: MsrpRequest | None = None  # head of the chunk whose end is still to come
        self._refused: MsrpRequest | None = None  # the same, if its octets are of no use any more
        self._reassembler = Reassembler(config.most_received)
        self._last_at: dict[str, float] = {}  # when the last chunk of an incomplete message came, oldest first
        self._received: dict[str, int] = {}  # digests by Message-ID
        self._unsettled: dict[str, Delivery] = {}
        self._unsettled_count = 0
        self.unsettled_octets = 0  # in the bodies of messages that wait for `settle`

    # --- state -------------------------------------------------------------------------------------------------------

    @property
    def unsettled_count(self) -> int:
        """Messages that wait for `settle`."""
        return self._unsettled_count

    @property
    def deadline(self) -> float | None:
        """When the message that has waited longest for its next chunk is forgotten."""
        for at in self._last_at.values():
            return at + self._config.incomplete_s
        return None

    def expire(self, now: float) -> None:
        """Forgets messages that lack their next chunk for too long."""
        oldest = now - self._config.incomplete_s
        for message_id in [each for each, at in self._last_at.items() if at <= oldest]:
            self._forget(message_id)

    def clear(self) -> None:
        """The connection is gone: nothing more comes, nothing can be answered."""
        self.clear_incomplete()
        self._received.clear()
        self._unsettled.clear()
        self._unsettled_count = self.unsettled_octets = 0
        self._chunk = self._refused = None

    def clear_incomplete(self) -> None:
        """The rest of what has come in part will not come."""
        for message_id in list(self._last_at):
            self._forget(message_id)

    # --- requests ----------------------------------------------------------------------------------------------------

    def fault_of_paths(self, request: MsrpRequest) -> _Refusal | None:
        """The status for a request whose paths are not those of this session, None if they are."""
        to_path, from_path = request.to_path, request.from_path
        if to_path is self._sound_to and from_path is self._sound_from:
            return None
        fault = self.fault_of_target(request)
        if fault is not None:
            return fault
        if from_path[-1].session_id != self._remote.session_id:
            return 403, "From-Path is not that of the peer"
        self._sound_to, self._sound_from = to_path, from_path
        self._answer_paths = f" 200 OK\r\nTo-Path: {from_path[0]}\r\nFrom-Path: {to_path[0]}\r\n-------"
        return None

    def fault_of_target(self, request: MsrpRequest) -> _Refusal | None:
        """The status for a request whose To-Path is not this session, None if it is."""
        to_path = request.to_path
        if len(to_path) != 1 or to_path[0].session_id != self._local.session_id:
            return 481, "To-Path names no session here"
        return None

    def answer(self, request: MsrpRequest, status: int, comment: str | None, out: Outputs) -> None:
        """The response that *request* wants, if it wants one (RFC 4975 §7.1.1, §7.2)."""
        wanted = request.failure_report
        if wanted is not FailureReport.YES and (wanted is FailureReport.NO or 200 <= status < 300):
            return
        if status == 200 and request.to_path is self._sound_to and request.from_path is self._sound_from:
            transaction_id = request.transaction_id
            out.append(Transmit(f"MSRP {transaction_id}{self._answer_paths}{transaction_id}$\r\n".encode()))
            return
        response = MsrpResponse.to(request, status, comment)
        out.append(Transmit(response.encode(), response))

    def take(self, piece: Piece, now: float, out: Outputs) -> None:
        """Takes octets of a SEND whose paths are right."""
        head = piece.head
        if head is not self._chunk:
            refusal = self._refusal_of(head)
            if refusal is not None:
                self.refuse_chunk(piece, refusal, out)
                return
        self._chunk = head if piece.continuation is None else None
        if piece.start == 1 and piece.continuation is Continuation.COMPLETE and self._is_whole(piece):
            self._complete(head, head.content_type or "", piece.octets, out)
        else:
            self._add(piece, now, out)

    def skips(self, piece: Piece) -> bool:
        """Whether *piece* goes on with a chunk that was answered before its end."""
        if piece.head is not self._refused:
            return False
        if piece.continuation is not None:
            self._refused = None
        if piece.continuation in (Continuation.COMPLETE, Continuation.ABORTED):
            self._forget(piece.head.message_id)
        return True

    def refuse_chunk(self, piece: Piece, refusal: _Refusal, out: Outputs) -> None:
        """Answers a chunk, perhaps before its end: the sender stops then (RFC 4975 §7.1.1), we ignore what is left."""
        status, comment = refusal
        self.answer(piece.head, status, comment, out)
        self._chunk = None
        self._refused = piece.head if piece.continuation is None else None

    def _refusal_of(self, head: MsrpRequest) -> _Refusal | None:
        if not self._config.receives:
            return 403, "this side only sends"
        if not self._accepts(head.content_type or ""):
            return 415, "none of accept-types"
        return None

    def _accepts(self, content_type: str) -> bool:
        local = self._config.local
        if local is None:
            return True
        known = self._accepted.get(content_type)
        if known is None:
            known = local.accepts(content_type)
            if len(self._accepted) < _MOST_TYPES:
                self._accepted[content_type] = known
        return known

    def _is_whole(self, piece: Piece) -> bool:
        """Whether nothing has to be put together: the whole message came in one piece, as nearly all do."""
        size = len(piece.octets)
        byte_range = piece.head.byte_range
        return (
            byte_range.total == size
            and (byte_range.end is None or byte_range.end == size)
            and size <= self._config.most_received
            and piece.head.message_id not in self._last_at
        )

    def _add(self, piece: Piece, now: float, out: Outputs) -> None:
        head = piece.head
        message_id = head.message_id
        event = self._reassembler.add(piece)
        self._last_at.pop(message_id, None)
        match event:
            case None:
                self._last_at[message_id] = now
                if piece.continuation is not None:
                    self.answer(head, 200, None, out)
            case Complete():
                self._complete(head, event.content_type or "", event.body, out)
            case Aborted():
                self.answer(head, 200, None, out)
                out.append(MessageAborted(message_id))
            case ChunkRefused():
                self.refuse_chunk(piece, (event.status, event.why), out)

    def _forget(self, message_id: str) -> None:
        self._last_at.pop(message_id, None)
        self._reassembler.forget(message_id)

    # --- whole messages ----------------------------------------------------------------------------------------------

    def _complete(self, head: MsrpRequest, content_type: str, body: bytes, out: Outputs) -> None:
        message_id = head.message_id
        delivery = Delivery(head, hash((content_type, body)), len(body))
        if self._received.get(message_id) == delivery.digest:
            self._close(delivery, 200, None, out)
            return
        if self._unsettled:
            earlier = self._unsettled.get(message_id)
            if earlier is not None and earlier.digest == delivery.digest:
                if len(earlier.heads) < _MAX_REPETITIONS:
                    earlier.heads.append(head)
                else:
                    self.answer(head, 413, "repeated too often", out)
                return
        if self._config.is_settled_by_owner:
            self._unsettled[message_id] = delivery
            self._unsettled_count += 1
            self.unsettled_octets += len(body)
        else:
            self._close(delivery, 200, None, out)
        out.append(MessageReceived(message_id, content_type, body, head.success_report, delivery))

    def settle(
        self, delivery: Delivery, status: int, comment: str | None, out: Outputs, *, reports: bool = True
    ) -> None:
        """Answers the chunk that completed a message; nothing if that is done. *reports* False: `report` follows."""
        if delivery.is_settled:
            return
        self._unsettled_count -= 1
        self.unsettled_octets -= delivery.total
        if self._unsettled.get(delivery.message_id) is delivery:
            del self._unsettled[delivery.message_id]
        self._close(delivery, status, comment, out, reports=reports)

    def _close(
        self, delivery: Delivery, status: int, comment: str | None, out: Outputs, *, reports: bool = True
    ) -> None:
        delivery.is_settled = True
        for head in delivery.heads:
            self.answer(head, status, comment, out)
        if 200 <= status < 300:
            self._remember(delivery)
            if reports and self._config.reports_success:
                self.report(delivery, status, None, out)
        if not reports:
            delivery.shed()

    def _remember(self, delivery: Delivery) -> None:
        received = self._received
        received[delivery.message_id] = delivery.digest
        if len(received) > _REMEMBERED:
            del received[next(iter(received))]

    def report(self, delivery: Delivery, status: int, comment: str | None, out: Outputs) -> None:
        """A REPORT about the whole message, if its sender wants one and had none (RFC 4975 §7.1.2)."""
        head = delivery.head
        is_success = 200 <= status < 300
        is_wanted = head.success_report if is_success else head.failure_report is not FailureReport.NO
        if not is_wanted or delivery.is_reported:
            return
        delivery.is_reported = True
        byte_range = ByteRange(1, delivery.total, delivery.total)
        frame = report_of(head, self._word(), status, byte_range, comment)
        out.append(Transmit(frame.encode(), frame))
