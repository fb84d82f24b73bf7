"""One outgoing message as SEND requests: whole chunks, or an open one that can be interrupted (RFC 4975 §5.1, §7.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ims_core.errors import LocalProtocolError
from ims_core.wire.msrp.message import (
    ByteRange,
    Continuation,
    FailureReport,
    Field,
    MsrpRequest,
    PathInput,
    can_use,
    is_transaction_id,
)
from ims_core.wire.msrp.uri import encode_path

__all__ = ["CHUNK_OCTETS", "MAX_CLOSED_CHUNK_OCTETS", "ChunkWriter", "can_use", "new_transaction_id"]

CHUNK_OCTETS: Final = 2048  # digest §18, msrp.chunk_bytes
MAX_CLOSED_CHUNK_OCTETS: Final = 2048  # a longer chunk has to be interruptible (RFC 4975 §5.1)

_MAX_DRAWS: Final = 64  # each fails with a chance of less than one in 2**40 per gigabyte: more means a broken source


class ChunkWriter:
    """The chunks of one message, in order.

    `next_chunk` gives a whole frame of at most *chunk_octets* of body. `begin`, `piece` and `end` write a chunk whose
    end is open (``Byte-Range: first-*/total``) and which may be ended at any octet, for another message to pass. Both
    ways may take turns. An empty *body* is a SEND without one, as it binds a connection. Success-Report and
    Failure-Report are always written. *headers* are further ones, such as Content-Disposition."""

    __slots__ = (
        *("_body", "_end", "_from_path", "_head", "_headers", "_is_aborted", "_is_finished"),
        *("_sent", "_to_path", "chunk_octets", "content_type", "failure_report", "message_id", "success_report"),
    )

    def __init__(
        self,
        message_id: str,
        content_type: str | None,
        to_path: PathInput,
        from_path: PathInput,
        body: bytes,
        *,
        success_report: bool = False,
        failure_report: FailureReport = FailureReport.YES,
        chunk_octets: int = CHUNK_OCTETS,
        headers: tuple[Field, ...] = (),
    ) -> None:
        self.message_id = message_id
        self.content_type = content_type
        self.success_report = success_report
        self.failure_report = failure_report
        self.chunk_octets = chunk_octets
        self._to_path = to_path if isinstance(to_path, str) else encode_path(to_path)
        self._from_path = from_path if isinstance(from_path, str) else encode_path(from_path)
        self._headers = headers
        self._body = body
        self._sent = 0
        self._head: MsrpRequest | None = None  # of the open chunk
        self._end = 0  # where the open chunk ends at the latest
        self._is_finished = False
        self._is_aborted = False

    # --- state -------------------------------------------------------------------------------------------------------

    @property
    def is_done(self) -> bool:
        """Whether the last chunk has been written, or the message was aborted."""
        return self._is_finished

    @property
    def is_aborted(self) -> bool:
        """Whether the message ended with ``#``."""
        return self._is_aborted

    @property
    def sent_octets(self) -> int:
        """Octets of the body that have been written."""
        return self._sent

    @property
    def total_octets(self) -> int:
        """Octets of the body."""
        return len(self._body)

    @property
    def left_octets(self) -> int:
        """Octets of the body that have not been written."""
        return len(self._body) - self._sent

    @property
    def open_chunk(self) -> MsrpRequest | None:
        """The head of the chunk between `begin` and `end`."""
        return self._head

    @property
    def room(self) -> int:
        """Octets that `piece` can still give before the open chunk has to end."""
        return self._end - self._sent if self._head is not None else 0

    # --- transaction ids ---------------------------------------------------------------------------------------------

    def new_transaction_id(self, word: Callable[[], str], max_octets: int | None = None) -> str:
        """An id from *word* for the next chunk, of *max_octets* or of the usual size. A chunk that may take all that is
        left needs an id drawn for `left_octets`."""
        return _draw(word, lambda transaction_id: self.can_use(transaction_id, max_octets))

    def can_use(self, transaction_id: str, max_octets: int | None = None) -> bool:
        """Whether the next chunk, of *max_octets* or of the usual size, may have that id."""
        mark = b"-------" + transaction_id.encode("ascii")
        return self._body.find(mark, self._sent, self._upcoming_end(max_octets)) < 0

    def _upcoming_end(self, max_octets: int | None) -> int:
        size = self.chunk_octets if max_octets is None else max_octets
        if size < 1:
            raise LocalProtocolError("a chunk of no octets", spec="RFC 4975 §5.1")
        return min(self._sent + size, len(self._body))

    # --- whole chunks ------------------------------------------------------------------------------------------------

    def next_chunk(self, transaction_id: str, max_octets: int | None = None) -> MsrpRequest:
        """The next frame, with *max_octets* of body or the usual number. Raises LocalProtocolError if it contains its
        own end line, or if there is none."""
        self._check_idle()
        end = self._upcoming_end(max_octets)
        octets = self._body[self._sent : end]
        byte_range = ByteRange(self._sent + 1, end, len(self._body))
        is_last = end == len(self._body)
        flag = Continuation.COMPLETE if is_last else Continuation.MORE
        chunk = self._request(transaction_id, byte_range, octets if self._body else None, flag)
        self._sent = end
        self._is_finished = is_last
        return chunk

    def abort(self, transaction_id: str) -> MsrpRequest:
        """The frame that ends the message early, between chunks: no octets and ``#`` (RFC 4975 §7.1.1)."""
        self._check_idle()
        byte_range = ByteRange(self._sent + 1, None, len(self._body))
        self._is_finished = self._is_aborted = True
        return self._request(transaction_id, byte_range, b"", Continuation.ABORTED)

    # --- an open chunk -----------------------------------------------------------------------------------------------

    def begin(self, transaction_id: str, max_octets: int | None = None) -> bytes:
        """The head of a chunk of at most *max_octets*, or of all that is left. Raises LocalProtocolError if that
        contains its own end line."""
        self._check_idle()
        size = max(self.left_octets, 1) if max_octets is None else max_octets
        if not self.can_use(transaction_id, size):
            raise LocalProtocolError("the chunk contains its own end line", spec="RFC 4975 §7.1")
        byte_range = ByteRange(self._sent + 1, None, len(self._body))
        self._head = self._request(transaction_id, byte_range, None, None)
        self._end = self._upcoming_end(size)
        return self._head.head_octets()

    def piece(self, max_octets: int) -> bytes:
        """The next octets of the open chunk; none if it has to end now."""
        self._check_open()
        octets = self._body[self._sent : min(self._sent + max_octets, self._end)]
        self._sent += len(octets)
        return octets

    def end(self, continuation: Continuation | None = None) -> bytes:
        """The end line of the open chunk: ``$`` if all octets are out, else ``+``; or ``#`` to abort the message."""
        head = self._check_open()
        fitting = Continuation.COMPLETE if self._sent == len(self._body) else Continuation.MORE
        flag = fitting if continuation is None else continuation
        if flag not in (fitting, Continuation.ABORTED):
            raise LocalProtocolError(f"the chunk ends with {fitting.value}, not {flag.value}", spec="RFC 4975 §5.1")
        self._head = None
        self._is_aborted = flag is Continuation.ABORTED
        self._is_finished = flag is not Continuation.MORE
        return head.end_line(flag)

    # -----------------------------------------------------------------------------------------------------------------

    def _request(
        self, transaction_id: str, byte_range: ByteRange, body: bytes | None, flag: Continuation | None
    ) -> MsrpRequest:
        headers = [
            ("Message-ID", self.message_id),
            ("Byte-Range", str(byte_range)),
            ("Success-Report", "yes" if self.success_report else "no"),
            ("Failure-Report", self.failure_report.value),
        ]
        if body is not None or flag is None:
            headers += self._headers
            if self.content_type is not None:
                headers.append(("Content-Type", self.content_type))
        return MsrpRequest(transaction_id, "SEND", self._to_path, self._from_path, headers, body, flag)

    def _check_idle(self) -> None:
        if self._is_finished or self._head is not None:
            what = "nothing is left to send" if self._is_finished else "a chunk is open"
            raise LocalProtocolError(what, spec="RFC 4975 §5.1")

    def _check_open(self) -> MsrpRequest:
        if self._head is None:
            raise LocalProtocolError("no chunk is open", spec="RFC 4975 §5.1")
        return self._head


def new_transaction_id(word: Callable[[], str], body: bytes) -> str:
    """A transaction id whose end line is not in *body* (RFC 4975 §7.1). *word* has at least 64 bits of randomness.

    Raises LocalProtocolError if *word* keeps giving what cannot be used."""
    return _draw(word, lambda transaction_id: can_use(transaction_id, body))


def _draw(word: Callable[[], str], is_usable: Callable[[str], bool]) -> str:
    for _ in range(_MAX_DRAWS):
        transaction_id = word()
        if not is_transaction_id(transaction_id):
            raise LocalProtocolError(f"not a transaction id: {transaction_id!r}", spec="RFC 4975 §9")
        if is_usable(transaction_id):
            return transaction_id
    raise LocalProtocolError("no transaction id can be found for the body", spec="RFC 4975 §7.1")
