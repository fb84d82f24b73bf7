"""Mobile terminated short messages: RP answers, memory, reassembly, data messages (TS 24.011, TS 23.040)."""

from __future__ import annotations

from dataclasses import dataclass

from ims_core.wire.sms.concatenation import Abandoned, Assembled, Reassembler
from ims_core.wire.sms.octets import SmsParseError
from ims_core.wire.sms.rpdu import (
    Direction,
    RpAck,
    RpCause,
    RpData,
    Rpdu,
    RpError,
    RpSmma,
    parse_rpdu,
    readable_reference,
)
from ims_core.wire.sms.tpdu import (
    FailureCause,
    SmsDeliver,
    SmsDeliverReport,
    SmsStatusReport,
    SmsSubmitReport,
    parse_tpdu_to_ms,
)

__all__ = ["DataReceived", "IncomingMessages", "IncomingRp", "ReportReceived", "TextReceived"]

TRAM_S = 30.0  # TS 24.011 §10.1: 25 s to 35 s
MAX_SMMA_RETRIES = 1
_SILENT_TYPE_0 = 0x40  # TP-PID: acknowledged and thrown away (TS 23.040 §9.2.3.9)


@dataclass(frozen=True, slots=True)
class TextReceived:
    """A whole text. *sender* is a number with "+" or a name; *sent_at* the service centre's time stamp in seconds."""

    sender: str
    text: str
    sent_at: float | None


@dataclass(frozen=True, slots=True)
class DataReceived:
    """A message to an application port."""

    sender: str
    port: int
    content: bytes
    text: str


@dataclass(frozen=True, slots=True)
class ReportReceived:
    report: SmsStatusReport


@dataclass(frozen=True, slots=True)
class IncomingRp:
    """What came of one RP message: the answer to send, if any; what it brought; the network's answer to our own RP."""

    answer: bytes | None = None
    received: tuple[TextReceived | DataReceived | ReportReceived, ...] = ()
    network_answer: RpAck | RpError | None = None


_NOTHING = IncomingRp()
_DELIVER_REPORT = SmsDeliverReport().encode()


class IncomingMessages:
    """The receiving side of one phone, with room for *storage_messages* short messages (None: without limit)."""

    __slots__ = (
        "_is_full_told",
        "_reassembler",
        "_smma_deadline",
        "_smma_reference",
        "_smma_retries",
        "_storage",
        "stored",
    )

    def __init__(self, storage_messages: int | None = None) -> None:
        self._storage = storage_messages
        self._reassembler: Reassembler | None = None
        self._is_full_told = False
        self._smma_reference: int | None = None
        self._smma_deadline: float | None = None
        self._smma_retries = 0
        self.stored = 0

    def receive(self, octets: bytes, now: float) -> IncomingRp:
        """One RP message toward the phone. Never raises: what cannot be read is answered with RP-ERROR."""
        try:
            rpdu: Rpdu = parse_rpdu(octets)
        except SmsParseError:
            reference = readable_reference(octets)
            return _NOTHING if reference is None else _refusal(reference, RpCause.PROTOCOL_ERROR)
        match rpdu:
            case RpData(direction=Direction.TO_MS):
                return self._receive_data(rpdu, now)
            case RpAck(direction=Direction.TO_MS) | RpError(direction=Direction.TO_MS):
                self._note_smma_answer(rpdu)
                return IncomingRp(network_answer=rpdu)
            case RpData():
                return _refusal(rpdu.reference, RpCause.MESSAGE_NOT_COMPATIBLE)
            case _:
                return _NOTHING

    def deleted(self, count: int, reference: int, now: float) -> bytes | None:
        """The user deleted *count* messages. RP-SMMA with *reference* if the network was told that memory is full."""
        self.stored = max(0, self.stored - count)
        if not self._is_full_told or (self._storage is not None and self.stored >= self._storage):
            return None
        self._smma_retries = 0
        return self._smma(reference, now)

    def next_deadline(self) -> float | None:
        deadlines = (self._smma_deadline, self._reassembler.next_deadline() if self._reassembler else None)
        return min((each for each in deadlines if each is not None), default=None)

    def handle_deadline(self, reference: int, now: float) -> tuple[bytes | None, tuple[TextReceived, ...]]:
        """TRAM: the RP-SMMA once more; and texts of which the rest never came, shown as far as they go."""
        octets = None
        if self._smma_deadline is not None and now >= self._smma_deadline:
            self._smma_deadline = None
            if self._smma_retries < MAX_SMMA_RETRIES:
                self._smma_retries += 1
                octets = self._smma(reference, now)
        abandoned = self._reassembler.handle_deadline(now) if self._reassembler else []
        return octets, tuple(_text_of(Assembled(each.parts)) for each in abandoned if each.parts)

    def _receive_data(self, data: RpData, now: float) -> IncomingRp:
        try:
            tpdu = parse_tpdu_to_ms(data.user_data)
        except SmsParseError:
            return _refusal(data.reference, RpCause.INVALID_MANDATORY_INFORMATION)
        match tpdu:
            case SmsDeliver():
                return self._receive_deliver(data.reference, tpdu, now)
            case SmsStatusReport():
                return IncomingRp(_acknowledgement(data.reference), (ReportReceived(tpdu),))
            case SmsSubmitReport():
                return _refusal(data.reference, RpCause.MESSAGE_NOT_COMPATIBLE)

    def _receive_deliver(self, reference: int, tpdu: SmsDeliver, now: float) -> IncomingRp:
        if tpdu.protocol_id == _SILENT_TYPE_0:
            return IncomingRp(_acknowledgement(reference))
        if self._storage is not None and self.stored >= self._storage:
            self._is_full_told = True
            report = SmsDeliverReport(failure_cause=FailureCause.MEMORY_CAPACITY_EXCEEDED).encode()
            full = RpError(Direction.FROM_MS, reference, RpCause.MEMORY_CAPACITY_EXCEEDED, report)
            return IncomingRp(full.encode())
        reassembler = self._reassembler
        if reassembler is None:
            reassembler = self._reassembler = Reassembler()
        came = reassembler.receive(tpdu, now)
        received = tuple(_received(each) for each in came if isinstance(each, Assembled) or each.parts)
        self.stored += sum(len(each.parts) for each in came if isinstance(each, Assembled))
        return IncomingRp(_acknowledgement(reference), received)

    def _smma(self, reference: int, now: float) -> bytes:
        self._smma_reference, self._smma_deadline = reference, now + TRAM_S
        return RpSmma(reference).encode()

    def _note_smma_answer(self, answer: RpAck | RpError) -> None:
        if answer.reference == self._smma_reference:
            self._smma_reference = self._smma_deadline = None
            self._is_full_told = isinstance(answer, RpError)


def _acknowledgement(reference: int) -> bytes:
    return RpAck(Direction.FROM_MS, reference, _DELIVER_REPORT).encode()


def _refusal(reference: int, cause: RpCause) -> IncomingRp:
    return IncomingRp(RpError(Direction.FROM_MS, reference, cause).encode())


def _received(came: Assembled | Abandoned) -> TextReceived | DataReceived:
    whole = came if isinstance(came, Assembled) else Assembled(came.parts)
    header = whole.parts[0].user_data.header
    ports = header.ports if header else None
    if ports is not None and isinstance(came, Assembled):
        return DataReceived(str(whole.parts[0].originator), ports.destination, whole.content, whole.text)
    return _text_of(whole)


def _text_of(whole: Assembled) -> TextReceived:
    first = whole.parts[0]
    return TextReceived(str(first.originator), whole.text, first.timestamp.to_epoch_s())
