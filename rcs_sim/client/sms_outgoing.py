"""Mobile originated short messages: parts, RP transactions, causes, status reports (TS 24.011 §6, digest §8.7).

Sans-IO. One RP transaction is open at a time, as SM-RL allows (TS 24.011 §6.2.1). Each part is tried over IP where the
phone is registered for it, else over the circuit-switched link; what a failure leads to is in `RP_CAUSES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from ims_core.transport.tokens import Tokens
from ims_core.wire.sms.address import Address
from ims_core.wire.sms.concatenation import TooManyParts, split_text, submits_for
from ims_core.wire.sms.octets import SmsParseError
from ims_core.wire.sms.rpdu import Direction, RpAck, RpData, RpError
from ims_core.wire.sms.timestamp import RelativeValidity
from ims_core.wire.sms.tpdu import (
    DeliveryOutcome,
    FailureCause,
    SmsStatusReport,
    SmsSubmit,
    SmsSubmitReport,
    parse_tpdu_to_ms,
)
from rcs_sim.devices.policy import SmsPolicy

__all__ = [
    "RP_CAUSES",
    "OutgoingMessages",
    "Output",
    "SendRp",
    "SmsFailureStep",
    "SmsPath",
    "Submission",
    "SubmissionAccepted",
    "SubmissionDelivered",
    "SubmissionFailed",
    "count_parts",
    "failure_step",
]

TR1M_S = 40.0  # TS 24.011 §10.1: 35 s to 45 s
VALIDITY_S = 24 * 3600.0  # digest §18, sms.vp_default_h
MAX_TEMPORARY_RETRIES = 1  # RP cause 41, per part
MAX_REPORTS_AWAITED = 1024  # parts that still expect a status report; the oldest are forgotten
_SHORTEST_CAPACITY = 70  # characters that fit one part in any alphabet


class SmsPath(Enum):
    """How RP messages travel."""

    IP = auto()  # MESSAGE with application/vnd.3gpp.sms (TS 24.341)
    CS = auto()  # circuit-switched link


class SmsFailureStep(Enum):
    OTHER_PATH = auto()
    RETRY = auto()
    PERMANENT = auto()


# digest §8.7: RP causes on the UE
RP_CAUSES: Mapping[int, SmsFailureStep] = {
    **dict.fromkeys((21, 27, 28, 29, 30, 42, 47, 50, 69, 97), SmsFailureStep.OTHER_PATH),
    **dict.fromkeys((1, 8, 10, 11, 38, 81, 95, 96, 98, 99, 111, 127), SmsFailureStep.PERMANENT),
    41: SmsFailureStep.RETRY,
}


def failure_step(cause: int) -> SmsFailureStep:
    """Unknown causes count as 41, temporary failure (TS 24.011 §8.2.5.4)."""
    return RP_CAUSES.get(cause, SmsFailureStep.RETRY)


def count_parts(text: str, max_parts: int) -> int:
    """Short messages that *text* takes; 0 if more than *max_parts*, or if it is empty."""
    if len(text) <= _SHORTEST_CAPACITY // 2:  # even if every character is a surrogate pair
        return 1 if text else 0
    try:
        return len(split_text(text, reference=0, max_parts=max_parts).parts)
    except TooManyParts:
        return 0


class Submission:
    """One text on its way. *owner* is the caller's own object for it. *is_last_try*: what has left goes no more."""

    __slots__ = (
        "accepted_parts",
        "delivered_parts",
        "destination",
        "is_failed",
        "is_last_try",
        "owner",
        "part_count",
    )

    def __init__(self, destination: str, owner: object, part_count: int) -> None:
        self.destination = destination
        self.owner = owner
        self.part_count = part_count
        self.accepted_parts = self.delivered_parts = 0
        self.is_failed = self.is_last_try = False


@dataclass(frozen=True, slots=True)
class SendRp:
    """Send these octets. *call_id* is the Call-ID to use on the IP path; *in_reply_to* that of the MT it answers, and
    *to* the URI that the answer goes to ("" for the service centre). *owner* is that of the text that leaves."""

    octets: bytes
    path: SmsPath
    call_id: str = ""
    in_reply_to: str = ""
    to: str = ""
    reference: int = 0  # of the circuit-switched frame that it answers
    owner: object = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class SubmissionAccepted:
    """The service centre has every part."""

    submission: Submission
    path: SmsPath


@dataclass(frozen=True, slots=True)
class SubmissionFailed:
    """*cause* is the RP cause, None for no answer; or a status report said that it cannot be delivered."""

    submission: Submission
    cause: int | None


@dataclass(frozen=True, slots=True)
class SubmissionDelivered:
    """Status reports say that every part was delivered."""

    submission: Submission


Output = SendRp | SubmissionAccepted | SubmissionFailed | SubmissionDelivered


class _Part:
    """*tpdu* asks to reject duplicates (TP-RD) once it has been sent: no answer does not mean that nobody has it."""

    __slots__ = ("is_reported", "retries", "submission", "tpdu", "tried")

    def __init__(self, submission: Submission, tpdu: SmsSubmit) -> None:
        self.submission, self.tpdu = submission, tpdu
        self.retries = 0
        self.is_reported = False
        self.tried: set[SmsPath] = set()


class OutgoingMessages:
    """The sending side of one phone. *service_centre* is the number of the SMSC (E.164 with "+")."""

    __slots__ = (
        "_call_id",
        "_concatenation_reference",
        "_current",
        "_deadline",
        "_message_reference",
        "_path",
        "_policy",
        "_queue",
        "_reports",
        "_rp_reference",
        "_service_centre",
        "_tokens",
    )

    def __init__(self, policy: SmsPolicy, service_centre: str, tokens: Tokens) -> None:
        self._policy = policy
        self._service_centre = service_centre
        self._tokens = tokens
        self._rp_reference = tokens.number(0, 255)
        self._message_reference = tokens.number(0, 255)
        self._concatenation_reference = tokens.number(0, 0xFFFF)
        self._queue: list[_Part] = []
        self._current: _Part | None = None
        self._path = SmsPath.IP
        self._call_id = ""
        self._deadline: float | None = None
        self._reports: dict[tuple[int, str], Submission] = {}

    def set_service_centre(self, number: str) -> None:
        self._service_centre = number

    def submit(
        self, destination: str, text: str, owner: object, paths: tuple[SmsPath, ...], now: float
    ) -> tuple[Submission, list[Output]]:
        """Queues *text* for *destination* (E.164). *paths* are those available now, best first.

        Raises TooManyParts."""
        wide = self._policy.reference_bits == 16
        self._concatenation_reference = (self._concatenation_reference + 1) % (0x10000 if wide else 0x100)
        split = split_text(
            text,
            reference=self._concatenation_reference,
            wide_reference=wide,
            max_parts=255,
        )
        first = (self._message_reference + 1) % 256
        tpdus = submits_for(
            split,
            Address.international(destination),
            message_reference=first,
            validity=RelativeValidity.at_least(VALIDITY_S),
            status_report=self._policy.requests_status_report,
        )
        self._message_reference = (first + len(tpdus) - 1) % 256
        submission = Submission(destination, owner, len(tpdus))
        self._queue.extend(_Part(submission, tpdu) for tpdu in tpdus)
        return submission, self._send_next(paths, now)

    def take_back(self, destination: str) -> list[object]:
        """The owners of what waits for *destination*: no more parts of it leave the phone, nor one of them again."""
        waiting = [part.submission for part in self._queue if part.submission.destination == destination]
        self._queue = [part for part in self._queue if part.submission.destination != destination]
        if self._current is not None and self._current.submission.destination == destination:
            self._current.submission.is_last_try = True
        for submission in waiting:
            submission.is_failed = True
        return [submission.owner for submission in dict.fromkeys(waiting)]

    def answered(
        self, answer: RpAck | RpError, in_reply_to: str, paths: tuple[SmsPath, ...], now: float
    ) -> list[Output]:
        """RP-ACK or RP-ERROR from the network. One that belongs to no open transaction is dropped."""
        part = self._current
        if part is None or answer.reference != self._rp_reference or in_reply_to not in ("", self._call_id):
            return []
        if isinstance(answer, RpError) and not _says_duplicate(answer):
            return self._failed(part, answer.cause, paths, now)
        return self._accepted(part, paths, now)

    def _accepted(self, part: _Part, paths: tuple[SmsPath, ...], now: float) -> list[Output]:
        submission = part.submission
        submission.accepted_parts += 1
        path = self._path
        self._close()
        done: list[Output] = []
        if submission.accepted_parts == submission.part_count and not submission.is_failed:
            done.append(SubmissionAccepted(submission, path))
        return done + self._send_next(paths, now)

    def path_failed(self, call_id: str, paths: tuple[SmsPath, ...], now: float) -> list[Output]:
        """The MESSAGE with this Call-ID got no 2xx, or ("") the circuit-switched link gave the message back."""
        part = self._current
        if part is None or call_id != (self._call_id if self._path is SmsPath.IP else ""):
            return []
        return self._failed(part, None, paths, now)

    def reported(self, report: SmsStatusReport) -> list[Output]:
        """A status report. An interim one (still trying) changes nothing."""
        key = (report.message_reference, str(report.recipient))
        submission = self._reports.get(key)
        if submission is None or report.outcome is DeliveryOutcome.STILL_TRYING:
            return []
        del self._reports[key]
        part = self._current
        if part is not None and part.submission is submission and part.tpdu.message_reference == key[0]:
            part.is_reported = True  # the service centre had it, whatever became of its answer
        if report.outcome is DeliveryOutcome.FAILED:
            was_failed, submission.is_failed = submission.is_failed, True
            return [] if was_failed else [SubmissionFailed(submission, None)]
        submission.delivered_parts += 1
        return [SubmissionDelivered(submission)] if submission.delivered_parts == submission.part_count else []

    def wake(self, paths: tuple[SmsPath, ...], now: float) -> list[Output]:
        """A path has become available."""
        return self._send_next(paths, now)

    def next_deadline(self) -> float | None:
        return self._deadline

    def handle_deadline(self, paths: tuple[SmsPath, ...], now: float) -> list[Output]:
        """TR1M: no RP answer came (TS 24.011 §6.3.1.1)."""
        if self._current is None or self._deadline is None or now < self._deadline:
            return []
        return self._failed(self._current, None, paths, now)

    def _send_next(self, paths: tuple[SmsPath, ...], now: float) -> list[Output]:
        out: list[Output] = []
        while self._current is None and self._queue:
            part = self._queue.pop(0)
            if part.submission.is_failed:
                continue
            out += self._send(part, paths, now)
        return out

    def _send(self, part: _Part, paths: tuple[SmsPath, ...], now: float) -> list[Output]:
        path = next((each for each in paths if each not in part.tried), None)
        if path is None:
            return self._give_up(part, None)
        part.tried.add(path)
        return [self._open(part, path, now)]

    def _open(self, part: _Part, path: SmsPath, now: float) -> SendRp:
        self._rp_reference = (self._rp_reference + 1) % 256
        self._call_id = self._tokens.word() if path is SmsPath.IP else ""
        self._current, self._path, self._deadline = part, path, now + TR1M_S
        if part.tpdu.status_report_request:
            self._await_report(part)
        octets = RpData(
            Direction.FROM_MS, self._rp_reference, Address.international(self._service_centre), part.tpdu.encode()
        ).encode()
        part.tpdu = replace(part.tpdu, reject_duplicates=True)
        return SendRp(octets, path, self._call_id, owner=part.submission.owner)

    def _await_report(self, part: _Part) -> None:
        self._reports[part.tpdu.message_reference, part.submission.destination] = part.submission
        if len(self._reports) > MAX_REPORTS_AWAITED:
            del self._reports[next(iter(self._reports))]

    def _failed(self, part: _Part, cause: int | None, paths: tuple[SmsPath, ...], now: float) -> list[Output]:
        if part.is_reported:
            return self._accepted(part, paths, now)
        step = SmsFailureStep.OTHER_PATH if cause is None else failure_step(cause)
        path = self._path
        self._close()
        if part.submission.is_last_try:
            return self._give_up(part, cause) + self._send_next(paths, now)
        if step is SmsFailureStep.RETRY and part.retries < MAX_TEMPORARY_RETRIES:
            part.retries += 1
            return [self._open(part, path, now)]
        has_other = any(each not in part.tried for each in paths)
        if step is not SmsFailureStep.PERMANENT and has_other:
            return self._send(part, paths, now)
        return self._give_up(part, cause) + self._send_next(paths, now)

    def _give_up(self, part: _Part, cause: int | None) -> list[Output]:
        submission = part.submission
        was_failed, submission.is_failed = submission.is_failed, True
        if cause is not None:  # after silence the service centre may have it all the same, and report on it
            self._reports.pop((part.tpdu.message_reference, submission.destination), None)
        return [] if was_failed else [SubmissionFailed(submission, cause)]

    def _close(self) -> None:
        self._current, self._deadline, self._call_id = None, None, ""


def _says_duplicate(error: RpError) -> bool:
    """TP-FCS C5: the service centre has the message already (TS 23.040 §9.2.3.22)."""
    if error.user_data is None:
        return False
    try:
        report = parse_tpdu_to_ms(error.user_data, in_rp_error=True)
    except SmsParseError:
        return False
    return isinstance(report, SmsSubmitReport) and report.failure_cause == FailureCause.DUPLICATE
