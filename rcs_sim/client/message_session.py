"""One message session of a phone: its state, its call and its MSRP side held together (digest §4.5, §4.6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from ims_core.reference_points import LegEnd, LegEndKind, MediaLeg
from ims_core.wire.msrp.media import Direction, MediaRefused, MsrpMedia, Setup
from ims_core.wire.msrp.session_events import MessageFailed, MessageReceived, OutgoingMessage, Reported
from ims_core.wire.sdp import SessionDescription
from ims_core.wire.sip.call_outputs import (
    Answered,
    CallOutput,
    Confirmed,
    Ended,
    EndReason,
    Modified,
    ModifyRefused,
    Offered,
    Refused,
    Ringing,
)
from ims_core.wire.sip.message import Response
from ims_core.wire.sip.uri import Uri
from rcs_sim.client.alarms import Alarm, Alarms
from rcs_sim.client.calls import PhoneCall
from rcs_sim.client.capabilities import PeerTags
from rcs_sim.client.chat_session import ChatSession, SessionDo, SessionEnd, SessionInput, SessionState, SessionTimes
from rcs_sim.client.discovery import tags_of
from rcs_sim.client.fallback import Column, Outcome, RcsOutcome
from rcs_sim.client.identity import ContactKey
from rcs_sim.client.session_offer import (
    OfferRules,
    SessionOffer,
    make_answer,
    make_offer,
    read_answer,
    read_offer,
    reanswer,
)
from rcs_sim.client.session_sender import Carried, SessionOutcome

__all__ = ["MessageSession", "SessionOwner"]

_MEDIA_OUTCOMES = {
    LegEndKind.NOT_CONNECTED: (RcsOutcome.NOT_CONNECTED, SessionEnd.NOT_CONNECTED),
    LegEndKind.FINGERPRINT: (RcsOutcome.NOT_PROVEN, SessionEnd.NOT_PROVEN),
    LegEndKind.LOST: (RcsOutcome.SESSION_LOST, SessionEnd.LOST),
    LegEndKind.FAILED: (RcsOutcome.SESSION_LOST, SessionEnd.LOST),
}
_UNANSWERED = (SessionState.INVITING, SessionState.RINGING)


class SessionOwner(Protocol):
    """The service that a session belongs to."""

    alarms: Alarms
    rules: OfferRules
    times: SessionTimes

    def new_number(self) -> int:
        """Session id of an o= line."""
        ...

    def new_word(self) -> str: ...

    def invite_of(self, session: MessageSession, offer: bytes) -> PhoneCall: ...

    def accepts(self, session: MessageSession) -> bool:
        """Whether an invitation is answered at once."""
        ...

    def moved(self, session: MessageSession, why: str) -> None:
        """Its state has changed."""
        ...

    def established(self, session: MessageSession) -> None:
        """Offer and answer are known."""
        ...

    def received(self, session: MessageSession, message: MessageReceived) -> int:
        """A message: the MSRP status to answer it with."""
        ...

    def gone(self, session: MessageSession) -> None: ...

    def successor(self, session: MessageSession) -> MessageSession | None:
        """Of a session that is gone: the one with the same peer that takes what it carried."""
        ...

    def complain(self, what: str) -> None:
        """Something that the peer did goes into the trace."""
        ...


class MessageSession:
    """*is_ours*: this phone invited. What waits is sent in order once the session stands; whatever has no MSRP 200 when
    it ends is told what became of the session."""

    __slots__ = (
        "_alarm",
        "_end",
        "_is_receiving",
        "_made",
        "_offered",
        "_outcome",
        "_owner",
        "_queue",
        "_under_way",
        "call",
        "contribution_id",
        "conversation_id",
        "has_fewer_types",
        "is_large",
        "is_ours",
        "is_taken",
        "leg",
        "machine",
        "peer",
        "peer_tags",
        "peer_uri",
        "target",
    )

    def __init__(
        self,
        owner: SessionOwner,
        peer: ContactKey,
        *,
        is_ours: bool,
        conversation_id: str,
        contribution_id: str,
        is_large: bool = False,
        has_fewer_types: bool = False,
        target: Uri | None = None,
    ) -> None:
        self._owner = owner
        self.peer, self.is_ours, self.is_large = peer, is_ours, is_large
        self.conversation_id, self.contribution_id = conversation_id, contribution_id
        self.has_fewer_types, self.target = has_fewer_types, target
        self.is_taken = False  # the invitation is accepted, or about to be
        self.machine = ChatSession(owner.times)
        self.call: PhoneCall | None = None
        self.leg: MediaLeg | None = None
        self.peer_tags: PeerTags | None = None
        self.peer_uri: Uri | None = None
        self._alarm: Alarm = owner.alarms.new(self._rang)
        self._is_receiving = False  # what is submitted meanwhile leaves after the answer
        self._made: SessionOffer | None = None
        self._offered: tuple[SessionDescription, int, MsrpMedia] | None = None
        self._queue: list[Carried] = []
        self._under_way: dict[str, Carried] = {}
        self._outcome = SessionOutcome(RcsOutcome.SESSION_LOST, Column.MSRP)
        self._end = SessionEnd.NOT_NEEDED

    # --- what it is --------------------------------------------------------------------------------------------------

    @property
    def state(self) -> SessionState:
        return self.machine.state

    @property
    def is_pending(self) -> bool:
        """Whether our INVITE has no final answer."""
        return self.is_ours and self.state in _UNANSWERED

    @property
    def awaits_user(self) -> bool:
        """Whether it rings here."""
        return not self.is_ours and self.state is SessionState.RINGING

    @property
    def is_chat(self) -> bool:
        """Whether it can carry a conversation in both directions."""
        made = self._made
        return not self.is_large and (made is None or made.local.direction is Direction.SENDRECV)

    @property
    def carries_receipts(self) -> bool:
        return self.machine.is_established and self.is_chat

    # --- orders ------------------------------------------------------------------------------------------------------

    def invite(self) -> None:
        """Sends the INVITE; the leg is there."""
        leg = self.leg
        if leg is None or self.state is not SessionState.INVITING:
            return
        made = self._made = make_offer(
            leg,
            self._owner.rules,
            self._owner.new_number(),
            is_large=self.is_large,
            has_fewer_types=self.has_fewer_types,
        )
        leg.expect(made.local)
        call = self.call = self._owner.invite_of(self, made.octets)
        call.start()

    def offered(self, call: PhoneCall, offer: tuple[SessionDescription, int, MsrpMedia] | None) -> None:
        """An INVITE came; *offer* is None if it asks for ours."""
        self.call = call
        self._offered = offer
        self.is_large = offer is not None and offer[2].direction is Direction.SENDONLY
        call.user = self
        self._step(SessionInput.OFFER)

    def accept(self) -> None:
        """200 to the invitation."""
        call, leg = self.call, self.leg
        if call is None or leg is None or not self.awaits_user:
            return
        rules, number = self._owner.rules, self._owner.new_number()
        try:
            if self._offered is None:
                made = make_offer(leg, rules, number)
                leg.expect(made.local)
            else:
                made = make_answer(leg, rules, self._offered, number)
        except MediaRefused as refusal:
            self.refuse(refusal.status, SessionEnd.REFUSED)
            return
        self._made = made
        self._offered = None
        call.answer(made.octets)
        self._step(SessionInput.ANSWER)
        if made.remote is not None:
            self._open(made, made.remote, is_offerer=False)

    def refuse(self, status: int, end: SessionEnd) -> None:
        """A final answer to the invitation other than 200."""
        call = self.call
        if call is not None and self.awaits_user:
            call.user = self
            call.refuse(status)
            self._over(SessionInput.REFUSED, SessionOutcome(status, Column.INVITE), end)

    def submit(self, item: Carried) -> None:
        """Something to send, now or when the session stands."""
        if len(item.body) > self._owner.rules.max_octets:
            self._later(item, SessionOutcome(413, Column.MSRP))
        elif self._is_flowing and not self._is_receiving:
            self._hand_over(item)
        else:
            self._queue.append(item)

    def send_unanswered(self, message: OutgoingMessage) -> None:
        """Something that is not missed if it is lost."""
        if self._is_flowing and self.leg is not None:
            self.leg.send(message)

    def take_back(self, is_meant: Callable[[Carried], bool]) -> list[Carried]:
        """What was not handed over yet; nobody is told what becomes of it."""
        found = [each for each in self._queue if is_meant(each)]
        self._queue = [each for each in self._queue if not is_meant(each)]
        return found

    def leave(self, end: SessionEnd) -> list[Carried]:
        """It is not needed any more, and ends after outstanding answers. What was not handed over yet goes back."""
        queue, self._queue = self._queue, []
        self._end = end
        self._step(SessionInput.LEAVE)
        return queue

    def link_lost(self) -> None:
        """Our INVITE will have no answer."""
        outcome = SessionOutcome(RcsOutcome.LINK_FAILED, Column.INVITE)
        self._over(SessionInput.MEDIA_ENDED, outcome, SessionEnd.LINK_LOST)

    def fall_silent(self) -> None:
        """The battery is out: nothing is done any more, and nothing that comes is answered."""
        self._alarm.set(None)
        self._queue.clear()
        self._under_way.clear()
        self.machine.state, self.machine.deadline = SessionState.ENDED, None

    def drop(self) -> None:
        """The phone leaves the network in order: BYE, and nothing is told to anybody here."""
        call, leg = self.call, self.leg
        self.fall_silent()
        if leg is not None:
            leg.close()
        if call is not None:
            call.hang_up()

    # --- the table ---------------------------------------------------------------------------------------------------

    def _step(self, given: SessionInput) -> None:
        before = self.state
        self._do(self.machine.step(given, self._owner.alarms.now()))
        self._moved(before)

    def _moved(self, before: SessionState) -> None:
        self._alarm.set(self.machine.deadline)
        if self.state is not before and self.state is not SessionState.ENDED:
            self._owner.moved(self, "")

    def _do(self, action: SessionDo) -> None:
        match action:
            case SessionDo.RING_OR_ANSWER:
                if not self._owner.accepts(self) and self.call is not None:
                    self.call.ring()
            case SessionDo.CONNECT:
                self._owner.established(self)
                if not self._owner.rules.policy.writes_bare_first_send:
                    self._flush()
            case SessionDo.WATCH:
                self._flush()
            case SessionDo.DRAIN:
                self._check_drained()
            case SessionDo.HANG_UP:
                if self.call is not None:
                    self.call.hang_up()
                self._finish()
            case SessionDo.END:
                self._finish()
            case SessionDo.SEND_INVITE | SessionDo.NOTHING:
                pass  # the service makes the leg first

    def begin(self) -> None:
        """INVITING, before there is a leg."""
        self._step(SessionInput.INVITE)

    def without_port(self) -> None:
        """There is no MSRP stack to be had."""
        if self.call is not None and self.awaits_user:
            self.refuse(488, SessionEnd.NOT_CONNECTED)
        else:
            outcome = SessionOutcome(RcsOutcome.NOT_CONNECTED, Column.MSRP)
            self._over(SessionInput.MEDIA_ENDED, outcome, SessionEnd.NOT_CONNECTED)

    def _over(self, given: SessionInput, outcome: SessionOutcome, end: SessionEnd) -> None:
        """An input that ends it, with what that means to what it carries."""
        if self.state is not SessionState.ENDED:
            self._outcome, self._end = outcome, end
            self._step(given)

    def _finish(self) -> None:
        self._alarm.set(None)
        self.machine.deadline = None
        if self.leg is not None:
            self.leg.close()
        outcome = replace(self._outcome, tags=self.peer_tags)
        lost = [*self._under_way.values(), *self._queue]
        self._under_way.clear()
        self._queue = []
        self._owner.moved(self, self._end.value)
        self._owner.gone(self)
        has_left = self._end is SessionEnd.PEER_LEFT  # one of several that crossed, if another one stands
        successor = self._owner.successor(self) if has_left else None
        for item in lost:
            if successor is None:
                item.settled(outcome)
            else:
                successor.submit(item)

    def _rang(self, now: float) -> None:
        before = self.state
        column, outcome, end = Column.MSRP, RcsOutcome.SESSION_LOST, SessionEnd.IDLE
        if before in _UNANSWERED:
            column, outcome, end = Column.INVITE, RcsOutcome.NOT_ANSWERED, SessionEnd.NOT_ANSWERED
        elif before is SessionState.CONNECTING:
            outcome, end = RcsOutcome.NOT_CONNECTED, SessionEnd.NOT_CONNECTED
        elif before is SessionState.CLOSING:
            end = self._end
        is_busy = bool(self._under_way or self._queue)
        if self.machine.deadline is not None and now >= self.machine.deadline:
            self._outcome, self._end = SessionOutcome(outcome, column), end
        self._do(self.machine.handle_deadline(now, is_busy=is_busy))
        self._moved(before)

    # --- messages ----------------------------------------------------------------------------------------------------

    @property
    def _is_flowing(self) -> bool:
        if self.state is SessionState.CONNECTING:
            return not self._owner.rules.policy.writes_bare_first_send
        return self.state is SessionState.OPEN

    def _flush(self) -> None:
        queue, self._queue = self._queue, []
        for item in queue:
            self._hand_over(item)

    def _hand_over(self, item: Carried) -> None:
        leg = self.leg
        if leg is None:
            self._queue.append(item)
            return
        msrp_id = self._owner.new_word()
        self._under_way[msrp_id] = item
        leg.send(item.outgoing(msrp_id))

    def _later(self, item: Carried, outcome: SessionOutcome) -> None:
        """Settled in the next turn of the clock: whoever submits is not called back from within."""
        alarm = self._owner.alarms.new(lambda now: item.settled(outcome))
        alarm.set(self._owner.alarms.now())

    def _settle(self, msrp_id: str, outcome: Outcome) -> None:
        item = self._under_way.pop(msrp_id, None)
        if item is None:
            return
        self.machine.traffic(self._owner.alarms.now())
        self._alarm.set(self.machine.deadline)
        item.settled(SessionOutcome(outcome, Column.MSRP, None, self.peer_tags))
        if self.is_large and self.state in (SessionState.CONNECTING, SessionState.OPEN):
            self._end = SessionEnd.NOT_NEEDED
            self._step(SessionInput.LEAVE)
        self._check_drained()

    def _check_drained(self) -> None:
        if self.state is SessionState.CLOSING and not self._under_way and not self._queue:
            self._step(SessionInput.DRAINED)

    # --- MediaLegUser ------------------------------------------------------------------------------------------------

    def bound(self, leg: MediaLeg) -> None:
        if self.state is SessionState.CONNECTING:
            self._step(SessionInput.BOUND)

    def received(self, leg: MediaLeg, message: MessageReceived) -> None:
        if self.state is SessionState.ENDED:
            return
        self.bound(leg)
        self.machine.traffic(self._owner.alarms.now())
        self._alarm.set(self.machine.deadline)
        self._is_receiving = True
        try:
            status = self._owner.received(self, message)
        finally:
            self._is_receiving = False
        leg.settle(message.delivery, status)
        if self._is_flowing:
            self._flush()

    def sent(self, leg: MediaLeg, message_id: str) -> None:
        self._settle(message_id, 200)

    def failed(self, leg: MediaLeg, failure: MessageFailed) -> None:
        """What may be sent again waits for what the end of the session says."""
        if not failure.reason.is_resendable:
            self._settle(failure.message_id, failure.status)

    def reported(self, leg: MediaLeg, report: Reported) -> None:
        """A success says no more than 200 does; a failure comes as `failed` too."""

    def ended(self, leg: MediaLeg, end: LegEnd) -> None:
        outcome, why = _MEDIA_OUTCOMES[end.kind]
        if end.kind is LegEndKind.FAILED and self.state is SessionState.CONNECTING:
            outcome, why = RcsOutcome.NOT_CONNECTED, SessionEnd.NOT_CONNECTED
        self._owner.complain(f"message session: {end.kind.value}: {end.why}")
        is_by_connection = end.kind is not LegEndKind.FINGERPRINT
        settled = SessionOutcome(outcome, Column.MSRP, is_by_connection=is_by_connection)
        self._over(SessionInput.MEDIA_ENDED, settled, why)

    # --- CallUser ----------------------------------------------------------------------------------------------------

    def told(self, event: CallOutput) -> None:
        match event:
            case Ringing():
                self._step(SessionInput.PROVISIONAL)
            case Answered():
                self._answered(event.response)
            case Confirmed():
                self._confirmed(event)
            case Refused():
                self._refused(event)
            case Ended():
                self._call_ended(event)
            case Offered() if self.call is not None:
                self._offered_again(event, self.call)
            case Modified() if self._made is not None:
                self._use_answer(self._made, event.response.body)
            case ModifyRefused() if self.state is SessionState.CONNECTING:
                outcome = SessionOutcome(RcsOutcome.NOT_CONNECTED, Column.MSRP)
                self._over(SessionInput.MEDIA_ENDED, outcome, SessionEnd.NOT_CONNECTED)
            case _:
                pass

    def _answered(self, response: Response) -> None:
        made = self._made
        self.peer_tags = tags_of(response)
        if made is None or self.state not in _UNANSWERED:
            return
        self._step(SessionInput.ANSWER)
        self._use_answer(made, response.body)

    def _confirmed(self, event: Confirmed) -> None:
        """The ACK, with the answer where the offer was ours."""
        made = self._made
        if made is not None and made.remote is None:
            self._use_answer(made, event.ack.body if event.ack is not None else b"")

    def _use_answer(self, made: SessionOffer, body: bytes) -> None:
        try:
            remote = read_answer(made, body)
        except MediaRefused as refusal:
            self._unusable(refusal)
            return
        self._open(made, remote, is_offerer=True)

    def _open(self, made: SessionOffer, remote: MsrpMedia, *, is_offerer: bool) -> None:
        self._made = SessionOffer(made.octets, made.local, remote)
        if self.leg is None:
            return
        try:
            self.leg.open(made.local, remote, is_offerer=is_offerer)
        except MediaRefused as refusal:
            if refusal.is_cema_in_the_way and is_offerer and made.local.has_cema and self.call is not None:
                self._offer_without_cema(made, self.call)
            else:
                self._unusable(refusal)

    def _offer_without_cema(self, made: SessionOffer, call: PhoneCall) -> None:
        """RFC 6714 §4.2: an anchor that knows no CEMA stands in the path of the answer."""
        again = self._made = made.without_cema()
        call.reinvite(again.octets)

    def _unusable(self, refusal: MediaRefused) -> None:
        self._owner.complain(f"message session: {refusal.why}")
        outcome = SessionOutcome(RcsOutcome.NOT_CONNECTED, Column.MSRP)
        self._over(SessionInput.MEDIA_ENDED, outcome, SessionEnd.UNUSABLE)

    def _refused(self, event: Refused) -> None:
        outcome: Outcome = event.status
        if event.response is None:
            outcome = RcsOutcome.TIMED_OUT if event.status == 408 else RcsOutcome.LINK_FAILED
        self._over(SessionInput.REFUSED, SessionOutcome(outcome, Column.INVITE, event.response), SessionEnd.REFUSED)

    def _call_ended(self, event: Ended) -> None:
        end = SessionEnd.CANCELLED if event.reason is EndReason.CANCELLED else SessionEnd.PEER_LEFT
        is_connecting = self.state is SessionState.CONNECTING  # the peer could not connect, or did not want to
        outcome = RcsOutcome.NOT_CONNECTED if is_connecting else RcsOutcome.SESSION_LOST
        self._over(SessionInput.PEER_ENDED, SessionOutcome(outcome, Column.MSRP), end)

    def _offered_again(self, event: Offered, call: PhoneCall) -> None:
        """A refresh is answered with what stands; the session cannot be moved to another path (choice)."""
        made = self._made
        body = event.request.body
        try:
            if made is None or made.remote is None:
                call.refuse(491)
            elif not body:
                call.answer(made.as_offer().octets if event.request.method == "INVITE" else b"")
            else:
                again = reanswer(made, read_offer(body), is_active=self._is_active(made))
                self._made = again
                call.answer(again.octets)
        except MediaRefused as refusal:
            self._owner.complain(f"{event.request.method} refused: {refusal.why}")
            call.refuse(refusal.status)

    def _is_active(self, made: SessionOffer) -> bool:
        """Whether this side connected."""
        remote = made.remote
        return made.local.setup is Setup.ACTIVE or (remote is not None and remote.setup is Setup.PASSIVE)
