"""A chat session between a user of ours and somebody else: a B2BUA of messages (digest §4.8, §15.5, §17.3).

Toward its own user the server is answerable: what the leg to the user does not take goes to the terminating delivery,
which knows other devices and the store. Away from the user the sender learns what the next leg answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from ims_core.reference_points import LegEnd
from ims_core.store.record_table import StoreError
from ims_core.wire.msrp.session_events import MessageFailed, MessageReceived, OutgoingMessage, Reported
from ims_core.wire.sip.call_outputs import Ended, EndReason
from ims_core.wire.sip.message import Request, Response
from rcs_sim.server.device_offer import DeviceOffer
from rcs_sim.server.duplicate_filter import MessageKey, Sighting
from rcs_sim.server.messaging_actions import SendRequest
from rcs_sim.server.pager_content import ContentKind, ContentRefused, PagerContent, read_content
from rcs_sim.server.passing_message import PassingMessage, Said
from rcs_sim.server.server_notices import compose_notice
from rcs_sim.server.session_leg import SessionLeg
from rcs_sim.server.session_lifetime import (
    CHAT_IGNORED,
    CHAT_TRANSITIONS,
    ChatAction,
    ChatInput,
    ChatState,
    Drain,
    Farewell,
    IdleWatch,
    Parting,
    Patience,
)
from rcs_sim.server.session_parties import SessionParties
from rcs_sim.server.session_passage import Passage, PassageState, outgoing_of, status_for_sender, unanswered
from rcs_sim.server.session_reports import ReportBook
from rcs_sim.server.session_saying import SayingBook
from rcs_sim.server.session_services import SessionServices
from rcs_sim.wire.cpim import CPIM_CONTENT_TYPE
from rcs_sim.wire.imdn import IMDN_CONTENT_TYPE, Imdn, ImdnKind, ImdnStatus

__all__ = ["ChatSession"]

_BROKEN = 'SIP;cause=503;text="MSRP connection lost"'
_BY_PEER = (EndReason.PEER_HUNG_UP, EndReason.CANCELLED)
_RESENDABLE = (408, 481)
_BYE_TRAVELS_S = 1.0
_COPIED = (ContentKind.CHAT, ContentKind.RECEIPT)


class ChatSession:
    """Owner of its legs. *user_leg* is None in a session that the server took for an absent user, *net_leg* in one that
    it opened itself to hand something out."""

    carries_encryption: ClassVar[bool] = True

    __slots__ = (
        "_idle",
        "_offers",
        "_parting",
        "_passages",
        "_reports",
        "_saying",
        "_sent",
        "_services",
        "_state",
        "last_traffic",
        "net_leg",
        "on_close",
        "parties",
        "user_leg",
    )

    def __init__(
        self,
        services: SessionServices,
        parties: SessionParties,
        *,
        user_leg: SessionLeg | None,
        net_leg: SessionLeg | None,
        now: float,
        stands: bool = True,
    ) -> None:
        """*stands*: it is the chat of the two, in the place of the one before; others may be beside it."""
        self._services = services
        self.parties = parties
        self.user_leg = user_leg
        self.net_leg = net_leg
        self.last_traffic = now
        self._state = ChatState.OPEN
        self._passages: set[Passage] = set()
        self._sent: dict[tuple[bool, str], Passage] = {}  # by direction and Message-ID
        self._reports = ReportBook()
        self._saying = SayingBook()
        self._idle: IdleWatch | None = None
        self._offers: dict[str, tuple[DeviceOffer, Request]] = {}  # what is handed out here, by Message-ID
        self.on_close: Callable[[], None] | None = None
        self._parting: SessionLeg | None = None  # to a device that closed its connection: its BYE may be on the way
        for leg in self._legs():
            leg.owner = self
        if stands:
            services.book.stand(parties.pair, self, now)
        self._watch_idleness(now)

    @property
    def state(self) -> ChatState:
        return self._state

    @property
    def has_both_legs(self) -> bool:
        return self.user_leg is not None and self.net_leg is not None

    def _legs(self) -> list[SessionLeg]:
        return [leg for leg in (self.user_leg, self.net_leg, self._parting) if leg is not None]

    # -- messages ----------------------------------------------------------------------------------------------------

    def message_received(self, leg: SessionLeg, message: MessageReceived, now: float) -> None:
        self.last_traffic = now
        try:
            content = read_content(message.content_type, message.body)
        except ContentRefused as refusal:
            self._note("message refused", refusal.text)
            leg.settle(message.delivery, status_for_sender(refusal.status))
            return
        if leg.is_to_user:
            self._from_user(leg, message, content, now)
        else:
            self._from_peer(leg, message, content, now)

    def _from_user(self, leg: SessionLeg, message: MessageReceived, content: PagerContent, now: float) -> None:
        services = self._services
        if content.kind is ContentKind.CHAT and not services.rate.allows(self.parties.user.key, now):
            self._note("message refused", "too many messages in a short time", content.message_id)
            leg.settle(message.delivery, 403)
            return
        if self._is_taken(leg, content, now):
            leg.settle(message.delivery)
            return
        if content.kind is ContentKind.RECEIPT and self.net_leg is not None:  # a MESSAGE is looked at on its way
            self._match_receipts(leg, message, content, now)
        self._go_to_peer(self._begin(leg, message, content), now)

    def _go_to_peer(self, passage: Passage, now: float) -> None:
        if self.net_leg is None:
            self._send_without_leg(passage, now)
        elif not self.net_leg.is_up:
            self._settle(passage, 481, now)
        else:
            self._send_on(self.net_leg, passage, now)

    def _match_receipts(self, leg: SessionLeg, message: MessageReceived, content: PagerContent, now: float) -> None:
        parties = self.parties
        request = parties.from_user(message.content_type, message.body, self._services.context)
        self._services.originating.match_receipts(
            request, parties.user, content, parties.peer_key, now, instance=leg.instance
        )

    def _from_peer(self, leg: SessionLeg, message: MessageReceived, content: PagerContent, now: float) -> None:
        is_up = self.user_leg is not None and self.user_leg.is_up
        if content.kind is ContentKind.TYPING and not is_up:
            leg.settle(message.delivery)  # of no use to anybody later (digest §5.2)
            return
        if self._is_taken(leg, content, now):
            leg.settle(message.delivery)
            return
        if self._is_repeated(leg, message, content, now):
            return
        self._go_to_user(self._begin(leg, message, content), now)

    def _is_taken(self, leg: SessionLeg, content: PagerContent, now: float) -> bool:
        """Whether the focus of the conversation, which is here, has taken it, or no phone may say that."""
        focus, parties = self._services.context.ways.focus, self.parties
        if focus is None or not self.carries_encryption or not focus.looks_at(content, is_from_user=leg.is_to_user):
            return False
        passing = PassingMessage(
            parties.user, parties.peer_key, content, leg.is_to_user, parties.ids, self, leg.instance
        )
        return focus.takes(passing, now)

    def say(self, content_type: str, body: bytes, said: Said, now: float, *, to_user: bool) -> bool:
        """Something that the server itself says. False if that leg is not up."""
        leg = self.user_leg if to_user else self.net_leg
        if self._state is not ChatState.OPEN or leg is None or not leg.is_up:
            return False
        self.last_traffic = now
        self._saying.say(leg, self._services.context.tokens.word(), content_type, body, said)
        return True

    def _go_to_user(self, passage: Passage, now: float) -> None:
        content, user_leg = passage.content, self.user_leg
        key = self._key(content)
        if key is not None:
            self._services.pending[key] = passage
        if (
            user_leg is None
            or not user_leg.is_up
            or content.kind is ContentKind.REVOCATION
            or self._has_backlog(user_leg)
        ):
            self._send_elsewhere(passage, now)
        else:
            self._send_on(user_leg, passage, now)

    def begin_with(self, body: bytes, opener: SessionLeg, now: float) -> None:
        """The first message, which came with the INVITE: *body* is CPIM that can be read."""
        message = unanswered(self._services.context.tokens.word(), CPIM_CONTENT_TYPE, body)
        content = read_content(CPIM_CONTENT_TYPE, body)
        key = self._key(content)
        if self._is_taken(opener, content, now):
            return
        if not opener.is_to_user and key is not None and self._is_known(key, now):
            return
        passage = self._begin(opener, message, content)
        passage.waiting.clear()
        passage.is_told_by_receipt = opener.is_to_user and bool(content.message_id)
        (self._go_to_peer if opener.is_to_user else self._go_to_user)(passage, now)

    def _is_known(self, key: MessageKey, now: float) -> bool:
        return key in self._services.pending or self._services.context.seen.get(key, now) is not None

    def _has_backlog(self, user_leg: SessionLeg) -> bool:
        """Whether something waits for the device already: what is new waits behind it (F02)."""
        return self._services.forward.has_backlog(self.parties.user.key, user_leg.instance)

    def _key(self, content: PagerContent) -> MessageKey | None:
        if not content.message_id:
            return None
        return self.parties.peer_key, content.message_id, self.parties.user.key

    def _is_repeated(self, leg: SessionLeg, message: MessageReceived, content: PagerContent, now: float) -> bool:
        """P06: settled without another delivery; while the first is pending it gets the answer of that."""
        key, services = self._key(content), self._services
        if key is None:
            return False
        pending = services.pending.get(key)
        if pending is not None:
            pending.join(leg, message.delivery)
            return True
        if services.context.seen.get(key, now) is None:
            return False
        self._note("duplicate dropped", "seen from this sender before", content.message_id)
        leg.settle(message.delivery)
        return True

    # -- handing out -------------------------------------------------------------------------------------------------

    def reaches(self, instance: str) -> bool:
        """Whether messages for that device can be handed out in this session."""
        leg = self.user_leg
        return self._state is ChatState.OPEN and leg is not None and leg.is_up and leg.instance == instance

    def hand_out(self, offer: DeviceOffer, template: Request, now: float) -> None:
        """A message for the user's device; *offer* learns its outcome, unless it was given up meanwhile."""
        leg, message_id = self.user_leg, self._services.context.tokens.word()
        if leg is None:
            offer.finished(480, None, now)
            return
        self.last_traffic = now
        for known, (before, other) in self._offers.items():
            if other is template:  # still on its way by an offer that was given up
                self._offers[known] = (offer, template)
                before.finished(408, None, now)
                return
        self._offers[message_id] = (offer, template)
        leg.send(OutgoingMessage(message_id, template.text("Content-Type") or "", template.body))

    def _handed_out(self, message_id: str, status: int, now: float) -> bool:
        """Whether the outcome was that of such a message."""
        found = self._offers.pop(message_id, None)
        if found is not None:
            found[0].finished(status, None, now)
        return found is not None

    # -- ways --------------------------------------------------------------------------------------------------------

    def _begin(self, leg: SessionLeg, message: MessageReceived, content: PagerContent) -> Passage:
        passage = Passage(leg, message, content)
        self._passages.add(passage)
        return passage

    def _send_on(self, leg: SessionLeg, passage: Passage, now: float) -> None:
        """On the next leg."""
        message = passage.message
        message_id = message.message_id
        if (leg.is_to_user, message_id) in self._sent:
            message_id = self._services.context.tokens.word()
        self._sent[leg.is_to_user, message_id] = passage
        self._reports.expect((leg.is_to_user, message_id), message, passage.waiting)
        if leg.is_to_user and passage.content.kind is not ContentKind.TYPING:
            config = self._services.context.config
            patience_s = config.session_answer_s + len(message.body) / config.session_slowest_octets_per_s
            self._services.context.deadlines.arm(now + patience_s, Patience(self, leg, passage))
        leg.send(outgoing_of(message, passage.content, message_id))

    def _send_elsewhere(self, passage: Passage, now: float) -> None:
        """To the user's other devices, or into the store."""
        context = self._services.context
        passage.state = PassageState.ELSEWHERE
        request = self.parties.to_user(passage.message.content_type, passage.message.body, context)
        exchange = context.outbox.inner_exchange(_Delivery(self, passage))
        self._services.terminating.receive(exchange, request, self.parties.user, now)

    def _send_without_leg(self, passage: Passage, now: float) -> None:
        """What the user sends in a session that this server opened, to whoever sent what was handed out in it."""
        context = self._services.context
        passage.state = PassageState.ELSEWHERE
        if passage.content.kind is ContentKind.TYPING:
            passage.settle(200)
            self._passages.discard(passage)
        elif passage.content.kind is ContentKind.CHAT and len(passage.message.body) > context.config.pager_max_octets:
            passage.settle(481)  # so that the phone invites, and sends it in a session of its own
            self._passages.discard(passage)
        else:
            request = self.parties.from_user(passage.message.content_type, passage.message.body, context)
            context.outbox.add(SendRequest(request, _Delivery(self, passage)))

    def delivered(self, passage: Passage, status: int, now: float) -> None:
        """What became of a message that went elsewhere."""
        self._settle(passage, status_for_sender(status), now)

    def message_sent(self, leg: SessionLeg, message_id: str, now: float) -> None:
        if self._saying.settle(leg, message_id, 200, now) or (
            leg.is_to_user and self._handed_out(message_id, 200, now)
        ):
            return
        passage = self._sent.pop((leg.is_to_user, message_id), None)
        if passage is None or passage.state is not PassageState.ON_LEG:
            return
        key = self._key(passage.content) if leg.is_to_user else None
        if key is not None:
            self._services.context.seen.put(key, Sighting.ACCEPTED, now)
            if passage.content.kind in _COPIED and self._keep_copies(leg, passage, now):
                return
        self._settle(passage, 200, now, reports=False)

    def _keep_copies(self, leg: SessionLeg, passage: Passage, now: float) -> bool:
        """For the user's other devices (F03): the sender is answered when they are safe. A receipt may be about what
        another device has sent. Typing is not copied (choice): it concerns the device that this session is with."""
        message, context = passage.message, self._services.context
        if len(context.devices.known(self.parties.user.key)) < 2:
            return False
        request = self.parties.to_user(message.content_type, message.body, context)

        def kept(error: StoreError | None, then: float) -> None:
            self._settle(passage, 200, then, reports=False)

        is_kept = self._services.terminating.keep_copies(request, self.parties.user, leg.instance, kept, now)
        if is_kept:
            passage.state = PassageState.ELSEWHERE
        return is_kept

    def message_reported(self, leg: SessionLeg, report: Reported, now: float) -> None:
        self._reports.succeeded((leg.is_to_user, report.message_id), report)

    def message_failed(self, leg: SessionLeg, failure: MessageFailed, now: float) -> None:
        if self._saying.settle(leg, failure.message_id, _offer_status(failure), now):
            return
        if leg.is_to_user and self._handed_out(failure.message_id, _offer_status(failure), now):
            return
        key = (leg.is_to_user, failure.message_id)
        passage = self._sent.pop(key, None)
        if passage is None:
            self._reports.failed(key, status_for_sender(failure.status))  # a REPORT, after the 200
            return
        self._reports.forget(key)
        if passage.state is not PassageState.ON_LEG:
            return
        is_lost = failure.reason.is_resendable or failure.status in _RESENDABLE
        if leg.is_to_user and is_lost and passage.content.kind is not ContentKind.TYPING:
            self._note(
                "message not taken in the session", f"{failure.reason.value}: {failure.status}", passage.message_id
            )
            self._send_elsewhere(passage, now)
        else:
            self._settle(passage, status_for_sender(failure.status), now)

    def lost_patience(self, leg: SessionLeg, passage: Passage, now: float) -> None:
        """The device does not answer: everything goes another way from now on."""
        self._note("message not taken in the session", "no answer in time", passage.message_id)
        self._detach_user(now, 'SIP;cause=408;text="No answer to MSRP SEND"')
        if passage.state is PassageState.ON_LEG:
            self._send_elsewhere(passage, now)

    def _settle(self, passage: Passage, status: int, now: float, *, reports: bool = True) -> None:
        passage.settle(status, reports=reports)
        self._passages.discard(passage)
        if passage.is_told_by_receipt and status >= 300:
            self._tell_failed(passage, now)
        key = self._key(passage.content)
        if key is not None and self._services.pending.get(key) is passage:
            del self._services.pending[key]
        if not self._passages:
            self.step(ChatInput.EMPTY, now)

    def _tell_failed(self, passage: Passage, now: float) -> None:
        """To the user whose message came with his INVITE, which was answered with 200 long ago."""
        context, content = self._services.context, passage.content
        imdn = Imdn(content.message_id, content.date_time, ImdnKind.DELIVERY, ImdnStatus.FAILED)
        body = compose_notice(context, imdn.encode(), IMDN_CONTENT_TYPE, "notification", now)
        self._note("message failed", "its sender is told by a receipt", content.message_id)
        request = self.parties.to_user(CPIM_CONTENT_TYPE, body, context)
        self._services.terminating.receive_own(request, self.parties.user, now)

    # -- the end -----------------------------------------------------------------------------------------------------

    def leg_rang(self, leg: SessionLeg, response: Response, now: float) -> None:
        """It stands already."""

    def leg_answered(self, leg: SessionLeg, response: Response, now: float) -> None:
        """It stands already."""

    def leg_refused(self, leg: SessionLeg, status: int, response: Response | None, now: float) -> None:
        """It stands already."""

    def leg_ended(self, leg: SessionLeg, end: Ended, now: float) -> None:
        if self._state in (ChatState.ENDING, ChatState.ENDED):
            return  # connections stay until what is under way is settled
        if leg is self.user_leg and end.reason not in _BY_PEER and self.net_leg is not None:
            self._detach_user(now, None)
        elif leg is self._parting and end.reason not in _BY_PEER:
            self._parting = None
        elif leg in self._legs():
            self.step(ChatInput.END, now, end.reason_header, end.reason.value)

    def media_ended(self, leg: SessionLeg, end: LegEnd, now: float) -> None:
        if self._state is ChatState.ENDED:
            return
        self._note("media ended", f"{end.kind.value}: {end.why}"[:200])
        if leg is self.user_leg and self.net_leg is not None:
            self._wait_for_bye(leg, now)
        elif leg in self._legs():
            self.step(ChatInput.END, now, _BROKEN, end.kind.value)

    def _wait_for_bye(self, leg: SessionLeg, now: float) -> None:
        """A device that leaves in order may close its connection before its BYE is here, which has further to go. What
        it has not taken goes elsewhere meanwhile."""
        self.user_leg, self._parting = None, leg
        leg.close()
        self._services.context.deadlines.arm(now + self._services.context.config.session_answer_s, Parting(self, leg))
        self._take_back(now)
        self._watch_idleness(now)

    def part(self, leg: SessionLeg, now: float) -> None:
        """No BYE came: the device has lost its connection, not left."""
        if leg is self._parting:
            self._parting = None
            leg.abandon(now, _BROKEN)

    def _detach_user(self, now: float, reason: str | None) -> None:
        """The device is gone: the session goes on without, for what the other side still sends (choice)."""
        leg, self.user_leg = self.user_leg, None
        if leg is None:
            return
        leg.abandon(now, reason)
        if self.net_leg is None:
            self.step(ChatInput.END, now, reason, "the device is gone")
        self._take_back(now)
        self._watch_idleness(now)

    def _take_back(self, now: float) -> None:
        """What the device has not answered goes elsewhere."""
        self._saying.give_up(now, is_to_user=True)
        for message_id in list(self._offers):
            self._handed_out(message_id, 408, now)
        for key in [key for key in self._sent if key[0]]:
            passage = self._sent.pop(key)
            self._reports.forget(key)
            if passage.state is not PassageState.ON_LEG:
                continue
            if passage.content.kind is ContentKind.TYPING:
                self._settle(passage, 200, now)
            else:
                self._send_elsewhere(passage, now)

    def shut_down(self, now: float, reason: str) -> None:
        self.step(ChatInput.END, now, reason, "the server ends")

    def retire(self, now: float) -> None:
        """A new session has taken its place (S15)."""
        self.step(ChatInput.REPLACED, now, None, "replaced")

    def step(self, event: ChatInput, now: float, reason: str | None = None, why: str = "replaced") -> None:
        """One arrow of the table. *reason* goes into the BYE."""
        if (self._state, event) in CHAT_IGNORED:
            return
        self._state, action = CHAT_TRANSITIONS[self._state, event]
        if action is ChatAction.HANG_UP:
            self._hang_up(now, reason, why)
        elif action is ChatAction.CLOSE:
            self._close(now)
        elif action is ChatAction.GIVE_UP:
            self._give_up(now)
        if action in (ChatAction.HANG_UP, ChatAction.WAIT):
            self._services.context.deadlines.arm(now + self._services.context.config.session_drain_s, Drain(self))
            if not self._passages:
                self.step(ChatInput.EMPTY, now, reason, why)

    def _hang_up(self, now: float, reason: str | None, why: str) -> None:
        """BYE to both sides; the connections stay until what is under way is settled."""
        self._services.book.fall(self.parties.pair, self)
        self._note("session ended", why)
        for leg in self._legs():
            leg.hang_up(now, reason)

    def _give_up(self, now: float) -> None:
        """Time is over for what is under way."""
        self._take_back(now)
        for passage in [passage for passage in self._passages if passage.state is PassageState.ON_LEG]:
            self._settle(passage, 408, now)
        self._close(now)

    def _close(self, now: float) -> None:
        self._saying.give_up(now)
        if self.on_close is not None:
            self.on_close()
        self._services.book.leave(self.parties.user.key)
        for leg in self._legs():
            if leg.says_goodbye and not leg.is_media_over:
                self._services.context.deadlines.arm(now + _BYE_TRAVELS_S, Farewell(leg))
            else:
                leg.close()

    # -- idleness ----------------------------------------------------------------------------------------------------

    def _watch_idleness(self, now: float) -> None:
        """A session that has a phone at both ends is ended by a phone (S13); this server ends the others."""
        if not self.has_both_legs and self._idle is None and self._state is ChatState.OPEN:
            self._idle = IdleWatch(self)
            self._services.context.deadlines.arm(now + self._services.context.config.chat_idle_s, self._idle)

    def idle(self, now: float) -> None:
        """The time has come to look."""
        self._idle = None
        due = self.last_traffic + self._services.context.config.chat_idle_s
        if self._state is not ChatState.OPEN or self.has_both_legs:
            return
        if now >= due:
            self.step(ChatInput.END, now, None, "idle")
        else:
            self._idle = IdleWatch(self)
            self._services.context.deadlines.arm(due, self._idle)

    def _note(self, summary: str, why: str, message_id: str = "") -> None:
        self._services.context.outbox.note(summary, why, message_id or None, user=self.parties.user.key)


class _Delivery:
    """A message that went another way; errand."""

    __slots__ = ("_passage", "_session")

    def __init__(self, session: ChatSession, passage: Passage) -> None:
        self._session = session
        self._passage = passage

    def finished(self, status: int, response: Response | None, now: float) -> None:
        self._session.delivered(self._passage, status, now)


def _offer_status(failure: MessageFailed) -> int:
    """As what a failure counts for a message that was handed out: that of a device that is not there, or that does not
    want it."""
    is_lost = failure.reason.is_resendable or failure.status in _RESENDABLE
    return 408 if is_lost else failure.status
