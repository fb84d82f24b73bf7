"""Transfer layer messages (3GPP TS 23.040 §9.2.2): SMS-DELIVER, -SUBMIT, their reports, -STATUS-REPORT, -COMMAND.

Which message an octet string is depends on its direction, and the form of a report on whether an RP-ACK or an RP-ERROR
carries it. Reserved bits are ignored, as the standard has receivers do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum

from ims_core.errors import LocalProtocolError
from ims_core.wire.sms.address import Address
from ims_core.wire.sms.data_coding import DataCoding
from ims_core.wire.sms.octets import OctetReader, SmsParseError, octets_of
from ims_core.wire.sms.timestamp import Timestamp, ValidityFormat, ValidityPeriod, read_validity, validity_format
from ims_core.wire.sms.user_data import UserData

__all__ = [
    "MAX_TPDU_OCTETS",
    "DeliveryOutcome",
    "DeliveryStatus",
    "FailureCause",
    "ReportParameters",
    "SmsCommand",
    "SmsDeliver",
    "SmsDeliverReport",
    "SmsStatusReport",
    "SmsSubmit",
    "SmsSubmitReport",
    "Tpdu",
    "parse_tpdu_from_ms",
    "parse_tpdu_to_ms",
]

MAX_TPDU_OCTETS = 232  # TS 24.011 §8.2.5.3: RP-User-Data
# User data that fits the reports (TS 23.040 §9.2.2.1a, §9.2.2.2a, §9.2.2.3), octets
_MAX_DELIVER_REPORT_UD, _MAX_SUBMIT_REPORT_UD, _MAX_STATUS_REPORT_UD = 159, 152, 131

_MTI_MASK = 0x03
_DELIVER, _SUBMIT, _STATUS_OR_COMMAND = 0, 1, 2
_BIT_2, _BIT_3, _BIT_5, _UDHI, _REPLY_PATH = 0x04, 0x08, 0x20, 0x40, 0x80
_PI_PID, _PI_DCS, _PI_UDL, _PI_EXTENSION = 0x01, 0x02, 0x04, 0x80


class FailureCause(IntEnum):
    """TP-Failure-Cause values that the nodes here use (§9.2.3.22)."""

    TPDU_NOT_SUPPORTED = 0xB0
    SC_BUSY = 0xC0
    SC_SYSTEM_FAILURE = 0xC2
    INVALID_SME_ADDRESS = 0xC3
    DESTINATION_BARRED = 0xC4
    DUPLICATE = 0xC5
    VALIDITY_FORMAT_NOT_SUPPORTED = 0xC6
    MEMORY_CAPACITY_EXCEEDED = 0xD3
    UNSPECIFIED = 0xFF


class DeliveryStatus(IntEnum):
    """TP-Status values that the nodes here use (§9.2.3.15)."""

    RECEIVED = 0x00
    FORWARDED_UNCONFIRMED = 0x01
    REMOTE_PROCEDURE_ERROR = 0x40
    CONNECTION_REJECTED = 0x42
    NOT_OBTAINABLE = 0x43
    VALIDITY_EXPIRED = 0x46
    DOES_NOT_EXIST = 0x49
    NO_RESPONSE_GIVEN_UP = 0x62


class DeliveryOutcome(Enum):
    """Group of a TP-Status."""

    COMPLETED = "completed"
    STILL_TRYING = "still trying"
    FAILED = "failed"  # permanent, or temporary and given up; reserved values count as service rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsDeliver:
    """Service centre to MS (§9.2.2.1). *more_messages*: TP-MMS is sent inverted, bit 0 means more are waiting."""

    originator: Address
    timestamp: Timestamp
    user_data: UserData
    protocol_id: int = 0
    data_coding: DataCoding = DataCoding.GSM7
    more_messages: bool = False
    loop_prevention: bool = False
    reply_path: bool = False
    status_report_indication: bool = False

    @property
    def text(self) -> str:
        return self.user_data.text(self.data_coding)

    def encode(self) -> bytes:
        """Raises LocalProtocolError if a field does not fit."""
        first = (
            _DELIVER
            | (0 if self.more_messages else _BIT_2)
            | (_BIT_3 if self.loop_prevention else 0)
            | (_BIT_5 if self.status_report_indication else 0)
            | (_UDHI if self.user_data.header else 0)
            | (_REPLY_PATH if self.reply_path else 0)
        )
        return b"".join(
            (
                octets_of(first),
                self.originator.encode_tp(),
                octets_of(self.protocol_id, self.data_coding.octet),
                self.timestamp.octets,
                self.user_data.encode(self.data_coding),
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsSubmit:
    """MS to service centre (§9.2.2.2)."""

    message_reference: int
    destination: Address
    user_data: UserData
    protocol_id: int = 0
    data_coding: DataCoding = DataCoding.GSM7
    validity: ValidityPeriod | None = None
    reject_duplicates: bool = False
    reply_path: bool = False
    status_report_request: bool = False

    @property
    def text(self) -> str:
        return self.user_data.text(self.data_coding)

    def encode(self) -> bytes:
        """Raises LocalProtocolError if a field does not fit."""
        first = (
            _SUBMIT
            | (_BIT_2 if self.reject_duplicates else 0)
            | validity_format(self.validity) << 3
            | (_BIT_5 if self.status_report_request else 0)
            | (_UDHI if self.user_data.header else 0)
            | (_REPLY_PATH if self.reply_path else 0)
        )
        return b"".join(
            (
                octets_of(first, self.message_reference),
                self.destination.encode_tp(),
                octets_of(self.protocol_id, self.data_coding.octet),
                self.validity.encode() if self.validity else b"",
                self.user_data.encode(self.data_coding),
            )
        )


@dataclass(frozen=True, slots=True)
class ReportParameters:
    """What TP-Parameter-Indicator announces (§9.2.3.27). Without a TP-DCS the user data is GSM 7 bit."""

    protocol_id: int | None = None
    data_coding: DataCoding | None = None
    user_data: UserData | None = None

    @property
    def text(self) -> str:
        return self.user_data.text(self.data_coding or DataCoding.GSM7) if self.user_data else ""

    @property
    def has_header(self) -> bool:
        return self.user_data is not None and self.user_data.header is not None

    @property
    def indicator(self) -> int:
        return (
            (_PI_PID if self.protocol_id is not None else 0)
            | (_PI_DCS if self.data_coding is not None else 0)
            | (_PI_UDL if self.user_data is not None else 0)
        )

    def encode(self, max_octets: int) -> bytes:
        out = b"" if self.protocol_id is None else octets_of(self.protocol_id)
        if self.data_coding is not None:
            out += octets_of(self.data_coding.octet)
        if self.user_data is not None:
            out += self.user_data.encode(self.data_coding or DataCoding.GSM7, max_octets=max_octets)
        return out

    @classmethod
    def read(cls, reader: OctetReader, indicator: int, *, has_header: bool, max_octets: int) -> ReportParameters:
        """Octets behind the last announced field are discarded, as §9.2.3.27 says of reserved bits."""
        protocol_id = reader.octet("TP-PID") if indicator & _PI_PID else None
        coding = DataCoding(reader.octet("TP-DCS")) if indicator & _PI_DCS else None
        user_data = None
        if indicator & _PI_UDL:
            user_data = UserData.read(reader, coding or DataCoding.GSM7, has_header=has_header, max_octets=max_octets)
        return cls(protocol_id, coding, user_data)


_NO_PARAMETERS = ReportParameters()


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsDeliverReport:
    """Answer of the MS to SMS-DELIVER or -STATUS-REPORT (§9.2.2.1a). *failure_cause* exists inside RP-ERROR only."""

    failure_cause: int | None = None
    parameters: ReportParameters = _NO_PARAMETERS

    def encode(self) -> bytes:
        first = _DELIVER | (_UDHI if self.parameters.has_header else 0)
        cause = b"" if self.failure_cause is None else octets_of(self.failure_cause)
        fixed = octets_of(first) + cause + octets_of(self.parameters.indicator)
        return fixed + self.parameters.encode(_MAX_DELIVER_REPORT_UD - len(cause))


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsSubmitReport:
    """Answer of the service centre to SMS-SUBMIT or -COMMAND (§9.2.2.2a). *failure_cause*: inside RP-ERROR only."""

    timestamp: Timestamp
    failure_cause: int | None = None
    parameters: ReportParameters = _NO_PARAMETERS

    def encode(self) -> bytes:
        first = _SUBMIT | (_UDHI if self.parameters.has_header else 0)
        cause = b"" if self.failure_cause is None else octets_of(self.failure_cause)
        fixed = octets_of(first) + cause + octets_of(self.parameters.indicator) + self.timestamp.octets
        return fixed + self.parameters.encode(_MAX_SUBMIT_REPORT_UD - len(cause))


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsStatusReport:
    """Service centre to MS: what became of a message (§9.2.2.3). *answers_command*: TP-SRQ."""

    message_reference: int
    recipient: Address
    timestamp: Timestamp
    discharge_time: Timestamp
    status: int
    more_messages: bool = False
    loop_prevention: bool = False
    answers_command: bool = False
    parameters: ReportParameters = _NO_PARAMETERS

    @property
    def outcome(self) -> DeliveryOutcome:
        if self.status < 0x20:
            return DeliveryOutcome.COMPLETED
        return DeliveryOutcome.STILL_TRYING if self.status < 0x40 else DeliveryOutcome.FAILED

    def encode(self) -> bytes:
        first = (
            _STATUS_OR_COMMAND
            | (0 if self.more_messages else _BIT_2)
            | (_BIT_3 if self.loop_prevention else 0)
            | (_BIT_5 if self.answers_command else 0)
            | (_UDHI if self.parameters.has_header else 0)
        )
        indicator = self.parameters.indicator
        return b"".join(
            (
                octets_of(first, self.message_reference),
                self.recipient.encode_tp(),
                self.timestamp.octets,
                self.discharge_time.octets,
                octets_of(self.status),
                octets_of(indicator) if indicator else b"",
                self.parameters.encode(_MAX_STATUS_REPORT_UD),
            )
        )


@dataclass(frozen=True, slots=True)
class SmsCommand:
    """MS to service centre (§9.2.2.4), kept opaque: the whole TPDU with its first octet."""

    octets: bytes = field(default=b"\x02")

    def __post_init__(self) -> None:
        if not self.octets or self.octets[0] & _MTI_MASK != _STATUS_OR_COMMAND:
            raise LocalProtocolError("not an SMS-COMMAND", spec="TS 23.040 §9.2.2.4")

    def encode(self) -> bytes:
        return self.octets


Tpdu = SmsDeliver | SmsSubmit | SmsDeliverReport | SmsSubmitReport | SmsStatusReport | SmsCommand


def parse_tpdu_from_ms(octets: bytes, *, in_rp_error: bool = False) -> SmsSubmit | SmsDeliverReport | SmsCommand:
    """A TPDU that an MS sent to the service centre. Raises SmsParseError, also for the reserved message type."""
    reader = _reader(octets)
    first = reader.octet("TP-MTI")
    match first & _MTI_MASK:
        case 0:
            return _read_deliver_report(reader, first, in_rp_error)
        case 1:
            return _read_submit(reader, first)
        case 2:
            return SmsCommand(octets)
        case _:
            raise SmsParseError("reserved TP-MTI", spec="TS 23.040 §9.2.3.1", raw=octets)


def parse_tpdu_to_ms(octets: bytes, *, in_rp_error: bool = False) -> SmsDeliver | SmsSubmitReport | SmsStatusReport:
    """A TPDU that the service centre sent to an MS. Raises SmsParseError. The reserved message type is read as
    SMS-DELIVER, as §9.2.3.1 says."""
    reader = _reader(octets)
    first = reader.octet("TP-MTI")
    match first & _MTI_MASK:
        case 1:
            return _read_submit_report(reader, first, in_rp_error)
        case 2:
            return _read_status_report(reader, first)
        case _:
            return _read_deliver(reader, first)


def _reader(octets: bytes) -> OctetReader:
    if len(octets) > MAX_TPDU_OCTETS:
        raise SmsParseError(f"TPDU of {len(octets)} octets", spec="TS 24.011 §8.2.5.3", raw=octets)
    return OctetReader(octets, spec="TS 23.040 §9.2.2")


def _read_deliver(reader: OctetReader, first: int) -> SmsDeliver:
    originator = Address.read_tp(reader, "TP-OA")
    protocol_id = reader.octet("TP-PID")
    coding = DataCoding(reader.octet("TP-DCS"))
    timestamp = Timestamp.read(reader, "TP-SCTS")
    user_data = UserData.read(reader, coding, has_header=bool(first & _UDHI))
    reader.expect_end("TP-UD")
    return SmsDeliver(
        originator=originator,
        timestamp=timestamp,
        user_data=user_data,
        protocol_id=protocol_id,
        data_coding=coding,
        more_messages=not first & _BIT_2,
        loop_prevention=bool(first & _BIT_3),
        reply_path=bool(first & _REPLY_PATH),
        status_report_indication=bool(first & _BIT_5),
    )


def _read_submit(reader: OctetReader, first: int) -> SmsSubmit:
    reference = reader.octet("TP-MR")
    destination = Address.read_tp(reader, "TP-DA")
    protocol_id = reader.octet("TP-PID")
    coding = DataCoding(reader.octet("TP-DCS"))
    validity = read_validity(reader, ValidityFormat(first >> 3 & 3))
    user_data = UserData.read(reader, coding, has_header=bool(first & _UDHI))
    reader.expect_end("TP-UD")
    return SmsSubmit(
        message_reference=reference,
        destination=destination,
        user_data=user_data,
        protocol_id=protocol_id,
        data_coding=coding,
        validity=validity,
        reject_duplicates=bool(first & _BIT_2),
        reply_path=bool(first & _REPLY_PATH),
        status_report_request=bool(first & _BIT_5),
    )


def _read_indicator(reader: OctetReader) -> int:
    """TP-PI; extension octets have no defined bits and are skipped (§9.2.3.27)."""
    indicator = octet = reader.octet("TP-PI")
    while octet & _PI_EXTENSION:
        octet = reader.octet("TP-PI extension")
    return indicator


def _read_deliver_report(reader: OctetReader, first: int, in_rp_error: bool) -> SmsDeliverReport:
    cause = reader.octet("TP-FCS") if in_rp_error else None
    parameters = ReportParameters.read(
        reader, _read_indicator(reader), has_header=bool(first & _UDHI), max_octets=_MAX_DELIVER_REPORT_UD - in_rp_error
    )
    return SmsDeliverReport(failure_cause=cause, parameters=parameters)


def _read_submit_report(reader: OctetReader, first: int, in_rp_error: bool) -> SmsSubmitReport:
    cause = reader.octet("TP-FCS") if in_rp_error else None
    indicator = _read_indicator(reader)
    timestamp = Timestamp.read(reader, "TP-SCTS")
    parameters = ReportParameters.read(
        reader, indicator, has_header=bool(first & _UDHI), max_octets=_MAX_SUBMIT_REPORT_UD - in_rp_error
    )
    return SmsSubmitReport(failure_cause=cause, timestamp=timestamp, parameters=parameters)


def _read_status_report(reader: OctetReader, first: int) -> SmsStatusReport:
    reference = reader.octet("TP-MR")
    recipient = Address.read_tp(reader, "TP-RA")
    timestamp = Timestamp.read(reader, "TP-SCTS")
    discharge_time = Timestamp.read(reader, "TP-DT")
    status = reader.octet("TP-ST")
    indicator = _read_indicator(reader) if reader.remaining else 0
    parameters = ReportParameters.read(
        reader, indicator, has_header=bool(first & _UDHI), max_octets=_MAX_STATUS_REPORT_UD
    )
    return SmsStatusReport(
        message_reference=reference,
        recipient=recipient,
        timestamp=timestamp,
        discharge_time=discharge_time,
        status=status,
        more_messages=not first & _BIT_2,
        loop_prevention=bool(first & _BIT_3),
        answers_command=bool(first & _BIT_5),
        parameters=parameters,
    )
