"""Requests of the encryption plane: carried in the conversation, answered by its focus (RCC.16 §6.1.2, §7.9, §7.10).

How they are carried and answered is ours (choice: digest RCC.16 §14.1). A transport answer says only that a request
came whole; what became of it is said by the focus, within 20 s, or is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from ims_core.transport.sip_stack import Outcome
from ims_core.wire.sip.message import Request, Response
from rcs_sim.client.alarms import Alarm
from rcs_sim.client.conversation import Conversation
from rcs_sim.client.messenger import Messenger
from rcs_sim.client.pager import date_time_of, message_headers
from rcs_sim.client.session_sender import ControlCarried, SessionOutcome
from rcs_sim.e2ee.client_message import MlsGroupInfo
from rcs_sim.e2ee.content_types import MlsContentType
from rcs_sim.e2ee.enhanced_group_info import MlsEnhancedGroupInfo
from rcs_sim.e2ee.member.commit_verdict import FocusRefusal
from rcs_sim.e2ee.server_message import AcceptedMessage
from rcs_sim.wire.cpim import ANONYMOUS_URI, CPIM_CONTENT_TYPE, compose_cpim
from rcs_sim.wire.cpim_header import CpimHeader

__all__ = ["ANSWER_S", "ControlAnswer", "ControlChannel", "ControlRequest", "NoAnswer"]

PAGER_OCTETS = 1300  # a CPIM of so many octets goes in a session (digest RCC.16 §14.1)
ANSWER_S = 20.0  # after that the outcome is unknown
SESSION_AFTER_S = 6.0  # a pull without an answer is sent again in a session of this device (choice)
RETRY_S = 3.0  # between two attempts to hand the same octets over
MAX_ATTEMPTS = 3


class NoAnswer(Enum):
    """The focus has not answered."""

    NOT_DELIVERED = auto()  # it cannot have the request
    UNKNOWN = auto()  # it may have it


ControlAnswer: TypeAlias = AcceptedMessage | FocusRefusal | MlsGroupInfo | MlsEnhancedGroupInfo | NoAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRequest:
    """One request: *control_id* is its imdn.Message-ID, *headers* the MLS headers beside it; *sender* and *recipient*
    are CPIM From and To."""

    control_id: str
    body: bytes
    content_type: MlsContentType = MlsContentType.CLIENT
    headers: Iterable[CpimHeader] = ()
    sender: str = ANONYMOUS_URI
    recipient: str = ANONYMOUS_URI


class _Pending:
    """A request that is under way."""

    __slots__ = (
        "alarm",
        "attempts",
        "conversation",
        "cpim",
        "is_for_peer",
        "is_notice",
        "is_taken",
        "on_answer",
        "tries_again",
        "wants_session",
    )

    def __init__(
        self,
        conversation: Conversation,
        cpim: bytes,
        on_answer: Callable[[ControlAnswer], None],
        *,
        is_for_peer: bool = False,
        is_notice: bool = False,
        wants_session: bool = False,
    ) -> None:
        self.conversation, self.cpim, self.on_answer = conversation, cpim, on_answer
        self.is_notice = is_notice
        self.wants_session = wants_session
        self.is_for_peer = is_for_peer
        self.attempts = 0
        self.is_taken = False
        self.tries_again = False
        self.alarm: Alarm | None = None


class ControlChannel:
    """The requests of one phone. Each gets exactly one answer; those under way when the power goes get none."""

    __slots__ = ("_messenger", "_pending")

    def __init__(self, messenger: Messenger) -> None:
        self._messenger = messenger
        self._pending: dict[str, _Pending] = {}

    def send(
        self,
        conversation: Conversation,
        request: ControlRequest,
        on_answer: Callable[[ControlAnswer], None],
        *,
        is_for_peer: bool = False,
    ) -> None:
        """Sends *request* in *conversation*; *on_answer* is called later, never from within. What is *for the peer* has
        no other answer than that of the transport, which counts as an acceptance.

        What answers a pull does not fit into a MESSAGE, and of several devices of a user one takes the session that the
        focus opens, which need not be the one that has asked: it asks again in a session of its own."""
        is_pull = request.content_type is MlsContentType.GROUP_INFO_REQUEST
        cpim = self._compose(request)
        pending = _Pending(conversation, cpim, on_answer, is_for_peer=is_for_peer, wants_session=is_pull)
        self._pending[request.control_id] = pending
        alarm = pending.alarm = self._messenger.alarms.new(lambda now: self._rang(request.control_id, now))
        alarm.set(self._messenger.alarms.now() + (SESSION_AFTER_S if is_pull else ANSWER_S))
        self._hand_over(request.control_id, pending)

    def notify(
        self,
        conversation: Conversation,
        cpim: bytes,
        *,
        in_session: bool = False,
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        """Sends the CPIM of something that nobody answers: a failure report, or a copy. It is for all devices of the
        peer: in pager mode each gets it, of a session one may be the only one to know (choice). *lost* is called if it
        is taken in neither way."""
        pending = _Pending(conversation, cpim, lambda answer: lost(), is_notice=True)
        if in_session:
            self._notice_in_session(pending)
        else:
            self._hand_over("", pending)

    def _notice_in_session(self, pending: _Pending) -> None:
        """The second way, if it was not the first: there is no third."""
        if pending.attempts > 1 or self._messenger.sessions is None:
            pending.on_answer(NoAnswer.NOT_DELIVERED)
            return
        pending.attempts = 2
        self._in_session("", pending)

    def answered(self, control_id: str, answer: ControlAnswer) -> bool:
        """The focus has answered; False if no such request is under way."""
        pending = self._pending.pop(control_id, None)
        if pending is None:
            return False
        if pending.alarm is not None:
            pending.alarm.set(None)
        pending.on_answer(answer)
        return True

    def is_pending(self, control_id: str) -> bool:
        return control_id in self._pending

    def power_lost(self) -> None:
        """Nothing is under way any more."""
        for pending in self._pending.values():
            if pending.alarm is not None:
                pending.alarm.set(None)
        self._pending.clear()

    # --- inside ------------------------------------------------------------------------------------------------------

    def _compose(self, request: ControlRequest) -> bytes:
        return compose_cpim(
            sender=request.sender,
            recipient=request.recipient,
            message_id=request.control_id,
            date_time=date_time_of(self._messenger.alarms.wall()),
            body=request.body,
            content_type=request.content_type,
            disposition_notification=("negative-delivery",),
            extra=request.headers,
        )

    def _hand_over(self, control_id: str, pending: _Pending) -> None:
        messenger, peer = self._messenger, pending.conversation.peer
        pending.attempts += 1
        pending.tries_again = False
        sessions, pager = messenger.sessions, messenger.pager
        wants_session = messenger.is_session_only or (sessions is not None and sessions.has_session(peer))
        is_small = len(pending.cpim) < PAGER_OCTETS
        if pager is not None and is_small and (pending.is_notice or not wants_session):
            self._by_pager(control_id, pending)
        elif sessions is not None:
            self._in_session(control_id, pending)
        else:
            self._not_taken(control_id, pending)

    def _in_session(self, control_id: str, pending: _Pending) -> None:
        sessions = self._messenger.sessions
        if sessions is not None:
            carried = ControlCarried(pending.cpim, lambda outcome: self._carried(control_id, pending, outcome))
            sessions.carry(pending.conversation, carried)

    def _by_pager(self, control_id: str, pending: _Pending) -> None:
        pager = self._messenger.pager
        if pager is None:
            return
        conversation = pending.conversation
        headers = message_headers(conversation.id, self._messenger.tokens.uuid())

        def settle(outcome: Outcome, _sent: Request) -> None:
            if isinstance(outcome, Response) and outcome.status < 300:
                self._taken(control_id, pending)
            else:
                self._not_taken(control_id, pending)

        pager.send_octets(conversation.peer, headers, pending.cpim, CPIM_CONTENT_TYPE, settle)

    def _carried(self, control_id: str, pending: _Pending, outcome: SessionOutcome) -> None:
        if outcome.outcome == 200:
            self._taken(control_id, pending)
        else:
            self._not_taken(control_id, pending)

    def _taken(self, control_id: str, pending: _Pending) -> None:
        pending.is_taken = True
        if pending.is_for_peer and self._pending.get(control_id) is pending:
            self.answered(control_id, AcceptedMessage(control_id))

    def _not_taken(self, control_id: str, pending: _Pending) -> None:
        """Not processed: the same octets are handed over again after a pause (choice)."""
        if pending.is_notice:
            self._notice_in_session(pending)
            return
        alarm = pending.alarm
        if alarm is None or self._pending.get(control_id) is not pending:
            return
        pending.tries_again = pending.attempts < MAX_ATTEMPTS
        alarm.set(self._messenger.alarms.now() + (RETRY_S if pending.tries_again else 0.0))

    def _rang(self, control_id: str, now: float) -> None:
        pending = self._pending.get(control_id)
        if pending is None or pending.alarm is None:
            return
        if pending.wants_session and not pending.tries_again:
            pending.wants_session = False
            pending.alarm.set(now + ANSWER_S - SESSION_AFTER_S)
            self._in_session(control_id, pending)
            return
        if pending.tries_again:
            pending.alarm.set(now + ANSWER_S)
            self._hand_over(control_id, pending)
            return
        gave_up = not pending.is_taken and pending.attempts >= MAX_ATTEMPTS
        self.answered(control_id, NoAnswer.NOT_DELIVERED if gave_up else NoAnswer.UNKNOWN)
