"""Delivering stored messages: paths, tries, answers, expiry and status reports (TS 23.040 §3.2, §10; digest §8.8)."""

from __future__ import annotations

from dataclasses import dataclass

from ims_core.nodes.smsc_actions import SendFrame, SendToPeer
from ims_core.nodes.smsc_book import MessageBook, SmscTimer
from ims_core.nodes.smsc_links import LinkUser
from ims_core.nodes.smsc_messages import forward_for, status_of_cause, status_report_for
from ims_core.nodes.smsc_queue import (
    Destination,
    DestinationKind,
    DestinationQueue,
    QueueAction,
    QueueInput,
    QueueState,
    StoredMessage,
)
from ims_core.nodes.smsc_replies import Replies
from ims_core.store.short_messages import MessageSource, ShortMessage, TransferKind
from ims_core.wire.sms.octets import SmsParseError
from ims_core.wire.sms.rpdu import RpAck, RpCause, RpError, is_temporary, parse_rpdu
from ims_core.wire.sms.sm_link import AlertReason, Failure, ForwardKind, LinkRole, Result
from ims_core.wire.sms.tpdu import DeliveryStatus, SmsSubmit

__all__ = ["Delivery"]


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A FORWARD that waits for its answer. *path* is a link, or the name of a peer."""

    queue: DestinationQueue
    path: int | str
    rp_reference: int


class Delivery:
    __slots__ = ("_attempts", "_book", "_last_reference", "_replies", "_rp_reference")

    def __init__(self, book: MessageBook, replies: Replies) -> None:
        self._book = book
        self._replies = replies
        self._attempts: dict[int, _Attempt] = {}
        self._last_reference = 0
        self._rp_reference = 0

    # --- inputs ------------------------------------------------------------------------------------------------------

    def begin(self, message: StoredMessage, now: float) -> None:
        """A message is safe. The submitter is answered, by the other carrier's service centre if this is a first try
        there; else at once."""
        queue = self._book.add(message)
        if message.record.expires_at <= now:
            self._replies.acknowledge(message)
            self._expire_from(queue, message, now)
            return
        if queue.state is not QueueState.IDLE or self._peer_of_number(queue.destination) is None:
            self._replies.acknowledge(message)
        self._step(queue, QueueInput.MESSAGE, now)

    def resume(self, message: StoredMessage, now: float) -> None:
        """A message that the store held: the first try comes a little later, when the gateway has bound."""
        queue = self._book.add(message)
        queue.state = QueueState.WAITING
        retry_at = now + self._book.config.restore_delay_s
        self._book.deadlines.set((SmscTimer.RETRY, queue.destination), retry_at)

    def alert(self, msisdn: str, reason: AlertReason, now: float) -> None:
        queue = self._book.queues.get(Destination(DestinationKind.NUMBER, msisdn))
        if queue is not None:
            event = QueueInput.ALERT if reason is AlertReason.PRESENT else QueueInput.MEMORY_AVAILABLE
            self._step(queue, event, now)

    def alert_queues_of(self, user: LinkUser, now: float) -> None:
        """Whoever came can take what waits for him."""
        if user.msisdn:
            self.alert(user.msisdn, AlertReason.PRESENT, now)
            return
        for queue in list(self._book.queues.values()):
            if queue.state is QueueState.WAITING and self._is_reached_by(queue.destination, user):
                self._step(queue, QueueInput.ALERT, now)

    def answer(self, path: int | str, message: Result | Failure, now: float) -> None:
        """RP-ACK, RP-ERROR or a failure for a FORWARD of ours."""
        attempt = self._attempts.get(message.reference)
        if attempt is None or attempt.path != path:
            self._book.note("answer to nothing", reference=str(message.reference))
        elif isinstance(message, Failure):
            self.attempt_failed(message.reference, now)
        else:
            self._rp_answer(attempt, message, now)

    def attempt_failed(self, reference: int, now: float) -> None:
        """No answer by this path: the next one."""
        attempt = self._end_attempt(reference)
        if attempt is not None:
            self._send_by_next_path(attempt.queue, now)

    def fail_path(self, path: int | str, now: float) -> None:
        for reference in [key for key, attempt in self._attempts.items() if attempt.path == path]:
            self.attempt_failed(reference, now)

    def retry(self, destination: Destination, now: float) -> None:
        queue = self._book.queues.get(destination)
        if queue is not None and queue.state in (QueueState.WAITING, QueueState.MEMORY_FULL):
            self._step(queue, QueueInput.TIMER, now)

    def expire(self, number: int, now: float) -> None:
        """A message on its way has its chance: `_schedule` looks at the time again."""
        queue = self._book.queued.get(number)
        if queue is None:
            return
        if queue.state is QueueState.SENDING and queue.messages[0].record.number == number:
            return
        message = next(message for message in queue.messages if message.record.number == number)
        self._expire_from(queue, message, now)

    # --- sending -----------------------------------------------------------------------------------------------------

    def _step(self, queue: DestinationQueue, event: QueueInput, now: float, cause: int = 0) -> None:
        match queue.step(event):
            case QueueAction.SEND:
                self._book.deadlines.remove((SmscTimer.RETRY, queue.destination))
                queue.is_alerted = False
                queue.paths = self._paths_to(queue.destination)
                self._send_by_next_path(queue, now)
            case QueueAction.COMPLETE:
                self._complete(queue, now)
            case QueueAction.REJECT:
                self._reject(queue, cause, now)
            case QueueAction.SCHEDULE:
                self._schedule(queue, self._interval_s(queue.tries), now)
            case QueueAction.SCHEDULE_LAST:
                self._schedule(queue, self._interval_s(len(self._book.config.retry_min)), now)
            case QueueAction.REMEMBER:
                queue.is_alerted = True
            case QueueAction.REST:
                self._book.deadlines.remove((SmscTimer.RETRY, queue.destination))
                self._continue(queue, now)
            case None:
                pass

    def _paths_to(self, destination: Destination) -> list[int | str]:
        """By IP first, then the circuit-switched link (digest §15.7)."""
        peer = self._book.peer_of(destination)
        if peer is not None:
            return [peer]
        links = self._book.links
        found: list[int | None]
        if destination.kind is DestinationKind.APPLICATION:
            application = links.application(destination.name)
            by_sip = links.gateway() if destination.name.startswith("sip:") else None
            found = [by_sip if application is None else application]
        else:
            found = [links.gateway(), links.phone(destination.name)]
        return [link for link in found if link is not None]

    def _is_reached_by(self, destination: Destination, user: LinkUser) -> bool:
        if destination.kind is DestinationKind.APPLICATION:
            return user.role is LinkRole.IP_SM_GW or user.name == destination.name
        peer = self._book.peer_of(destination)
        if user.role is LinkRole.SMSC:
            return peer == user.name
        return peer is None and user.role is LinkRole.IP_SM_GW

    def _send_by_next_path(self, queue: DestinationQueue, now: float) -> None:
        users = self._book.links.users
        while queue.paths:
            path = queue.paths.pop(0)
            if isinstance(path, str) or path in users:
                self._send(queue, path, now)
                return
        self._step(queue, QueueInput.FAILED, now)

    def _send(self, queue: DestinationQueue, path: int | str, now: float) -> None:
        self._last_reference = self._last_reference % 0xFFFF_FFFF + 1
        self._rp_reference = (self._rp_reference + 1) % 256
        reference, message = self._last_reference, queue.messages[0]
        forward = forward_for(
            message,
            kind=_forward_kind(message.record, queue.destination, path),
            reference=reference,
            rp_reference=self._rp_reference,
            service_centre=self._book.config.address,
            identifier=f"{self._book.config.name}/{message.record.number}",
            more_messages=len(queue.messages) > 1,
        )
        self._attempts[reference] = _Attempt(queue, path, self._rp_reference)
        self._book.deadlines.set((SmscTimer.ANSWER, reference), now + self._answer_s(path))
        self._book.out.append(SendToPeer(path, forward) if isinstance(path, str) else SendFrame(path, forward))

    def _answer_s(self, path: int | str) -> float:
        config = self._book.config
        if isinstance(path, str):
            return config.nni_answer_s
        role = self._book.links.users[path].role
        if role is LinkRole.IP_SM_GW:
            return config.gateway_answer_s
        return config.cs_answer_s if role is None else config.application_answer_s

    # --- answers -----------------------------------------------------------------------------------------------------

    def _rp_answer(self, attempt: _Attempt, message: Result, now: float) -> None:
        try:
            rpdu = parse_rpdu(message.rpdu)
        except SmsParseError as error:
            self._book.note("unreadable RP answer", reason=str(error))
            self.attempt_failed(message.reference, now)
            return
        if not isinstance(rpdu, RpAck | RpError) or rpdu.reference != attempt.rp_reference:
            self._book.note("answer with a wrong RP-MR", reference=str(message.reference))
            return
        self._end_attempt(message.reference)
        if isinstance(rpdu, RpAck):
            self._step(attempt.queue, QueueInput.DELIVERED, now)
        else:
            self._step(attempt.queue, _input_of_cause(rpdu.cause), now, rpdu.cause)

    def _end_attempt(self, reference: int) -> _Attempt | None:
        self._book.deadlines.remove((SmscTimer.ANSWER, reference))
        return self._attempts.pop(reference, None)

    def _complete(self, queue: DestinationQueue, now: float) -> None:
        queue.tries = 0
        message = queue.messages.popleft()
        self._replies.acknowledge(message)
        is_handed_on = self._peer_of_number(queue.destination) is not None
        self._book.note("handed on" if is_handed_on else "delivered", **_details(message.record))
        if not is_handed_on:
            self._report(message, DeliveryStatus.RECEIVED, now)
        self._book.forget(message.record)
        self._continue(queue, now)

    def _reject(self, queue: DestinationQueue, cause: int, now: float) -> None:
        message = queue.messages.popleft()
        self._book.note("refused", cause=str(cause), **_details(message.record))
        if message.reply is not None:
            self._replies.refuse(message.reply, cause, None, now)
        else:
            self._report(message, status_of_cause(cause), now)
        self._book.forget(message.record)
        self._continue(queue, now)

    def _continue(self, queue: DestinationQueue, now: float) -> None:
        if queue.messages:
            self._step(queue, QueueInput.MESSAGE, now)
        else:
            self._book.queues.pop(queue.destination, None)

    def _schedule(self, queue: DestinationQueue, interval_s: float, now: float) -> None:
        head = queue.messages[0]
        self._replies.acknowledge(head)
        if head.is_single_shot:
            self._give_up(queue, head, DeliveryStatus.NO_RESPONSE_GIVEN_UP, now)
        for message in [message for message in queue.messages if message.record.expires_at <= now]:
            self._give_up(queue, message, DeliveryStatus.VALIDITY_EXPIRED, now)
        if not queue.messages:
            self._step(queue, QueueInput.EMPTIED, now)
            return
        queue.tries += 1
        self._book.note("waiting", destination=queue.destination.name, retry_in_s=f"{interval_s:g}")
        self._book.deadlines.set((SmscTimer.RETRY, queue.destination), now + interval_s)
        if queue.is_alerted:
            self._step(queue, QueueInput.TIMER, now)

    def _interval_s(self, tries: int) -> float:
        intervals = self._book.config.retry_min
        return 60 * intervals[min(tries, len(intervals) - 1)]

    def _expire_from(self, queue: DestinationQueue, message: StoredMessage, now: float) -> None:
        self._give_up(queue, message, DeliveryStatus.VALIDITY_EXPIRED, now)
        if queue.messages:
            return
        if queue.state is QueueState.IDLE:
            self._continue(queue, now)
        else:
            self._step(queue, QueueInput.EMPTIED, now)

    def _give_up(self, queue: DestinationQueue, message: StoredMessage, status: DeliveryStatus, now: float) -> None:
        queue.messages.remove(message)
        self._book.note("given up", status=status.name, **_details(message.record))
        self._report(message, status, now)
        self._book.forget(message.record)

    def _peer_of_number(self, destination: Destination) -> str | None:
        return self._book.peer_of(destination) if destination.kind is DestinationKind.NUMBER else None

    # --- status reports ----------------------------------------------------------------------------------------------

    def _report(self, message: StoredMessage, status: int, now: float) -> None:
        """Stores an SMS-STATUS-REPORT for whoever asked for one; it is delivered like a message."""
        record, submit = message.record, message.tpdu
        if not isinstance(submit, SmsSubmit) or not submit.status_report_request:
            return
        if record.source is MessageSource.APPLICATION and not record.report_to:
            return
        report = status_report_for(record, submit, status, self._book.stamp(now))
        report_record = ShortMessage(
            number=self._book.next_number(now),
            kind=TransferKind.REPORT,
            originator=record.destination,
            destination=record.originator,
            tpdu=report.encode(),
            submitted_at=record.submitted_at,
            accepted_at=now,
            expires_at=now + 3600 * self._book.config.report_validity_h,
            source=record.source,
            source_name=record.source_name,
            report_to=record.report_to,
            report_key=record.report_key,
        )
        self._book.store(StoredMessage(report_record, report))


def _forward_kind(record: ShortMessage, destination: Destination, path: int | str) -> ForwardKind:
    if record.kind is TransferKind.REPORT and destination.kind is not DestinationKind.NUMBER:
        return ForwardKind.REPORT
    return ForwardKind.MO if isinstance(path, str) else ForwardKind.MT


def _input_of_cause(cause: int) -> QueueInput:
    if cause == RpCause.MEMORY_CAPACITY_EXCEEDED:
        return QueueInput.MEMORY_EXCEEDED
    return QueueInput.FAILED if is_temporary(cause) else QueueInput.REFUSED


def _details(record: ShortMessage) -> dict[str, str]:
    return {
        "number": str(record.number),
        "kind": record.kind.value,
        "originator": record.originator,
        "destination": record.destination,
    }
