"""What a service centre writes: SMS-DELIVER, SMS-STATUS-REPORT, RP answers, and the FORWARD that carries each."""

from __future__ import annotations

from dataclasses import replace

from ims_core.nodes.smsc_actions import ApplicationMessage
from ims_core.nodes.smsc_queue import StoredMessage
from ims_core.store.short_messages import ShortMessage, TransferKind
from ims_core.wire.sms.address import Address
from ims_core.wire.sms.concatenation import split_octets, split_text, submits_for
from ims_core.wire.sms.octets import SmsParseError
from ims_core.wire.sms.rpdu import Direction, RpAck, RpCause, RpData, RpError
from ims_core.wire.sms.sm_link import Forward, ForwardKind, Party
from ims_core.wire.sms.timestamp import EnhancedValidity, RelativeValidity, Timestamp, ValidityPeriod
from ims_core.wire.sms.tpdu import (
    DeliveryStatus,
    FailureCause,
    SmsDeliver,
    SmsStatusReport,
    SmsSubmit,
    SmsSubmitReport,
    parse_tpdu_from_ms,
    parse_tpdu_to_ms,
)
from ims_core.wire.sms.user_data import ApplicationPorts

__all__ = [
    "application_submits",
    "deliver_for",
    "forward_for",
    "is_single_shot",
    "originator_address",
    "parse_stored",
    "party_of",
    "rp_ack",
    "rp_error",
    "status_of_cause",
    "status_report_for",
]

_MAX_ENHANCED_S = 255
# RP-Cause of the recipient or the other service centre -> TP-Status; others are a remote procedure error
_STATUS_OF_CAUSE: dict[int, DeliveryStatus] = {
    RpCause.UNASSIGNED_NUMBER: DeliveryStatus.NOT_OBTAINABLE,
    RpCause.UNIDENTIFIED_SUBSCRIBER: DeliveryStatus.DOES_NOT_EXIST,
    RpCause.UNKNOWN_SUBSCRIBER: DeliveryStatus.DOES_NOT_EXIST,
    RpCause.TRANSFER_REJECTED: DeliveryStatus.CONNECTION_REJECTED,
}


def status_of_cause(cause: int) -> DeliveryStatus:
    """TP-Status for a message that was refused with *cause* (choice)."""
    return _STATUS_OF_CAUSE.get(cause, DeliveryStatus.REMOTE_PROCEDURE_ERROR)


def originator_address(originator: str) -> Address:
    """TP-OA of a number with "+" or of a name."""
    return Address.international(originator) if originator.startswith("+") else Address.alphanumeric(originator)


def party_of(originator: str) -> Party:
    return Party.msisdn(originator) if originator.startswith("+") else Party.name(originator)


def deliver_for(record: ShortMessage, submit: SmsSubmit, *, more_messages: bool) -> SmsDeliver:
    """User data and its header pass unread: concatenation is transparent (digest §8.8)."""
    return SmsDeliver(
        originator=originator_address(record.originator),
        timestamp=Timestamp(record.submitted_at),
        user_data=submit.user_data,
        protocol_id=submit.protocol_id,
        data_coding=submit.data_coding,
        more_messages=more_messages,
        status_report_indication=submit.status_report_request,
    )


def status_report_for(record: ShortMessage, submit: SmsSubmit, status: int, discharge: Timestamp) -> SmsStatusReport:
    """TP-MR and TP-RA are those of the SMS-SUBMIT (TS 23.040 §9.2.2.3)."""
    return SmsStatusReport(
        message_reference=submit.message_reference,
        recipient=submit.destination,
        timestamp=Timestamp(record.submitted_at),
        discharge_time=discharge,
        status=status,
    )


def rp_ack(rp_reference: int, timestamp: Timestamp) -> bytes:
    """To the submitter, with SMS-SUBMIT-REPORT."""
    return RpAck(Direction.TO_MS, rp_reference, SmsSubmitReport(timestamp=timestamp).encode()).encode()


def rp_error(rp_reference: int, cause: int, failure: FailureCause | None = None, now: Timestamp | None = None) -> bytes:
    """To the submitter; with SMS-SUBMIT-REPORT where there is a TP-Failure-Cause to tell."""
    report = None
    if failure is not None and now is not None:
        report = SmsSubmitReport(timestamp=now, failure_cause=failure).encode()
    return RpError(Direction.TO_MS, rp_reference, cause, report).encode()


def parse_stored(record: ShortMessage) -> StoredMessage:
    """Raises SmsParseError for a record whose TPDU is not what it should be."""
    if record.kind is TransferKind.REPORT:
        report = parse_tpdu_to_ms(record.tpdu)
        if isinstance(report, SmsStatusReport):
            return StoredMessage(record, report)
    else:
        submit = parse_tpdu_from_ms(record.tpdu)
        if isinstance(submit, SmsSubmit):
            return StoredMessage(record, submit, is_single_shot(submit.validity))
    raise SmsParseError(f"no TPDU of a stored {record.kind.value}", spec="TS 23.040 §9.2.2", raw=record.tpdu)


def is_single_shot(validity: ValidityPeriod | None) -> bool:
    return isinstance(validity, EnhancedValidity) and validity.is_single_shot


def forward_for(
    message: StoredMessage,
    *,
    kind: ForwardKind,
    reference: int,
    rp_reference: int,
    service_centre: str,
    identifier: str,
    more_messages: bool,
) -> Forward:
    """*kind* MO hands an SMS-SUBMIT to another service centre, MT goes to a phone, REPORT to an application or peer."""
    record, tpdu = message.record, message.tpdu
    if isinstance(tpdu, SmsStatusReport):
        octets = replace(tpdu, more_messages=more_messages).encode()
    elif kind is ForwardKind.MO:
        octets = record.tpdu
    else:
        octets = deliver_for(record, tpdu, more_messages=more_messages).encode()
    is_mo = kind is ForwardKind.MO
    direction = Direction.FROM_MS if is_mo else Direction.TO_MS
    rpdu = RpData(direction, rp_reference, Address.international(service_centre), octets)
    return Forward(
        reference=reference,
        kind=kind,
        rpdu=rpdu.encode(),
        originator=party_of(record.originator) if is_mo else None,
        destination=None if is_mo else party_of(record.destination),
        more_messages=more_messages,
        submitted_at=Timestamp(record.submitted_at) if is_mo else None,
        identifier=identifier if kind is not ForwardKind.MT else "",
        report_to=record.report_to if kind is not ForwardKind.MT else "",
        report_key=record.report_key if kind is not ForwardKind.MT else "",
    )


def application_submits(message: ApplicationMessage, *, reference: int) -> tuple[SmsSubmit, ...]:
    """The SMS-SUBMITs of a message that a local application originates. Raises LocalProtocolError."""
    if message.port is None:
        split = split_text(message.text, reference=reference)
    else:
        ports = ApplicationPorts(message.port, 0).element()
        octets = message.octets or message.text.encode("utf-8", "replace")
        split = split_octets(octets, reference=reference, elements=(ports,))
    return submits_for(
        split,
        Address.international(message.destination),
        message_reference=reference,
        validity=_validity_of(message.validity_s),
        status_report=bool(message.report_to),
    )


def _validity_of(validity_s: float | None) -> ValidityPeriod | None:
    if validity_s is None:
        return None
    if 1 <= validity_s <= _MAX_ENHANCED_S:
        return EnhancedValidity.seconds(int(validity_s))
    return RelativeValidity.at_least(validity_s)
