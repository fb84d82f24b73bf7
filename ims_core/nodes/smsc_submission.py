"""Accepting messages: from phones, the IP-SM-GW, applications and other service centres (TS 23.040 §10)."""

from __future__ import annotations

from dataclasses import dataclass

from ims_core.errors import LocalProtocolError
from ims_core.nodes.dialled_number import dialled_number
from ims_core.nodes.smsc_actions import Answered, ApplicationMessage
from ims_core.nodes.smsc_book import MessageBook
from ims_core.nodes.smsc_links import LinkUser
from ims_core.nodes.smsc_messages import application_submits, deliver_for, is_single_shot
from ims_core.nodes.smsc_queue import Destination, DestinationKind, DestinationQueue, Reply, StoredMessage
from ims_core.nodes.smsc_replies import Replies
from ims_core.store.short_messages import MessageSource, ShortMessage, TransferKind
from ims_core.wire.sms.octets import SmsParseError
from ims_core.wire.sms.rpdu import RpCause
from ims_core.wire.sms.sm_link import Forward, LinkRole, Party, PartyKind
from ims_core.wire.sms.timestamp import Timestamp
from ims_core.wire.sms.tpdu import (
    FailureCause,
    SmsStatusReport,
    SmsSubmit,
    parse_tpdu_from_ms,
    parse_tpdu_to_ms,
)

__all__ = ["Refusal", "Submissions"]

_SOURCES = {LinkRole.SMSC: MessageSource.SERVICE_CENTRE, LinkRole.APPLICATION: MessageSource.APPLICATION}


class Refusal(Exception):
    """Inside the service centre: why a submission becomes an RP-ERROR."""

    def __init__(self, cause: RpCause, failure: FailureCause | None = None) -> None:
        super().__init__(cause, failure)
        self.cause = cause
        self.failure = failure


@dataclass(frozen=True, slots=True, kw_only=True)
class _Origin:
    """Who submits, and how this transfer is known to him."""

    originator: str
    source: MessageSource
    source_name: str = ""
    submitted_at: Timestamp | None = None
    identifier: str = ""
    report_to: str = ""
    report_key: str = ""


class Submissions:
    __slots__ = ("_book", "_concatenation", "_replies", "is_congested")

    def __init__(self, book: MessageBook, replies: Replies) -> None:
        self._book = book
        self._replies = replies
        self._concatenation = 0
        self.is_congested = False

    def take(self, user: LinkUser, forward: Forward, reply: Reply, tpdu: bytes, now: float) -> None:
        """A TPDU of kind MO. Raises Refusal."""
        if self._is_repetition(forward, reply):
            return
        try:
            submit = parse_tpdu_from_ms(tpdu)
        except SmsParseError as error:
            self._book.note("unreadable TPDU", reason=str(error))
            raise Refusal(RpCause.SEMANTICALLY_INCORRECT) from error
        if not isinstance(submit, SmsSubmit):
            raise Refusal(RpCause.FACILITY_NOT_IMPLEMENTED, FailureCause.TPDU_NOT_SUPPORTED)
        self._store(submit, self._origin_of(user, forward), reply, now)

    def take_report(self, forward: Forward, reply: Reply, tpdu: bytes, now: float) -> None:
        """A status report of another service centre about a message that came from here. Raises Refusal."""
        if self._is_repetition(forward, reply):
            return
        try:
            report = parse_tpdu_to_ms(tpdu)
        except SmsParseError as error:
            self._book.note("unreadable TPDU", reason=str(error))
            raise Refusal(RpCause.SEMANTICALLY_INCORRECT) from error
        if not isinstance(report, SmsStatusReport) or forward.destination is None:
            raise Refusal(RpCause.SEMANTICALLY_INCORRECT)
        number = forward.destination.value
        if not forward.report_to and self._book.sh.user_by_msisdn(number) is None:
            raise Refusal(RpCause.UNASSIGNED_NUMBER)
        if self._is_full(0):
            raise Refusal(RpCause.CONGESTION, FailureCause.SC_BUSY)
        record = ShortMessage(
            number=self._book.next_number(now),
            kind=TransferKind.REPORT,
            originator=str(report.recipient),
            destination=number,
            tpdu=tpdu,
            submitted_at=report.timestamp.octets,
            accepted_at=now,
            expires_at=now + 3600 * self._book.config.default_validity_h,
            source=MessageSource.APPLICATION if forward.report_to else MessageSource.SUBSCRIBER,
            identifier=forward.identifier,
            report_to=forward.report_to,
            report_key=forward.report_key,
        )
        self._book.store(StoredMessage(record, report, reply=reply))

    def submit(self, ticket: int, message: ApplicationMessage, now: float) -> None:
        """A message of an application in this process; `Answered` follows."""
        self._concatenation = (self._concatenation + 1) % 256
        try:
            submits = application_submits(message, reference=self._concatenation)
        except LocalProtocolError as error:
            self._book.note("application message refused", reason=str(error))
            self._book.out.append(Answered(ticket, RpCause.INVALID_MANDATORY_INFORMATION))
            return
        origin = _Origin(
            originator=message.originator,
            source=MessageSource.APPLICATION,
            source_name=message.report_to,
            report_to=message.report_to,
            report_key=message.report_key,
        )
        self._replies.open_ticket(ticket, len(submits))
        for submit in submits:
            reply = Reply(None, ticket)
            try:
                self._store(submit, origin, reply, now)
            except Refusal as refusal:
                self._replies.refuse(reply, refusal.cause, refusal.failure, now)

    # --- who ---------------------------------------------------------------------------------------------------------

    def _is_repetition(self, forward: Forward, reply: Reply) -> bool:
        """A transfer that was taken before is acknowledged again; one that is being stored is answered by that."""
        if not forward.identifier:
            return False
        stamp = self._book.time_stamp_of(forward.identifier)
        if stamp is not None:
            self._replies.acknowledge_again(reply, stamp)
            return True
        return any(message.record.identifier == forward.identifier for message in self._book.storing.values())

    def _origin_of(self, user: LinkUser, forward: Forward) -> _Origin:
        """The gateway speaks for phones, and for the application that *report_to* names. Raises Refusal."""
        source, name = MessageSource.SUBSCRIBER, user.name
        if user.role is LinkRole.IP_SM_GW and forward.report_to:
            source, name = MessageSource.APPLICATION, forward.report_to
        elif user.role is not None:
            source = _SOURCES.get(user.role, source)
        is_application = source is MessageSource.APPLICATION
        return _Origin(
            originator=self._originator_of(user, forward, source),
            source=source,
            source_name=name,
            submitted_at=forward.submitted_at if source is MessageSource.SERVICE_CENTRE else None,
            identifier=forward.identifier,
            report_to=forward.report_to or (name if is_application else ""),
            report_key=forward.report_key or (forward.identifier if is_application else ""),
        )

    def _originator_of(self, user: LinkUser, forward: Forward, source: MessageSource) -> str:
        party = Party.msisdn(user.msisdn) if user.msisdn else forward.originator
        if party is None or party.kind is PartyKind.IMSI:
            raise Refusal(RpCause.UNIDENTIFIED_SUBSCRIBER)
        if source is MessageSource.SUBSCRIBER:
            subscriber = self._book.sh.user_by_msisdn(party.value)
            if subscriber is None:
                raise Refusal(RpCause.UNIDENTIFIED_SUBSCRIBER)
            if subscriber.is_barred:
                raise Refusal(RpCause.OPERATOR_DETERMINED_BARRING)
        return party.value

    # --- what --------------------------------------------------------------------------------------------------------

    def _store(self, submit: SmsSubmit, origin: _Origin, reply: Reply, now: float) -> None:
        """Raises Refusal."""
        book = self._book
        destination = self._destination_of(submit, origin)
        stamp = origin.submitted_at or book.distinct_stamp(origin.originator, destination, submit, now)
        record = ShortMessage(
            number=book.next_number(now),
            kind=TransferKind.MESSAGE,
            originator=origin.originator,
            destination=destination,
            tpdu=submit.encode(),
            submitted_at=stamp.octets,
            accepted_at=now,
            expires_at=self._expiry_of(submit, stamp, now),
            source=origin.source,
            source_name=origin.source_name,
            identifier=origin.identifier,
            report_to=origin.report_to,
            report_key=origin.report_key,
        )
        _check_deliverable(record, submit)
        book.store(StoredMessage(record, submit, is_single_shot(submit.validity), reply))

    def _destination_of(self, submit: SmsSubmit, origin: _Origin) -> str:
        """The number, if it can be served and there is room. Raises Refusal."""
        book = self._book
        number = dialled_number(submit.destination, book.config.region)
        smsc = book.smsc_of(number) if number else None
        if number is None or smsc is None:
            raise Refusal(RpCause.UNASSIGNED_NUMBER)
        if smsc == book.config.name:
            if book.sh.user_by_msisdn(number) is None:
                raise Refusal(RpCause.UNASSIGNED_NUMBER)
        elif smsc not in book.config.peers or origin.source is MessageSource.SERVICE_CENTRE:
            raise Refusal(RpCause.UNASSIGNED_NUMBER)  # no transit for others
        queue = book.queues.get(Destination(DestinationKind.NUMBER, number))
        if self.is_congested or self._is_full(len(queue.messages) if queue else 0):
            raise Refusal(RpCause.CONGESTION, FailureCause.SC_BUSY)
        if submit.reject_duplicates and (
            (queue is not None and _holds_duplicate(queue, origin.originator, submit))
            or book.was_submitted(origin.originator, number, submit)
        ):
            raise Refusal(RpCause.TRANSFER_REJECTED, FailureCause.DUPLICATE)
        return number

    def _is_full(self, waiting: int) -> bool:
        config = self._book.config
        return waiting >= config.max_stored_per_destination or self._book.stored_count >= config.max_stored

    def _expiry_of(self, submit: SmsSubmit, stamp: Timestamp, now: float) -> float:
        begin = stamp.to_epoch_s()
        begin = now if begin is None else min(begin, now)
        expiry = submit.validity.expires_at(begin) if submit.validity else None
        return begin + 3600 * self._book.config.default_validity_h if expiry is None else expiry


def _check_deliverable(record: ShortMessage, submit: SmsSubmit) -> None:
    try:
        deliver_for(record, submit, more_messages=False).encode()
    except LocalProtocolError as error:
        raise Refusal(RpCause.INVALID_MANDATORY_INFORMATION) from error


def _holds_duplicate(queue: DestinationQueue, originator: str, submit: SmsSubmit) -> bool:
    """TP-RD: the same TP-MR and TP-DA of the same originator is still held (TS 23.040 §9.2.3.25). What has left already
    is a duplicate if its content is the same too (choice): its sender tries again because he got no answer."""
    return any(
        isinstance(message.tpdu, SmsSubmit)
        and message.record.originator == originator
        and message.tpdu.message_reference == submit.message_reference
        for message in queue.messages
    )
